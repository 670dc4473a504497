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
        self.error_beside(told, part, call, **kwargs)

    def error_beside(self, told, part, call, volatile=(), **kwargs):
        answer = self.refused(told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"], call, **kwargs)
        wanted = told["Error"]["Message"]
        for shown, real in (("<function-name:1>", "hello"), ("<function-name>", "hello"), ("<partition>", "aws"),
                            ("<region>", "us-east-1"), ("111111111111", "123456789012"), *volatile):
            wanted = wanted.replace(shown, real)
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

    # --- policies ---

    def compare_policy(self, told, got, where):
        """A policy is JSON within JSON; the recordings have it unpacked."""
        got = self.known(got)
        for key in ("Policy", "Statement"):
            if key in got:
                got[key] = json.loads(got[key])
        mask = re.compile(r"<function-name:1>|<resource:\d+>|<partition>|<region>|111111111111|<alias-name>")
        real = re.compile(r"\bhello\b|\bbucket\b|\baws\b|us-east-1|123456789012|user/u|root\b")
        self.compare(self.masked(mask, self.known(told)), self.masked(real, got), where)

    def masked(self, pattern, value):
        if isinstance(value, dict):
            return {k: self.masked(pattern, v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.masked(pattern, v) for v in value]
        return pattern.sub("", value) if isinstance(value, str) else value

    def add(self, **kwargs):
        base = {"FunctionName": "hello", "StatementId": "s3", "Principal": "s3.amazonaws.com",
                "Action": "lambda:InvokeFunction", "SourceArn": "arn:aws:s3:::bucket"}
        return self.lam.add_permission(**{k: v for k, v in {**base, **kwargs}.items() if v is not None})

    def test_policy_of_each_qualifier(self):
        told = self.recordings["TestLambdaPermissions::test_lambda_permission_fn_versioning"]
        self.lam.create_alias(FunctionName="hello", Name="permission-alias", FunctionVersion="1")
        self.compare_policy(told["add_permission"], self.add(), "add")
        policy = self.lam.get_policy
        self.compare_policy(told["get_policy"], policy(FunctionName="hello"), "get")
        self.refused("ResourceNotFoundException", 404, policy, FunctionName="hello", Qualifier="1")
        self.add(Qualifier="1")
        self.compare_policy(told["get_policy_version"], policy(FunctionName="hello", Qualifier="1"), "version")
        self.recorded_error("TestLambdaPermissions::test_lambda_permission_fn_versioning",
                            "add_permission_alias_revision_exception", self.add, Qualifier="permission-alias",
                            RevisionId="wrong")
        alias = self.lam.get_alias(FunctionName="hello", Name="permission-alias")
        self.add(Qualifier="permission-alias", RevisionId=alias["RevisionId"])
        self.compare_policy(told["get_policy_alias"],
                            policy(FunctionName="hello", Qualifier="permission-alias"), "alias")
        self.add(StatementId="s3_2", RevisionId=policy(FunctionName="hello")["RevisionId"])
        self.compare_policy(told["get_policy_after_adding_2"], policy(FunctionName="hello"), "two")

    def test_policy_fields(self):
        told = self.recordings["TestLambdaPermissions::test_add_lambda_permission_fields"]
        account = {"SourceArn": None, "SourceAccount": "123456789012"}
        for part, fields in (
                ("add_permission_principal_wildcard", {"StatementId": "wilcard", "Principal": "*", **account}),
                ("add_permission_principal_service",
                 {"StatementId": "lambda", "Principal": "lambda.amazonaws.com", **account}),
                ("add_permission_principal_account",
                 {"StatementId": "account-id", "Principal": "123456789012", "SourceArn": None}),
                ("add_permission_optional_fields",
                 {"StatementId": "urlPermission", "Principal": "*", "Action": "lambda:InvokeFunctionUrl",
                  "SourceAccount": "123456789012", "PrincipalOrgID": "o-1234567890", "FunctionUrlAuthType": "NONE"}),
                ("add_permission_alexa_skill",
                 {"StatementId": "alexaSkill", "Principal": "*", "SourceArn": None,
                  "EventSourceToken": "amzn1.ask.skill.xxxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"})):
            self.compare_policy(told[part], self.add(**fields), part)

    def test_policy_errors(self):
        name = "TestLambdaPermissions::test_permission_exceptions"
        policy, remove = self.lam.get_policy, self.lam.remove_permission
        for part, fields in (
                ("add_permission_invalid_statement_id", {"StatementId": "example.com"}),
                ("add_permission_fn_qualifier_mismatch", {"FunctionName": "hello:alias", "Qualifier": "other"}),
                ("add_permission_fn_qualifier_latest", {"Qualifier": "$LATEST"}),
                ("add_permission_principal_invalid", {"Principal": "user/me"}),
                ("add_permission_fn_doesnotexist", {"FunctionName": "doesnotexist"}),
                ("add_permission_fn_alias_doesnotexist", {"Qualifier": "alias-doesnotexist"}),
                ("add_permission_fn_version_doesnotexist", {"Qualifier": "42"}),
                ("add_permission_fn_qualifier_invalid", {"Qualifier": "invalid-qualifier-with-?-char"}),
                ("add_permission_fn_qualifier_valid_doesnotexist", {"Qualifier": "valid-with-$-but-doesnotexist"})):
            self.recorded_error(name, part, self.add, **fields)
        self.recorded_error(name, "get_policy_fn_doesnotexist", policy, FunctionName="doesnotexist")
        self.recorded_error(name, "get_policy_fn_version_doesnotexist", policy, FunctionName="hello", Qualifier="42")
        self.recorded_error(name, "remove_permission_policy_doesnotexist", remove, FunctionName="hello",
                            StatementId="s3")
        self.add()
        self.recorded_error(name, "add_permission_conflicting_statement_id", self.add)
        self.recorded_error(name, "remove_permission_fn_doesnotexist", remove, FunctionName="doesnotexist",
                            StatementId="s3")
        self.recorded_error(name, "remove_permission_fn_alias_doesnotexist", remove, FunctionName="hello",
                            StatementId="s3", Qualifier="alias-doesnotexist")
        name = "TestLambdaPermissions::test_remove_multi_permissions"
        self.recorded_error(name, "remove_permission_exception_nonexisting_sid", remove, FunctionName="hello",
                            StatementId="non-existent")
        remove(FunctionName="hello", StatementId="s3")
        self.recorded_error(name, "get_policy_exception_removed_all", policy, FunctionName="hello")

    # --- provisioned concurrency ---

    def put(self, **kwargs):
        base = {"FunctionName": "hello", "Qualifier": "1", "ProvisionedConcurrentExecutions": 1}
        return self.lam.put_provisioned_concurrency_config(**{**base, **kwargs})

    def test_provisioned_life(self):
        name = "TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle"
        told, alias = self.recordings[name], (("<alias-name>", "pc"),)
        get = self.lam.get_provisioned_concurrency_config
        delete = self.lam.delete_provisioned_concurrency_config
        self.lam.create_alias(FunctionName="hello", Name="pc", FunctionVersion="1")
        self.compare(dict(self.known(told["put_provisioned_on_version"]), LastModified="date"), self.known(self.put()),
                     "put")
        ready = self.recordings["TestLambdaConcurrency::test_provisioned_concurrency"]["get_provisioned_postwait"]
        self.compare(self.known(ready), self.known(get(FunctionName="hello", Qualifier="1")), "ready")
        self.recorded_error(name, "put_provisioned_on_alias_versionconflict", self.put, Qualifier="pc")
        delete(FunctionName="hello", Qualifier="1")
        self.recorded_error(name, "get_provisioned_version_postdelete", get, FunctionName="hello", Qualifier="1")
        self.compare(self.known(told["put_provisioned_on_alias"]), self.known(self.put(Qualifier="pc")), "alias")
        self.recorded_error(name, "put_provisioned_on_version_conflict", self.put)
        self.lam.delete_alias(FunctionName="hello", Name="pc")
        self.error_beside(told["get_provisioned_alias_postaliasdelete"], "after", get, volatile=alias,
                          FunctionName="hello", Qualifier="pc")
        listed = self.lam.list_provisioned_concurrency_configs(FunctionName="hello")
        self.compare(self.known(told["list_response_postdeletes"]), {
            k: v for k, v in self.known(listed).items() if k != "NextMarker"}, "list")

    def test_provisioned_moves_with_its_alias(self):
        told = self.recordings["TestLambdaConcurrency::test_lambda_provisioned_concurrency_moves_with_alias"]
        self.server.admin("PUT", "world", {"provision_time": "60s"})
        self.lam.create_alias(FunctionName="hello", Name="pc", FunctionVersion="1")
        self.put(Qualifier="pc")
        self.server.advance("60s")
        changed = self.lam.update_alias(FunctionName="hello", Name="pc", FunctionVersion="2")
        self.assertEqual(set(self.known(told["update_alias"])), set(self.known(changed)))
        got = self.lam.get_provisioned_concurrency_config(FunctionName="hello", Qualifier="pc")
        self.compare(self.known(told["get_provisioned_config_after_alias_move"]), self.known(got), "moving")

    def test_provisioned_failure(self):
        told = self.recordings["TestLambdaConcurrency::test_provisioned_concurrency_init_failure"]
        self.server.admin("PUT", "world", {"functions": {"hello": {"provision_fails": "FUNCTION_ERROR_INIT_FAILURE"}}})
        self.put()
        got = self.lam.get_provisioned_concurrency_config(FunctionName="hello", Qualifier="1")
        self.compare(self.known(told["get_provisioned_postwait"]), self.known(got), "failed")
        self.assertEqual(told["get_provisioned_postwait"]["StatusReason"], got["StatusReason"])

    def test_provisioned_errors(self):
        name = "TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions"
        get, delete = self.lam.get_provisioned_concurrency_config, self.lam.delete_provisioned_concurrency_config
        many = {"put": self.put, "get": get, "delete": delete}
        for what, call in many.items():
            for part, function, qualifier in (
                    ("qualifier_doesnotexist", "hello", "doesnotexist" if what == "put" else "noalias"),
                    ("version_doesnotexist", "hello", "10"), ("latest", "hello", "$LATEST")):
                self.recorded_error(name, f"{what}_provisioned_{part}", call, FunctionName=function,
                                    Qualifier=qualifier)
        self.recorded_error(name, "get_provisioned_config_doesnotexist", get, FunctionName="hello", Qualifier="1")
        self.recorded_error(name, "get_provisioned_functionname_doesnotexist", get, FunctionName="doesnotexist",
                            Qualifier="noalias")
        self.recorded_error(name, "list_provisioned_functionname_doesnotexist",
                            self.lam.list_provisioned_concurrency_configs, FunctionName="doesnotexist")
        self.recorded_error(name, "put_provisioned_invalid_param_0", self.put, ProvisionedConcurrentExecutions=0)
        self.recorded_error(name, "put_provisioned_functionname_doesnotexist_alias", self.put,
                            FunctionName="doesnotexist", Qualifier="noalias")
        self.recorded_error(name, "put_provisioned_functionname_doesnotexist_version", self.put,
                            FunctionName="doesnotexist")
        told = self.recordings["TestLambdaProvisionedConcurrency::test_provisioned_concurrency_limits"]
        self.error_beside(told["put_provisioned_concurrency_account_limit_exceeded"], "limit", self.put,
                          volatile=(("<unreserved_concurrency>", "1000"),), ProvisionedConcurrentExecutions=1001)
        self.error_beside(told["put_provisioned_concurrency_below_unreserved_min_value"], "least", self.put,
                          volatile=(("<min_unreserved_concurrency>", "100"),), ProvisionedConcurrentExecutions=950)

    # --- code ---

    def test_code_errors(self):
        self.server.admin("PUT", "world", {"s3": {"bucket": {"key": {}}}, "images": {"repo:1": {}}})
        name = "TestLambdaFunction::test_lambda_code_location_s3_errors"
        create = {"Runtime": "python3.12", "Role": "arn:aws:iam::123456789012:role/test", "Handler": "i.h",
                  "FunctionName": "other"}
        for part, code in (("wrong-bucket", {"S3Bucket": "none", "S3Key": "key"}),
                           ("wrong-key", {"S3Bucket": "bucket", "S3Key": "none"})):
            self.recorded_error(name, f"create-error-{part}", self.lam.create_function, Code=code, **create)
            self.recorded_error(name, f"update-error-{part}", self.lam.update_function_code, FunctionName="hello",
                                **code)
        self.recorded_error("TestLambdaImages::test_lambda_zip_file_to_image", "zipfile-to-image-error",
                            self.lam.update_function_code, FunctionName="hello", ImageUri="repo:1")
        told = self.recordings["TestLambdaVersions::test_publish_with_wrong_sha256"]["publish_wrong_sha256_exc"]
        sha = self.lam.get_function(FunctionName="hello")["Configuration"]["CodeSha256"]
        self.error_beside(told, "sha", self.lam.publish_version, volatile=(("<code-sha256:1>", sha),),
                          FunctionName="hello", CodeSha256="somenonexistentsha256")

    def test_image(self):
        told = self.recordings["TestLambdaImages::test_lambda_image_crud"]
        self.server.admin("PUT", "world", {"images": {"repo:latest": {}, "repo_2:latest": {}}})
        made = self.lam.create_function(
            FunctionName="app", PackageType="Image", Role="arn:aws:iam::123456789012:role/test",
            Code={"ImageUri": "repo:latest"}, Environment={"Variables": {"CUSTOM_ENV": "test"}})
        self.compare_known(told["create-image-response"], made, "create")
        got = self.lam.get_function(FunctionName="app")
        self.compare(told["get-function-code-response"]["Code"], got["Code"], "code")
        self.compare_known(told["get-function-code-response"]["Configuration"], got["Configuration"], "get")
        self.recorded_error("TestLambdaImages::test_lambda_image_crud", "image-to-zipfile-error",
                            self.lam.update_function_code, FunctionName="app", ZipFile=zipped("x"))
        changed = self.lam.update_function_code(FunctionName="app", ImageUri="repo_2:latest")
        self.compare_known(told["update-function-code-response"], changed, "update")

    def test_code_published_along(self):
        told = self.recordings["TestLambdaVersions::test_publish_with_update"]["update_function_code_result"]
        self.create(Environment={"Variables": {}})
        self.lam.get_function(FunctionName="made")
        got = self.lam.update_function_code(FunctionName="made", ZipFile=zipped("two"), Publish=True)
        self.compare_known(dict(told, Environment={"Variables": {}}), got, "published")
        self.assertEqual((got["State"], got["Version"], "LastUpdateStatus" in got), ("Pending", "1", False))

    def test_too_large(self):
        told = self.recordings["TestLambdaSizeLimits::test_oversized_zipped_create_lambda"]["invalid_param_exc"]
        self.error_beside(told, "zipped", self.create, text=os.urandom(52428800))

    # --- the rest ---

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
