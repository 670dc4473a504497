#!/usr/bin/python3
"""Between the daemon and AWS: whose certificates are believed, which way requests go, and over what. Servers and
proxies are this test's; where the AWS SDK has an opinion on a setting, botocore is asked for it."""

# runner: timeout 300

import base64
import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import unittest
import unittest.mock

from rolloutd_case import DEADLINE, ROLLOUTD, TOP, wait_for
from tls_case import TlsCase, openssl

BUILD = os.environ.get("ROLLOUT_BUILD", os.path.join(TOP, "build/release"))
PROXY_OF = os.path.join(BUILD, "tools/proxy_of")
USER, PASSWORD = "ops team", "p:ss/w@rd-9157"
ENCODED = "ops%20team:p%3ass%2Fw%40rd-9157"

# Prints whether the SDK got an answer of that server, or refused its certificate.
BOTOCORE = """
import socket, sys, boto3, botocore.config, botocore.exceptions as e
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more: look_up("127.0.0.1" if host.endswith(".localhost") else host, *more)
lambda_ = boto3.client("lambda", region_name="us-east-1", endpoint_url=sys.argv[1],
                       config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5))
try:
    lambda_.get_alias(FunctionName="hello", Name="live")
except e.SSLError:
    print("refused")
except e.ClientError:
    print("answered")
"""


def all_of(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


class Proxy:
    """CONNECT, or SOCKS 5, whichever comes; everything goes to `target`, whatever its name is. `status`: what it
    answers in place of connecting. `context`: it speaks TLS itself."""

    def __init__(self, target, status=200, context=None):
        self.target, self.status, self.context = target, status, context
        self.heads, self.socks = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        client.settimeout(DEADLINE)
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            with client:
                first = client.recv(1)
                if first == b"\x05":
                    self.take_socks(client)
                    self.relay(client)
                elif self.take_connect(client, first):
                    self.relay(client)
        except OSError:
            pass

    def take_socks(self, client):
        all_of(client, all_of(client, 1)[0])
        client.sendall(b"\x05\x00")
        kind = all_of(client, 4)[3]
        self.socks.append(all_of(client, all_of(client, 1)[0]).decode() if kind == 3 else f"address of kind {kind}")
        all_of(client, 2 if kind == 3 else 6)
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))

    def take_connect(self, client, head):
        while b"\r\n\r\n" not in head and len(head) < 65536:
            head += client.recv(4096)
        self.heads.append(head.decode())
        page = b"<html><title>no</title></html>" if self.status != 200 else b""
        client.sendall(b"HTTP/1.1 %d Something\r\nContent-Length: %d\r\n\r\n%s" % (self.status, len(page), page)
                       if page else b"HTTP/1.1 200 Connected\r\n\r\n")
        return not page

    def relay(self, client):
        with socket.create_connection(self.target, timeout=DEADLINE) as server:
            while True:
                for source in select.select([client, server], [], [], DEADLINE)[0] or [None]:
                    data = source.recv(65536) if source else b""
                    if not data:
                        return
                    (server if source is client else client).sendall(data)

    def close(self):
        self.listener.close()


class Case(TlsCase):
    def unusable(self, words, **environment):
        """Neither starts nor passes a check, and says which setting it is and what to do."""
        d = self.daemon(start=False, environment=environment)
        d.start(ready=False)
        self.assertEqual(d.process.wait(DEADLINE), 1)
        checked = subprocess.run([ROLLOUTD, "--config", d.config, "--check"], env=d.environment, capture_output=True,
                                 text=True, timeout=DEADLINE, check=False)
        self.assertEqual(checked.returncode, 1)
        for word in words:
            self.assertIn(word, d.log())
            self.assertIn(word, checked.stdout)
        said = d.log() + checked.stdout
        os.unlink(d.log_path)
        return said

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)
        return path

    def read(self, path):
        with open(path, encoding="ascii") as f:
            return f.read()

    def end(self, d):
        self.assertEqual(d.stop(), 0)


class Certificates(Case):
    """Whom it believes."""

    def answers(self, web, **environment):
        """Whether the server is believed with this environment."""
        web.heard.clear()
        d = self.start(web, **environment)
        text = self.doctor(d)
        self.end(d)
        self.assertIn("does not exist" if web.heard else "certificate", text)
        return bool(web.heard)

    def botocore_answers(self, web, **environment):
        ran = subprocess.run([sys.executable, "-c", BOTOCORE, f"https://{self.HOST}:{web.port}"], capture_output=True,
                             text=True, timeout=60, check=False, env={
                                 "PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b",
                                 **{k: v for k, v in environment.items() if v}})
        self.assertIn(ran.stdout, ("refused\n", "answered\n"), ran.stderr)
        return ran.stdout == "answered\n"

    def test_order(self):
        """AWS_CA_BUNDLE, the profile, REQUESTS_CA_BUNDLE: as botocore has it; and then OpenSSL's own."""
        web = self.serve(self.own.sign("order", self.HOST))
        own, foreign = self.own.file, self.foreign.file
        says = {bundle: self.file(f"says-{n}", f"[default]\nca_bundle = {bundle}\n")
                for n, bundle in enumerate((own, foreign))}
        cases = [(own, foreign, foreign), (foreign, own, own), (None, own, foreign), (None, foreign, own),
                 (None, None, own), (None, None, foreign)]
        for aws, profile, requests in cases:
            with self.subTest(aws=aws, profile=profile, requests=requests):
                environment = {"AWS_CA_BUNDLE": aws, "REQUESTS_CA_BUNDLE": requests,
                               "AWS_CONFIG_FILE": says.get(profile)}
                wanted = (aws or profile or requests) == own
                self.assertEqual(self.botocore_answers(web, **environment), wanted)
                other = foreign if wanted else own
                self.assertEqual(self.answers(web, SSL_CERT_FILE=other, CURL_CA_BUNDLE=other, **environment), wanted)
        for name, wanted in (("SSL_CERT_FILE", True), ("CURL_CA_BUNDLE", False), ("NODE_EXTRA_CA_CERTS", False)):
            with self.subTest(name):
                self.assertEqual(self.answers(web, AWS_CA_BUNDLE=None, **{name: own}), wanted)

    def test_folders(self):
        """With names by hash, as OpenSSL looks them up."""
        web = self.serve(self.own.sign("folders", self.HOST))
        folder = os.path.join(self.folder, "certs")
        os.mkdir(folder)
        shutil.copy(self.own.file, folder)
        words = [folder, "openssl rehash"]
        self.unusable(["AWS_CA_BUNDLE", *words], AWS_CA_BUNDLE=folder)
        self.unusable(["SSL_CERT_DIR", *words], SSL_CERT_DIR=folder)
        openssl("rehash", folder, cwd=folder)
        self.assertTrue(self.answers(web, AWS_CA_BUNDLE=folder))
        self.assertTrue(self.answers(web, AWS_CA_BUNDLE=None, SSL_CERT_DIR=folder))
        self.assertTrue(self.answers(web, AWS_CA_BUNDLE=None, SSL_CERT_DIR="/nonexistent:" + folder))

    def test_what_cannot_be_used(self):
        half = self.read(self.own.file)[:200]
        key = self.read(os.path.join(self.certificates, "own.key"))
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            self.unusable([name, "/nonexistent.pem", "No such file"], **{name: "/nonexistent.pem"})
        for what, text in (("empty", ""), ("page", "<html>"), ("half", half), ("key", key)):
            path = self.file(what, text)
            said = self.unusable(["AWS_CA_BUNDLE", path, "BEGIN CERTIFICATE"], AWS_CA_BUNDLE=path)
            self.assertNotIn("PRIVATE", said)

    def test_rotated(self):
        """A bundle that is replaced is believed without a restart; one that is broken is told, and the former stays."""
        web = self.serve(self.own.sign("rotated", self.HOST))
        path = self.file("bundle", self.read(self.foreign.file))
        d = self.start(web, AWS_CA_BUNDLE=path)
        text = self.doctor(d)
        self.assertIn("unable to get local issuer certificate", text)
        self.assertIn(f"not in AWS_CA_BUNDLE ({path})", text)
        self.file("bundle", self.read(self.foreign.file) + self.read(self.own.file))
        wait_for("the new bundle", lambda: "does not exist" in self.doctor(d))
        self.file("bundle", "no certificates")
        wait_for("the warning", lambda: self.doctor(d) and "which has no certificates" in d.log())
        self.assertIn("does not exist", self.doctor(d))
        self.assertEqual(d.log().count("which has no certificates"), 1)

    def test_each_account_its_own(self):
        """A connection that one account's bundle has verified is none for another account."""
        web = self.serve(self.own.sign("accounts", self.HOST))
        config = self.file("aws", f"[profile a]\nca_bundle = {self.own.file}\n[profile b]\nca_bundle = "
                                  f"{self.foreign.file}\n[profile c]\nca_bundle = /nonexistent.pem\n")
        keys = self.file("keys", "".join(f"[{p}]\naws_access_key_id = A\naws_secret_access_key = b\n" for p in "abc"))
        d = self.start(web, AWS_CA_BUNDLE=None, AWS_CONFIG_FILE=config, AWS_SHARED_CREDENTIALS_FILE=keys,
                       config="accounts: {a: {profile: a}, b: {profile: b}, c: {profile: c}}\n")
        for _ in range(2):
            self.assertIn("does not exist", self.doctor(d, "account: a"))
            heard = len(web.heard)
            text = self.doctor(d, "account: b")
            self.assertIn("the profile's ca_bundle", text)
            self.assertIn("unable to get local issuer certificate", text)
            self.assertIn("the profile's ca_bundle names /nonexistent.pem, which cannot be read",
                          self.doctor(d, "account: c"))
            self.assertEqual(len(web.heard), heard)


class Proxies(Case):
    """Which way it goes."""

    def proxy(self, web, **more):
        p = Proxy(("127.0.0.1", web.port), **more)
        self.stack.callback(p.close)
        return p

    def no_password(self, *texts):
        """Neither plainly, nor as it was set, nor as it is sent."""
        sent = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        for text in texts:
            for form in (PASSWORD, ENCODED.partition(":")[2], sent):
                self.assertNotIn(form, text)

    def test_by_way_of_a_proxy(self):
        """With a name and a password for it, which it alone is told; and it is told nothing else."""
        web = self.serve(self.own.sign("proxied", "lambda.example.com"))
        p = self.proxy(web)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            d = self.start(web, host="lambda.example.com", **{name: f"http://{ENCODED}@127.0.0.1:{p.port}/"})
            text = self.doctor(d)
            self.end(d)
            self.assertIn("does not exist", text)
            head = p.heads.pop()
            self.assertRegex(head, rf"^CONNECT lambda.example.com:{web.port} HTTP/1.1\r\n")
            sent = re.search(r"\r\nProxy-Authorization: Basic (\S+)\r\n", head)[1]
            self.assertEqual(base64.b64decode(sent).decode(), f"{USER}:{PASSWORD}")
            self.assertNotRegex(head, r"(?i)\r\n(authorization|x-amz)")
            self.assertNotIn("Proxy-Authorization", web.heard[-1][2])
            self.no_password(text, d.log())

    def test_what_a_proxy_refuses(self):
        web = self.serve(self.own.sign("refused", self.HOST))
        for status, words in ((407, "wants a user name and password, or does not take those it was given (407)"),
                              (403, "does not connect to aws.localhost"), (502, "does not reach aws.localhost"),
                              (302, "does not connect to aws.localhost")):
            with self.subTest(status):
                p = self.proxy(web, status=status)
                d = self.start(web, HTTPS_PROXY=f"http://{ENCODED}@127.0.0.1:{p.port}")
                text = self.doctor(d)
                self.assertIn(f"the proxy http://127.0.0.1:{p.port} {words}", text)
                self.no_password(text, d.log())
                self.end(d)
        self.assertEqual(web.heard, [])

    def test_a_proxy_that_is_not_there(self):
        web = self.serve(self.own.sign("gone", self.HOST))
        for proxy, words in ((f"http://{ENCODED}@127.0.0.1:1", "Failed to connect to 127.0.0.1 port 1"),
                             (f"http://{ENCODED}@nowhere.invalid:1", "nowhere.invalid")):
            d = self.start(web, HTTPS_PROXY=proxy)
            text = self.doctor(d)
            self.assertIn(words, text)
            self.assertIn("by way of the proxy http://", text)
            self.assertIn("of HTTPS_PROXY", text)
            self.no_password(text, d.log())
            self.end(d)

    def test_a_proxy_over_tls(self):
        """It is verified as servers are."""
        web = self.serve(self.own.sign("inner", self.HOST))
        for authority, believed in ((self.own, True), (self.foreign, False)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.sign(f"outer-{believed}", "proxy.localhost"))
            p = self.proxy(web, context=context)
            text = self.ask(web, HTTPS_PROXY=f"https://{ENCODED}@proxy.localhost:{p.port}")
            self.assertEqual(bool(p.heads), believed)
            self.assertIn("does not exist" if believed else "unable to get local issuer certificate", text)
            self.assertEqual("that is the proxy's certificate, and who signed it is not in AWS_CA_BUNDLE" in text,
                             not believed)
        # And when it is the server behind the proxy that is not believed, that is said.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.own.sign("outer-again", "proxy.localhost"))
        web = self.serve(self.foreign.sign("inner-foreign", self.HOST))
        text = self.ask(web, HTTPS_PROXY=f"https://proxy.localhost:{self.proxy(web, context=context).port}")
        self.assertRegex(text, "who signed it is (not )?in AWS_CA_BUNDLE")
        self.assertNotIn("the proxy's certificate", text)

    def test_socks(self):
        """The proxy looks the name up, or the daemon does."""
        web = self.serve(self.own.sign("socks", self.HOST))
        p = self.proxy(web)
        self.assertIn("does not exist", self.ask(web, ALL_PROXY=f"socks5h://127.0.0.1:{p.port}"))
        self.assertEqual(p.socks, [self.HOST])
        self.assertIn("does not exist", self.ask(web, ALL_PROXY=f"socks5://127.0.0.1:{p.port}"))
        self.assertEqual(p.socks[1:], ["address of kind 1"])

    def test_exceptions(self):
        web = self.serve(self.own.sign("direct", self.HOST))
        p = self.proxy(web, status=403)
        d = self.start(web, HTTPS_PROXY=f"http://127.0.0.1:{p.port}", NO_PROXY="example.com,.localhost")
        self.assertIn("does not exist", self.doctor(d))
        self.assertEqual(p.heads, [])
        self.assertNotIn("excepts no host", d.log())
        self.end(d)
        d = self.start(web, HTTPS_PROXY=f"http://127.0.0.1:{p.port}", NO_PROXY="*.localhost,example.com")
        self.assertIn("403", self.doctor(d))
        self.assertEqual(d.log().count("NO_PROXY has '*.localhost', which excepts no host from the proxy"), 1)

    def test_what_cannot_be_used(self):
        for value in (f"ftp://{ENCODED}@proxy:1", f"http://{ENCODED}@proxy:http", f"http://{ENCODED}@", "http://a b:1",
                      f"http://ops:{PASSWORD.replace('@', '%zz')}@proxy:1", "http://proxy:0", "http://[::1:80"):
            for name in ("HTTPS_PROXY", "all_proxy"):
                said = self.unusable([f"{name} cannot be used: it has", "write http://HOST:PORT"], **{name: value})
                self.no_password(said)
                self.assertNotIn("w@rd", said)

    @unittest.skipUnless(os.access(PROXY_OF, os.X_OK), "proxy_of is not built")
    def test_as_botocore_decides(self):
        """Which hosts go by way of the proxy. Networks, ports and ALL_PROXY are libcurl's ways, which botocore has not;
        those are in test_daemon_proxy.c."""
        hosts = ["lambda.eu-west-1.amazonaws.com", "sts.amazonaws.com", "amazonaws.com", "xamazonaws.com", "localhost",
                 "10.1.2.3", "vpce-1.lambda.eu-west-1.vpce.amazonaws.com", "LAMBDA.example.com", "example.com:8443"]
        lists = ["", "*", "amazonaws.com", ".amazonaws.com", "AMAZONAWS.COM", "eu-west-1.amazonaws.com",
                 "*.amazonaws.com", "a.example, sts.amazonaws.com ,b.example", "10.1.2.3",
                 "10.1.2", "azonaws.com", "example.com",
                 "lambda.example.com", "localhost,127.0.0.1", "example.com:8443", "a,*", ",,,"]
        proxies = ["http://proxy:3128", "proxy:3128", "//proxy:3128", "https://proxy:3128", "http://u:p@proxy:3128/"]
        from botocore.httpsession import ProxyConfiguration  # pylint: disable=import-outside-toplevel
        from botocore.utils import get_environ_proxies  # pylint: disable=import-outside-toplevel
        compared = 0
        empty = [{"https_proxy": ""}, {"no_proxy": ""}, {"HTTPS_PROXY": "", "https_proxy": "http://proxy:3128"},
                 {"NO_PROXY": "", "no_proxy": "localhost"}]
        for n, no_proxy in enumerate(lists):
            proxy = proxies[n % len(proxies)]
            environments = [dict(zip(names, (proxy, no_proxy)))
                            for names in (("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy"))]
            for environment in environments + [{**environments[0], **more} for more in empty]:
                ours = subprocess.run([PROXY_OF, *hosts], env=environment, capture_output=True, text=True, check=True,
                                      timeout=DEADLINE).stdout.split()
                with unittest.mock.patch.dict(os.environ, environment, clear=True):
                    for host, our in zip(hosts, ours, strict=True):
                        url = f"https://{host}/"
                        their = ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url)
                        their = re.sub(r"//.*@|/$", lambda m: "//" if "@" in m[0] else "", their) if their else "-"
                        self.assertEqual(our, their, (host, environment))
                        compared += 1
        print(f"{compared} decisions on proxies are botocore's")


class Wire(Case):
    """Over what."""

    def test_http_1_1_alone_is_offered(self):
        """One request at a time on a connection, so that a connection that dies leaves one outcome unknown."""
        web = self.serve(self.own.sign("alpn", self.HOST), protocols=["h2", "http/1.1"])
        self.assertIn("does not exist", self.ask(web))
        self.assertEqual(set(web.protocols), {"http/1.1"})

    @unittest.skipUnless(os.path.exists("/proc/net/if_inet6"), "this host has no IPv6")
    def test_a_literal_address_of_ipv6(self):
        web = self.serve(self.own.sign("six", "::1"), address="::1")
        d = self.start(web, host="[::1]")
        self.assertIn("does not exist", self.doctor(d))
        self.assertEqual(web.heard[0][2]["Host"], f"[::1]:{web.port}")
        self.end(d)
        other = self.serve(self.own.sign("four", "127.0.0.1"), address="::1")
        self.refused(other, "subject name", host="[::1]")

    def test_what_does_not_speak_tls(self):
        """A web server or a proxy on that port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.stack.callback(listener.close)

        def serve():
            while True:
                try:
                    with listener.accept()[0] as client:
                        client.recv(4096)
                        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        d = self.daemon(environment={"AWS_ENDPOINT_URL": f"https://127.0.0.1:{listener.getsockname()[1]}"})
        self.assertIn("does not speak TLS", self.doctor(d))

    def test_a_page_in_place_of_json(self):
        """A captive portal is called one, and not a missing alias."""
        page = b"<!DOCTYPE html>\n<html><head><title>Guest &amp; Visitor WiFi</title><script>alert(1)</script>"
        title = "a web page, titled 'Guest & Visitor WiFi': a captive portal"
        for status, words in ((200, f"no answer of AWS's, but {title}"), (404, f"no AWS error code, but {title}")):
            web = self.serve(self.own.sign(f"page{status}", self.HOST),
                             lambda _request, status=status: (status, {"Content-Type": "text/html"}, page))
            d = self.start(web)
            text = self.doctor(d)
            self.assertIn(words, text)
            self.assertIn(f"HTTP {status}", text)
            self.assertNotIn("script", text)
            self.end(d)


if __name__ == "__main__":
    unittest.main()
