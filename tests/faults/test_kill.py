#!/usr/bin/python3
"""kill -9 of the real daemon at every system call that it makes: of a rollout that succeeds, of one that is rolled
back, and of the recovery from such a kill. Started again, it must come to the same end as without, with the same
writes.

A run under strace says which calls there are; strace then kills one run at each of them, as it enters it.

# runner: timeout 300
"""

import collections
import os
import re
import signal
import unittest

from faults import BAD, GOOD, Trial, Worlds, at_once, can_trace, figure, points, side_by_side, strace, wait_long

CALL = re.compile(r"^\d+ +([a-z_0-9]+)\(")


class Survey:
    """What a log of strace says: every call as (name, its number among the calls of that name), and the index of the
    first one that names the state."""

    def __init__(self, path):
        self.calls, self.state = [], 0
        counts = collections.Counter()
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                found = CALL.match(line)
                if not found:
                    continue
                name = found.group(1)
                counts[name] += 1
                self.calls.append((name, counts[name]))
                if not self.state and "/state" in line:
                    self.state = len(self.calls) - 1


def kill_at(call):
    # strace counts each kind of call by itself, also when several are named.
    return strace("-e", f"trace={call[0]}", "-e", f"inject={call[0]}:signal=SIGKILL:when={call[1]}")


@unittest.skipUnless(can_trace(), "strace is not there, or may not trace")
@at_once
class Kill(unittest.TestCase):
    def setUp(self):
        self.worlds = Worlds(self)

    def begun(self, kind, write):
        """A trial; killed once, if asked for, when AWS has done that write and its answer is still to come."""
        t = Trial(self.worlds.get(), kind)
        if not write:
            return t
        t.world.fault("lost_after", "UpdateAlias", function=t.function, nth=write, connection="hang")
        t.start()
        wait_long(f"write {write}", lambda: t.gone() or t.holds() == kind.wanted[write])
        self.assertEqual(t.kill(), -signal.SIGKILL)
        return t

    def survey(self, kind, first_write=None):
        """A run that is only watched."""
        with self.begun(kind, first_write) as t:
            out = os.path.join(t.folder, "calls")
            t.start(strace("-s", "64", out=out))
            t.wait_end("surveyed")
            self.assertEqual(t.stop(), 0, t.d.log())
            return Survey(out)

    def run_until_killed(self, t, call):
        """Whether it was killed at that call; otherwise it came to its end, and was stopped."""
        t.start(kill_at(call))
        t.wait_end(f"killed at {call}")
        code = t.d.process.returncode if t.gone() else t.stop()
        t.expect(code in (0, -signal.SIGKILL), f"{call}: ended with {code}")
        return code != 0

    def one(self, kind, call, first_write=None):
        """Gives "came through", "nothing" (it had changed nothing yet) or "recovered"."""
        what = f"{kind}, killed at {call}" + (f" after write {first_write}" if first_write else "")
        with self.begun(kind, first_write) as t:
            killed = self.run_until_killed(t, call)
            if killed and not first_write and t.state_hash() == "" and t.set_to() == kind.wanted[:1]:
                return "nothing"  # a start from nothing is what every other trial begins with
            t.recover(what)
            return "recovered" if killed else "came through"

    def every_call(self, what, kind, at_most, first=None, first_write=None):
        s = self.survey(kind, first_write)
        self.assertGreater(s.state, 0, "no call names the state: this test no longer sees what it kills")
        calls = [s.calls[n] for n in points(len(s.calls) - 1, at_most, s.state if first is None else first)]
        done = side_by_side(self.one, [(kind, call, first_write) for call in calls])
        killed = len(done) - done.count("came through")
        figure(what, killed)
        # Only the number of polls and of timers differs from run to run.
        self.assertGreater(killed, len(done) * 0.9, "fewer were killed than there are calls")
        self.assertGreater(done.count("recovered"), 0)

    def test_success(self):
        self.every_call("kill points", GOOD, at_most=22, first=0)

    def test_rollback(self):
        """From the first call that touches the state: what comes before is the same in every run."""
        self.every_call("kill points", BAD, at_most=16)

    def recovery(self, kind, nth, at_most):
        """Killed with a write's answer waiting to be read, and killed again while it finds out what became of it."""
        self.every_call("recovery kill points", kind, at_most, first_write=nth)

    def test_recovery_of_a_step(self):
        self.recovery(GOOD, 2, at_most=12)

    def test_recovery_of_the_way_home(self):
        self.recovery(BAD, 2, at_most=10)


if __name__ == "__main__":
    unittest.main()
