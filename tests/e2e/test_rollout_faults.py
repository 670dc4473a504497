#!/usr/bin/python3
"""AWS, the network and the disk misbehave; every rollout still comes to its right end, with every weight set once, in
order, and nothing else.

# runner: timeout 300
"""

import resource
import signal
import unittest

from rollout_case import RolloutCase, Together, wait_long

LONG = 3600

GOOD = ["1", "1+2@10", "1+2@50", "2"]
BAD = ["1", "1+3@10", "1"]

# What one call can meet. `connection: close` ends it at once; that an answer never comes costs its time-out, so that is
# tried in `test_no_answer_at_all` alone.
CALLS = {
    "lost_before": {"connection": "close"},
    "lost_after": {"connection": "close"},
    "late": {"connection": "close", "delay": "700ms"},
    "twice": {"delay": "300ms"},
    "delay": {"delay": "500ms"},
    "throttle": {},
    "error500": {},
    "error503": {"applied": True},
    "reset": {},
    "html": {},
    "garbage": {},
    "truncated": {},
    "access_denied": {},
}

READS = ("lost_before", "delay", "throttle", "error500", "error503", "reset", "html", "garbage", "truncated",
         "access_denied")


class Struck(Together):
    """Faults that strike one function each."""

    def strike(self, fault, op="UpdateAlias", **more):
        f = self.function()
        self.world.fault(fault, op, function=f, **{**CALLS.get(fault, {}), **more})
        return f

    def each_write(self, fault, **more):
        good = {f"{fault.replace('_', '-')}-{n}": self.strike(fault, nth=n, **more) for n in (1, 2, 3)}
        for name, f in good.items():
            self.drop(name, f)
        bad = f"{fault.replace('_', '-')}-home"
        home = self.strike(fault, nth=2, **more)
        self.drop(bad, home, version=3)
        for name, f in good.items():
            s = self.ctl.phase(name, "succeeded")
            self.assertEqual(s["trouble"], "")
            self.assertEqual(self.world.changes(f), GOOD, name)
        self.ctl.phase(bad, "rolled-back")
        self.assertEqual(self.world.changes(home), BAD, bad)


class Writes(Struck):
    """Several faults together."""

    def test_many_throttled(self):
        good, bad = self.strike("throttle", times=6), self.function()
        self.world.fault("throttle", "UpdateAlias", function=bad, times=6, **{"from": 2})
        self.drop("storm", good)
        self.drop("storm-home", bad, version=3)
        self.ctl.phase("storm", "succeeded")
        self.ctl.phase("storm-home", "rolled-back")
        self.assertEqual((self.world.changes(good), self.world.changes(bad)), (GOOD, BAD))
        self.assertRegex(self.d.log(), "storm-home: UpdateAlias: TooManyRequestsException")

    def test_many_lost(self):
        """Not one of the first eight answers comes through, whether it was applied or not."""
        good, bad = self.function(), self.function()
        for f in (good, bad):
            for fault in ("lost_after", "lost_before", "lost_after", "error500", "garbage", "reset", "truncated",
                          "html"):
                self.world.fault(fault, "UpdateAlias", function=f, times=1, **CALLS[fault])
        self.drop("many-lost", good, steps=[(10, 1), (20, 1), (30, 1), (40, 1), (50, 1)])
        self.drop("many-lost-home", bad, version=3)
        self.ctl.phase("many-lost", "succeeded")
        self.ctl.phase("many-lost-home", "rolled-back")
        self.assertEqual(self.world.changes(good), ["1", "1+2@10", "1+2@20", "1+2@30", "1+2@40", "1+2@50", "2"])
        self.assertEqual(self.world.changes(bad), BAD)

    def test_the_lookup_fails_too(self):
        """An answer is lost, and looking up what became of it fails in every way, or shows what was before."""
        names = []
        for fault in (*READS, "stale"):
            for kind in ("lost_after", "lost_before") if fault != "stale" else ("lost_after",):
                f = self.strike(kind, nth=2)
                self.world.fault(fault, "GetAlias", function=f, nth=2, **CALLS.get(fault, {}))
                names.append((f"lookup-{kind}-{fault}".replace("_", "-"), f))
        for name, f in names:
            self.drop(name, f)
        for name, f in names:
            self.ctl.phase(name, "succeeded")
            self.assertEqual(self.world.changes(f), GOOD, name)

    def test_preparing(self):
        """Whatever is read before the start is read again until it is there."""
        names = []
        for fault in READS:
            f = self.strike(fault, "GetAlias", nth=1)
            self.world.fault(fault, "GetFunction", function=f, nth=1, **CALLS[fault])
            name = f"prepare-{fault}".replace("_", "-")
            self.drop(name, f, steps=[(50, 1)])
            names.append((name, f))
        for name, f in names:
            self.ctl.phase(name, "succeeded")
            self.assertEqual(self.world.changes(f), ["1", "1+2@50", "2"], name)

    def test_no_answer_at_all(self):
        good, bad = self.strike("lost_after", nth=2, connection="hang"), self.strike("late", nth=2, connection="hang")
        self.drop("hang", good)
        self.drop("hang-home", bad, version=3)
        self.ctl.phase("hang", "succeeded")
        self.ctl.phase("hang-home", "rolled-back")
        self.assertEqual((self.world.changes(good), self.world.changes(bad)), (GOOD, BAD))

    def test_rolled_back_while_an_answer_is_out(self):
        """The advance lands after the rollback was decided: it is recognised, and traffic still goes home."""
        f = self.strike("late", nth=2, delay="2s")
        self.drop("overtaken", f, steps=[(10, LONG), (50, LONG)])
        self.ctl.weight("overtaken", 10)
        self.world.fault("lost_before", "GetAlias", function=f, times=1, connection="close", **{"from": 2})
        self.ctl.run("promote", "overtaken")
        wait_long("the write to be sent",
                  lambda: [e for e in self.ctl.events("overtaken", "intent") if "50%" in e["text"]])
        self.ctl.run("rollback", "overtaken")
        self.ctl.phase("overtaken", "rolled-back")
        self.assertIn(self.world.changes(f), (["1", "1+2@10", "1"], ["1", "1+2@10", "1+2@50", "1"]))


def writes_case(fault):
    def test(self):
        self.each_write(fault)

    test.__doc__ = f"{fault} at each write"
    return test


# One test for each kind, so that a failure names it.
WritesOfAKind = type("WritesOfAKind", (Struck,), {
    "__doc__": "Each kind of fault at each write of a good rollout, and at the way home of a bad one.",
    "__module__": __name__,
    **{f"test_{fault}": writes_case(fault) for fault in CALLS}})


class Metrics(RolloutCase):
    """CloudWatch misbehaves. Never a step without evidence; a failure is found as soon as it can be."""

    def faults(self, *faults):
        self.world.admin("PUT", "faults", list(faults))

    def weights(self, name):
        return [e["text"] for e in self.ctl.events(name, "weight")]

    def test_calls_that_fail(self):
        ctl = self.begin()
        faults = [{"op": "GetMetricData", "fault": fault, "times": 2, **CALLS[fault]}
                  for fault in ("throttle", "lost_before", "error500", "error503", "reset", "html", "garbage",
                                "truncated")]
        self.faults(*faults)
        self.drop("patient", "f-0")
        self.drop("patient-bad", "f-1", version=3)
        ctl.phase("patient", "succeeded")
        ctl.phase("patient-bad", "rolled-back")
        self.assertEqual((self.world.changes("f-0"), self.world.changes("f-1")), (GOOD, BAD))
        self.assertEqual([f["struck"] for f in self.world.admin("GET", "faults")], [2] * len(faults))

    def test_without_rights(self):
        ctl = self.begin()
        self.faults({"op": "GetMetricData", "fault": "access_denied"})
        self.drop("blind", "f-0")
        self.drop("blind-bad", "f-1", version=3)
        for name in ("blind", "blind-bad"):
            s = ctl.until(name, lambda s: s["trouble"] and s["baked_ms"] > 3 * s["bake_ms"], "to hold and say why")
            self.assertIn("AccessDenied", s["trouble"])
            self.assertEqual((s["phase"], s["weight"]), ("progressing", 10))
        self.faults()
        ctl.phase("blind", "succeeded")
        ctl.phase("blind-bad", "rolled-back")
        self.assertIn("recovered", [e["kind"] for e in ctl.events("blind")])
        self.assertEqual((self.world.changes("f-0"), self.world.changes("f-1")), (GOOD, BAD))

    def test_data_that_is_missing(self):
        ctl = self.begin()
        self.faults({"fault": "metrics_missing", "function": "f-0", "version": "2"},
                    {"fault": "metrics_partial", "function": "f-1"},
                    {"fault": "metrics_error", "function": "f-2", "metric": "Errors"},
                    {"fault": "metrics_missing", "function": "f-3", "version": "3"})
        gaps = {"missing": ("f-0", "no-data"), "partial": ("f-1", "unreadable"), "internal": ("f-2", "unreadable")}
        for name, (f, _) in gaps.items():
            self.drop(name, f)
        self.drop("missing-bad", "f-3", version=3)
        for name, (f, gap) in gaps.items():
            s = ctl.until(name, lambda s, gap=gap: s["verdict"]["gap"] == gap and s["baked_ms"] > 3 * s["bake_ms"],
                          f"to hold: {gap}")
            self.assertEqual((s["phase"], s["weight"]), ("progressing", 10))
            if gap == "unreadable":
                self.assertIn("GetMetricData", s["trouble"])
            self.assertEqual(self.world.changes(f), GOOD[:2])
        self.faults()
        for name, (f, _) in gaps.items():
            ctl.phase(name, "succeeded")
            self.assertEqual(self.world.changes(f), GOOD)
        ctl.phase("missing-bad", "rolled-back")
        self.assertEqual(self.world.changes("f-3"), BAD)

    def test_data_that_comes_late(self):
        ctl = self.begin()
        self.faults({"fault": "metrics_delay", "function": "f-0", "delay": "3s"},
                    {"fault": "metrics_delay", "function": "f-1", "delay": "3s"})
        self.drop("late", "f-0", steps=[(10, 1)])
        self.drop("late-bad", "f-1", version=3, steps=[(10, 1)])
        ctl.phase("late", "succeeded")
        ctl.phase("late-bad", "rolled-back")
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@10", "2"])
        self.assertEqual(self.world.changes("f-1"), BAD)

    def test_errors_that_are_reported_late(self):
        """A period that looked good is corrected after the next weight was taken."""
        ctl = self.begin()
        self.faults({"fault": "metrics_delay", "function": "f-0", "metric": "Errors", "delay": "4s"})
        self.drop("corrected", "f-0", version=3, steps=[(10, 1), (50, LONG)])
        s = ctl.phase("corrected", "rolled-back")
        self.assertIn("the canary failed", s["reason"])
        self.assertIn(self.world.changes("f-0"), (BAD, ["1", "1+3@10", "1+3@50", "1"]))


class Rights(RolloutCase):
    def test_denied_until_it_is_allowed(self):
        ctl = self.begin()
        self.world.admin("PUT", "faults", [
            {"op": "UpdateAlias", "function": "f-0", "fault": "access_denied", "from": 2},
            {"op": "UpdateAlias", "function": "f-1", "fault": "access_denied", "from": 2},
            {"op": "GetAlias", "function": "f-2", "fault": "access_denied"}])
        self.drop("denied", "f-0")
        self.drop("denied-home", "f-1", version=3)
        self.drop("denied-start", "f-2")
        for name, phase, weight in (("denied", "progressing", 10), ("denied-home", "rolling-back", 10),
                                    ("denied-start", "preparing", 0)):
            s = ctl.until(name, lambda s: s["trouble"], "to say what it lacks")
            self.assertIn("AccessDenied", s["trouble"])
            self.assertEqual((s["phase"], s["weight"]), (phase, weight))
        self.assertEqual((self.world.changes("f-0"), self.world.changes("f-1")), (GOOD[:2], BAD[:2]))
        self.world.admin("DELETE", "faults")
        ctl.phase("denied", "succeeded")
        ctl.phase("denied-home", "rolled-back")
        ctl.phase("denied-start", "succeeded")
        self.assertEqual((self.world.changes("f-0"), self.world.changes("f-1")), (GOOD, BAD))

    def test_expired_keys(self):
        ctl = self.begin()
        self.drop("expired", "f-0")
        ctl.weight("expired", 10)
        self.world.set_key(expired=True)
        s = ctl.until("expired", lambda s: s["trouble"], "to say that its keys are old")
        self.assertIn("ExpiredToken", s["trouble"])
        self.assertEqual((s["phase"], s["weight"]), ("progressing", 10))
        self.world.set_key()
        ctl.phase("expired", "succeeded")
        self.assertEqual(self.world.changes("f-0"), GOOD)


class Stops(RolloutCase):
    """TERM, and start again."""

    def test_in_the_middle(self):
        ctl = self.begin()
        self.drop("stopped", "f-0", steps=[(10, 1), (50, 1)])
        self.drop("stopped-paused", "f-1", steps=[(10, 1)])
        ctl.weight("stopped", 10)
        ctl.weight("stopped-paused", 10)
        ctl.run("pause", "stopped-paused")
        for _ in range(2):
            self.assertEqual(self.d.stop(), 0)
            self.d.start()
            ctl.until("stopped-paused", lambda s: s["phase"] == "paused", "to be paused as before")
        ctl.phase("stopped", "succeeded")
        self.assertEqual(self.world.changes("f-0"), GOOD)
        self.assertEqual(self.world.changes("f-1"), ["1", "1+2@10"])
        ctl.run("resume", "stopped-paused")
        ctl.phase("stopped-paused", "succeeded")
        self.assertEqual(len(ctl.history("stopped")), 1)

    def test_with_a_write_in_flight(self):
        """What was sent is waited for, so that its answer is on record."""
        ctl = self.begin()
        self.world.fault("delay", "UpdateAlias", function="f-0", nth=1, delay="1500ms")
        self.drop("flight", "f-0")
        wait_long("the write", lambda: self.world.changes("f-0") == GOOD[:2])
        self.assertEqual(self.d.stop(), 0)
        self.assertIn("the alias sends its traffic to version 1 (90%) and version 2 (10%)", self.d.log())
        self.d.start()
        ctl.phase("flight", "succeeded")
        self.assertEqual(self.world.changes("f-0"), GOOD)
        self.assertEqual(self.world.calls("UpdateAlias"), 3)

    def test_changed_by_others_while_away(self):
        ctl = self.begin()
        self.drop("changed", "f-0", steps=[(10, LONG)])
        ctl.weight("changed", 10)
        self.d.stop(signal.SIGKILL)
        self.world.admin("PUT", "functions/f-0/aliases/prod", {"version": 6})
        self.d.start()
        s = ctl.phase("changed", "blocked")
        self.assertIn("version 6", s["reason"])
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@10", "6"])


class Disk(RolloutCase):
    """The state cannot be written: nothing advances, a rollback is still possible, and all goes on afterwards."""

    def full(self, fill, free):
        ctl = self.ctl
        self.drop("full", "f-0", steps=[(10, 1), (50, LONG)])
        self.drop("full-back", "f-1", steps=[(10, LONG)])
        self.drop("full-bad", "f-2", steps=[(10, LONG)])
        for name in ("full", "full-back", "full-bad"):
            ctl.weight(name, 10)
        fill()
        wait_long("the daemon to notice", lambda: ctl.get("/healthz")[0] == 503)
        self.assertTrue(ctl.get("/healthz")[1]["message"])
        # Told so in as many words; and home it goes all the same.
        ctl.run("rollback", "full-back", code=None)
        wait_long("the rollback", lambda: self.world.changes("f-1") == ["1", "1+2@10", "1"])
        self.world.admin("PUT", "functions/f-2/versions/2", {"error_rate": "100%"})
        wait_long("the rollback by itself", lambda: self.world.changes("f-2") == ["1", "1+2@10", "1"])
        self.assertEqual(self.world.changes("f-0"), GOOD[:2])
        free()
        wait_long("the daemon to recover", lambda: ctl.get("/healthz")[0] == 200)
        ctl.weight("full", 50)
        ctl.run("promote", "full")
        ctl.phase("full", "succeeded")
        ctl.phase("full-back", "rolled-back")
        ctl.phase("full-bad", "rolled-back")
        self.assertEqual(self.world.changes("f-0"), GOOD)
        # It was all recorded.
        self.assertEqual(self.d.stop(), 0)
        self.d.start()
        self.assertEqual([ctl.status(n)["phase"] for n in ("full", "full-back", "full-bad")],
                         ["succeeded", "rolled-back", "rolled-back"])

    def test_no_file_may_grow(self):
        """As with a quota: writes beyond a size fail with EFBIG."""
        self.begin(preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN), restore_signals=False)
        pid = self.d.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        self.full(lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard)),
                  lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard)))


if __name__ == "__main__":
    unittest.main()
