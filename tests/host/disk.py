"""A disk with a volatile cache, as an NBD server: what was written and not flushed may be lost when the power goes.

A real disk answers a write once it is in its cache, and keeps it for good once a FLUSH was answered. `cut()` does what
a power cut does to such a disk: of the writes since the last flush each is kept, lost or torn, by the seed. What
a sector has is written whole or not at all, as a file system must be able to count on: ext4's own superblock is one.
"""

import os
import random
import socket
import struct
import threading

SECTOR = 4096
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
FUA = 1 << 16
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
OPTION_EXPORT_NAME, OPTION_ABORT, OPTION_GO = 1, 2, 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, 0x80000001


class Disk:
    """`on_flush(number)` is called before each flush takes hold; it gives "lost" or "kept" for the power to go before
    or after it, then the flush is never answered; None lets it pass."""

    def __init__(self, path, image, seed, on_flush):
        self.current = bytearray(image)  # what the guest reads
        self.durable = bytearray(image)
        self.unflushed = []
        self.random = random.Random(seed)
        self.on_flush = on_flush
        self.flushes, self.off, self.fates = 0, False, {"kept": 0, "lost": 0, "torn": 0}
        self.lock = threading.Lock()
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.handshake(connection)
                    while self.answer(connection):
                        pass
                except OSError:
                    pass

    def close(self):
        self.listener.close()

    # --- the power ---

    def cut(self):
        """Gives the disk's content as it is found when the power is back."""
        with self.lock:
            self.off = True
            for offset, data in self.unflushed:
                fate = self.random.choice(("kept", "lost", "torn"))
                self.fates[fate] += 1
                if fate == "kept":
                    self.durable[offset:offset + len(data)] = data
                elif fate == "torn":
                    for at in range(0, len(data), SECTOR):
                        if self.random.random() < 0.5:
                            self.durable[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
            self.unflushed = []
            return bytes(self.durable)

    def flush(self):
        """True: it may be answered."""
        self.flushes += 1
        verdict = self.on_flush(self.flushes)
        if verdict == "lost":
            self.off = True
            return False
        for offset, data in self.unflushed:
            self.durable[offset:offset + len(data)] = data
        self.unflushed = []
        self.off = verdict == "kept"
        return not self.off

    # --- the protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md ---

    def handshake(self, s):
        s.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        exactly(s, 4)
        flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA
        while True:
            _, option, length = struct.unpack(">8sII", exactly(s, 16))
            exactly(s, length)
            if option == OPTION_EXPORT_NAME:
                s.sendall(struct.pack(">QH", len(self.current), flags))
                return
            if option == OPTION_GO:
                self.reply(s, option, REPLY_INFO, struct.pack(">HQH", 0, len(self.current), flags))
                self.reply(s, option, REPLY_ACK)
                return
            self.reply(s, option, REPLY_ACK if option == OPTION_ABORT else REPLY_UNSUPPORTED)
            if option == OPTION_ABORT:
                raise OSError("the client left")

    @staticmethod
    def reply(s, option, kind, data=b""):
        s.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)

    def answer(self, s):
        """One request; False when there will be no other."""
        _, flags_and_type, cookie, offset, length = struct.unpack(">IIQQI", exactly(s, 28))
        kind, data = flags_and_type & 0xffff, b""
        if kind == DISCONNECT:
            return False
        if kind == WRITE:
            data = exactly(s, length)
        with self.lock:
            if self.off:
                return False  # nothing is answered without power
            if kind == READ:
                data = bytes(self.current[offset:offset + length])
            elif kind == WRITE:
                self.current[offset:offset + length] = data
                self.unflushed.append((offset, data))
            if (kind == FLUSH or (kind == WRITE and flags_and_type & FUA)) and not self.flush():
                return False
        error = 0 if kind in (READ, WRITE, FLUSH) else 22
        s.sendall(struct.pack(">IIQ", 0x67446698, error, cookie) + (data if kind == READ else b""))
        return True


def exactly(s, n):
    data = bytearray()
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise OSError("the connection ended")
        data += part
    return bytes(data)
