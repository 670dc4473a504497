#!/usr/bin/python3
"""kill -9 of the real daemon at every point of a rollout where it makes something durable, and around every message to
AWS; started again, it must come to the same end as without, with the same writes to the alias and nothing else.

strace kills it as it enters the N-th call of that kind, for N = 1, 2, 3, … until a run comes through unharmed.

# runner: timeout 300
"""

import concurrent.futures
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import markers
from rollout_case import CONFIG, Operator, World, make_plan, wait_long
from rolloutd_case import DEADLINE, ROLLOUTD, Daemon

AT_A_TIME = 14
POINTS_MAX = 80  # a rollout of three weights has about 35 of the most frequent kind

# One function for each point; no others' traffic, so that the machine is free for the daemons.
CRASH_WORLD = """
seed: 5
limits: off
functions:
  f:
    copies: 400
    versions:
      1: {code: one}
      2: {code: two}
      3: {code: three, error_rate: 100%}
    aliases:
      prod: {version: 1}
metrics: {period: 1s, delay: 200ms}
"""


def can_trace():
    """strace may be absent, or forbidden in a container."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-e", "inject=write:signal=SIGKILL:when=1", "echo"], capture_output=True,
                          check=False).returncode == -signal.SIGKILL


class Traced(Daemon):
    """Killed by strace at the N-th entry into a system call."""

    def start_killed_at(self, call, n):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}",
                 "-e", f"inject={call}:signal=SIGKILL:when={n}", ROLLOUTD, "--config", self.config],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")

    def stop_traced(self):
        """Gives its exit code: 0, or that it was killed, now or before. strace itself does not hand the signal on."""
        if self.process.poll() is None:
            self.terminate_child()
        return self.process.wait(DEADLINE + 30)

    def terminate_child(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has just been killed


@unittest.skipUnless(can_trace(), "strace is not there, or may not trace")
class Crash(unittest.TestCase):
    def setUp(self):
        self.world = World(CRASH_WORLD)
        self.addCleanup(self.world.close)
        self.numbers = itertools.count()

    def one(self, number, call, n, version, steps, wanted, phase):
        """One rollout, killed at that point. Gives whether there was such a point."""
        function = f"f-{number}"
        where = f"{call} {n}, version {version}"
        self.world.admin("PUT", "traffic", [{"function": function, "alias": "prod", "rps": 60, "arrival": "even"}])
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            d = Traced(folder, CONFIG, self.world.environment())
            d.put_plan("crash.yaml", make_plan("crash", function, version=version, steps=steps))
            d.start_killed_at(call, n)
            try:
                wait_long(f"an end, {where}", lambda: self.ended(d, function, wanted, phase))
                code = d.stop_traced()
                self.assertIn(code, (0, -signal.SIGKILL), f"{where}\n{d.log()}")
                d.start()
                self.look_at(d, function, wanted, phase, where)
                self.assertEqual(d.stop(), 0, f"{where}\n{d.log()}")
            finally:
                if d.process.poll() is None:
                    d.process.kill()
                    d.process.wait()
            markers.look_through(folder)
        self.world.admin("PUT", "traffic", [{"function": function, "alias": "prod", "rps": 0}])
        return code != 0

    def look_at(self, d, function, wanted, phase, where):
        ctl = Operator(d)
        ctl.phase("crash", phase)
        self.assertEqual([(h["attempt"], h["phase"]) for h in ctl.history("crash")], [(1, phase)], where)
        self.assertEqual(self.world.changes(function), wanted, f"{where}\n{d.log()}")
        weights = [e["text"] for e in ctl.events("crash", "weight")]
        self.assertEqual(len(weights), len(wanted) - 1, f"{where}: {weights}")

    def ended(self, d, function, wanted, phase):
        """Looks at the world first: a question on the control socket would be a message more that is counted."""
        if d.process.poll() is not None:
            return True
        if self.world.changes(function)[-1] != wanted[-1] or len(self.world.changes(function)) < len(wanted):
            return False
        try:
            return (Operator(d).status("crash") or {}).get("phase") == phase
        except OSError:
            return False

    def every_point(self, call, version, steps, wanted, phase, least):
        """Kills at 1, 2, 3, …, several daemons at a time, until one of them was not killed."""
        points = 0
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            for first in range(1, POINTS_MAX, AT_A_TIME):
                runs = [pool.submit(self.one, next(self.numbers), call, n, version, steps, wanted, phase)
                        for n in range(first, first + AT_A_TIME)]
                killed = [r.result() for r in runs]
                points += killed.count(True)
                if not all(killed):
                    break
            else:
                self.fail(f"still killed at {call} {POINTS_MAX}")
        # Fewer would mean that the calls are not what this test takes them for.
        self.assertGreaterEqual(points, least)

    GOOD = (2, [(10, 1), (50, 1)], ["1", "1+2@10", "1+2@50", "2"], "succeeded")
    BAD = (3, [(10, 1), (50, 1)], ["1", "1+3@10", "1"], "rolled-back")

    def test_good_version_at_every_sync(self):
        self.every_point("fdatasync", *self.GOOD, least=15)

    def test_bad_version_at_every_sync(self):
        self.every_point("fdatasync", *self.BAD, least=12)

    def test_good_version_before_every_request(self):
        self.every_point("sendto", *self.GOOD, least=7)

    def test_good_version_before_every_answer(self):
        """The request was sent, and what it asked for has happened or will."""
        self.every_point("recvfrom", *self.GOOD, least=7)

    def test_bad_version_before_every_answer(self):
        self.every_point("recvfrom", *self.BAD, least=5)


if __name__ == "__main__":
    unittest.main()
