#!/usr/bin/python3
"""rollout-localaws as boto3 sees it: Lambda, STS, signatures, limits, faults, the admin API and the program itself.

Runs with the boto3 of Debian 12 and with newer ones. CloudWatch: test_localaws_metrics.py.
"""

import base64
import datetime
import hashlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions

from localaws_case import LOCALAWS, ROLE, WORLD, Case, Server, zipped


class Functions(Case):
    def test_create_publish_and_delete(self):
        code = zipped("one")
        made = self.lam.create_function(
            FunctionName="made", Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": code},
            Description="d", Timeout=9, MemorySize=256, Environment={"Variables": {"A": "b"}})
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)
        self.assertEqual(made["State"], "Pending")
        self.assertEqual(made["CodeSha256"], base64.b64encode(hashlib.sha256(code).digest()).decode())
        self.assertEqual(made["CodeSize"], len(code))
        got = self.lam.get_function(FunctionName="made")["Configuration"]
        self.assertEqual((got["State"], got["LastUpdateStatus"], got["Timeout"], got["Environment"]),
                         ("Active", "Successful", 9, {"Variables": {"A": "b"}}))
        self.assertNotEqual(got["RevisionId"], made["RevisionId"])
        self.lam.get_waiter("function_active_v2" if "function_active_v2" in self.lam.waiter_names
                            else "function_active").wait(FunctionName="made")
        first = self.lam.publish_version(FunctionName="made", Description="first", CodeSha256=got["CodeSha256"])
        self.assertEqual((first["Version"], first["ResponseMetadata"]["HTTPStatusCode"]), ("1", 201))
        self.assertTrue(first["FunctionArn"].endswith(":function:made:1"))
        latest = self.lam.get_function_configuration(FunctionName="made")
        self.assertNotEqual(latest["RevisionId"], got["RevisionId"], "publishing changes $LATEST's revision")
        self.assertEqual(self.lam.publish_version(FunctionName="made")["Version"], "1", "nothing has changed")
        self.lam.delete_function(FunctionName="made")
        self.refused("ResourceNotFoundException", 404, self.lam.get_function, FunctionName="made")
        self.refused("ResourceNotFoundException", 404, self.lam.delete_function, FunctionName="made")

    def test_create_refusals(self):
        self.create()
        self.assertEqual(self.message("ResourceConflictException", 409, self.create), "Function already exist: made")
        self.refused("InvalidParameterValueException", 400, self.lam.create_function, FunctionName="x",
                     Runtime="python3.12", Role=ROLE, Handler="h", Code={"ZipFile": b"no zip at all"})
        self.refused("ValidationException", 400, self.lam.create_function, FunctionName="x", Runtime="python3.12",
                     Role="r1", Handler="h", Code={"ZipFile": zipped("x")})
        self.refused("ValidationException", 400, self.lam.create_function, FunctionName="a:b:c", Runtime="python3.12",
                     Role=ROLE, Handler="h", Code={"ZipFile": zipped("x")})
        self.refused("InvalidParameterValueException", 400, self.lam.create_function, FunctionName="a" * 65,
                     Runtime="python3.12", Role=ROLE, Handler="h", Code={"ZipFile": zipped("x")})

    def test_update_code(self):
        before = self.create()
        before = self.lam.get_function(FunctionName="made")["Configuration"]
        stale = self.refused("PreconditionFailedException", 412, self.lam.update_function_code, FunctionName="made",
                             ZipFile=zipped("two"), RevisionId="1" * 36)
        self.assertIn("Call the GetFunction/GetAlias API", stale["Error"]["Message"])
        dry = self.lam.update_function_code(FunctionName="made", ZipFile=zipped("two"), DryRun=True)
        self.assertEqual(dry["CodeSha256"], before["CodeSha256"])
        after = self.lam.update_function_code(FunctionName="made", ZipFile=zipped("two"),
                                              RevisionId=before["RevisionId"])
        self.assertEqual((after["LastUpdateStatus"], after["State"]), ("InProgress", "Active"))
        self.assertNotEqual(after["CodeSha256"], before["CodeSha256"])
        self.assertEqual(self.lam.get_function(FunctionName="made")["Configuration"]["LastUpdateStatus"], "Successful")
        wrong = self.message("InvalidParameterValueException", 400, self.lam.publish_version, FunctionName="made",
                             CodeSha256="nonsense")
        self.assertIn("CodeSHA256 (nonsense) is different from current CodeSHA256 in $LATEST", wrong)
        self.refused("PreconditionFailedException", 412, self.lam.publish_version, FunctionName="made",
                     RevisionId="1" * 36)
        published = self.lam.update_function_code(FunctionName="made", ZipFile=zipped("three"), Publish=True)
        self.assertEqual((published["Version"], published["State"]), ("1", "Pending"))
        self.assertNotIn("LastUpdateStatus", published)
        self.refused("InvalidParameterValueException", 400, self.lam.update_function_code, FunctionName="made",
                     S3Bucket="b" * 8, S3Key="k")

    def test_update_in_progress_is_a_conflict(self):
        self.server.admin("PUT", "world", {"update_time": "30s"})
        self.create()
        self.assertIn("Pending", self.message("ResourceConflictException", 409, self.lam.publish_version,
                                              FunctionName="made"))
        self.server.advance("30s")
        self.lam.update_function_code(FunctionName="made", ZipFile=zipped("two"))
        self.assertIn("An update is in progress for resource: arn:aws:lambda:us-east-1:123456789012:function:made",
                      self.message("ResourceConflictException", 409, self.lam.publish_version, FunctionName="made"))
        self.server.advance("30s")
        self.assertEqual(self.lam.publish_version(FunctionName="made")["Version"], "1")

    def test_update_configuration_publishes_anew(self):
        self.create(Publish=True)
        self.lam.update_function_configuration(FunctionName="made", Timeout=60)
        self.assertEqual(self.lam.publish_version(FunctionName="made")["Version"], "2")
        self.assertEqual(self.lam.get_function_configuration(FunctionName="made", Qualifier="1")["Timeout"], 3)

    def test_names(self):
        arn = "arn:aws:lambda:us-east-1:123456789012:function:hello"
        for name in ("hello", arn, "123456789012:function:hello", "function:hello", "us-east-1:123456789012:hello"):
            self.assertEqual(self.lam.get_function_configuration(FunctionName=name)["FunctionArn"], arn)
            for qualifier, version in (("prod", "1"), ("2", "2"), ("$LATEST", "$LATEST")):
                got = self.lam.get_function_configuration(FunctionName=name, Qualifier=qualifier)
                self.assertEqual((got["FunctionArn"], got["Version"]), (f"{arn}:{qualifier}", version))
                if name.endswith("function:hello"):
                    again = self.lam.get_function(FunctionName=f"{name}:{qualifier}")["Configuration"]
                    self.assertEqual(again["Version"], version)
        get = self.lam.get_function
        self.assertEqual(self.message("ResourceNotFoundException", 404, get, FunctionName="hello", Qualifier="99"),
                         f"Function not found: {arn}:99")
        self.refused("ResourceNotFoundException", 404, get, FunctionName="hello", Qualifier="nothing")
        self.assertEqual(self.message("ResourceNotFoundException", 404, get, FunctionName="nobody"),
                         "Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody")
        self.refused("InvalidParameterValueException", 400, get, FunctionName="hello:prod", Qualifier="1")
        self.assertEqual(self.message("ResourceNotFoundException", 404, get, FunctionName=arn.replace("us-", "eu-")),
                         "Functions from 'eu-east-1' are not reachable in this region ('us-east-1')")
        self.refused("AccessDeniedException", 403, get, FunctionName=arn.replace("123456789012", "111111111111"))
        self.refused("ValidationException", 400, get, FunctionName="arn:aws:ec2:us-east-1:123456789012:instance:i-1")
        elsewhere = self.server.client("lambda", region="eu-west-1").get_function(FunctionName="hello")
        self.assertIn(":eu-west-1:", elsewhere["Configuration"]["FunctionArn"])

    def test_delete_version(self):
        refused = self.message("ResourceConflictException", 409, self.lam.delete_function, FunctionName="hello",
                               Qualifier="2")
        self.assertEqual(refused, "Unable to delete version because the following aliases reference it: [half]")
        self.refused("InvalidParameterValueException", 400, self.lam.delete_function, FunctionName="hello",
                     Qualifier="$LATEST")
        self.refused("InvalidParameterValueException", 400, self.lam.delete_function, FunctionName="hello",
                     Qualifier="prod")
        self.lam.delete_function(FunctionName="hello", Qualifier="4")
        self.lam.delete_function(FunctionName="hello", Qualifier="99")
        self.assertEqual([v["Version"] for v in self.lam.list_versions_by_function(FunctionName="hello")["Versions"]],
                         ["$LATEST", "1", "2", "3"])

    def test_lists_are_paged(self):
        self.server.admin("PUT", "world", {"functions": {
            "many": {"versions": {str(i): {} for i in range(1, 121)}}, "copy": {"copies": 60}}})
        pages = list(self.lam.get_paginator("list_versions_by_function").paginate(FunctionName="many"))
        self.assertEqual([len(p["Versions"]) for p in pages], [50, 50, 21])
        self.assertEqual([v["Version"] for p in pages for v in p["Versions"]],
                         ["$LATEST"] + [str(i) for i in range(1, 121)])
        self.assertNotIn("State", pages[0]["Versions"][1])
        few = self.lam.list_versions_by_function(FunctionName="many", MaxItems=2)
        self.assertEqual(len(few["Versions"]), 2)
        names = [f["FunctionName"] for p in self.lam.get_paginator("list_functions").paginate() for f in p["Functions"]]
        self.assertEqual(len(names), 62)
        self.assertEqual(len(set(names)), 62)
        self.refused("InvalidParameterValueException", 400, self.lam.list_functions, Marker="nonsense")
        self.assertEqual(self.lam.get_account_settings()["AccountUsage"]["FunctionCount"], 62)


class Aliases(Case):
    def update(self, **kwargs):
        return self.lam.update_alias(FunctionName="hello", Name="prod", **kwargs)

    def alias(self):
        return self.lam.get_alias(FunctionName="hello", Name="prod")

    def test_life(self):
        made = self.lam.create_alias(FunctionName="hello", Name="dev", FunctionVersion="$LATEST", Description="d")
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)
        self.assertEqual(made["AliasArn"], "arn:aws:lambda:us-east-1:123456789012:function:hello:dev")
        self.assertEqual(self.message("ResourceConflictException", 409, self.lam.create_alias, FunctionName="hello",
                                      Name="dev", FunctionVersion="1"),
                         "Alias already exists: arn:aws:lambda:us-east-1:123456789012:function:hello:dev")
        self.assertEqual([a["Name"] for a in self.lam.list_aliases(FunctionName="hello")["Aliases"]],
                         ["prod", "half", "bad", "dev"])
        of_two = self.lam.list_aliases(FunctionName="hello", FunctionVersion="2")["Aliases"]
        self.assertEqual([a["Name"] for a in of_two], ["half"])
        page = self.lam.list_aliases(FunctionName="hello", MaxItems=3)
        rest = self.lam.list_aliases(FunctionName="hello", MaxItems=3, Marker=page["NextMarker"])
        self.assertEqual([len(page["Aliases"]), len(rest["Aliases"]), rest.get("NextMarker")], [3, 1, None])
        for _ in range(2):
            gone = self.lam.delete_alias(FunctionName="hello", Name="dev")
            self.assertEqual(gone["ResponseMetadata"]["HTTPStatusCode"], 204)
        self.assertEqual(self.message("ResourceNotFoundException", 404, self.lam.get_alias, FunctionName="hello",
                                      Name="dev"),
                         "Cannot find alias arn: arn:aws:lambda:us-east-1:123456789012:function:hello:dev")
        self.assertEqual(self.message("ResourceNotFoundException", 404, self.lam.update_alias, FunctionName="hello",
                                      Name="dev", FunctionVersion="1"),
                         "Alias not found: arn:aws:lambda:us-east-1:123456789012:function:hello:dev")
        self.refused("ValidationException", 400, self.lam.create_alias, FunctionName="hello", Name="2024",
                     FunctionVersion="1")
        self.assertEqual(self.message("ResourceNotFoundException", 404, self.lam.create_alias, FunctionName="nobody",
                                      Name="a", FunctionVersion="1"),
                         "Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody:1")

    def test_update_leaves_out_what_stays(self):
        self.update(Description="first", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
        self.assertEqual(self.alias()["RoutingConfig"], {"AdditionalVersionWeights": {"2": 0.1}})
        after = self.update(Description="second")
        self.assertEqual((after["FunctionVersion"], after["RoutingConfig"]["AdditionalVersionWeights"]),
                         ("1", {"2": 0.1}))
        after = self.update(FunctionVersion="3")
        self.assertEqual((after["Description"], after["RoutingConfig"]["AdditionalVersionWeights"]),
                         ("second", {"2": 0.1}))
        after = self.update(FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
        self.assertEqual((after["FunctionVersion"], after["Description"]), ("2", "second"))
        self.assertNotIn("RoutingConfig", after)
        self.assertEqual(after["RevisionId"], self.alias()["RevisionId"])

    def test_revision(self):
        first = self.alias()["RevisionId"]
        second = self.update(FunctionVersion="1", RevisionId=first)["RevisionId"]
        self.assertNotEqual(first, second, "an update without a difference changes the revision, too")
        stale = self.refused("PreconditionFailedException", 412, self.update, FunctionVersion="2", RevisionId=first)
        self.assertEqual(stale["Error"]["Message"],
                         "The Revision Id provided does not match the latest Revision Id. Call the "
                         "GetFunction/GetAlias API to retrieve the latest Revision Id")
        self.assertEqual((self.alias()["FunctionVersion"], self.alias()["RevisionId"]), ("1", second))
        self.update(FunctionVersion="2", RevisionId=second)

    def test_weights_refused(self):
        parameter, validation = "InvalidParameterValueException", "ValidationException"
        before = self.alias()["RevisionId"]

        def weights(**by_version):
            return {"RoutingConfig": {"AdditionalVersionWeights": {k[1:]: v for k, v in by_version.items()}}}

        self.assertEqual(self.message(parameter, 400, self.update, **weights(v2=0.1, v3=0.1)),
                         "Number of items in AdditionalVersionWeights cannot be greater than 1")
        self.assertIn("Value '{2=2.0}' at 'routingConfig.additionalVersionWeights'",
                      self.message(validation, 400, self.update, **weights(v2=2.0)))
        self.assertIn("Value '{2=-0.5}'", self.message(validation, 400, self.update, **weights(v2=-0.5)))
        self.assertEqual(self.message(parameter, 400, self.update, **weights(v1=0.5)),
                         "Invalid function version 1. Function version 1 is already included in routing configuration.")
        self.assertEqual(self.message("ResourceNotFoundException", 404, self.update, **weights(v99=0.5)),
                         "Function not found: arn:aws:lambda:us-east-1:123456789012:function:hello:99")
        self.assertEqual(self.message("ResourceNotFoundException", 404, self.update, FunctionVersion="99"),
                         "Function not found: arn:aws:lambda:us-east-1:123456789012:function:hello:99")
        self.assertEqual(self.message(parameter, 400, self.update, FunctionVersion="$LATEST", **weights(v2=0.5)),
                         "$LATEST is not supported for an alias pointing to more than 1 version")
        self.assertEqual(self.message(parameter, 400, self.update, **weights(v4=0.5)),
                         "Specified versions must be associated with the same execution role")
        self.assertIn("Map keys must satisfy", self.message(
            validation, 400, self.update, RoutingConfig={"AdditionalVersionWeights": {"$LATEST": 0.5}}))
        self.assertEqual(self.alias()["RevisionId"], before, "what is refused changes nothing")
        for weight in (0.0, 0.01, 0.3, 1.0):
            got = self.update(**weights(v2=weight))
            self.assertEqual(got["RoutingConfig"]["AdditionalVersionWeights"], {"2": weight})

    def test_log_names_the_writer(self):
        self.server.client("lambda", user_agent_extra="me/1").update_alias(
            FunctionName="hello", Name="prod", FunctionVersion="2")
        log = self.server.admin("GET", "counters")["alias_changes"]
        self.assertEqual((log[-1]["operation"], log[-1]["version"], log[-1]["key"], log[-1]["late"]),
                         ("UpdateAlias", "2", "localaws", False))
        self.assertIn("me/1", log[-1]["user_agent"])
        self.assertEqual(log[-1]["revision"], self.alias()["RevisionId"])
        self.server.admin("PUT", "functions/hello/aliases/prod", {"version": 1})
        self.assertEqual(self.alias()["FunctionVersion"], "1")
        self.assertNotEqual(self.alias()["RevisionId"], log[-1]["revision"])


class Invokes(Case):
    def test_answers(self):
        good = self.lam.invoke(FunctionName="hello", Qualifier="prod", Payload=b'{"a": 1}', LogType="Tail")
        self.assertEqual((good["StatusCode"], good["ExecutedVersion"], json.load(good["Payload"])),
                         (200, "1", "Hello V1"))
        self.assertIn(b"REPORT RequestId:", base64.b64decode(good["LogResult"]))
        self.assertEqual(self.lam.invoke(FunctionName="hello")["ExecutedVersion"], "$LATEST")
        self.assertEqual(self.lam.invoke(FunctionName="hello:2")["ExecutedVersion"], "2")
        self.assertEqual(self.lam.invoke(FunctionName="hello", InvocationType="Event")["StatusCode"], 202)
        dry = self.lam.invoke(FunctionName="hello", Qualifier="2", InvocationType="DryRun")
        self.assertEqual(dry["StatusCode"], 204)
        versions = self.server.admin("GET", "counters")["functions"]["hello"]["versions"]
        self.assertEqual((versions["1"]["requests"], versions["2"]["requests"]), (1, 1), "a dry run serves nothing")
        self.refused("ResourceNotFoundException", 404, self.lam.invoke, FunctionName="nobody")
        self.refused("ResourceNotFoundException", 404, self.lam.invoke, FunctionName="hello", Qualifier="nothing")
        self.refused("InvalidRequestContentException", 400, self.lam.invoke, FunctionName="hello", Payload=b"{not json")

    def test_function_error(self):
        self.server.admin("PUT", "functions/hello/versions/3", {"error_rate": 1})
        bad = self.lam.invoke(FunctionName="hello", Qualifier="bad")
        self.assertEqual((bad["StatusCode"], bad["FunctionError"], bad["ExecutedVersion"]), (200, "Unhandled", "3"))
        body = json.load(bad["Payload"])
        self.assertEqual(sorted(body), ["errorMessage", "errorType", "requestId", "stackTrace"])
        self.assertEqual(body["requestId"], bad["ResponseMetadata"]["RequestId"])

    def test_throttled_version(self):
        self.server.admin("PUT", "functions/hello/versions/1", {"throttle_rate": "100%"})
        answer = self.refused("TooManyRequestsException", 429, self.lam.invoke, FunctionName="hello", Qualifier="prod")
        self.assertEqual(answer["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded")

    def test_weights_are_followed_and_seeded(self):
        def draw(server):
            lam = server.client("lambda")
            return [lam.invoke(FunctionName="hello", Qualifier="half")["ExecutedVersion"] for _ in range(200)]

        first = draw(self.server)
        # 200 draws of one half: outside 60 … 140 once in 10^7 runs, and the seed is fixed anyway.
        self.assertTrue(60 < first.count("2") < 140, first.count("2"))
        self.assertEqual(set(first), {"1", "2"})
        again = Server()
        self.addCleanup(again.close)
        self.assertEqual(draw(again), first)
        other = Server(WORLD, "--seed", "8")
        self.addCleanup(other.close)
        self.assertNotEqual(draw(other), first)


class Faults(Case):
    def fault(self, **kwargs):
        self.server.admin("PUT", "faults", [kwargs])

    def alias(self, client=None):
        return (client or self.lam).get_alias(FunctionName="hello", Name="prod")

    def update(self, version="2", client=None):
        return (client or self.lam).update_alias(FunctionName="hello", Name="prod", FunctionVersion=version)

    def test_refusing_ones(self):
        for fault, code, status in (("throttle", "TooManyRequestsException", 429),
                                    ("error500", "ServiceException", 500),
                                    ("error503", "ServiceUnavailableException", 503),
                                    ("access_denied", "AccessDeniedException", 403)):
            self.fault(op="UpdateAlias", fault=fault, times=1)
            answer = self.refused(code, status, self.update)
            self.assertEqual(self.alias()["FunctionVersion"], "1", fault)
            if fault == "throttle":
                self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"], "1")
                self.assertEqual(answer["Reason"], "CallerRateLimitExceeded")
            if fault == "access_denied":
                self.assertIn("not authorized to perform: lambda:UpdateAlias", answer["Error"]["Message"])
        self.fault(op="UpdateAlias", fault="error500", applied=True)
        self.refused("ServiceException", 500, self.update)
        self.assertEqual(self.alias()["FunctionVersion"], "2")
        self.fault(op="DescribeAlarms", fault="throttle", times=1)
        self.assertIn(self.throttled(self.cw.describe_alarms), ("Throttling", "ThrottlingException"))
        self.cw.describe_alarms()

    def throttled(self, call):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call()
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        return caught.exception.response["Error"]["Code"]

    def test_lost_answers(self):
        short = self.server.client("lambda", read_timeout=0.4, connect_timeout=5)
        for connection, error in (("hang", botocore.exceptions.ReadTimeoutError),
                                  ("close", botocore.exceptions.ConnectionClosedError)):
            for fault, version in (("lost_before", "1"), ("lost_after", "2")):
                with self.subTest(fault=fault, connection=connection):
                    self.fault(op="UpdateAlias", fault=fault, connection=connection)
                    with self.assertRaises(error):
                        self.update(client=short)
                    self.assertEqual(self.alias()["FunctionVersion"], version)
                    self.server.admin("DELETE", "faults")
                    self.update("1")
        counts = self.server.admin("GET", "counters")["operations"]["UpdateAlias"]
        self.assertEqual((counts["calls"], counts["no_answer"], counts["ok"]), (8, 4, 4))

    def test_clients_that_gave_up_leave_no_trace(self):
        self.fault(op="UpdateAlias", fault="lost_before")
        descriptors = f"/proc/{self.server.process.pid}/fd"
        before = len(os.listdir(descriptors))
        for _ in range(5):
            impatient = self.server.client("lambda", read_timeout=0.1)
            with self.assertRaises(botocore.exceptions.ReadTimeoutError):
                self.update(client=impatient)
        deadline = time.monotonic() + 20
        while len(os.listdir(descriptors)) > before and time.monotonic() < deadline:
            self.server.admin("GET", "clock")
        self.assertLessEqual(len(os.listdir(descriptors)), before)

    def test_late_and_twice(self):
        short = self.server.client("lambda", read_timeout=0.4)
        before = self.alias()["RevisionId"]
        self.fault(op="UpdateAlias", fault="late", delay="90s", times=1)
        with self.assertRaises(botocore.exceptions.ReadTimeoutError):
            short.update_alias(FunctionName="hello", Name="prod", FunctionVersion="2", RevisionId=before)
        self.server.advance("89s")
        self.assertEqual(self.alias()["RevisionId"], before)
        self.server.advance("1s")
        self.assertEqual(self.alias()["FunctionVersion"], "2")
        self.assertTrue(self.server.admin("GET", "counters")["alias_changes"][-1]["late"])
        # Late, but somebody else was faster: the revision protects.
        before = self.alias()["RevisionId"]
        self.fault(op="UpdateAlias", fault="late", delay="10s", times=1)
        with self.assertRaises(botocore.exceptions.ReadTimeoutError):
            short.update_alias(FunctionName="hello", Name="prod", FunctionVersion="3", RevisionId=before)
        self.update("1")
        self.server.advance("10s")
        self.assertEqual(self.alias()["FunctionVersion"], "1")
        self.fault(op="UpdateAlias", fault="twice", delay="5s", times=1)
        first = self.update("2")["RevisionId"]
        self.assertEqual(self.alias()["RevisionId"], first)
        self.server.advance("5s")
        self.assertNotEqual(self.alias()["RevisionId"], first)

    def test_spoilt_answers(self):
        for fault, version in (("garbage", "2"), ("html", "1"), ("truncated", "2"), ("reset", "1")):
            with self.subTest(fault=fault):
                self.fault(op="UpdateAlias", fault=fault, times=1)
                with self.assertRaises((botocore.exceptions.BotoCoreError, ValueError, ConnectionError)):
                    got = self.update()
                    if "RevisionId" not in got:
                        raise ValueError("no alias in it")
                self.assertEqual(self.alias()["FunctionVersion"], version)
                self.update("1")

    def test_delay_and_stale(self):
        self.fault(op="GetAlias", fault="delay", delay="300ms", times=1)
        began = time.monotonic()
        self.alias()
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        before = self.alias()
        self.update("2")
        self.fault(op="GetAlias", fault="stale", times=1)
        old = self.alias()
        self.assertEqual((old["FunctionVersion"], old["RevisionId"]), ("1", before["RevisionId"]))
        self.assertEqual(self.alias()["FunctionVersion"], "2")

    def test_which_call_is_struck(self):
        def outcomes(n, function="hello"):
            out = []
            for _ in range(n):
                try:
                    self.lam.get_alias(FunctionName=function, Name="prod")
                    out.append(1)
                except botocore.exceptions.ClientError as e:
                    out.append(1 if e.response["ResponseMetadata"]["HTTPStatusCode"] == 404 else 0)
            return out

        self.fault(op="GetAlias", fault="error500", nth=3)
        self.assertEqual(outcomes(5), [1, 1, 0, 1, 1])
        self.fault(op="GetAlias", fault="error500", **{"from": 2, "times": 2})
        self.assertEqual(outcomes(5), [1, 0, 0, 1, 1])
        self.fault(op="*", fault="error500", function="other")
        self.assertEqual(outcomes(2), [1, 1])
        self.assertEqual(outcomes(2, "other"), [0, 0])
        self.fault(op="GetAlias", fault="error500", probability="50%")
        self.assertTrue(15 < sum(outcomes(60)) < 45)
        self.assertEqual(self.server.admin("GET", "faults")[0]["calls"], 60)


class Limits(Case):
    WORLD = WORLD.replace("limits: off", "limits: aws")

    def burst(self, call, n):
        """How many of n calls, made as fast as they go, were throttled; and how long it took."""
        began, throttled = time.monotonic(), 0
        for _ in range(n):
            try:
                call()
            except botocore.exceptions.ClientError as e:
                self.assertIn(e.response["Error"]["Code"],
                              ("TooManyRequestsException", "Throttling", "ThrottlingException"))
                throttled += 1
        return throttled, time.monotonic() - began

    def test_lambda(self):
        throttled, took = self.burst(lambda: self.lam.get_alias(FunctionName="hello", Name="prod"), 40)
        # 15 saved up, and 15 for each second that it took.
        self.assertAlmostEqual(40 - throttled, 15 + 15 * took, delta=2)
        # GetFunction has a rate of its own, and so has every region.
        self.lam.get_function(FunctionName="hello")
        self.server.client("lambda", region="eu-west-1").get_alias(FunctionName="hello", Name="prod")
        counts = self.server.admin("GET", "counters")["operations"]["GetAlias"]
        self.assertEqual((counts["throttled"], counts["ok"]), (throttled, 41 - throttled))

    def test_cloudwatch_and_settings(self):
        throttled, took = self.burst(self.cw.describe_alarms, 20)
        self.assertAlmostEqual(20 - throttled, 9 + 9 * took, delta=2)
        self.server.admin("PUT", "limits", {"describe_alarms": 0})
        self.assertEqual(self.burst(self.cw.describe_alarms, 30)[0], 0)


class Signatures(Case):
    def raw(self, method, path, headers=None, body=b""):
        request = urllib.request.Request(self.server.url + path, method=method, data=body or None,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read()

    def signed(self, service="lambda", age=0, key="localaws", secret="localaws", path=None, body=b"", headers=None):
        """Headers of a signed request that is `age` seconds old."""
        path = path or "/2015-03-31/functions/hello/aliases/prod"
        request = botocore.awsrequest.AWSRequest(
            "POST" if body else "GET", self.server.url + path, data=body, headers=headers or {})
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), service, "us-east-1")
        moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
        signer._modify_request_before_signing(request)
        string = signer.string_to_sign(request, signer.canonical_request(request))
        signer._inject_signature_to_request(request, signer.signature(string, request))
        return dict(request.headers.items())

    def error(self, status, headers, body):
        return status, headers["x-amzn-errortype"], json.loads(body)["message"]

    def test_lambda(self):
        path = "/2015-03-31/functions/hello/aliases/prod"
        self.assertEqual(self.raw("GET", path, self.signed())[0], 200)
        self.assertEqual(self.error(*self.raw("GET", path)),
                         (403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        status, code, text = self.error(*self.raw("GET", path, self.signed(secret="wrong")))
        self.assertEqual((status, code), (403, "InvalidSignatureException"))
        self.assertIn("does not match the signature you provided", text)
        self.assertEqual(self.error(*self.raw("GET", path, self.signed(key="nobody"))),
                         (403, "UnrecognizedClientException", "The security token included in the request is invalid."))
        for age, words in ((400, "Signature expired"), (-400, "Signature not yet current")):
            status, code, text = self.error(*self.raw("GET", path, self.signed(age=age)))
            self.assertEqual((status, code), (403, "InvalidSignatureException"))
            self.assertIn(words, text)
        self.assertEqual(self.raw("GET", path, self.signed(age=200))[0], 200)
        broken = self.signed()
        broken["Authorization"] = broken["Authorization"].replace("SignedHeaders=", "Signed=")
        self.assertEqual(self.error(*self.raw("GET", path, broken))[:2], (403, "IncompleteSignatureException"))
        # The path, the query and the body are under the signature.
        self.assertEqual(self.error(*self.raw("GET", path + "x", self.signed()))[1], "InvalidSignatureException")
        self.assertEqual(self.error(*self.raw("GET", path + "?a=b", self.signed()))[1], "InvalidSignatureException")
        changed = self.signed(path="/2015-03-31/functions/hello/versions", body=b"{}")
        self.assertEqual(self.error(*self.raw("POST", "/2015-03-31/functions/hello/versions", changed, b"{ }"))[1],
                         "InvalidSignatureException")
        self.assertEqual(self.raw("POST", "/2015-03-31/functions/hello/versions", changed, b"{}")[0], 201)

    def test_scope_tells_the_service(self):
        path = "/2015-03-31/functions/hello/aliases/prod"
        status, _, body = self.raw("GET", path, self.signed("dynamodb"))
        self.assertEqual(status, 404)
        self.assertIn(b"does not have the service 'dynamodb'", body)
        status, _, body = self.raw("GET", "/2015-03-31/nothing", self.signed(path="/2015-03-31/nothing"))
        self.assertEqual(status, 404)
        self.assertIn(b"does not have the operation GET /2015-03-31/nothing", body)

    def test_cloudwatch(self):
        target = {"X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms",
                  "Content-Type": "application/x-amz-json-1.0"}
        for mode, status, extra in (("false", 400, None), ("true", 403, "SignatureDoesNotMatch;Sender")):
            headers = self.signed("monitoring", secret="wrong", path="/", body=b"{}",
                                  headers={**target, "x-amzn-query-mode": mode})
            got, answered, body = self.raw("POST", "/", headers, b"{}")
            self.assertEqual((got, answered["x-amzn-query-error"]), (status, extra))
            self.assertEqual(json.loads(body)["__type"], "com.amazon.coral.service#InvalidSignatureException")
        form = b"Action=DescribeAlarms&Version=2010-08-01"
        headers = self.signed("monitoring", secret="wrong", path="/", body=form,
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
        got, _, body = self.raw("POST", "/", headers, form)
        self.assertEqual(got, 403)
        self.assertIn(b"<Code>SignatureDoesNotMatch</Code>", body)

    def test_query_mode_of_errors(self):
        body = b'{"AlarmName": "nobody", "StateValue": "OK", "StateReason": "x"}'
        target = {"X-Amz-Target": "GraniteServiceVersion20100801.SetAlarmState",
                  "Content-Type": "application/x-amz-json-1.0"}
        for mode, status in (("false", 400), ("true", 404)):
            headers = self.signed("monitoring", path="/", body=body, headers={**target, "x-amzn-query-mode": mode})
            got, answered, text = self.raw("POST", "/", headers, body)
            self.assertEqual(got, status)
            self.assertEqual(json.loads(text), {"__type": "com.amazonaws.cloudwatch.v2010_08_01#ResourceNotFound"})
            self.assertEqual(answered["Content-Type"], "application/x-amz-json-1.0")

    def test_boto3_errors_and_tokens(self):
        for service, call, code in (("lambda", "list_functions", "UnrecognizedClientException"),
                                    ("cloudwatch", "describe_alarms", "InvalidClientTokenId"),
                                    ("sts", "get_caller_identity", "InvalidClientTokenId")):
            self.refused(code, 403, getattr(self.server.client(service, key="nobody"), call))
        self.server.admin("PUT", "keys", [{"id": "temp", "secret": "s", "token": "t"}])
        self.server.client("lambda", "temp", "s", "t").list_functions()
        self.refused("InvalidSignatureException", 403, self.server.client("lambda", "temp", "s", "u").list_functions)
        self.server.admin("PUT", "keys", [{"id": "temp", "expired": True}])
        self.refused("ExpiredTokenException", 403, self.server.client("lambda", "temp", "s", "t").list_functions)

    def test_a_policy_of_one_statement(self):
        """IAM takes it without a list around it."""
        allow = {"Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": allow})
        self.server.admin("PUT", "keys", [{"id": "one", "secret": "s", "policy": policy}])
        lam = self.server.client("lambda", "one", "s")
        lam.list_functions()
        self.refused("AccessDeniedException", 403, lam.get_function, FunctionName="hello")

    def test_sts(self):
        who = self.server.client("sts").get_caller_identity()
        self.assertEqual((who["Account"], who["Arn"]), ("123456789012", "arn:aws:iam::123456789012:user/localaws"))

    def test_own_key(self):
        other = Server(WORLD, "--key", "AKIAME=secret=with=signs")
        self.addCleanup(other.close)
        other.client("lambda", "AKIAME", "secret=with=signs").list_functions()
        self.refused("UnrecognizedClientException", 403, other.client("lambda").list_functions)


class Admin(Case):
    def refused_admin(self, method, path, body=None):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.server.admin(method, path, body)
        with caught.exception as e:
            return e.code, json.load(e)["errors"]

    def test_errors(self):
        self.assertEqual(self.refused_admin("GET", "nothing")[0], 404)
        self.assertEqual(self.refused_admin("DELETE", "state")[0], 404)
        code, errors = self.refused_admin("PUT", "faults", "- {op: UpdateAlais, fault: throttle}\n- {op: Invoke}\n")
        self.assertEqual(code, 400)
        self.assertEqual([(e["line"], e["column"]) for e in errors], [(1, 8), (2, 3)])
        self.assertIn("UpdateAlias", errors[0]["error"])
        self.assertEqual(self.server.admin("GET", "faults"), [])
        self.assertEqual(self.refused_admin("PUT", "traffic", [{"function": "no", "alias": "a", "rps": 1}])[0], 400)
        self.assertEqual(self.refused_admin("PUT", "functions/no/versions/1", {})[0], 404)
        self.assertEqual(self.refused_admin("PUT", "metrics", {"period": "1500ms"})[0], 400)

    def test_reset(self):
        self.lam.update_alias(FunctionName="hello", Name="prod", FunctionVersion="2")
        self.server.admin("PUT", "faults", [{"op": "*", "fault": "delay", "delay": "1ms"}])
        self.server.admin("PUT", "reset", {"what": "counters"})
        self.assertEqual(self.server.admin("GET", "counters")["operations"], {})
        self.assertEqual(len(self.server.admin("GET", "state")["faults"]), 1)
        self.server.admin("PUT", "reset", {"what": "all"})
        state = self.server.admin("GET", "state")
        self.assertEqual(state["faults"], [])
        self.assertEqual(state["functions"]["hello"]["aliases"]["prod"]["version"], "1")
        self.assertNotIn("secret", json.dumps(state))
        self.lam.get_alias(FunctionName="hello", Name="prod")

    def test_bad_requests_do_no_harm(self):
        for junk, answer in (
                (b"\x00\x01\x02\r\n\r\n", None),
                (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40 + b"\r\n", b"HTTP/1.1 431 "),
                (b"PUT /_localaws/world HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n[[[[", None),
                (b"POST /%zz?%ff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 403 ")):
            with socket.create_connection(("127.0.0.1", self.server.port), 20) as s:
                s.sendall(junk)
                if answer:
                    self.assertTrue(s.recv(4096).startswith(answer))
        self.assertEqual(self.refused_admin("PUT", "world", "[" * 5000)[0], 400)
        self.lam.get_alias(FunctionName="hello", Name="prod")


class Program(unittest.TestCase):
    def run_it(self, *args):
        return subprocess.run([LOCALAWS, *args], capture_output=True, text=True, timeout=20)

    def test_usage(self):
        self.assertIn("--world FILE", self.run_it("--help").stdout)
        self.assertRegex(self.run_it("--version").stdout, r"^rollout-localaws \d")
        for args in (["--nothing"], ["--key", "x"], ["--seed", "x"], ["left over"]):
            self.assertEqual(self.run_it(*args).returncode, 2, args)
        for address in ("0.0.0.0:0", "nonsense", "127.0.0.1:99999"):
            got = self.run_it("--listen", address)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn(address, got.stderr)

    def test_errors_of_a_world_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("functions:\n  hello:\n    version: {1: {}}\ntrafic: []\nmetrics: {delay: soon}\n")
            file.flush()
            got = self.run_it("--world", file.name)
        self.assertEqual((got.returncode, got.stdout), (1, ""))
        lines = got.stderr.splitlines()
        self.assertTrue(lines[0].startswith(f"{file.name}:3:5: error: "), got.stderr)
        self.assertIn("did you mean `versions`?", got.stderr)
        self.assertIn("did you mean `traffic`?", got.stderr)
        got = self.run_it("--world", "/nonexistent/world.yaml")
        self.assertEqual(got.returncode, 1)
        self.assertIn("/nonexistent/world.yaml", got.stderr)

    def test_ready_fd_and_port_in_use(self):
        read, write = os.pipe()
        process = subprocess.Popen([LOCALAWS, "--listen", "127.0.0.1:0", "--ready-fd", str(write)], pass_fds=[write],
                                   stdout=subprocess.PIPE, text=True)
        os.close(write)
        with os.fdopen(read) as ready:
            self.assertEqual(ready.read(), "ready\n")
        port = process.stdout.readline().rsplit(":", 1)[1].strip()
        taken = self.run_it("--listen", f"127.0.0.1:{port}")
        self.assertEqual(taken.returncode, 1)
        self.assertIn("Address already in use", taken.stderr)
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        process.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
