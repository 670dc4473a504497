#!/usr/bin/python3
"""TLS, names and whatever stands between the daemon and AWS, going wrong in the middle of a rollout. The outcome of the
write that it hits is unknown: it is looked up, every weight is set once, the end is the right one, and while it lasts
`status` says what is wrong.

A proxy with a certificate of its own authority stands before rollout-localaws, under a name that is not loopback's.

# runner: timeout 300
"""

import http.client
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import unittest
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from authority import HOST, the_authority
from faults import ALL, BAD, EMPTY_WORLD, GOOD, NAME, Trial, World, at_once, figure, is_readable
from faults import wait_long

HUGE = 64 * 1024 * 1024
PAGE = b"<html><body>Welcome to the airport's network. Please sign in.</body></html>"


def setUpModule():
    if may_mount() and shutil.which("openssl"):
        unittest.addModuleCleanup(the_authority().close)  # made before any thread asks for it


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Proxy(ThreadingHTTPServer):
    """Hands everything on over TLS, until the n-th UpdateAlias after `arm`. From there on every connection and every
    answer is spoiled, until `heal`."""

    daemon_threads = True
    request_queue_size = 64
    certificates = {"wrong-name", "foreign", "expired", "self-signed"}

    def __init__(self, authority, world):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.authority = authority
        self.good = authority.context("good")
        parts = urllib.parse.urlsplit(world.url)
        self.upstream = (parts.hostname, parts.port)
        self.fault, self.applied, self.armed = None, False, None
        self.strange_hits = 0
        self.open, self.lock = set(), threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.heal()
        self.shutdown()
        self.server_close()
        self.thread.join()

    def url(self, host=HOST):
        return f"https://{host}:{self.server_address[1]}"

    def arm(self, fault, applied):
        self.armed, self.applied = fault, applied

    def strike(self):
        """From now on. What is open is closed, so that the next request needs a connection."""
        self.fault, self.armed = self.armed, None
        with self.lock:
            for connection in list(self.open):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def heal(self):
        self.fault = None

    # In the connection's own thread, so that one that hangs stops no other.
    def finish_request(self, request, client_address):
        fault = self.fault
        if fault in ("refused", "reset-in-handshake"):
            # As near to a closed port as an open one can be: gone before a byte was read.
            if fault == "reset-in-handshake":
                request.recv(1)
            reset(request)
            return
        if fault == "not-tls":
            request.recv(1)
            request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + PAGE)
            request.close()
            return
        if fault == "silent-handshake":
            wait_long("the daemon to give up", lambda: self.fault != fault or not request.recv(4096))
            request.close()
            return
        context = self.authority.context(fault) if fault in self.certificates else self.good
        try:
            with context.wrap_socket(request, server_side=True) as connection:
                with self.lock:
                    self.open.add(connection)
                try:
                    self.RequestHandlerClass(connection, client_address, self)
                finally:
                    with self.lock:
                        self.open.discard(connection)
        except OSError:
            pass  # refused by the daemon, or closed by `strike`

    def shutdown_request(self, request):
        request.close()

    def handle_error(self, request, client_address):
        """Connections end in the middle of things: that is what this is for."""


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def hand_on(self, body):
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "content-length", "expect"):
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def handle_one(self):
        s = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/elsewhere"):
            s.strange_hits += 1
        write = self.command == "PUT" and "/aliases/" in self.path
        fault = s.armed if write and s.armed else s.fault
        answer = data = None
        if not fault or (write and s.armed and s.applied):
            answer, data = self.hand_on(body)
        if write and s.armed:
            s.strike()
        if fault:
            self.close_connection = True
            self.spoil(fault, data)
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def spoil(self, fault, data):
        page = b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n%s\r\n"
        if fault == "portal":
            self.wfile.write(page % (b"200 OK", len(PAGE), b"") + PAGE)
        elif fault == "portal-redirect":
            where = f"Location: {self.server.url()}/elsewhere\r\n".encode()
            self.wfile.write(page % (b"302 Found", len(PAGE), where) + PAGE)
        elif fault == "truncated":
            self.wfile.write(page % (b"200 OK", 5000, b"") + (data or b'{"AliasArn": "arn')[:12])
        elif fault == "garbage":
            self.wfile.write(bytes(range(256)) * 8)
        elif fault == "garbage-body":
            self.wfile.write(page % (b"200 OK", 2048, b"") + bytes(range(256)) * 8)
        elif fault == "huge":
            self.wfile.write(page % (b"200 OK", HUGE, b""))
            for _ in range(HUGE // 65536):
                self.wfile.write(bytes(65536))
        elif fault == "huge-header":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(2000)))
        elif fault == "drip":
            self.wfile.write(page % (b"200 OK", 5000, b""))
            while self.server.fault == fault:
                self.wfile.write(b" ")
                threading.Event().wait(0.5)  # its slowness is what it is for
        # All others: the connection just ends.

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, *args):
        pass


# What it must say. It is libcurl's and OpenSSL's own words where they know best.
FAULTS = {
    "wrong-name": r"subject name|certificate|SSL",
    "expired": r"expired|certificate",
    "self-signed": r"self.signed|certificate",
    "foreign": r"issuer|certificate",
    "refused": r"reset|connect|SSL",
    "reset-in-handshake": r"reset|SSL",
    "not-tls": r"SSL|wrong version",
    "silent-handshake": r"time|timed",
    "portal": r"HTML|JSON|malformed|no answer of AWS's, but a web page",
    "portal-redirect": r"302|redirect|JSON",
    "truncated": r"closed|transfer|remaining|answer",
    "garbage": r"HTTP|weird|answer",
    "garbage-body": r"JSON|malformed|answer",
    "huge": r"larger than",
    "huge-header": r"header|large",
    "drip": r"time",
}

IN_NAMESPACE = """
set -e
mount --make-rprivate /
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
shift
exec "$@"
"""


def may_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True,
                                                check=False).returncode == 0


@unittest.skipUnless(may_mount(), "only root may give the daemon names of its own")
@unittest.skipUnless(shutil.which("openssl"), "openssl is not there")
class NetworkCase(unittest.TestCase):
    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)
        self.authority = the_authority()
        self.proxy = Proxy(self.authority, self.world)
        self.addCleanup(self.proxy.close)

    def trial(self, kind):
        t = Trial(self.world, kind)
        self.addCleanup(t.__exit__)
        t.d.environment.update(AWS_ENDPOINT_URL=self.proxy.url(), AWS_CA_BUNDLE=self.authority.path("ca.pem"))
        self.names(t, True)
        with open(os.path.join(t.folder, "resolv.conf"), "w", encoding="ascii") as f:
            f.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        return t

    def names(self, t, known):
        """Written in place, as what is mounted is the file and not its name."""
        with open(os.path.join(t.folder, "hosts"), "a+", encoding="ascii") as f:
            f.truncate(0)
            f.write(f"127.0.0.1 localhost {HOST if known else ''}\n")

    def start(self, t):
        t.start(["unshare", "-m", "sh", "-c", IN_NAMESPACE, "sh", t.folder])
        wait_long("the daemon to answer", t.d.answers)

    def trouble(self, t, what, wanted):
        """Until it is what `status` says, to people as well."""
        pattern = re.compile(wanted, re.I)
        s = t.ctl.until(NAME, lambda s: pattern.search(s["trouble"]), f"to say what is wrong, {what}")
        self.assertTrue(is_readable(s["trouble"]), s["trouble"])
        self.assertRegex(t.ctl.run("status", NAME), pattern)


def fault_case(fault, applied, kind):
    def test(self):
        t = self.trial(kind)
        self.start(t)
        # The second write: the next step of a good version, the way home of a bad one.
        t.ctl.weight(NAME, 10)
        self.proxy.arm(fault, applied)
        self.trouble(t, fault, FAULTS[fault])
        before = t.set_to()
        self.assertEqual(before, kind.wanted[:3 if applied else 2])
        self.proxy.heal()
        t.ctl.phase(NAME, kind.phase)
        t.check(fault)
        self.assertEqual(self.proxy.strange_hits, 0, "a redirection was followed")

    test.__doc__ = f"{fault} from the second write on, which was {'' if applied else 'not '}applied; {kind}"
    return test


def cases():
    out = {}
    for n, fault in enumerate(FAULTS):
        if fault == "drip" and not ALL:
            continue  # three time-outs of ten seconds
        # Each with both outcomes of the write; `make check` takes one of them, alternating.
        for applied in (False, True) if ALL else (n % 2 == 0,):
            kind = (GOOD, BAD)[(n // 2 + applied) % 2]
            name = f"test_{fault.replace('-', '_')}_{'applied' if applied else 'not_applied'}"
            out[name] = fault_case(fault, applied, kind)
    return out


Faults = at_once(type("Faults", (NetworkCase,), {
    "__doc__": "Each fault at the second write.", "__module__": __name__, **cases()}))


@at_once
class Names(NetworkCase):
    def test_name_that_is_not_found(self):
        """The record knows a rollout under way, and AWS has no address."""
        t = self.trial(GOOD)
        self.start(t)
        t.ctl.weight(NAME, 10)
        t.kill()
        self.names(t, False)
        self.start(t)
        self.trouble(t, "no address", "resolve")
        self.assertEqual(t.set_to(), GOOD.wanted[:2])
        self.names(t, True)
        t.ctl.phase(NAME, "succeeded")
        t.check("no address")

    def test_nobody_listens(self):
        t = self.trial(GOOD)
        self.start(t)
        t.ctl.weight(NAME, 10)
        t.kill()
        port = self.proxy.server_address[1]
        self.proxy.close()
        self.start(t)
        self.trouble(t, "refused", "connect")
        self.assertEqual(t.set_to(), GOOD.wanted[:2])
        t.kill()
        self.assertGreater(port, 0)
        again = Proxy(self.authority, self.world)
        self.addCleanup(again.close)
        t.d.environment.update(AWS_ENDPOINT_URL=again.url())
        self.start(t)
        t.ctl.phase(NAME, "succeeded")
        t.check("refused")

    def test_no_authority(self):
        """Without the authority's certificate the very first look is refused, and nothing is sent."""
        t = self.trial(GOOD)
        del t.d.environment["AWS_CA_BUNDLE"]
        self.start(t)
        self.trouble(t, "no authority", "certificate")
        self.assertEqual(t.set_to(), GOOD.wanted[:1])
        self.assertEqual(self.world.calls("GetAlias"), 0)
        self.assertEqual(t.stop(), 0)


def tearDownModule():
    figure("network faults in mid-rollout", len(cases()) + 3)


if __name__ == "__main__":
    unittest.main()
