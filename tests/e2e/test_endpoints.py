#!/usr/bin/python3
"""tests/vectors/endpoints.json, which the unit tests hold the program against, says what the botocore that is installed
here says: every partition, region and service, with and without FIPS and dual-stack. What an older botocore does not
know yet is passed over, and how much that is, is told. The same for retries.json."""

import json
import os
import sys
import unittest

import botocore

from rolloutd_case import TOP

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


if __name__ == "__main__":
    unittest.main()
