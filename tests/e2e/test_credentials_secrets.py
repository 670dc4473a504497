#!/usr/bin/python3
"""Keys and tokens of every source are markers here: what a source gives, what it is asked with, and the keys that a
role is assumed with. A rollout is run with them; then the source breaks, and its answer repeats what it was sent. None
is found in the log, the database, an answer of the control socket, or what rolloutctl says. The search is that of
markers.py: every answer as it comes, and the whole folder at the end."""

# runner: timeout 300

import hashlib
import json
import os
import tempfile
import time
import unittest

import markers
from credential_source import Source, utc
from markers import BEARER, OTHER, SECRET, TOKEN
from rollout_case import RolloutCase, wait_long
from service_case import at_once

ROLE = "arn:aws:iam::123456789012:role/ops"
KEY = "AKIDEXAMPLE"
CONFIG = RolloutCase.CONFIG + "log: {level: debug, format: json}\n"
FILE_KEYS = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
OTHER_KEYS = f"aws_access_key_id = AKIDOTHER\naws_secret_access_key = {OTHER}\n"


@at_once
class Sources(RolloutCase):
    def prepare(self, sts=False):
        """`sts`: the source is STS. The files with the markers in them are kept beside the daemon's folder, as that one
        is searched."""
        self.begin(config=CONFIG, start=False)
        self.home = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rollout-home-"))
        os.makedirs(os.path.join(self.home, ".aws/sso/cache"))
        self.source = Source(lambda: {"id": KEY, "secret": SECRET, "token": TOKEN, "until": time.time() + 3600})
        self.stack.callback(self.source.close)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            del self.d.environment[name]
        self.d.environment.update({"HOME": self.home, "AWS_ENDPOINT_URL_SSO": self.source.url,
                                   **({"AWS_ENDPOINT_URL_STS": self.source.url} if sts else {})})

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def look_everywhere(self):
        """Whatever can be asked; each answer is searched as it comes."""
        for path in ("/v1/rollouts", "/v1/history", "/v1/events?limit=1000", "/v1/accounts", "/metrics", "/healthz"):
            self.ctl.get(path)
        for command in (("status", "s"), ("events",), ("list",), ("history",), ("doctor",), ("doctor", "-o", "json"),
                        ("doctor", f"{self.d.plans}/s.yaml"), ("diff", f"{self.d.plans}/s.yaml")):
            self.ctl.run(*command, code=None)

    def run_through(self, breaks, *words):
        """`breaks`: what makes the source fail from then on; `words`: of the sentence that says so."""
        self.d.start()
        self.drop("s", "f-0", steps=())
        self.ctl.phase("s", "succeeded")
        self.look_everywhere()
        account, = self.ctl.get("/v1/accounts")[1]["accounts"]
        self.assertTrue(account["source"], account)
        breaks()
        self.ctl.post("/v1/reload")
        # The keys that are there go on being used. (Where STS is the source it cannot tell either whose they are.)
        if "AWS_ENDPOINT_URL_STS" not in self.d.environment:
            wait_long("what is wrong", lambda: self.finding("warning", *words))
        self.look_everywhere()
        self.assertEqual(self.d.stop(), 0)
        self.d.start()
        answer = self.ctl.get("/v1/accounts")[1]
        self.assertFalse(answer["healthy"], answer)
        self.assertTrue(self.finding("problem", *words), answer)
        self.drop("s2", "f-1", steps=(), more="region: us-east-1")
        self.ctl.until("s2", lambda s: s["trouble"], "to be in trouble")
        self.look_everywhere()
        self.assertEqual(self.d.stop(), 0)  # and the folder is searched
        log = self.d.log()
        self.assertTrue(log)
        self.assertIsNone(markers.find(log))

    def finding(self, level, *words):
        """The first one that has all the words."""
        return next((f["text"] for f in self.ctl.get("/v1/accounts")[1]["findings"]
                     if f["level"] == level and all(word in f["text"] for word in words)), None)

    def down(self):
        self.source.down = True

    def test_credentials_file(self):
        self.prepare()
        path = self.write(".aws/credentials", "[default]\n" + FILE_KEYS)
        self.run_through(lambda: self.write(".aws/credentials", f"[default]\n{SECRET}\n{TOKEN}\n"), path)

    def test_config_file(self):
        self.prepare()
        path = self.write(".aws/config", "[default]\n" + FILE_KEYS)
        self.run_through(lambda: self.write(".aws/config", f"[default]\naws_access_key_id = {KEY}\n"
                                            f"aws_access_key_id = {SECRET}\n"), path)

    def test_program(self):
        self.prepare()
        good = json.dumps({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN})
        program = self.write("keys", f"#!/bin/sh\necho '{good}'\n", 0o700)
        self.write(".aws/config", f"[default]\ncredential_process = {program}\n")
        broken = f"#!/bin/sh\necho '{good}'\necho 'no: {SECRET} {TOKEN}' >&2\nexit 7\n"
        self.run_through(lambda: self.write("keys", broken, 0o700), "ended with status 7")

    def test_program_with_an_argument(self):
        """Where somebody gives a password as an argument."""
        self.prepare()
        good = json.dumps({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN})
        program = self.write("keys", f"#!/bin/sh\necho '{good}'\n", 0o700)
        self.write(".aws/config", f"[default]\ncredential_process = {program} --password {BEARER}\n")
        self.run_through(lambda: self.write("keys", "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \""
                                            f"{SECRET}\"}}'\n", 0o700), "SecretAccessKey")

    def test_sso(self):
        self.prepare()
        self.write(".aws/config", "[default]\nsso_start_url = https://s\nsso_region = eu-west-1\n"
                   "sso_account_id = 123456789012\nsso_role_name = R\n")
        self.write(f".aws/sso/cache/{hashlib.sha1(b'https://s').hexdigest()}.json",
                   json.dumps({"accessToken": BEARER, "expiresAt": utc(time.time() + 3600)}))
        self.run_through(self.down, "GetRoleCredentials")
        self.assertEqual(self.heard("x-amz-sso_bearer_token"), {BEARER})

    def test_web_identity(self):
        self.prepare(sts=True)
        self.d.environment.update({"AWS_WEB_IDENTITY_TOKEN_FILE": self.write("token", BEARER), "AWS_ROLE_ARN": ROLE})
        self.run_through(self.down, "AssumeRoleWithWebIdentity")

    def test_assumed_role(self):
        self.prepare(sts=True)
        self.write(".aws/credentials", "[c]\n" + OTHER_KEYS)
        self.write(".aws/config", f"[default]\nrole_arn = {ROLE}\nsource_profile = c\nexternal_id = some-id\n")
        self.run_through(self.down, "AssumeRole")

    def test_container(self):
        self.prepare()
        self.d.environment.update({"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.source.url + "/creds",
                                   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.write("auth", BEARER)})
        self.run_through(self.down, "container")
        self.assertEqual(self.heard("Authorization"), {BEARER})

    def test_instance(self):
        self.prepare()
        self.d.environment.update({"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.source.url,
                                   "AWS_EC2_METADATA_DISABLED": "false"})
        self.run_through(self.down, "metadata service")
        self.assertIn(BEARER, self.heard("x-aws-ec2-metadata-token"))

    def heard(self, header):
        """What the source was asked with: the markers were there to be told."""
        return {h[2].get(header) for h in self.source.heard if h[2].get(header)}


if __name__ == "__main__":
    unittest.main()
