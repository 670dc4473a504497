"""moto, which others wrote from AWS's own models, with its signature check switched on, and rolloutd against it."""

import os

# Read when moto is loaded: so many calls are free, those that make the user whose keys the daemon then signs with.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"

import io  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import urllib.request  # noqa: E402
import zipfile  # noqa: E402

import boto3  # noqa: E402
import botocore.config  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

from rolloutd_case import DEADLINE, Case, wait_for  # noqa: E402

REGION = "us-east-1"


def zipped(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("index.py"), text)
    return out.getvalue()


class MotoCase(Case):
    @classmethod
    def setUpClass(cls):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        cls.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.url = "http://{}:{}".format(*cls.server.get_host_and_port())
        iam = cls.client("iam", "none", "none")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.create_user(UserName="rolloutd")
        iam.put_user_policy(UserName="rolloutd", PolicyName="all", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="rolloutd")["AccessKey"]
        cls.key = (key["AccessKeyId"], key["SecretAccessKey"])
        cls.iam, cls.lam, cls.cloudwatch = (cls.client(s, *cls.key) for s in ("iam", "lambda", "cloudwatch"))
        cls.rest, cls.http = (cls.client(s, *cls.key) for s in ("apigateway", "apigatewayv2"))
        assumed = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}
        cls.role = cls.iam.create_role(RoleName="lambda", AssumeRolePolicyDocument=json.dumps(assumed))["Role"]["Arn"]

    @classmethod
    def client(cls, service, key, secret):
        c = boto3.client(service, endpoint_url=cls.url, region_name=REGION, aws_access_key_id=key,
                         aws_secret_access_key=secret,
                         config=botocore.config.Config(retries={"max_attempts": 0}))
        cls.addClassCleanup(c.close)
        return c

    @classmethod
    def check_signatures(cls, on):
        """moto refuses every GET of boto3 when it checks, right or not, so the end is read without."""
        body = b"0" if on else b"inf"
        request = urllib.request.Request(f"{cls.url}/moto-api/reset-auth", method="POST", data=body,
                                         headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=DEADLINE).close()

    def begin(self, secret=None):
        return self.daemon(environment={
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_SECRET_ACCESS_KEY": secret or self.key[1], "AWS_SESSION_TOKEN": ""})

    def phase(self, d, name, *phases):
        for _ in range(3):  # moto takes its time
            try:
                return wait_for(f"{name} to be {phases}", lambda: self.status(d, name, phases))
            except AssertionError as e:
                problem = e
        raise AssertionError(f"{problem}\n{d.log()}")

    @staticmethod
    def status(d, name, phases):
        status, answer = d.get(f"/v1/rollouts/{name}")
        return answer if status == 200 and answer["phase"] in phases else None
