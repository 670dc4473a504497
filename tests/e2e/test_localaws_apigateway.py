#!/usr/bin/python3
"""API Gateway's control plane as boto3 sees it: what is there, what is refused, pages, limits, faults."""

import unittest

import botocore.exceptions

from localaws_case import Case

URI = ("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
       "arn:aws:lambda:us-east-1:123456789012:function:hello:${stageVariables.lambdaAlias}/invocations")


class Rest(Case):
    def setUp(self):
        super().setUp()
        self.gw = self.server.client("apigateway", parameter_validation=False)

    def make(self, **kwargs):
        """An API with one method, not deployed."""
        api = self.gw.create_rest_api(name="api", **kwargs)["id"]
        root = self.gw.get_resources(restApiId=api)["items"][0]["id"]
        where = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
        self.gw.put_method(**where, authorizationType="NONE")
        self.gw.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        return api, where

    def stage(self, **kwargs):
        api, _ = self.make()
        deployment = self.gw.create_deployment(restApiId=api)["id"]
        self.gw.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, **kwargs)
        return api, deployment

    def patch(self, api, *operations):
        keys = ("op", "path", "value")
        return self.gw.update_stage(restApiId=api, stageName="prod",
                                    patchOperations=[dict(zip(keys, o)) for o in operations])

    def refuse_patch(self, api, *operations):
        keys = ("op", "path", "value")
        return self.message("BadRequestException", 400, self.gw.update_stage, restApiId=api, stageName="prod",
                            patchOperations=[dict(zip(keys, o)) for o in operations])

    def test_api(self):
        api = self.gw.create_rest_api(name="one", description="text")["id"]
        got = self.gw.update_rest_api(restApiId=api, patchOperations=[
            {"op": "replace", "path": "/name", "value": "two"}, {"op": "remove", "path": "/description"}])
        self.assertEqual((got["name"], got.get("description"), got["tags"]), ("two", None, {}))
        # All of a patch, or nothing of it.
        self.refused("BadRequestException", 400, self.gw.update_rest_api, restApiId=api, patchOperations=[
            {"op": "replace", "path": "/name", "value": "three"}, {"op": "replace", "path": "/nothing", "value": ""}])
        self.assertEqual(self.gw.get_rest_api(restApiId=api)["name"], "two")
        self.gw.delete_rest_api(restApiId=api)
        self.assertEqual(self.message("NotFoundException", 404, self.gw.get_rest_api, restApiId=api),
                         f"Invalid API identifier specified 123456789012:{api}")
        self.refused("BadRequestException", 400, self.gw.create_rest_api, name="")

    def test_pages(self):
        names = [f"api-{i:02}" for i in range(60)]
        for name in names:
            self.gw.create_rest_api(name=name)
        first = self.gw.get_rest_apis()
        self.assertEqual(len(first["items"]), 25)
        second = self.gw.get_rest_apis(position=first["position"], limit=30)
        self.assertEqual([a["name"] for a in first["items"] + second["items"]], names[:55])
        self.assertNotIn("position", self.gw.get_rest_apis(limit=500))
        pages = self.gw.get_paginator("get_rest_apis").paginate()
        self.assertEqual([a["name"] for page in pages for a in page["items"]], names)
        self.refused("BadRequestException", 400, self.gw.get_rest_apis, position="elsewhere")

    def test_resources_with_methods(self):
        api, where = self.make()
        plain = self.gw.get_resources(restApiId=api)["items"][0]
        self.assertEqual(plain["resourceMethods"], {"GET": {}})
        full = self.gw.get_resources(restApiId=api, embed=["methods"])["items"][0]
        self.assertEqual(full["resourceMethods"]["GET"]["methodIntegration"]["uri"], URI)
        self.assertEqual(full["resourceMethods"]["GET"]["methodIntegration"]["httpMethod"], "POST")
        got = self.gw.get_resource(restApiId=api, resourceId=where["resourceId"], embed=["methods"])
        self.assertEqual(got["resourceMethods"], full["resourceMethods"])
        self.refused("ConflictException", 409, self.gw.put_method, **where, authorizationType="NONE")
        # PutIntegration replaces.
        self.gw.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI + "x",
                                timeoutInMillis=5000)
        got = self.gw.get_integration(**where)
        self.assertEqual((got["uri"], got["timeoutInMillis"]), (URI + "x", 5000))
        self.gw.update_integration(**where, patchOperations=[{"op": "replace", "path": "/uri", "value": URI}])
        self.assertEqual(self.gw.get_method(**where)["methodIntegration"]["uri"], URI)
        self.gw.put_method_response(**where, statusCode="200")
        self.assertEqual(self.gw.get_method(**where)["methodResponses"], {"200": {"statusCode": "200"}})
        self.gw.delete_integration(**where)
        self.refused("NotFoundException", 404, self.gw.get_integration, **where)
        self.gw.delete_method(**where)
        self.assertNotIn("resourceMethods", self.gw.get_resources(restApiId=api)["items"][0])
        self.refused("BadRequestException", 400, self.gw.delete_resource, restApiId=api,
                     resourceId=where["resourceId"])

    def test_integration_errors(self):
        _, where = self.make()
        good = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": URI}
        for change, message in (
                ({"integrationHttpMethod": None}, "Enumeration value for HttpMethod must be non-empty"),
                ({"uri": "hello"}, "Invalid ARN specified in the request"),
                ({"uri": "arn:aws:lambda:us-east-1:123456789012:function:hello"},
                 "AWS ARN for integration must contain path or action"),
                ({"timeoutInMillis": 40000}, "Timeout should be between 50 ms and 29000 ms")):
            wanted = {k: v for k, v in {**good, **change}.items() if v is not None}
            self.assertEqual(self.message("BadRequestException", 400, self.gw.put_integration, **where, **wanted),
                             message)

    def test_deployments(self):
        api = self.gw.create_rest_api(name="x")["id"]
        self.assertEqual(self.message("BadRequestException", 400, self.gw.create_deployment, restApiId=api),
                         "The REST API doesn't contain any methods")
        api, where = self.make()
        one = self.gw.create_deployment(restApiId=api, description="first", stageName="prod",
                                        variables={"lambdaAlias": "prod"})
        self.assertEqual(one["description"], "first")
        got = self.gw.get_deployment(restApiId=api, deploymentId=one["id"], embed=["apisummary"])
        self.assertEqual(got["apiSummary"], {"/": {"GET": {"authorizationType": "NONE", "apiKeyRequired": False}}})
        two = self.gw.create_deployment(restApiId=api, stageName="prod", variables={"more": "x"})["id"]
        stage = self.gw.get_stage(restApiId=api, stageName="prod")
        # The stage goes on, with what it had.
        self.assertEqual((stage["deploymentId"], stage["variables"]), (two, {"lambdaAlias": "prod", "more": "x"}))
        self.assertEqual(
            self.message("BadRequestException", 400, self.gw.delete_deployment, restApiId=api, deploymentId=two),
            "Active stages pointing to this deployment must be moved or deleted")
        self.gw.delete_deployment(restApiId=api, deploymentId=one["id"])
        self.assertEqual([d["id"] for d in self.gw.get_deployments(restApiId=api)["items"]], [two])
        self.refused("NotFoundException", 404, self.gw.get_deployment, restApiId=api, deploymentId=one["id"])
        self.gw.put_method(**{**where, "httpMethod": "POST"}, authorizationType="NONE")
        self.assertEqual(self.message("BadRequestException", 400, self.gw.create_deployment, restApiId=api),
                         "No integration defined for method")

    def test_stage_errors(self):
        api, deployment = self.stage()
        new = {"restApiId": api, "stageName": "more", "deploymentId": deployment}
        self.refused("ConflictException", 409, self.gw.create_stage, **{**new, "stageName": "prod"})
        self.refused("BadRequestException", 400, self.gw.create_stage, **{**new, "stageName": "no good"})
        self.assertEqual(self.message("BadRequestException", 400, self.gw.create_stage,
                                      **{**new, "deploymentId": "nope"}), "Deployment id does not exist")
        # A stage variable cannot hold $LATEST.
        self.assertIn("$LATEST", self.message("BadRequestException", 400, self.gw.create_stage, **new,
                                              variables={"lambdaAlias": "$LATEST"}))
        self.refused("BadRequestException", 400, self.gw.create_stage, **new, variables={"a-b": "x"})
        self.refused("NotFoundException", 404, self.gw.get_stage, restApiId=api, stageName="more")
        for i in range(9):
            self.gw.create_stage(**{**new, "stageName": f"s{i}"})
        self.refused("LimitExceededException", 429, self.gw.create_stage, **new)
        self.gw.delete_stage(restApiId=api, stageName="s0")
        self.gw.create_stage(**new)
        self.assertEqual(len(self.gw.get_stages(restApiId=api)["item"]), 10)

    def test_patches(self):
        api, deployment = self.stage(variables={"kept": "1"}, tags={"team": "a"})
        got = self.patch(api, ("replace", "/variables/lambdaAlias", "prod"), ("add", "/variables/more", "x"),
                         ("replace", "/description", "text"), ("replace", "/tracingEnabled", "true"))
        self.assertEqual(got["variables"], {"kept": "1", "lambdaAlias": "prod", "more": "x"})
        self.assertEqual((got["description"], got["tracingEnabled"], got["tags"]), ("text", True, {"team": "a"}))
        got = self.patch(api, ("remove", "/variables/more"), ("replace", "/*/*/throttling/rateLimit", "50.5"),
                         ("replace", "/~1pets/GET/logging/loglevel", "INFO"),
                         ("replace", "/~1pets/GET/metrics/enabled", "true"))
        self.assertEqual(got["methodSettings"]["*/*"]["throttlingRateLimit"], 50.5)
        pets = got["methodSettings"]["pets/GET"]
        self.assertEqual((pets["loggingLevel"], pets["metricsEnabled"]), ("INFO", True))
        got = self.patch(api, ("remove", "/*/*"))
        self.assertEqual(list(got["methodSettings"]), ["pets/GET"])
        self.assertEqual(got["deploymentId"], deployment)

    def test_patch_errors(self):
        api, deployment = self.stage(variables={"kept": "1"})
        before = self.gw.get_stage(restApiId=api, stageName="prod")
        self.assertEqual(self.refuse_patch(api, ("replace", "/variables/x", "1"),
                                           ("replace", "/deploymentId", "nope")), "Deployment id does not exist")
        for operation in (("replace", "/variables/x", "$LATEST"), ("replace", "/variables/x", ""),
                          ("remove", "/variables/x"), ("add", "/deploymentId", deployment),
                          ("replace", "/tracingEnabled", "perhaps"), ("test", "/description", "x"),
                          ("replace", "/*/*/throttling/nothing", "1"), ("replace", "/nothing", "1"),
                          ("replace", "/canarySettings/percentTraffic", "101"), ("replace", "nothing", "x")):
            self.refuse_patch(api, operation)
        after = self.gw.get_stage(restApiId=api, stageName="prod")
        del before["ResponseMetadata"], after["ResponseMetadata"]
        self.assertEqual(before, after)

    def test_a_canary_keeps_others_away(self):
        api, _ = self.stage()
        self.gw.create_deployment(restApiId=api, stageName="prod", canarySettings={"percentTraffic": 10})
        self.assertIn("canary", self.message("BadRequestException", 400, self.gw.create_deployment, restApiId=api,
                                             stageName="prod"))


class Web(Case):
    def setUp(self):
        super().setUp()
        self.gw = self.server.client("apigatewayv2", parameter_validation=False)
        self.api = self.gw.create_api(Name="web", ProtocolType="HTTP", Description="text")["ApiId"]

    def integration(self, **kwargs):
        return self.gw.create_integration(ApiId=self.api, **{
            "IntegrationType": "AWS_PROXY", "IntegrationUri": URI, "PayloadFormatVersion": "2.0", **kwargs})

    def route(self, key="GET /hello", integration=None):
        integration = integration or self.integration()["IntegrationId"]
        return self.gw.create_route(ApiId=self.api, RouteKey=key, Target=f"integrations/{integration}")

    def test_api(self):
        got = self.gw.get_api(ApiId=self.api)
        self.assertEqual(got["ApiEndpoint"], f"https://{self.api}.execute-api.us-east-1.amazonaws.com")
        self.assertEqual((got["Name"], got["ProtocolType"], got["Tags"]), ("web", "HTTP", {}))
        self.assertEqual(got["CreatedDate"].timestamp(), int(self.server.now().timestamp()))
        got = self.gw.update_api(ApiId=self.api, Name="other")
        self.assertEqual((got["Name"], got["Description"]), ("other", "text"))
        more = [self.gw.create_api(Name=f"n{i}", ProtocolType="HTTP")["ApiId"] for i in range(3)]
        pages = self.gw.get_apis(MaxResults="2")
        self.assertEqual(len(pages["Items"]), 2)
        rest = self.gw.get_apis(NextToken=pages["NextToken"])["Items"]
        self.assertEqual([a["ApiId"] for a in pages["Items"] + rest], [self.api, *more])
        self.gw.delete_api(ApiId=self.api)
        self.refused("NotFoundException", 404, self.gw.get_api, ApiId=self.api)
        self.refused("BadRequestException", 400, self.gw.create_api, Name="x", ProtocolType="WEBSOCKET")
        # An API of one type is none of the other.
        self.refused("NotFoundException", 404, self.server.client("apigateway").get_rest_api, restApiId=more[0])

    def test_integrations_and_routes(self):
        made = self.integration()
        self.assertEqual((made["IntegrationMethod"], made["TimeoutInMillis"], made["ConnectionType"]),
                         ("POST", 30000, "INTERNET"))
        one = made["IntegrationId"]
        route = self.route(integration=one)
        self.assertEqual((route["Target"], route["AuthorizationType"]), (f"integrations/{one}", "NONE"))
        self.refused("ConflictException", 409, self.gw.create_route, ApiId=self.api, RouteKey="GET /hello")
        self.refused("BadRequestException", 400, self.gw.create_route, ApiId=self.api, RouteKey="FETCH /hello")
        self.refused("BadRequestException", 400, self.gw.create_route, ApiId=self.api, RouteKey="GET /x",
                     Target="integrations/nope")
        self.refused("ConflictException", 409, self.gw.delete_integration, ApiId=self.api, IntegrationId=one)
        got = self.gw.update_integration(ApiId=self.api, IntegrationId=one, TimeoutInMillis=1000)
        self.assertEqual((got["TimeoutInMillis"], got["IntegrationUri"]), (1000, URI))
        got = self.gw.update_route(ApiId=self.api, RouteId=route["RouteId"], RouteKey="ANY /hello")
        self.assertEqual((got["RouteKey"], got["Target"]), ("ANY /hello", f"integrations/{one}"))
        self.assertEqual(len(self.gw.get_integrations(ApiId=self.api)["Items"]), 1)
        self.gw.delete_route(ApiId=self.api, RouteId=route["RouteId"])
        self.gw.delete_integration(ApiId=self.api, IntegrationId=one)
        self.assertEqual(self.gw.get_routes(ApiId=self.api)["Items"], [])
        for change in ({"IntegrationType": "MOCK"}, {"PayloadFormatVersion": "3.0"}, {"IntegrationUri": None}):
            self.refused("BadRequestException", 400, self.integration, **change)

    def test_deployments(self):
        self.assertIn("route", self.message("BadRequestException", 400, self.gw.create_deployment, ApiId=self.api))
        self.route()
        made = self.gw.create_deployment(ApiId=self.api, Description="one")
        self.assertEqual((made["DeploymentStatus"], made["AutoDeployed"]), ("DEPLOYED", False))
        one = made["DeploymentId"]
        self.gw.create_stage(ApiId=self.api, StageName="prod", DeploymentId=one)
        two = self.gw.create_deployment(ApiId=self.api, StageName="prod")["DeploymentId"]
        self.assertEqual(self.gw.get_stage(ApiId=self.api, StageName="prod")["DeploymentId"], two)
        self.refused("BadRequestException", 400, self.gw.delete_deployment, ApiId=self.api, DeploymentId=two)
        self.gw.update_deployment(ApiId=self.api, DeploymentId=one, Description="new")
        self.assertEqual(self.gw.get_deployment(ApiId=self.api, DeploymentId=one)["Description"], "new")
        self.gw.delete_deployment(ApiId=self.api, DeploymentId=one)
        self.assertEqual([d["DeploymentId"] for d in self.gw.get_deployments(ApiId=self.api)["Items"]], [two])
        self.refused("NotFoundException", 404, self.gw.create_deployment, ApiId=self.api, StageName="none")

    def test_stages(self):
        made = self.gw.create_stage(ApiId=self.api, StageName="$default", AutoDeploy=True,
                                    StageVariables={"lambdaAlias": "prod", "other": "x"})
        self.assertIn("At least one route", made["LastDeploymentStatusMessage"])
        self.assertNotIn("DeploymentId", made)
        self.route()
        got = self.gw.get_stage(ApiId=self.api, StageName="$default")
        self.assertIn(got["DeploymentId"], got["LastDeploymentStatusMessage"])
        # What is named changes, what is named without a value goes, the rest stays.
        got = self.gw.update_stage(ApiId=self.api, StageName="$default",
                                   StageVariables={"lambdaAlias": "test", "other": ""})
        self.assertEqual(got["StageVariables"], {"lambdaAlias": "test"})
        got = self.gw.update_stage(ApiId=self.api, StageName="$default", Description="x")
        self.assertEqual((got["StageVariables"], got["AutoDeploy"]), ({"lambdaAlias": "test"}, True))
        self.refused("BadRequestException", 400, self.gw.update_stage, ApiId=self.api, StageName="$default",
                     DeploymentId=got["DeploymentId"])
        self.refused("ConflictException", 409, self.gw.create_stage, ApiId=self.api, StageName="$default")
        self.refused("BadRequestException", 400, self.gw.create_stage, ApiId=self.api, StageName="x",
                     StageVariables={"lambdaAlias": "$LATEST"})
        self.assertEqual(len(self.gw.get_stages(ApiId=self.api)["Items"]), 1)
        self.gw.delete_stage(ApiId=self.api, StageName="$default")
        self.refused("NotFoundException", 404, self.gw.get_stage, ApiId=self.api, StageName="$default")


class Limits(Case):
    WORLD = "clock: virtual\nlimits: {apigateway: 1000, create_deployment: 0.001, get_resources: 0.5}\n"

    def test_rates(self):
        gw = self.server.client("apigateway")
        api = gw.create_rest_api(name="x")["id"]
        # A call that is refused for another reason has been counted all the same.
        self.refused("BadRequestException", 400, gw.create_deployment, restApiId=api)
        answer = self.refused("TooManyRequestsException", 429, gw.create_deployment, restApiId=api)
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"], "1")
        self.refused("TooManyRequestsException", 429, self.server.client("apigatewayv2").create_deployment,
                     ApiId="x")
        gw.get_resources(restApiId=api)
        self.refused("TooManyRequestsException", 429, gw.get_resources, restApiId=api)
        counts = self.server.admin("GET", "counters")["operations"]["CreateDeployment"]
        self.assertEqual((counts["calls"], counts["client_error"], counts["throttled"]), (3, 1, 2))

    def test_all_together(self):
        self.server.admin("PUT", "limits", {"apigateway": 0.01})
        gw = self.server.client("apigateway")
        gw.get_rest_apis()
        self.refused("TooManyRequestsException", 429, gw.create_rest_api, name="x")
        # Also what has a limit of its own.
        self.refused("TooManyRequestsException", 429, gw.get_resources, restApiId="x")

    def test_faults(self):
        gw = self.server.client("apigateway")
        self.server.admin("PUT", "faults", [
            {"op": "CreateRestApi", "fault": "throttle", "nth": 1},
            {"op": "CreateRestApi", "fault": "lost_after", "nth": 1, "connection": "close"},
            {"op": "GetRestApis", "fault": "access_denied"}])
        self.refused("TooManyRequestsException", 429, gw.create_rest_api, name="x")
        with self.assertRaises(botocore.exceptions.ConnectionClosedError):
            gw.create_rest_api(name="y")
        self.assertIn("apigateway:GET on resource: arn:aws:apigateway:us-east-1::/restapis",
                      self.message("AccessDeniedException", 403, gw.get_rest_apis))
        self.server.admin("DELETE", "faults")
        self.assertEqual([a["name"] for a in gw.get_rest_apis()["items"]], ["y"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
