#!/usr/bin/python3
"""AWS files that are broken, or only half there, while rollouts run: what was known goes on being used, and AWS, or
whoever stands in for it, is asked nothing at any other place."""

# runner: timeout 300

import os
import re
import subprocess
import tempfile
import unittest

from markers import SECRET, TOKEN
from rollout_case import RolloutCase, wait_long
from rolloutd_case import ROLLOUTD
from service_case import at_once

KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
PROFILE = """[default]
region = us-east-1
services = local
"""
SECTION = """[services local]
lambda =
  endpoint_url = {0}
cloudwatch =
  endpoint_url = {0}
sts =
  endpoint_url = {0}
"""


@at_once
class Files(RolloutCase):
    def begin_with_files(self):
        """A daemon that knows only from its files where AWS is and whose keys to use."""
        self.begin(start=False)
        for name in (*KEY_VARIABLES, "AWS_ENDPOINT_URL"):
            del self.d.environment[name]
        # Beside the daemon's folder, which is searched for the markers.
        self.home = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rollout-home-"))
        self.d.environment["HOME"] = self.home
        os.makedirs(os.path.join(self.home, ".aws"))
        self.write("credentials", f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"
                                  f"aws_session_token = {TOKEN}\n")
        self.write("config", PROFILE + SECTION.format(self.world.url))
        # The public endpoint must never be asked; that it cannot be reached is for the case that it is.
        self.d.environment["HTTPS_PROXY"] = "http://127.0.0.1:1"
        self.d.start()

    def write(self, name, text):
        """In place, as the CLI and many editors do it."""
        with open(os.path.join(self.home, ".aws", name), "w", encoding="utf-8") as f:
            f.write(text)

    def test_a_rollback_while_the_config_file_is_half_there(self):
        self.begin_with_files()
        self.drop("p", "f-0", steps=((50, 600),), metrics="", analysis="no_data: pass")
        self.ctl.weight("p", 50)
        self.write("config", PROFILE)
        self.ctl.run("reload")
        self.ctl.run("rollback", "p")
        self.ctl.phase("p", "rolled-back")
        self.assertEqual(self.world.holds("f-0"), "1")
        self.assertIn("[services local]", wait_long("the finding", self.finding))
        self.assertEqual(self.metrics(), {"keys": 1, "failing": 1})
        self.write("config", PROFILE + SECTION.format(self.world.url))
        wait_long("the trouble to be over", lambda: "its AWS keys and settings are good again" in self.d.log())
        self.assertEqual(self.metrics(), {"keys": 1, "failing": 0})
        self.assertEqual(self.d.log().count("account default: what was known goes on being used"), 1)

    def check(self, home):
        done = subprocess.run([ROLLOUTD, "--check", "--config", self.d.config], capture_output=True, text=True,
                              timeout=60, check=False, env={**self.d.environment, "HOME": home})
        return done.returncode, done.stdout

    def test_accounts_are_checked(self):
        self.CONFIG += "accounts: {default: {}, ops: {profile: ops}}\n"
        self.begin_with_files()
        code, text = self.check(self.home)
        self.assertEqual(code, 0, text)  # the service may have other files
        self.assertNotIn("account default", text)
        self.assertIn("account ops: warning: with this environment it has no AWS keys: there is no profile \"ops\"",
                      text)
        self.write("config", "[default\n")
        code, text = self.check(self.home)
        self.assertIn("account default: warning: ", text)
        self.assertIn(".aws/config: line 1", text)

    def metrics(self):
        return {k: int(v) for k, v in re.findall(r'^rolloutd_account_(\w+){account="default"} (\d)$',
                                                 self.ctl.get("/metrics")[1], re.M)}

    def finding(self):
        return " ".join(f["text"] for f in self.ctl.get("/v1/accounts")[1]["findings"] if f["level"] != "ok")


if __name__ == "__main__":
    unittest.main()
