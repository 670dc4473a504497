#!/usr/bin/python3
"""The daemon by itself: its control socket, its plans folder, its service manager, its start and its stop.

# runner: valgrind Socket.test_every_route Events.test_replay_and_what_comes Plans.test_files_appear_and_are_mended
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

from rolloutd_case import DEADLINE, ENVIRONMENT, ROLLOUTD, SECRET, Case, Connection, plan, wait_for


class Socket(Case):
    def test_every_route(self):
        d = self.daemon()
        self.assertEqual(d.get("/healthz"), (200, {"status": "ok", "message": ""}))
        self.assertEqual(d.get("/v1/version")[1]["api"], "v1")
        status, answer = d.post("/v1/plans", plan())
        self.assertEqual((status, answer["result"], answer["name"], answer["phase"]),
                         (201, "started", "hello-prod", "pending"))
        status, answer = d.get("/v1/rollouts")
        self.assertEqual((status, [r["name"] for r in answer["rollouts"]], answer["files"]), (200, ["hello-prod"], []))
        self.assertEqual(d.get("/v1/rollouts/hello-prod")[1]["phase"], "pending")
        self.assertEqual(len(d.get("/v1/history?name=hello-prod")[1]["rollouts"]), 1)
        self.assertEqual(d.get("/v1/events")[1]["events"][0]["name"], "hello-prod")
        status, answer = d.post("/v1/reload")
        self.assertEqual((status, answer["result"]), (200, "done"))
        status, text = d.get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn('rolloutd_rollouts{phase="pending"} 1\n', text)
        self.assertIn('rolloutd_rollout_weight_ratio{name="hello-prod",alias="hello-prod",phase="pending"} 0.0000\n',
                      text)
        status, answer = d.post("/v1/rollouts/hello-prod/promote", '{"reason": "go"}')
        self.assertEqual((status, answer["result"]), (200, "done"))
        command = [e for e in d.get("/v1/events?name=hello-prod")[1]["events"] if e["kind"] == "command"][0]
        self.assertRegex(command["by"], rf"^uid={os.getuid()} pid={os.getpid()}$")
        self.assertIn("go", command["text"])

    def test_history_of_all_names(self):
        d = self.daemon()
        self.assertEqual(d.get("/v1/history"), (200, {"rollouts": []}))
        d.post("/v1/plans", plan())
        d.post("/v1/plans", plan("other"))
        for path, names in (("/v1/history", ["other", "hello-prod"]), ("/v1/history?limit=1", ["other"])):
            self.assertEqual([r["name"] for r in d.get(path)[1]["rollouts"]], names)

    def test_metrics_are_well_formed(self):
        d = self.daemon()
        d.post("/v1/plans", plan())
        seen = set()
        for line in d.get("/metrics")[1].splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                self.assertNotIn(name, seen)
                seen.add(name)
            elif not line.startswith("# "):
                match = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (\d+(\.\d+)?)', line)
                self.assertTrue(match, line)
                self.assertIn(match[1], seen)

    def test_wrong_requests(self):
        d = self.daemon()
        self.error(d.get("/v1/nothing"), 404, "not_found")
        self.error(d.get("/v1/rollouts/absent"), 404, "not_found")
        self.error(d.get("/v1/history?name=absent"), 404, "not_found")
        self.error(d.post("/v1/rollouts/absent/pause"), 404, "not_found")
        self.error(d.post("/v1/rollouts/absent/retry"), 404, "not_found")
        self.assertIn("POST", self.error(d.get("/v1/reload"), 405, "method_not_allowed"))
        self.error(d.request("DELETE", "/v1/rollouts"), 405, "method_not_allowed")
        self.error(d.get("/v1/rollouts/Not_A_Name"), 400, "bad_request")
        self.error(d.get("/v1/events?limit=0"), 400, "bad_request")
        self.error(d.post("/v1/rollouts/absent/pause", "{"), 400, "bad_request")
        self.error(d.post("/v1/rollouts/absent/pause", '{"reason": "a", "reason": "b"}'), 400, "bad_request")
        self.error(d.post("/v1/plans"), 400, "bad_request")
        d.post("/v1/plans", plan())
        self.error(d.post("/v1/rollouts/hello-prod/retry"), 409, "refused")

    def test_plans_by_the_socket(self):
        d = self.daemon()
        status, answer = d.post("/v1/plans", "kind: Rollout\nnme: x\n")
        self.assertEqual((status, answer["error"]["code"]), (422, "invalid_plan"))
        self.assertIn({"severity": "error", "line": 2, "column": 1}.items(),
                      [{k: v for k, v in e.items() if k != "text"}.items() for e in answer["error"]["diagnostics"]])
        status, answer = d.post("/v1/plans/validate", "kind: Rollout\nnme: x\n")
        self.assertEqual((status, answer["valid"], answer["name"], answer["plan"]), (200, False, None, None))
        status, answer = d.post("/v1/plans/validate", plan())
        self.assertEqual((status, answer["valid"], answer["name"]), (200, True, "hello-prod"))
        self.assertEqual(answer["diagnostics"], [])
        self.assertEqual(d.get("/v1/rollouts")[1]["rollouts"], [])  # validating starts nothing
        self.assertEqual(d.post("/v1/plans", plan())[0], 201)
        status, answer = d.post("/v1/plans", plan())
        self.assertEqual((status, answer["result"]), (200, "unchanged"))
        self.error(d.post("/v1/plans", plan("other", more="account: nobody")), 409, "refused")

    def test_sizes(self):
        d = self.daemon()
        self.error(d.post("/v1/plans", "#" * (64 * 1024 + 1)), 413, "too_large")
        c = Connection(d.socket)  # a length that is not told beforehand
        c.request("POST", "/v1/plans", iter([b"#" * 1024] * 65), encode_chunked=True)
        self.assertEqual(c.getresponse().status, 413)
        c.close()
        self.assertEqual(d.post("/v1/plans/validate", plan() + "#" * (63 * 1024))[0], 200)
        self.assertEqual(d.get("/healthz")[0], 200)

    def test_garbage_does_no_harm(self):
        d = self.daemon()
        for junk in (b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000, b"\r\n" * 1000,
                     b"POST /v1/plans HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(DEADLINE)
                s.connect(d.socket)
                try:
                    s.sendall(junk)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assertEqual(d.get("/healthz")[0], 200)

    def test_several_requests_on_one_connection(self):
        d = self.daemon()
        c = Connection(d.socket)
        for _ in range(50):
            self.assertEqual(d.request("GET", "/v1/version", connection=c)[0], 200)
            self.assertEqual(d.request("POST", "/v1/plans/validate", plan(), connection=c)[0], 200)
        c.close()

    def test_half_a_request_is_cut_off(self):
        d = self.daemon()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(d.socket)
            stop = threading.Event()

            def drip():  # a byte now and then does not help
                while not stop.wait(0.5):
                    try:
                        s.send(b"X")
                    except OSError:
                        return

            s.send(b"GET /v1/version HTTP/1.1\r\nHost: ")
            thread = threading.Thread(target=drip)
            thread.start()
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            stop.set()
            thread.join()

    def test_a_user_has_so_many_connections(self):
        d = self.daemon()
        held = [Connection(d.socket) for _ in range(16)]
        for c in held:
            self.assertEqual(d.request("GET", "/v1/version", connection=c)[0], 200)
        self.error(d.get("/v1/version"), 429, "too_many")
        for c in held:
            c.close()
        wait_for("room again", lambda: d.get("/v1/version")[0] == 200)


@unittest.skipUnless(os.getuid() == 0, "only root can be somebody else")
class Rights(Case):
    """Groups of every Debian stand for those of the configuration."""

    LOOK, SUBMIT = 60, 100  # games, users

    def ask(self, d, groups, method, path, body=None):
        """The same request as uid 65534 with these groups; gives the status."""
        code = (
            "import os, sys, json\n"
            "groups, here, sock, method, path, body = json.loads(sys.argv[1])\n"
            "sys.path.insert(0, here)\n"
            "from rolloutd_case import Connection\n"
            "os.setgroups(groups); os.setgid(65534); os.setuid(65534)\n"
            "c = Connection(sock); c.request(method, path, body); print(c.getresponse().status)\n"
        )
        argument = json.dumps([groups, os.path.dirname(os.path.abspath(__file__)), d.socket, method, path, body])
        p = subprocess.run([sys.executable, "-B", "-c", code, argument], capture_output=True, text=True,
                           timeout=DEADLINE, check=False)
        return int(p.stdout) if p.returncode == 0 else p.stderr.strip().splitlines()[-1]

    def test_who_may_do_what(self):
        d = self.daemon("control: {socket: run/control.sock, group: games, submit_group: users}\n")
        os.chmod(self.folder, 0o755)
        st = os.stat(d.socket)
        self.assertEqual((st.st_mode & 0o7777, st.st_gid), (0o660, self.LOOK))
        self.assertIn("PermissionError", self.ask(d, [], "GET", "/v1/version"))
        self.assertEqual(self.ask(d, [self.LOOK], "GET", "/v1/version"), 200)
        self.assertEqual(self.ask(d, [self.LOOK], "POST", "/v1/reload"), 200)
        self.assertEqual(self.ask(d, [self.LOOK], "POST", "/v1/plans", plan()), 403)
        self.assertEqual(self.ask(d, [self.LOOK], "POST", "/v1/plans/validate", plan()), 200)
        self.assertEqual(self.ask(d, [self.LOOK, self.SUBMIT], "POST", "/v1/plans", plan()), 201)
        # The socket's mode is not all: a caller who got through it all the same is told no.
        os.chmod(d.socket, 0o666)
        self.assertEqual(self.ask(d, [], "GET", "/v1/version"), 403)
        self.assertEqual(self.ask(d, [self.SUBMIT], "POST", "/v1/plans", plan()), 403)
        self.assertRegex(d.log(), r"uid=65534 pid=\d+ may not POST /v1/plans: denied")

    def test_without_groups_it_is_private(self):
        d = self.daemon()
        self.assertEqual(os.stat(d.socket).st_mode & 0o7777, 0o600)

    def test_a_group_that_is_not_there(self):
        d = self.daemon("control: {socket: run/control.sock, group: no-such-group}\n", start=False)
        d.start(ready=False)
        self.assertEqual(d.process.wait(DEADLINE), 1)
        self.assertIn("there is no group 'no-such-group'", d.log())


class Inspections(Case):
    """diff and doctor ask AWS first: here one that takes connections and never answers."""

    def setUp(self):
        super().setUp()
        self.aws = socket.create_server(("127.0.0.1", 0))
        self.aws.listen(64)
        self.accepted = []
        self.environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.aws.getsockname()[1]}"}

    def silent_daemon(self):
        d = self.daemon(environment=self.environment)
        self.stack.callback(self.hang_up)  # before the daemon is stopped, which waits for its answers
        return d

    def wait_for_call(self):
        self.accepted.append(self.aws.accept()[0])

    def hang_up(self):
        for s in [self.aws, *self.accepted]:
            s.close()

    def ask(self, d, path="/v1/plans/diff"):
        c = Connection(d.socket)
        c.request("POST", path, plan())
        self.stack.callback(c.close)
        return c

    def test_wrong_plans(self):
        d = self.silent_daemon()
        for path in ("/v1/plans/diff", "/v1/plans/doctor"):
            self.assertEqual(self.error(d.post(path, "kind: Rollout\nnme: x\n"), 422, "invalid_plan"),
                             d.post(path, "kind: Rollout\nnme: x\n")[1]["error"]["message"])
            self.error(d.post(path), 400, "bad_request")
            self.error(d.get(path), 405, "method_not_allowed")

    def test_at_most_so_many_and_who_goes_away_is_forgotten(self):
        d = self.silent_daemon()
        asked = [self.ask(d, f"/v1/plans/{'diff' if i % 2 else 'doctor'}") for i in range(8)]
        self.wait_for_call()
        wait_for("the eighth", lambda: d.post("/v1/plans/diff", plan())[0] == 503)
        self.assertIn("8 plans", self.error(d.post("/v1/plans/diff", plan()), 503, "unavailable"))
        self.assertEqual(d.get("/healthz")[0], 200)  # others are served meanwhile
        for c in asked:
            c.close()
        # Their connections are let go: this user may have as many others as before.
        wait_for("room for connections", lambda: self.can_connect(d, 16))

    @staticmethod
    def can_connect(d, n):
        with contextlib.ExitStack() as stack:
            for _ in range(n):
                c = Connection(d.socket)
                stack.callback(c.close)
                if d.request("GET", "/healthz", connection=c)[0] != 200:
                    return False
        return True

    def test_a_client_that_closed_its_half_gets_its_answer(self):
        d = self.silent_daemon()
        c = self.ask(d)
        c.sock.shutdown(socket.SHUT_WR)
        self.wait_for_call()
        d.process.send_signal(signal.SIGTERM)
        self.assertEqual(c.getresponse().status, 503)
        self.hang_up()
        self.assertEqual(d.process.wait(DEADLINE + 30), 0)

    def test_the_stop_answers(self):
        d = self.silent_daemon()
        asked = [self.ask(d), self.ask(d, "/v1/plans/doctor")]
        self.wait_for_call()
        d.process.send_signal(signal.SIGTERM)
        for c in asked:
            answer = c.getresponse()
            self.assertEqual(answer.status, 503)
            self.assertIn("stopping", json.load(answer)["error"]["message"])
        self.hang_up()
        self.assertEqual(d.process.wait(DEADLINE + 30), 0)

    def test_an_aws_that_cannot_be_reached(self):
        self.hang_up()
        d = self.daemon()
        for path in ("/v1/plans/diff", "/v1/plans/doctor"):
            status, answer = d.post(path, plan())
            self.assertIn("127.0.0.1", json.dumps(answer))
            self.assertIn(status, (200, 502))
            self.assertNotIn(SECRET, json.dumps(answer))


class Events(Case):
    def follow(self, d, query=""):
        c = Connection(d.socket)
        self.stack.callback(c.close)
        c.request("GET", "/v1/events?follow=1" + query)
        r = c.getresponse()
        self.assertEqual((r.status, r.headers.get_content_type()), (200, "application/x-ndjson"))
        return r

    def read(self, r):
        """The next event; empty lines are signs of life."""
        line = b"\n"
        while line == b"\n":
            line = r.readline()
        return json.loads(line)

    def test_replay_and_what_comes(self):
        d = self.daemon()
        d.post("/v1/plans", plan("first"))
        before = d.get("/v1/events")[1]["events"]
        r = self.follow(d)
        self.assertEqual([self.read(r) for _ in before], before)
        d.post("/v1/plans", plan("second"))
        event = self.read(r)
        self.assertEqual(event["name"], "second")
        # A broken stream goes on where it was.
        again = self.follow(d, f"&after={before[-1]['id']}")
        self.assertEqual(self.read(again), event)
        # Of one name only.
        named = self.follow(d, "&name=third")
        d.post("/v1/plans", plan("third"))
        self.assertEqual(self.read(named)["name"], "third")

    def test_signs_of_life(self):
        d = self.daemon()
        self.assertEqual(self.follow(d).readline(), b"\n")

    def test_followers_leave_room_for_others(self):
        d = self.daemon()
        for _ in range(8):
            self.follow(d)
        self.error(d.get("/v1/events?follow=1"), 429, "too_many")
        self.assertEqual(d.get("/v1/version")[0], 200)

    def test_followers_that_went_away_are_forgotten(self):
        d = self.daemon()
        for _ in range(8):
            c = Connection(d.socket)
            c.request("GET", "/v1/events?follow=1")
            self.assertEqual(c.getresponse().status, 200)
            c.close()

        def free():
            c = Connection(d.socket)
            c.request("GET", "/v1/events?follow=1")
            status = c.getresponse().status
            c.close()
            return status == 200

        wait_for("room for a follower", free)

    def test_a_follower_that_does_not_read_harms_nobody(self):
        d = self.daemon()
        with socket.socket(socket.AF_UNIX) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(d.socket)
            s.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            for i in range(200):
                self.assertEqual(d.post("/v1/plans", plan(f"p{i}"))[0], 201)
            self.assertEqual(len(d.get("/v1/rollouts")[1]["rollouts"]), 200)

    def test_the_stream_ends_with_the_daemon(self):
        d = self.daemon()
        r = self.follow(d)
        self.assertEqual(d.stop(), 0)
        self.assertEqual(r.read().strip(), b"")


class Plans(Case):
    def files(self, d):
        return {f["file"]: f["errors"] for f in d.get("/v1/rollouts")[1]["files"]}

    def test_files_appear_and_are_mended(self):
        d = self.daemon()
        d.put_plan("bad.yaml", "kind: Rollout\nnme: x\n")
        d.put_plan("good.yaml", plan("good"))
        wait_for("the bad file in the list", lambda: "bad.yaml" in self.files(d))
        self.assertTrue(any(line.startswith("bad.yaml:2:1: error: ") for line in self.files(d)["bad.yaml"]))
        wait_for("the good one to be taken", lambda: d.get("/v1/rollouts/good")[0] == 200)
        d.put_plan("bad.yaml", plan("mended"))
        wait_for("the mended one to be taken", lambda: d.get("/v1/rollouts/mended")[0] == 200)
        self.assertEqual(self.files(d), {})
        os.unlink(os.path.join(d.plans, "good.yaml"))
        wait_for("the notice", lambda: "good.yaml is gone; what it started goes on" in d.log())
        self.assertEqual(d.get("/v1/rollouts/good")[1]["phase"], "pending")

    def test_a_restart_takes_nothing_twice(self):
        d = self.daemon()
        d.put_plan("a.yaml", plan("alpha"))
        wait_for("the plan", lambda: d.get("/v1/rollouts/alpha")[0] == 200)
        self.assertEqual(d.stop(), 0)
        d.start()
        wait_for("the folder to be read", lambda: d.log().count("1 plan file, 0 with errors") >= 1)
        d.put_plan("b.yaml", plan("beta"))
        wait_for("the second plan", lambda: d.get("/v1/rollouts/beta")[0] == 200)
        self.assertEqual(d.get("/v1/rollouts/alpha")[1]["attempt"], 1)
        self.assertEqual(len(d.get("/v1/history?name=alpha")[1]["rollouts"]), 1)

    def test_without_keys_it_runs_and_says_so(self):
        d = self.daemon(environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""})
        d.post("/v1/plans", plan(more="start: auto"))
        trouble = wait_for("the trouble", lambda: d.get("/v1/rollouts/hello-prod")[1]["trouble"])
        self.assertIn("no AWS keys were found", trouble)
        self.assertEqual(d.get("/healthz")[0], 200)

    def test_nobody_at_the_endpoint(self):
        d = self.daemon()
        d.post("/v1/plans", plan(more="start: auto"))
        trouble = wait_for("the trouble", lambda: d.get("/v1/rollouts/hello-prod")[1]["trouble"])
        self.assertIn("127.0.0.1", trouble)


class Life(Case):
    def test_stop_and_start_again(self):
        d = self.daemon()
        d.post("/v1/plans", plan())
        for number in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(d.stop(number), 0)
            self.assertFalse(os.path.exists(d.socket))
            d.start()
            self.assertEqual(d.get("/v1/rollouts/hello-prod")[1]["phase"], "pending")

    def test_killed_and_started_again(self):
        d = self.daemon()
        d.post("/v1/plans", plan())
        d.stop(signal.SIGKILL)
        self.assertTrue(os.path.exists(d.socket))  # stale now
        d.start()
        self.assertEqual(d.get("/v1/rollouts/hello-prod")[1]["phase"], "pending")

    def test_two_on_one_state(self):
        d = self.daemon()
        other = os.path.join(self.folder, "other.yaml")
        with open(other, "w", encoding="utf-8") as f:
            f.write("state_dir: state\ncontrol: {socket: run/other.sock}\n")
        p = subprocess.run([ROLLOUTD, "--config", other], env=ENVIRONMENT, capture_output=True, text=True,
                           timeout=DEADLINE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn("in use by another rolloutd", p.stderr)
        with open(other, "w", encoding="utf-8") as f:
            f.write("state_dir: state2\ncontrol: {socket: run/control.sock}\n")
        p = subprocess.run([ROLLOUTD, "--config", other], env=ENVIRONMENT, capture_output=True, text=True,
                           timeout=DEADLINE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn("another daemon listens at", p.stderr)
        self.assertEqual(d.get("/healthz")[0], 200)

    def test_reload(self):
        d = self.daemon()
        self.assertNotIn("restart", d.post("/v1/reload")[1]["message"])
        with open(d.config, "a", encoding="utf-8") as f:
            f.write("history_days: 7\n")
        self.assertIn("has changed: restart rolloutd to apply it", d.post("/v1/reload")[1]["message"])
        d.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: "SIGHUP: the plans in" in d.log())
        self.assertEqual(d.get("/healthz")[0], 200)

    def test_log_as_json(self):
        d = self.daemon("log: {format: json, level: debug}\n")
        d.post("/v1/plans", plan())
        self.assertEqual(d.stop(), 0)
        lines = [json.loads(line) for line in d.log().splitlines()]
        self.assertTrue(all({"time", "level", "message"} <= line.keys() for line in lines))
        self.assertTrue(any(line.get("rollout") == "hello-prod" and line.get("phase") == "pending" for line in lines))

    def test_the_process_keeps_to_itself(self):
        d = self.daemon()
        with open(f"/proc/{d.process.pid}/limits", encoding="utf-8") as f:
            self.assertRegex(f.read(), r"Max core file size +0 +0 ")
        self.assertEqual(os.stat(os.path.join(self.folder, "state/rolloutd.db")).st_mode & 0o077, 0)
        self.assertEqual(os.stat(os.path.join(self.folder, "state")).st_mode & 0o077, 0)


class Manager(Case):
    """The service manager's side."""

    def notices(self, **environment):
        path = os.path.join(self.folder, "notify")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.stack.callback(s.close)
        s.settimeout(DEADLINE)
        s.bind(path)
        return s, {"NOTIFY_SOCKET": path, **environment}

    def expect(self, s, wanted):
        while True:
            text = s.recv(4096).decode()
            if wanted in text:
                return text

    def test_what_it_is_told(self):
        s, environment = self.notices()
        d = self.daemon(environment=environment)
        self.expect(s, "READY=1")
        self.expect(s, "STATUS=0 rollouts")
        d.process.send_signal(signal.SIGHUP)
        self.assertIn("MONOTONIC_USEC=", self.expect(s, "RELOADING=1"))
        self.expect(s, "READY=1")
        d.post("/v1/plans", plan())
        self.expect(s, "STATUS=1 rollout")
        self.assertEqual(d.stop(), 0)
        self.expect(s, "STOPPING=1")

    def test_watchdog(self):
        s, environment = self.notices(WATCHDOG_USEC="400000")
        d = self.daemon(environment=environment)
        for _ in range(3):
            self.expect(s, "WATCHDOG=1")
        # A loop that does not turn says nothing.
        d.process.send_signal(signal.SIGSTOP)
        s.settimeout(1)
        with self.assertRaises(TimeoutError):
            while True:
                self.expect(s, "WATCHDOG=1")
        s.settimeout(DEADLINE)
        d.process.send_signal(signal.SIGCONT)
        self.expect(s, "WATCHDOG=1")

    def test_socket_activation(self):
        path = os.path.join(self.folder, "activated.sock")
        listener = socket.socket(socket.AF_UNIX)
        self.stack.callback(listener.close)
        listener.bind(path)
        listener.listen()
        d = self.daemon(start=False)
        code = (
            "import os, sys\n"
            "os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        with open(d.log_path, "ab") as log:
            d.process = subprocess.Popen(
                [sys.executable, "-c", code, str(listener.fileno()), ROLLOUTD, "--config", d.config],
                env=d.environment, stderr=log, pass_fds=[listener.fileno()])
        d.socket = path
        self.assertEqual(d.get("/v1/version")[0], 200)  # callers wait in the socket's queue until it is up
        self.assertEqual(d.stop(), 0)
        self.assertTrue(os.path.exists(path))


class Check(Case):
    def check(self, code, config="", **files):
        plans = os.path.join(self.folder, "plans.d")
        os.makedirs(plans, exist_ok=True)
        path = os.path.join(self.folder, "rolloutd.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        for name, text in files.items():
            with open(os.path.join(plans, name + ".yaml"), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(f.name, 0o644)
        p = subprocess.run([ROLLOUTD, "--check", "--config", path], env=ENVIRONMENT, capture_output=True, text=True,
                           timeout=DEADLINE, check=False)
        self.assertEqual((p.returncode, p.stderr), (code, ""), p.stdout)
        return p.stdout

    def test_all_is_well(self):
        self.assertEqual(self.check(0, a=plan("a"), b=plan("b")), "the configuration and 2 plan files are good\n")

    def test_everything_that_is_wrong(self):
        out = self.check(1, "accounts: {prod: {}}\n", a=plan("same"), b=plan("same"), c="nme: x\n",
                         d=plan("d", more="account: prd"), e=plan("e", more="account: prod"))
        self.assertIn("b.yaml: error: a plan named 'same' is in a.yaml already", out)
        self.assertIn("c.yaml:1:1: error: ", out)
        self.assertIn("d.yaml: error: account 'prd' is not in rolloutd.yaml", out)
        self.assertRegex(out, r"3 of 5 plan files in .*/plans\.d have errors\n$")

    def test_a_wrong_configuration(self):
        out = self.check(1, "plan_dir: x\nmark: 3\n")
        self.assertRegex(out, r"rolloutd\.yaml:1:1: error: unknown key 'plan_dir': did you mean 'plans_dir'\?")
        self.assertRegex(out, r"rolloutd\.yaml:2:7: error: 'mark': expected true or false")
        self.assertIn("no group 'nope'", self.check(1, "control: {group: nope}\n"))

    def test_the_command_line(self):
        def run(*arguments):
            return subprocess.run([ROLLOUTD, *arguments], env=ENVIRONMENT, capture_output=True, text=True,
                                  timeout=DEADLINE, check=False)

        self.assertRegex(run("--version").stdout, r"^rolloutd \d+\.\d+\.\d+\n$")
        self.assertIn("--check", run("--help").stdout)
        self.assertEqual(run("--frobnicate").returncode, 2)
        self.assertEqual(run("extra").returncode, 2)
        p = run("--config", "/nonexistent/x.yaml")
        self.assertEqual(p.returncode, 1)
        self.assertIn("/nonexistent/x.yaml cannot be read: No such file or directory", p.stderr)
        self.assertNotIn(SECRET, p.stderr)


if __name__ == "__main__":
    unittest.main()
