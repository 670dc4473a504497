#!/usr/bin/env python3
"""Makes sigv4.json with botocore: what the published vectors lack.

Those hold no path that is percent-encoded on the wire already, and so no double encoding: function ARNs, `$LATEST`,
qualifiers. Paths and queries of the first group are what boto3's own clients put on the wire.

    python3 tests/vectors/make_sigv4.py > tests/vectors/sigv4.json

The output depends on nothing but this file (time, keys and headers are fixed); it was made with botocore 1.43.11.
"""
import datetime
import json
import sys
import urllib.parse
from unittest import mock

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 22, 22, 10, 5, tzinfo=datetime.timezone.utc)
KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+token/with=signs=="
ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"


class Captured(Exception):
    pass


def wire(service, region, call, endpoint=None):
    """The request that boto3 would send, as (method, url, body)."""
    client = boto3.client(service, region_name=region, endpoint_url=endpoint,
                          aws_access_key_id=KEY, aws_secret_access_key=SECRET)
    seen = []

    def stop(request, **_):
        seen.append(request)
        raise Captured

    client.meta.events.register("before-send", stop)
    try:
        call(client)
    except Captured:
        pass
    request = seen[0]
    body = request.body or b""
    return request.method, request.url, body.decode() if isinstance(body, bytes) else body


def vector(name, service, region, method, url, body="", headers=(), token=None, payload_header=True):
    request = AWSRequest(method=method, url=url, data=body.encode())
    for key, value in headers:
        request.headers[key] = value
    signer = SigV4Auth(Credentials(KEY, SECRET, token), service, region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW), \
         mock.patch("botocore.compat.get_current_datetime", return_value=NOW):
        if payload_header:
            request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
        signer.add_auth(request)
    # add_auth() adds its own headers before it builds the canonical request, so building it again gives the same.
    authorization = request.headers["Authorization"]
    del request.headers["Authorization"]
    canonical = signer.canonical_request(request)
    parts = urllib.parse.urlsplit(url)
    return {
        "name": name, "service": service, "region": region, "timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "access_key_id": KEY, "secret_access_key": SECRET, "token": token, "payload_header": payload_header,
        "method": method, "scheme": parts.scheme, "host": parts.netloc, "path": parts.path, "query": parts.query,
        "headers": [list(h) for h in headers], "body": body,
        "canonical_request": canonical,
        "string_to_sign": signer.string_to_sign(request, canonical),
        "authorization": authorization,
    }


def from_boto3(name, service, signing_name, region, call, **rest):
    method, url, body = wire(service, region, call, rest.pop("endpoint", None))
    return vector(name, signing_name, region, method, url, body, **rest)


def client_vectors():
    json_type = (("Content-Type", "application/json"),)
    metrics = (("Content-Type", "application/x-amz-json-1.0"),
               ("X-Amz-Target", "GraniteServiceVersion20100801.GetMetricData"), ("x-amzn-query-mode", "true"))
    yield from_boto3("alias-by-name", "lambda", "lambda", "us-east-1",
                     lambda c: c.get_alias(FunctionName="hello", Name="prod"))
    yield from_boto3("alias-by-arn", "lambda", "lambda", "us-east-1",
                     lambda c: c.get_alias(FunctionName=ARN, Name="prod"))
    yield from_boto3("alias-by-arn-token", "lambda", "lambda", "eu-west-1", token=TOKEN,
                     call=lambda c: c.get_alias(FunctionName=ARN, Name="prod"))
    yield from_boto3("name-with-latest", "lambda", "lambda", "us-east-1",
                     lambda c: c.get_function(FunctionName="hello:$LATEST"))
    yield from_boto3("arn-with-latest", "lambda", "lambda", "us-east-1",
                     lambda c: c.get_function(FunctionName=ARN + ":$LATEST"))
    yield from_boto3("qualifier-latest", "lambda", "lambda", "us-east-1",
                     lambda c: c.get_function(FunctionName="hello", Qualifier="$LATEST"))
    yield from_boto3("qualifier-number-china", "lambda", "lambda", "cn-north-1",
                     lambda c: c.get_function(FunctionName="hello", Qualifier="17"))
    yield from_boto3("marker-with-signs", "lambda", "lambda", "us-east-1",
                     lambda c: c.list_versions_by_function(FunctionName="hello", Marker="a b+c/d=e&f~g%h:i", MaxItems=50))
    yield from_boto3("local-endpoint-with-port", "lambda", "lambda", "us-east-1", endpoint="http://127.0.0.1:4599",
                     call=lambda c: c.get_alias(FunctionName=ARN, Name="prod"))
    yield from_boto3("local-endpoint-with-path", "lambda", "lambda", "us-east-1", endpoint="https://example.com/aws/api",
                     call=lambda c: c.get_alias(FunctionName=ARN, Name="prod"))
    yield from_boto3("update-alias", "lambda", "lambda", "us-east-1", headers=json_type, token=TOKEN,
                     call=lambda c: c.update_alias(FunctionName=ARN, Name="prod", FunctionVersion="1",
                                                   Description="blau grün 緑",
                                                   RoutingConfig={"AdditionalVersionWeights": {"2": 0.05}},
                                                   RevisionId="6b8d2a3c-0000-4000-8000-123456789012"))
    yield from_boto3("get-metric-data", "cloudwatch", "monitoring", "us-east-1", headers=metrics,
                     call=lambda c: c.get_metric_data(
                         StartTime=1795377600, EndTime=1795377900, MetricDataQueries=[
                             {"Id": "q0", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
                                 "Namespace": "AWS/Lambda", "MetricName": "Errors",
                                 "Dimensions": [{"Name": "FunctionName", "Value": "hello"}]}}}]))


def plain_vectors():
    host = "https://lambda.us-east-1.amazonaws.com"
    yield vector("no-payload-header", "lambda", "us-east-1", "GET", host + "/2015-03-31/functions/", payload_header=False)
    yield vector("encoded-space", "service", "us-east-1", "GET", host + "/a%20b/c%2Fd")
    yield vector("encoded-utf8", "service", "us-east-1", "GET", host + "/gr%C3%BCn/%E7%B7%91")
    yield vector("dots", "service", "us-east-1", "GET", host + "/a/b/../c/./d//e/..")
    yield vector("dots-final-slash", "service", "us-east-1", "GET", host + "/a/b/../../../c/./")
    yield vector("query-order", "service", "us-east-1", "GET", host + "/?b=2&a=2&a=1&A=3&a%20=4&ab=5&a-=6")
    yield vector("query-same-key", "service", "us-east-1", "GET", host + "/?tag=~z&tag=%24&tag=&tag=a%2Fb")
    yield vector("query-utf8", "service", "us-east-1", "GET", host + "/?x=%E7%B7%91%20%25")
    yield vector("header-blanks", "service", "us-east-1", "POST", host + "/", body="{}",
                 headers=(("X-Note", "  two   words  "), ("Content-Type", "application/json"),
                          ("User-Agent", "not signed"), ("X-Amzn-Trace-Id", "Root=1-2-3")))


json.dump(list(client_vectors()) + list(plain_vectors()), sys.stdout, indent=1, ensure_ascii=True)
print()
