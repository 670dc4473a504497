#!/usr/bin/python3
"""Keys that end while rollouts run: rolloutd fetches new ones ahead of that, once for all who want some, and signs
nothing with dead ones. rollout-localaws refuses each key from the moment that was its end, and counts."""

# runner: timeout 300

import heapq
import os
import threading
import time
import unittest

from credential_source import Source
from rollout_case import RolloutCase, wait_long
from service_case import at_once

SLOW = int(os.environ.get("ROLLOUT_SLOW", "1"))
SHORT = 12 * SLOW  # seconds that keys last: rolloutd asks for the next ones after half of it
LONG = 24 * SLOW
WAVE = 12  # rollouts at a time
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Mint:
    """Makes keys, tells the world of each before anybody has it, and has the world refuse it from its end on."""

    def __init__(self, world):
        self.world, self.life, self.made, self.ended = world, SHORT, 0, 0
        self.ends, self.changed, self.closing = [], threading.Condition(), False
        self.thread = threading.Thread(target=self.reap, daemon=True)
        self.thread.start()

    def make(self):
        with self.changed:
            self.made += 1
            keys = {"id": f"ASIAROTATED{self.made:09}", "secret": f"secret-{self.made}", "token": f"token-{self.made}"}
            until = int(time.time()) + self.life
        self.world.admin("PUT", "keys", [keys])
        with self.changed:
            heapq.heappush(self.ends, (until, keys["id"]))
            self.changed.notify()
        return {**keys, "until": until}

    def reap(self):
        with self.changed:
            while not self.closing:
                if not self.ends:
                    self.changed.wait()
                elif (left := self.ends[0][0] - time.time()) > 0:
                    self.changed.wait(left)
                else:
                    _, name = heapq.heappop(self.ends)
                    self.world.admin("PUT", "keys", [{"id": name, "expired": True}])
                    self.ended += 1

    def close(self):
        with self.changed:
            self.closing = True
            self.changed.notify()
        self.thread.join()


@at_once
class Rotation(RolloutCase):
    def begin_with(self, variables):
        self.begin(start=False)
        self.mint = Mint(self.world)
        self.stack.callback(self.mint.close)
        self.source = Source(self.mint.make)
        self.stack.callback(self.source.close)
        for name in KEY_VARIABLES:
            del self.d.environment[name]
        self.d.environment.update(variables(self.source.url))
        self.d.start()
        self.names = []

    def begin_wave(self):
        first = len(self.names)
        names = [f"r-{n}" for n in range(first, first + WAVE)]
        for n, name in enumerate(names, first):
            self.drop(name, f"f-{n % 40}", alias="prod" if n < 40 else "test", version=2, metrics="",
                      steps=((10, 2), (50, 2)), analysis="no_data: pass")
        self.names += names
        return names

    def end_wave(self, names):
        for name in names:
            self.ctl.phase(name, "succeeded")

    def calls(self):
        return sum(o["calls"] for o in self.world.counters()["operations"].values())

    def warning(self):
        findings = self.ctl.get("/v1/accounts")[1]["findings"]
        return next((f["text"] for f in findings if f["level"] == "warning"), None)

    def run_through(self, last, source):
        while self.mint.ended < 2:
            self.end_wave(self.begin_wave())
        self.mint.life = LONG
        made = self.mint.made
        wait_long("keys that last longer", lambda: self.mint.made > made)
        # Down from here on; its last keys are good for long enough.
        self.source.down = True
        text = wait_long("the warning", self.warning)
        self.assertIn("its next keys cannot be fetched", text)
        names, before = self.begin_wave(), self.calls()
        account, = self.ctl.get("/v1/accounts")[1]["accounts"]
        self.assertIn(source, account["source"])
        self.assertTrue(account["arn"].endswith(f"user/ASIAROTATED{self.mint.made:09}"), account)
        wait_long("calls with the old keys", lambda: self.calls() > before + 3 * WAVE)
        made = self.mint.made
        self.source.down = False
        wait_long("the next keys", lambda: self.mint.made > made)
        self.end_wave(names)
        operations = self.world.counters()["operations"]
        self.assertNotIn("(unauthenticated)", operations)
        for name in self.names:
            self.assertEqual(self.ctl.events(name, "trouble"), [], name)
        # Once for all: never two at a time, and no more than what was given away or refused.
        self.assertEqual(self.source.most_open, 1)
        answered = [h for h in self.source.heard if h[1].endswith(last) and not h[-1]]
        self.assertEqual(len(answered), self.source.given)
        self.assertEqual(self.source.given, self.mint.made)
        self.assertGreaterEqual(self.source.refused, 1)
        self.assertGreaterEqual(self.mint.made, 4)
        print(f"{len(self.names)} rollouts, {self.calls()} calls, {self.mint.made} keys, {self.mint.ended} of them "
              f"ended, {self.source.refused} fetches refused, 0 calls signed with dead keys")

    def test_container(self):
        self.begin_with(lambda url: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url + "/creds"})
        self.run_through("/creds", "container's role")

    def test_instance(self):
        self.begin_with(lambda url: {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"})
        self.run_through("/security-credentials/ops", "instance role ops")


if __name__ == "__main__":
    unittest.main()
