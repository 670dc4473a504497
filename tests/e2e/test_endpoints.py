#!/usr/bin/python3
"""tests/vectors/endpoints.json, which the unit tests hold the program against, says what the botocore that is installed
here says: every partition, region and service, with and without FIPS and dual-stack. What an older botocore does not
know yet is passed over, and how much that is, is told. The same for retries.json. And what the profile of an account of
rolloutd.yaml says about region and endpoints means the same to both."""

# runner: timeout 300

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import botocore

from rolloutd_case import TOP
from test_credentials import HERE, TOOL, newest_botocore

sys.path.insert(0, os.path.join(TOP, "tests/vectors"))
import make_endpoints  # noqa: E402
import make_retries  # noqa: E402

# What AWS changed: (partition, service, switches) and a botocore that has it.
CHANGED = {("aws-us-gov", "cloudwatch", "fips dualstack"): (1, 40), ("aws-us-gov", "sso", "fips"): (1, 43)}


class Endpoints(unittest.TestCase):
    def test_hosts(self):
        with open(os.path.join(TOP, "tests/vectors/endpoints.json"), encoding="utf-8") as f:
            wanted = json.load(f)
        version = tuple(int(n) for n in botocore.__version__.split(".")[:2])
        made_with = tuple(int(n) for n in wanted["botocore"].split(".")[:2])
        compared, unknown = 0, []
        for partition, entry in make_endpoints.make()["partitions"].items():
            theirs = wanted["partitions"].get(partition)
            if version <= made_with:
                self.assertIsNotNone(theirs, partition)
                self.assertLessEqual(set(entry["regions"]), set(theirs["regions"]), partition)
            for service, hosts in entry["hosts"].items():
                for switches, host in zip(wanted["switches"], hosts):
                    key = (partition, service, switches)
                    if not theirs or (host is None and version < made_with) or version < CHANGED.get(key, (0,)):
                        unknown.append(key)
                        continue
                    self.assertEqual(host, theirs["hosts"][service][wanted["switches"].index(switches)], key)
                    compared += len(entry["regions"])
        print(f"botocore {botocore.__version__}: {compared} hosts are the same, {len(unknown)} patterns unknown to it")
        self.assertGreater(compared, 500)
        self.assertLess(len(unknown), 40)

    def test_retries(self):
        """Which errors are repeated, and the adaptive rates."""
        with open(os.path.join(TOP, "tests/vectors/retries.json"), encoding="utf-8") as f:
            wanted = json.load(f)
        made = json.loads(json.dumps(make_retries.make()))
        for key, value in made.items():
            self.assertEqual(value, wanted[key], key)


SWITCHES = ("true", "True", "false", "no", "")
URLS = ("https://one.example/base/", "https://two.example:8443", "http://127.0.0.1:4599", "https://[::1]:444/x")
IDS = ("lambda", "cloudwatch", "api_gateway", "apigatewayv2", "sts", "sso")
# FIPS and dual-stack hosts are made of the region's name, so some of each partition that has both will do.
REGIONS = ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1")
COMBINATIONS = 100


@unittest.skipIf(newest_botocore()[0] < (1, 31), "this botocore does not know endpoint_url in profiles yet")
class Profiles(unittest.TestCase):
    """rolloutd.yaml names a profile for an account, or none; the profile and the environment say the rest."""

    @classmethod
    def setUpClass(cls):
        cls.version, python = newest_botocore()
        cls.botocore = subprocess.Popen([python, "-B", os.path.join(HERE, "botocore_endpoints.py")], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.botocore.stdout.readline()

    @classmethod
    def tearDownClass(cls):
        cls.botocore.stdin.close()
        cls.botocore.wait()
        cls.botocore.stdout.close()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rollout-endpoints-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(os.path.join(self.folder, ".aws"))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def both(self, profile=None, region=None, config="", **environment):
        """Region and URLs, about which both are of one mind."""
        self.write(".aws/config", config)
        environment = {"HOME": self.folder, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true",
                       "AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "x", **environment}
        account = {k: v for k, v in (("profile", profile), ("region", region)) if v}
        file = self.write("rolloutd.yaml", f"state_dir: state\naccounts: {json.dumps({'ours': account})}\n")
        done = subprocess.run([TOOL, "--endpoints", file, "ours"], env=environment, capture_output=True, text=True,
                              timeout=60, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.stderr, "")
        ours = json.loads(done.stdout)
        self.botocore.stdin.write(json.dumps({"environment": environment, "profile": profile, "region": region}) + "\n")
        self.botocore.stdin.flush()
        theirs = json.loads(self.botocore.stdout.readline())
        if "error" not in ours or "error" not in theirs:
            self.assertEqual(ours, theirs)
        return ours

    def test_region(self):
        config = "[default]\nregion = eu-west-1\n[profile ops]\nregion = eu-north-1\n"
        self.assertEqual(self.both(config=config)["region"], "eu-west-1")
        self.assertEqual(self.both("ops", config=config)["region"], "eu-north-1")
        self.assertEqual(self.both(config=config, AWS_PROFILE="ops")["region"], "eu-north-1")
        self.assertEqual(self.both("ops", config=config, AWS_DEFAULT_REGION="ca-west-1")["region"], "ca-west-1")
        self.assertEqual(self.both("ops", "sa-east-1", config=config, AWS_DEFAULT_REGION="ca-west-1")["region"],
                         "sa-east-1")
        self.assertEqual(self.both()["region"], "us-east-1")

    def test_each_setting(self):
        profile = "[profile ops]\nregion = eu-west-1\n"
        of_lambda = [f"{p}.eu-west-1.{s}" for p, s in (
            ("https://lambda-fips", "amazonaws.com"), ("https://lambda", "api.aws"),
            ("https://lambda-fips", "api.aws"))]
        for lines, url in (
                ("use_fips_endpoint = true\n", of_lambda[0]),
                ("use_dualstack_endpoint = true\n", of_lambda[1]),
                ("use_fips_endpoint = true\nuse_dualstack_endpoint = true\n", of_lambda[2]),
                ("endpoint_url = https://all.example/x/\n", "https://all.example/x"),
                ("endpoint_url = https://all.example\nservices = mine\n[services mine]\nlambda =\n"
                 "  endpoint_url = https://lambda.example\nsts =\n  endpoint_url = https://sts.example\n",
                 "https://lambda.example"),
                ("endpoint_url = https://all.example\nignore_configured_endpoint_urls = true\n",
                 "https://lambda.eu-west-1.amazonaws.com")):
            with self.subTest(lines):
                self.assertEqual(self.both("ops", config=profile + lines)["urls"]["lambda"], url)

    def test_a_section_that_is_not_there(self):
        """Nobody meant AWS itself, which would be asked otherwise. What goes before it still does."""
        config = ("[default]\nregion = eu-west-1\nservices = mien\n"
                  "[services mine]\nlambda =\n  endpoint_url = https://a\n")
        self.assertIn("[services mien]", self.both(config=config)["error"])
        self.assertIn("urls", self.both(config=config, AWS_ENDPOINT_URL="https://b.example"))
        self.assertIn("urls", self.both(config=config, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true"))

    def lines(self, r):
        """A random profile, and perhaps the section of its services."""
        text, section = "", ""
        if r.random() < 0.6:
            text += f"region = {r.choice(REGIONS)}\n"
        for key in ("use_fips_endpoint", "use_dualstack_endpoint"):
            if r.random() < 0.3:
                text += f"{key} = {r.choice(SWITCHES)}\n"
        if r.random() < 0.15:
            text += f"ignore_configured_endpoint_urls = {r.choice(SWITCHES)}\n"
        if r.random() < 0.4:
            text += f"endpoint_url = {r.choice(URLS)}\n"
        if r.random() < 0.5:
            text += "services = mine\n"
            section = "[services mine]\n" + "".join(
                f"{i} =\n  endpoint_url = {r.choice(URLS)}\n" for i in IDS if r.random() < 0.4)
        return text, section

    def environment(self, r):
        found = {}
        for key in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
            if r.random() < 0.15:
                found[key] = r.choice(SWITCHES[:4])
        for key in ("AWS_ENDPOINT_URL", *(f"AWS_ENDPOINT_URL_{i.upper()}" for i in IDS)):
            if r.random() < 0.1:
                found[key] = r.choice(URLS)
        if r.random() < 0.2:
            found["AWS_DEFAULT_REGION"] = r.choice(REGIONS)
        if r.random() < 0.3:
            found["AWS_PROFILE"] = "ops"
        return found

    def test_combinations(self):
        """Whatever is there together: the same region, and the same URL for each service."""
        seen = {"configured": 0, "fips": 0, "dual-stack": 0, "plain": 0}
        for seed in range(COMBINATIONS):
            r = random.Random(seed)
            (ops, section), (default, other) = self.lines(r), self.lines(r)
            section = section or other or "[services mine]\n"
            section += "s3 =\n  endpoint_url = https://s3.example\n"  # one that is empty is none
            config = f"[default]\n{default}[profile ops]\n{ops}{section}"
            environment = self.environment(r)
            account = {"profile": r.choice([None, "ops"]), "region": r.choice([None, None, *REGIONS])}
            with self.subTest(seed=seed, config=config, environment=environment, **account):
                for url in self.both(config=config, **account, **environment)["urls"].values():
                    kind = ("configured" if url in {u.rstrip("/") for u in URLS} else "fips" if "-fips." in url
                            else "dual-stack" if "api." in url else "plain")
                    seen[kind] += 1
        version = ".".join(map(str, self.version))
        print(f"botocore {version}: {sum(seen.values())} URLs of profiles are the same: {seen}")
        self.assertGreater(min(seen.values()), 20)


if __name__ == "__main__":
    unittest.main()
