#!/usr/bin/python3
"""A thousand calls and more, of all services and nearly all operations, to a server that verifies strictly: key, scope,
session token, five minutes of clock, signed headers, body. None is refused, and the server says so itself.

# runner: timeout 200
"""

import os
import unittest

from rollout_case import RolloutCase, make_plan, wait_long
from rolloutd_case import SECRET, TOKEN
from service_case import API_NAME, SERVICE_CONFIG, hello, service

CALLS = 1000
MANY = 72

WORLD = """
seed: 19
limits: off
invoke_delay: false
functions:
  f:
    copies: %d
    versions: {1: {code: one}, 2: {code: two}, 3: {code: three, error_rate: 100%%}, 4: {code: four}}
    aliases: {prod: {version: 1}}
  smoke:
    versions: {1: {body: '{"status": "Succeeded"}'}}
    aliases: {live: {version: 1}}
alarms: [{name: quiet, state: OK}]
traffic: [{function: f-*, alias: prod, rps: 30, arrival: even}]
metrics: {period: 1s, delay: 200ms}
""" % MANY

# One after the other, over and over.
PLANS = [
    {"version": "latest"},
    {"version": 3},
    {"version": "{publish: {zip: hello.zip}}"},
    {"version": 2, "more": "keep_versions: 1"},
    {"version": 2, "more": "hooks: {pre_traffic: {invoke: 'smoke:live'}, post_traffic: {invoke: 'smoke:live'}}"},
    {"version": 2, "metrics": "metrics: [{errors: {max_rate: 20%, min_invocations: 3}}, {alarm: quiet}]"},
]


class Verified(RolloutCase):
    WORLD, CONFIG = WORLD, SERVICE_CONFIG

    def signatures(self):
        return self.world.counters()["signatures"]

    def put_zip(self, name, version):
        path = os.path.join(self.d.plans, name)
        with open(path + ".new", "wb") as f:
            f.write(hello(version))
        os.rename(path + ".new", path)

    def put_service(self, kind):
        text = service(kind).replace("name: hello\n", f"name: {kind}\n").replace("function: hello", f"function: {kind}")
        text = text.replace(API_NAME, f"{kind}-api").replace("hello.zip", f"{kind}.zip")
        self.put_zip(f"{kind}.zip", 1)
        self.d.put_plan(f"{kind}.yaml", text)

    def test_a_thousand_mixed_calls(self):
        ctl = self.begin()
        self.put_zip("hello.zip", 9)
        kinds = ("rest", "http")
        for kind in kinds:
            self.put_service(kind)
        lam = self.world.aws("lambda")
        lam.put_provisioned_concurrency_config(FunctionName="f-0", Qualifier="1", ProvisionedConcurrentExecutions=2)
        names = [f"many-{n}" for n in range(MANY)]
        for n, name in enumerate(names):
            self.d.put_plan(f"{name}.yaml", make_plan(name, f"f-{n}", **PLANS[n % len(PLANS)]))
        for kind in kinds:
            ctl.until(kind, lambda s: s["phase"] == "succeeded", "to be as declared")
            self.put_zip(f"{kind}.zip", 2)
        for n, name in enumerate(names):
            ctl.phase(name, "rolled-back" if PLANS[n % len(PLANS)]["version"] == 3 else "succeeded")
        for kind in kinds:
            wait_long(f"{kind} to serve its new code", lambda kind=kind: self.world.holds(kind) == "2")
            ctl.json("doctor", os.path.join(self.d.plans, f"{kind}.yaml"), code=None)
        checked = self.signatures()
        self.assertGreaterEqual(checked.pop("good"), CALLS)
        self.assertEqual(set(checked.values()), {0}, checked)
        operations = {o for o, c in self.world.counters()["operations"].items() if c["ok"]}
        self.assertGreaterEqual(len(operations), 34, operations)
        self.assertNotIn("(unauthenticated)", operations)

    def test_the_server_is_strict(self):
        """It could not tell otherwise: each of these is refused, and counted by what is wrong with it."""
        self.begin(start=False)
        right = {"key": "AKIDEXAMPLE", "secret": SECRET, "token": TOKEN}
        for wrong, kind in (({}, "good"), ({"secret": SECRET + "x"}, "mismatch"), ({"token": None}, "mismatch"),
                            ({"token": TOKEN + "x"}, "mismatch"), ({"key": "AKIDNOBODY"}, "unknown_key")):
            client = self.world.client("lambda", **{**right, **wrong})
            before = self.signatures()
            try:
                client.get_alias(FunctionName="f-0", Name="prod")
            except client.exceptions.ClientError:
                self.assertNotEqual(kind, "good")
            finally:
                client.close()
            after = self.signatures()
            self.assertEqual({k: after[k] - before[k] for k in after if after[k] != before[k]}, {kind: 1})


if __name__ == "__main__":
    unittest.main()
