#!/usr/bin/python3
"""The promise of a service: 100,000 requests through three stages over an update, and not one of them fails because of
it; and AWS is not called faster than it allows. With the permission step broken the same test fails.

# runner: timeout 300
"""

import os
import unittest
from unittest import mock

import rolloutd_case
from hammer_case import Hammer, answers_of, failed_requests
from rollout_case import wait_long
from rolloutd_case import ROLLOUTD
from service_case import EMPTY_WORLD, ServiceCase, hello, service

BROKEN = os.path.join(os.path.dirname(ROLLOUTD), "fault/no_permission/rolloutd")
STAGES = ("dev", "test", "prod")
PROBE = "  probe: {path: /hello, expect_status: 200}\n"
REQUESTS = 100_000
RATE = 9000  # a second: leaves the machine some time for the update itself
AROUND = 3000  # requests before the update begins, and after it has ended

LAMBDA = ("Alias", "Function", "Version", "Permission", "Policy", "Invoke", "Provisioned", "AccountSettings")
CLOUDWATCH = ("Metric", "Alarm")


class TrafficCase(ServiceCase):
    """AWS's limits are on, and rolloutd has its own default rates."""

    WORLD = EMPTY_WORLD.replace("limits: off\n", "")
    CONFIG = ""

    def urls(self):
        # Without a call of AWS, as those count.
        (api,) = self.world.admin("GET", "state")["apis"]
        return [f"{self.world.url}/restapis/{api}/{stage}/_user_request_/hello" for stage in STAGES]

    def declared_and_held(self, version):
        return lambda s: self.world.changes("hello", "prod")[-1:] == [version]

    def update_under_traffic(self, requests, probe=True):
        """Three stages of V1, then V2 while they are hammered. Gives what hammer counted."""
        text = service(self.KIND)
        self.put_zip(hello(1))
        self.d.put_plan("hello.yaml", text if probe else text.replace(PROBE, ""))
        self.as_declared("to be as declared", self.declared_and_held("1"))
        hammer = Hammer(self.urls(), rate=RATE)
        self.stack.callback(hammer.close)
        hammer.wait_for(AROUND)
        self.put_zip(hello(2))
        self.as_declared("to serve version 2", self.declared_and_held("2"))
        hammer.wait_for(max(requests, hammer.requests() + AROUND))
        counts = hammer.finish()
        self.assert_nothing_failed(counts)
        return counts

    def assert_nothing_failed(self, counts):
        failed = failed_requests(counts)
        if failed:
            raise AssertionError(f"of {counts['requests']} requests some failed: {'; '.join(failed)}")

    # --- how fast AWS was called ---

    def calls(self, operations):
        """Times of those calls whose name is such that `operations` says yes."""
        answer = self.world.admin("GET", "calls")
        self.assertEqual(answer["calls_total"], len(answer["calls"]), "some were forgotten")
        return [c["time_ms"] for c in answer["calls"] if operations(c["operation"])]

    def busiest(self, times, span_ms=1000):
        """The most calls in any stretch of so long."""
        return max((sum(t <= u < t + span_ms for u in times) for t in times), default=0)

    def assert_rates(self, deployments):
        counts = self.world.counters()["operations"]
        self.assertEqual({o: c["throttled"] for o, c in counts.items() if c["throttled"]}, {})
        gateway = self.calls(lambda o: not any(part in o for part in (*LAMBDA, *CLOUDWATCH)))
        self.assertGreater(len(gateway), 10 * deployments)
        self.assertLessEqual(self.busiest(gateway), 10)
        made = self.calls(lambda o: o == "CreateDeployment")
        self.assertEqual(len(made), deployments)
        self.assertLessEqual(self.busiest(made, 5000), 1)
        permissions = self.calls(lambda o: "Permission" in o or "Policy" in o)
        self.assertGreaterEqual(len(permissions), 6)
        self.assertLessEqual(self.busiest(permissions), 10)


class Rest(TrafficCase):
    DEPLOYMENTS = 1

    def test_no_request_fails_over_an_update(self):
        self.begin()
        counts = self.update_under_traffic(REQUESTS)
        self.assertGreaterEqual(counts["requests"], REQUESTS)
        for stage in STAGES:
            answers = answers_of(counts, stage)
            self.assertEqual(set(answers), {"Hello V1", "Hello V2"}, stage)
            self.assertGreaterEqual(sum(a["count"] for a in answers.values()), REQUESTS // 3)
        self.assert_spanned(answers_of(counts, "prod"))
        self.assert_world_agrees(counts)
        self.assert_rates(self.DEPLOYMENTS)

    def assert_spanned(self, prod):
        """Requests were on their way before the alias first moved, and after it had for the last time."""
        self.assertEqual(self.world.changes("hello", "prod"), ["1", "1+2@10", "1+2@50", "2"])
        moves = [c["time_ms"] for c in self.world.counters()["alias_changes"] if c["alias"] == "prod"][1:]
        self.assertLess(prod["Hello V1"]["first_ms"], moves[0])
        self.assertGreaterEqual(prod["Hello V1"]["last_ms"], moves[1])
        self.assertLess(prod["Hello V2"]["first_ms"], moves[1])
        self.assertGreater(prod["Hello V2"]["last_ms"], moves[-1] + 100)

    def assert_world_agrees(self, counts):
        """What hammer counted, API Gateway has answered, but for the daemon's own probes; and it failed none either."""
        stages = {name.split("/")[1]: s for name, s in self.world.counters()["stages"].items()}
        self.assertEqual(set(stages), set(STAGES))
        for stage in STAGES:
            self.assertEqual(stages[stage]["server_errors"] + stages[stage]["client_errors"], 0, stages)
            sent = sum(a["count"] for a in answers_of(counts, stage).values())
            self.assertIn(stages[stage]["requests"] - sent, range(20))

    def test_the_same_fails_without_permissions(self):
        """That the count can see a failure at all: one part of rolloutd is broken, and nothing else is different."""
        with mock.patch.object(rolloutd_case, "ROLLOUTD", BROKEN):
            self.begin()
            with self.assertRaisesRegex(AssertionError, r"requests some failed: .*prod: \d+ x 500 .*nternal"):
                self.update_under_traffic(2 * AROUND, probe=False)
        self.assertEqual(self.calls(lambda o: o == "AddPermission"), [])


class Http(Rest):
    KIND = "http"
    DEPLOYMENTS = 0  # its stages deploy by themselves


class Together(TrafficCase):
    def test_two_services_at_once_stay_under_the_limits(self):
        self.begin()
        for name in ("hello", "other"):
            self.put_zip(hello(1), f"{name}.zip")
            self.d.put_plan(f"{name}.yaml", service().replace("hello-api", f"{name}-api").replace(
                "function: hello", f"function: {name}").replace("name: hello\n", f"name: {name}\n").replace(
                "hello.zip", f"{name}.zip"))
        for name in ("hello", "other"):
            self.ctl.until(name, lambda s: s["phase"] == "succeeded", "to be as declared")
        wait_long("both APIs", lambda: len(self.world.counters()["stages"]) == 6)
        self.assert_rates(deployments=2)


if __name__ == "__main__":
    unittest.main()
