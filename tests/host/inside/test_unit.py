"""rolloutd on a booted systemd: its units, users, socket and sandbox, and what the service manager does to it."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import sys
import threading
import unittest

import host_case
from host_case import (HOOKS, PLANS, SECRET, STATE, Case, active, as_user, changes, ctl, drop, dropin, journal,
                       main_pid, phase, plan, run, show, status, systemctl, wait_for, weight, write)

UNIT = "/usr/local/lib/systemd/system/rolloutd.service"


def setUpModule():
    """What the booted system has of itself is looked at by the class Boot; this is what an operator adds to it."""
    systemctl("start", "localaws.service")
    for user, groups in (("alice", "rolloutd"), ("carol", "rolloutd,rolloutd-admin"), ("bob", "")):
        run("useradd", "--create-home", "--groups", groups, user)
    write("/etc/rolloutd/environment", "AWS_ENDPOINT_URL=http://127.0.0.1:4599\nAWS_REGION=us-east-1\n")
    write("/etc/rolloutd/aws-credentials",
          f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n", 0o600)
    shutil.copy("/host/probe.py", f"{HOOKS}/probe")
    os.chmod(f"{HOOKS}/probe", 0o755)
    write(f"{HOOKS}/slow",
          "#!/bin/sh\necho ran >>/var/lib/rolloutd/slow\nwhile [ ! -e /etc/rolloutd/go ]; do sleep 0.1; done\n", 0o755)
    shutil.copy("/usr/bin/id", "/usr/local/bin/suid-id.real")
    for path in ("/root/file", "/home/alice/file", "/tmp/of-the-host"):
        write(path, "private", 0o644)
    os.chmod("/home/alice", 0o755)
    dropin("credentials", credentials_dropin())
    systemctl("restart", "rolloutd.service")


def credentials_dropin():
    """Word for word what the unit's comment tells an operator to put there."""
    with open(UNIT, encoding="utf-8") as f:
        block = re.search(r"put these into a drop-in\.\n((?:#   .*\n)+)", f.read()).group(1)
    return "".join(line[4:] + "\n" for line in block.splitlines())


def tearDownModule():
    """No secret may be anywhere but in the files that hold it."""
    everything = run("journalctl", "--no-pager", "-q", "-a", "-o", "export")
    assert SECRET not in everything, "the journal has the secret key"
    for folder, _, names in os.walk(STATE):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                assert SECRET.encode() not in f.read(), f"{folder}/{name} has the secret key"
    host_case.count["checks"] += 2


class Boot(Case):
    """What a boot after `make install` and `systemctl enable` has made."""

    def test_everything_is_up(self):
        wait_for("the daemon", active)
        self.same(systemctl("list-units", "--failed", "--no-legend").strip(), "", "no unit failed")
        self.check(active(), "rolloutd.service is active")
        self.same(show("SubState", "rolloutd.socket"), "running", "the socket is the daemon's")
        self.check("is ready: plans in /etc/rolloutd/plans.d" in journal("-b"), "the journal says that it is ready")

    def test_users_and_files(self):
        for path, owner, mode in (("/var/lib/rolloutd", "rolloutd", 0o40700), ("/run/rolloutd", "rolloutd", 0o40755),
                                  ("/run/rolloutd/control.sock", "rolloutd", 0o140660),
                                  ("/var/lib/rolloutd/rolloutd.db", "rolloutd", 0o100600),
                                  ("/etc/rolloutd", "root", 0o40755), (PLANS, "root", 0o40755),
                                  (HOOKS, "root", 0o40755)):
            st = os.stat(path)
            self.same((run("id", "-nu", str(st.st_uid)).strip(), st.st_mode), (owner, mode), path)
        self.check("rolloutd-admin" in run("getent", "group", "rolloutd-admin"), "the group of those who may submit")
        self.check("nologin" in run("getent", "passwd", "rolloutd"), "nobody logs in as rolloutd")

    def test_exposure(self):
        """By this systemd's own reckoning, of the unit as it is loaded, drop-ins included."""
        run("systemd-analyze", "security", "--no-pager", "--threshold=15", "rolloutd.service")
        self.same(run("systemd-analyze", "verify", "--man=no", UNIT), "", "verify has nothing to say")
        self.check(True, "exposure of at most 1.5")


class Callers(Case):
    """Who may do what on the socket: the kernel tells the daemon who calls."""

    def test_who_may_look_and_who_may_submit(self):
        write("/tmp/by-hand.yaml", plan("by-hand", "f-0", more="start: manual\n"))
        ctl("list", user="alice")
        code, text = ctl("list", user="bob", code=None)
        self.same(code, 6, "bob is in no group: for him there is no daemon")
        self.check("rolloutd" in text and "ermission" in text, f"and he is told why: {text}")
        code, text = ctl("submit", "/tmp/by-hand.yaml", user="alice", code=None)
        self.same(code, 1, "alice may not submit")
        self.check("submit_group" in text, f"and is told who may: {text}")
        ctl("submit", "/tmp/by-hand.yaml", user="carol")
        phase("by-hand", "pending")
        ctl("rollback", "by-hand", "--reason", "not today", user="alice")
        phase("by-hand", "failed", "rolled-back")
        uid = run("id", "-u", "alice").strip()
        events = json.loads(ctl("events", "by-hand", "-o", "json"))
        told = [e for e in events["events"] if f"uid={uid} " in e["by"]]
        self.check(told and any("not today" in json.dumps(e) for e in told),
                   f"the record has alice's own uid, {uid}: {events}")

    def test_strangers_reach_nothing(self):
        for what in (["cat", f"{STATE}/rolloutd.db"], ["cat", "/etc/rolloutd/aws-credentials"],
                     ["ls", "/run/credentials/rolloutd.service"], ["cat", f"/proc/{main_pid()}/environ"],
                     ["touch", f"{PLANS}/x.yaml"], ["touch", f"{HOOKS}/x"]):
            for user in ("alice", "carol"):
                code, text = as_user(user, *what, code=None)
                self.check(code != 0 and "ermission denied" in text, f"{user}: {' '.join(what)}: {text}")


class Journal(Case):
    def test_fields_status_and_reload(self):
        drop("fields", "f-1")
        self.succeeded("fields", "f-1")
        lines = [json.loads(line) for line in journal("ROLLOUT=fields", "-o", "json").splitlines()]
        self.check(lines, "a rollout's lines are found by its name")
        for field in ("PHASE", "EVENT"):
            self.check(all(field in line for line in lines), f"each has {field}")
        self.check({"progressing", "succeeded"} <= {line["PHASE"] for line in lines}, "its phases are there")
        self.check(all(line["_SYSTEMD_UNIT"] == "rolloutd.service" for line in lines), "they are the unit's")
        drop("shown", "f-2", more="start: manual\n")
        phase("shown", "pending")
        wait_for("the status text", lambda: re.match(r"\d+ rollouts?", show("StatusText")))
        self.check("Status: \"" in run("systemctl", "status", "rolloutd.service"), "systemctl status shows it")
        before = main_pid()
        with open("/etc/rolloutd/rolloutd.yaml", "a", encoding="utf-8") as f:
            f.write("# another line\n")
        systemctl("reload", "rolloutd.service")
        wait_for("the answer to the reload",
                 lambda: "restart rolloutd to apply it" in journal("--grep", "SIGHUP"))
        wait_for("it to be active again", active)
        self.same(main_pid(), before, "a reload is no restart")
        ctl("rollback", "shown")


class Life(Case):
    """What the service manager does, and what becomes of rollouts."""

    def test_killed_again_and_again(self):
        """More often, and faster, than systemd would bear without StartLimitIntervalSec=0, while somebody calls."""
        drop("killed", "f-3", steps=((10, 2), (50, 2)))
        weight("killed", 10)
        systemctl("reset-failed", "rolloutd.service")
        before, over = int(show("NRestarts")), threading.Event()
        codes = set()

        def call():
            while not over.is_set():
                codes.add(ctl("list", code=None)[0])

        caller = threading.Thread(target=call)
        caller.start()
        try:
            for _ in range(12):
                pid = main_pid()
                os.kill(pid, signal.SIGKILL)
                wait_for("the next one", lambda: main_pid() not in (0, pid) and active())
        finally:
            over.set()
            caller.join()
        self.same(int(show("NRestarts")) - before, 12, "each time it came back")
        self.same(show("ActiveState", "rolloutd.socket"), "active", "the socket was held open all the time")
        self.check(0 in codes, "callers were answered")
        self.succeeded("killed", "f-3")

    def test_callers_wait_for_a_restart(self):
        codes, over = [], threading.Event()

        def call():
            while not over.is_set():
                codes.append(ctl("list", code=None))

        callers = [threading.Thread(target=call) for _ in range(2)]
        for c in callers:
            c.start()
        try:
            for _ in range(3):
                systemctl("restart", "rolloutd.service")
        finally:
            over.set()
            for c in callers:
                c.join()
        failed = [c for c in codes if c[0] != 0]
        self.check(codes and not failed, f"of {len(codes)} calls over three restarts none failed: {failed}")

    def test_stop_in_the_middle(self):
        """What is stopped stays stopped while nobody calls, and goes on where it was."""
        drop("stopped", "f-4", steps=((10, 3), (50, 1)))
        weight("stopped", 10)
        systemctl("stop", "rolloutd.socket", "rolloutd.service")
        self.same(show("Result"), "success", "an orderly stop")
        self.check("nothing is in flight: stopped" in journal("-n", "20"), "and it says so")
        self.same(changes("f-4"), ["1+2@10"], "the weight stays where it is")
        systemctl("start", "rolloutd.socket")
        self.check(not active(), "the socket alone starts nothing")
        ctl("list", user="alice")
        self.check(active(), "a call does")
        self.succeeded("stopped", "f-4")

    def test_the_service_brings_its_socket(self):
        """Without it the daemon would make a socket itself, and its sandbox does not let it give that to the group."""
        systemctl("stop", "rolloutd.socket", "rolloutd.service")
        systemctl("start", "rolloutd.service")
        self.same(show("ActiveState", "rolloutd.socket"), "active", "the socket's unit came as well")
        ctl("list", user="alice")
        self.check(True, "and the group may use it")

    def test_stop_while_a_hook_runs(self):
        """The hook is run again, and its violent end is no answer."""
        drop("hooked", "f-5", more="hooks: {pre_traffic: {exec: slow, timeout: 5m}}\n")
        ran = f"{STATE}/slow"
        wait_for("the hook to run", lambda: os.path.exists(ran))
        systemctl("restart", "rolloutd.service")
        wait_for("the hook to run again", lambda: len(open(ran, encoding="utf-8").readlines()) == 2)
        self.same(changes("f-5"), [], "no traffic has moved")
        write("/etc/rolloutd/go", "")
        self.succeeded("hooked", "f-5")

    def test_watchdog(self):
        """A daemon that hangs is killed and started anew; no dump is written; the rollout goes on."""
        dropin("watchdog", "[Service]\nWatchdogSec=4\n")
        systemctl("restart", "rolloutd.service")
        systemctl("reset-failed", "rolloutd.service")
        drop("watched", "f-6", steps=((10, 2), (50, 2)))
        weight("watched", 10)
        before, pid = int(show("NRestarts")), main_pid()
        os.kill(pid, signal.SIGSTOP)
        wait_for("the watchdog", lambda: int(show("NRestarts")) == before + 1 and active())
        self.check(main_pid() != pid, "it is another process")
        log = journal("-n", "100")
        self.check("Watchdog timeout" in log, "systemd says why")
        self.check("code=dumped" not in log, "it left no dump of its memory")
        self.succeeded("watched", "f-6")
        dropin("watchdog", None)
        systemctl("restart", "rolloutd.service")

    def test_a_broken_configuration_mends(self):
        """However often the start failed: once the file is right the daemon comes by itself."""
        path = "/etc/rolloutd/rolloutd.yaml"
        with open(path, encoding="utf-8") as f:
            good = f.read()
        drop("mended", "f-7", steps=((10, 1), (50, 1)))
        weight("mended", 10)
        write(path, good + "no_such_key: 1\n")
        code, _ = systemctl("restart", "rolloutd.service", code=None)
        self.check(code != 0, "a restart that fails says so")
        wait_for("six failed starts", lambda: int(show("NRestarts")) >= 6)
        self.check("no_such_key" in journal("-n", "30"), "the journal names the mistake")
        write(path, good)
        wait_for("it to be active", active)
        self.succeeded("mended", "f-7")

    def test_keys_in_the_home_of_its_user(self):
        """Where the documentation puts keys that something else renews; /root/.aws is not looked at."""
        dropin("credentials", None)
        try:
            home = f"{STATE}/.aws"
            run("install", "-d", "-o", "rolloutd", "-g", "rolloutd", "-m", "700", home)
            run("install", "-o", "rolloutd", "-g", "rolloutd", "-m", "600", "/etc/rolloutd/aws-credentials",
                f"{home}/credentials")
            systemctl("restart", "rolloutd.service")
            drop("at-home", "f-10")
            self.succeeded("at-home", "f-10")
        finally:
            shutil.rmtree(home)
            dropin("credentials", credentials_dropin())
            systemctl("restart", "rolloutd.service")

    def test_second_daemon_is_refused(self):
        write("/tmp/second.yaml", f"state_dir: {STATE}\nplans_dir: {PLANS}\nhooks_dir: {HOOKS}\n"
              "control: {socket: /tmp/second.sock}\n")
        code, text = as_user("rolloutd", "rolloutd", "--config", "/tmp/second.yaml", code=None)
        self.check(code == 1 and "in use by another rolloutd" in text, text)
        self.check(active() and ctl("list"), "the first one goes on")

    def test_backup_and_restore(self):
        """As docs/operations.md has it. A restored record is older than the alias, and must not fight it."""
        drop("restored", "f-8", steps=((10, 2), (50, 1)))
        weight("restored", 10)
        run("sqlite3", f"{STATE}/rolloutd.db", ".backup /root/rolloutd.db")
        self.succeeded("restored", "f-8")
        systemctl("stop", "rolloutd.socket", "rolloutd.service")
        for name in ("rolloutd.db-wal", "rolloutd.db-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{STATE}/{name}")
        run("install", "-o", "rolloutd", "-g", "rolloutd", "-m", "600", "/root/rolloutd.db", f"{STATE}/rolloutd.db")
        systemctl("start", "rolloutd.service")
        found = phase("restored", "blocked")
        self.check("2" in found["reason"], f"it says what it saw: {found['reason']}")
        self.same(changes("f-8"), ["1+2@10", "1+2@50", "2"], "nothing was written to the alias")


class Sandbox(Case):
    """Each refusal is tried three times: by a hook in the daemon's own sandbox; by root in a copy of it; and with no
    sandbox, where it must work, or the refusal would show nothing."""

    # What must be refused. In a container some need more than its root may: those are counted as not shown there.
    REFUSED = (
        "write_etc", "write_usr", "write_plans", "write_hooks", "write_var", "write_run", "see_hosts_tmp", "see_home",
        "see_root_home", "setuid_bit", "become_root", "make_device", "read_kernel_log", "read_kernel_log_by_call",
        "write_tunable", "write_control_group", "load_module", "unload_module", "see_modules_folder", "set_clock",
        "set_hostname", "mount", "open_mount_tree", "change_root", "load_bpf", "perf_events", "see_init",
        "read_daemon_memory", "trace_daemon", "new_user_namespace", "new_network_namespace", "realtime",
        "other_personality", "write_and_execute", "make_executable", "new_key", "fault_handler", "other_user",
        "give_away", "socket_netlink", "socket_packet", "socket_raw",
    )
    # What must work: hooks and the daemon need it.
    ALLOWED = ("write_state", "write_tmp", "socket_unix", "socket_inet6", "connect", "read_certificates",
               "start_programs")
    # Root in the sandbox is not the user rolloutd: these are not asked of it.
    NOT_OF_ROOT = ("write_state", "write_run", "become_root", "see_init")

    @classmethod
    def setUpClass(cls):
        write("/etc/rolloutd/daemon.pid", str(main_pid()))
        shutil.copy("/usr/local/bin/suid-id.real", "/usr/local/bin/suid-id.new")
        os.rename("/usr/local/bin/suid-id.new", "/usr/local/bin/suid-id")
        os.chmod("/usr/local/bin/suid-id", 0o4755)
        drop("probed", "f-9", more="hooks: {pre_traffic: {exec: probe, timeout: 1m}}\n")
        cls.found = {"hook": wait_for("the hook's findings", lambda: cls.read(f"{STATE}/probe.json"))}
        cls.found["root in the sandbox"] = cls.in_copy_of_unit()
        run("python3", "/host/probe.py", "/root/probe.json")
        cls.found["root"] = cls.read("/root/probe.json")
        as_user("rolloutd", "python3", "/host/probe.py", "/tmp/probe.json")
        cls.found["rolloutd"] = cls.read("/tmp/probe.json")

    @staticmethod
    def read(path):
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as f:
            return json.load(f)

    @classmethod
    def in_copy_of_unit(cls):
        """The unit's own text, but for what is run and whose it is."""
        with open(UNIT, encoding="utf-8") as f:
            text = f.read()
        for name in ("Type", "NotifyAccess", "ExecStart", "ExecReload", "Restart", "RestartSec", "WatchdogSec", "User",
                     "Group", "StateDirectory", "RuntimeDirectory", "EnvironmentFile"):
            text = re.sub(rf"^{name}=.*\n", "", text, flags=re.M)
        add = ("[Service]\nType=oneshot\nUser=root\nStateDirectory=probe\n"
               "ExecStart=/usr/bin/python3 /host/probe.py /var/lib/probe/probe.json\n")
        write("/run/systemd/system/probe.service", text.replace("[Service]\n", add, 1))
        systemctl("daemon-reload")
        systemctl("start", "probe.service")
        return cls.read("/var/lib/probe/probe.json")

    def test_refused(self):
        for name in self.REFUSED:
            with self.subTest(name):
                bare = (self.found["root"]["probes"][name], self.found["rolloutd"]["probes"][name])
                for who in ("hook", "root in the sandbox"):
                    if who != "hook" and name in self.NOT_OF_ROOT:
                        continue
                    self.check(self.found[who]["probes"][name] != "ok", f"{name} by {who} is not refused")
                if "ok" not in bare:
                    host_case.count["not shown"] += 1
                    print(f"not shown here: {name}, which ends with {' and '.join(sorted(set(bare)))} for root and "
                          "rolloutd without the sandbox as well", file=sys.stderr)

    def test_allowed(self):
        for name in self.ALLOWED:
            with self.subTest(name):
                self.same(self.found["hook"]["probes"][name], "ok", f"{name} by the hook")

    def test_what_a_process_is_in_it(self):
        facts, host = self.found["hook"]["facts"], self.found["root"]["facts"]
        uid = int(run("id", "-u", "rolloutd"))
        self.same((facts["uid"], facts["groups"]), (uid, [facts["gid"]]), "user and groups")
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.same(int(facts["status"][name], 16), 0, name)
        self.same(facts["status"]["NoNewPrivs"], "1", "no new privileges")
        self.same(facts["status"]["Seccomp"], "2", "system calls are filtered")
        self.same(facts["limits"], {"Max core file size": "0", "Max open files": "4096"}, "limits")
        self.same(facts["uids"], [uid], "only its own processes are there")
        self.same(facts["umask"], "0077", "what it writes is its own")
        for name in ("mnt", "ipc", "uts"):
            self.check(facts["namespaces"][name] != host["namespaces"][name], f"a namespace of its own: {name}")
        for name in ("net", "user", "pid"):
            self.same(facts["namespaces"][name], host["namespaces"][name], f"the host's namespace: {name}")
        self.same(set(facts["environment"]) - {"PWD", "LC_CTYPE"}, {"PATH", "LANG", "ROLLOUTD_HOOK"},
                  "a hook's environment has none of the daemon's keys")
        self.check(max(facts["descriptors"]) <= 4, f"a hook has no descriptor of the daemon: {facts['descriptors']}")
        strange = set(facts["devices"]) - {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm",
                                           "stdin", "stdout", "stderr", "fd", "core", "mqueue", "hugepages", "log",
                                           "console", "char"}
        self.same(strange, set(), "no device but those without danger")

    def test_daemon_itself(self):
        pid = main_pid()
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            own = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.same(int(own[name], 16), 0, name)
        self.same(own["NoNewPrivs"], "1", "no new privileges")
        self.same(own["Seccomp"], "2", "system calls are filtered")
        self.same(os.stat(f"/proc/{pid}/mem").st_uid, 0, "not dumpable: its memory is root's")
        credentials = "/run/credentials/rolloutd.service"
        self.check(stat.S_IMODE(os.stat(credentials).st_mode) & 0o077 == 0 or os.stat(credentials).st_uid == 0,
                   "credentials are for the daemon alone")
        phase("probed", "succeeded")
        self.check(True, "what loads its keys by LoadCredential= and runs a hook succeeds")


class Services(Case):
    """A whole service from the unit: its code is a file of this host."""

    PLAN = ("apiVersion: rolloutd/v1\nkind: Service\nname: {name}\nfunction: {function}\n"
            "code: {{zip: {path}}}\naliases:\n  test: {{version: 1}}\n")

    def zip(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        run("python3", "-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('index.py', 'x')", path)
        os.chmod(path, 0o644)

    def test_code_in_srv(self):
        self.zip("/srv/build/hello.zip")
        write(f"{PLANS}/srv.yaml", self.PLAN.format(name="srv", function="f-20", path="/srv/build/hello.zip"))
        wait_for("the service", lambda: (s := status("srv")) and s["phase"] == "succeeded")
        self.check(True, "/srv is seen by the unit")

    def test_code_in_home(self):
        """The sandbox hides it; what the daemon says must lead to the reason."""
        self.zip("/home/alice/hello.zip")
        write(f"{PLANS}/home.yaml", self.PLAN.format(name="home", function="f-21", path="/home/alice/hello.zip"))
        found = wait_for("the service to say so",
                         lambda: (s := status("home")) and "/home/alice" in json.dumps(s) and s)
        self.check(found["phase"] != "succeeded", found)
        print("what is said of code in /home:", found.get("reason"), file=sys.stderr)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun} tests, {host_case.count['checks']} checks, "
          f"{host_case.count['not shown']} refusals not shown here to be the sandbox's, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
