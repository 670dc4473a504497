#!/usr/bin/python3
"""`rolloutctl doctor`: which identity each account of rolloutd.yaml has, asked of STS with the account's own keys."""

import os
import unittest

import markers
from rollout_case import RolloutCase, make_plan
from rolloutd_case import SECRET, TOKEN, wait_for

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


class Forecast(RolloutCase):
    """When the plan would notice a bad version, from what the alias has served. Its figures: test_engine_inspect.c."""

    def findings(self, function, alias, **more):
        path = os.path.join(self.folder, "plan.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(make_plan("p", function, alias=alias, **more))
        answer = self.ctl.json("doctor", path)
        return [(f["level"], f["text"], f["cure"]) for f in answer["findings"] if f["subject"] == f"alias {alias}"]

    def test_traffic_and_none(self):
        self.begin()
        path = "f-3", "prod"
        wait_for("the first metrics", lambda: any(" lately" in text for _, text, _ in self.findings(*path)))
        calls = self.world.calls("GetMetricData")
        found = self.findings(*path)
        self.assertEqual(self.world.calls("GetMetricData"), calls + 1)
        (forecast,) = [f for f in found if " lately" in f[1]]
        self.assertRegex(
            forecast[1], r"^about [0-9.]+ requests? (a second|a minute|an hour) lately, 0% of them failed; with this "
                         r"plan (even )?a canary that fails every second request is (not )?noticed")
        (quiet,) = [f for f in self.findings("f-3", "test") if "metrics" in f[1]]
        self.assertEqual(quiet[:2], ("warning", "its metrics can be read, and show no request in the last 3 days"))
        self.assertIn("`probe`", quiet[2])
        once = self.findings(*path, steps=())
        self.assertEqual([f for f in once if " lately" in f[1] or "last 3 days" in f[1]], [])


if __name__ == "__main__":
    unittest.main()
