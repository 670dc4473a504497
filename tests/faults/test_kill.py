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

from faults import BAD, GOOD, Trial, Worlds, at_once, can_trace, figure, points, side_by_side, strace

CALL = re.compile(r"^\d+ +([a-z_0-9]+)\(")


class Survey:
    """What a log of strace says: every call as (name, its number among the calls of that name); the index of the first
    one that names the state; the calls that read the answer to an UpdateAlias."""

    def __init__(self, path):
        self.calls, self.state, self.answers = [], 0, []
        counts, sent = collections.Counter(), False
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
                if name == "sendto" and '"PUT /2015-03-31/functions/' in line:
                    sent = True
                elif sent and name == "recvfrom":
                    self.answers.append(self.calls[-1])
                    sent = False


def kill_at(call):
    # strace counts each kind of call by itself, also when several are named.
    return strace("-e", f"trace={call[0]}", "-e", f"inject={call[0]}:signal=SIGKILL:when={call[1]}")


@unittest.skipUnless(can_trace(), "strace is not there, or may not trace")
@at_once
class Kill(unittest.TestCase):
    def setUp(self):
        self.worlds = Worlds(self)

    def begun(self, kind, first_kill):
        """A trial, killed there once if asked for. As the number of polls differs, a run may end before it comes so far:
        then another one is taken."""
        for _ in range(5):
            t = Trial(self.worlds.get(), kind)
            if not first_kill or self.run_until_killed(t, first_kill):
                return t
            t.__exit__()
        raise AssertionError(f"{kind} ends before {first_kill}")

    def survey(self, kind, first_kill=None):
        """A run that is only watched."""
        with self.begun(kind, first_kill) as t:
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

    def one(self, kind, call, first_kill=None):
        """Gives "came through", "nothing" (it had changed nothing yet) or "recovered"."""
        what = f"{kind}, killed at {call}" + (f" after {first_kill}" if first_kill else "")
        with self.begun(kind, first_kill) as t:
            killed = self.run_until_killed(t, call)
            if killed and not first_kill and t.state_hash() == "" and t.set_to() == kind.wanted[:1]:
                return "nothing"  # a start from nothing is what every other trial begins with
            t.recover(what)
            return "recovered" if killed else "came through"

    def every_call(self, what, kind, at_most, first=None, first_kill=None):
        s = self.survey(kind, first_kill)
        self.assertGreater(s.state, 0, "no call names the state: this test no longer sees what it kills")
        calls = [s.calls[n] for n in points(len(s.calls) - 1, at_most, s.state if first is None else first)]
        done = side_by_side(self.one, [(kind, call, first_kill) for call in calls])
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
        # The earliest of some runs, as the number of polls before it differs.
        surveys = side_by_side(self.survey, [(kind,)] * 4)
        self.assertTrue(all(len(s.answers) >= nth for s in surveys))
        self.every_call("recovery kill points", kind, at_most, first_kill=min(s.answers[nth - 1] for s in surveys))

    def test_recovery_of_a_step(self):
        self.recovery(GOOD, 2, at_most=12)

    def test_recovery_of_the_way_home(self):
        self.recovery(BAD, 2, at_most=10)


if __name__ == "__main__":
    unittest.main()
