#!/usr/bin/python3
"""What a rollout does besides moving traffic, by the real programs: it publishes its version, waits for one that soaks
on another alias, asks hooks and URLs, and keeps provisioned concurrency; and what `diff` and `doctor` say of its plan.

# runner: timeout 300
"""

import json
import os
import signal
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rollout_case import ENDED, Operator, RolloutCase, Together, make_plan, wait_long
from rolloutd_case import SECRET
from service_case import Breaker, at_once, hello, zipped

LONG = 3600  # a bake that no test waits for
URL_SECRET = "token-of-a-web-hook-8675309"

# $LATEST has other code than the newest version, and version 3 fails all requests.
WORLD = """
seed: 13
limits: off
update_time: 300ms
provision_time: 2500ms
functions:
  f:
    copies: 60
    versions:
      1: {response: Hello V1, code: one}
      2: {response: Hello V2, code: two}
      3: {code: three, error_rate: 100%}
      4: {role: "arn:aws:iam::123456789012:role/other", code: four}
      5: {dead_letter: "arn:aws:sqs:us-east-1:123456789012:dead", code: five}
    aliases:
      prod: {version: 1}
      test: {version: 1}
  smoke:
    versions:
      1: {body: '{"status": "Succeeded"}'}
      2: {body: '{"status": "Failed", "reason": "3 of 12 orders were lost"}'}
      3: {error_rate: 100%}
      4: {latency: 60s}
      5: {body: all is well}
    aliases:
      live: {version: 1}
s3:
  builds:
    new.zip: {response: from S3, code: object}
    dated.zip: {response: from S3 as well, code: dated, version: 3HL4kqtJ}
images:
  "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:1": {response: image one}
  "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:2": {response: image two}
traffic:
  - {function: f-*, alias: prod, rps: 60, arrival: even}
metrics: {period: 1s, delay: 200ms}
"""

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello"


class Web(BaseHTTPRequestHandler):
    """What hooks and `verify` call: the first part of the path says how it answers."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, text=""):
        data = text.encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with self.server.lock:
            asked = self.server.asked.setdefault(self.path.partition("?")[0], [])
            asked.append((self.headers, body))
            times = len(asked)
        kind = self.path.split("/")[1]
        if kind == "slow":
            self.server.released.wait(120)
        if kind == "no":
            self.answer(403, "the freeze lasts until Monday")
        elif kind == "down" or (kind == "flaky" and times < 3):
            self.answer(503, "one moment")
        else:
            self.answer(200, "go ahead")

    do_GET = do_POST

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Web)
        self.asked, self.lock, self.released = {}, threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def times(self, path):
        with self.lock:
            return len(self.asked.get(path, []))

    def close(self):
        self.released.set()
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, request, client_address):
        """A daemon that was killed hears no answer."""


def put_file(folder, name, content):
    path = os.path.join(folder, name)
    with open(path + ".new", "wb") as f:
        f.write(content)
    os.rename(path + ".new", path)


class Scenarios(Together):
    WORLD = WORLD

    def lam(self):
        return self.world.aws("lambda")

    def versions(self, function):
        return [v["Version"] for v in self.lam().list_versions_by_function(FunctionName=function)["Versions"]]

    def at_once(self, name, function, version, more="", **kwargs):
        """A plan that moves all traffic in one go."""
        self.drop(name, function, version=version, steps=(), more=more, **kwargs)

    def publish(self, name, function, source, **kwargs):
        self.at_once(name, function, f"{{publish: {source}}}", **kwargs)

    def refused(self, name, function, *words):
        """It ended before any traffic moved."""
        s = self.ctl.phase(name, "failed")
        for word in words:
            self.assertIn(word, s["reason"])
        self.assertIsNone(s["first_traffic_at"])
        self.asked_only(function, "1")
        return s

    def served(self, function):
        """What a request through the alias is answered."""
        answer = self.lam().invoke(FunctionName=function, Qualifier="prod")
        return json.loads(answer["Payload"].read())["body"]

    def behave(self, function, **keys):
        self.world.admin("PUT", "world", {"functions": {function: keys}})


class Publishing(Scenarios):
    def test_zip(self):
        f = self.function()
        put_file(self.d.plans, "code.zip", hello(7))
        self.publish("zip", f, "{zip: code.zip, description: a zip of mine}")
        s = self.ctl.phase("zip", "succeeded")
        self.assertEqual((s["stable_version"], s["canary_version"]), ("1", "6"))
        self.assertEqual(self.served(f), "Hello V7")
        self.asked_only(f, "1", "6")
        config = self.lam().get_function_configuration(FunctionName=f, Qualifier="6")
        self.assertEqual(config["Description"], "a zip of mine")
        texts = [e["text"] for e in self.ctl.events("zip", "changed")]
        self.assertEqual(len(texts), 2, texts)
        self.assertIn("publish", texts[1])
        # The same code once more, under another name: no new version, and nothing to move.
        self.publish("zip-again", f, "{zip: code.zip}")
        self.assertIn("already", self.ctl.phase("zip-again", "succeeded")["reason"])
        self.assertEqual(self.versions(f)[-1], "6")

    def test_zip_in_steps(self):
        f = self.function()
        put_file(self.d.plans, "steps.zip", hello(8))
        self.drop("zip-steps", f, version="{publish: {zip: steps.zip}}")
        self.ctl.phase("zip-steps", "succeeded")
        self.asked_only(f, "1", "1+6@10", "1+6@50", "6")

    def test_bad_zip_comes_back_and_is_not_published_again(self):
        f = self.function()
        put_file(self.d.plans, "bad.zip", zipped(error_rate=1))
        self.drop("zip-bad", f, version="{publish: {zip: bad.zip}}")
        self.ctl.phase("zip-bad", "rolled-back")
        self.asked_only(f, "1", "1+6@10", "1")
        self.drop("zip-bad-again", f, version="{publish: {zip: bad.zip}}", steps=[(25, 1)])
        self.assertIn("quarantine", self.ctl.phase("zip-bad-again", "failed")["reason"])
        self.asked_only(f, "1", "1+6@10", "1")
        self.assertEqual(self.versions(f)[-1], "6")

    def test_zip_that_is_not_there(self):
        f = self.function()
        self.publish("zip-missing", f, "{zip: nowhere.zip}")
        self.refused("zip-missing", f, "nowhere.zip")
        self.assertEqual(self.versions(f)[-1], "5")

    def test_zip_that_is_none(self):
        f = self.function()
        put_file(self.d.plans, "text.zip", b"this is not a zip file")
        self.publish("zip-none", f, "{zip: text.zip}")
        self.refused("zip-none", f, "zip")

    def test_latest_as_it_stands(self):
        f = self.function()
        self.publish("stands", f, "{}")
        self.assertEqual(self.ctl.phase("stands", "succeeded")["canary_version"], "6")
        # The configuration alone is different now.
        self.lam().update_function_configuration(FunctionName=f, Environment={"Variables": {"COLOUR": "blue"}})
        self.publish("stands-blue", f, "{}")
        self.assertEqual(self.ctl.phase("stands-blue", "succeeded")["canary_version"], "7")
        config = self.lam().get_function_configuration(FunctionName=f, Qualifier="prod")
        self.assertEqual((config["Version"], config["Environment"]["Variables"]), ("7", {"COLOUR": "blue"}))
        # Nothing is different now.
        self.publish("stands-still", f, "{}", alias="test")
        self.assertEqual(self.ctl.phase("stands-still", "succeeded")["canary_version"], "7")
        self.assertEqual(self.versions(f)[-1], "7")
        self.assertEqual(self.world.holds(f, "test"), "7")

    def test_s3(self):
        f = self.function()
        self.publish("s3", f, "{s3: {bucket: builds, key: new.zip}}")
        self.ctl.phase("s3", "succeeded")
        self.assertEqual(self.served(f), "from S3")
        self.publish("s3-dated", f, "{s3: {bucket: builds, key: dated.zip, version: 3HL4kqtJ}}")
        self.ctl.phase("s3-dated", "succeeded")
        self.assertEqual(self.served(f), "from S3 as well")
        self.publish("s3-same", f, "{s3: {bucket: builds, key: dated.zip, version: 3HL4kqtJ}}", alias="test")
        self.assertEqual(self.ctl.phase("s3-same", "succeeded")["canary_version"], "7")
        self.asked_only(f, "1", "6", "7")

    def test_s3_object_that_is_not_there(self):
        f = self.function()
        self.publish("s3-missing", f, "{s3: {bucket: builds, key: nothing.zip}}")
        self.refused("s3-missing", f, "S3")

    def test_image(self):
        lam, f = self.lam(), "pictures"
        lam.create_function(FunctionName=f, Role="arn:aws:iam::123456789012:role/test", PackageType="Image",
                            Code={"ImageUri": f"{IMAGE}:1"}, Publish=True)
        lam.create_alias(FunctionName=f, Name="prod", FunctionVersion="1")
        self.publish("image", f, f"{{image: '{IMAGE}:2'}}")
        self.ctl.phase("image", "succeeded")
        self.assertEqual(self.served(f), "image two")
        self.asked_only(f, "1", "2")

    def test_update_that_fails(self):
        f = self.function()
        self.behave(f, update_fails="The image manifest is not supported")
        put_file(self.d.plans, "unlucky.zip", hello(9))
        self.publish("update-fails", f, "{zip: unlucky.zip}")
        self.refused("update-fails", f, "The image manifest is not supported")
        self.assertEqual(self.versions(f)[-1], "5")

    def test_version_that_fails(self):
        f = self.function()
        self.behave(f, publish_fails="The snapshot's initialisation ended with an error", publish_time="300ms")
        put_file(self.d.plans, "snap.zip", hello(10))
        self.publish("version-fails", f, "{zip: snap.zip}")
        self.refused("version-fails", f, "The snapshot's initialisation ended with an error")

    def test_version_that_takes_its_time(self):
        """As with SnapStart: no traffic goes to a version that is Pending."""
        f = self.function()
        self.behave(f, publish_time="3s")
        put_file(self.d.plans, "slow.zip", hello(11))
        begun = time.monotonic()
        self.drop("version-slow", f, version="{publish: {zip: slow.zip}}", steps=[(50, 1)])
        self.ctl.until("version-slow", lambda s: "made version 6 ready" in s["reason"], "to wait")
        self.asked_only(f, "1")
        self.ctl.weight("version-slow", 50)
        self.assertGreater(time.monotonic() - begun, 3)
        self.ctl.phase("version-slow", "succeeded")
        counts = self.world.counters()["functions"][f]["versions"]["6"]
        self.assertEqual((counts["errors"], counts["requests"] > 0), (0, True), counts)
        self.asked_only(f, "1", "1+6@50", "6")

    def test_from_another_alias(self):
        f = self.function()
        self.lam().update_alias(FunctionName=f, Name="test", FunctionVersion="2")
        self.drop("soaks", f, version="{from_alias: test, soak: 3s}", steps=[(50, 1)])
        s = self.ctl.until("soaks", lambda s: "test" in s["reason"], "to wait")
        self.assertIn("has been on test for 3s", s["reason"])
        self.asked_only(f, "1")
        s = self.ctl.phase("soaks", "succeeded")
        self.assertEqual(s["canary_version"], "2")
        self.asked_only(f, "1", "1+2@50", "2")

    def test_from_another_alias_that_moves_on(self):
        """What is on it for less than it must be is not taken; what it serves to a part of its users neither."""
        f = self.function()
        self.lam().update_alias(FunctionName=f, Name="test", FunctionVersion="3")
        self.at_once("moves-on", f, "{from_alias: test, soak: 4s}")
        self.ctl.until("moves-on", lambda s: "version 3" in s["reason"], "to wait for version 3")
        self.lam().update_alias(FunctionName=f, Name="test", FunctionVersion="2",
                                RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
        self.ctl.until("moves-on", lambda s: "one version alone" in s["reason"], "to wait for one version")
        self.lam().update_alias(FunctionName=f, Name="test", RoutingConfig={"AdditionalVersionWeights": {}})
        self.ctl.phase("moves-on", "succeeded")
        self.asked_only(f, "1", "2")

    def test_from_an_alias_of_latest(self):
        f = self.function()
        self.lam().update_alias(FunctionName=f, Name="test", FunctionVersion="$LATEST")
        self.at_once("from-latest", f, "{from_alias: test}")
        self.refused("from-latest", f, "test points at $LATEST")

    def test_preconditions_before_any_traffic(self):
        f, g = self.function(), self.function()
        for name, version, words in (("other-role", 4, "execution role"), ("other-letters", 5, "dead-letter target")):
            self.drop(name, f, version=version)
            self.refused(name, f, words)
        self.lam().update_alias(FunctionName=g, Name="prod", RoutingConfig={"AdditionalVersionWeights": {"3": 0.05}})
        self.drop("left-over", g)
        s = self.ctl.phase("left-over", "blocked")
        self.assertIn("5%", s["reason"])
        self.assertEqual(self.world.changes(g, by="rolloutd"), [])
        self.ctl.run("rollback", "left-over")
        self.ctl.until("left-over", lambda s: s["phase"] in ENDED, "to end")
        self.assertEqual(self.world.holds(g), "1")

    def test_two_sources_are_no_plan(self):
        text = make_plan("wrong", self.function(), version="{publish: {zip: a.zip, image: b}}", steps=())
        self.d.put_plan("wrong.yaml", text)
        errors = wait_long("the error", lambda: [f for f in self.ctl.get("/v1/rollouts")[1].get("files", [])
                                                 if f["file"] == "wrong.yaml"])
        self.assertIn("image", str(errors))


class Hooks(Scenarios):
    @classmethod
    def setUpClass(cls):
        cls.web = Server()
        cls.addClassCleanup(cls.web.close)
        super().setUpClass()

    def program(self, name, text, mode=0o755):
        folder = os.path.join(self.shared.folder, "hooks.d")
        with self.lock:
            os.makedirs(folder, exist_ok=True)
        put_file(folder, name, f"#!/bin/sh\n{text}\n".encode())
        os.chmod(os.path.join(folder, name), mode)
        return os.path.join(folder, name)

    def hooked(self, name, function, pre="", post="", verify="", **kwargs):
        hooks = [f"  {w}_traffic: {h}\n" for w, h in (("pre", pre), ("post", post)) if h]
        more = ("hooks:\n" + "".join(hooks) if hooks else "") + (f"verify: {verify}\n" if verify else "")
        self.at_once(name, function, kwargs.pop("version", 2), more=more.rstrip("\n"), **kwargs)

    def hook_texts(self, name):
        return [e["text"] for e in self.ctl.events(name, "hook")]

    def agrees(self, name, pre, said):
        """As hook before and after the traffic."""
        f = self.function()
        self.hooked(name, f, pre, pre)
        self.ctl.phase(name, "succeeded")
        self.asked_only(f, "1", "2")
        texts = self.hook_texts(name)
        self.assertEqual(len(texts), 2, texts)
        for text, when in zip(texts, ("pre-traffic", "post-traffic")):
            self.assertTrue(text.startswith(when), text)
            self.assertIn(said, text)
        return texts

    def refuses(self, name, hook, *words):
        """Before the traffic it ends the rollout there, after it brings the traffic back."""
        f, g = self.function(), self.function()
        self.hooked(name + "-pre", f, pre=hook)
        self.hooked(name + "-post", g, post=hook)
        self.refused(name + "-pre", f, "pre-traffic hook", *words)
        s = self.ctl.phase(name + "-post", "rolled-back")
        for word in ("post-traffic hook", *words):
            self.assertIn(word, s["reason"])
        self.asked_only(g, "1", "2", "1")

    # --- invoke ---

    def test_invoke_agrees(self):
        for text in self.agrees("invoke-yes", "{invoke: 'smoke:live'}", "agreed"):
            self.assertIn("function smoke:live", text)
            self.assertIn("Succeeded", text)

    def test_invoke_by_arn_with_any_answer(self):
        self.agrees("invoke-arn", "{invoke: 'arn:aws:lambda:us-east-1:123456789012:function:smoke:5'}", "all is well")

    def test_invoke_refuses(self):
        self.refuses("invoke-no", "{invoke: 'smoke:2'}", "answered Failed: 3 of 12 orders were lost")

    def test_invoke_errs(self):
        self.refuses("invoke-error", "{invoke: 'smoke:3'}", "failed: Handler fails")

    def test_invoke_of_nothing(self):
        self.refuses("invoke-nothing", "{invoke: nothing-of-the-kind}", "nothing-of-the-kind")

    def test_invoke_takes_too_long(self):
        self.refuses("invoke-slow", "{invoke: 'smoke:4', timeout: 2s}", "did not answer within 2s")

    # --- exec ---

    def test_exec_agrees(self):
        self.program("agrees", "cat >/dev/null; echo one; echo 12 of 12 passed")
        self.agrees("exec-yes", "{exec: agrees}", "agreed: one 12 of 12 passed")

    def test_exec_is_told_and_has_a_clean_environment(self):
        path = self.program("curious", "cat >told; env >environment; ls -l /proc/self/fd >files; pwd; echo \"$#\"")
        f, folder = self.function(), os.path.dirname(path)
        self.hooked("exec-curious", f, pre="{exec: curious}")
        self.ctl.phase("exec-curious", "succeeded")
        with open(os.path.join(folder, "told"), encoding="utf-8") as file:
            told = json.load(file)
        self.assertEqual(told, {
            "hook": "pre_traffic", "rollout": "exec-curious", "attempt": 1, "function": f, "alias": "prod",
            "version": "2", "qualified_arn": f"arn:aws:lambda:us-east-1:123456789012:function:{f}:2",
            "stable_version": "1"})
        with open(os.path.join(folder, "environment"), encoding="utf-8") as file:
            names = {line.partition("=")[0] for line in file.read().splitlines()}
        self.assertEqual(names - {"PWD", "OLDPWD", "SHLVL", "_"}, {"PATH", "LANG", "ROLLOUTD_HOOK"})
        with open(os.path.join(folder, "files"), encoding="utf-8") as file:
            handles = {line.split(" -> ")[0].split()[-1] for line in file.read().splitlines()[1:]}
        self.assertEqual(handles, {"0", "1", "2", "3"}, "what the daemon has open; 3 is the listed folder itself")
        (said,) = self.hook_texts("exec-curious")
        self.assertTrue(said.endswith(f"agreed: {folder} 0"), said)

    def test_exec_refuses(self):
        self.program("refuses", "echo looked at everything; echo the queue is full >&2; exit 1")
        self.refuses("exec-no", "{exec: refuses}", "status 1", "the queue is full")
        (text,) = self.hook_texts("exec-no-pre")
        self.assertIn("refused: looked at everything the queue is full", text)

    def test_exec_is_tried_again(self):
        path = self.program("later", 'echo x >>tries; test "$(wc -l <tries)" -ge 3 || exit 75; echo now it is')
        f = self.function()
        self.hooked("exec-later", f, pre="{exec: later}")
        self.ctl.phase("exec-later", "succeeded")
        texts = self.hook_texts("exec-later")
        self.assertEqual([("tried again" in t, "agreed" in t) for t in texts],
                         [(True, False), (True, False), (False, True)], texts)
        with open(os.path.join(os.path.dirname(path), "tries"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "x\n" * 3)

    def test_exec_takes_too_long(self):
        self.program("sleeps", "echo counting; sleep 600")
        self.refuses("exec-slow", "{exec: sleeps, timeout: 1s}", "did not end within 1s", "counting")

    def test_exec_that_may_not_run(self):
        outside = os.path.join(self.shared.folder, "outside")
        put_file(self.shared.folder, "outside", b"#!/bin/sh\nexit 0\n")
        os.chmod(outside, 0o755)
        self.program("by-all", "exit 0", 0o777)
        self.program("not-executable", "exit 0", 0o644)
        os.symlink(outside, os.path.join(self.shared.folder, "hooks.d", "link"))
        for hook, words in (("by-all", "can be written by others"), ("not-executable", "chmod +x"),
                            ("absent", "there is no hook"), ("link", "not a regular file")):
            f = self.function()
            self.hooked(f"exec-{hook}", f, pre=f"{{exec: {hook}}}")
            self.refused(f"exec-{hook}", f, words)

    def test_exec_outside_of_the_folder_is_no_plan(self):
        for number, program in enumerate(("../outside", "/bin/true", ".hidden")):
            path = os.path.join(self.shared.folder, f"outside-{number}.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(make_plan("out", "f-0", steps=(), more=f"hooks: {{pre_traffic: {{exec: {program}}}}}"))
            self.assertIn("exec", self.ctl.run("validate", path, code=1))

    # --- http ---

    def test_http_agrees(self):
        url = self.web.url(f"/yes/both?key={URL_SECRET}")
        texts = self.agrees("http-yes", f"{{http: '{url}'}}", "agreed: go ahead")
        (headers, before), (_, after) = self.web.asked["/yes/both"]
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual([json.loads(b)["hook"] for b in (before, after)], ["pre_traffic", "post_traffic"])
        self.assertEqual(json.loads(before)["rollout"], "http-yes")
        for told in (*texts, str(self.ctl.events("http-yes")), str(self.ctl.status("http-yes")), self.d.log()):
            self.assertNotIn(URL_SECRET, told)

    def test_http_refuses(self):
        self.refuses("http-no", f"{{http: '{self.web.url('/no/way?key=' + URL_SECRET)}'}}", "answered 403")
        (text,) = self.hook_texts("http-no-pre")
        self.assertIn("refused: the freeze lasts until Monday", text)
        self.assertNotIn(URL_SECRET, str(self.ctl.events("http-no-pre")) + str(self.ctl.status("http-no-post")))

    def test_http_that_is_down_is_tried_again(self):
        f, g = self.function(), self.function()
        self.hooked("http-flaky", f, pre=f"{{http: '{self.web.url('/flaky/one')}'}}")
        self.hooked("http-down", g, pre=f"{{http: '{self.web.url('/down/one')}'}}")
        self.ctl.phase("http-flaky", "succeeded")
        self.assertEqual(self.web.times("/flaky/one"), 3)
        self.refused("http-down", g, "answered 503")
        self.assertEqual(self.web.times("/down/one"), 3)

    def test_http_without_anybody(self):
        self.refuses("http-nobody", "{http: 'http://127.0.0.1:1/hook'}", "gave no answer")

    def test_http_takes_too_long(self):
        self.refuses("http-slow", f"{{http: '{self.web.url('/slow/late')}', timeout: 1s}}", "did not answer within 1s")

    def test_http_in_the_clear_to_others_is_no_plan(self):
        path = os.path.join(self.shared.folder, "clear.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(make_plan("clear", "f-0", steps=(), more="hooks: {post_traffic: {http: 'http://example.com/'}}"))
        self.assertIn("https", self.ctl.run("validate", path, code=1))

    # --- requests that must be answered ---

    def test_verify(self):
        f, g = self.function(), self.function()
        self.hooked("verify-good", f, verify=f"[{{url: '{self.web.url('/yes/look')}'}}, "
                                             f"{{url: '{self.web.url('/no/look')}', expect_status: 403}}]")
        self.hooked("verify-bad", g, verify=f"[{{url: '{self.web.url('/down/look')}'}}]")
        self.ctl.phase("verify-good", "succeeded")
        self.asked_only(f, "1", "2")
        s = self.ctl.phase("verify-bad", "rolled-back")
        self.assertIn("answered 503, not 200", s["reason"])
        self.asked_only(g, "1", "2", "1")
        self.assertEqual(self.web.times("/down/look"), 5)

    def test_verify_comes_after_the_hook(self):
        f = self.function()
        self.hooked("verify-hook", f, post=f"{{http: '{self.web.url('/no/first')}'}}",
                    verify=f"[{{url: '{self.web.url('/yes/second')}'}}]")
        self.ctl.phase("verify-hook", "rolled-back")
        self.assertEqual(self.web.times("/yes/second"), 0)

    # --- operators, and what happens meanwhile ---

    def test_rollback_ends_a_hook_at_once(self):
        f, g = self.function(), self.function()
        self.program("endless", "sleep 600")
        self.hooked("stop-pre", f, pre="{exec: endless, timeout: 10m}")
        self.hooked("stop-post", g, post=f"{{http: '{self.web.url('/slow/stop')}', timeout: 10m}}")
        self.ctl.until("stop-pre", lambda s: "pre-traffic hook" in s["reason"], "to ask")
        wait_long("the post-traffic hook", lambda: self.web.times("/slow/stop"))
        begun = time.monotonic()
        self.ctl.run("rollback", "stop-pre")
        self.ctl.run("rollback", "stop-post")
        self.ctl.phase("stop-pre", "failed")
        self.ctl.phase("stop-post", "rolled-back")
        self.assertLess(time.monotonic() - begun, 10)
        self.asked_only(f, "1")
        self.asked_only(g, "1", "2", "1")

    def test_pause_while_a_hook_runs(self):
        """The answer counts, and nothing moves before `resume`."""
        f = self.function()
        self.program("waits", "while ! test -e go; do sleep 0.1; done; echo gone")
        self.hooked("pause-hook", f, pre="{exec: waits}")
        self.ctl.until("pause-hook", lambda s: "pre-traffic hook" in s["reason"], "to ask")
        self.ctl.run("pause", "pause-hook")
        put_file(os.path.join(self.shared.folder, "hooks.d"), "go", b"")
        wait_long("the hook's answer", lambda: self.hook_texts("pause-hook"))
        self.asked_only(f, "1")
        self.ctl.run("resume", "pause-hook")
        self.ctl.phase("pause-hook", "succeeded")
        self.assertEqual(len(self.hook_texts("pause-hook")), 1)

    def test_no_secret_in_what_is_said(self):
        self.program("tells", 'echo "${AWS_SECRET_ACCESS_KEY:-none}"')
        f = self.function()
        self.hooked("exec-tells", f, pre="{exec: tells}")
        self.ctl.phase("exec-tells", "succeeded")
        (text,) = self.hook_texts("exec-tells")
        self.assertTrue(text.endswith("agreed: none"), text)
        self.assertNotIn(SECRET, str(self.ctl.events("exec-tells")))


class Provisioned(Scenarios):
    def give(self, function, qualifier, count=2):
        self.lam().put_provisioned_concurrency_config(FunctionName=function, Qualifier=qualifier,
                                                      ProvisionedConcurrentExecutions=count)
        wait_long("READY", lambda: self.has(function, qualifier) == ("READY", count))

    def has(self, function, qualifier):
        """(status, how many), or None."""
        try:
            c = self.lam().get_provisioned_concurrency_config(FunctionName=function, Qualifier=qualifier)
        except self.lam().exceptions.ProvisionedConcurrencyConfigNotFoundException:
            return None
        return c["Status"], c["RequestedProvisionedConcurrentExecutions"]

    def test_canary_gets_what_the_stable_has(self):
        f = self.function()
        self.lam().delete_alias(FunctionName=f, Name="test")
        self.give(f, "1")
        self.drop("warm", f, steps=[(50, 2)])
        self.ctl.until("warm", lambda s: "provisioned concurrency" in s["trouble"], "to wait for it")
        self.asked_only(f, "1")
        self.ctl.weight("warm", 50)
        self.assertEqual((self.has(f, "1"), self.has(f, "2")), (("READY", 2), ("READY", 2)))
        self.ctl.phase("warm", "succeeded")
        wait_long("the release", lambda: self.has(f, "1") is None)
        self.assertEqual(self.has(f, "2"), ("READY", 2))
        (text,) = wait_long("the event", lambda: [e["text"] for e in self.ctl.events("warm", "released")])
        self.assertIn("version 1 is released", text)
        # The way back is to a cold version, and the operator is told.
        self.assertIn("provisioned concurrency", self.ctl.run("rollback", "warm"))
        self.ctl.phase("warm", "rolled-back")
        wait_long("the canary's release", lambda: self.has(f, "2") is None)
        self.asked_only(f, "1", "1+2@50", "2", "1")

    def test_rolled_back(self):
        f = self.function()
        self.give(f, "1")
        self.drop("warm-bad", f, version=3, steps=[(50, LONG)])
        self.ctl.phase("warm-bad", "rolled-back")
        wait_long("the release", lambda: self.has(f, "3") is None)
        self.assertEqual(self.has(f, "1"), ("READY", 2))
        self.asked_only(f, "1", "1+3@50", "1")

    def test_stable_that_another_alias_has(self):
        f = self.function()
        self.give(f, "1")
        self.at_once("shared", f, 2)
        self.ctl.phase("shared", "succeeded")
        (text,) = wait_long("the event", lambda: [e["text"] for e in self.ctl.events("shared", "released")])
        self.assertIn("version 1 is kept: the alias test has that version", text)
        self.assertEqual((self.has(f, "1"), self.has(f, "2")), (("READY", 2), ("READY", 2)))
        self.assertNotIn("provisioned concurrency", self.ctl.run("rollback", "shared"))

    def test_failed(self):
        f = self.function()
        self.give(f, "1")
        self.behave(f, provision_fails="The extension crashed during init")
        self.drop("warm-fails", f)
        s = self.ctl.phase("warm-fails", "failed")
        self.assertIn("The extension crashed during init", s["reason"])
        self.assertIsNone(s["first_traffic_at"])
        wait_long("the release", lambda: self.has(f, "2") is None)
        self.assertEqual(self.has(f, "1"), ("READY", 2))
        self.asked_only(f, "1")

    def test_more_than_the_account_has(self):
        f = self.function()
        self.give(f, "1", 600)
        self.drop("too-warm", f)
        s = self.refused("too-warm", f, "AWS refuses provisioned concurrency for version 2", "unreserved")
        self.assertEqual((s["stable_version"], self.has(f, "1"), self.has(f, "2")), (None, ("READY", 600), None))
        self.lam().delete_provisioned_concurrency_config(FunctionName=f, Qualifier="1")

    def test_of_the_alias_itself_in_steps(self):
        f = self.function()
        self.give(f, "prod")
        self.drop("alias-steps", f)
        self.refused("alias-steps", f, "the alias has provisioned concurrency of its own", "AllAtOnce")
        self.assertEqual(self.has(f, "prod"), ("READY", 2))

    def test_of_the_alias_itself_at_once(self):
        f = self.function()
        self.give(f, "prod")
        self.at_once("alias-once", f, 2)
        self.ctl.until("alias-once", lambda s: "AWS is moving" in s["trouble"], "to wait for AWS")
        self.assertEqual(self.world.holds(f), "2+1@100")
        self.ctl.phase("alias-once", "succeeded")
        self.assertEqual((self.world.holds(f), self.has(f, "prod")), ("2", ("READY", 2)))
        self.assertEqual(self.ctl.events("alias-once", "foreign-write"), [])
        self.assertEqual(self.world.changes(f, by="rolloutd"), ["2"])

    def test_of_the_alias_itself_and_back(self):
        f = self.function()
        self.give(f, "prod")
        self.at_once("alias-back", f, 2)
        self.ctl.until("alias-back", lambda s: "AWS is moving" in s["trouble"], "to wait for AWS")
        self.ctl.run("rollback", "alias-back")
        self.ctl.phase("alias-back", "rolled-back")
        wait_long("all to be back", lambda: self.world.holds(f) == "1")
        self.assertEqual(self.ctl.events("alias-back", "foreign-write"), [])


class Looking(Scenarios):
    """diff and doctor for plans of this kind. Neither changes anything."""

    def look(self, verb, name, *args, code=0, **kwargs):
        path = os.path.join(self.d.plans, f".{name}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(make_plan(name, *args, **kwargs))
        return self.ctl.json(verb, path, code=code)

    def diff(self, *args, **kwargs):
        answer = self.look("diff", *args, **kwargs)
        return [(c["kind"], c["from"], c["to"]) for c in answer["changes"]], answer["as_declared"]

    def problems(self, *args, code=1, **kwargs):
        answer = self.look("doctor", *args, code=code, **kwargs)
        self.assertEqual(answer["healthy"], code == 0)
        for f in answer["findings"]:
            self.assertTrue(f["level"] != "problem" or f["cure"] or ":" in f["text"], f)
        return {f["subject"]: f["text"] for f in answer["findings"] if f["level"] == "problem"}

    def test_diff_of_a_version(self):
        f = self.function()
        self.assertEqual(self.diff("d-2", f), ([("rollout", "version 1", "version 2")], False))
        self.assertEqual(self.diff("d-1", f, version=1), ([], True))

    def test_diff_of_a_zip(self):
        f = self.function()
        put_file(self.d.plans, "diff.zip", hello(20))
        changes, same = self.diff("d-zip", f, version="{publish: {zip: diff.zip}}")
        self.assertEqual((changes[0][0], same), ("update-code", False), changes)
        self.assertEqual(self.versions(f)[-1], "5")
        self.asked_only(f, "1")

    def test_diff_of_latest_as_it_stands(self):
        f = self.function()
        changes, _ = self.diff("d-stands", f, version="{publish: {}}")
        self.assertIn("publish", changes[0][0])
        self.assertEqual(self.versions(f)[-1], "5")

    def test_diff_of_another_alias(self):
        f = self.function()
        self.lam().update_alias(FunctionName=f, Name="test", FunctionVersion="2")
        changes, _ = self.diff("d-from", f, version="{from_alias: test}")
        self.assertEqual(changes, [("rollout", "version 1", "version 2")])

    def test_diff_of_an_alias_that_is_not_there(self):
        changes, same = self.diff("d-alias", self.function(), alias="nowhere")
        self.assertEqual(([c[0] for c in changes], same), (["problem"], False))

    def test_doctor_finds_nothing(self):
        f = self.function()
        more = "hooks: {pre_traffic: {invoke: 'smoke:live'}, post_traffic: {invoke: smoke}}"
        self.assertEqual(self.problems("doc-good", f, more=more, code=0), {})
        self.asked_only(f, "1")

    def test_doctor_finds_everything(self):
        f = self.function()
        more = "hooks: {pre_traffic: {invoke: 'smoke:nowhere'}, post_traffic: {invoke: nothing}}"
        found = self.problems("doc-bad", f, version=4, metrics="metrics: [{alarm: none-such}]", more=more)
        self.assertIn("different execution roles", found["alias prod"])
        self.assertIn("no such alarm", found["alarm none-such"])
        self.assertEqual({"hook smoke:nowhere", "hook nothing"} & found.keys(), {"hook smoke:nowhere", "hook nothing"})

    def test_doctor_finds_left_over_weights(self):
        f = self.function()
        self.lam().update_alias(FunctionName=f, Name="prod", RoutingConfig={"AdditionalVersionWeights": {"3": 0.05}})
        found = self.problems("doc-left", f)
        self.assertIn("5%", found["alias prod"])

    def test_doctor_finds_provisioned_concurrency_of_the_alias(self):
        f = self.function()
        self.lam().put_provisioned_concurrency_config(FunctionName=f, Qualifier="prod",
                                                      ProvisionedConcurrentExecutions=1)
        self.assertIn("the alias itself has provisioned concurrency", self.problems("doc-warm", f)["alias prod"])
        self.problems("doc-warm-once", f, steps=(), code=0)

    def test_doctor_finds_a_version_that_is_not_there(self):
        found = self.problems("doc-77", self.function(), version=77)
        self.assertIn("77", str(found))

    def test_doctor_finds_code_that_is_not_there(self):
        found = self.problems("doc-zip", self.function(), version="{publish: {zip: nowhere.zip}}")
        self.assertIn("nowhere.zip", str(found))


@at_once
class Killed(RolloutCase):
    """kill -9, each in a world of its own; afterwards nothing was published twice."""

    WORLD = WORLD
    NAME = "killed"

    def start(self, nth=0, **world):
        """Killed after the nth change in AWS, whose answer it never hears."""
        self.begin(start=False)
        self.struck = threading.Event()
        self.breaker = Breaker(self.world.url, nth, self.kill)
        self.stack.callback(self.breaker.close)
        if world:
            self.world.admin("PUT", "world", world)
        self.d.environment["AWS_ENDPOINT_URL"] = self.breaker.url()
        put_file(self.d.plans, "code.zip", hello(30))
        self.d.start()

    def kill(self):
        os.kill(self.d.process.pid, signal.SIGKILL)
        self.struck.set()

    def again(self):
        self.d.process.wait()
        self.d.start()
        self.ctl = Operator(self.d)

    def calls(self):
        return self.world.calls("UpdateFunctionCode"), self.world.calls("PublishVersion")

    def ends_well(self):
        self.ctl.phase(self.NAME, "succeeded")
        lam = self.world.aws("lambda")
        versions = [v["Version"] for v in lam.list_versions_by_function(FunctionName="f-0")["Versions"]]
        self.assertEqual(versions, ["$LATEST", "1", "2", "3", "4", "5", "6"])
        self.assertEqual(self.calls(), (1, 1))
        self.assertEqual(self.world.changes("f-0"), ["1", "6"])
        self.assertEqual(len(self.ctl.history(self.NAME)), 1)

    def publish(self, more=""):
        self.drop(self.NAME, "f-0", version="{publish: {zip: code.zip}}", steps=(), more=more)

    def after(self, nth, calls):
        self.start(nth)
        self.publish()
        self.assertTrue(self.struck.wait(60), self.d.log())
        self.assertEqual(self.calls(), calls)
        self.again()
        self.ends_well()

    def test_after_the_update(self):
        self.after(1, (1, 0))

    def test_after_publishing(self):
        self.after(2, (1, 1))

    def test_after_the_alias(self):
        self.after(3, (1, 1))

    def test_while_the_update_is_in_progress(self):
        self.start(update_time="2s")
        self.publish()
        wait_long("the update", lambda: self.world.calls("UpdateFunctionCode"))
        self.kill()
        self.assertEqual(self.calls(), (1, 0))
        self.again()
        self.ends_well()

    def test_while_the_version_is_pending(self):
        self.start(functions={"f-0": {"publish_time": "2s"}})
        self.publish()
        wait_long("the version", lambda: self.world.calls("PublishVersion"))
        self.kill()
        self.again()
        self.ends_well()

    def test_while_a_hook_is_asked(self):
        """It is asked once more, and that is all."""
        web = Server()
        self.stack.callback(web.close)
        self.start()
        self.publish(f"hooks: {{pre_traffic: {{http: '{web.url('/slow/killed')}'}}}}")
        wait_long("the hook", lambda: web.times("/slow/killed"))
        self.kill()
        web.released.set()
        self.again()
        self.ends_well()
        self.assertEqual(web.times("/slow/killed"), 2)

    def test_while_provisioned_concurrency_comes(self):
        self.start()
        lam = self.world.aws("lambda")
        lam.put_provisioned_concurrency_config(FunctionName="f-0", Qualifier="1", ProvisionedConcurrentExecutions=2)
        lam.delete_alias(FunctionName="f-0", Name="test")
        self.publish()
        wait_long("the request", lambda: self.world.calls("PutProvisionedConcurrencyConfig") == 2)
        self.kill()
        self.again()
        self.ends_well()

        def provisioned():
            configs = lam.list_provisioned_concurrency_configs(FunctionName="f-0")["ProvisionedConcurrencyConfigs"]
            return [c["FunctionArn"].rpartition(":")[2] for c in configs]

        wait_long("the release", lambda: provisioned() == ["6"])


if __name__ == "__main__":
    unittest.main()
