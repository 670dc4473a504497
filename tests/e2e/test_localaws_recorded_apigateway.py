#!/usr/bin/python3
"""rollout-localaws's API Gateway beside answers recorded from AWS, where the recordings lie next to the checkout."""

import json
import os
import unittest

from localaws_case import TOP, Case

RECORDED = os.path.join(TOP, "../shared/vectors/real-aws-responses")
URI = ("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
       "arn:aws:lambda:us-east-1:123456789012:function:hello:${stageVariables.lambdaAlias}/invocations")


@unittest.skipUnless(os.path.isdir(RECORDED), "no recorded answers beside this checkout")
class Recorded(Case):
    """The same fields, types and values as recorded; what recordings replace by <…> may differ."""

    @classmethod
    def setUpClass(cls):
        cls.recordings = {}
        for name in ("apigateway_api", "apigateway_canary"):
            with open(os.path.join(RECORDED, f"{name}.snapshot.json"), encoding="utf-8") as file:
                for key, value in json.load(file).items():
                    cls.recordings[key.rsplit("::", 1)[1]] = value["recorded-content"]

    def setUp(self):
        super().setUp()
        self.gw = self.server.client("apigateway", parameter_validation=False)
        self.stage = None
        # What this SDK does not know it drops.
        shape = self.gw.meta.service_model.shape_for
        self.newer = {"ipAddressType", "rootResourceId"} - set(shape("RestApi").members) \
            - set(shape("EndpointConfiguration").members)

    # --- comparing ---

    def compare(self, recorded, got, where):
        if isinstance(recorded, dict) and isinstance(got, dict):
            left, right = (set(d) - {"ResponseMetadata"} for d in (recorded, got))
            self.assertEqual(left - self.newer, right, where)
            for key in left & right:
                self.compare(recorded[key], got[key], f"{where}.{key}")
            if "ResponseMetadata" in recorded:
                self.assertEqual(recorded["ResponseMetadata"]["HTTPStatusCode"],
                                 got["ResponseMetadata"]["HTTPStatusCode"], where)
        elif isinstance(recorded, list) and isinstance(got, list):
            self.assertEqual(len(recorded), len(got), where)
            for i, (a, b) in enumerate(zip(recorded, got)):
                self.compare(a, b, f"{where}[{i}]")
        elif isinstance(recorded, str) and ("<" in recorded or recorded == "datetime"):
            pass
        else:
            self.assertEqual((type(recorded), recorded), (type(got), got), where)

    def check(self, test, part, call, **kwargs):
        """The call does what was recorded: an answer, or an error."""
        told = self.recordings[test][part]
        if "Error" not in told:
            got = call(**kwargs)
            self.compare(told, got, f"{test}.{part}")
            return got
        answer = self.refused(told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"], call, **kwargs)
        wanted = told["Error"]["Message"].replace("111111111111", "123456789012")
        if "<" not in wanted:
            self.assertEqual(answer["Error"]["Message"], wanted, part)
        return answer

    # --- things to begin with ---

    def make_api(self, name="api", **kwargs):
        return self.gw.create_rest_api(name=name, **kwargs)

    def make_method(self, api, verb="GET"):
        root = api["rootResourceId"] if "rootResourceId" in api else \
            self.gw.get_resources(restApiId=api["id"])["items"][0]["id"]
        self.gw.put_method(restApiId=api["id"], resourceId=root, httpMethod=verb, authorizationType="NONE")
        self.gw.put_integration(restApiId=api["id"], resourceId=root, httpMethod=verb, type="AWS_PROXY",
                                integrationHttpMethod="POST", uri=URI)
        return root

    def ready(self):
        """An API that can be deployed."""
        api = self.make_api()
        self.make_method(api)
        return api["id"]

    def deploy(self, api, **kwargs):
        return self.gw.create_deployment(restApiId=api, **kwargs)["id"]

    def patch(self, test, part, *operations):
        return self.check(test, part, self.gw.update_stage, restApiId=self.stage[0], stageName=self.stage[1],
                          patchOperations=[dict(zip(("op", "path", "value"), o)) if isinstance(o, tuple) else o
                                           for o in operations])

    # --- APIs ---

    def test_apis(self):
        test = "test_list_and_delete_apis"
        one = self.check(test, "create-rest-api-1", self.gw.create_rest_api, name="a", description="this is my api")
        self.check(test, "create-rest-api-2", self.gw.create_rest_api, name="b", description="this is my api2")
        self.check(test, "get-rest-api-before-delete", self.gw.get_rest_apis)
        self.check(test, "delete-rest-api", self.gw.delete_rest_api, restApiId=one["id"])
        self.check(test, "get-rest-api-after-delete", self.gw.get_rest_apis)
        test = "test_create_rest_api_with_optional_params"
        self.check(test, "create-only-name", self.gw.create_rest_api, name="c")
        self.check(test, "create-empty-desc", self.gw.create_rest_api, name="c", description="")
        self.check(test, "create-with-version", self.gw.create_rest_api, name="c", version="v1")
        self.check(test, "create-with-empty-binary-media", self.gw.create_rest_api, name="c", binaryMediaTypes=[])

    def test_apis_with_tags(self):
        test = "test_create_rest_api_with_tags"
        api = self.check(test, "create-rest-api-w-tags", self.gw.create_rest_api, name="a",
                         description="this is my api", tags={"MY_TAG1": "MY_VALUE1"})
        self.check(test, "get-rest-api-w-tags", self.gw.get_rest_api, restApiId=api["id"])
        self.check(test, "get-rest-apis-w-tags", self.gw.get_rest_apis)

    def test_api_errors(self):
        self.check("test_update_rest_api_invalid_api_id", "not-found-update-rest-api", self.gw.update_rest_api,
                   restApiId="api_id", patchOperations=[{"op": "replace", "path": "/name", "value": "x"}])
        api = self.make_api()["id"]
        for op in ("add", "replace", "remove"):
            self.check("test_update_rest_api_behaviour", f"update-rest-api-{op}-base-path", self.gw.update_rest_api,
                       restApiId=api, patchOperations=[{"op": op, "path": "/binaryMediaTypes", "value": "image/gif"}])
        for part, types in (("create-with-invalid-types", ["wrong"]), ("create-with-two-types", ["EDGE", "REGIONAL"])):
            self.check("test_create_rest_api_with_endpoint_configuration", part, self.gw.create_rest_api, name="x",
                       endpointConfiguration={"types": types})

    def test_endpoint_defaults(self):
        test = "test_create_rest_api_verify_defaults"
        for kind in ("EDGE", "REGIONAL", "PRIVATE"):
            self.check(test, f"create-with-{kind.lower()}-default", self.gw.create_rest_api, name="x",
                       endpointConfiguration={"types": [kind]})
        self.check(test, "create-with-empty-default", self.gw.create_rest_api, name="x",
                   endpointConfiguration={"types": []})

    # --- resources and methods ---

    def test_resources(self):
        test, api = "test_resource_lifecycle", self.make_api()["id"]
        root = self.check(test, "rest-api-root-resource", self.gw.get_resources, restApiId=api)["items"][0]["id"]
        pets = self.check(test, "create-resource", self.gw.create_resource, restApiId=api, parentId=root,
                          pathPart="pets")["id"]
        self.check(test, "rest-api-resources-after-create", self.gw.get_resources, restApiId=api)
        self.check(test, "create-subresource", self.gw.create_resource, restApiId=api, parentId=pets,
                   pathPart="subpets")
        self.check(test, "rest-api-resources-after-create-sub", self.gw.get_resources, restApiId=api)
        self.check(test, "del-resource", self.gw.delete_resource, restApiId=api, resourceId=pets)
        self.check(test, "rest-api-resources-after-delete", self.gw.get_resources, restApiId=api)
        self.check("test_delete_resource", "delete-subresource", self.gw.delete_resource, restApiId=api,
                   resourceId=pets)
        self.check("test_create_resource_parent_invalid", "wrong-resource-parent-id", self.gw.create_resource,
                   restApiId=api, parentId="fake", pathPart="x")

    def test_proxy_resources(self):
        test, api = "test_create_proxy_resource", self.make_api()

        def make(part, parent, path):
            return self.check(test, part, self.gw.create_resource, restApiId=api["id"], parentId=parent,
                              pathPart=path)["id"]

        root = self.gw.get_resources(restApiId=api["id"])["items"][0]["id"]
        make("create-base-proxy-resource", root, "{proxy+}")
        parent = self.gw.create_resource(restApiId=api["id"], parentId=root, pathPart="parent")["id"]
        proxy = make("create-proxy-sibling-proxy-child-resource", parent, "{proxy+}")
        child = make("create-proxy-sibling-static-child-resource", parent, "child")
        make("create-static-child-proxy-resource", child, "{proxy+}")
        self.check(test, "all-resources", self.gw.get_resources, restApiId=api["id"])
        self.gw.delete_resource(restApiId=api["id"], resourceId=proxy)
        dynamic = make("create-proxy-sibling-dynamic-child-resource", parent, "{child}")
        make("create-dynamic-child-proxy-resource", dynamic, "{proxy+}")
        self.check(test, "all-resources-2", self.gw.get_resources, restApiId=api["id"])

    def test_proxy_resource_errors(self):
        test, api = "test_create_proxy_resource_validation", self.make_api()
        root = self.gw.get_resources(restApiId=api["id"])["items"][0]["id"]
        proxy = self.check(test, "create-base-proxy-resource", self.gw.create_resource, restApiId=api["id"],
                           parentId=root, pathPart="{proxy+}")["id"]
        for part, parent, path in (("create-proxy-dynamic-sibling-resource", root, "{dynamic}"),
                                   ("create-proxy-static-child-resource", proxy, "static"),
                                   ("create-proxy-dynamic-child-resource", proxy, "{dynamic}")):
            self.check(test, part, self.gw.create_resource, restApiId=api["id"], parentId=parent, pathPart=path)
        self.gw.create_resource(restApiId=api["id"], parentId=root, pathPart="pets")
        self.check("test_update_resource_behaviour", "existing-future-sibling-path", self.gw.create_resource,
                   restApiId=api["id"], parentId=root, pathPart="pets")

    def test_methods(self):
        test, api = "test_method_lifecycle", self.make_api()["id"]
        where = {"restApiId": api, "resourceId": self.gw.get_resources(restApiId=api)["items"][0]["id"]}
        self.check(test, "put-base-method-response", self.gw.put_method, **where, httpMethod="ANY",
                   authorizationType="NONE")
        self.check(test, "get-base-method-response", self.gw.get_method, **where, httpMethod="ANY")
        self.check("test_get_integration_non_existent", "get-integration-no-integration", self.gw.get_integration,
                   **where, httpMethod="ANY")
        self.check("test_put_integration_wrong_type", "put-integration-wrong-type", self.gw.put_integration, **where,
                   httpMethod="ANY", type="HTTPS_PROXY", uri=URI)
        self.check(test, "del-base-method-response", self.gw.delete_method, **where, httpMethod="ANY")
        self.check(test, "get-deleted-method-response", self.gw.get_method, **where, httpMethod="ANY")
        self.check(test, "delete-deleted-method-response", self.gw.delete_method, **where, httpMethod="ANY")

    def test_method_errors(self):
        test, api = "test_put_method_validation", self.make_api()["id"]
        root = self.gw.get_resources(restApiId=api)["items"][0]["id"]
        good = {"restApiId": api, "resourceId": root, "httpMethod": "GET", "authorizationType": "NONE"}
        for part, change in (("wrong-api", {"restApiId": "api"}), ("wrong-resource", {"resourceId": "badres"}),
                             ("wrong-method", {"httpMethod": "WRONG"}),
                             ("missing-authorizer-id", {"authorizationType": "CUSTOM"})):
            self.check(test, part, self.gw.put_method, **{**good, **change})
        test, good = "test_get_integration_non_existent", {k: good[k] for k in list(good)[:3]}
        for part, change in (("no-api", {"restApiId": "api"}), ("no-resource", {"resourceId": "badres"}),
                             ("no-method", {})):
            self.check(test, f"get-integration-{part}", self.gw.get_integration, **{**good, **change})

    # --- stages ---

    def test_stages_of_a_deployment(self):
        test, api = "test_get_stages_filters_by_deployment_id", self.ready()
        ids = [self.deploy(api), self.deploy(api)]
        for i, one in enumerate(ids):
            self.gw.create_stage(restApiId=api, stageName=f"stage{i + 1}", deploymentId=one)
        self.check(test, "all-stages", self.gw.get_stages, restApiId=api)
        for i, one in enumerate(ids):
            self.check(test, f"stages-deploy{i + 1}", self.gw.get_stages, restApiId=api, deploymentId=one)

    def make_stage(self, **kwargs):
        api = self.ready()
        self.stage = (api, kwargs.setdefault("stageName", "dev"))
        first = self.deploy(api)
        self.gw.create_stage(restApiId=api, deploymentId=first, **kwargs)
        return api, first

    def test_access_log(self):
        test, log = "test_stage_access_log_settings", "arn:aws:logs:us-east-1:123456789012:log-group:x"
        self.make_stage(description="dev stage")
        self.patch(test, "update-stage-access-log-dest-add", ("add", "/accessLogSettings/destinationArn", log))
        self.patch(test, "update-stage-access-log-dest-replace",
                   ("replace", "/accessLogSettings/destinationArn", log + "a"))
        self.patch(test, "update-stage-access-log-format-add",
                   ("add", "/accessLogSettings/format", "$context.requestId $context.identity.sourceIp"))
        self.patch(test, "update-stage-access-log-remove-all", ("remove", "/accessLogSettings"))

    def test_access_log_errors(self):
        test = "test_stage_access_log_settings_validation"
        self.make_stage(description="dev stage")
        for name, path in (("invalid-path", "/accessLogSettings/randomValue"), ("star-and", "/accessLogSettings/*"),
                           ("root-and", "/accessLogSettings")):
            for op in ("add", "remove", "replace"):
                if f"{name}-{op}" in self.recordings[test]:
                    self.patch(test, f"{name}-{op}", (op, path, "x"))
        self.patch(test, "update-stage-access-log-dest-add", ("add", "/accessLogSettings/destinationArn", "arn:x"))
        for name, key in (("destinationArn", "destinationArn"), ("format", "format")):
            self.patch(test, f"update-stage-access-log-{name}-empty", ("replace", f"/accessLogSettings/{key}", ""))
        self.patch(test, "update-stage-access-log-dest-remove", ("remove", "/accessLogSettings/destinationArn"))

    # --- canary ---

    def test_canary_of_a_new_stage(self):
        test, api = "test_create_update_stages", self.ready()
        first = self.check(test, "create-deployment-1", self.gw.create_deployment, restApiId=api)["id"]
        second = self.check(test, "create-deployment-2", self.gw.create_deployment, restApiId=api)["id"]
        self.stage = (api, "dev")
        self.check(test, "create-stage", self.gw.create_stage, restApiId=api, stageName="dev", deploymentId=first,
                   description="dev stage", variables={"testVar": "default"},
                   canarySettings={"deploymentId": second, "percentTraffic": 50,
                                   "stageVariableOverrides": {"testVar": "canary"}})
        self.check(test, "get-stage", self.gw.get_stage, restApiId=api, stageName="dev")
        self.patch(test, "update-stage-canary-settings-overrides",
                   ("replace", "/canarySettings/stageVariableOverrides/testVar", "updated"))
        self.patch(test, "update-stage-remove-canary-settings", ("remove", "/canarySettings"))
        self.check(test, "get-stage-after-remove", self.gw.get_stage, restApiId=api, stageName="dev")

    def test_canary_deployments(self):
        test = "test_create_canary_deployment_with_stage"
        api, first = self.make_stage(description="dev stage", variables={"testVar": "default"})
        canary = {"percentTraffic": 50, "stageVariableOverrides": {"testVar": "canary"}}
        second = self.check(test, "create-canary-deployment", self.gw.create_deployment, restApiId=api,
                            stageName="dev", canarySettings=canary)["id"]
        got = self.check(test, "get-stage", self.gw.get_stage, restApiId=api, stageName="dev")
        self.assertEqual((got["deploymentId"], got["canarySettings"]["deploymentId"]), (first, second))
        test = "test_create_canary_deployment"
        self.check(test, "bad-canary-deployment-id", self.gw.create_stage, restApiId=api, stageName="dev2",
                   deploymentId=first, canarySettings=dict(canary, deploymentId="deploy"))
        test = "test_create_canary_deployment_validation"
        self.check(test, "create-canary-deployment-no-stage", self.gw.create_deployment, restApiId=api,
                   canarySettings=canary)
        self.check(test, "create-canary-deployment-empty-stage", self.gw.create_deployment, restApiId=api,
                   stageName="", canarySettings=canary)
        self.check(test, "create-canary-deployment-non-existing-stage", self.gw.create_deployment, restApiId=api,
                   stageName="non-existing", canarySettings=canary)

    def test_canary_by_patch(self):
        test = "test_create_canary_deployment_by_stage_update"
        api, _ = self.make_stage(description="dev stage", variables={"testVar": "default"})
        second = self.deploy(api)
        self.patch(test, "update-stage-with-deployment", ("replace", "/canarySettings/deploymentId", second))
        self.patch(test, "remove-stage-canary", ("remove", "/canarySettings"))
        self.patch(test, "update-stage-with-percent", ("replace", "/canarySettings/percentTraffic", "50"))

    def test_canary_errors(self):
        test = "test_update_stage_canary_deployment_validation"
        api, _ = self.make_stage()
        self.check(test, "get-stage", self.gw.get_stage, restApiId=api, stageName="dev")
        for part, operation in (
                ("canary-settings-remove-overrides", ("remove", "/canarySettings/stageVariableOverrides")),
                ("canary-settings-bad-path", ("remove", "/canarySettings/badPath")),
                ("canary-settings-bad-path-2", ("replace", "/canarySettings", "x")),
                ("canary-settings-replace-bad-path", ("replace", "/canarySettings/badPath", "x")),
                ("add-deployment", ("add", "/canarySettings/deploymentId", "x")),
                ("no-deployment", ("replace", "/canarySettings/deploymentId", "x"))):
            self.patch(test, f"update-stage-{part}", operation)

    def test_promotion(self):
        test = "test_update_stage_with_copy_ops"
        api, _ = self.make_stage(variables={"testVar": "test", "testVar2": "test2"})
        copies = [{"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
                  {"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"}]
        self.patch(test, "copy-with-bad-statement",
                   {"op": "copy", "from": "/variables", "path": "/canarySettings/stageVariableOverrides"})
        self.patch(test, "copy-with-no-replace", *copies)
        whole = [("replace", "/canarySettings/percentTraffic", "0.0"), *copies]
        self.patch(test, "update-stage-with-copy", *whole)
        second = self.check(test, "deployment-canary", self.gw.create_deployment, restApiId=api, stageName="dev",
                            canarySettings={"percentTraffic": 50, "stageVariableOverrides": {"testVar": "override"}})
        self.check(test, "get-stage", self.gw.get_stage, restApiId=api, stageName="dev")
        got = self.patch(test, "update-stage-with-copy-2", *whole)
        self.assertEqual(got["deploymentId"], second["id"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
