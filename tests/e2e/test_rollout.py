#!/usr/bin/python3
"""Whole rollouts by the real programs: every road a plan and an operator can take, each to its end.

# runner: timeout 300
# runner: valgrind Alone.test_there_and_back_again
"""

import json
import os
import subprocess
import threading
import unittest

from rollout_case import ENDED, ROLLOUTCTL, RolloutCase, Together, make_plan, wait_long
from rolloutd_case import ENVIRONMENT, ROLLOUTD, SECRET, Connection

LONG = 3600  # a bake that no test waits for


class Plans(Together):
    """From a dropped file to the end."""

    def test_one_canary_step(self):
        f = self.function()
        self.drop("canary", f, steps=[(10, 2)])
        s = self.ctl.phase("canary", "succeeded")
        self.assertEqual((s["stable_version"], s["canary_version"], s["weight"]), ("1", "2", 100))
        self.asked_only(f, "1", "1+2@10", "2")
        self.assertEqual(self.world.holds(f), "2")
        phases = [e["phase"] for e in self.ctl.events("canary", "phase")]
        self.assertEqual(phases, ["preparing", "progressing", "promoting", "succeeded"])
        self.assertEqual([(h["attempt"], h["source"]) for h in self.ctl.history("canary")], [(1, "canary.yaml")])

    def test_old_versions_go(self):
        """But for the newest ones, those that an alias names, and the one that this rollout would go back to."""
        f = self.function()
        self.drop("keeps", f, steps=[(50, 1)], more="keep_versions: 2")
        self.ctl.phase("keeps", "succeeded")
        lam = self.world.aws("lambda")

        def versions():
            return [v["Version"] for v in lam.list_versions_by_function(FunctionName=f)["Versions"]]

        wait_long("versions 3 and 4 to go", lambda: versions() == ["$LATEST", "1", "2", "5", "6"])
        self.assertEqual([e["text"] for e in self.ctl.events("keeps", "changed")],
                         [f"delete version 3 of function {f}", f"delete version 4 of function {f}"])

    def test_linear_steps(self):
        f = self.function()
        self.drop("linear", f, steps=[(20, 1), (40, 1), (60, 1), (80, 1)])
        self.ctl.phase("linear", "succeeded")
        self.asked_only(f, "1", "1+2@20", "1+2@40", "1+2@60", "1+2@80", "2")

    def test_final_bake(self):
        f = self.function()
        self.drop("final", f, steps=[(50, 1)], more="final_bake: 2s")
        self.ctl.phase("final", "succeeded")
        phases = [e["phase"] for e in self.ctl.events("final", "phase")]
        self.assertEqual(phases[-2:], ["baking", "succeeded"])
        self.asked_only(f, "1", "1+2@50", "2")

    def test_final_bake_comes_home(self):
        f = self.function()
        self.drop("final-bad", f, steps=[(50, 1)], more=f"final_bake: {LONG}s")
        self.ctl.phase("final-bad", "baking")
        self.world.admin("PUT", f"functions/{f}/versions/2", {"error_rate": "100%"})
        s = self.ctl.phase("final-bad", "rolled-back")
        self.assertIn("the canary failed", s["reason"])
        self.asked_only(f, "1", "1+2@50", "2", "1")

    def test_all_at_once(self):
        f = self.function()
        self.drop("at-once", f, steps=())
        self.ctl.phase("at-once", "succeeded")
        self.asked_only(f, "1", "2")

    def test_latest_version(self):
        f = self.function()
        self.drop("latest", f, version="latest", steps=[(50, 1)])
        s = self.ctl.phase("latest", "succeeded")
        self.assertEqual(s["canary_version"], "6")
        self.asked_only(f, "1", "1+6@50", "6")

    def test_weights_finer_than_a_percent(self):
        f = self.function()
        self.drop("fine", f, steps=[("0.5", 1), ("12.25", 1)], metrics="", analysis="no_data: pass")
        self.ctl.phase("fine", "succeeded")
        self.asked_only(f, "1", "1+2@0.5", "1+2@12.25", "2")

    def test_bad_version_and_quarantine(self):
        f = self.function()
        self.drop("bad", f, version=3)
        s = self.ctl.phase("bad", "rolled-back")
        self.assertIn("the canary failed", s["reason"])
        self.asked_only(f, "1", "1+3@10", "1")
        # The same code under another number and another name is refused, before any traffic moves.
        self.drop("bad-again", f, version=5, steps=[(25, 1)])
        s = self.ctl.phase("bad-again", "failed")
        self.assertIn("quarantine", s["reason"])
        self.asked_only(f, "1", "1+3@10", "1")
        self.world.admin("PUT", f"functions/{f}/versions/5", {"error_rate": "0%"})
        answer = self.ctl.run("retry", "bad-again", "--reason", "it was the database")
        self.assertIn("quarantine is lifted", answer)
        self.ctl.phase("bad-again", "succeeded", attempt=2)
        self.asked_only(f, "1", "1+3@10", "1", "1+5@25", "5")

    def test_on_another_alias_it_is_not_quarantined(self):
        f = self.function()
        self.drop("bad-prod", f, version=3)
        self.ctl.phase("bad-prod", "rolled-back")
        self.drop("bad-test", f, version=3, alias="test", steps=())
        self.ctl.phase("bad-test", "succeeded")

    def test_what_cannot_begin(self):
        f, g = self.function(), self.function()
        lam = self.world.aws("lambda")
        lam.update_alias(FunctionName=f, Name="test", FunctionVersion="$LATEST")
        for name, text, words in (
                ("no-version", make_plan("no-version", g, version=77), "version 77 does not exist"),
                ("no-alias", make_plan("no-alias", g, alias="nowhere"), "nowhere"),
                ("no-function", make_plan("no-function", "nothing"), "nothing"),
                ("other-role", make_plan("other-role", g, version=4), "execution role"),
                ("of-latest", make_plan("of-latest", f, alias="test"), "$LATEST")):
            self.d.put_plan(f"{name}.yaml", text)
            s = self.ctl.phase(name, "failed")
            self.assertIn(words, s["reason"])
            self.assertIsNone(s["first_traffic_at"])
        self.asked_only(g, "1")

    def test_already_there(self):
        f = self.function()
        self.drop("there", f, version=1)
        s = self.ctl.phase("there", "succeeded")
        self.assertIn("already", s["reason"])
        self.asked_only(f, "1")
        self.assertIn("it changed nothing", self.ctl.run("rollback", "there", code=1))

    def test_the_same_content_never_runs_twice(self):
        f, g = self.function(), self.function()
        text = make_plan("once", f, steps=[(50, 1)])
        self.d.put_plan("once.yaml", text)
        self.ctl.phase("once", "succeeded")
        self.world.aws("lambda").update_alias(FunctionName=f, Name="prod", FunctionVersion="1")
        for n, same in enumerate((text, "# a comment\n" + text, text.replace("bake: 1s", "bake: 1000ms"))):
            self.d.put_plan("once.yaml", same)
            self.drop(f"once-{n}", g, version=6 - 4 * (n % 2), steps=())  # later in the folder's order
            self.ctl.phase(f"once-{n}", "succeeded")
        self.d.put_plan("once-copy.yaml", text)

        def errors():
            files = self.ctl.get("/v1/rollouts")[1].get("files", [])
            return [e for file in files if file["file"] == "once-copy.yaml" for e in file["errors"]]

        self.assertIn("a plan named 'once' is in once.yaml already", wait_long("the error", errors)[0])
        self.assertEqual(len(self.ctl.history("once")), 1)
        self.asked_only(f, "1", "1+2@50", "2", "1")

    def test_a_removed_file_stops_nothing(self):
        f = self.function()
        self.drop("removed", f, steps=[(10, 1), (50, 1)])
        self.ctl.weight("removed", 10)
        os.unlink(os.path.join(self.d.plans, "removed.yaml"))
        self.ctl.phase("removed", "succeeded")
        wait_long("the daemon's note", lambda: "removed.yaml is gone" in self.d.log())
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_a_bad_file_does_not_disturb(self):
        f = self.function()
        self.drop("spoilt", f, steps=[(10, 1), (50, 1)])
        self.ctl.weight("spoilt", 10)
        self.d.put_plan("spoilt.yaml", make_plan("spoilt", f, steps=[(50, 1), (10, 1)]))

        def errors():
            files = self.ctl.get("/v1/rollouts")[1].get("files", [])
            return [e for file in files if file["file"] == "spoilt.yaml" for e in file["errors"]]

        self.assertRegex(wait_long("the errors", errors)[0], r"^spoilt\.yaml:\d+:\d+: error: ")
        self.assertRegex(self.ctl.run("list"), r"spoilt\.yaml:\d+:\d+: error: ")
        self.ctl.phase("spoilt", "succeeded")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_new_content_takes_the_place(self):
        f = self.function()
        self.drop("next", f, steps=[(10, LONG)])
        self.ctl.weight("next", 10)
        self.drop("next", f, version=6, steps=[(25, 1)])
        self.ctl.phase("next", "succeeded", attempt=2)
        self.asked_only(f, "1", "1+2@10", "1", "1+6@25", "6")
        newest, oldest = self.ctl.history("next")
        self.assertEqual((newest["phase"], oldest["phase"], oldest["superseded"]), ("succeeded", "rolled-back", True))
        self.assertIn("starts when the earlier attempt has sent its traffic back",
                      [e["text"] for e in self.ctl.events("next", "phase")])
        # To be superseded says nothing against a version.
        self.drop("next", f, version=2, steps=[(50, 1)])
        self.ctl.phase("next", "succeeded", attempt=3)

    def test_one_at_a_time_on_one_alias(self):
        f = self.function()
        self.drop("first", f, steps=[(10, LONG)])
        self.ctl.weight("first", 10)
        self.drop("second", f, version=6, steps=[(25, 1)])
        s = self.ctl.until("second", lambda s: s["phase"] == "pending" and s["reason"], "to say why it waits")
        self.assertIn("first", s["reason"])
        self.asked_only(f, "1", "1+2@10")
        self.ctl.run("promote", "first", "--full")
        self.ctl.phase("first", "succeeded")
        s = self.ctl.phase("second", "succeeded")
        self.assertEqual(s["stable_version"], "2")
        self.asked_only(f, "1", "1+2@10", "2", "2+6@25", "6")


class Commands(Together):
    """What an operator can do, by rolloutctl."""

    def test_pause_and_resume(self):
        f = self.function()
        self.drop("pause", f, steps=[(10, 1), (50, 1)])
        self.ctl.weight("pause", 10)
        self.ctl.run("pause", "pause", "--reason", "lunch")
        s = self.ctl.phase("pause", "paused")
        self.assertEqual(s["pause"], ["operator"])
        self.assertIn("lunch", s["reason"])
        s = self.ctl.until("pause", lambda s: s["verdict"]["verdict"] == "pass", "to be judged all the same")
        self.assertEqual((s["phase"], s["weight"]), ("paused", 10))
        self.ctl.run("wait", "pause", code=4)
        self.assertIn("paused already", self.ctl.run("pause", "pause"))
        self.asked_only(f, "1", "1+2@10")
        self.ctl.run("resume", "pause")
        self.ctl.phase("pause", "succeeded")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")
        self.assertIn("it has ended", self.ctl.run("resume", "pause", code=1))

    def test_a_pause_stops_no_rollback(self):
        f = self.function()
        self.drop("pause-bad", f, steps=[(10, LONG)])
        self.ctl.weight("pause-bad", 10)
        self.ctl.run("pause", "pause-bad")
        self.ctl.phase("pause-bad", "paused")
        self.world.admin("PUT", f"functions/{f}/versions/2", {"error_rate": "100%"})
        self.ctl.phase("pause-bad", "rolled-back")
        self.asked_only(f, "1", "1+2@10", "1")

    def test_promote_step_by_step(self):
        f = self.function()
        self.drop("promote", f, steps=[(10, LONG), (50, LONG)])
        self.ctl.weight("promote", 10)
        self.ctl.run("promote", "promote")
        self.ctl.weight("promote", 50)
        self.ctl.run("promote", "promote")
        self.ctl.phase("promote", "succeeded")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_promote_full(self):
        f = self.function()
        self.drop("full", f, steps=[(10, LONG), (50, LONG)])
        self.ctl.weight("full", 10)
        self.ctl.run("promote", "full", "--full")
        self.ctl.phase("full", "succeeded")
        self.asked_only(f, "1", "1+2@10", "2")

    def test_promote_when_it_fails(self):
        f = self.function()
        self.drop("fails", f, version=3, steps=[(10, LONG)], more="on_failure: pause")
        s = self.ctl.phase("fails", "paused")
        self.assertEqual(s["pause"], ["failure"])
        self.assertIn("only `rollback`", self.ctl.run("promote", "fails", code=1))
        self.assertIn("only `rollback`", self.ctl.run("resume", "fails", code=1))
        self.asked_only(f, "1", "1+3@10")
        self.ctl.run("rollback", "fails")
        self.ctl.phase("fails", "rolled-back")
        self.asked_only(f, "1", "1+3@10", "1")

    def test_approval(self):
        f = self.function()
        self.drop("approve", f, steps=[(10, 1, "approve: true"), (50, 1)])
        s = self.ctl.phase("approve", "paused")
        self.assertEqual((s["pause"], s["weight"]), (["approval"], 10))
        self.ctl.run("wait", "approve", code=4)
        self.assertIn("promote", self.ctl.run("resume", "approve", code=1))
        self.ctl.run("promote", "approve")
        self.ctl.phase("approve", "succeeded")
        self.asked_only(f, "1", "1+2@10", "1+2@50", "2")

    def test_rollback_of_a_running_one(self):
        f = self.function()
        self.drop("back", f, steps=[(10, LONG)])
        self.ctl.weight("back", 10)
        self.ctl.run("rollback", "back", "--reason", "customers call")
        s = self.ctl.phase("back", "rolled-back")
        self.assertIn("customers call", s["reason"])
        self.assertRegex(s["reason"], rf"uid={os.getuid()} pid=\d+")
        self.asked_only(f, "1", "1+2@10", "1")
        self.ctl.run("wait", "back", code=3)
        self.assertIn("ended already", self.ctl.run("rollback", "back"))

    def test_abort_of_a_succeeded_one(self):
        f = self.function()
        self.drop("undo", f, steps=[(50, 1)])
        self.ctl.phase("undo", "succeeded")
        self.ctl.run("abort", "undo")
        self.ctl.phase("undo", "rolled-back")
        self.asked_only(f, "1", "1+2@50", "2", "1")

    def test_rollback_of_a_succeeded_one_that_others_moved_on(self):
        f = self.function()
        self.drop("moved", f, steps=[(50, 1)])
        self.ctl.phase("moved", "succeeded")
        self.world.aws("lambda").update_alias(FunctionName=f, Name="prod", FunctionVersion="6")
        self.ctl.run("rollback", "moved")
        s = self.ctl.until("moved", lambda s: s["phase"] in ENDED and s["reason"], "to see the other's write")
        self.assertEqual(s["phase"], "succeeded")
        self.assertIn("somebody has moved the alias on", s["reason"])
        self.asked_only(f, "1", "1+2@50", "2", "6")

    def test_manual_start(self):
        f = self.function()
        self.drop("manual", f, steps=[(50, 1)], more="start: manual")
        s = self.ctl.phase("manual", "pending")
        self.assertIn("promote", s["reason"])
        self.asked_only(f, "1")
        self.ctl.run("promote", "manual")
        self.ctl.phase("manual", "succeeded")
        self.asked_only(f, "1", "1+2@50", "2")

    def test_rollback_before_the_start(self):
        f = self.function()
        self.drop("dropped", f, more="start: manual")
        self.ctl.phase("dropped", "pending")
        self.ctl.run("rollback", "dropped")
        self.ctl.phase("dropped", "failed")
        self.ctl.run("wait", "dropped", code=1)
        self.asked_only(f, "1")

    def test_submit(self):
        f = self.function()
        text = make_plan("sent", f, steps=[(50, 1)])
        p = subprocess.run([ROLLOUTCTL, "submit", "-", "-s", self.d.socket], input=text,
                           env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn("succeeded", self.ctl.run("wait", "sent", "--timeout", "2m"))
        self.asked_only(f, "1", "1+2@50", "2")

    def test_exit_codes_of_wait(self):
        f, g = self.function(), self.function()
        self.drop("code-good", f, steps=[(50, 1)])
        self.drop("code-bad", g, version=3)
        self.ctl.phase("code-good", *ENDED)
        self.ctl.phase("code-bad", *ENDED)
        self.ctl.run("wait", "code-good", code=0)
        self.ctl.run("wait", "code-bad", code=3)
        self.drop("code-failed", f, version=99)
        self.ctl.phase("code-failed", "failed")
        self.ctl.run("wait", "code-failed", code=1)
        self.ctl.run("wait", "code-unheard-of", code=1)
        self.drop("code-long", f, version=6, steps=[(50, LONG)])
        self.ctl.weight("code-long", 50)
        self.assertIn("timed out", self.ctl.run("wait", "code-long", "--timeout", "100ms", code=5))
        self.ctl.run("wait", code=2)
        self.ctl.run("wait", "code-long", "-s", "/nonexistent/sock", code=6)
        self.ctl.run("pause", "code-long")
        self.ctl.run("wait", "code-long", code=4)
        self.ctl.run("rollback", "code-long")
        self.ctl.run("wait", "code-long", code=3)

    def test_wait_sees_the_end_come(self):
        f = self.function()
        self.drop("waited", f, steps=[(50, 1)])
        self.ctl.until("waited", lambda s: True, "to be there")
        self.assertEqual(self.ctl.json("wait", "waited", "--timeout", "2m")["phase"], "succeeded")

    def test_json(self):
        f = self.function()
        self.drop("shape", f, steps=[(50, LONG)])
        self.ctl.weight("shape", 50)
        s = self.ctl.json("status", "shape")
        self.assertEqual((s["name"], s["phase"], s["weight"], s["weight_bp"], s["alias_holds"]),
                         ("shape", "progressing", 50, 5000, "version 1 (50%) and version 2 (50%)"))
        self.assertIn("shape", [r["name"] for r in self.ctl.json("list")["rollouts"]])
        self.assertEqual(self.ctl.json("rollback", "shape")["result"], "done")
        self.ctl.phase("shape", "rolled-back")
        self.assertEqual([r["phase"] for r in self.ctl.json("history", "shape")["rollouts"]], ["rolled-back"])
        text = self.ctl.run("events", "shape", "-o", "json")
        events = [json.loads(line) for line in text.splitlines()] if not text.startswith("{\n") else \
            json.loads(text)["events"]
        self.assertEqual([e["id"] for e in events], sorted({e["id"] for e in events}))
        self.assertIn("command", [e["kind"] for e in events])

    def test_commands_by_http(self):
        f = self.function()
        self.drop("http", f, steps=[(10, LONG), (50, LONG)])
        self.ctl.weight("http", 10)
        self.assertEqual(self.ctl.post("/v1/rollouts/http/pause", '{"reason": "curl"}')[1]["result"], "done")
        self.assertEqual(self.ctl.post("/v1/rollouts/http/pause")[1]["result"], "already")
        status, answer = self.ctl.post("/v1/rollouts/http/retry")
        self.assertEqual((status, answer["error"]["code"]), (409, "refused"))
        self.assertEqual(self.ctl.post("/v1/rollouts/http/resume")[1]["result"], "done")
        self.assertEqual(self.ctl.post("/v1/rollouts/http/promote", '{"full": true}')[1]["result"], "done")
        self.ctl.phase("http", "succeeded")
        self.asked_only(f, "1", "1+2@10", "2")

    def test_events_as_they_come(self):
        f = self.function()
        c = Connection(self.d.socket)
        self.addCleanup(c.close)
        self.drop("stream", f, steps=[(50, 1)], more="start: manual")
        self.ctl.phase("stream", "pending")
        with self.ctl.places:
            c.request("GET", "/v1/events?name=stream&follow=1")
            answer = c.getresponse()
            self.assertEqual(answer.headers.get_content_type(), "application/x-ndjson")
            threading.Thread(target=self.ctl.run, args=("promote", "stream")).start()
            seen = []
            while not seen or (seen[-1]["kind"], seen[-1]["phase"]) != ("phase", "succeeded"):
                line = answer.readline().strip()
                if line:
                    seen.append(json.loads(line))
            c.close()
        kept = self.ctl.events("stream")
        self.assertEqual([e["id"] for e in seen], [e["id"] for e in kept])
        self.assertEqual([e["text"] for e in seen if e["kind"] == "weight"],
                         ["the alias sends its traffic to version 1 (50%) and version 2 (50%)",
                          "the alias sends its traffic to version 2"])


class Others(Together):
    """Other writers, alarms, missing metrics: what must stop a rollout, and how it goes on."""

    def human(self, f, version="1", weights=None, alias="prod"):
        self.world.aws("lambda").update_alias(
            FunctionName=f, Name=alias, FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights or {}})

    def test_a_human_in_the_middle(self):
        f = self.function()
        self.drop("human", f, steps=[(10, LONG)])
        self.ctl.weight("human", 10)
        self.human(f, "6")
        self.ctl.run("promote", "human")
        s = self.ctl.phase("human", "blocked")
        self.assertIn("version 6", s["reason"])
        self.assertIn("version 2 (10%)", s["reason"])
        self.assertEqual([e["kind"] for e in self.ctl.events("human")].count("foreign-write"), 1)
        self.ctl.run("wait", "human", code=4)
        self.assertIn("blocked", self.ctl.run("promote", "human", code=1))
        self.assertIn("blocked", self.ctl.run("pause", "human", code=1))
        self.asked_only(f, "1", "1+2@10", "6")
        # Not a split between its two versions, so resuming does not help.
        self.ctl.run("resume", "human")
        wait_long("the second block", lambda: len(self.ctl.events("human", "foreign-write")) == 2)
        self.ctl.phase("human", "blocked")
        self.asked_only(f, "1", "1+2@10", "6")
        self.ctl.run("rollback", "human")
        self.ctl.phase("human", "rolled-back")
        self.asked_only(f, "1", "1+2@10", "6", "1")

    def test_a_human_moves_the_weight_and_it_is_resumed(self):
        f = self.function()
        self.drop("human-weight", f)
        self.ctl.weight("human-weight", 10)
        self.human(f, "1", {"2": 0.37})
        s = self.ctl.phase("human-weight", "blocked")
        self.assertIn("version 2 (37%)", s["reason"])
        self.ctl.run("resume", "human-weight")
        self.ctl.phase("human-weight", "succeeded")
        self.assertEqual(self.world.changes(f)[:3], ["1", "1+2@10", "1+2@37"])
        self.assertEqual(self.world.changes(f)[-2:], ["1+2@50", "2"])
        self.assertLessEqual(set(self.world.changes(f, by="rolloutd")), {"1+2@10", "1+2@50", "2"})

    def test_a_human_finishes_it(self):
        f = self.function()
        self.drop("human-end", f, steps=[(50, 1)], more=f"final_bake: {LONG}s")
        self.ctl.phase("human-end", "baking")
        self.human(f, "1")
        self.ctl.run("promote", "human-end")
        s = self.ctl.phase("human-end", "blocked")
        self.assertIn("version 1", s["reason"])
        self.ctl.run("rollback", "human-end")
        self.ctl.phase("human-end", "rolled-back")
        self.assertEqual(self.world.holds(f), "1")

    def test_weights_left_over_are_cleared_and_it_goes_on(self):
        f = self.function()
        self.human(f, "1", {"6": 0.3})
        self.drop("left", f, steps=[(50, 1)])
        s = self.ctl.phase("left", "blocked")
        self.assertIn("already splits its traffic", s["reason"])
        self.asked_only(f, "1", "1+6@30")
        self.human(f, "1")
        self.ctl.run("resume", "left")
        self.ctl.phase("left", "succeeded")
        self.asked_only(f, "1", "1+6@30", "1", "1+2@50", "2")

    def test_weights_left_over_are_sent_home(self):
        f = self.function()
        self.human(f, "1", {"6": 0.3})
        self.drop("left-back", f)
        self.ctl.phase("left-back", "blocked")
        self.ctl.run("rollback", "left-back")
        self.ctl.phase("left-back", "failed", "rolled-back")
        self.asked_only(f, "1", "1+6@30", "1")

    def test_the_alias_is_deleted(self):
        f = self.function()
        self.drop("deleted", f, steps=[(10, LONG)])
        self.ctl.weight("deleted", 10)
        self.world.aws("lambda").delete_alias(FunctionName=f, Name="prod")
        self.ctl.run("promote", "deleted")
        s = self.ctl.phase("deleted", "blocked")
        self.assertIn("ResourceNotFound", s["reason"])
        lam = self.world.aws("lambda")
        lam.create_alias(FunctionName=f, Name="prod", FunctionVersion="2")
        self.ctl.run("rollback", "deleted")
        self.ctl.phase("deleted", "rolled-back")
        self.assertEqual(self.world.holds(f), "1")

    def alarm(self, name, state):
        self.world.admin("PUT", "alarms", [{"name": name, "state": state}])

    def test_an_alarm_goes_off(self):
        f = self.function()
        self.alarm("burning", "OK")
        self.drop("alarm", f, metrics="metrics: [{alarm: burning}]", steps=[(10, 1), (50, LONG)])
        self.ctl.weight("alarm", 50)
        self.world.aws("cloudwatch").set_alarm_state(AlarmName="burning", StateValue="ALARM", StateReason="test")
        s = self.ctl.phase("alarm", "rolled-back")
        self.assertIn("burning", s["reason"])
        self.asked_only(f, "1", "1+2@10", "1+2@50", "1")

    def test_an_alarm_is_on_before(self):
        f = self.function()
        self.alarm("on-fire", "ALARM")
        self.drop("alarm-before", f, metrics="metrics: [{alarm: on-fire}]")
        self.assertIn("on-fire", self.ctl.phase("alarm-before", "failed")["reason"])
        self.asked_only(f, "1")

    def test_an_alarm_without_data_holds(self):
        f = self.function()
        self.alarm("mute", "INSUFFICIENT_DATA")
        self.drop("alarm-mute", f, metrics="metrics: [{alarm: mute}]", steps=[(10, 1)])
        self.ctl.until("alarm-mute", lambda s: s["verdict"]["gap"] == "no-data", "to find no data")
        self.asked_only(f, "1", "1+2@10")
        self.alarm("mute", "OK")
        self.ctl.phase("alarm-mute", "succeeded")

    def test_no_data_holds_and_then_pauses(self):
        f = self.function()
        self.drop("hold", f, alias="test", steps=[(50, 1)], analysis="hold_limit: 2s")
        s = self.ctl.phase("hold", "paused")
        self.assertEqual((s["pause"], s["weight"]), (["hold-limit"], 50))
        self.assertIn("no verdict for 2s", s["reason"])
        self.ctl.run("wait", "hold", code=4)
        self.assertEqual(self.world.changes(f, "test"), ["1", "1+2@50"])
        self.world.admin("PUT", "traffic", [{"function": f, "alias": "test", "rps": 60, "arrival": "even"}])
        self.ctl.run("resume", "hold")
        self.ctl.phase("hold", "succeeded")

    def test_no_data_holds_and_then_comes_home(self):
        f = self.function()
        self.drop("hold-back", f, alias="test", steps=[(50, 1)], analysis="hold_limit: 2s, on_hold_limit: rollback")
        self.ctl.phase("hold-back", "rolled-back")
        self.assertEqual(self.world.changes(f, "test"), ["1", "1+2@50", "1"])

    def test_no_data_may_pass(self):
        f = self.function()
        self.drop("blind", f, alias="test", analysis="no_data: pass")
        self.ctl.phase("blind", "succeeded")
        self.assertEqual(self.world.changes(f, "test"), ["1", "1+2@10", "1+2@50", "2"])

    def test_no_data_may_fail(self):
        f = self.function()
        self.drop("strict", f, alias="test", analysis="no_data: rollback")
        self.ctl.phase("strict", "rolled-back")
        self.assertEqual(self.world.changes(f, "test"), ["1", "1+2@10", "1"])

    def test_a_step_waits_for_its_invocations(self):
        f = self.function()
        self.world.admin("PUT", "traffic", [{"function": f, "alias": "test", "rps": 10, "arrival": "even"}])
        self.drop("count", f, alias="test", steps=[(50, 1, "min_invocations: 2000")])
        s = self.ctl.until("count", lambda s: s["verdict"]["gap"] == "few", "to have too few")
        self.assertRegex(s["verdict"]["why"], r"\d+ of the 2000 requests needed")
        self.world.admin("PUT", "traffic", [{"function": f, "alias": "test", "rps": 3000, "arrival": "even"}])
        self.ctl.phase("count", "succeeded")

    def test_latent_errors(self):
        """Good at first, bad later: caught at whatever weight it has by then."""
        f = self.function()
        self.world.admin("PUT", f"functions/{f}/versions/2", {"error_rate": "100%", "errors_after_requests": 40})
        self.drop("latent", f, steps=[(10, 1), (50, LONG)])
        self.ctl.phase("latent", "rolled-back")
        changes = self.world.changes(f)
        self.assertIn(changes, (["1", "1+2@10", "1+2@50", "1"], ["1", "1+2@10", "1"]))


class Alone(RolloutCase):
    """What needs a daemon, or a count, of its own."""

    def test_there_and_back_again(self):
        ctl = self.begin()
        self.drop("good", "f-0", steps=[(50, 1)])
        self.drop("bad", "f-1", version=3, steps=[(50, 1)])
        ctl.phase("good", "succeeded")
        ctl.phase("bad", "rolled-back")
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@50", "2"])
        self.assertEqual(self.world.changes("f-1"), ["1", "1+3@50", "1"])

    def test_calls_that_are_counted(self):
        """One GetAlias, one look at provisioned concurrency, and one UpdateAlias for each weight: nothing else of the
        quota that all operations share."""
        ctl = self.begin()
        self.drop("thrifty", "f-0", steps=[(10, 1), (30, 1), (60, 1)])
        ctl.phase("thrifty", "succeeded")
        operations = self.world.counters()["operations"]
        shared = {k: v["calls"] for k, v in operations.items() if k not in ("GetMetricData", "GetFunction")}
        self.assertEqual(shared, {"GetAlias": 1, "ListProvisionedConcurrencyConfigs": 1, "UpdateAlias": 4})
        self.assertEqual(operations["GetFunction"]["calls"], 2)

    def test_metrics_are_read_together(self):
        ctl = self.begin()
        names = [f"many-{n}" for n in range(40)]
        for n, name in enumerate(names):
            self.drop(name, f"f-{n}", steps=[(20, 2), (50, 2)])
        ended = [ctl.phase(name, "succeeded") for name in names]
        counters = self.world.counters()
        began = min(s["first_traffic_at"] for s in ended)
        first = [c["time_ms"] for c in counters["alias_changes"] if c["operation"] == "UpdateAlias"][0]
        ticks = (counters["time_ms"] - first) / 1000 + 1
        self.assertTrue(began)
        # Apart it would be one for each rollout and tick.
        self.assertLessEqual(counters["operations"]["GetMetricData"]["calls"], 3 * ticks)
        for n in range(40):
            self.assertEqual(self.world.changes(f"f-{n}"), ["1", "1+2@20", "1+2@50", "2"])

    def test_secrets_are_told_to_nobody(self):
        """The marker is the real secret key here, so that it is used in earnest. Case.finish looks through the log."""
        ctl = self.begin(config=self.CONFIG + "log: {level: debug}\n")
        self.world.fault("access_denied", "UpdateAlias", function="f-0", times=1)
        self.world.fault("error500", "GetFunction", function="f-0", times=2)
        self.drop("secret", "f-0", steps=[(50, 1)])
        self.drop("secret-bad", "f-1", version=3)
        ctl.phase("secret", "succeeded")
        ctl.phase("secret-bad", "rolled-back")
        told = [json.dumps(ctl.get(p)) for p in ("/v1/rollouts", "/v1/rollouts/secret", "/v1/history?name=secret",
                                                 "/v1/events?limit=1000", "/metrics", "/healthz", "/v1/version")]
        told += [ctl.run("status", "secret"), ctl.run("events")]
        self.assertEqual(self.d.stop(), 0)
        for folder, _, files in os.walk(os.path.join(self.folder, "state")):
            for file in files:
                with open(os.path.join(folder, file), "rb") as f:
                    told.append(f.read().decode("latin-1"))
        self.assertGreater(len(told), 9)
        for text in told:
            self.assertNotIn(SECRET, text)
        self.assertNotRegex(self.d.log(), r"(?i)signature=|authorization:")

    def test_a_wrong_secret(self):
        ctl = self.begin(start=False)
        self.d.environment["AWS_SECRET_ACCESS_KEY"] = SECRET + "x"
        self.d.start()
        self.drop("unsigned", "f-0")
        s = ctl.until("unsigned", lambda s: s["trouble"], "to say what is wrong")
        self.assertRegex(s["trouble"], "InvalidSignature|SignatureDoesNotMatch")
        self.assertEqual(s["phase"], "preparing")
        self.assertNotIn(SECRET, s["trouble"])

    def test_a_second_daemon_is_refused(self):
        ctl = self.begin()
        self.drop("guarded", "f-0", steps=[(10, 1), (50, 1)])
        ctl.weight("guarded", 10)
        other = os.path.join(self.folder, "other.yaml")
        with open(other, "w", encoding="utf-8") as f:
            f.write("state_dir: state\ncontrol: {socket: run/other.sock}\n")
        p = subprocess.run([ROLLOUTD, "--config", other], env={**ENVIRONMENT, **self.world.environment()},
                           capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn("in use by another rolloutd", p.stderr)
        ctl.phase("guarded", "succeeded")
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@10", "1+2@50", "2"])

    def test_restarts_run_nothing_twice(self):
        ctl = self.begin()
        self.drop("ended", "f-0", steps=[(50, 1)])
        ctl.phase("ended", "succeeded")
        for n in range(2):
            self.assertEqual(self.d.stop(), 0)
            self.d.start()
            self.drop(f"fence-{n}", f"f-{n + 1}", steps=())
            ctl.phase(f"fence-{n}", "succeeded")
        self.assertEqual(len(ctl.history("ended")), 1)
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@50", "2"])
        # What had ended before can still be undone.
        ctl.run("rollback", "ended")
        ctl.phase("ended", "rolled-back")
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@50", "2", "1"])

    def test_a_file_that_changes_while_the_daemon_is_away(self):
        ctl = self.begin()
        self.drop("away", "f-0", steps=[(10, LONG)])
        ctl.weight("away", 10)
        self.assertEqual(self.d.stop(), 0)
        self.drop("away", "f-0", version=6, steps=[(50, 1)])
        self.d.start()
        ctl.phase("away", "succeeded", attempt=2)
        self.assertEqual(self.world.changes("f-0"), ["1", "1+2@10", "1", "1+6@50", "6"])


if __name__ == "__main__":
    unittest.main()
