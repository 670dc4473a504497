#!/usr/bin/python3
"""rollout-localaws's answers beside those recorded from AWS, where the recordings lie next to the checkout."""

import datetime
import json
import os
import re
import unittest

from localaws_case import TOP, Case, query, zipped

RECORDED = os.path.join(TOP, "../shared/vectors/real-aws-responses")


@unittest.skipUnless(os.path.isdir(RECORDED), "no recorded answers beside this checkout")
class Recorded(Case):
    """The answers have the same fields as those that were recorded from AWS, in the same places."""

    @classmethod
    def setUpClass(cls):
        cls.recordings = {}
        for name in ("lambda_api", "lambda_invoke", "cloudwatch"):
            with open(os.path.join(RECORDED, f"{name}.snapshot.json"), encoding="utf-8") as file:
                for key, value in json.load(file).items():
                    cls.recordings[key.split("::", 1)[1]] = value["recorded-content"]

    def compare(self, recorded, got, where=""):
        """Keys and types are equal; so are values, but for those that recordings replace by <…>."""
        if isinstance(recorded, dict) and isinstance(got, dict):
            left = {k for k in recorded if k not in ("ResponseMetadata",)}
            right = {k for k in got if k not in ("ResponseMetadata",)}
            self.assertEqual(left, right, where)
            for key in left:
                self.compare(recorded[key], got[key], f"{where}.{key}")
        elif isinstance(recorded, list) and isinstance(got, list):
            self.assertEqual(len(recorded), len(got), where)
            for i, (a, b) in enumerate(zip(recorded, got)):
                self.compare(a, b, f"{where}[{i}]")
        elif isinstance(recorded, str) and ("<" in recorded or recorded in ("date", "timestamp")):
            pass
        elif isinstance(recorded, str) and isinstance(got, str):
            mask = re.compile(r"111111111111|123456789012|us-east-1|<region>|<partition>")
            self.assertEqual(mask.sub("", recorded), mask.sub("", got), where)
        else:
            self.assertEqual(type(recorded), type(got), where)

    def known(self, answer):
        """Fields that this boto3 knows; an old one drops the newer ones."""
        return {k: v for k, v in answer.items() if k != "ResponseMetadata"}

    def compare_known(self, recorded, got, where):
        newer = {"LoggingConfig", "RuntimeVersionConfig", "SnapStart", "EphemeralStorage"}
        drop = {k for k in newer if k not in got}
        self.compare({k: v for k, v in recorded.items() if k not in drop and k != "ResponseMetadata"},
                     self.known(got), where)

    def test_function_life(self):
        told = self.recordings["TestLambdaFunction::test_function_lifecycle"]
        made = self.create(Timeout=5, MemorySize=256, Environment={"Variables": {}})
        recorded = dict(told["create_response"]["CreateFunctionResponse"], Handler="index.handler")
        self.compare_known(recorded, made, "create")
        got = self.lam.get_function(FunctionName="made")
        recorded = dict(told["get_function_response"]["Configuration"], Handler="index.handler")
        self.compare_known(recorded, got["Configuration"], "get")
        self.assertEqual(set(got["Code"]), set(told["get_function_response"]["Code"]))
        changed = self.lam.update_function_code(FunctionName="made", ZipFile=zipped("two"))
        recorded = dict(told["update_code_response"], Handler="index.handler", Description="", Runtime="python3.12",
                        MemorySize=256, Timeout=5, Environment={"Variables": {}})
        self.compare_known(recorded, changed, "update")

    def test_versions(self):
        told = self.recordings["TestLambdaVersions::test_version_lifecycle"]
        self.create(Description="No version :(")
        published = self.lam.publish_version(FunctionName="made", Description="First version description :)")
        recorded = dict(told["first_publish_response"], Environment={"Variables": {}})
        self.compare_known(recorded, published, "publish")
        listed = self.lam.list_versions_by_function(FunctionName="made")["Versions"][0]
        recorded = dict(told["list_versions_result"]["Versions"][0], Environment={"Variables": {}})
        self.compare_known(recorded, listed, "list")

    def test_aliases(self):
        told = self.recordings["TestLambdaAlias::test_alias_lifecycle"]
        made = self.lam.create_alias(FunctionName="hello", Name="aliasname1_1", FunctionVersion="1",
                                     Description="custom-alias",
                                     RoutingConfig={"AdditionalVersionWeights": {"2": 0.2}})
        self.compare(self.known(told["create_alias_1_1"]), self.known(made), "create")
        got = self.lam.get_alias(FunctionName="hello", Name="aliasname1_1")
        self.compare(self.known(told["get_alias_1_1"]), self.known(got), "get")
        changed = self.lam.update_alias(FunctionName="hello", Name="aliasname1_1",
                                        RoutingConfig={"AdditionalVersionWeights": {}})
        self.compare(self.known(told["update_alias_1_1"]), self.known(changed), "update")

    def recorded_error(self, name, part, call, **kwargs):
        told = self.recordings[name][part]
        answer = self.refused(told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"], call, **kwargs)
        wanted = told["Error"]["Message"]
        for volatile, real in (("<function-name:1>", "hello"), ("<partition>", "aws"), ("<region>", "us-east-1"),
                               ("111111111111", "123456789012")):
            wanted = wanted.replace(volatile, real)
        self.assertEqual(answer["Error"]["Message"], wanted, part)
        self.assertEqual("Type" in answer, "Type" in told, part)
        self.assertEqual("message" in answer, "message" in told, part)
        self.assertEqual("Message" in answer, "Message" in told, part)

    def test_alias_errors(self):
        name = "TestLambdaAlias::test_notfound_and_invalid_routingconfigs"
        create = self.lam.create_alias

        def weights(**by_version):
            return {"AdditionalVersionWeights": {k[1:]: v for k, v in by_version.items()}}

        base = {"FunctionName": "hello", "Name": "custom", "FunctionVersion": "1"}
        for part, change in (
                ("routing_config_exc_toomany", {"RoutingConfig": weights(v1=0.8, v2=0.2)}),
                ("routing_config_exc_toohigh", {"RoutingConfig": weights(v2=2.0)}),
                ("routing_config_exc_subzero", {"RoutingConfig": weights(v2=-1.0)}),
                ("routing_config_exc_sameversion", {"RoutingConfig": weights(v1=0.5)}),
                ("target_version_doesnotexist", {"FunctionVersion": "10", "RoutingConfig": weights(v2=0.5)}),
                ("target_version_exc_version_latest",
                 {"FunctionVersion": "$LATEST", "RoutingConfig": weights(v1=0.5)}),
                ("routing_config_exc_version_latest",
                 {"RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}}),
                ("routing_config_exc_fn_doesnotexist", {"FunctionName": "hello-unknown"})):
            self.recorded_error(name, part, create, **{**base, **change})
        create(**base)
        self.recorded_error(name, "routing_config_exc_already_exist", create, **base)
        self.recorded_error(name, "alias_does_not_exist_esc", self.lam.get_alias, FunctionName="hello",
                            Name="non-existent")
        self.recorded_error("TestLambdaAlias::test_non_existent_alias_update", "update_alias_response",
                            self.lam.update_alias, FunctionName="hello", Name="non-existent", Description="x")
        self.recorded_error("TestLambdaAlias::test_alias_naming", "create_alias_number_exception", create,
                            FunctionName="hello", Name="2024", FunctionVersion="1")
        self.recorded_error("TestLambdaRevisions::test_function_revisions_version_and_alias",
                            "update_alias_revision_exception", self.lam.update_alias, FunctionName="hello",
                            Name="custom", RevisionId="wrong", Description="x")
        self.recorded_error("TestLambdaVersions::test_publish_with_wrong_revisionid", "publish_wrong_revisionid_exc",
                            self.lam.publish_version, FunctionName="hello", RevisionId="doesntexist")

    def test_invoke(self):
        told = self.recordings["TestLambdaErrors::test_lambda_handler_error"]["invocation_error"]
        self.server.admin("PUT", "functions/hello/versions/$LATEST", {"error_rate": 1})
        got = self.lam.invoke(FunctionName="hello", Payload=b"{}")
        got["Payload"] = json.load(got["Payload"])
        told = dict(told, Payload=dict(told["Payload"], stackTrace=got["Payload"]["stackTrace"]))
        self.compare(self.known(told), self.known(got), "invoke")

    def test_alarms(self):
        told = self.recordings["TestCloudwatch::test_describe_minimal_metric_alarm[json]"]
        told = told["describe_minimal_metric_alarm"]
        self.cw.put_metric_alarm(AlarmName="a", MetricName="m", Namespace="n", Statistic="Sum", Period=10,
                                 EvaluationPeriods=1, Threshold=30, ComparisonOperator="GreaterThanThreshold")
        recorded, got = told["MetricAlarms"][0], self.cw.describe_alarms()["MetricAlarms"][0]
        drop = {"StateTransitionedTimestamp"} - set(got)  # unknown to older SDKs
        for key in ("AlarmConfigurationUpdatedTimestamp", "StateTransitionedTimestamp", "StateUpdatedTimestamp"):
            if key in got:
                got[key] = "timestamp"
        self.compare({k: v for k, v in recorded.items() if k not in drop}, got, "alarm")

    def test_metrics(self):
        told = self.recordings["TestCloudwatch::test_get_metric_data_with_zero_and_labels[json]"]
        now = self.server.now()
        self.cw.put_metric_data(Namespace="n", MetricData=[
            {"MetricName": "metric1", "Value": v, "Timestamp": now} for v in (0, 2, 4, 3.5, 7, 100)])
        got = self.cw.get_metric_data(
            StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=1),
            MetricDataQueries=[query(f"result_{s}", "metric1", [], s, namespace="n")
                               for s in ("Average", "Sum", "Minimum", "Maximum")])
        got = {**self.known(got), "MetricDataResults": [dict(r, Timestamps="timestamp")
                                                         for r in got["MetricDataResults"]]}
        recorded = self.known(told["get_metric_data_with_zero_and_labels"])
        self.compare(recorded, got, "data")
        self.assertEqual([r["Values"] for r in got["MetricDataResults"]],
                         [r["Values"] for r in recorded["MetricDataResults"]])


if __name__ == "__main__":
    unittest.main(verbosity=1)
