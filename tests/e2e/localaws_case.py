"""A rollout-localaws of its own for each test, and boto3 clients of it. The other tests of localaws import this."""

import datetime
import io
import json
import os
import re
import subprocess
import tempfile
import unittest
import urllib.request
import zipfile

import boto3
import botocore.config
import botocore.exceptions

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ROLLOUT_BUILD", os.path.join(TOP, "build/release"))
LOCALAWS = os.path.join(BUILD, "rollout-localaws")
ROLE = "arn:aws:iam::123456789012:role/test"

WORLD = """
seed: 7
clock: virtual
invoke_delay: false
limits: off
functions:
  hello:
    versions:
      1: {body: "Hello V1", latency: {median: 20ms, p99: 80ms}}
      2: {body: "Hello V2", latency: {median: 40ms, p99: 90ms}}
      3: {body: "Hello V3", error_rate: 50%}
      4: {role: "arn:aws:iam::123456789012:role/other"}
    aliases:
      prod: {version: 1}
      half: {version: 1, weights: {2: 50%}}
      bad: {version: 3}
metrics: {period: 60s, delay: 60s}
"""


class Server:
    """One rollout-localaws with a world of its own."""

    def __init__(self, world=WORLD, *args):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.file.write(world)
        self.file.flush()
        self.process = subprocess.Popen(
            [LOCALAWS, "--listen", "127.0.0.1:0", "--world", self.file.name, *args],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"rollout-localaws listening on (http://127\.0\.0\.1:(\d+))\n", line)
        if not match:
            self.close()
            raise AssertionError(f"unexpected first line: {line!r}")
        self.url, self.port = match.group(1), int(match.group(2))

    def close(self):
        self.process.terminate()
        status = self.process.wait(20)
        self.process.stdout.close()
        self.file.close()
        if status != 0:
            raise AssertionError(f"rollout-localaws ended with {status}")

    def client(self, service, key="localaws", secret="localaws", token=None, region="us-east-1", **config):
        config.setdefault("retries", {"max_attempts": 0})
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
            aws_session_token=token, config=botocore.config.Config(**config))

    def admin(self, method, path, body=None):
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        request = urllib.request.Request(
            f"{self.url}/_localaws/{path}", method=method, data=None if data is None else data.encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def advance(self, duration):
        return self.admin("PUT", "clock", {"advance": duration})["time_ms"]

    def now(self):
        ms = self.admin("GET", "clock")["time_ms"]
        return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)


def zipped(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("index.py"), text)
    return out.getvalue()


def dimensions(function, resource=None, version=None):
    out = [{"Name": "FunctionName", "Value": function}]
    if resource:
        out.append({"Name": "Resource", "Value": resource})
    if version:
        out.append({"Name": "ExecutedVersion", "Value": version})
    return out


def query(id_, metric, dims, stat="Sum", period=60, namespace="AWS/Lambda"):
    return {"Id": id_, "MetricStat": {
        "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dims}, "Period": period, "Stat": stat}}


class Case(unittest.TestCase):
    WORLD = WORLD

    def setUp(self):
        self.server = Server(self.WORLD)
        self.addCleanup(self.server.close)
        # What boto3 would refuse by itself is to be refused by the service.
        self.lam = self.server.client("lambda", parameter_validation=False)
        self.cw = self.server.client("cloudwatch")

    def refused(self, code, status, call, **kwargs):
        """The call's error: of this code and status. Returns the error's answer."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**kwargs)
        answer = caught.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, status),
                         answer)
        return answer

    def message(self, *args, **kwargs):
        return self.refused(*args, **kwargs)["Error"]["Message"]

    def create(self, name="made", text="one", **kwargs):
        return self.lam.create_function(FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="index.handler",
                                        Code={"ZipFile": zipped(text)}, **kwargs)
