#!/usr/bin/python3
"""Tries what the unit's sandbox should refuse, and writes down how each attempt ended: probe.py [FILE].

As a hook it is run by the daemon itself, in its sandbox; the same file is run by hand without one, which shows that it
is the sandbox that refuses, and not that the attempt could not work at all. Nothing here changes the machine for good.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
PROBES = {}

# Numbers of system calls on x86-64 that the C library has no function for, or would not pass on unchanged.
SYS = {"add_key": 248, "bpf": 321, "clock_settime": 227, "finit_module": 313, "kexec_load": 246, "open_tree": 428,
       "perf_event_open": 298, "process_vm_readv": 310, "userfaultfd": 323, "delete_module": 176}


def probe(f):
    PROBES[f.__name__] = f
    return f


def checked(result):
    """What a C function returned, or its error as an exception."""
    if result in (-1, ctypes.c_void_p(-1).value):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def call(name, *args):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return checked(libc.syscall(ctypes.c_long(SYS[name]), *wide))


def in_child(f):
    """For what would change the process that tries it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, attempt(f).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as answer:
        result = answer.read()
    if result != "ok":
        raise OSError(getattr(errno, result, errno.EIO), result)


def write_new(folder):
    fd, path = tempfile.mkstemp(dir=folder, prefix=".probe-")
    os.close(fd)
    os.unlink(path)


# --- files ---


@probe
def write_etc():
    write_new("/etc")


@probe
def write_usr():
    write_new("/usr/local/bin")


@probe
def write_plans():
    write_new("/etc/rolloutd/plans.d")


@probe
def write_hooks():
    write_new("/etc/rolloutd/hooks.d")


@probe
def write_var():
    write_new("/var/lib")


@probe
def write_run():
    write_new("/run")


@probe
def write_state():
    write_new("/var/lib/rolloutd")


@probe
def write_tmp():
    """Its own: what the host has in /tmp is not there."""
    write_new("/tmp")


@probe
def see_hosts_tmp():
    os.stat("/tmp/of-the-host")


@probe
def see_home():
    with open("/home/alice/file", encoding="utf-8") as f:
        f.read()


@probe
def see_root_home():
    with open("/root/file", encoding="utf-8") as f:
        f.read()


@probe
def setuid_bit():
    path = "/var/lib/rolloutd/suid" if os.access("/var/lib/rolloutd", os.W_OK) else "/tmp/suid"
    with open(path, "w", encoding="utf-8"):
        pass
    try:
        os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


@probe
def become_root():
    """A program with the set-uid bit of root."""
    with os.popen("/usr/local/bin/suid-id -u 2>&1") as answer:
        if answer.read().strip() != "0":
            raise PermissionError(errno.EPERM, "still nobody")


# --- devices and the kernel ---


@probe
def make_device():
    path = tempfile.mktemp(dir="/tmp")
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.unlink(path)


@probe
def read_kernel_log():
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.close(fd)


@probe
def read_kernel_log_by_call():
    checked(libc.klogctl(10, None, 0))  # the size of its buffer


@probe
def write_tunable():
    with open("/proc/sys/kernel/hostname", "r+", encoding="utf-8") as f:
        f.write(os.uname().nodename)


@probe
def write_control_group():
    path = "/sys/fs/cgroup/probe-%d" % os.getpid()
    os.mkdir(path)
    os.rmdir(path)


@probe
def load_module():
    """An empty file is no module: ENOEXEC is what a caller sees who would be let."""
    with tempfile.TemporaryFile() as f:
        try:
            call("finit_module", f.fileno(), b"", 0)
        except OSError as e:
            if e.errno not in (errno.ENOEXEC, errno.EINVAL):
                raise


@probe
def unload_module():
    try:
        call("delete_module", b"there_is_no_such_module", os.O_NONBLOCK)
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise


@probe
def see_modules_folder():
    os.listdir("/usr/lib/modules")


@probe
def set_clock():
    """To a time that no clock takes: EINVAL is what a caller sees who would be let."""
    wrong = (ctypes.c_long * 2)(0, -1)
    try:
        call("clock_settime", 0, wrong)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise


@probe
def set_hostname():
    name = os.uname().nodename.encode()
    checked(libc.sethostname(name, len(name)))


@probe
def mount():
    def try_it():
        checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
        checked(libc.umount2(b"/tmp", 2))

    in_child(try_it)


@probe
def open_mount_tree():
    os.close(call("open_tree", -100, b"/", 1))


@probe
def change_root():
    in_child(lambda: os.chroot("/tmp"))


@probe
def load_bpf():
    attributes = (ctypes.c_uint * 32)(1, 4, 4, 1)  # an array of one element
    os.close(call("bpf", 0, attributes, 72))


@probe
def perf_events():
    attributes = (ctypes.c_uint * 32)(1, 128)  # the software clock
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


# --- processes ---


@probe
def see_init():
    os.stat("/proc/1/status")


@probe
def read_daemon_memory():
    """The memory of the daemon, which has keys in it, by its own user."""
    here = ctypes.create_string_buffer(8)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(here), 8)
    remote = (ctypes.c_ulong * 2)(mapping_of(daemon()), 8)
    call("process_vm_readv", daemon(), local, 1, remote, 1, 0)


@probe
def trace_daemon():
    in_child(lambda: checked(libc.ptrace(0x4206, daemon(), None, None)))  # PTRACE_SEIZE, which does not stop it


def daemon():
    """Its process number, as the tests wrote it down."""
    with open("/etc/rolloutd/daemon.pid", encoding="utf-8") as f:
        return int(f.read())


def mapping_of(pid):
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            return int(f.readline().split("-")[0], 16)
    except OSError:
        return 4096


@probe
def new_user_namespace():
    in_child(lambda: checked(libc.unshare(0x10000000)))


@probe
def new_network_namespace():
    in_child(lambda: checked(libc.unshare(0x40000000)))


@probe
def realtime():
    checked(libc.sched_setscheduler(0, 1, (ctypes.c_int * 1)(1)))
    checked(libc.sched_setscheduler(0, 0, (ctypes.c_int * 1)(0)))


@probe
def other_personality():
    in_child(lambda: checked(libc.personality(0x0040000)))


@probe
def write_and_execute():
    """Memory that is both."""
    checked(libc.mmap(None, mmap.PAGESIZE, 7, 0x22, -1, 0))


@probe
def make_executable():
    """Memory that was written, and is to be executed."""
    at = checked(libc.mmap(None, mmap.PAGESIZE, 3, 0x22, -1, 0))
    checked(libc.mprotect(ctypes.c_void_p(at), mmap.PAGESIZE, 5))


@probe
def new_key():
    call("add_key", b"user", b"probe", b"x", 1, -2)


@probe
def fault_handler():
    os.close(call("userfaultfd", 1))


@probe
def other_user():
    in_child(lambda: os.setresuid(65534, 65534, 65534))


@probe
def give_away():
    fd, path = tempfile.mkstemp(dir="/tmp")
    os.close(fd)
    try:
        os.chown(path, 65534, 65534)
    finally:
        os.unlink(path)


# --- the network ---


def family(number, kind=socket.SOCK_RAW):
    return lambda: socket.socket(number, kind).close()


PROBES["socket_netlink"] = family(socket.AF_NETLINK)
PROBES["socket_packet"] = family(socket.AF_PACKET)
PROBES["socket_raw"] = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
PROBES["socket_unix"] = family(socket.AF_UNIX, socket.SOCK_STREAM)
PROBES["socket_inet6"] = family(socket.AF_INET6, socket.SOCK_STREAM)


@probe
def connect():
    socket.create_connection(("localhost", 4599), 5).close()


@probe
def read_certificates():
    with open("/etc/ssl/certs/ca-certificates.crt", "rb") as f:
        if b"BEGIN CERTIFICATE" not in f.read():
            raise OSError(errno.EIO, "no certificates")


@probe
def start_programs():
    with os.popen("echo $((40 + 2))") as answer:
        if answer.read() != "42\n":
            raise OSError(errno.EIO, "no shell")


# --- how it stands ---


def attempt(f):
    try:
        f()
        return "ok"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def facts():
    with open("/proc/self/status", encoding="utf-8") as f:
        status = dict(line.rstrip("\n").split(":", 1) for line in f)
    with open("/proc/self/limits", encoding="utf-8") as f:
        limits = {line[:26].strip(): line[26:].split()[0] for line in f}
    return {
        "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "environment": dict(os.environ),
        "status": {k: status[k].strip() for k in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")},
        "limits": {k: limits[k] for k in ("Max core file size", "Max open files")},
        "namespaces": {n: os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "ipc", "uts", "net", "user", "pid")},
        "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd")),
        "devices": sorted(os.listdir("/dev")), "umask": status["Umask"].strip(),
        "uids": sorted({os.stat(f"/proc/{n}").st_uid for n in os.listdir("/proc") if n.isdigit()}),
    }


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "/var/lib/rolloutd/probe.json"
    found = {"facts": facts(), "probes": {name: attempt(f) for name, f in PROBES.items()}}
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(found, f)
    os.rename(path + ".new", path)


if __name__ == "__main__":
    main()
