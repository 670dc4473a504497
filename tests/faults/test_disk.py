#!/usr/bin/python3
"""The disk fails under the real daemon: every call on its state, once and from there on; really full; and a database
that is damaged, foreign or newer. No call to AWS without its intent on disk, but the way home; a reason that can be
read; and all goes on when the disk does.

# runner: timeout 300
"""

import collections
import contextlib
import ctypes
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import unittest

from faults import BAD, EMPTY_WORLD, GOOD, NAME, Trial, World, Worlds, at_once, can_trace, figure, is_readable
from faults import points, sentence, side_by_side, strace, wait_long

LONG = 3600

# What an error of the disk looks like at each call. Opening and reading are asked for by path, as the program opens and
# reads other files as well.
WRITES = (("fdatasync", "EIO"), ("fdatasync", "ENOSPC"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC"),
          ("ftruncate", "EIO"))
OTHERS = (("openat", "EIO"), ("openat", "ENOSPC"), ("openat", "EMFILE"), ("pread64", "EIO"))
STATE_FILES = ("", "/rolloutd.db", "/rolloutd.db-wal", "/rolloutd.db-shm", "/rolloutd.db.lock", "/rolloutd.db.reserve")

CALL = re.compile(r"^\d+ +([a-z_0-9]+)\((?:\d+<([^>]*)>)?")


def check_order(path, free_from):
    """In a log of strace: that no UpdateAlias left before what was written for it was synced. The `free_from`-th may
    leave all the same, and all after it: the way home."""
    unsynced, synced, sent = False, False, 0
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            found = CALL.match(line)
            if not found:
                continue
            call, file = found.groups()
            failed = " = -1 " in line
            wal = (file or "").endswith("-wal")
            if call == "pwrite64" and wal and not failed:
                unsynced = True
            elif call == "fdatasync" and wal and not failed:
                unsynced, synced = False, True
            elif call == "sendto" and '"PUT /2015-03-31/functions/' in line:
                sent += 1
                if sent < free_from and (unsynced or not synced):
                    raise AssertionError(f"UpdateAlias {sent} left before its intent was on disk: {line}")
                synced = False
    return sent


@unittest.skipUnless(can_trace(), "strace is not there, or may not trace")
@at_once
class Errors(unittest.TestCase):
    """EIO, ENOSPC and more at each call on the state."""

    def setUp(self):
        self.worlds = Worlds(self)

    def options(self, t, call):
        if call in (c for c, _ in WRITES):
            return ["-y", "-s", "64", "-e", "trace=fdatasync,pwrite64,sendto,ftruncate"]
        paths = [o for f in STATE_FILES for o in ("-P", os.path.join(t.folder, "state") + f)]
        return ["-y", "-e", f"trace={call}", *paths]

    def count(self, kind, call):
        """How often an unharmed run makes that call."""
        with Trial(self.worlds.get(), kind) as t:
            out = os.path.join(t.folder, "calls")
            t.start(strace(*self.options(t, call), out=out))
            t.wait_end("counted")
            self.assertEqual(t.stop(), 0, t.d.log())
            if call in (c for c, _ in WRITES):
                self.assertEqual(check_order(out, free_from=99), len(kind.wanted) - 1)
            with open(out, encoding="utf-8", errors="replace") as f:
                return sum((CALL.match(line) or [0, ""])[1] == call for line in f)

    def one(self, kind, call, error, n, from_there):
        what = f"{kind}, {call} {n}{'+' if from_there else ''}: {error}"
        with Trial(self.worlds.get(), kind) as t:
            out = os.path.join(t.folder, "calls")
            t.start(strace(*self.options(t, call), "-e",
                           f"inject={call}:error={error}:when={n}{'+' if from_there else ''}", out=out))
            wait_long(what, lambda: t.gone() or t.said_end() or (from_there and self.held(t)) or self.read_again(t))
            if from_there and not t.gone() and not t.said_end():
                how = self.look_at_held(t, what)
            else:
                how = self.look_at_ended(t, what)
            if call in (c for c, _ in WRITES):
                check_order(out, free_from=2 if kind is BAD else 99)
            self.go_on(t, what)
            return how

    def read_again(self, t):
        """A plan that could not be recorded is read again with the folder, every 30 s; or when somebody asks for it."""
        if not t.gone() and "could not be recorded" in t.log() and "SIGHUP" not in t.log():
            t.signal(signal.SIGHUP)
        return False

    def held(self, t):
        """It cannot record, and has done about it what can be done."""
        if "the state cannot be recorded" not in t.log() and "could not be recorded" not in t.log():
            return False
        return t.kind is GOOD or len(t.set_to()) != 2

    def look_at_held(self, t, what):
        """Nothing goes forward; whoever asks is told."""
        before = t.set_to()
        healthy, answer = wait_long(f"{what}: to be told", lambda: [a for a in [t.ctl.get("/healthz")] if a[0] == 503]
                                    or "could not be recorded" in t.log() and [(503, {"message": "cannot be recorded"})]
                                    )[0]
        t.expect(healthy == 503 and "cannot be recorded" in answer["message"], f"{what}: {answer}")
        if t.kind is GOOD:
            t.expect(t.set_to() in (before, t.kind.wanted[:len(before) + 1]), f"{what}: {before}, then {t.set_to()}")
        else:
            t.expect(len(t.set_to()) in (1, 3), f"{what}: not home: {t.set_to()}")
        t.kill()
        return "held"

    def look_at_ended(self, t, what):
        if t.gone():
            t.expect(t.d.process.returncode == 1, f"{what}: ended with {t.d.process.returncode}")
            t.expect(is_readable(sentence(t.log())), f"{what}: ended without a readable sentence")
            t.expect("state" in sentence(t.log()), f"{what}: does not say what it is about: {sentence(t.log())}")
            return "refused"
        code = t.stop()
        t.expect(code == 0, f"{what}: ended with {code}")
        return "went on"

    def go_on(self, t, what):
        """Once more with a disk that works. What went home without a record of it is left to an operator, or known."""
        t.start()
        wait_long("the daemon to answer", t.d.answers)
        s = wait_long(f"{what}: an end", lambda: self.at_end(t))
        if s["phase"] == "blocked":
            t.expect(t.kind is BAD and t.set_to() == BAD.wanted, f"{what}: {s['reason']}, {t.set_to()}")
            t.expect(t.stop() == 0, what)
            return
        t.expect(s["phase"] == t.kind.phase, f"{what}: {s['phase']}: {s['reason']}")
        t.check_alias(what)
        t.expect(t.stop() == 0, what)
        t.expect(t.rows("PRAGMA integrity_check") == [("ok",)], f"{what}: the database is damaged")

    def at_end(self, t):
        s = t.ctl.status(NAME)
        return s if s and s["phase"] in ("succeeded", "rolled-back", "failed", "blocked") else None

    def every_call(self, kind, calls, at_most):
        runs = []
        counts = {call: self.count(kind, call) for call, _ in calls}
        for call, error in calls:
            self.assertGreater(counts[call], 0, call)
            runs += [(kind, call, error, n, f) for n in range(1, counts[call] + 1) for f in (False, True)]
        runs = [runs[n] for n in points(len(runs) - 1, at_most, 0)]
        done = collections.Counter(side_by_side(self.one, runs, at_a_time=24))
        figure("disk errors", done.total())
        for how in ("went on", "held", "refused"):
            figure(f"disk errors, {how}", done[how])
        return done

    def test_success(self):
        self.assertGreater(self.every_call(GOOD, WRITES, at_most=22)["held"], 0)

    def test_rollback(self):
        self.every_call(BAD, WRITES, at_most=14)

    def test_opening_and_reading(self):
        self.every_call(GOOD, OTHERS, at_most=14)


def setUpModule():
    """Mounts are this program's alone, and gone with it. Threads that begin later are in the same namespace."""
    if may_mount():
        new_namespace = 0x00020000
        if ctypes.CDLL(None, use_errno=True).unshare(new_namespace) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def may_mount():
    """Root, with the right to mount."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True,
                          check=False).returncode == 0


HELD_STEPS = [(10, LONG), (50, 1)]


@unittest.skipUnless(may_mount(), "only root, with the right to mount, can have a disk that is full")
@at_once
class Full(unittest.TestCase):
    """A file system of 24 MiB, in a mount namespace of this program's own."""

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)
        self.t = Trial(self.world, GOOD, steps=HELD_STEPS)
        self.addCleanup(self.t.__exit__)
        self.state = os.path.join(self.t.folder, "state")
        os.mkdir(self.state, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", self.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=True)

    def fill(self, name="ballast"):
        """To the last byte."""
        size = 1 << 20
        with open(os.path.join(self.state, name), "ab", buffering=0) as f:
            while size:
                try:
                    f.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self):
        for name in os.listdir(self.state):
            if name.startswith("ballast"):
                os.unlink(os.path.join(self.state, name))

    def begin(self):
        self.t.start()
        wait_long("the daemon to answer", self.t.d.answers)
        self.t.ctl.weight(NAME, 10)

    def unhealthy(self):
        status, answer = wait_long("the daemon to notice", lambda: [a for a in [self.t.ctl.get("/healthz")]
                                                                   if a[0] == 503])[0]
        self.assertEqual(status, 503)
        self.assertIn("cannot be recorded", answer["message"])
        self.assertIn("the disk is full: free space under", self.t.log())

    def healthy(self):
        wait_long("the daemon to recover", lambda: self.t.ctl.get("/healthz")[0] == 200)

    def test_at_the_start(self):
        self.fill()
        self.t.start()
        self.assertEqual(self.t.d.process.wait(30), 1)
        self.assertIn("the disk is full: free space under", sentence(self.t.log()))
        self.free()
        self.begin()
        self.t.ctl.run("promote", NAME)
        self.t.ctl.phase(NAME, "succeeded")
        self.assertEqual(self.t.stop(), 0)
        self.assertEqual(self.t.set_to(), GOOD.wanted)

    def test_promoted_while_full(self):
        """What an operator asks for is not done before it is on record, and done when there is room."""
        self.begin()
        self.fill()
        self.t.ctl.run("promote", NAME, code=None)
        self.unhealthy()
        self.assertEqual(self.t.set_to(), GOOD.wanted[:2])
        text = self.t.ctl.run("status", NAME, code=None)
        self.assertIn("10", text)
        self.free()
        self.healthy()
        self.t.ctl.run("promote", NAME, code=None)
        self.t.ctl.phase(NAME, "succeeded")
        self.assertEqual(self.t.stop(), 0)
        self.assertEqual(self.t.set_to(), GOOD.wanted)

    def test_home_while_full(self):
        """The reserve makes room for it; filled once more, home it goes all the same, and it is recorded later."""
        self.begin()
        self.fill()
        self.world.admin("PUT", f"functions/{self.t.function}/versions/2", {"error_rate": "100%"})
        wait_long("the way home", lambda: self.t.set_to() == ["1", "1+2@10", "1"])
        self.fill("ballast-2")
        self.free()
        self.healthy()
        self.t.ctl.phase(NAME, "rolled-back")
        self.assertEqual(self.t.stop(), 0)
        self.assertEqual(self.t.rows("PRAGMA integrity_check"), [("ok",)])

    def test_home_without_a_reserve(self):
        """Killed as well before there is room: an operator finds the alias at home, and a rollout to look at."""
        self.begin()
        os.unlink(os.path.join(self.state, "rolloutd.db.reserve"))
        self.fill()
        self.world.admin("PUT", f"functions/{self.t.function}/versions/2", {"error_rate": "100%"})
        wait_long("the way home", lambda: self.t.set_to() == ["1", "1+2@10", "1"])
        self.t.kill()
        self.free()
        self.t.start()
        wait_long("the daemon to answer", self.t.d.answers)
        s = self.t.ctl.phase(NAME, "rolled-back", "blocked")
        self.assertTrue(s["reason"])
        self.assertEqual(self.t.set_to(), ["1", "1+2@10", "1"])
        self.assertEqual(self.t.stop(), 0)

    def test_read_only(self):
        self.begin()
        self.assertEqual(self.t.stop(), 0)
        subprocess.run(["mount", "-o", "remount,ro", self.state], check=True)
        self.t.start()
        self.assertEqual(self.t.d.process.wait(30), 1)
        self.assertIn("cannot be written", sentence(self.t.log()))
        self.assertEqual(self.t.set_to(), GOOD.wanted[:2])


def flip(path, at, n=16):
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ 0xff for b in old))


@at_once
class Damaged(unittest.TestCase):
    """A database that is not as the daemon left it: it says so, touches neither it nor an alias, and what a backup
    restores goes on."""

    def setUp(self):
        self.world = World(EMPTY_WORLD)
        self.addCleanup(self.world.close)
        self.t = Trial(self.world, GOOD, steps=HELD_STEPS)
        self.addCleanup(self.t.__exit__)
        self.db = os.path.join(self.t.folder, "state/rolloutd.db")

    def stopped_halfway(self, number=signal.SIGTERM):
        self.t.start()
        wait_long("the daemon to answer", self.t.d.answers)
        self.t.ctl.weight(NAME, 10)
        self.t.signal(number)
        self.t.d.process.wait(30)
        shutil.copytree(os.path.dirname(self.db), os.path.join(self.t.folder, "backup"))

    def refused(self, *says):
        before = self.t.state_hash() if os.path.isfile(self.db) else None
        self.t.start()
        self.assertEqual(self.t.d.process.wait(30), 1, self.t.log())
        said = sentence(self.t.log())
        self.assertTrue(is_readable(said), said)
        for words in (self.db, *says):
            self.assertIn(words, said)
        if before:
            self.assertEqual(self.t.state_hash(), before, "it wrote into what it could not read")
        self.assertEqual(self.t.set_to(), GOOD.wanted[:2])
        self.restored()

    def restored(self):
        """The backup in its place: the rollout goes on."""
        shutil.rmtree(os.path.dirname(self.db))
        shutil.copytree(os.path.join(self.t.folder, "backup"), os.path.dirname(self.db))
        self.t.start()
        wait_long("the daemon to answer", self.t.d.answers)
        self.t.ctl.weight(NAME, 10)
        self.t.ctl.run("promote", NAME)
        self.t.ctl.phase(NAME, "succeeded")
        self.assertEqual(self.t.set_to(), GOOD.wanted)
        self.assertEqual(self.t.stop(), 0)

    def test_header(self):
        self.stopped_halfway()
        flip(self.db, 0)
        self.refused("damaged", "move it away")

    def test_schema_page(self):
        self.stopped_halfway()
        flip(self.db, 100, 12)
        self.refused("damaged", "move it away")

    def test_truncated(self):
        self.stopped_halfway()
        os.truncate(self.db, os.path.getsize(self.db) // 2)
        self.refused("damaged", "move it away")

    def test_text(self):
        self.stopped_halfway()
        with open(self.db, "w", encoding="ascii") as f:
            f.write("these are my notes, not a database\n" * 1000)
        self.refused("move it away")

    def test_another_programs(self):
        self.stopped_halfway()
        os.unlink(self.db)
        with contextlib.closing(sqlite3.connect(self.db)) as db:
            db.execute("CREATE TABLE notes (text TEXT)")
            db.commit()
        self.refused("database of another program")

    def test_newer(self):
        self.stopped_halfway()
        with contextlib.closing(sqlite3.connect(self.db)) as db:
            db.execute("PRAGMA user_version = 99")
            db.commit()
        self.refused("newer rolloutd")

    def test_folder_in_its_place(self):
        self.stopped_halfway()
        os.unlink(self.db)
        os.mkdir(self.db)
        self.refused()

    def test_log_with_a_flipped_bit(self):
        """SQLite takes the log up to there. What is lost with the rest may be that a write was asked for; then the
        alias is another's, and left alone."""
        self.stopped_halfway(signal.SIGKILL)
        wal = self.db + "-wal"
        for part in (1 / 4, 1 / 2, 3 / 4, 9 / 10):
            with self.subTest(part=part):
                shutil.rmtree(os.path.dirname(self.db))
                shutil.copytree(os.path.join(self.t.folder, "backup"), os.path.dirname(self.db))
                flip(wal, int(os.path.getsize(wal) * part), 1)
                self.t.start()
                wait_long("an answer", lambda: self.t.gone() or self.answers())
                if not self.t.gone():
                    wait_long("a look at the alias", self.at_rest)
                self.t.kill()
                self.assertEqual(self.t.set_to(), GOOD.wanted[:2], self.t.log())
        self.restored()

    def answers(self):
        try:
            return self.t.d.answers()
        except AssertionError:
            return False

    def at_rest(self):
        s = self.t.ctl.status(NAME)
        return s and (s["phase"] in ("failed", "blocked") or (s["phase"] == "progressing" and s["weight"] == 10))

    def test_nothing_left(self):
        """An empty file is a new beginning; the alias in the middle of things is not taken for one."""
        self.stopped_halfway()
        os.truncate(self.db, 0)
        for more in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.db + more)
        self.t.start()
        wait_long("the daemon to answer", self.t.d.answers)
        wait_long("a look at the alias", self.at_rest)
        self.assertIn(self.t.ctl.status(NAME)["phase"], ("failed", "blocked"))
        self.assertEqual(self.t.set_to(), GOOD.wanted[:2])
        self.t.kill()
        self.restored()


if __name__ == "__main__":
    unittest.main()
