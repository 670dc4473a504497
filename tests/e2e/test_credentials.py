"""Every source of keys, asked by rolloutd and by botocore: from the same files, the same environment and the same fake
endpoints both must get the same keys. What the fakes give depends on everything that they were asked with, so that
equal keys mean equal questions."""

# runner: timeout 300

import functools
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ROLLOUT_BUILD", os.path.join(TOP, "build/release"))
TOOL = os.path.join(BUILD, "tools/resolve_keys")
HERE = os.path.dirname(os.path.abspath(__file__))
ROLE = "arn:aws:iam::123456789012:role/"
COMBINATIONS = 200


def keys_for(*what):
    """Keys that only this question gets."""
    digest = hashlib.sha256("|".join(str(w) for w in what).encode()).hexdigest()
    return "ASIA" + digest[:16].upper(), "secret/" + digest[16:48], "token+" + digest[48:]


class Fake(http.server.BaseHTTPRequestHandler):
    """STS, SSO, the container's and the instance's metadata service in one."""

    protocol_version = "HTTP/1.1"
    expires = None

    def log_message(self, *args):
        pass

    def answer(self, body, status=200, kind="application/json"):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def metadata(self, *what):
        key, secret, token = keys_for(*what)
        self.answer(json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                "Expiration": self.server.expires()}))

    def do_PUT(self):
        self.server.seen.append(f"PUT {self.path}")
        if self.server.imds == 1:
            return self.answer("", 404)
        return self.answer("imds-token", kind="text/plain")

    def do_GET(self):
        self.server.seen.append(f"GET {self.path}")
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/creds"):
            return self.metadata("container", self.path, self.headers.get("Authorization"))
        if url.path == "/federation/credentials":
            token = self.headers.get("x-amz-sso_bearer_token")
            if token == "refused":
                return self.answer('{"message":"Session token not found or invalid"}', 401)
            query = dict(urllib.parse.parse_qsl(url.query))
            key, secret, session = keys_for("sso", sorted(query.items()), token)
            return self.answer(json.dumps({"roleCredentials": {
                "accessKeyId": key, "secretAccessKey": secret, "sessionToken": session,
                "expiration": int(time.time() + 3600) * 1000}}))
        if url.path.startswith("/latest/meta-data/iam/security-credentials/"):
            if self.headers.get("x-aws-ec2-metadata-token") != (None if self.server.imds == 1 else "imds-token"):
                return self.answer("", 401)
            role = url.path.rsplit("/", 1)[1]
            return self.metadata("instance", role) if role else self.answer("ops", kind="text/plain")
        return self.answer("", 404)

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.seen.append(f"POST {form.get('Action')}")
        signer = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        if "denied" in form["RoleArn"]:
            return self.answer("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
                               "<Message>not you</Message></Error></ErrorResponse>", 403, "text/xml")
        name = form["RoleSessionName"]
        key, secret, token = keys_for(
            form["Action"], form["RoleArn"], signer and signer.group(1), self.headers.get("X-Amz-Security-Token"),
            form.get("ExternalId"), form.get("DurationSeconds"), form.get("WebIdentityToken"),
            None if name == "rolloutd" or name.startswith("botocore-session-") else name)
        action = form["Action"]
        return self.answer(
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
            f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}"
            f"</SessionToken><Expiration>{self.server.expires()}</Expiration></Credentials></{action}Result>"
            f"</{action}Response>", kind="text/xml")


class Endpoints(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Fake)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen = []
        self.imds = 2
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def expires(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


@functools.cache
def newest_botocore():
    """Of python3 in PATH and this one, whichever has the newer botocore."""
    found = []
    for python in filter(None, {shutil.which("python3"), sys.executable}):
        done = subprocess.run([python, "-c", "import botocore; print(botocore.__version__)"], capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            found.append((tuple(int(n) for n in done.stdout.strip().split(".")[:2]), python))
    return max(found)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.aws = Endpoints()
        cls.version, python = newest_botocore()
        cls.botocore = subprocess.Popen([python, "-B", os.path.join(HERE, "botocore_keys.py")], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.botocore.stdout.readline()

    @classmethod
    def tearDownClass(cls):
        cls.botocore.stdin.close()
        cls.botocore.wait()
        cls.botocore.stdout.close()
        cls.aws.close()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rollout-credentials-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.makedirs(os.path.join(self.folder, ".aws/sso/cache"))
        self.aws.imds = 2

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def environment(self, **more):
        return {"HOME": self.folder, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_STS": self.aws.url, "AWS_ENDPOINT_URL_SSO": self.aws.url, **more}

    def files(self, config="", credentials=""):
        self.write(".aws/config", config)
        self.write(".aws/credentials", credentials)

    def by_rolloutd(self, environment, profile=None, *options):
        options = [*options, *(["--profile", profile] if profile else [])]
        done = subprocess.run([TOOL, *options], env=environment, capture_output=True, text=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def by_botocore(self, environment, profile=None):
        request = {"environment": environment, "profile": profile, "endpoint": self.aws.url}
        self.botocore.stdin.write(json.dumps(request) + "\n")
        self.botocore.stdin.flush()
        return json.loads(self.botocore.stdout.readline())

    def both(self, profile=None, **environment):
        """The keys that both give, or the error of rolloutd; a failure when they are not of one mind."""
        environment = self.environment(**environment)
        ours = self.by_rolloutd(environment, profile)
        theirs = self.by_botocore(environment, profile)
        same = {k: v for k, v in ours.items() if k != "source"} == theirs
        if "error" in ours and "error" in theirs:
            same = True
        self.assertTrue(same, f"rolloutd: {ours}\nbotocore: {theirs}")
        return ours


KEYS = "aws_access_key_id = {0}\naws_secret_access_key = secret-of-{0}\n"
ENV_KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "secret-of-env", "AWS_SESSION_TOKEN": "tok"}


class Sources(Case):
    """One test for each kind of source."""

    def test_environment(self):
        self.files()
        self.assertEqual(self.both(**ENV_KEYS)["id"], "AKIDENV")
        self.assertIn("error", self.both(AWS_ACCESS_KEY_ID="AKIDENV"))
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.assertEqual(self.both(**ENV_KEYS, AWS_CREDENTIAL_EXPIRATION=soon)["id"], "AKIDENV")

    def test_files(self):
        self.files("[profile both]\n" + KEYS.format("CONF") + "[profile conf]\n" + KEYS.format("CONF"),
                   "[both]\n" + KEYS.format("CRED") + "aws_session_token = t\n[default]\n" + KEYS.format("DEF"))
        self.assertEqual(self.both("both")["id"], "CRED")
        self.assertEqual(self.both("conf")["id"], "CONF")
        self.assertEqual(self.both()["id"], "DEF")
        self.assertIn("nobody", self.both("nobody")["error"])

    def test_odd_but_valid_files(self):
        self.files("# comment\n[default]\nRegion : eu-west-1\n; more\n[profile \"a b\"]\nAWS_ACCESS_KEY_ID: AB\n"
                   "aws_secret_access_key: s=;#\n[DEFAULT]\naws_session_token = shared\n"
                   "[profile x]\ns3 =\n  aws_access_key_id = no\n\n  b = c\naws_access_key_id = X\n"
                   "aws_secret_access_key = y\n")
        self.assertEqual(self.both("a b")["token"], "shared")
        self.assertEqual(self.both("x")["id"], "X")

    def test_files_that_are_refused(self):
        for broken in ("[a]\n[a]\n", "[a]\nb = 1\nb = 2\n", "nonsense\n", "[a]\nnonsense\n", "[a]\nb =\n  nonsense\n"):
            with self.subTest(broken):
                self.files(broken, "[default]\n" + KEYS.format("DEF"))
                self.assertIn(".aws/config: line", self.both()["error"])

    def test_assumed_roles(self):
        self.files(f"[default]\nrole_arn = {ROLE}a\nsource_profile = b\nexternal_id = e/x&y\nduration_seconds = 3600\n"
                   f"[profile b]\nrole_arn = {ROLE}b\nsource_profile = c\nrole_session_name = me\n"
                   f"[profile self]\nrole_arn = {ROLE}s\nsource_profile = self\n" + KEYS.format("SELF") +
                   f"[profile loop]\nrole_arn = {ROLE}l\nsource_profile = pool\n"
                   f"[profile pool]\nrole_arn = {ROLE}p\nsource_profile = loop\n"
                   f"[profile denied]\nrole_arn = {ROLE}denied\nsource_profile = c\n", "[c]\n" + KEYS.format("C"))
        found = self.both()
        self.assertTrue(found["id"].startswith("ASIA"))
        self.assertEqual(found["source"], f"role {ROLE}a from role {ROLE}b from profile c of "
                                          f"{self.folder}/.aws/credentials")
        self.both("self")
        self.assertIn("leads back to \"loop\"", self.both("loop")["error"])
        self.assertIn("AccessDenied (403): not you", self.both("denied")["error"])

    def test_credential_sources(self):
        self.files("".join(f"[profile {s}]\nrole_arn = {ROLE}r\ncredential_source = {s}\n" for s in (
            "Environment", "Ec2InstanceMetadata", "EcsContainer", "Nothing")))
        self.assertIn("id", self.both("Environment", **ENV_KEYS))
        self.assertIn("error", self.both("Environment"))
        self.assertIn("id", self.both("EcsContainer", AWS_CONTAINER_CREDENTIALS_FULL_URI=self.aws.url + "/creds"))
        self.assertIn("id", self.both("Ec2InstanceMetadata", AWS_EC2_METADATA_DISABLED="false",
                                      AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.url))
        self.assertIn("error", self.both("Nothing"))

    def test_web_identity(self):
        token = self.write("token", "the.web/identity=+")
        self.files(f"[profile web]\nrole_arn = {ROLE}w\nweb_identity_token_file = {token}\n"
                   f"[profile over]\nrole_arn = {ROLE}o\nsource_profile = web\n[profile bare]\n"
                   f"web_identity_token_file = {token}\n")
        self.assertIn("id", self.both(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ROLE + "e",
                                      AWS_ROLE_SESSION_NAME="named"))
        self.assertIn("id", self.both("web"))
        self.assertIn("id", self.both("over"))
        self.assertIn("error", self.both("bare"))
        self.assertIn("/nonexistent", self.both(AWS_WEB_IDENTITY_TOKEN_FILE="/nonexistent",
                                                AWS_ROLE_ARN=ROLE + "e")["error"])

    def sso_token(self, key, token="sso-token", seconds=3600):
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        content = {"accessToken": token, "expiresAt": until, "startUrl": "https://s", "region": "eu-west-1"}
        self.write(f".aws/sso/cache/{hashlib.sha1(key.encode()).hexdigest()}.json", json.dumps(content))

    def test_sso(self):
        self.files("[profile old]\nsso_start_url = https://s\nsso_region = eu-west-1\nsso_account_id = 123456789012\n"
                   "sso_role_name = R\n[profile new]\nsso_session = corp\nsso_account_id = 123456789012\n"
                   "sso_role_name = R\n[sso-session corp]\nsso_start_url = https://t\nsso_region = eu-west-1\n"
                   "[profile lost]\nsso_session = nowhere\nsso_account_id = 1\nsso_role_name = R\n"
                   "[profile half]\nsso_role_name = R\n")
        self.assertIn("aws sso login --profile old", self.both("old")["error"])
        self.sso_token("https://s")
        self.assertIn("id", self.both("old"))
        if self.version >= (1, 29):
            self.sso_token("corp", "sso-session-token")
            self.assertIn("id", self.both("new"))
        self.assertIn("error", self.both("lost"))
        self.assertIn("error", self.both("half"))
        self.sso_token("https://s", seconds=-10)
        ours = self.both("old") if self.version >= (1, 32) else self.by_rolloutd(self.environment(), "old")
        self.assertIn("has expired: run \"aws sso login", ours["error"])
        self.sso_token("https://s", "refused")
        self.assertIn("run \"aws sso login", self.both("old")["error"])

    def test_process(self):
        good = {"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "s/+=", "SessionToken": "t"}
        files = {"good": good, "plain": {k: good[k] for k in ("Version", "AccessKeyId", "SecretAccessKey")},
                 "ends": {**good, "Expiration": "2099-01-01T00:00:00+02:00"}, "two": {**good, "Version": 2},
                 "half": {"Version": 1, "AccessKeyId": "A"}}
        config = ""
        for name, content in files.items():
            path = self.write(f"{name} file.json", json.dumps(content))
            config += f"[profile {name}]\ncredential_process = cat \"{path}\"\n"
        config += ("[profile fails]\n"
                   "credential_process = sh -c 'echo no such account wJalrXUtnFEMI/K7MDENG >&2; exit 7'\n"
                   "[profile none]\ncredential_process = /nonexistent/keys\n[profile noshell]\n"
                   "credential_process = echo $HOME;cat\n[profile quote]\ncredential_process = echo 'a\n")
        self.files(config)
        for name in ("good", "plain", "ends"):
            self.assertEqual(self.both(name)["id"], "PROC")
        for name in ("two", "half", "fails", "none", "noshell", "quote"):
            self.assertIn("error", self.both(name), name)
        error = self.both("fails")["error"]
        self.assertIn("sh ended with status 7: no such account", error)
        self.assertNotIn("wJalr", error)

    def test_container(self):
        self.files()
        url = self.aws.url + "/creds/v1?a=b"
        self.assertIn("id", self.both(AWS_CONTAINER_CREDENTIALS_FULL_URI=url))
        self.assertIn("id", self.both(AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
                                      AWS_CONTAINER_AUTHORIZATION_TOKEN="Basic abc"))
        if self.version >= (1, 32):
            token = self.write("auth", "from-the-file")
            self.assertIn("id", self.both(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, AWS_CONTAINER_AUTHORIZATION_TOKEN="x",
                                          AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token))
            self.write("auth", "from-the-file\n")
            self.assertIn("line break", self.both(AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
                                                  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)["error"])
        self.assertIn("is http to another machine", self.both(
            AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.1/creds")["error"])

    def test_instance(self):
        self.files()
        imds = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.aws.url}
        self.assertEqual(self.both(**imds)["source"], "instance role ops")
        self.aws.imds = 1
        self.assertIn("id", self.both(**imds))
        if self.version >= (1, 32):
            self.assertIn("V1_DISABLED", self.both(**imds, AWS_EC2_METADATA_V1_DISABLED="true")["error"])
        self.files("[default]\nec2_metadata_service_endpoint = " + self.aws.url + "\n")
        self.assertIn("id", self.both(AWS_EC2_METADATA_DISABLED="false"))
        self.assertIn("no AWS keys were found", self.both()["error"])

    def test_a_role_that_the_configuration_asks_for(self):
        self.files()
        found = self.by_rolloutd(self.environment(**ENV_KEYS), None, "--role-arn", ROLE + "mine", "--external-id", "x")
        key, secret, token = keys_for("AssumeRole", ROLE + "mine", "AKIDENV", "tok", "x", None, None, None)
        self.assertEqual(found, {"id": key, "secret": secret, "token": token,
                                 "source": f"role {ROLE}mine from environment"})

    def test_no_proxy_hears_of_metadata(self):
        self.files()
        proxy = "http://127.0.0.1:1"
        found = self.by_rolloutd(self.environment(
            AWS_CONTAINER_CREDENTIALS_FULL_URI=self.aws.url + "/creds", http_proxy=proxy, https_proxy=proxy,
            ALL_PROXY=proxy))
        self.assertIn("id", found)


class Precedence(Case):
    """Whatever is there together, both take the same."""

    def profile(self, r, name, others):
        """A random profile's lines in the config file."""
        text = ""
        if r.random() < 0.3:
            text += KEYS.format(f"CONF{name.upper()}")
        elif r.random() < 0.1:
            text += f"aws_access_key_id = HALF{name.upper()}\n"
        if r.random() < 0.35:
            text += f"role_arn = {ROLE}{name}\n"
            if r.random() < 0.8:
                text += f"source_profile = {r.choice(others)}\n"
            if r.random() < 0.25:
                text += f"credential_source = {r.choice(['Environment', 'EcsContainer', 'Ec2InstanceMetadata'])}\n"
            if r.random() < 0.2:
                text += "external_id = ext\n"
        if r.random() < 0.15:
            text += f"web_identity_token_file = {self.folder}/token\n"
        if r.random() < 0.15:
            text += f"credential_process = cat {self.folder}/process.json\n"
        if r.random() < 0.15:
            text += "sso_start_url = https://s\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = R\n"
        return text

    def environment_of(self, r):
        found = {}
        if r.random() < 0.25:
            found.update(ENV_KEYS)
        if r.random() < 0.2:
            found.update(AWS_WEB_IDENTITY_TOKEN_FILE=f"{self.folder}/token", AWS_ROLE_ARN=ROLE + "env")
        if r.random() < 0.3:
            found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self.aws.url + "/creds"
        if r.random() < 0.4:
            found.update(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=self.aws.url)
        if r.random() < 0.3:
            found["AWS_PROFILE"] = r.choice(["a", "b", "default"])
        return found

    def test_combinations(self):
        self.write("token", "web-token")
        self.write("process.json", json.dumps({"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "s"}))
        Sources.sso_token(self, "https://s")
        names = ["default", "a", "b"]
        found, sources = 0, set()
        for seed in range(COMBINATIONS):
            r = random.Random(seed)
            config = "".join(f"[{n if n == 'default' else 'profile ' + n}]\n{self.profile(r, n, names + ['missing'])}"
                             for n in names)
            credentials = "".join(f"[{n}]\n{KEYS.format('CRED' + n.upper())}" for n in names if r.random() < 0.3)
            self.files(config, credentials)
            environment = self.environment_of(r)
            profile = r.choice([None, None, "a", "default"])
            with self.subTest(seed=seed, profile=profile, config=config, credentials=credentials, env=environment):
                ours = self.both(profile, **environment)
                found += "id" in ours
                sources.add(ours.get("source", "error").split()[0])
        self.assertGreater(found, COMBINATIONS // 2)
        self.assertLess(found, COMBINATIONS)
        # Each kind was met, so that the table shows something of each.
        self.assertLessEqual({"environment", "role", "profile", "credential_process", "container's", "instance", "SSO",
                              "error"}, sources)


if __name__ == "__main__":
    unittest.main()
