#!/usr/bin/python3
"""rolloutctl with services: how they are shown, waited for and commanded; diff and doctor."""
# runner: valgrind Looking.test_list Looking.test_status Diff Doctor Waiting.test_exit_codes

import json
import unittest

from control_server import DEADLINE, Case, change, make_rollout, make_service, plain

SERVICE = """apiVersion: rolloutd/v1
kind: Service
name: hello
function: hello
code: {zip: build/hello.zip}
aliases:
  dev: {version: $LATEST}
  prod: {version: 2, rollout: {steps: [{weight: 10%, bake: 5m}]}}
api:
  name: hello-api
  type: rest
  stage_variable: lambdaAlias
  routes: [{method: GET, path: /hello}]
  stages: {dev: dev, prod: prod}
"""


class Looking(Case):
    def test_list(self):
        control = self.serve()
        control.put_service(make_service("orders", phase="blocked", trouble="alias prod: somebody moved it",
                                         checked_at=None, stages=[]))  # fmt: skip
        control.put_service(make_service(phase="succeeded", reason="as declared", aliases=[]))
        control.put(make_rollout("hello.prod"))
        lines = self.run_ctl("list").stdout.splitlines()
        self.assertRegex(lines[0], r"^NAME +PHASE +FUNCTION +ALIASES +STAGES +CHECKED +NOTE$")
        self.assertRegex(lines[1], r"^hello +succeeded +hello +0 +3 +3\ds ago +as declared$")
        self.assertRegex(lines[2], r"^orders +blocked +orders +2/3 +0 +not yet +alias prod: somebody moved it$")
        self.assertEqual(lines[3], "")
        self.assertRegex(lines[4], r"^NAME +FUNCTION:ALIAS")
        self.assertRegex(lines[5], r"^hello\.prod +hello:prod +progressing")

    def test_list_without_rollouts(self):
        control = self.serve()
        control.put_service(make_service())
        out = self.run_ctl("list").stdout
        self.assertNotIn("No rollouts", out)
        self.assertEqual(len(out.splitlines()), 2)

    def test_status(self):
        control = self.serve()
        control.put_service(make_service())
        out = self.run_ctl("status", "hello").stdout
        lines = out.splitlines()
        self.assertEqual(lines[0], "hello  service of function hello  us-east-1, account default, attempt 1")
        self.assertEqual(lines[1], "progressing: alias prod moves")
        self.assertRegex(out, r"(?m)^  ALIAS +DECLARED +HOLDS +ROLLOUT +STATE$")
        self.assertRegex(out, r"(?m)^  dev +\$LATEST +\$LATEST +- +as declared$")
        self.assertRegex(out, r"(?m)^  prod +version 2 +version 1 \(90%\) and version 2 \(10%\) +hello\.prod +progr")
        self.assertRegex(out, r"(?m)^  prod +prod +https://abc123\.execute-api/prod/hello$")
        self.assertIn("  What differs from the plan:\n  ~ alias prod: version: 1 -> 2, by a rollout\n", out)
        self.assertRegex(out, r"(?m)^  checked     .*, 3\ds ago$")
        self.assertIn("  made        1,234\n", out)
        self.assertIn("  API         abc123\n", out)
        self.assertNotIn("to do", out)

    def test_status_says_what_to_do(self):
        control = self.serve()
        for phase, hint in (("blocked", "rolloutctl retry hello"), ("rolled-back", "rolloutctl retry hello"),
                            ("failed", "rolloutctl retry hello"), ("paused", "rolloutctl resume hello")):
            control.put_service(make_service(phase=phase, trouble="the alias was moved", api_id=None, checked_at=None))
            out = self.run_ctl("status", "hello").stdout
            self.assertRegex(out, rf"(?m)^  to do .*{hint}\b")
            self.assertIn("  trouble     the alias was moved\n", out)
            self.assertIn("  checked     not yet\n", out)

    def test_a_record_that_cannot_be_read(self):
        control = self.serve()
        control.put_service({"kind": "Service", "name": "hello", "phase": "blocked", "unreadable": True,
                             "reason": "the record is damaged"})  # fmt: skip
        self.assertEqual(self.run_ctl("status", "hello").stdout, "hello  service\nblocked: the record is damaged\n")
        self.assertRegex(self.run_ctl("list").stdout, r"(?m)^hello +blocked +- +0 +0 +not yet +the record is damaged$")

    def test_text_from_outside_is_harmless(self):
        control = self.serve()
        evil = "a\x1b[2Jb\u202ec\nd"
        control.put_service(make_service(reason=evil, trouble=evil, aliases=[
            {"name": "prod", "declared": evil, "holds": evil, "rollout": evil, "state": evil}],
            stages=[{"name": evil, "alias": evil, "url": evil}],
            changes=[change("create-alias", evil, evil, evil, evil, evil), change("problem", evil, text=evil)]))
        for args in (["status", "hello"], ["list"]):
            out = self.run_ctl(*args).stdout
            self.assertNotIn("\x1b", out)
            self.assertNotIn("\u202e", out)

    def test_events_have_the_rollouts(self):
        control = self.serve()
        control.put_service(make_service())
        control.announce("hello", "change", "created alias prod")
        control.announce("hello.prod", "weight", "10% on version 2")
        control.announce("hello-prod", "weight", "another's")
        out = self.run_ctl("events", "hello").stdout
        self.assertRegex(out, r"hello change created alias prod\n.* hello\.prod weight 10% on version 2\n$")

    def test_names_of_its_rollouts(self):
        control = self.serve()
        control.put(make_rollout("hello.prod"))
        self.assertIn("hello.prod", self.run_ctl("status", "hello.prod").stdout)
        for wrong in ("hello.", ".prod", "hello.a.b", "Hello.prod", "hello.a/b"):
            self.assertIn("is not the name of", self.run_ctl("status", wrong, code=2).stderr)

    def test_commands(self):
        control = self.serve()
        control.put_service(make_service())
        for verb in ("pause", "resume", "retry", "promote", "rollback"):
            self.assertEqual(self.run_ctl(verb, "hello").stdout, f"hello: {verb}: done\n")
            self.assertEqual(control.requests[-1][1], f"/v1/rollouts/hello/{verb}")

    def test_validate(self):
        out = self.run_ctl("validate", self.write("s.yaml", SERVICE)).stdout
        self.assertIn("  hello keeps function hello, account default\n", out)
        self.assertIn("  Code from the zip file build/hello.zip: a version is published when it differs", out)
        self.assertIn("  REST API hello-api: 1 route, and 2 stages by the stage variable lambdaAlias\n", out)
        self.assertRegex(out, r"(?m)^  dev +\$LATEST +none needed$")
        self.assertRegex(out, r"(?m)^  prod +version 2 +hello\.prod, about 6m 30s$")
        self.assertIn("  When alias prod moves, by rollout hello.prod:\n  STEP ", out)
        self.assertIn("  Takes about 6m 30s when everything passes: 5m of bakes", out)

    def test_validate_json(self):
        p = self.run_ctl("validate", "-o", "json", self.write("s.yaml", SERVICE))
        check = json.loads(p.stdout)["files"][0]
        self.assertEqual([check[k] for k in ("valid", "kind", "name", "plan")], [True, "Service", "hello", None])
        self.assertEqual([(a["name"], a["declared"], a["rollout"]) for a in check["aliases"]],
                         [("dev", "$LATEST", ""), ("prod", "version 2", "hello.prod")])
        self.assertEqual(check["aliases"][1]["plan"]["steps"][0]["weight"], 10)


class Watching(Case):
    def test_the_page_is_redrawn_until_it_is_as_declared(self):
        control = self.serve()
        control.put_service(make_service())
        t = self.terminal("watch", "hello")
        t.expect("What differs")
        control.announce("hello.prod", "weight", "50% on version 2")
        t.expect("hello.prod.*50% on version 2")
        control.put_service(make_service(phase="succeeded", reason="as declared", changes=[]))
        control.announce("hello", "phase", "as declared", phase="succeeded")
        at = t.expect("succeeded")
        self.assertEqual(t.finish(), 0)
        self.assertNotIn("What differs", plain(t.text[at:]))

    def test_all_of_them_on_a_small_terminal(self):
        control = self.serve()
        for i in range(40):
            control.put_service(make_service(f"service-{i:02}"))
            control.put(make_rollout(f"rollout-{i:02}"))
        control.put_service(make_service("zzz", phase="blocked"))
        t = self.terminal("watch", columns=80, rows=24)
        t.expect("Ctrl-C")
        frame = plain(t.text)
        self.assertIn("zzz", frame)  # the most urgent one comes first
        self.assertRegex(frame, r"\d+ more services; see: rolloutctl list")
        self.assertIn("rollout-00", frame)
        self.assertLessEqual(len(frame.splitlines()), 25)


class Waiting(Case):
    def test_exit_codes(self):
        control = self.serve()
        for phase, code in (("succeeded", 0), ("failed", 1), ("rolled-back", 3), ("paused", 4), ("blocked", 4)):
            control.put_service(make_service(phase=phase, reason="so it is"))
            p = self.run_ctl("wait", "hello", code=code)
            self.assertEqual(p.stdout, f"hello {phase}, 2 of 3 aliases as declared: so it is\n")

    def test_until_it_is_as_declared(self):
        control = self.serve()
        control.put_service(make_service())
        p = self.start("wait", "hello")
        control.wait_for(lambda: control.asked("GET /v1/events") and control.asked("GET /v1/rollouts/hello"))
        self.assertIsNone(p.poll())
        control.put_service(make_service(phase="succeeded"))
        control.announce("hello", "phase", "as declared", phase="succeeded")
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertFalse(control.asked("GET /v1/history"))

    def test_a_service_that_comes_later(self):
        control = self.serve()
        p = self.start("wait", "hello")
        control.wait_for(lambda: len(control.asked("GET /v1/rollouts/hello")) >= 2)
        control.put_service(make_service(phase="succeeded"))
        self.assertEqual(p.wait(DEADLINE), 0)

    def test_time_out(self):
        control = self.serve()
        control.put_service(make_service())
        p = self.run_ctl("wait", "hello", "--timeout", "200ms", code=5)
        self.assertIn("timed out after 200ms: hello is progressing. It goes on", p.stderr)
        control.put_service(make_service(trouble="GetFunction was denied"))
        p = self.run_ctl("wait", "hello", "--timeout", "200ms", code=5)
        self.assertIn("hello is progressing, in trouble: GetFunction was denied. It goes on", p.stderr)


class Diff(Case):
    def diff(self, changes, *args, as_declared=False, code=0):
        control = self.serve()
        control.answers["POST", "/v1/plans/diff"] = (200, {"name": "hello", "kind": "Service",
                                                           "as_declared": as_declared, "changes": changes})
        p = self.run_ctl("diff", self.write("s.yaml", SERVICE), *args, code=code)
        self.assertEqual(control.requests[-1][2].decode(), SERVICE)
        self.assertEqual(control.requests[-1][3]["Content-Type"], "application/yaml")
        return p

    def test_field_by_field(self):
        p = self.diff([
            change("publish-version", "function hello", "version", "version 2", "bsaSxjqm"),
            change("create-alias", "alias prod", to="version 2"),
            change("add-permission", "permission rolloutd-abc-prod of alias prod"),
            change("put-method", "method GET /hello of API hello-api", to="GET /hello"),
            change("put-integration", "method GET /hello of API hello-api", "integration", "", "arn:a"),
            change("put-integration", "method GET /old of API hello-api", "integration", "arn:a", "arn:b"),
            change("create-stage", "stage test of API hello-api", to="test"),
            change("update-stage", "stage prod of API hello-api", "variable lambdaAlias", "test", "prod"),
            change("update-stage", "stage dev of API hello-api", "variable lambdaAlias", "x", ""),
            change("rollout", "alias test", "version", "1", "2"),
            change("remove-permission", "permission old-one of alias prod"),
            change("problem", "alias dev", text="somebody moved it. To move it back: rolloutctl retry hello"),
            change("wait", "version 2", text="it is Pending"),
            change("unheard-of", "something new", to="1"),
        ])  # fmt: skip
        self.assertEqual(p.stdout, """\
+ publish a version of function hello: CodeSha256 bsaSxjqm
+ create alias prod: version 2
+ add permission rolloutd-abc-prod of alias prod
+ create method GET /hello of API hello-api
+ method GET /hello of API hello-api: integration: arn:a
~ method GET /old of API hello-api: integration: arn:a -> arn:b
+ create stage test of API hello-api: alias test
~ stage prod of API hello-api: variable lambdaAlias: test -> prod
~ stage dev of API hello-api: variable lambdaAlias: x -> (none)
~ alias test: version: 1 -> 2, by a rollout
- permission old-one of alias prod
! alias dev: somebody moved it. To move it back: rolloutctl retry hello
. version 2: it is Pending
~ something new: 1
12 changes would be made; 1 problem in the way; 1 thing has to be waited for
""")

    def test_as_declared(self):
        self.assertEqual(self.diff([], as_declared=True).stdout, "as declared: nothing would change\n")

    def test_nothing_but_problems(self):
        p = self.diff([change("problem", "alias a", text="b"), change("problem", "alias b", text="b")])
        self.assertEqual(p.stdout.splitlines()[-1], "nothing would change now; 2 problems in the way")
        p = self.diff([change("create-api", "API x")])
        self.assertEqual(p.stdout, "+ create API x\n1 change would be made\n")

    def test_json(self):
        changes = [change("create-alias", "alias prod", to="version 2")]
        self.assertEqual(json.loads(self.diff(changes, "-o", "json").stdout)["changes"], changes)

    def test_colour_only_on_a_terminal(self):
        control = self.serve()
        control.answers["POST", "/v1/plans/diff"] = (200, {"name": "hello", "kind": "Service", "as_declared": False,
                                                           "changes": [change("create-alias", "alias prod")]})
        file = self.write("s.yaml", SERVICE)
        self.assertNotIn("\x1b", self.run_ctl("diff", file).stdout)
        t = self.terminal("diff", file)
        self.assertEqual(t.finish(), 0)
        self.assertIn("\x1b[", t.text)
        self.assertIn("+ create alias prod", plain(t.text))
        t = self.terminal("diff", file, NO_COLOR="1")
        self.assertEqual(t.finish(), 0)
        self.assertNotIn("\x1b[3", t.text)

    def test_what_the_daemon_refuses(self):
        control = self.serve()
        file = self.write("s.yaml", SERVICE)
        for status, code, message in ((502, "inspection_failed", "AWS denied GetFunction: …"),
                                      (503, "unavailable", "8 plans are being looked at already"),
                                      (504, "timed_out", "AWS did not tell all within 60 s")):
            control.answers["POST", "/v1/plans/diff"] = (status, {"error": {"code": code, "message": message}})
            self.assertEqual(self.run_ctl("diff", file, code=1).stderr, f"rolloutctl: {message}\n")
        invalid = {"code": "invalid_plan", "message": "the plan has 1 error",
                   "diagnostics": [{"severity": "error", "line": 3, "column": 7, "text": "unknown key"}]}  # fmt: skip
        control.answers["POST", "/v1/plans/diff"] = (422, {"error": invalid})
        self.assertEqual(self.run_ctl("diff", file, code=1).stderr,
                         f"{file}:3:7: error: unknown key\nrolloutctl: the plan has 1 error\n")

    def test_files(self):
        control = self.serve()
        self.assertIn("cannot be read", self.run_ctl("diff", "/nonexistent", code=1).stderr)
        self.assertIn("a FILE is missing", self.run_ctl("diff", code=2).stderr)
        control.answers["POST", "/v1/plans/diff"] = (200, {"name": "hello", "changes": []})
        self.run_ctl("diff", "-", input=SERVICE)
        self.assertEqual(control.requests[-1][2].decode(), SERVICE)


class Doctor(Case):
    FINDINGS = [
        {"level": "ok", "subject": "credentials of account default", "text": "read from the environment", "cure": ""},
        {"level": "warning", "subject": "alias prod", "text": "has no metrics yet", "cure": "send it some traffic"},
        {"level": "problem", "subject": "function hello", "text": "does not exist", "cure": "create it"},
    ]

    def doctor(self, n, *args, code=0):
        control = self.serve()
        findings = self.FINDINGS[:n]
        healthy = all(f["level"] != "problem" for f in findings)
        control.answers["POST", "/v1/plans/doctor"] = (200, {"name": "hello", "healthy": healthy,
                                                             "findings": findings})
        return self.run_ctl("doctor", self.write("s.yaml", SERVICE), *args, code=code)

    def test_problems(self):
        self.assertEqual(self.doctor(3, code=1).stdout, """\
ok       credentials of account default: read from the environment
warning  alias prod: has no metrics yet
         to do: send it some traffic
problem  function hello: does not exist
         to do: create it
hello: 1 problem, 1 warning
""")

    def test_healthy(self):
        self.assertEqual(self.doctor(2).stdout.splitlines()[-1], "hello: healthy, 1 warning")
        self.assertEqual(self.doctor(1).stdout.splitlines()[-1], "hello: healthy")

    def test_json(self):
        p = self.doctor(3, "-o", "json", code=1)
        self.assertEqual(json.loads(p.stdout)["findings"], self.FINDINGS)


if __name__ == "__main__":
    unittest.main()
