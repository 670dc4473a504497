#!/usr/bin/python3
"""`rolloutctl doctor`: which identity each account of rolloutd.yaml has, asked of STS with the account's own keys."""

import os
import unittest

import markers
from rollout_case import RolloutCase, make_plan
from rolloutd_case import SECRET, TOKEN

ACCOUNTS = """accounts:
  staging: {profile: ops}
  default: {}
  gov: {region: us-gov-west-1}
  lost: {profile: nobody}
"""
USER = "arn:aws:iam::123456789012:user/"
TO_DO = ("         to do: mend that source, then `rolloutctl reload`; the AWS CLI as rolloutd's user must find keys "
         "there\n")


class Doctor(RolloutCase):
    def begin_with(self, config):
        """The profile's keys are another user's, and it names region and endpoint."""
        self.begin(config=self.CONFIG + config, start=False)
        self.home = os.path.join(self.folder, "home")
        os.makedirs(os.path.join(self.home, ".aws"))
        self.write("config", f"[profile ops]\nregion = eu-north-1\nendpoint_url = {self.world.url}\n"
                   "aws_access_key_id = AKIDOPS\naws_secret_access_key = ops-secret\n")
        self.world.admin("PUT", "keys", [{"id": "AKIDOPS", "secret": "ops-secret"}])
        self.d.environment["HOME"] = self.home
        self.d.start()

    def write(self, name, text):
        with open(os.path.join(self.home, ".aws", name), "w", encoding="ascii") as f:
            f.write(text)

    def test_every_account(self):
        self.begin_with(ACCOUNTS)
        by = "of account 123456789012, by keys from"
        lines = self.ctl.run("doctor", code=1).splitlines(True)
        self.assertEqual(lines[:3], [
            f"ok       account staging: it is {USER}AKIDOPS {by} profile ops of {self.home}/.aws/config, "
            "which do not end\n",
            f"ok       account default: it is {USER}AKIDEXAMPLE {by} environment, which do not end\n",
            f"ok       account gov: it is {USER.replace('aws', 'aws-us-gov', 1)}AKIDEXAMPLE {by} environment, "
            "which do not end\n"])
        self.assertTrue(lines[3].startswith("problem  account lost: it has no keys: there is no profile \"nobody\": "))
        self.assertEqual(lines[4:], [TO_DO, "4 accounts: 1 problem\n"])
        answer = self.ctl.json("doctor", code=1)
        staging, default, gov, lost = answer["accounts"]
        self.assertEqual(staging, {
            "name": "staging", "region": "eu-north-1", "source": f"profile ops of {self.home}/.aws/config",
            "arn": USER + "AKIDOPS", "account_id": "123456789012", "expires_at": None, "extended": False})
        self.assertEqual((default["region"], gov["region"]), ("us-east-1", "us-gov-west-1"))
        self.assertEqual((lost["arn"], lost["account_id"]), ("", ""))
        self.assertEqual((answer["name"], answer["healthy"]), ("", False))

    def test_the_plans_account(self):
        """… comes first; nothing else is asked with keys that AWS does not take."""
        self.begin_with("accounts: {default: {profile: ops}, other: {profile: nobody}}\n")
        path = os.path.join(self.folder, "plan.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(make_plan("p", "f-0"))
        answer = self.ctl.json("doctor", path)
        self.assertEqual([a["name"] for a in answer["accounts"]], ["default"])
        self.assertIn(USER + "AKIDOPS", answer["findings"][0]["text"])
        self.world.admin("PUT", "keys", [{"id": "AKIDOPS", "expired": True}])
        text = self.ctl.run("doctor", path, code=1)
        self.assertRegex(text, r"^problem  account default: AWS refuses its keys from profile ops of .*: "
                               r"GetCallerIdentity: ExpiredToken(Exception)? \(403\): ")
        self.assertIn("p: 1 problem\n", text)

    def test_one_account_that_nobody_wrote_down(self):
        self.begin_with("")
        answer = self.ctl.json("doctor")
        self.assertEqual([a["name"] for a in answer["accounts"]], ["default"])
        self.assertTrue(answer["healthy"])
        self.assertIsNone(markers.find(str(answer)))
        self.assertNotIn(SECRET + TOKEN, str(answer))


if __name__ == "__main__":
    unittest.main()
