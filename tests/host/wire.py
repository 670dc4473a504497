"""What stands between the virtual machine and the stand-in for AWS: it hands bytes on, sees each write of an alias, and
can cut the power before one is sent, or before its answer arrives; or let one arrive long after the machine is gone."""

import re
import socket
import threading

PUT = re.compile(rb"PUT /2015-03-31/functions/[^ ]*/aliases/")


class Wire:
    """`on_write(number)` is asked for each UpdateAlias and gives None, "unsent", "unanswered" or "late"; for all but
    None, `cut` is called and nothing is handed on any more."""

    def __init__(self, port, on_write, cut):
        self.to = ("127.0.0.1", port)
        self.on_write, self.cut = on_write, cut
        self.writes = self.answered = 0
        self.late = []  # requests that are still under way somewhere
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def close(self):
        self.listener.close()

    def carry(self, client):
        """One connection: requests and answers one after the other, as HTTP/1.1 has it."""
        with client, socket.create_connection(self.to) as server:
            try:
                while request := message(client):
                    is_write = PUT.match(request) is not None
                    fate = None
                    if is_write:
                        self.writes += 1
                        fate = self.on_write(self.writes)
                    if fate == "unsent":
                        self.cut()
                        return
                    if fate == "late":
                        self.late.append(request)
                        self.cut()
                        return
                    server.sendall(request)
                    answer = message(server)
                    self.answered += is_write
                    if fate == "unanswered":
                        self.cut()
                        return
                    client.sendall(answer)
                    if self.late and request.startswith(b"GET") and b"/aliases/" in request:
                        self.deliver_late()
            except OSError:
                pass

    def deliver_late(self):
        """The daemon has looked at the alias; now what it had sent before arrives."""
        with socket.create_connection(self.to) as server:
            server.sendall(self.late.pop())
            message(server)


def message(s):
    """One whole request or answer; empty at the connection's end."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    want = int(length.group(1)) if length else 0
    while len(body) < want:
        part = s.recv(65536)
        if not part:
            return b""
        body += part
        data += part
    return data
