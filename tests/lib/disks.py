"""Disks of our own in files: an ext4 with journal, where a flush costs what it costs, and small ones that can be full."""

import contextlib
import os
import subprocess

from . import machine


def _run(*args):
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(args)}: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(ground, name, size, journal=True):
    """An ext4 (with journal, unless said), of size bytes at most, mounted below ground; nothing is kept back for root on it."""
    machine.need_root()
    image, path = os.path.join(ground, name + ".img"), os.path.join(ground, name)
    with open(image, "wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "has_journal" if journal else "^has_journal", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    os.mkdir(path)
    try:
        _run("mount", "-o", "loop", image, path)
    except OSError as error:
        os.rmdir(path)
        os.unlink(image)
        machine.cannot(str(error))
    try:
        os.rmdir(os.path.join(path, "lost+found"))
        os.chmod(path, 0o711)
        yield path
    finally:
        try:
            _run("umount", path)
        except OSError:
            _run("umount", "-l", path)	# somebody still has a file there: leaks.py says who
        os.rmdir(path)
        os.unlink(image)


class Several(contextlib.ExitStack):
    def __init__(self, ground):
        super().__init__()
        self.ground, self.count = ground, 0

    def small(self, size):
        self.count += 1
        return self.enter_context(mounted(self.ground, f"small{self.count}", max(size, 8 << 20)))


def room(path):
    """Bytes that an unprivileged writer still has there."""
    vfs = os.statvfs(path)
    return vfs.f_bavail * vfs.f_frsize


def fill(path, leave=0):
    """Takes all room of the disk but about leave bytes, with a file whose path is returned; unlink it to give it back."""
    name = os.path.join(path, "filler")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        step, length = 1 << 24, 0
        while step >= 4096:
            try:
                if room(path) - step < leave:
                    raise OSError
                os.posix_fallocate(fd, length, step)
                length += step
            except OSError:
                step //= 2
        os.fsync(fd)
    finally:
        os.close(fd)
    return name
