#!/usr/bin/python3
"""rolloutctl's commands: what they say, what they send, and how they end."""
# runner: valgrind Looking.test_list Looking.test_status Looking.test_history Commanding Plans Wait.test_exit_codes

import contextlib
import json
import os
import re
import socket
import shutil
import subprocess
import time
import unittest

from control_server import DEADLINE, PLAN, ROLLOUTCTL, TOP, Case, make_rollout, plain, utc


class Usage(Case):
    def test_wrong_command_names_the_nearest(self):
        p = self.run_ctl("statsu", "x", code=2)
        self.assertIn("no command 'statsu'; did you mean 'status'?", p.stderr)
        self.assertIn("See: rolloutctl help", self.run_ctl("frobnicate", code=2).stderr)

    def test_wrong_option_names_the_nearest(self):
        self.assertIn("did you mean '--reason'?", self.run_ctl("pause", "x", "--reson", "y", code=2).stderr)
        self.assertIn("unknown option '-z'", self.run_ctl("list", "-z", code=2).stderr)

    def test_an_option_of_another_command_is_refused(self):
        self.assertIn("pause does not take --full", self.run_ctl("pause", "x", "--full", code=2).stderr)
        self.assertIn("--despite-alarms needs --reason", self.run_ctl("retry", "x", "--despite-alarms", code=2).stderr)
        self.assertIn("--despite-alarms needs --reason",
                      self.run_ctl("retry", "x", "--despite-alarms", "--reason", "", code=2).stderr)

    def test_missing_and_surplus_arguments(self):
        p = self.run_ctl("status", code=2)
        self.assertIn("the NAME of a rollout or a service is missing", p.stderr)
        self.assertIn("usage: rolloutctl status NAME", p.stderr)
        self.assertIn("'b' is one argument too many", self.run_ctl("status", "a", "b", code=2).stderr)
        self.assertIn("which command?", self.run_ctl(code=2).stderr)

    def test_wrong_values(self):
        self.assertIn("expected 'table' or 'json', not 'xml'", self.run_ctl("list", "-o", "xml", code=2).stderr)
        self.assertIn("such as 90s", self.run_ctl("wait", "x", "--timeout", "5", code=2).stderr)
        self.assertIn("--output wants a value", self.run_ctl("list", "-o", code=2).stderr)
        self.assertIn("is not the name of a rollout", self.run_ctl("status", "Hello", code=2).stderr)
        self.assertIn("too long", self.run_ctl("pause", "x", "--reason", "x" * 256, code=2).stderr)
        self.assertIn("at most 107", self.run_ctl("list", "--socket", "/" + "x" * 200, code=2).stderr)

    def test_every_command_has_help_with_an_example(self):
        text = self.run_ctl("help").stdout
        commands = re.findall(r"^  ([a-z]+) {2,}\S", text, re.M)
        self.assertEqual(
            sorted(commands),
            sorted("list status watch events explain report replay validate simulate diff doctor submit policy "
                   "pause resume promote rollback abort retry forget wait history "
                   "reload version help".split()))  # fmt: skip
        for c in commands:
            own = self.run_ctl("help", c).stdout
            self.assertIn(f"usage: rolloutctl {c}", own)
            self.assertIn("Example:\n  rolloutctl", own)
            self.assertEqual(own, self.run_ctl(c, "--help").stdout)
        self.assertEqual(text, self.run_ctl("--help").stdout)

    def test_own_version_needs_no_daemon(self):
        self.assertRegex(self.run_ctl("--version").stdout, r"^rolloutctl \d+\.\d+\.\d+\n$")


class Documents(Case):
    """What is said of the commands elsewhere knows all of them."""

    def setUp(self):
        super().setUp()
        self.commands = re.findall(r"^  ([a-z]+) {2,}\S", self.run_ctl("help").stdout, re.M)

    @staticmethod
    def read(path):
        with open(os.path.join(TOP, path), encoding="utf-8") as f:
            return f.read()

    def test_every_command_is_everywhere(self):
        places = {
            "docs/rolloutctl.md": r"^\| `{}[ `]",
            "docs/man/rolloutctl.1": r"^\.BI? ?R? ?{}\b",
            "conf/completion/bash/rolloutctl": r"commands='[^']*\b{}\b",
            "conf/completion/zsh/_rolloutctl": r"['\"]{}:",
        }
        for path, pattern in places.items():
            text = self.read(path)
            for c in self.commands:
                self.assertRegex(text, re.compile(pattern.format(c), re.M), path)

    def complete(self, *words):
        script = 'source "$0"; COMP_WORDS=(rolloutctl "$@"); COMP_CWORD=$#; _rolloutctl; echo "${COMPREPLY[@]}"'
        path = os.path.join(TOP, "conf/completion/bash/rolloutctl")
        env = {**self.env, "PATH": os.path.dirname(os.path.abspath(ROLLOUTCTL)) + ":" + self.env["PATH"]}
        p = subprocess.run(["bash", "-c", script, path, *words], env=env, cwd=self.folder, text=True,
                           capture_output=True, timeout=DEADLINE, check=True)  # fmt: skip
        self.assertEqual(p.stderr, "")
        return p.stdout.split()

    def test_completion_in_bash(self):
        control = self.serve()
        control.put(make_rollout("hello-prod"))
        control.put(make_rollout("orders-prod"))
        self.write("a.yaml", PLAN)
        self.write("a.txt", PLAN)
        self.assertEqual(self.complete("st"), ["status"])
        self.assertEqual(sorted(self.complete("pause", "")), ["hello-prod", "orders-prod"])
        self.assertEqual(self.complete("--socket", self.socket, "wait", "o"), ["orders-prod"])
        self.assertEqual(self.complete("promote", "x", "--f"), ["--full"])
        self.assertEqual(self.complete("list", "-o", "j"), ["json"])
        self.assertEqual(self.complete("submit", "a"), ["a.yaml"])
        self.assertEqual(self.complete("replay", "a"), ["a.yaml"])
        self.assertEqual(self.complete("replay", "a.yaml", "--of", "o"), ["orders-prod"])
        self.assertEqual(self.complete("report", "hello-prod", "-o", "a.t"), ["a.txt"])
        self.assertEqual(self.complete("explain", "--attempt", "3", "h"), ["hello-prod"])


class Unreachable(Case):
    def test_no_socket(self):
        p = self.run_ctl("list", code=6)
        self.assertEqual(p.stderr, f"rolloutctl: cannot reach rolloutd at {self.socket}: no such socket. "
                                   "Is it running? Try: systemctl status rolloutd\n")  # fmt: skip
        for args in (["wait", "x"], ["watch", "x"], ["watch"], ["events", "-f"], ["submit", self.write("p", PLAN)]):
            self.assertIn("no such socket", self.run_ctl(*args, code=6).stderr)

    def test_nobody_listens(self):
        control = self.serve()
        control.stop()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
            s.bind(self.socket)
        self.assertIn("nobody listens", self.run_ctl("list", code=6).stderr)

    def test_not_a_socket(self):
        self.write("control.sock", "")
        self.assertIn("this is not a socket", self.run_ctl("list", code=6).stderr)

    @unittest.skipUnless(os.getuid() == 0, "only root can become another user")
    def test_permission_denied_names_the_group(self):
        self.serve()
        os.chmod(self.folder, 0o755)
        os.chown(self.socket, 0, 4)  # adm
        os.chmod(self.socket, 0o660)
        # The checkout may lie in a folder that is closed to others, such as root's own.
        program = shutil.copy(ROLLOUTCTL, self.folder)
        p = subprocess.run([program, "list"], env=self.env, text=True, capture_output=True, user=65534, group=65534,
                           extra_groups=[], timeout=DEADLINE, check=False)  # fmt: skip
        self.assertEqual(p.returncode, 6, p.stderr)
        self.assertIn("permission denied. Members of the group 'adm' may use it", p.stderr)

    def test_the_daemon_says_no(self):
        control = self.serve()
        control.answers["GET", "/v1/rollouts"] = (403, {"error": {"code": "denied", "message": "uid 7 may not"}})
        self.assertEqual(self.run_ctl("list", code=1).stderr, "rolloutctl: uid 7 may not\n")
        p = self.run_ctl("list", "-o", "json", code=1)
        self.assertEqual(json.loads(p.stdout)["error"]["code"], "denied")

    def test_answers_that_make_no_sense(self):
        control = self.serve()
        control.answers["GET", "/v1/rollouts"] = (200, b"<html>")
        self.assertIn("is another program listening", self.run_ctl("list", code=1).stderr)
        control.answers["GET", "/v1/rollouts"] = (500, b"oops")
        self.assertIn("HTTP status 500", self.run_ctl("list", code=1).stderr)


class Looking(Case):
    def test_list(self):
        control = self.serve()
        control.put(make_rollout("zeta", phase="paused", reason="approval asked for"))
        control.put(make_rollout("alpha", phase="succeeded", weight_bp=10000, step_index=3, reason="all passed"))
        control.put({"name": "broken", "phase": "blocked", "reason": "the record is damaged", "unreadable": True})
        control.files.append({"file": "bad.yaml", "errors": ["bad.yaml:3:1: error: unknown key 'wieght'"]})
        lines = self.run_ctl("list").stdout.splitlines()
        self.assertRegex(lines[0], r"^NAME +FUNCTION:ALIAS +PHASE +STEP +WEIGHT +VERSIONS +AGE +REASON$")
        self.assertRegex(lines[1], r"^alpha +hello:prod +succeeded +final +100% +1 > 2 +1h 2m +all passed$")
        self.assertRegex(lines[2], r"^broken +- +blocked +- +- +- +- +the record is damaged$")
        self.assertRegex(lines[3], r"^zeta +hello:prod +paused +2/3 +25% +1 > 2 +1h 2m +approval asked for$")
        self.assertEqual(lines[-1], "  bad.yaml:3:1: error: unknown key 'wieght'")

    def test_list_of_nothing(self):
        self.serve()
        self.assertIn("No rollouts.", self.run_ctl("list").stdout)

    def test_list_on_a_narrow_terminal(self):
        control = self.serve()
        control.put(make_rollout("hello-prod", reason="word " * 40))
        t = self.terminal("list", columns=90)
        self.assertEqual(t.finish(), 0)
        lines = plain(t.text).splitlines()
        self.assertTrue(all(len(line) <= 90 for line in lines), lines)
        self.assertTrue(lines[1].endswith("…"), lines)
        self.assertIn("progressing", lines[1])

    def test_json_is_the_answer_itself(self):
        control = self.serve()
        r = make_rollout(weight=12.34, weight_bp=1234)
        control.put(r)
        p = self.run_ctl("list", "-o", "json")
        self.assertEqual(json.loads(p.stdout)["rollouts"], [r])
        self.assertIn("12.34,", p.stdout)
        self.assertEqual(json.loads(self.run_ctl("status", "hello-prod", "--output=json").stdout)["plan"], r["plan"])

    def test_status(self):
        control = self.serve()
        now = time.time()
        control.clock = lambda: now
        control.put(make_rollout(reason="step 2: baking", trouble="CloudWatch: AccessDenied", now_unix=now))
        text = self.run_ctl("status", "hello-prod").stdout
        for pattern in (
            r"^hello-prod  hello:prod  us-east-1, account default, attempt 1$",
            r"^progressing: step 2: baking$",
            r"^  v2  25% █{12}░{36}  75% v1$",
            r"^  ✓ step 1 +10%  1m$",
            r"^  ▶ step 2 +25%  20s of 1m baked$",
            r"^    step 3 +50%  1m$",
            r"^    final +100%  15m$",
            r"^  next step +in 1m 40s at the earliest \(",
            r"^  v1 stable +98,765 +12 +0\.01%$",
            r"^  v2 canary +1,234 +2 +0\.16%$",
            r"^  verdict +undecided: 12 of 50 invocations$",
            r"^  trouble +CloudWatch: AccessDenied$",
            r"^  alias holds version 1 \(75%\) and version 2 \(25%\)$",
        ):
            self.assertRegex(text, re.compile(pattern, re.M))

    def test_status_says_what_can_be_done(self):
        control = self.serve()
        for phase, more, hint in (
            ("paused", {"pause": ["approval"]}, "rolloutctl promote hello-prod  or  rolloutctl rollback hello-prod"),
            ("paused", {"pause": ["operator"]}, "rolloutctl resume hello-prod  or  "),
            ("blocked", {}, "rolloutctl resume hello-prod (goes on from what the alias holds)"),
            ("rolled-back", {}, "rolloutctl retry hello-prod"),
        ):
            control.put(make_rollout(phase=phase, **more))
            self.assertIn(hint, self.run_ctl("status", "hello-prod").stdout)

    def test_what_has_not_begun_has_nothing_to_count(self):
        control = self.serve()
        control.put(make_rollout(phase="failed", reason="version 9 does not exist", weight=0, weight_bp=0,
                                 stable_version=None, canary_version=None))  # fmt: skip
        text = self.run_ctl("status", "hello-prod").stdout
        self.assertRegex(text, r"\n    step 1 +10%  1m\n")
        for word in ("v?", "no data", "invocations", "verdict"):
            self.assertNotIn(word, text)
        self.assertRegex(self.run_ctl("list").stdout, r"\nhello-prod +hello:prod +failed +- +0% +- +1h 2m +version 9")

    def test_a_verdict_that_the_end_cut_off_is_not_shown(self):
        control = self.serve()
        control.put(make_rollout(phase="rolled-back", weight=0, weight_bp=0))
        text = self.run_ctl("status", "hello-prod").stdout
        self.assertIn("v2 canary", text)
        self.assertNotIn("undecided", text)

    def test_a_tiny_weight_is_seen(self):
        control = self.serve()
        control.put(make_rollout(weight=0.01, weight_bp=1))
        self.assertRegex(self.run_ctl("status", "hello-prod").stdout, r"v2 0\.01% █░{47} 99\.99% v1\n")

    def test_without_utf8_all_is_ascii(self):
        control = self.serve()
        control.put(make_rollout(reason="größer"))
        text = self.run_ctl("status", "hello-prod", LC_ALL="C").stdout
        self.assertTrue(text.isascii(), text)
        self.assertIn("v2  25% " + "#" * 12 + "." * 36 + "  75% v1", text)
        self.assertIn("  > step 2", text)

    def test_hostile_text_cannot_command_the_terminal(self):
        control = self.serve()
        evil = "a\x1b[2Jb\x07c\u009bd\u202ee\nf"
        control.put(make_rollout(reason=evil, trouble=evil))
        control.files.append({"file": "x", "errors": [evil]})
        control.announce("hello-prod", "phase", evil)
        for args in (["status", "hello-prod"], ["list"], ["events"]):
            text = self.run_ctl(*args).stdout
            self.assertIn("a?[2Jb?c?d?e f", text)
            self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
        t = self.terminal("status", "hello-prod", "-o", "json")
        self.assertEqual(t.finish(), 0)
        self.assertNotRegex(t.text.replace("\r\n", "\n"), "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

    def test_colour_only_on_a_terminal_and_not_with_no_color(self):
        control = self.serve()
        control.put(make_rollout())
        self.assertNotIn("\x1b", self.run_ctl("status", "hello-prod").stdout)
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            t = self.terminal("status", "hello-prod", **env)
            self.assertEqual(t.finish(), 0)
            self.assertEqual("\x1b[" in t.text, coloured)

    def test_history(self):
        control = self.serve()
        now = time.time()
        control.put(make_rollout(phase="rolled-back", reason="errors above 1%", created_at=utc(now - 600),
                                 ended_at=utc(now - 300)))  # fmt: skip
        control.put(make_rollout(attempt=2, reason="going on"))
        lines = self.run_ctl("history", "hello-prod", "--limit", "5").stdout.splitlines()
        self.assertRegex(lines[1], r"^ +2  progressing +1 > 2 +\S+.* +- +hello.yaml +going on$")
        self.assertRegex(lines[2], r"^ +1  rolled-back +1 > 2 +\S+.* +5m +hello.yaml +errors above 1%$")
        self.assertEqual(control.asked("GET /v1/history")[0][1], "/v1/history?name=hello-prod&limit=5")

    def test_history_of_all(self):
        control = self.serve()
        self.assertRegex(self.run_ctl("history").stdout, r"^NAME +ATTEMPT +PHASE +.*REASON\n$")
        control.put(make_rollout(phase="succeeded"))
        control.put(make_rollout("other", attempt=4))
        lines = self.run_ctl("history", "--limit", "7").stdout.splitlines()
        self.assertRegex(lines[1], r"^other +4  progressing +1 > 2 ")
        self.assertRegex(lines[2], r"^hello-prod +1  succeeded +1 > 2 ")
        self.assertEqual(control.asked("GET /v1/history")[1][1], "/v1/history?limit=7")

    def test_version(self):
        self.serve()
        self.assertRegex(self.run_ctl("version").stdout, r"^rolloutctl \S+\nrolloutd 9\.9\.9, running since ")

    def test_socket_option_goes_before_the_environment(self):
        self.serve()
        self.run_ctl("list", "--socket", self.socket, ROLLOUTD_SOCKET="/nowhere")

    def test_a_full_disk_is_no_success(self):
        control = self.serve()
        control.put(make_rollout())
        with open("/dev/full", "w", encoding="ascii") as full:
            p = subprocess.run([ROLLOUTCTL, "list", "-o", "json"], env=self.env, stdout=full, stderr=subprocess.PIPE,
                               timeout=DEADLINE, check=False)  # fmt: skip
        self.assertEqual(p.returncode, 1)


class Commanding(Case):
    def test_commands_say_why(self):
        control = self.serve()
        for verb in ("pause", "resume", "promote", "rollback", "retry"):
            p = self.run_ctl(verb, "hello-prod", "--reason", 'say "why"\t', "-o", "table")
            self.assertEqual(p.stdout, f"hello-prod: {verb}: done\n")
            method, path, body, headers = control.requests[-1]
            self.assertEqual((method, path), ("POST", f"/v1/rollouts/hello-prod/{verb}"))
            self.assertEqual(json.loads(body), {"reason": 'say "why"\t'})
            self.assertEqual(headers["Content-Type"], "application/json")

    def test_without_a_reason_the_body_is_empty(self):
        control = self.serve()
        self.run_ctl("pause", "hello-prod")
        self.assertEqual(control.requests[-1][2], b"")

    def test_abort_is_rollback_and_full_is_sent(self):
        control = self.serve()
        self.run_ctl("abort", "hello-prod")
        self.assertEqual(control.requests[-1][1], "/v1/rollouts/hello-prod/rollback")
        self.run_ctl("promote", "--full", "hello-prod")
        self.assertEqual(json.loads(control.requests[-1][2]), {"full": True})
        self.run_ctl("retry", "--despite-alarms", "hello-prod", "-r", "INC-7")
        self.assertEqual(json.loads(control.requests[-1][2]), {"reason": "INC-7", "despite_alarms": True})

    def test_refusal(self):
        control = self.serve()
        control.answers["POST", "/v1/rollouts/x/pause"] = (409, {"error": {"code": "refused", "message": "it ended"}})
        self.assertEqual(self.run_ctl("pause", "x", code=1).stderr, "rolloutctl: it ended\n")

    def test_reload(self):
        control = self.serve()
        control.answers["POST", "/v1/reload"] = (200, {"result": "done", "name": "", "phase": None, "message": "read"})
        self.assertEqual(self.run_ctl("reload").stdout, "read\n")


class Plans(Case):
    def test_validate_shows_what_a_good_plan_does(self):
        text = self.run_ctl("validate", self.write("p.yaml", PLAN)).stdout
        self.assertIn("p.yaml: good\n  hello-prod rolls out version 2 of hello on alias prod, account default\n", text)
        for pattern in (
            r"^  STEP +WEIGHT  BAKE +TAKES",
            r"^  1 +5%  5m +6m 30s +from 500 invocations on$",
            r"^  2 +25%  10m +11m 30s +then waits for promote$",
            r"^  final +100%  15m +16m 30s$",
            r"^  Takes about 34m 30s when everything passes: 30m of bakes, .*pace: evidence",
        ):
            self.assertRegex(text, re.compile(pattern, re.M))

    def test_validate_says_where_an_experiment_ends(self):
        head, rest = PLAN.split("steps:", 1)
        self.assertIn("final_bake", rest)
        back, on = r"^  then +0%  - +- +back to the stable version$", r"^  final +100%  - +-$"
        for then, end in (("back", back), ("on", on)):
            plan = head + f"experiment: {{weight: 50%, for: 24h, then: {then}}}\n"
            text = self.run_ctl("validate", self.write("p.yaml", plan)).stdout
            self.assertRegex(text, re.compile(r"^  1 +50%  1d ", re.M))
            self.assertRegex(text, re.compile(end, re.M))
            self.assertEqual("100%" in text, then == "on", text)

    def test_validate_shows_all_errors_and_needs_no_daemon(self):
        bad = self.write("bad.yaml", PLAN.replace("5%, bake: 5m", "500%, bake: 5x"))
        good = self.write("good.yaml", PLAN)
        p = self.run_ctl("validate", bad, good, code=1)
        self.assertEqual(len(re.findall(r"bad\.yaml:8:\d+: error: ", p.stdout)), 2, p.stdout)
        self.assertIn("good.yaml: good", p.stdout)
        self.assertIn("cannot be read", self.run_ctl("validate", "/nowhere.yaml", code=1).stderr)
        self.assertIn("more than 65536 bytes", self.run_ctl("validate", self.write("b", "#" * 70000), code=1).stderr)

    def test_validate_as_json_and_from_standard_input(self):
        p = self.run_ctl("validate", "-", "-o", "json", input=PLAN)
        (file,) = json.loads(p.stdout)["files"]
        self.assertEqual((file["file"], file["valid"], file["name"]), ("(standard input)", True, "hello-prod"))
        self.assertEqual(file["plan"]["steps"][0]["expected_ms"], 390000)
        p = self.run_ctl("validate", "-", "-o", "json", input="kind: Nothing\n", code=1)
        (file,) = json.loads(p.stdout)["files"]
        self.assertFalse(file["valid"])
        self.assertTrue(all(d["line"] >= 1 and d["text"] for d in file["diagnostics"]))

    def submit(self, status, answer, code=0, **kwargs):
        control = self.serve()
        control.answers["POST", "/v1/plans"] = (status, answer)
        p = self.run_ctl("submit", self.write("p.yaml", PLAN), code=code, **kwargs)
        self.assertEqual(control.requests[-1][2].decode(), PLAN)
        return p

    def test_submit(self):
        answer = {"result": "started", "name": "hello-prod", "phase": "pending", "message": "attempt 1"}
        p = self.submit(201, answer)
        self.assertEqual(p.stdout, "hello-prod: started: attempt 1\nTo see it: rolloutctl watch hello-prod\n")

    def test_submit_unchanged(self):
        answer = {"result": "unchanged", "name": "hello-prod", "phase": "rolled-back", "message": "taken in before"}
        p = self.submit(200, answer)
        self.assertEqual(p.stdout, "hello-prod: unchanged, it is rolled-back: taken in before\n"
                                   "To see it: rolloutctl status hello-prod\n")  # fmt: skip

    def test_submit_of_a_bad_plan(self):
        d = [{"severity": "error", "line": 3, "column": 7, "text": "unknown key"}]
        p = self.submit(422, {"error": {"code": "invalid_plan", "message": "1 error", "diagnostics": d}}, code=1)
        self.assertRegex(p.stderr, r"p\.yaml:3:7: error: unknown key\nrolloutctl: 1 error\n$")


class Events(Case):
    def test_lines(self):
        control = self.serve()
        control.announce("hello-prod", "weight", "10% on version 2")
        control.announce("other", "command", "paused", by="uid=0 pid=7")
        lines = self.run_ctl("events").stdout.splitlines()
        self.assertRegex(lines[0], r"^\d\d:\d\d:\d\d hello-prod weight 10% on version 2$")
        self.assertRegex(lines[1], r"^\d\d:\d\d:\d\d other command paused \(uid=0 pid=7\)$")
        self.assertEqual(len(self.run_ctl("events", "other").stdout.splitlines()), 1)
        self.assertEqual(self.run_ctl("events", "--after", "2").stdout, "")
        self.assertIn("other", self.run_ctl("events", "-n", "1").stdout)
        self.assertEqual(json.loads(self.run_ctl("events", "-o", "json").stdout)["events"], control.events)

    def test_following_over_a_restart_misses_nothing_and_says_nothing_twice(self):
        control = self.serve()
        control.announce("hello-prod", "weight", "one")
        p = self.start("events", "-f", "-o", "json")
        self.assertEqual(json.loads(p.stdout.readline())["text"], "one")
        control.announce("hello-prod", "weight", "two")
        self.assertEqual(json.loads(p.stdout.readline())["text"], "two")
        control.stop()
        control.announce("hello-prod", "weight", "three")
        control.turn_away(2)
        control.forgetful = True
        control.start()
        self.assertEqual(json.loads(p.stdout.readline())["text"], "three")
        p.terminate()
        self.assertEqual(p.communicate()[0], "")

    def test_a_refused_stream(self):
        control = self.serve()
        control.answers["GET", "/v1/events"] = (429, {"error": {"code": "too_many", "message": "too many"}})
        self.assertEqual(self.run_ctl("events", "-f", code=1).stderr, "rolloutctl: too many\n")


class Wait(Case):
    def test_exit_codes(self):
        control = self.serve()
        for phase, code in (("succeeded", 0), ("failed", 1), ("rolled-back", 3), ("paused", 4), ("blocked", 4)):
            control.put(make_rollout(phase=phase, reason="so it is"))
            p = self.run_ctl("wait", "hello-prod", code=code)
            self.assertRegex(p.stdout, rf"^hello-prod {phase}, .*: so it is\n$")
        p = self.run_ctl("wait", "hello-prod", "-o", "json", code=4)
        self.assertEqual(json.loads(p.stdout)["phase"], "blocked")

    def test_no_such_rollout(self):
        self.serve()
        self.assertIn("no rollout", self.run_ctl("wait", "hello-prod", "-t", "300ms", code=1).stderr)

    def test_the_daemon_has_not_read_the_plan_yet(self):
        control = self.serve()
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: len(control.asked("GET /v1/rollouts/hello-prod")) >= 2)
        control.put(make_rollout(phase="succeeded"))
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertRegex(p.stdout.read(), "^hello-prod succeeded")

    def test_time_out(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.run_ctl("wait", "hello-prod", "--timeout", "200ms", code=5)
        self.assertIn("timed out after 200ms: hello-prod is progressing", p.stderr)
        self.assertEqual(p.stdout, "")

    def test_ends_with_the_rollout(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events") and control.asked("GET /v1/history"))
        control.put(make_rollout(phase="succeeded"))
        control.announce("hello-prod", "phase", "succeeded", phase="succeeded")
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertRegex(p.stdout.read(), "^hello-prod succeeded")

    def test_a_newer_attempt_does_not_end_the_wait_for_this_one(self):
        control = self.serve()
        control.put(make_rollout(attempt=4))
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events") and control.asked("GET /v1/history"))
        with control.changed:
            control.rollouts = [make_rollout(attempt=4, phase="rolled-back", reason="superseded", superseded=True),
                                make_rollout(attempt=5, phase="succeeded")]  # fmt: skip
        control.announce("hello-prod", "phase", "rolled-back")
        self.assertEqual(p.wait(DEADLINE), 3)
        self.assertIn("superseded", p.stdout.read())

    def test_a_restart_of_the_daemon_is_waited_for(self):
        control = self.serve()
        control.put(make_rollout())
        p = self.start("wait", "hello-prod")
        control.wait_for(lambda: control.asked("GET /v1/events"))
        control.stop()
        control.put(make_rollout(phase="succeeded"))
        control.turn_away(4)  # of the stream and of the question
        self.assertIsNone(p.poll())
        control.start()
        self.assertEqual(p.wait(DEADLINE), 0, p.stderr)


if __name__ == "__main__":
    unittest.main()
