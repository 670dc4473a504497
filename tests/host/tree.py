"""What boots: a Debian tree with systemd and the project installed in it, made once and kept below build/booted."""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(TOP, "build/booted")
TREE = os.path.join(PLACE, "tree")
INSIDE = os.path.join(TOP, "tests/host/inside")

# What rolloutd is linked with, what systemd needs to boot, and Python for the tests inside.
PACKAGES = (
    "ca-certificates", "dbus", "iproute2", "kmod", "libcurl4", "libjansson4", "libmicrohttpd12", "libsqlite3-0",
    "libssl3", "libsystemd0", "libuv1", "libyaml-0-2", "passwd", "python3", "sqlite3", "systemd", "systemd-sysv",
    "udev",
)
UNITS = ("localaws.service", "host-test.service", "host-test.target")


class CannotBe(Exception):
    """This machine cannot do it; the text says why, and what is not shown by that."""


def require_tools(*names):
    if os.geteuid() != 0:
        raise CannotBe("not root")
    for name in names:
        if not shutil.which(name):
            raise CannotBe(f"there is no {name} (conf/deps.sh host installs it)")


def codename():
    """The programs run with the libraries of the system that they were built on, so the tree must be of the same."""
    system = platform.freedesktop_os_release()
    if system.get("ID") != "debian" or "VERSION_CODENAME" not in system:
        raise CannotBe("the tree is Debian's, and the programs are built for another system")
    return system["VERSION_CODENAME"]


def make_tree():
    """Made anew only when the list of packages is another one."""
    suite = codename()
    stamp = os.path.join(PLACE, "tree.stamp")
    wanted = hashlib.sha256(" ".join((suite, *PACKAGES)).encode()).hexdigest()
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == wanted:
        return
    require_tools("mmdebstrap")
    os.makedirs(PLACE, exist_ok=True)
    shutil.rmtree(TREE, ignore_errors=True)
    print(f"making a tree of Debian {suite} in build/booted (once; about half a minute)", flush=True)
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES),
         "--aptopt=APT::Install-Recommends false", "--dpkgopt=path-exclude=/usr/share/doc/*",
         "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*", suite, TREE],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise CannotBe(f"mmdebstrap failed:\n{done.stdout}{done.stderr}")
    with open(stamp, "w", encoding="utf-8") as f:
        f.write(wanted)


def install(build):
    """`make install` with the default PREFIX, then what an operator does: enable. Users and folders are not made here:
    that systemd-sysusers and systemd-tmpfiles make them at boot is a part of the test."""
    etc = os.path.join(TREE, "etc/rolloutd")
    shutil.rmtree(etc, ignore_errors=True)
    environment = {**os.environ, "BUILD": build, "DESTDIR": TREE, "PREFIX": "/usr/local", "SYSCONFDIR": "/etc"}
    subprocess.run(["conf/install.sh", "install"], cwd=TOP, env=environment, check=True)
    units = os.path.join(TREE, "etc/systemd/system")
    for unit in UNITS:
        shutil.copy(os.path.join(INSIDE, unit), os.path.join(units, unit))
    subprocess.run(["systemctl", "--quiet", f"--root={TREE}", "enable", "rolloutd.service", "rolloutd.socket"],
                   check=True)
    os.makedirs(os.path.join(TREE, "usr/lib/modules"), exist_ok=True)  # a container has none, and it is to be hidden
    # Without one it would be a first boot, which puts what is enabled back to the distribution's presets.
    with open(os.path.join(TREE, "etc/machine-id"), "w", encoding="utf-8") as f:
        f.write("0123456789abcdef0123456789abcdef\n")
    with open(os.path.join(TREE, "etc/fstab"), "w", encoding="utf-8") as f:
        f.write("# Nothing: the root is there, and everything else is a tmpfs.\n")
    with open(os.path.join(TREE, "etc/hostname"), "w", encoding="utf-8") as f:
        f.write("rolloutd-test\n")
    with open(os.path.join(TREE, "etc/hosts"), "w", encoding="utf-8") as f:
        f.write("127.0.0.1 localhost rolloutd-test\n::1 localhost\n")


@contextlib.contextmanager
def made(build):
    """The tree, with that build installed, for as long as it is used: nobody else installs another one meanwhile."""
    for program in ("rolloutd", "rolloutctl", "rollout-localaws"):
        if not os.path.exists(os.path.join(build, program)):
            raise SystemExit(f"{build}/{program} is not there: build it first")
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_tree()
        install(build)
        yield
