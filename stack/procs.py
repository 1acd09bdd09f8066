"""Processes that outlive whoever started them, known by pid, start time and boot id, and signalled by pidfd alone."""

import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path


def boot_id():
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid):
    """The fields of /proc/PID/stat from the state on (index 0), or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def start_ticks(pid):
    """Start time of a living process in ticks since boot; None where there is none, or only a zombie."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def parent(pid):
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """The living children of pid, oldest first."""
    return sorted(p for p in all_pids() if parent(p) == pid and start_ticks(p) is not None)


def has_open(pid, program, path):
    """Whether the process runs a program of this name and has the file open. False too where one may not look."""
    try:
        if os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) != program:
            return False
        fds = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for fd in fds:
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}") == path:
                return True
        except OSError:
            continue
    return False


@dataclass(frozen=True)
class Process:
    pid: int
    start: int
    boot: str

    @staticmethod
    def of(pid):
        start = start_ticks(pid)
        return None if start is None else Process(pid, start, boot_id())

    @staticmethod
    def from_json(obj):
        try:
            return Process(int(obj["pid"]), int(obj["start"]), str(obj["boot"]))
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self):
        return {"pid": self.pid, "start": self.start, "boot": self.boot}

    def open(self):
        """A pidfd of exactly this process, or None when it has ended. The caller closes it."""
        if self.boot != boot_id():
            return None
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # The number cannot be given away between here and the look: fd keeps it from being anybody else's if it is ours.
        if start_ticks(self.pid) != self.start:
            os.close(fd)
            return None
        return fd

    def alive(self):
        fd = self.open()
        if fd is None:
            return False
        os.close(fd)
        return True

    def send(self, sig):
        """False: it had ended."""
        fd = self.open()
        if fd is None:
            return False
        try:
            signal.pidfd_send_signal(fd, sig)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)

    def wait(self, seconds):
        """Until it has ended (also as a zombie); False when it still runs after that time."""
        fd = self.open()
        if fd is None:
            return True
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(int(seconds * 1000)))
        finally:
            os.close(fd)

    def stop(self, *steps):
        """Each step is (signal, seconds to wait after it). Returns the last signal that was needed, None: it had ended."""
        used = None
        for sig, seconds in steps:
            if not self.send(sig):
                return used
            used = sig
            if self.wait(seconds):
                return used
        raise TimeoutError(f"process {self.pid} does not end")


def wait_until(predicate, seconds, what, pause=0.02):
    """Calls predicate until it returns something true, which is returned; TimeoutError after that many seconds. For what
    announces itself nowhere."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(pause)
