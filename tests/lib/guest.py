"""A guest with Debian's own kernel, where cgroup v2 has its controllers: QEMU without acceleration, so that it runs anywhere.

Its disk has the programs under test, and of this machine's packages what they and a Python script need. It boots, runs the script as root
and goes; what the script prints as RESULT lines comes back over the serial console."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from . import machine

KERNEL = "linux-image-cloud-amd64"
# In the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk")
PACKAGES = ("bubblewrap", "dash", "coreutils", "util-linux", "mount", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib",
            "procps")
FIRST = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /$module.ko; done
until [ -b /dev/vda ]; do :; done
/bin/busybox mount -t ext4 -o ro /dev/vda /root
exec /bin/busybox switch_root /root /bin/busybox sh /first
"""
SECOND = """/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /dev/shm
for place in /tmp /run /dev/shm; do /bin/busybox mount -t tmpfs none $place; done
/bin/busybox mount -t cgroup2 none /sys/fs/cgroup
/bin/busybox ip link set lo up
exec 2>&1
echo
PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3.11 -s /guest/inside.py
echo "END $?"
/bin/busybox poweroff -f
"""


def _run(*args, **more):
    done = subprocess.run([str(a) for a in args], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{args}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def kernel(folder):
    """Debian's kernel of today, unpacked below folder and not installed: (vmlinuz, folder of modules)."""
    place = os.path.join(folder, "kernel")
    if not os.path.isdir(os.path.join(place, "boot")):
        shutil.rmtree(place, ignore_errors=True)
        depends = _run("apt-cache", "depends", KERNEL)
        name = re.search(r"Depends: (linux-image-\S+)", depends)
        if not name:
            machine.cannot(f"apt knows no {KERNEL}")
        with tempfile.TemporaryDirectory(prefix="sg-kernel-") as temporary:
            _run("apt-get", "-q", "download", "-o", "APT::Sandbox::User=root", name.group(1), cwd=temporary)
            _run("dpkg", "-x", os.path.join(temporary, os.listdir(temporary)[0]), place + ".new")
        os.rename(place + ".new", place)
    boot = os.path.join(place, "boot")
    version = next(n[8:] for n in os.listdir(boot) if n.startswith("vmlinuz-"))
    return os.path.join(boot, "vmlinuz-" + version), os.path.join(place, "lib/modules", version)


def _copy(root, path):
    """A file of this machine with everything that leads to it, links as they are; and the libraries that it wants."""
    target = root + path
    if os.path.lexists(target):
        return
    parent = os.path.dirname(path)
    if os.path.islink(parent):
        _copy(root, parent)
        _copy(root, os.path.realpath(parent) + "/" + os.path.basename(path))
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        real = os.path.normpath(os.path.join(parent, os.readlink(path)))
        if os.path.isfile(real) or os.path.islink(real):
            _copy(root, real)
        elif os.path.isdir(real):
            os.makedirs(root + real, exist_ok=True)
        return
    shutil.copy2(path, target)


def _libraries(paths):
    done = subprocess.run(["ldd", *paths], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    return sorted(set(re.findall(r"(/\S+\.so\S*) \(0x", done)))


def _is_program(path):
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _make_root(root, programs, files):
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(f"{root}/usr/{name}", exist_ok=True)
        os.symlink("usr/" + name, f"{root}/{name}")
    for name in ("proc", "sys", "dev", "tmp", "run", "etc", "root", "guest", "var/lib"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    listed = _run("dpkg", "-L", *PACKAGES).splitlines() + ["/bin/busybox", "/etc/ld.so.cache"]
    wanted = {os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path) for path in listed
              if path.startswith(("/usr/bin/", "/usr/lib/", "/bin/", "/lib/", "/sbin/", "/usr/sbin/", "/etc/ld")) and
              (os.path.isfile(path) or os.path.islink(path)) and "/config-" not in path and not re.search(r"/(test|lib2to3|idlelib|ensurepip)/", path)}
    for path in sorted(wanted):
        _copy(root, path)
    shutil.copytree(programs, root + "/opt/spoolgate", symlinks=True)
    elves = [path for path in wanted if _is_program(path)]
    elves += [os.path.join(top, name) for top, _, names in os.walk(programs) for name in names if _is_program(os.path.join(top, name))]
    for path in _libraries(elves):
        _copy(root, path)
    with open(root + "/etc/passwd", "w", encoding="ascii") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nspoolgate:x:900:900::/nonexistent:/usr/sbin/nologin\n")
    with open(root + "/etc/group", "w", encoding="ascii") as file:
        file.write("root:x:0:\nspoolgate:x:900:\n")
    with open(root + "/first", "w", encoding="ascii") as file:
        file.write(SECOND)
    for name, path in files.items():
        shutil.copy2(path, f"{root}/guest/{name}")


def _make_initrd(folder, modules):
    place = os.path.join(folder, "initrd")
    os.makedirs(place + "/bin")
    shutil.copy2(os.path.realpath("/bin/busybox"), place + "/bin/busybox")
    for module in MODULES:
        found = next(os.path.join(top, module + ".ko") for top, _, names in os.walk(modules) if module + ".ko" in names)
        shutil.copy2(found, place)
    with open(place + "/init", "w", encoding="ascii") as file:
        file.write(FIRST.format(modules=" ".join(MODULES)))
    os.chmod(place + "/init", 0o755)
    names = _run("find", ".", cwd=place)
    with open(os.path.join(folder, "initrd.cpio"), "wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=names.encode(), stdout=file, cwd=place, check=True)
    return os.path.join(folder, "initrd.cpio")


def run(folder, programs, files, seconds):
    """Boots; files: {name in /guest: path}, of which inside.py is run. ([result, ...], the console's text)."""
    vmlinuz, modules = kernel(os.environ.get("SPOOLGATE_GUEST", folder))
    root, disk = os.path.join(folder, "root"), os.path.join(folder, "disk.img")
    _make_root(root, programs, files)
    _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, disk, "512M")
    shutil.rmtree(root)
    console = os.path.join(folder, "console")
    with open(console, "wb") as out:
        child = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35", "-smp", "2", "-m", "1024", "-nographic", "-no-reboot", "-nic", "none",
             "-kernel", vmlinuz, "-initrd", _make_initrd(folder, modules), "-append", "console=ttyS0 quiet mitigations=off panic=-1",
             "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            child.kill()
            child.wait()
    with open(console, encoding="utf-8", errors="replace") as file:
        text = file.read()
    os.unlink(disk)
    return [json.loads(line) for line in re.findall(r"^RESULT (.*?)\r?$", text, re.M)], text


