#!/usr/bin/python3
"""From code to an alias that others may invoke, through boto3: uploads, publishing, permissions, provisioning."""

import io
import json
import os
import unittest
import zipfile

from localaws_case import ROLE, Case, zipped

GATEWAY = "apigateway.amazonaws.com"
SOURCE = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/prod/*"


def behaving(behaviour, compression=zipfile.ZIP_STORED):
    """A zip whose code behaves so."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        z.writestr("index.py", "def handler(event, context): pass\n")
        z.writestr("localaws.json", json.dumps(behaviour))
    return out.getvalue()


class Chain(Case):
    WORLD = """
clock: virtual
invoke_delay: false
limits: off
functions: {hello: {versions: {1: {}, 2: {}}, aliases: {prod: {version: 1}}}}
s3: {bucket: {v1.zip: {response: from S3}}}
images: {"123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1": {response: from an image}}
"""

    def invoked(self, function, qualifier):
        answer = self.lam.invoke(FunctionName=function, Qualifier=qualifier)
        return answer["ExecutedVersion"], json.load(answer["Payload"])

    def test_two_versions_and_a_bad_one(self):
        made = self.lam.create_function(
            FunctionName="app", Runtime="python3.12", Role=ROLE, Handler="index.handler", Publish=True,
            Code={"ZipFile": behaving({"response": "Hello V1"})})
        self.assertEqual((made["Version"], made["State"]), ("1", "Pending"))
        self.lam.get_waiter("published_version_active").wait(FunctionName="app", Qualifier="1")
        self.lam.create_alias(FunctionName="app", Name="prod", FunctionVersion="1")
        for behaviour, version in (({"response": "Hello V2"}, "2"), ({"error_rate": 1}, "3")):
            self.lam.update_function_code(FunctionName="app", ZipFile=behaving(behaviour))
            self.lam.get_waiter("function_updated_v2").wait(FunctionName="app")
            self.assertEqual(self.lam.publish_version(FunctionName="app")["Version"], version)
        self.lam.update_alias(FunctionName="app", Name="prod",
                              RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
        seen = {json.dumps(self.invoked("app", "prod")) for _ in range(60)}
        self.assertEqual(seen, {json.dumps([v, {"statusCode": 200, "body": f"Hello V{v}"}]) for v in "12"})
        bad = self.lam.invoke(FunctionName="app", Qualifier="3")
        self.assertEqual(bad["FunctionError"], "Unhandled")

    def test_a_compressed_behaviour_is_refused(self):
        text = self.message("InvalidParameterValueException", 400, self.lam.update_function_code,
                            FunctionName="hello", ZipFile=behaving({"response": "x" * 500}, zipfile.ZIP_DEFLATED))
        self.assertIn("zip -0", text)
        self.lam.update_function_code(FunctionName="hello", ZipFile=zipped("deflated is fine for the rest"))

    def test_code_from_elsewhere(self):
        self.lam.create_function(FunctionName="app", Runtime="python3.12", Role=ROLE, Handler="index.handler",
                                 Code={"S3Bucket": "bucket", "S3Key": "v1.zip"})
        self.assertEqual(self.invoked("app", "$LATEST")[1]["body"], "from S3")
        uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1"
        self.lam.create_function(FunctionName="image", PackageType="Image", Role=ROLE, Code={"ImageUri": uri})
        self.assertEqual(self.invoked("image", "$LATEST")[1]["body"], "from an image")
        code = self.lam.get_function(FunctionName="image")["Code"]
        self.assertRegex(code["ResolvedImageUri"], r"^123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com/app@sha256:")

    def test_fifty_megabytes(self):
        got = self.lam.update_function_code(FunctionName="hello", ZipFile=zipped(os.urandom(50 * 1000 * 1000)))
        self.assertGreater(got["CodeSize"], 50 * 1000 * 1000)
        self.refused("RequestTooLargeException", 413, self.lam.invoke, FunctionName="hello",
                     Payload=b'"' + b"x" * 6291456 + b'"')

    def add(self, sid, **kwargs):
        return self.lam.add_permission(FunctionName="hello", StatementId=sid, Action="lambda:InvokeFunction",
                                       Principal=GATEWAY, SourceArn=SOURCE, SourceAccount="123456789012", **kwargs)

    def test_permission_for_an_alias(self):
        statement = json.loads(self.add("one", Qualifier="prod")["Statement"])
        self.assertEqual(statement, {
            "Sid": "one", "Effect": "Allow", "Principal": {"Service": GATEWAY}, "Action": "lambda:InvokeFunction",
            "Resource": "arn:aws:lambda:us-east-1:123456789012:function:hello:prod",
            "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"},
                          "ArnLike": {"AWS:SourceArn": SOURCE}}})
        got = self.lam.get_policy(FunctionName="hello", Qualifier="prod")
        self.assertEqual(json.loads(got["Policy"]), {"Version": "2012-10-17", "Id": "default",
                                                     "Statement": [statement]})
        self.refused("PreconditionFailedException", 412, self.lam.remove_permission, FunctionName="hello",
                     StatementId="one", Qualifier="prod", RevisionId="1" * 36)
        shown = self.server.admin("GET", "functions/hello")["policies"]
        self.assertEqual(shown, {"prod": {"revision": got["RevisionId"], "statements": [statement]}})
        self.lam.remove_permission(FunctionName="hello", StatementId="one", Qualifier="prod",
                                   RevisionId=got["RevisionId"])
        self.refused("ResourceNotFoundException", 404, self.lam.get_policy, FunctionName="hello", Qualifier="prod")

    def test_faults_and_rates_of_policies(self):
        self.add("one", Qualifier="prod")
        self.server.admin("POST", "faults", [{"op": "RemovePermission", "fault": "error503", "alias": "prod"}])
        self.refused("ServiceUnavailableException", 503, self.lam.remove_permission, FunctionName="hello",
                     StatementId="one", Qualifier="prod")
        self.server.admin("DELETE", "faults")
        # Of each region, one and then none for a long time.
        self.server.admin("PUT", "limits", {"get_policy": 0.01})
        self.lam.get_policy(FunctionName="hello", Qualifier="prod")
        self.refused("TooManyRequestsException", 429, self.lam.get_policy, FunctionName="hello", Qualifier="prod")
        self.add("two", Qualifier="prod")

    def test_provisioned_alias_moves(self):
        self.server.admin("PUT", "world", {"provision_time": "90s"})
        put = {"FunctionName": "hello", "Qualifier": "prod", "ProvisionedConcurrentExecutions": 3}
        self.lam.put_provisioned_concurrency_config(**put)
        self.server.advance("90s")

        def status():
            got = self.lam.get_provisioned_concurrency_config(FunctionName="hello", Qualifier="prod")
            return got["Status"]

        def alias():
            got = self.lam.get_alias(FunctionName="hello", Name="prod")
            return got["FunctionVersion"], got.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

        self.assertEqual(status(), "READY")
        self.lam.update_alias(FunctionName="hello", Name="prod", FunctionVersion="2")
        self.assertEqual((status(), alias()), ("IN_PROGRESS", ("2", {"1": 1.0})))
        self.assertEqual(self.invoked("hello", "prod")[0], "1")
        self.server.advance("90s")
        self.assertEqual((status(), alias()), ("READY", ("2", {})))
        self.assertEqual(self.invoked("hello", "prod")[0], "2")
        changes = self.server.admin("GET", "counters")["alias_changes"]
        self.assertEqual([c["operation"] for c in changes][-3:],
                         ["UpdateAlias", "(provisioned concurrency)", "(provisioned concurrency)"])
        listed = self.lam.list_provisioned_concurrency_configs(FunctionName="hello")
        self.assertEqual([c["FunctionArn"] for c in listed["ProvisionedConcurrencyConfigs"]],
                         ["arn:aws:lambda:us-east-1:123456789012:function:hello:prod"])
        operations = self.server.admin("GET", "counters")["operations"]
        self.assertEqual(operations["ListProvisionedConcurrencyConfigs"]["calls"], 1)

    def test_a_version_that_fails(self):
        self.server.admin("PUT", "world", {"functions": {"hello": {"publish_time": "2m",
                                                                   "publish_fails": "init ended with 1"}}})
        self.lam.update_function_code(FunctionName="hello", ZipFile=zipped("two"))
        self.lam.get_function(FunctionName="hello")
        self.assertEqual(self.lam.publish_version(FunctionName="hello")["State"], "Pending")
        self.server.advance("2m")
        got = self.lam.get_function_configuration(FunctionName="hello", Qualifier="3")
        self.assertEqual((got["State"], got["StateReason"]), ("Failed", "init ended with 1"))
        self.refused("ResourceConflictException", 409, self.lam.update_alias, FunctionName="hello", Name="prod",
                     FunctionVersion="3")
        shown = self.server.admin("GET", "functions/hello")["versions"]["3"]
        self.assertEqual((shown["state"], shown["reason"]), ("Failed", "init ended with 1"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
