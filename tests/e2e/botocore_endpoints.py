"""Resolves region and endpoints with botocore, for test_endpoints.py: a request {environment, profile, region} a line
on standard input, an answer a line on standard output: {region, urls} or {error}. First its own version."""

import json
import os
import sys

import botocore
import botocore.session

# As rolloutd names them: an operation, its parameters and its path.
SERVICES = {
    "lambda": ("list_functions", {}, "/2015-03-31/functions"),
    "cloudwatch": ("describe_alarms", {}, "/"),
    "apigateway": ("get_rest_apis", {}, "/restapis"),
    "apigatewayv2": ("get_apis", {}, "/v2/apis"),
    "sts": ("get_caller_identity", {}, "/"),
    "sso": ("get_role_credentials", {"roleName": "r", "accountId": "1", "accessToken": "t"}, "/federation/credentials"),
}


def ask(session, service, region):
    """Where a request would go; a client's own endpoint_url is what an older table of hosts says. Nothing is sent."""
    operation, parameters, path = SERVICES[service]
    client = session.create_client(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
    urls = []

    def keep(params, **_):
        urls.append(params["url"].partition("?")[0])
        return type("Answer", (), {"status_code": 200, "headers": {}}), {}

    client.meta.events.register("before-call", keep)
    getattr(client, operation)(**parameters)
    url = urls[0].rstrip("/") if len(path) > 1 else urls[0]
    return (url[:-len(path)] if url.endswith(path) else url).rstrip("/")


def resolve(request):
    os.environ.clear()
    os.environ.update(request["environment"])
    session = botocore.session.Session(profile=request["profile"])
    region = request["region"] or session.get_config_variable("region") or "us-east-1"
    return {"region": region, "urls": {service: ask(session, service, region) for service in SERVICES}}


def main():
    print(json.dumps(botocore.__version__), flush=True)
    for line in sys.stdin:
        try:
            answer = resolve(json.loads(line))
        except Exception as error:  # whatever it is, there is no endpoint
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
