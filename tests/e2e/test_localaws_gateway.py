#!/usr/bin/python3
"""The whole chain made by hand with boto3, as a person would make it, and requested through HTTP."""

import http.client
import json
import unittest

from localaws_case import ROLE, Case, zipped

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"
INVOCATIONS = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/%s/invocations"
STAGES = ("dev", "test", "prod")


class Chain(Case):
    WORLD = "clock: virtual\ninvoke_delay: false\nlimits: off\n"

    def setUp(self):
        super().setUp()
        self.rest = self.server.client("apigateway")
        self.web = self.server.client("apigatewayv2")
        self.make_function()

    # --- by hand ---

    def make_function(self):
        self.lam.create_function(FunctionName="hello", Runtime="python3.12", Role=ROLE, Handler="index.handler",
                                 Code={"ZipFile": zipped("one")})
        for text in ("one", "two"):
            self.lam.update_function_code(FunctionName="hello", ZipFile=zipped(text))
            version = self.lam.publish_version(FunctionName="hello")["Version"]
            self.answers(version, f"Hello V{version}")
        self.answers("$LATEST", "Hello latest")
        for name, version in (("dev", "$LATEST"), ("test", "1"), ("prod", "2")):
            self.lam.create_alias(FunctionName="hello", Name=name, FunctionVersion=version)

    def answers(self, version, text, **kwargs):
        body = json.dumps({"statusCode": 200, "body": text})
        self.server.admin("PUT", f"functions/hello/versions/{version}", {"body": body, **kwargs})

    def permit(self, api, stage, alias=None):
        self.lam.add_permission(
            FunctionName="hello", Qualifier=alias or stage, StatementId=f"{api}-{stage}",
            Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:us-east-1:123456789012:{api}/{stage}/*")

    def make_rest(self):
        api = self.rest.create_rest_api(name="hello-api")["id"]
        root = self.rest.get_resources(restApiId=api)["items"][0]["id"]
        hello = self.rest.create_resource(restApiId=api, parentId=root, pathPart="hello")["id"]
        where = {"restApiId": api, "resourceId": hello, "httpMethod": "GET"}
        self.rest.put_method(**where, authorizationType="NONE")
        self.rest.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST",
                                  uri=INVOCATIONS % (FUNCTION_ARN + ":${stageVariables.lambdaAlias}"))
        deployment = self.rest.create_deployment(restApiId=api)["id"]
        for stage in STAGES:
            self.rest.create_stage(restApiId=api, stageName=stage, deploymentId=deployment,
                                   variables={"lambdaAlias": stage})
        return api

    def make_web(self):
        api = self.web.create_api(Name="hello-web", ProtocolType="HTTP")["ApiId"]
        integration = self.web.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
            IntegrationUri=INVOCATIONS % (FUNCTION_ARN + ":${stageVariables.lambdaAlias}"))["IntegrationId"]
        for stage in STAGES:
            self.web.create_stage(ApiId=api, StageName=stage, AutoDeploy=True,
                                  StageVariables={"lambdaAlias": stage})
        self.web.create_route(ApiId=api, RouteKey="GET /hello", Target=f"integrations/{integration}")
        return api

    # --- from outside ---

    def get(self, path, host=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}

    def hello(self, api, stage):
        return self.get(f"/restapis/{api}/{stage}/_user_request_/hello")[:2]

    def see_stages(self, api, refused):
        """Nothing works before a permission does, each stage has its alias, and none works after it is gone."""
        self.assertEqual([self.hello(api, s) for s in STAGES], [refused] * 3)
        for stage in STAGES:
            self.permit(api, stage)
        good = [(200, "Hello latest"), (200, "Hello V1"), (200, "Hello V2")]
        self.assertEqual([self.hello(api, s) for s in STAGES], good)
        host = f"{api}.execute-api.us-east-1.amazonaws.com"
        self.assertEqual([self.get(f"/{s}/hello", host)[:2] for s in STAGES], good)
        self.lam.remove_permission(FunctionName="hello", Qualifier="test", StatementId=f"{api}-test")
        self.assertEqual([self.hello(api, s) for s in STAGES], [good[0], refused, good[2]])
        counts = self.server.admin("GET", "counters")["stages"]
        self.assertEqual(counts[f"{api}/test"],
                         {"requests": 4, "client_errors": 0, "server_errors": 2, "versions": {"hello:1": 2}})
        self.assertEqual(counts[f"{api}/prod"]["versions"], {"hello:2": 3})

    def test_rest(self):
        api = self.make_rest()
        self.see_stages(api, (500, '{"message": "Internal server error"}'))
        status, _, headers = self.get(f"/restapis/{api}/test/_user_request_/hello")
        self.assertEqual((status, headers["x-amzn-errortype"]), (500, "InternalServerErrorException"))
        self.assertIn("x-amzn-requestid", headers)
        self.assertIn("x-amz-apigw-id", headers)

    def test_http(self):
        self.see_stages(self.make_web(), (500, '{"message":"Internal Server Error"}'))

    def test_an_alias_that_moves(self):
        api = self.make_rest()
        self.permit(api, "prod")
        # A permission that is not there is no harm to who is not asked.
        self.lam.update_alias(FunctionName="hello", Name="prod", FunctionVersion="1",
                              RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
        seen = [self.hello(api, "prod")[1] for _ in range(200)]
        self.assertEqual(set(seen), {"Hello V1", "Hello V2"})
        self.assertTrue(60 < seen.count("Hello V2") < 140)
        self.answers("2", "", error_rate=1)
        self.lam.update_alias(FunctionName="hello", Name="prod", FunctionVersion="2",
                              RoutingConfig={"AdditionalVersionWeights": {}})
        self.assertEqual(self.hello(api, "prod"), (502, '{"message": "Internal server error"}'))

    def test_stage_variables(self):
        api = self.make_rest()
        for alias in ("test", "prod"):
            self.permit(api, "prod", alias)
        self.assertEqual(self.hello(api, "prod"), (200, "Hello V2"))
        self.rest.update_stage(restApiId=api, stageName="prod", patchOperations=[
            {"op": "replace", "path": "/variables/lambdaAlias", "value": "test"}])
        self.assertEqual(self.hello(api, "prod"), (200, "Hello V1"))
        self.rest.update_stage(restApiId=api, stageName="prod", patchOperations=[
            {"op": "remove", "path": "/variables/lambdaAlias"}])
        self.assertEqual(self.hello(api, "prod")[0], 500)
        self.assertNotIn("variables", self.rest.get_stage(restApiId=api, stageName="prod"))

    def test_what_is_not_deployed_is_not_served(self):
        api = self.make_rest()
        self.permit(api, "test")
        resource = next(r for r in self.rest.get_resources(restApiId=api)["items"] if r["path"] == "/hello")
        self.rest.delete_resource(restApiId=api, resourceId=resource["id"])
        self.assertEqual(self.hello(api, "test"), (200, "Hello V1"))
        self.rest.delete_stage(restApiId=api, stageName="test")
        self.assertEqual(self.hello(api, "test"), (403, '{"message": "Forbidden"}'))
        self.rest.delete_rest_api(restApiId=api)
        self.assertEqual(self.hello(api, "prod"), (403, '{"message": "Forbidden"}'))

    def test_http_routes_follow(self):
        api = self.make_web()
        self.permit(api, "test")
        path = f"/restapis/{api}/test/_user_request_/more"
        self.assertEqual(self.get(path)[:2], (404, '{"message":"Not Found"}'))
        first = self.web.get_stage(ApiId=api, StageName="test")
        target = self.web.get_routes(ApiId=api)["Items"][0]["Target"]
        self.web.create_route(ApiId=api, RouteKey="ANY /more", Target=target)
        self.assertEqual(self.get(path, method="POST")[:2], (200, "Hello V1"))
        second = self.web.get_stage(ApiId=api, StageName="test")
        self.assertNotEqual(first["DeploymentId"], second["DeploymentId"])
        self.assertIn(second["DeploymentId"], second["LastDeploymentStatusMessage"])

    def test_metrics(self):
        api = self.make_rest()
        self.permit(api, "prod")
        self.hello(api, "prod")
        self.hello(api, "test")
        self.server.advance("3m")
        for stage, name, value in (("prod", "Count", 1), ("prod", "5XXError", 0), ("test", "5XXError", 1)):
            got = self.cw.get_metric_data(
                StartTime=self.server.now().timestamp() - 3600, EndTime=self.server.now(),
                MetricDataQueries=[{"Id": "a", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
                    "Namespace": "AWS/ApiGateway", "MetricName": name, "Dimensions": [
                        {"Name": "ApiName", "Value": "hello-api"}, {"Name": "Stage", "Value": stage}]}}}])
            self.assertEqual(got["MetricDataResults"][0]["Values"], [value], (stage, name))


class Delay(Case):
    WORLD = """
limits: off
functions:
  hello:
    versions: {1: {body: '{"statusCode": 200, "body": "slow"}', latency: 300ms}}
    aliases: {prod: {version: 1}}
apis:
  shop: {id: shop1, function: hello, routes: [GET /], stages: {prod: {alias: prod}}}
"""

    def test_it_takes_the_drawn_time(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("GET", "/restapis/shop1/prod/_user_request_/")
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.read()), (200, b"slow"))
        state = self.server.admin("GET", "state")["apis"]["shop1"]
        self.assertEqual((state["name"], state["type"], state["routes"]), ("shop", "rest", ["GET /"]))
        self.assertEqual(state["stages"]["prod"]["variables"], {"lambdaAlias": "prod"})


if __name__ == "__main__":
    unittest.main(verbosity=1)
