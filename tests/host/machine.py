"""A virtual machine: Debian's kernel, the tree as its initial RAM disk, and one disk for the state. Each boot is a
fresh one but for that disk. Emulated (TCG), so that it needs no help from the host's processor."""

import os
import re
import shutil
import stat
import subprocess
import threading

import tree

KERNEL = os.path.join(tree.PLACE, "kernel")
# What a machine that runs rolloutd for a minute has no use for.
LEFT_OUT = ("boot", "usr/share", "var/cache", "var/lib/apt", "var/lib/dpkg", "usr/lib/python3", "usr/lib/python3.11",
            "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/udev/hwdb.d",
            "usr/bin/perl", "usr/bin/python3.11", "usr/local/bin/rollout-localaws")
MEMORY_MIB = 768
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net", "virtio_blk")
MASKED = ("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-kernel.socket",
          "systemd-udevd-control.socket", "systemd-logind.service", "getty.target", "systemd-update-utmp.service",
          "systemd-random-seed.service", "systemd-hwdb-update.service", "systemd-networkd.service",
          "systemd-journal-flush.service", "systemd-timesyncd.service", "dbus.service", "dbus.socket",
          "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
          "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service", "systemd-tmpfiles-clean.timer",
          "modprobe@.service", "systemd-sysctl.service", "systemd-journal-catalog-update.service",
          "systemd-remount-fs.service", "kmod-static-nodes.service", "systemd-tmpfiles-setup-dev.service",
          "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "systemd-pstore.service", "e2scrub_reap.service")
# quiet: only what is wrong; the journal on the console; random numbers from the processor, as there is no other source
# yet; and no look whether the timer ticks, which a host that is busy can make fail.
COMMAND_LINE = ("console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check mitigations=off "
                "systemd.unit=multi-user.target systemd.journald.forward_to_console=1 "
                "systemd.journald.max_level_console=info systemd.show_status=0 systemd.firstboot=off")


def make_kernel():
    if os.path.exists(os.path.join(KERNEL, "boot")):
        return
    tree.require_tools("mmdebstrap")
    print("fetching Debian's kernel for virtual machines into build/booted (once; about half a minute)", flush=True)
    new = KERNEL + ".new"
    shutil.rmtree(new, ignore_errors=True)
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", "--include=linux-image-cloud-amd64",
         "--aptopt=APT::Install-Recommends false", "--dpkgopt=path-exclude=/usr/share/*", tree.codename(), new],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise tree.CannotBe(f"mmdebstrap failed:\n{done.stdout}{done.stderr}")
    os.rename(new, KERNEL)


def kernel_image():
    boot = os.path.join(KERNEL, "boot")
    return os.path.join(boot, next(n for n in os.listdir(boot) if n.startswith("vmlinuz")))


class Archive:
    """cpio in its "newc" form, which the kernel unpacks into its first root."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.number = 0

    def add(self, name, mode, data=b""):
        self.number += 1
        head = name.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(head), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % f for f in fields))
        for part, before in ((head, 110), (data, 0)):
            self.out.write(part + b"\0" * (-(before + len(part)) % 4))

    def add_tree(self, top, left_out):
        for folder, folders, names in os.walk(top):
            at = os.path.relpath(folder, top)
            at = "" if at == "." else at + "/"
            folders[:] = sorted(f for f in folders if at + f not in left_out)
            for name in sorted(folders) + sorted(n for n in names if at + n not in left_out):
                path = os.path.join(folder, name)
                st = os.lstat(path)
                if stat.S_ISLNK(st.st_mode):
                    self.add(at + name, st.st_mode, os.readlink(path).encode())
                elif stat.S_ISDIR(st.st_mode):
                    self.add(at + name, st.st_mode)
                elif stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as f:
                        self.add(at + name, st.st_mode, f.read())

    def file(self, name, text, mode=0o644):
        """With the folders that lead to it, as far as they may be missing."""
        self.add(name, stat.S_IFREG | mode, text if isinstance(text, bytes) else text.encode())

    def link(self, name, to):
        self.add(name, stat.S_IFLNK | 0o777, to.encode())

    def close(self):
        self.add("TRAILER!!!", 0)
        self.out.close()


# Modules by hand, as there is no udev; then the disk, and the network that QEMU itself plays.
START = """[Unit]
Description=The machine's disk and network
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'for m in {modules}; do insmod /vm/$$m.ko; done; ip link set lo up; ip link set eth0 up; \
ip addr add 10.0.2.15/24 dev eth0; {disk}'
"""
# Plain http is for this machine's own addresses only, so the stand-in for AWS has one here.
RELAY_SOCKET = "[Socket]\nListenStream=127.0.0.1:4599\n"
RELAY = "[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 10.0.2.2:{port}\n"


MOUNT = "mkdir -p /var/lib/rolloutd; mount -t ext4 /dev/vda /var/lib/rolloutd"


def make_ram_disk(build, path, port, files, hooks=None, disk=MOUNT):
    a = Archive(path)
    with tree.made(build):
        a.add_tree(tree.TREE, LEFT_OUT)
    a.add("vm", stat.S_IFDIR | 0o755)
    for folder, _, names in os.walk(os.path.join(KERNEL, "lib/modules")):
        for name in names:
            if name.removesuffix(".ko") in MODULES and name.endswith(".ko"):
                with open(os.path.join(folder, name), "rb") as f:
                    a.file(f"vm/{name}", f.read())
    units = "etc/systemd/system"
    a.link("init", "/lib/systemd/systemd")
    for unit in MASKED:
        a.link(f"{units}/{unit}", "/dev/null")
    a.add(f"{units}/sysinit.target.wants", stat.S_IFDIR | 0o755)
    a.add(f"{units}/sockets.target.wants", stat.S_IFDIR | 0o755)
    a.file(f"{units}/start.service", START.format(modules=" ".join(MODULES), disk=disk))
    a.link(f"{units}/sysinit.target.wants/start.service", "../start.service")
    a.add(f"{units}/rolloutd.service.d", stat.S_IFDIR | 0o755)
    a.file(f"{units}/rolloutd.service.d/state.conf", "[Unit]\nRequires=start.service\nAfter=start.service\n")
    a.file(f"{units}/relay.socket", RELAY_SOCKET)
    a.file(f"{units}/relay.service", RELAY.format(port=port))
    a.link(f"{units}/sockets.target.wants/relay.socket", "../relay.socket")
    a.file("etc/rolloutd/environment", "AWS_ENDPOINT_URL=http://127.0.0.1:4599\nAWS_REGION=us-east-1\n"
           "AWS_ACCESS_KEY_ID=localaws\nAWS_SECRET_ACCESS_KEY=localaws\n")
    for name, text in files.items():
        a.file(name, text)
    for name, text in (hooks or {}).items():
        a.file(f"etc/rolloutd/hooks.d/{name}", text, 0o755)
    a.close()


class Machine:
    """A running one. `on_line(text)` gets each line of its console, and None at its end."""

    def __init__(self, ram_disk, disk_socket, on_line):
        disk = (["-drive", f"file=nbd+unix:///?socket={disk_socket},format=raw,if=none,id=state,cache=writeback",
                 "-device", "virtio-blk-pci,drive=state"] if disk_socket else [])
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1",
             "-m", str(MEMORY_MIB), "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
             "-kernel", kernel_image(), "-initrd", ram_disk, "-append", COMMAND_LINE,
             "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net", *disk],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.on_line, self.lines = on_line, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1bc", "", line.decode(errors="replace")).strip()
            self.lines.append(text)
            self.on_line(text)
        self.on_line(None)

    def pull_the_plug(self):
        self.process.kill()

    def wait(self, timeout):
        self.process.wait(timeout)
        self.reader.join(10)
        self.process.stdout.close()
