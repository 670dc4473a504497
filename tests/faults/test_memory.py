#!/usr/bin/python3
"""Allocations that fail, each of them: once, and every one from there on.

rolloutd's own allocations, and those of OpenSSL, libcurl and Jansson on its behalf, end the process with a sentence.
That is looked at for every single one of a rollout, in a copy of the process that may do nothing else (allocations.c).
Being ended there is the same as being killed there, which test_kill.py covers. What does not end it at once (SQLite,
libuv, the C library) is tried in a run of its own, for each call stack that there is: the daemon goes on or ends with a
sentence, and started again it comes to the right end.

# runner: timeout 300
"""

import collections
import os
import re
import signal
import subprocess
import unittest

from authority import the_authority
from faults import ALL, BAD, BUILD, EMPTY_WORLD, GOOD, PRELOADS, Trial, World, Worlds, figure, is_readable
from faults import points, sentence, side_by_side
from rolloutd_case import DEADLINE, ENVIRONMENT

LIBRARY = os.path.join(PRELOADS, "allocations.so")
ENDS = (0, 1, -signal.SIGABRT)

# The C library's name service does not survive it (2.36 looks for nsswitch.conf's table behind a NULL pointer, ld.so
# ends the program in the middle of a module). It is asked for a group once, at the start, when nothing is under way.
NAME_SERVICE = "getgrnam_r"

# A leak that comes with each failure would show in the allocations that are left at the end.
LEFT_MORE = 12


def preload(report, **more):
    """One authority to be trusted: the system's are tens of thousands of allocations, all alike."""
    return {"LD_PRELOAD": LIBRARY, "FAULT_REPORT": report, "AWS_CA_BUNDLE": the_authority().path("ca.pem"),
            **{f"FAULT_{k.upper()}": str(v) for k, v in more.items()}}


def lines(path, word):
    with open(path, encoding="utf-8") as f:
        return [line.split() for line in f if line.startswith(word + " ")]


def setUpModule():
    unittest.addModuleCleanup(the_authority().close)  # made before any thread asks for it


@unittest.skipUnless(os.path.exists(LIBRARY), f"{LIBRARY} was not built")
class Memory(unittest.TestCase):
    def setUp(self):
        self.worlds = Worlds(self)

    def survey(self, kind):
        """Gives how many were proven; the call stacks of the others with how often they came; what was left at the end
        of an unharmed run."""
        with Trial(self.worlds.get(), kind) as t:
            report = os.path.join(t.folder, "report")
            t.start(environment=preload(report, survey=1))
            t.wait_end("surveyed")
            self.assertEqual(t.stop(), 0, t.d.log())
            for crash in lines(report, "crash"):
                self.assertTrue(crash)
            stacks, names = collections.Counter(), {}
            for _, _, stack, *frames in lines(report, "open"):
                stacks[stack] += 1
                names[stack] = " ".join(frames)
            ((_, total, _),) = lines(report, "end")
            proven = len(lines(report, "proven"))
            self.assertEqual(proven + stacks.total(), int(total))
            return proven, stacks, names

    def left_unharmed(self, kind):
        with Trial(self.worlds.get(), kind) as t:
            report = os.path.join(t.folder, "report")
            t.start(environment=preload(report, at=0))
            t.wait_end()
            self.assertEqual(t.stop(), 0, t.d.log())
            return int(lines(report, "end")[0][2])

    def one(self, kind, stack, nth, from_there, frames, unharmed):
        """Gives how the process ended: 0, or that it was ended by the failure."""
        what = f"{kind}: allocation {nth} with stack {stack}{' and all after it' if from_there else ''}: {frames}"
        with Trial(self.worlds.get(), kind) as t:
            report = os.path.join(t.folder, "report")
            t.start(environment=preload(report, stack=stack, nth=nth, **({"from": 1} if from_there else {})))
            t.wait_end(what)
            struck = bool(lines(report, "struck"))
            code = t.d.process.returncode if t.gone() else t.stop()
            if code and NAME_SERVICE in frames:
                t.expect("is ready" not in t.log(), f"{what}: not at the start")
                code = "name service"
            else:
                t.expect(code in ENDS, f"{what}: ended with {code}")
            if code and code != "name service":
                t.expect(is_readable(sentence(t.log())), f"{what}: ended with {code} and no readable sentence")
            elif code == 0:
                left = int(lines(report, "end")[0][2])
                t.expect(left <= unharmed + LEFT_MORE, f"{what}: {left} allocations are left, not {unharmed}")
            t.recover(what)
            return struck, code

    def every_allocation(self, kind, at_most, but=()):
        """`but`: stacks that were tried. Gives the stacks."""
        proven, stacks, names = self.survey(kind)
        self.assertGreater(proven, 3000, "the survey no longer sees what it did")
        unharmed = self.left_unharmed(kind)
        runs = []
        for stack, count in sorted(stacks.items()):
            if stack in but:
                continue
            runs += [(kind, stack, 1, from_there, names[stack], unharmed) for from_there in (False, True)]
            if ALL and count > 1:
                runs.append((kind, stack, count // 2 + 1, False, names[stack], unharmed))
        runs = [runs[n] for n in points(len(runs) - 1, at_most, 0)]
        done = side_by_side(self.one, runs)
        struck = [code for was, code in done if was]
        self.assertGreaterEqual(len(struck), len(done) // 2)
        figure("allocations proven to end it", proven)
        figure("allocation failures in runs of their own", len(struck))
        figure("of those survived", struck.count(0))
        figure("of those ended in the C library's name service", struck.count("name service"))
        return stacks

    def test_rollout(self):
        tried = self.every_allocation(GOOD, at_most=40)
        if ALL:
            self.every_allocation(BAD, at_most=40, but=tried)


@unittest.skipUnless(os.path.exists(LIBRARY), f"{LIBRARY} was not built")
class Command(unittest.TestCase):
    """rolloutctl, for every allocation that it makes."""

    @classmethod
    def setUpClass(cls):
        cls.world = World(EMPTY_WORLD)
        cls.addClassCleanup(cls.world.close)
        cls.trial = Trial(cls.world, GOOD).__enter__()
        cls.addClassCleanup(cls.trial.__exit__)
        cls.trial.d.start()
        cls.trial.traced, cls.trial.log_from = False, 0
        cls.trial.ctl.phase("shipped", "succeeded")

    def run_with(self, arguments, **more):
        report = os.path.join(self.trial.folder, f"report-{'-'.join(map(str, more.values()))}")
        p = subprocess.run(
            [os.path.join(BUILD, "rolloutctl"), *arguments],
            env={**ENVIRONMENT, "ROLLOUTD_SOCKET": self.trial.d.socket, **preload(report, **more)}, timeout=DEADLINE,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        ends = lines(report, "end")
        os.unlink(report)
        return p, int(ends[0][1]) if ends else 0

    def one(self, arguments, n, from_there):
        p, _ = self.run_with(arguments, at=n, **({"from": 1} if from_there else {}))
        what = f"{arguments}, allocation {n}, {p.returncode}: {p.stdout}{p.stderr}"
        self.assertIn(p.returncode, (0, 1, 2, 6, -signal.SIGABRT), what)
        if p.returncode:
            self.assertTrue(is_readable(sentence(p.stdout + p.stderr)), what)
        self.assertIsNone(re.search(r"AddressSanitizer|corrupt|invalid pointer", p.stderr), what)

    def test_every_allocation(self):
        count = 0
        plan = os.path.join(self.trial.d.plans, "shipped.yaml")
        for arguments in (["status", "shipped"], ["list"], ["events", "shipped"], ["history", "shipped"],
                          ["validate", plan], ["status", "shipped", "-o", "json"]):
            p, total = self.run_with(arguments, at=0)
            self.assertEqual(p.returncode, 0, p.stderr)
            chosen = [(arguments, n, f) for n in points(total, 20) for f in (False, True)]
            side_by_side(self.one, chosen, 4)
            count += len(chosen)
        figure("allocation failures of rolloutctl", count)


if __name__ == "__main__":
    unittest.main()
