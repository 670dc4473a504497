#!/usr/bin/python3
"""rolloutd keeping a whole service against rollout-localaws: from nothing to three working stages, a second look that
changes nothing, drift, half chains, updates, and rollbacks; the end read back with boto3.

# runner: timeout 300
"""

import json
import unittest

from rollout_case import wait_long
from service_case import ACCOUNT, API_NAME, REGION, ROLE, ROLLOUT, ServiceCase, at_once, hello, service


INTEGRATION = (f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/"
               f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:hello:${{stageVariables.lambdaAlias}}/invocations")


class Service(ServiceCase):
    def test_from_nothing(self):
        self.begin()
        self.keep()
        self.assert_whole()
        self.assertEqual(self.versions(), ["$LATEST", "1"])
        self.assertEqual(self.aliases(), {"dev": "$LATEST", "prod": "1", "test": "1"})

    def test_second_look_and_restart_change_nothing(self):
        self.begin()
        self.keep()
        before = self.settled_writes()
        self.assertEqual(self.d.stop(), 0)
        self.d.start()
        self.as_declared()
        self.assertEqual(self.settled_writes(), before)
        self.assertIn("as declared", self.ctl.run("diff", f"{self.d.plans}/hello.yaml"))
        self.assertEqual(self.writes(), before)

    def test_diff_before_anything_is_there(self):
        self.begin()
        self.put_zip(hello(1))
        self.d.put_plan(".hello.yaml", service(self.KIND))
        answer = self.ctl.json("diff", f"{self.d.plans}/.hello.yaml")
        self.assertIn("create-function", [c["kind"] for c in answer["changes"]])
        self.assertFalse(answer["as_declared"])
        self.assertEqual(self.writes(), {})

    def test_new_code_is_published_and_rolled_out(self):
        self.begin()
        self.keep()
        self.put_zip(hello(2))
        self.as_declared("to serve version 2", lambda s: self.aliases()["prod"] == "2")
        self.assert_whole("2")
        self.assertEqual(self.versions(), ["$LATEST", "1", "2"])
        self.assertEqual(self.ctl.status("hello.prod")["phase"], "succeeded")
        self.assertEqual(self.world.changes("hello", "prod"), ["1", "1+2@10", "1+2@50", "2"])
        self.assertEqual(self.world.changes("hello", "test"), ["1", "2"])

    def test_refused_change_is_named_and_holds_up_nothing_else(self):
        self.begin()
        self.keep()
        self.put_zip(hello(2)[:-20])
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("Could not unzip", s["reason"])
        self.assertEqual([c["kind"] for c in s["changes"]], ["update-code"])
        self.ctl.run("wait", "hello", code=4)
        (theirs,) = self.statements("prod")
        self.lam().remove_permission(FunctionName="hello", Qualifier="prod", StatementId=theirs["Sid"])
        self.assertEqual(self.ask("prod")[0], 500)
        self.ctl.run("resume", "hello")
        wait_long("the stage to answer again", lambda: self.ask("prod") == (200, "Hello V1"))
        self.put_zip(hello(3))
        self.as_declared("to serve good code", lambda s: self.aliases()["prod"] == "2")
        self.assert_whole("3")

    def test_large_code(self):
        """Code is uploaded in the request itself: it is larger than any other."""
        self.begin()
        self.keep(content=hello(1, size=9_000_000))
        self.put_zip(hello(2, size=12_000_000))
        self.as_declared("to serve version 2", lambda s: self.aliases()["prod"] == "2")
        self.assert_whole("2")

    def test_whoever_waits_for_new_code_is_not_told_of_the_old(self):
        self.begin()
        self.keep()
        for n in range(2, 5):
            self.put_zip(hello(n))
            self.ctl.run("wait", "hello", "--timeout", "50s")
            self.assertEqual(self.aliases()["prod"], str(n))
        self.assertEqual(self.d.stop(), 0)
        self.put_zip(hello(5))
        self.d.start()
        self.ctl.run("wait", "hello", "--timeout", "50s")
        self.assertEqual(self.aliases()["prod"], "5")

    def test_bad_code_comes_back_and_stays_back(self):
        self.begin()
        self.keep()
        self.world.admin("PUT", "traffic", [{"function": "hello", "alias": "prod", "rps": 60, "arrival": "even"}])
        aliases = {"prod": f"{{version: latest, rollout: {ROLLOUT}}}"}
        self.d.put_plan("hello.yaml", service(self.KIND, aliases, stages="{prod: prod}"))
        self.as_declared("to keep less", lambda s: s["attempt"] == 2)
        self.put_zip(hello(2, error_rate=1))
        self.ctl.until("hello", lambda s: s["phase"] == "rolled-back", "to come back")
        self.assertEqual(self.aliases()["prod"], "1")
        self.assertEqual(self.world.changes("hello", "prod"), ["1", "1+2@10", "1"])
        self.ctl.run("resume", "hello")
        self.ctl.until("hello", lambda s: s["phase"] == "rolled-back", "to stay back")
        self.ctl.run("wait", "hello", code=3)
        self.ctl.run("retry", "hello.prod")
        self.ctl.until("hello", lambda s: s["phase"] == "progressing", "to see that it is tried again")
        self.ctl.until("hello", lambda s: s["phase"] == "rolled-back", "to come back once more")
        self.put_zip(hello(3))
        self.as_declared("to serve version 3", lambda s: self.aliases()["prod"] == "3")
        # The bad code once more: nothing moves this time.
        self.put_zip(hello(2, error_rate=1))
        s = self.ctl.until("hello", lambda s: s["phase"] == "failed", "to leave the quarantined code alone")
        self.assertIn("hello.prod moved no traffic: version 4 is quarantined", s["reason"])
        self.ctl.run("wait", "hello", code=1)
        self.assertEqual(self.aliases()["prod"], "3")

    def test_drift_is_mended(self):
        self.begin()
        self.keep()
        api, policy = self.api_id(), self.statements("prod")
        self.lam().remove_permission(FunctionName="hello", Qualifier="prod", StatementId=policy[0]["Sid"])
        self.lam().delete_alias(FunctionName="hello", Name="test")
        self.drift_api(api)
        self.assertNotEqual(self.ask("test")[0], 200)
        self.ctl.run("resume", "hello")
        wait_long("the stages to answer again", lambda: all(self.ask(s)[0] == 200 for s in ("dev", "test", "prod")))
        self.as_declared()
        self.assert_whole_but_for_others()

    def drift_api(self, api):
        self.rest().update_stage(restApiId=api, stageName="dev", patchOperations=[
            {"op": "replace", "path": "/variables/lambdaAlias", "value": "prod"},
            {"op": "replace", "path": "/variables/theirs", "value": "stays"}])
        self.rest().delete_stage(restApiId=api, stageName="test")

    def assert_whole_but_for_others(self):
        self.assertEqual(self.stages()["dev"], {"lambdaAlias": "dev", "theirs": "stays"})
        self.assertEqual(self.stages()["test"], {"lambdaAlias": "test"})
        self.assertEqual(len(self.statements("prod")), 1)

    def test_alias_moved_by_hand_is_named_and_not_fought(self):
        self.begin()
        self.keep()
        self.put_zip(hello(2))
        self.as_declared("to serve version 2", lambda s: self.aliases()["prod"] == "2")
        self.lam().update_alias(FunctionName="hello", Name="prod", FunctionVersion="1")
        self.ctl.run("resume", "hello")
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("somebody else", s["reason"])
        self.assertEqual(self.aliases()["prod"], "1")
        self.ctl.run("retry", "hello")
        self.as_declared("to be brought back", lambda s: self.aliases()["prod"] == "2")

    def test_alias_deleted_in_the_middle_of_its_rollout(self):
        self.begin()
        self.keep()
        self.put_zip(hello(2))
        self.ctl.weight("hello.prod", 10)
        self.lam().delete_alias(FunctionName="hello", Name="prod")
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("does not exist any more", s["reason"])
        self.ctl.run("rollback", "hello.prod")
        self.ctl.until("hello", lambda s: s["phase"] == "rolled-back", "to have ended")
        self.ctl.run("retry", "hello")
        self.as_declared("to have made it anew", lambda s: self.aliases().get("prod") == "2")
        self.assert_whole("2")

    def test_forgotten(self):
        self.begin()
        self.keep()
        before = self.settled_writes()
        self.assertIn("not kept any longer", self.ctl.run("forget", "hello"))
        self.assertEqual(self.d.get("/v1/rollouts")[1]["services"], [])
        self.assertIn("no rollout", self.ctl.run("forget", "hello", code=1))
        self.lam().delete_alias(FunctionName="hello", Name="test")
        self.assertEqual(self.d.stop(), 0)
        self.d.start()
        self.assertEqual(self.d.get("/v1/rollouts")[1]["services"], [])
        self.assertEqual(self.writes(), {**before, "DeleteAlias": 1})
        self.ctl.run("submit", f"{self.d.plans}/hello.yaml")
        self.as_declared()
        self.assert_whole()

    def test_leftover_weights_are_named(self):
        self.begin()
        self.keep()
        self.put_zip(hello(2))
        self.as_declared("to serve version 2", lambda s: self.aliases()["prod"] == "2")
        self.lam().update_alias(FunctionName="hello", Name="prod",
                                RoutingConfig={"AdditionalVersionWeights": {"1": 0.3}})
        self.ctl.run("resume", "hello")
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("30%", s["reason"])
        self.assertEqual(self.world.holds("hello"), "2+1@30")

    def test_deleted_api_is_made_anew(self):
        self.begin()
        self.keep()
        self.delete_api()
        self.ctl.run("resume", "hello")
        wait_long("a new API", self.apis)
        self.as_declared()
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api_id()}/prod/*"
        self.assertIn(arn, [s["Condition"]["ArnLike"]["AWS:SourceArn"] for s in self.statements("prod")])
        self.assertEqual(self.ask("prod"), (200, "Hello V1"))

    def delete_api(self):
        self.rest().delete_rest_api(restApiId=self.api_id())

    def test_permission_for_another_account(self):
        self.begin()
        self.keep()
        (theirs,) = self.statements("prod")
        self.lam().remove_permission(FunctionName="hello", Qualifier="prod", StatementId=theirs["Sid"])
        self.lam().add_permission(
            FunctionName="hello", Qualifier="prod", StatementId=theirs["Sid"], Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com", SourceAccount="999999999999",
            SourceArn=theirs["Condition"]["ArnLike"]["AWS:SourceArn"])
        self.assertEqual(self.ask("prod")[0], 500)
        self.ctl.run("resume", "hello")
        wait_long("the stage to answer again", lambda: self.ask("prod")[0] == 200)
        self.as_declared()

    def test_missing_version_is_named_and_the_rest_goes_on(self):
        self.begin()
        self.put_zip(hello(1))
        aliases = {"dev": "$LATEST", "prod": "{version: 7}"}
        self.d.put_plan("hello.yaml", service(self.KIND, aliases, stages="{dev: dev, prod: prod}"))
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("version 7 does not exist", s["reason"])
        self.assertEqual(self.ask("dev"), (200, "Hello V1"))
        self.assertNotIn("prod", self.stages())

    def test_doctor(self):
        self.begin()
        self.keep()
        answer = self.ctl.json("doctor", f"{self.d.plans}/hello.yaml")
        self.assertTrue(answer["healthy"], json.dumps(answer, indent=1))
        self.world.fault("access_denied", "UpdateAlias")
        answer = self.ctl.json("doctor", f"{self.d.plans}/hello.yaml", code=1)
        self.assertFalse(answer["healthy"])
        (problem, *_) = [f for f in answer["findings"] if f["level"] == "problem"]
        self.assertIn("UpdateAlias", problem["text"] + problem["cure"])

    def test_old_versions_are_pruned(self):
        self.begin()
        self.keep(service(self.KIND, more="keep_versions: 2\n"))
        for n in range(2, 5):
            self.put_zip(hello(n))
            self.as_declared(f"to serve version {n}", lambda s, n=n: self.aliases()["prod"] == str(n))
        wait_long("the old ones to go", lambda: self.versions() == ["$LATEST", "3", "4"])
        self.ctl.run("rollback", "hello.prod")
        wait_long("the former version", lambda: self.aliases()["prod"] == "3")

    def test_from_alias(self):
        self.begin()
        self.keep(service(self.KIND, {
            "dev": "$LATEST", "test": "{version: latest, rollout: {strategy: AllAtOnce}}",
            "prod": f"{{version: {{from_alias: test, soak: 2s}}, rollout: {ROLLOUT}}}"}))
        self.put_zip(hello(2))
        wait_long("test to have it", lambda: self.aliases()["test"] == "2")
        self.assertEqual(self.aliases()["prod"], "1")
        self.as_declared("to have it in prod, too", lambda s: self.aliases()["prod"] == "2")
        self.assertEqual(self.world.changes("hello", "prod"), ["1", "1+2@10", "1+2@50", "2"])

    def test_adopted(self):
        """What a person made by hand is taken over as it is."""
        self.begin()
        self.put_zip(hello(1))
        self.lam().create_function(FunctionName="hello", Runtime="python3.12", Role=ROLE, Handler="index.handler",
                                   Code={"ZipFile": hello(1)}, Publish=True)
        self.by_hand()
        self.world.admin("PUT", "reset", {"what": "counters"})
        self.d.put_plan("hello.yaml", service(self.KIND, code="", aliases={"prod": "{version: 1}"},
                                              stages="{prod: prod}"))
        self.as_declared()
        self.assertEqual(self.writes(), {})

    def by_hand(self):
        lam, rest = self.lam(), self.rest()
        lam.create_alias(FunctionName="hello", Name="prod", FunctionVersion="1")
        api = rest.create_rest_api(name=API_NAME)["id"]
        root = rest.get_resources(restApiId=api)["items"][0]["id"]
        made = rest.create_resource(restApiId=api, parentId=root, pathPart="hello")["id"]
        rest.put_method(restApiId=api, resourceId=made, httpMethod="GET", authorizationType="NONE")
        rest.put_integration(
            restApiId=api, resourceId=made, httpMethod="GET", type="AWS_PROXY", integrationHttpMethod="POST",
            uri=INTEGRATION)
        lam.add_permission(FunctionName="hello", Qualifier="prod", StatementId="by-hand",
                           Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                           SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*")
        deployment = rest.create_deployment(restApiId=api)["id"]
        rest.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, variables={"lambdaAlias": "prod"})
        self.assertEqual(self.ask("prod"), (200, "Hello V1"))


@at_once
class Rest(Service):
    def test_two_apis_of_the_name_are_named(self):
        self.begin()
        for _ in range(2):
            self.rest().create_rest_api(name=API_NAME)
        self.put_zip(hello(1))
        self.d.put_plan("hello.yaml", service(self.KIND))
        s = self.ctl.until("hello", lambda s: s["phase"] == "blocked", "to name it")
        self.assertIn("2 APIs have the name", s["reason"])
        self.assertFalse(s["api_id"])  # neither of them is said to be it
        one, other = [i for i, _ in self.apis()]
        self.rest().delete_rest_api(restApiId=one)
        self.ctl.run("retry", "hello")
        self.assertEqual(self.as_declared()["api_id"], other)
        self.assert_whole()

    def test_integration_by_another_verb_is_mended(self):
        """Lambda takes POST only: a stage that serves such an integration answers 500."""
        self.begin()
        self.keep()
        api = self.api_id()
        (hello_id,) = [r["id"] for r in self.rest().get_resources(restApiId=api)["items"] if r["path"] == "/hello"]
        self.rest().update_integration(restApiId=api, resourceId=hello_id, httpMethod="GET", patchOperations=[
            {"op": "replace", "path": "/httpMethod", "value": "GET"}])
        self.rest().create_deployment(restApiId=api, stageName="prod")
        self.assertEqual(self.ask("prod")[0], 500)
        self.ctl.run("resume", "hello")
        wait_long("the stage to answer again", lambda: self.ask("prod")[0] == 200)
        self.as_declared()


@at_once
class Http(Service):
    KIND = "http"

    def drift_api(self, api):
        self.http().update_stage(ApiId=api, StageName="dev",
                                 StageVariables={"lambdaAlias": "prod", "theirs": "stays"})
        self.http().delete_stage(ApiId=api, StageName="test")

    def delete_api(self):
        self.http().delete_api(ApiId=self.api_id())

    def by_hand(self):
        lam, http = self.lam(), self.http()
        lam.create_alias(FunctionName="hello", Name="prod", FunctionVersion="1")
        api = http.create_api(Name=API_NAME, ProtocolType="HTTP")["ApiId"]
        made = http.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
            IntegrationUri=INTEGRATION)["IntegrationId"]
        http.create_route(ApiId=api, RouteKey="GET /hello", Target=f"integrations/{made}")
        lam.add_permission(FunctionName="hello", Qualifier="prod", StatementId="by-hand",
                           Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                           SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*")
        http.create_stage(ApiId=api, StageName="prod", AutoDeploy=True, StageVariables={"lambdaAlias": "prod"})
        self.assertEqual(self.ask("prod"), (200, "Hello V1"))


del Service

if __name__ == "__main__":
    unittest.main()
