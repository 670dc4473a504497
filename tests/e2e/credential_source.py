"""Whoever gives keys away, for tests: a container's and an instance's metadata service, STS and SSO in one. What it
gives is the test's matter: see `give`. It counts what it is asked, and can be down."""

import html
import http.server
import json
import re
import threading
import time
import urllib.parse

from markers import BEARER


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, status=200, kind="application/json"):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        source = self.server
        with source.lock:
            source.open += 1
            source.most_open = max(source.most_open, source.open)
            down = source.down
            source.heard.append((self.command, self.path, dict(self.headers), body, down))
        try:
            if down:
                self.refuse(body)
            else:
                self.give(urllib.parse.urlsplit(self.path).path, body)
        finally:
            with source.lock:
                source.open -= 1

    do_GET = do_PUT = do_POST = handle_one

    def refuse(self, body):
        """As a careless proxy would: with everything that it was sent, secrets and all."""
        with self.server.lock:
            self.server.refused += 1
        text = "no: " + html.escape(" ".join([body.partition("WebIdentityToken=")[2], *self.headers.values()]))
        text = urllib.parse.unquote(text) if self.server.refused % 2 else text
        if self.command == "POST":
            self.answer(f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{text}</Message></Error>"
                        "</ErrorResponse>", 403, "text/xml")
        else:
            self.answer(json.dumps({"Code": text, "code": text, "message": text, "Message": text}), 400)

    def give(self, path, body):
        if path == "/latest/api/token":
            self.answer(BEARER, kind="text/plain")
        elif path.endswith("/security-credentials/"):
            self.answer("ops", kind="text/plain")
        elif path == "/federation/credentials":
            k = self.server.take()
            self.answer(json.dumps({"roleCredentials": {
                "accessKeyId": k["id"], "secretAccessKey": k["secret"], "sessionToken": k["token"],
                "expiration": int(k["until"]) * 1000}}))
        elif self.command == "POST":
            k = self.server.take()
            action = re.search(r"Action=(\w+)", body)[1]
            self.answer(f"<{action}Response><{action}Result><Credentials><AccessKeyId>{k['id']}</AccessKeyId>"
                        f"<SecretAccessKey>{k['secret']}</SecretAccessKey><SessionToken>{k['token']}</SessionToken>"
                        f"<Expiration>{utc(k['until'])}</Expiration></Credentials></{action}Result></{action}Response>",
                        kind="text/xml")
        else:
            k = self.server.take()
            self.answer(json.dumps({"Code": "Success", "AccessKeyId": k["id"], "SecretAccessKey": k["secret"],
                                    "Token": k["token"], "Expiration": utc(k["until"])}))


class Source(http.server.ThreadingHTTPServer):
    """`give()`: the next keys, a dictionary of id, secret, token and until (seconds since 1970)."""

    daemon_threads = True

    def __init__(self, give):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.give, self.lock = give, threading.Lock()
        self.heard, self.down = [], False
        self.given = self.refused = self.open = self.most_open = 0
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def take(self):
        keys = self.give()
        with self.lock:
            self.given += 1
        return keys

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
