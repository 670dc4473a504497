#!/usr/bin/python3
"""What docs/security.md promises, tried on the running programs: who may do what, what TLS will not do, what a plan
cannot name, and where secrets do not go."""

# runner: timeout 300

import contextlib
import glob
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import unittest

import markers
from rollout_case import RolloutCase
from rolloutd_case import DEADLINE, ENVIRONMENT, ROLLOUTD, TOP, Case, Connection, plan, wait_for
from tls_case import TlsCase, Web, not_found

NOBODY = 65534


def as_root(test):
    return unittest.skipUnless(os.getuid() == 0, "only root can be somebody else")(test)


@contextlib.contextmanager
def somebody(uid, gid):
    """Connects made inside are this user's: the kernel writes down the effective ids."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


class Places(Case):
    """The control socket's connections are few, and nobody has them all."""

    LOOK = 60  # games, on every Debian

    def open_idle(self, d, n, uid, gid):
        """Connections that never ask anything. Gives those."""
        idle = []
        for _ in range(n):
            s = socket.socket(socket.AF_UNIX)
            self.stack.callback(s.close)
            with somebody(uid, gid):
                s.connect(d.socket)
            idle.append(s)
        return idle

    def shared_daemon(self):
        d = self.daemon("control: {socket: run/control.sock, group: games}\n")
        os.chmod(self.folder, 0o755)
        return d

    def others_get_in(self, idle_of, *asking):
        """Users are answered while the idle connections that came first, and hold places, are still there: as those are
        cut off after a while, which would make room as well, a host that is too slow for that tries again. Gives how
        many of all are there."""
        for _ in range(3):
            d = self.shared_daemon()
            idle = [s for uid in idle_of for s in self.open_idle(d, 48, uid, self.LOOK)]
            for uid in asking:
                with somebody(uid, self.LOOK):
                    c = Connection(d.socket)
                    c.connect()
                self.assertEqual(d.request("GET", "/v1/version", connection=c)[0], 200)
                c.close()
            held = [self.is_open(s) for s in idle]
            self.assertEqual(d.stop(), 0)
            if all(held[:16]):
                return sum(held)
        self.fail("the idle connections were gone before others were answered")

    @staticmethod
    def is_open(s):
        s.setblocking(False)
        try:
            return s.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    @as_root
    def test_one_user_cannot_take_all_places(self):
        """Idle connections hold a place until they are cut off. Those beyond a user's cap hold none, so another user
        and root are served at once."""
        held = self.others_get_in([NOBODY], 1, 0)
        self.assertLessEqual(held, 18)

    @as_root
    def test_many_users_cannot_shut_out_root(self):
        """Users who hold all the places together; root's are kept free of theirs."""
        held = self.others_get_in([1, 2, 3, NOBODY], 0, 0, 0)
        self.assertLessEqual(held, 28)

    @as_root
    def test_a_burst_shuts_out_nobody(self):
        """All places are taken at one blow, by connections that are cut off at once: whoever waits behind them is not
        left waiting until a place that is held comes free."""
        for _ in range(3):
            d = self.shared_daemon()
            held = self.open_idle(d, 16, 1, self.LOOK) + self.open_idle(d, 12, 2, self.LOOK)
            self.assertEqual(d.request("GET", "/v1/version")[0], 200)
            d.process.send_signal(signal.SIGSTOP)
            self.open_idle(d, 48, 3, self.LOOK)
            c = Connection(d.socket)
            c.connect()
            d.process.send_signal(signal.SIGCONT)
            self.assertEqual(d.request("GET", "/v1/version", connection=c)[0], 200)
            c.close()
            still = all(self.is_open(s) for s in held)
            self.assertEqual(d.stop(), 0)
            if still:
                return
        self.fail("connections that held a place were gone before one behind the burst was answered")

    @as_root
    def test_the_places_come_back(self):
        d = self.shared_daemon()
        for s in self.open_idle(d, 40, NOBODY, self.LOOK):
            s.close()

        def served():
            with somebody(NOBODY, self.LOOK):
                c = Connection(d.socket)
                c.connect()
            try:
                return d.request("GET", "/v1/version", connection=c)[0] == 200
            except OSError:
                return False
            finally:
                c.close()

        wait_for("room for the user", served)


# Without the daemon's own minimum, OpenSSL would now speak anything.
LAX_OPENSSL = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""


class Tls(TlsCase):
    """What TLS will not do."""

    def test_a_good_server(self):
        """Without this, the refusals below would prove nothing."""
        web = self.serve(self.own.sign("good", self.HOST))
        text = self.ask(web)
        self.assertIn("does not exist", text)
        self.assertTrue(web.heard)
        self.assertIn("TLSv1.3", web.handshakes)

    def test_tls_1_2_will_do(self):
        web = self.serve(self.own.sign("good12", self.HOST), version=ssl.TLSVersion.TLSv1_2)
        self.ask(web)
        self.assertTrue(web.heard)
        self.assertIn("TLSv1.2", web.handshakes)

    def test_older_than_tls_1_2(self):
        """Even where the whole system's OpenSSL was told to speak it."""
        path = os.path.join(self.folder, "openssl.cnf")
        with open(path, "w", encoding="ascii") as f:
            f.write(LAX_OPENSSL)
        web = self.serve(self.own.sign("old", self.HOST), version=ssl.TLSVersion.TLSv1_1)
        self.refused(web, "protocol version", OPENSSL_CONF=path)

    def test_a_wrong_name(self):
        self.refused(self.serve(self.own.sign("wrong", "other.localhost")), "no alternative certificate subject name")

    def test_an_expired_certificate(self):
        self.refused(self.serve(self.own.sign("expired", self.HOST, expired=True)), "certificate has expired")

    def test_a_self_signed_certificate(self):
        self.refused(self.serve(self.own.sign("self", self.HOST, self_signed=True)), "self-signed certificate")

    def test_a_foreign_authority(self):
        self.refused(self.serve(self.foreign.sign("foreigner", self.HOST)), "unable to get local issuer certificate")

    def test_no_environment_turns_it_off(self):
        """The switches of curl, Python, Node, Git and the SDKs."""
        web = self.serve(self.foreign.sign("switched", self.HOST))
        self.refused(web, "certificate", AWS_NO_VERIFY_SSL="true", AWS_VERIFY_SSL="false", PYTHONHTTPSVERIFY="0",
                     NODE_TLS_REJECT_UNAUTHORIZED="0", GIT_SSL_NO_VERIFY="1", CURL_INSECURE="1",
                     CURL_CA_BUNDLE=self.foreign.file, SSL_CERT_FILE=self.foreign.file,
                     REQUESTS_CA_BUNDLE=self.foreign.file)

    def test_session_keys_are_not_logged(self):
        """SSLKEYLOGFILE has libcurl write down what decrypts a recorded connection."""
        path = os.path.join(self.folder, "keylog")
        web = self.serve(self.own.sign("logged", self.HOST))
        self.ask(web, SSLKEYLOGFILE=path)
        self.assertTrue(web.heard)
        self.assertFalse(os.path.exists(path))

    def test_a_redirect_is_not_followed(self):
        """The signed request is not sent on to where an answer points."""
        elsewhere = Web(not_found)
        self.stack.callback(elsewhere.close)
        to = {"Location": f"http://127.0.0.1:{elsewhere.port}/", "x-amzn-RequestId": "1"}
        web = self.serve(self.own.sign("moved", self.HOST), lambda _request: (307, to, b""))
        text = self.ask(web)
        self.assertTrue(web.heard)
        self.assertEqual(elsewhere.heard, [])
        self.assertIn("307", text)

    def test_a_huge_answer_is_cut_off(self):
        web = self.serve(self.own.sign("huge", self.HOST),
                         lambda _request: (200, {"Content-Type": "application/json"}, b" " * (9 * 1024 * 1024)))
        self.assertIn("the answer is larger than 8388608 bytes", self.ask(web))

    def test_plain_http_to_another_host(self):
        for url in ("http://lambda.example.com", "http://169.254.169.254", "http://127.0.0.1.example.com",
                    "http://user:word@127.0.0.1", "ftp://127.0.0.1", "file:///etc/passwd"):
            with self.subTest(url):
                d = self.daemon(environment={"AWS_ENDPOINT_URL": url})
                text = json.dumps(d.post("/v1/plans/doctor", plan())[1])
                self.assertIn("AWS_ENDPOINT_URL is unusable: the URL", text)
                self.assertNotIn("user:word", text + d.log())
                self.assertEqual(d.stop(), 0)


class Secrets(RolloutCase):
    def test_an_endpoint_that_repeats_the_request(self):
        """AWS's own signature errors do, and so do proxies: what was sent as a secret is masked wherever it shows."""

        def echo(request):
            token = request.headers["X-Amz-Security-Token"]
            signature = request.headers["Authorization"].rpartition(" ")[2]
            message = f"you sent {token} {signature}"
            body = json.dumps({"__type": "InvalidSignatureException", "Message": message}).encode()
            return 403, {"x-amzn-RequestId": token, "x-amzn-ErrorType": "InvalidSignatureException"}, body

        web = Web(echo)
        self.stack.callback(web.close)
        d = self.daemon("log: {level: debug}\n", environment={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{web.port}"})
        d.post("/v1/plans", plan(more="start: auto"))
        trouble = wait_for("the trouble", lambda: d.get("/v1/rollouts/hello-prod")[1]["trouble"])
        self.assertIn("InvalidSignatureException", trouble)
        self.assertIn("you sent", trouble)
        self.assertEqual(web.heard[0][2]["X-Amz-Security-Token"], markers.TOKEN)  # it was there to be repeated
        text = json.dumps(d.post("/v1/plans/doctor", plan())[1]) + json.dumps(d.get("/v1/events")[1])
        signatures = {re.search("Signature=([0-9a-f]{64})", h["Authorization"])[1] for _, _, h in web.heard}
        self.assertEqual(d.stop(), 0)
        for signature in signatures:
            self.assertNotIn(signature, text + trouble + d.log())

    def test_a_whole_rollout_with_a_session_token(self):
        """Key and token in earnest; everything that is said and kept is searched, in all forms."""
        ctl = self.begin(config=self.CONFIG + "log: {level: debug, format: json}\n")
        self.drop("marked", "f-0")
        self.drop("marked-bad", "f-1", version=3)
        ctl.phase("marked", "succeeded")
        ctl.phase("marked-bad", "rolled-back")
        for command in (("status", "marked"), ("explain", "marked"), ("report", "marked-bad"), ("events",), ("list",),
                        ("history",)):
            ctl.run(*command, code=None)
        for path in ("/v1/rollouts", "/v1/history", "/v1/events?limit=1000", "/metrics", "/healthz", "/v1/version"):
            self.d.get(path)
        self.assertEqual(self.d.stop(), 0)
        self.assertTrue(os.path.getsize(self.d.log_path))
        self.assertNotRegex(self.d.log(), r"(?i)signature=|authorization:|aws4-hmac")

    def test_the_search_finds_what_it_should(self):
        """A search that finds nothing proves nothing, so here is something to find."""
        for _, text in markers.forms_of(markers.TOKEN):
            self.assertIsNotNone(markers.find(f"x{text}y"), text)
        path = os.path.join(self.folder, "leak")
        with open(path, "wb") as f:
            f.write(b"\0" * 5000 + markers.SECRET.encode()[:30] + b"\xff" * 5000)
        with self.assertRaises(AssertionError):
            markers.look_through(self.folder)
        os.unlink(path)

    def test_keys_from_a_credential_of_the_service_manager(self):
        """LoadCredential= gives a file that the daemon alone can read; the environment has no key."""
        folder = os.path.join(self.folder, "credentials")
        os.mkdir(folder, 0o700)
        path = os.path.join(folder, "aws-credentials")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {markers.SECRET}\n"
                    f"aws_session_token = {markers.TOKEN}\n")
        os.chmod(path, 0o400)
        ctl = self.begin(start=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            del self.d.environment[name]
        self.d.environment["AWS_SHARED_CREDENTIALS_FILE"] = path
        self.d.start()
        self.drop("credential", "f-0", steps=())
        ctl.phase("credential", "succeeded")
        os.unlink(path)  # so that the rest of the folder is all there is to search


class Process(Case):
    @as_root
    def test_its_memory_is_its_own(self):
        """Not dumpable: what is in /proc about it belongs to root, and its own user may not look into its memory."""
        os.chmod(self.folder, 0o755)
        for name in ("state", "run"):
            os.mkdir(os.path.join(self.folder, name))
            os.chown(os.path.join(self.folder, name), NOBODY, NOBODY)
        d = self.daemon(user=NOBODY, group=NOBODY, extra_groups=[])
        pid = d.process.pid
        for name in ("mem", "environ", "maps"):
            self.assertEqual(os.stat(f"/proc/{pid}/{name}").st_uid, 0)
            with somebody(NOBODY, NOBODY), self.assertRaises(PermissionError):
                open(f"/proc/{pid}/{name}", "rb").close()
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            self.assertIn(f"Uid:\t{NOBODY}\t{NOBODY}", f.read())

    def test_it_leaves_no_core(self):
        d = self.daemon()
        with open(f"/proc/{d.process.pid}/limits", encoding="ascii") as f:
            self.assertRegex(f.read(), r"Max core file size +0 +0 ")

    def test_what_it_writes_is_for_its_user_alone(self):
        d = self.daemon()
        d.post("/v1/plans", plan())
        with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
            self.assertIn("Umask:\t0077\n", f.read())
        for path in [os.path.join(self.folder, "state"), *glob.glob(os.path.join(self.folder, "state/*"))]:
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)


class Files(Case):
    """The plans folder: what is believed, and what a running rollout works from."""

    def problems(self, d):
        files = d.get("/v1/rollouts")[1]["files"]
        return "\n".join(line for f in files for line in f["errors"])

    def test_what_is_not_believed(self):
        d = self.daemon()
        outside = os.path.join(self.folder, "outside.yaml")
        with open(outside, "w", encoding="ascii") as f:
            f.write(plan("outside"))
        os.symlink(outside, os.path.join(d.plans, "link.yaml"))
        os.mkfifo(os.path.join(d.plans, "pipe.yaml"), 0o644)
        d.put_plan("large.yaml", plan("large") + "#" * 65536)
        d.put_plan("open.yaml", plan("open"))
        os.chmod(os.path.join(d.plans, "open.yaml"), 0o666)
        wanted = ["is a symbolic link", "is not a regular file", "a plan has at most 65536", "can be written by others"]
        if os.getuid() == 0:
            d.put_plan("theirs.yaml", plan("theirs"))
            os.chown(os.path.join(d.plans, "theirs.yaml"), 4711, 4711)
            wanted.append("belongs to uid 4711: expected root or the daemon's user")
        d.post("/v1/reload")
        wait_for("all of them to be refused", lambda: all(w in self.problems(d) for w in wanted))
        self.assertEqual(d.get("/v1/rollouts")[1]["rollouts"], [])

    def test_a_folder_that_others_can_write(self):
        """By a name, an old file of root's can come back; so the folder is looked at as well."""
        d = self.daemon(start=False)
        os.chmod(d.plans, 0o777)
        d.put_plan("a.yaml", plan("alpha"))
        d.start()
        wait_for("the refusal", lambda: "can be written by others" in d.log())
        self.assertEqual(d.get("/v1/rollouts")[1]["rollouts"], [])
        p = subprocess.run([ROLLOUTD, "--check", "--config", d.config], env=ENVIRONMENT, capture_output=True,
                           text=True, timeout=DEADLINE, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn("can be written by others", p.stdout)
        os.chmod(d.plans, 0o755)
        wait_for("the plan", lambda: d.get("/v1/rollouts/alpha")[0] == 200)

    def test_a_plan_is_frozen_when_it_is_taken(self):
        """Hashed and kept: what becomes of the file afterwards does not change what runs, restarts included."""
        d = self.daemon()
        d.put_plan("a.yaml", plan("alpha"))
        before = wait_for("the plan", lambda: self.shape(d))
        path = os.path.join(d.plans, "a.yaml")
        os.unlink(path)
        os.symlink("/etc/hostname", path)
        d.post("/v1/reload")
        wait_for("the link to be refused", lambda: "is a symbolic link" in self.problems(d))
        self.assertEqual(self.shape(d), before)
        self.assertEqual(d.stop(), 0)
        d.start()
        self.assertEqual(self.shape(d), before)

    @staticmethod
    def shape(d):
        status, answer = d.get("/v1/rollouts/alpha")
        return status == 200 and {k: answer.get(k) for k in ("attempt", "phase", "function", "alias", "plan", "canary")}


class Plans(Case):
    """What a plan may not name. Its author has the daemon's rights in AWS, and none of the host's."""

    def complaints(self, more):
        status, answer = self.d.post("/v1/plans/validate", plan(more=more))
        self.assertEqual(status, 200)
        return "" if answer["valid"] else "\n".join(d["text"] for d in answer["diagnostics"])

    def setUp(self):
        super().setUp()
        self.d = self.daemon()

    def test_no_program_outside_hooks_dir(self):
        for name in ("/bin/sh", "../sh", "a/b", "./sh", "..", ".hidden", "sh -c x", "$(id)", "a;b", "~root/x", ""):
            with self.subTest(name):
                self.assertTrue(self.complaints(f"hooks: {{pre_traffic: {{exec: '{name}'}}}}"))
        self.assertEqual(self.complaints("hooks: {pre_traffic: {exec: smoke-test.sh}}"), "")

    def test_no_url_to_fetch_keys_from(self):
        """The metadata services of EC2, ECS and EKS speak plain http beyond the loopback; others need a protocol."""
        for url in ("http://169.254.169.254/latest/meta-data/iam/security-credentials/", "http://169.254.170.2/v2/x",
                    "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::254]/latest/", "http://0/",
                    "http://0.0.0.0/", "http://metadata.google.internal/", "http://2852039166/",
                    "http://127.0.0.1.nip.io/", "http://[::ffff:169.254.169.254]/", "file:///etc/passwd",
                    "unix:///run/x.sock", "gopher://x/",
                    "https://user:word@example.com/"):
            with self.subTest(url):
                self.assertTrue(self.complaints(f"hooks: {{pre_traffic: {{http: '{url}'}}}}"), url)
                self.assertTrue(self.complaints(f"verify: [{{url: '{url}', expect_status: 200}}]"), url)
        self.assertEqual(self.complaints("hooks: {pre_traffic: {http: 'https://chat.example.com/x'}}"), "")
        self.assertEqual(self.complaints("verify: [{url: 'https://chat.example.com/x', expect_status: 200}]"), "")

    def test_no_endpoint_and_no_identity_of_its_own(self):
        for key in ("endpoint", "endpoint_url", "profile", "role_arn", "access_key_id", "secret_access_key",
                    "credentials", "ca_bundle", "insecure", "proxy"):
            with self.subTest(key):
                self.assertIn(f"unknown key `{key}`", self.complaints(f"{key}: x"))

    def test_an_account_that_the_configuration_does_not_have(self):
        self.error(self.d.post("/v1/plans", plan(more="account: other")), 409, "refused")


class Table(unittest.TestCase):
    """docs/security.md names a test for each line; those are there."""

    def test_every_named_test_is_there(self):
        with open(os.path.join(TOP, "docs/security.md"), encoding="utf-8") as f:
            rows = [line for line in f if line.startswith("| ")]
        named = [(row, name) for row in rows for name in re.findall(r"`((?:tests/)?\w+\.(?:c|py):\w+)`", row)]
        self.assertGreater(len(named), 20)
        for row, name in named:
            file, test = name.split(":")
            found = glob.glob(os.path.join(TOP, "tests/*/" + file))
            self.assertEqual(len(found), 1, f"{name} in {row}")
            with open(found[0], encoding="utf-8") as f:
                text = f.read()
            pattern = rf"^    def {test}\(" if file.endswith(".py") else rf"^static void {test}\("
            self.assertRegex(text, re.compile(pattern, re.M), row)
            if file.endswith(".c"):  # and is run
                self.assertGreater(len(re.findall(rf"\b{test}\b", text)), 1, f"{name} is not in its main()")

    def test_every_line_has_a_test(self):
        with open(os.path.join(TOP, "docs/security.md"), encoding="utf-8") as f:
            table = f.read().partition("| promise | where | test |")[2].partition("\n\n")[0]
        rows = table.strip().splitlines()[1:]
        self.assertGreater(len(rows), 20)
        for row in rows:
            promise, where, tests = [cell.strip() for cell in row.strip("|").split(" | ")]
            self.assertRegex(tests, r"`\w+\.(c|py):\w+`", promise)
            for path in re.findall(r"\]\(\.\./([\w./-]+)\)", where):
                self.assertTrue(os.path.exists(os.path.join(TOP, path)), path)
            self.assertTrue(where, promise)


if __name__ == "__main__":
    unittest.main()
