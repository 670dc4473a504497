"""Servers over TLS with certificates of an authority of the test, and daemons that take them for AWS."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from rolloutd_case import DEADLINE, Case, plan


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Authority:
    """A certificate authority and what it signs, in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
                "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=folder)
        self.file = os.path.join(folder, f"{name}.pem")

    def sign(self, file, host, expired=False, self_signed=False):
        """Gives the path of a certificate with its key behind it. The host may be an address."""
        folder = self.folder
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
                "-keyout", f"{file}.key", "-out", f"{file}.csr", cwd=folder)
        with open(os.path.join(folder, f"{file}.ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName={'IP' if host[0].isdigit() or ':' in host else 'DNS'}:{host}\n")
        signer = ["-key", f"{file}.key"] if self_signed else [
            "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial"]
        days = ["-days", "-1" if expired else "9"]
        openssl("x509", "-req", "-in", f"{file}.csr", "-extfile", f"{file}.ext", *signer, *days, "-out",
                f"{file}.pem", cwd=folder)
        both = os.path.join(folder, f"{file}.both")
        with open(both, "w", encoding="ascii") as out:
            for part in ("pem", "key"):
                with open(os.path.join(folder, f"{file}.{part}"), encoding="ascii") as f:
                    out.write(f.read())
        return both


class Handler(http.server.BaseHTTPRequestHandler):
    """Writes down each request, and answers as the server was told."""

    protocol_version = "HTTP/1.1"

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.heard.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.server.answer(self)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # a client may have heard enough
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = handle_one

    def log_message(self, *args):
        pass


class Web(http.server.ThreadingHTTPServer):
    """A server on the loopback; `context`: over TLS."""

    daemon_threads = True

    def __init__(self, answer, context=None, address="127.0.0.1"):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Handler)
        self.answer, self.context, self.heard, self.handshakes, self.protocols = answer, context, [], [], []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, client_address):
        if not self.context:
            super().finish_request(request, client_address)
            return
        request.settimeout(DEADLINE)
        try:
            wrapped = self.context.wrap_socket(request, server_side=True)
        except OSError as e:
            self.handshakes.append(str(e))
            return
        self.handshakes.append(wrapped.version())
        self.protocols.append(wrapped.selected_alpn_protocol())
        with wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request, client_address):
        pass

    @property
    def port(self):
        return self.server_address[1]

    def close(self):
        self.shutdown()
        self.server_close()


def not_found(_request):
    body = b'{"__type": "ResourceNotFoundException", "Message": "no such thing here"}'
    return 404, {"Content-Type": "application/json", "x-amzn-RequestId": "1"}, body


@unittest.skipUnless(shutil.which("openssl"), "openssl makes the certificates")
class TlsCase(Case):
    """The endpoint is a server of this test under a name of its own, signed by an authority of its own."""

    HOST = "aws.localhost"  # what ends in .localhost leads to this machine without being looked up

    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.mkdtemp(prefix="tls-")
        cls.addClassCleanup(shutil.rmtree, cls.certificates)
        cls.own = Authority(cls.certificates, "own")
        cls.foreign = Authority(cls.certificates, "foreign")

    def serve(self, certificate, answer=not_found, version=None, address="127.0.0.1", protocols=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        context.load_cert_chain(certificate)
        if protocols:
            context.set_alpn_protocols(protocols)
        web = Web(answer, context, address)
        self.stack.callback(web.close)
        return web

    def start(self, web, host=HOST, config="", **environment):
        """A daemon whose AWS is that server. What is None is not in its environment."""
        every = {"AWS_ENDPOINT_URL": f"https://{host}:{web.port}", "AWS_CA_BUNDLE": self.own.file, **environment}
        return self.daemon(config, environment={name: value for name, value in every.items() if value is not None})

    def doctor(self, d, more="start: manual"):
        """What the daemon says of a plan that it has to ask its server about."""
        status, answer = d.post("/v1/plans/doctor", plan(more=more))
        self.assertIn(status, (200, 502), answer)
        return json.dumps(answer)

    def ask(self, web, **more):
        """What a daemon of its own says, which is gone afterwards."""
        d = self.start(web, **more)
        text = self.doctor(d)
        self.assertEqual(d.stop(), 0, d.log())
        return text

    def refused(self, web, *words, **more):
        """Not one request got through, and the operator reads why."""
        text = self.ask(web, **more)
        self.assertEqual(web.heard, [])
        for word in words:
            self.assertIn(word, text)
