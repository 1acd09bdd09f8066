"""The machine: environment, folders, accounts, ports."""

import contextlib
import ctypes
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

from stack import accounts, build, folder, procs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
wait_for = procs.wait_until	# wait_for(predicate, seconds, what)


def clean_environment():
    """Settings of the caller that would change what programs do."""
    for name in list(os.environ):
        if name.endswith(("_CA_BUNDLE", "_proxy", "_PROXY")) or name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            del os.environ[name]
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ["LC_ALL"] = "C.UTF-8"
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))	# a crash shall leave something to find
    os.umask(0o022)


def cannot(reason):
    """Skips a test that this machine truly cannot run. runtests counts any other skip as a failure in CI."""
    pytest.skip("cannot: " + reason)


def need_root():
    if os.getuid() != 0:
        cannot("needs root")


def build_dir():
    return os.environ.get("SPOOLGATE_BUILD") or os.path.join(ROOT, "build/gcc")


def sanitized():
    """Whether the build under test has the sanitizers: it is slower then and takes more memory."""
    with open(os.path.join(build_dir(), "config.log"), encoding="utf-8", errors="replace") as log:
        return any(line.startswith("SAN_CFLAGS='-fsanitize") for line in log)


@contextlib.contextmanager
def short_folder():
    """A folder with a path short enough for sockets, which every account can enter; removed at the end."""
    accounts.ensure()
    path = tempfile.mkdtemp(prefix="sg-", dir="/tmp")
    os.chmod(path, 0o711)
    try:
        yield path
    finally:
        # Not rmtree, which recurses: a hostile job may have left folders in each other by the thousand.
        subprocess.run(["rm", "-rf", "--", path], check=False)


def install_programs(ground):
    """`make install` of the build under test, once for all stacks; SPOOLGATE_PROGRAMS names one that is there already."""
    given = os.environ.get("SPOOLGATE_PROGRAMS")
    if given:
        return given
    programs = os.path.join(ground, "programs")
    build.install(build_dir(), programs)
    return programs


def in_thread(function):
    """Runs it in a thread of its own, whose credentials and namespaces may change, and hands on what it returns or raises."""
    out = {}

    def body():
        try:
            out["value"] = function()
        except BaseException as error:	# noqa: BLE001 - handed on
            out["error"] = error
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in out:
        raise out["error"]
    return out["value"]


# Linux has credentials for each thread; only the C library's wrappers change those of all of them.
_NUMBERS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}	# setgroups, setresgid, setresuid
_libc = ctypes.CDLL(None, use_errno=True)


def as_account(account, function):
    """Runs function with this account's credentials and returns what it does. As itself but for root."""
    if os.getuid() != 0:
        return function()

    def body():
        groups, setresgid, setresuid = _NUMBERS[os.uname().machine]
        array = (ctypes.c_uint32 * len(account.groups))(*account.groups)
        for number, *args in ((groups, len(account.groups), array), (setresgid, *[account.gid] * 3), (setresuid, *[account.uid] * 3)):
            if _libc.syscall(number, *args) != 0:
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error))
        return function()
    return in_thread(body)


class Ports:
    """Free loopback ports, none twice in a session. Somebody else may take one before it is bound: whoever binds tries
    another one then."""
    used = set()

    @classmethod
    def free(cls):
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.bind(("127.0.0.1", 0))
                port = sock.getsockname()[1]
            if port not in cls.used:
                cls.used.add(port)
                return port


def private_bytes(pids):
    """Memory that these processes share with nobody."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    return total << 10


def peak_bytes(pids, reset=False):
    """The most memory that each of these processes had, together; reset: counted anew from now on."""
    total = 0
    for pid in pids:
        if reset:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    return total << 10


def read_json(path):
    return folder.read_json(path)
