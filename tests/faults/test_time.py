#!/usr/bin/python3
"""Clocks that jump, a daemon that stands still, and daemons that meet: no step early, none twice, and never two
writers.

A stopped daemon cannot be replaced while it holds its lock. Here its lock is taken away as well, as somebody might do
at two in the morning, and another one takes over its state; when the first one is let go on, it must write nothing
more.

# runner: timeout 300
"""

import contextlib
import datetime
import itertools
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest
import unittest.mock

from faults import BAD, EMPTY_WORLD, FUNCTION, GOOD, NAME, PRELOADS, Trial, World, Worlds, at_once, can_trace, figure
from faults import make_plan, points, sentence, side_by_side, strace, wait_long

LIBRARY = os.path.join(PRELOADS, "clock.so")
HOUR = 3600
LONG = HOUR
SECOND_NS = 1_000_000_000
CALL = re.compile(r"^\d+ +([a-z_0-9]+)\(")


def second_daemon(stack, first):
    """Another daemon, with a folder and a socket of its own, on the state of the first, for the same plans."""
    other = Trial(first.world, first.kind, steps=first.steps, function=first.function)
    stack.enter_context(other)
    os.symlink(os.path.join(first.folder, "state"), os.path.join(other.folder, "state"))
    return other


def stands_still(log):
    """By the log of strace: to the kernel, what is traced stands still at every call."""
    with open(log, encoding="utf-8", errors="replace") as f:
        return "stopped by SIGSTOP" in f.read()


@at_once
class Standstill(unittest.TestCase):
    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)
        self.worlds = Worlds(self)
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def taken_over(self, first):
        """While the first one stands still: another does all the rest. Then the first one goes on."""
        second = second_daemon(self.stack, first)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(first.folder, "state/rolloutd.db.lock"))
        second.start()
        wait_long("the second daemon to answer", second.d.answers)
        return second

    def goes_on(self, first, what):
        """Gives what it said. It may still send what it had on record, and AWS refuses that for its RevisionId."""
        first.signal(signal.SIGCONT)
        code = wait_long(f"the stale daemon to end, {what}", lambda: (first.gone(), first.d.process.poll())
                         if first.gone() else None)[1]
        first.expect(code == 1, f"{what}: the stale daemon ended with {code}")
        return first.log()

    def test_in_the_middle_of_a_bake(self):
        with Trial(self.world, GOOD, steps=[(10, LONG), (50, 1)]) as first:
            first.start()
            wait_long("the daemon to answer", first.d.answers)
            first.ctl.weight(NAME, 10)
            first.signal(signal.SIGSTOP)

            refused = second_daemon(self.stack, first)
            refused.start()
            self.assertEqual(refused.d.process.wait(30), 1)
            self.assertIn("in use by another rolloutd", sentence(refused.log()))
            self.assertIn(f"process {first.d.process.pid}", sentence(refused.log()))

            second = self.taken_over(first)
            second.ctl.run("promote", NAME)
            second.ctl.phase(NAME, "succeeded")
            said = self.goes_on(first, "bake")
            self.assertIn("another daemon has taken over this state: this one stops", said)
            self.assertEqual(self.world.changes(first.function), GOOD.wanted)
            self.assertEqual(self.world.calls("UpdateAlias"), 3)
            self.assertEqual(second.stop(), 0)

    def one(self, kind, call, n):
        """Stopped as it enters that call."""
        what = f"{kind}, stopped at {call} {n}"
        with Trial(self.worlds.get(), kind) as first:
            out = os.path.join(first.folder, "calls")
            first.start(strace("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGSTOP:when={n}", out=out))
            wait_long(what, lambda: os.path.exists(out) and stands_still(out) or first.said_end())
            ending = not stands_still(out)
            if ending:  # the last records are made as it stops
                first.signal(signal.SIGTERM)
                wait_long(what, lambda: stands_still(out) or first.gone())
            if first.gone():
                self.assertEqual(first.d.process.returncode, 0)
                return "not stopped"
            with contextlib.ExitStack() as stack:
                second = Trial(first.world, kind, function=first.function)
                stack.enter_context(second)
                os.makedirs(os.path.join(first.folder, "state"), mode=0o700, exist_ok=True)
                os.symlink(os.path.join(first.folder, "state"), os.path.join(second.folder, "state"))
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(first.folder, "state/rolloutd.db.lock"))
                second.start()
                wait_long("the second daemon", lambda: second.gone() or self.answers(second))
                if second.gone():
                    return self.went_on_alone(first, second, ending, what)
                second.ctl.phase(NAME, kind.phase)
                self.goes_on(first, what)
                second.check(what)
                return "taken over"

    def answers(self, t):
        try:
            return t.d.get("/healthz")[0] in (200, 503)
        except OSError:
            return False

    def went_on_alone(self, first, second, ending, what):
        """Stopped in the middle of a transaction: SQLite's own lock keeps the other out, and that is said."""
        second.expect(second.d.process.returncode == 1, what)
        second.expect("open for writing" in sentence(second.log()), f"{what}: {sentence(second.log())}")
        first.signal(signal.SIGCONT)
        if ending:
            first.expect(first.d.process.wait(30) == 0, what)
            second.recover(what)
        else:
            first.wait_end(what)
            first.check(what)
        return "refused"

    @unittest.skipUnless(can_trace(), "strace is not there, or may not trace")
    def test_at_every_record_and_message(self):
        runs = []
        for kind in (GOOD, BAD):
            with Trial(self.world, kind) as t:
                out = os.path.join(t.folder, "calls")
                t.start(strace("-e", "trace=fdatasync,sendto,recvfrom", out=out))
                t.wait_end()
                self.assertEqual(t.stop(), 0)
                with open(out, encoding="utf-8", errors="replace") as f:
                    calls = [m.group(1) for m in map(CALL.match, f) if m]
                runs += [(kind, call, n) for call in ("fdatasync", "sendto", "recvfrom")
                     for n in range(1, calls.count(call) + 1)]
        runs = [runs[n] for n in points(len(runs) - 1, 14, 0)]
        done = side_by_side(self.one, runs)
        self.assertGreater(done.count("taken over"), len(done) // 4)
        figure("stops with a second daemon taking over", done.count("taken over"))
        figure("stops with a second daemon refused", done.count("refused"))


@at_once
class Strangers(unittest.TestCase):
    """Two daemons with states of their own, and one alias."""

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)

    def test_never_a_fight(self):
        with Trial(self.world, GOOD, steps=[(10, LONG), (50, LONG)]) as first, \
                Trial(self.world, GOOD, steps=[(20, LONG), (60, LONG)], function=first.function) as second:
            for t in (first, second):
                t.start()
                wait_long("the daemon to answer", t.d.answers)
                if t is first:
                    t.ctl.weight(NAME, 10)
            s = second.ctl.until(NAME, lambda s: s["phase"] in ("blocked", "failed"), "to leave it alone")
            self.assertIn("10%", s["reason"])
            self.assertEqual(self.world.changes(first.function), GOOD.wanted[:2])
            self.assertEqual(s["phase"], "blocked")
            # An operator insists: the second one may send all home, and it is the first that stops.
            second.ctl.run("rollback", NAME)
            wait_long("the way home", lambda: self.world.changes(first.function) == ["1", "1+2@10", "1"])
            first.ctl.run("promote", NAME)
            s = first.ctl.phase(NAME, "blocked")
            self.assertIn("somebody else changed the alias: it holds version 1", s["reason"])
            before = self.world.changes(first.function)
            for t in (first, second):
                self.assertEqual(t.stop(), 0)
                t.start()
                wait_long("the daemon to answer", t.d.answers)
            still = ("blocked", "failed", "rolled-back")
            wait_long("both to be still", lambda: all(t.ctl.status(NAME)["phase"] in still for t in (first, second)))
            self.assertEqual(self.world.changes(first.function), before)
            for t in (first, second):
                self.assertEqual(t.stop(), 0)


def set_clocks(path, wall_s=0, boot_s=0):
    with open(path, "r+b") as f:
        f.write(struct.pack("qq", wall_s * SECOND_NS, boot_s * SECOND_NS))


@unittest.skipUnless(os.path.exists(LIBRARY), f"{LIBRARY} was not built")
@at_once
class Clocks(unittest.TestCase):
    """The wall clock set by hours, in the middle of a bake of three seconds."""

    STEPS = ((10, 3), (50, 3))

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)

    def set_clocks(self, t, wall_s=0):
        set_clocks(os.path.join(t.folder, "clock"), wall_s)

    def start(self, t, before=()):
        path = os.path.join(t.folder, "clock")
        if not os.path.exists(path):
            with open(path, "wb") as f:
                f.write(bytes(16))
        t.start(before, environment={"LD_PRELOAD": LIBRARY, "FAULT_CLOCK": path})
        wait_long("the daemon to answer", t.d.answers)

    def check_steps(self, t):
        """Each weight for as long as it was asked for, by the clock of AWS."""
        self.assertEqual(t.set_to(), GOOD.wanted)
        changes = t.changes()[1:]
        for earlier, later in itertools.pairwise(changes):
            self.assertGreaterEqual(later["time_ms"] - earlier["time_ms"], 3000)
        self.assertEqual(t.stop(), 0)

    def wall(self, seconds):
        """Away and, once it has been seen that nothing comes early, back again."""
        with Trial(self.world, GOOD, steps=self.STEPS) as t:
            self.start(t)
            t.ctl.weight(NAME, 10)
            self.set_clocks(t, wall_s=seconds)
            # It says that it goes on by itself, or why it does not.
            t.ctl.until(NAME, lambda s: s["weight"] != 10 or s["trouble"] or
                        (s["baked_ms"] >= 3000 and s["verdict"]["verdict"] == "undecided"), "to meet the jump")
            self.set_clocks(t)
            t.ctl.phase(NAME, "succeeded")
            self.check_steps(t)

    def test_wall_hours_ahead(self):
        self.wall(6 * HOUR)

    def test_wall_hours_back(self):
        self.wall(-6 * HOUR)

    def test_wall_minutes_ahead(self):
        self.wall(2 * 60)

    def test_wall_minutes_back(self):
        self.wall(-2 * 60)

    def stays(self, seconds, version_is_bad):
        """The jump stays. AWS tells the time by its refusals; a bad version is found all the same, or nothing moves."""
        kind = BAD if version_is_bad else GOOD
        with Trial(self.world, kind, steps=self.STEPS) as t:
            self.start(t)
            t.ctl.weight(NAME, 10)
            self.set_clocks(t, wall_s=seconds)
            t.ctl.run("rollback", NAME)
            t.ctl.phase(NAME, "rolled-back")
            self.assertEqual(t.set_to(), [*kind.wanted[:2], "1"])
            self.assertEqual(t.stop(), 0)

    def test_rollback_with_the_clock_hours_ahead(self):
        self.stays(6 * HOUR, False)

    def test_rollback_with_the_clock_hours_back(self):
        self.stays(-6 * HOUR, True)


@unittest.skipUnless(os.path.exists(LIBRARY), f"{LIBRARY} was not built")
@at_once
class WrongFromTheStart(unittest.TestCase):
    """The host's clock is wrong before the daemon starts, and stays so. AWS verifies signatures strictly: in all of it
    one request is refused at most, and everything goes by AWS's time, metrics too."""

    MANY = 8

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)

    def refused(self):
        return self.world.calls("(unauthenticated)")

    def sent(self):
        return sum(o["calls"] for o in self.world.counters()["operations"].values())

    def whole(self, seconds):
        with Trial(self.world, GOOD) as t:
            path = os.path.join(t.folder, "clock")
            with open(path, "wb") as f:
                f.write(bytes(16))
            set_clocks(path, seconds)
            names = [f"many-{n}" for n in range(self.MANY)]
            for n, name in enumerate(names):
                f, version = f"{name}-f", BAD.version if n % 2 else GOOD.version
                self.world.admin("PUT", "world", FUNCTION % (f, f))
                t.d.put_plan(f"{name}.yaml", make_plan(name, f, version=version))
            t.start(environment={"LD_PRELOAD": LIBRARY, "FAULT_CLOCK": path})
            wait_long("the daemon to answer", t.d.answers)
            t.ctl.phase(NAME, "succeeded")
            for n, name in enumerate(names):
                t.ctl.phase(name, "rolled-back" if n % 2 else "succeeded")
            self.assertEqual(t.set_to(), GOOD.wanted)
            self.assertEqual(self.refused(), 1)
            checked = self.world.counters()["signatures"]
            self.assertEqual({kind: n for kind, n in checked.items() if n and kind != "good"}, {"skewed": 1})
            self.assertGreater(self.sent(), 50)
            self.skew_is_told(t, seconds)
            # Set right while it runs: nothing is refused for that.
            set_clocks(path)
            t.ctl.run("rollback", NAME)
            t.ctl.phase(NAME, "rolled-back")
            wait_long("it to be told", lambda: "this host's clock agrees with AWS's again" in t.log())
            self.assertEqual(self.refused(), 1)
            figure(f"clock {seconds // HOUR:+d} h wrong from the start, {self.sent()} calls: refused", self.refused())
            self.assertEqual(t.stop(), 0)

    def skew_is_told(self, t, seconds):
        word = "ahead of" if seconds > 0 else "behind"
        said = re.findall(r"this host's clock is .*? (ahead of|behind) AWS's", t.log())
        self.assertEqual(said, [word])
        # By doctor, which needs another plan to look at, as this one's rollout is over.
        answer = t.ctl.run("doctor", os.path.join(t.d.plans, f"{NAME}.yaml"), code=None)
        self.assertRegex(answer, rf"this host's clock is .*? {word} AWS's")
        ahead = re.search(r"^rolloutd_clock_ahead_seconds (-?\d+)$", t.d.get("/metrics")[1], re.M)
        self.assertAlmostEqual(int(ahead.group(1)), seconds, delta=3)
        # What happened is dated by AWS's time.
        first = datetime.datetime.fromisoformat(t.ctl.status(NAME)["first_traffic_at"]).timestamp()
        self.assertAlmostEqual(first, t.changes()[1]["time_ms"] / 1000, delta=5)

    def test_an_hour_ahead(self):
        self.whole(HOUR)

    def test_an_hour_behind(self):
        self.whole(-HOUR)


@unittest.skipUnless(os.path.exists(LIBRARY), f"{LIBRARY} was not built")
class Asleep(unittest.TestCase):
    """A machine that was suspended, while AWS went on: its clock is moved as well."""

    def setUp(self):
        clock = tempfile.NamedTemporaryFile()
        self.addCleanup(clock.close)
        clock.write(bytes(16))
        clock.flush()
        self.environment = {"LD_PRELOAD": LIBRARY, "FAULT_CLOCK": clock.name}
        self.clock = clock.name
        with unittest.mock.patch.dict(os.environ, self.environment):
            self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)

    def test_for_ten_minutes(self):
        """All that time counts as baked, as the canary served all along. It allows one step, not two: the next weight
        has all of its bake before it."""
        with Trial(self.world, GOOD, steps=((10, 300), (50, 3), (80, 3))) as t:
            t.start(environment=self.environment)
            wait_long("the daemon to answer", t.d.answers)
            t.ctl.weight(NAME, 10)
            set_clocks(self.clock, wall_s=600, boot_s=600)
            t.ctl.phase(NAME, "succeeded")
            self.assertEqual(t.set_to(), ["1", "1+2@10", "1+2@50", "1+2@80", "2"])
            changes = t.changes()[1:]
            self.assertGreaterEqual(changes[1]["time_ms"] - changes[0]["time_ms"], 600_000)
            for earlier, later in itertools.pairwise(changes[1:]):
                self.assertGreaterEqual(later["time_ms"] - earlier["time_ms"], 3000)
            self.assertEqual(t.stop(), 0)

    def test_a_bad_version_meanwhile(self):
        """What failed while nobody looked is seen at once, before anything else is done."""
        with Trial(self.world, BAD, steps=((10, 300), (50, 3))) as t:
            t.start(environment=self.environment)
            wait_long("the daemon to answer", t.d.answers)
            t.ctl.weight(NAME, 10)
            t.signal(signal.SIGSTOP)
            set_clocks(self.clock, wall_s=600, boot_s=600)
            t.signal(signal.SIGCONT)
            t.ctl.phase(NAME, "rolled-back")
            self.assertEqual(t.set_to(), BAD.wanted)
            self.assertEqual(t.stop(), 0)


def may_set_boot_time():
    return os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
        ["unshare", "-T", "--boottime", "-1", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(may_set_boot_time(), "no time namespaces, or not root")
@at_once
class BootTime(unittest.TestCase):
    """Started again with another CLOCK_BOOTTIME in the same boot, as a container that moves or is restored."""

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)

    def moved(self, seconds):
        with Trial(self.world, GOOD, steps=((10, 3), (50, 3))) as t:
            t.start()
            wait_long("the daemon to answer", t.d.answers)
            t.ctl.weight(NAME, 10)
            t.kill()
            t.start(["unshare", "-T", "--boottime", str(seconds)])
            wait_long("the daemon to answer", t.d.answers)
            t.ctl.phase(NAME, "succeeded")
            self.assertEqual(t.set_to(), GOOD.wanted)
            changes = t.changes()[1:]
            # Ahead is what a bake looks like that went on while the daemon was away; the evidence is still waited for.
            least = 3000 if seconds < 0 else 1000
            self.assertGreaterEqual(changes[1]["time_ms"] - changes[0]["time_ms"], least)
            self.assertGreaterEqual(changes[2]["time_ms"] - changes[1]["time_ms"], 3000)
            self.assertEqual(t.stop(), 0)

    def test_back(self):
        self.moved(-HOUR)

    def test_ahead(self):
        self.moved(HOUR)


if __name__ == "__main__":
    unittest.main()
