"""Building the tree, and installing it into a folder that the unprivileged accounts can read."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .folder import StackError


def _run(args, cwd, log):
    """Runs a step of the build; its output goes to the log, whose end is shown when it fails."""
    with open(log, "ab") as out:
        done = subprocess.run(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        tail = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
        raise StackError("\n".join(tail) + f"\n{' '.join(map(str, args))} failed; all of it is in {log}")


def digest(source):
    """Of everything autoreconf reads: times mean nothing in a fresh clone."""
    own = hashlib.sha256()
    for path in sorted({source / "configure.ac", source / "Makefile.am", *source.glob("*/*.mk"), *source.glob("src/**/*.mk"),
                        *source.glob("tests/**/*.mk")}):
        own.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return own.hexdigest()


def build(source, build_dir):
    """Configures and builds what is missing or old. Several may ask at once."""
    source, build_dir = Path(source), Path(build_dir)
    build_dir.mkdir(parents=True, exist_ok=True)
    with open(build_dir / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, log, wanted = build_dir / ".configured", build_dir / "build.log", digest(source)
        log.write_bytes(b"")
        if not stamp.exists() or stamp.read_text() != wanted or not (build_dir / "config.status").exists():
            print("Building spoolgate ...", file=sys.stderr)
            if not (source / "configure").exists() or (source / ".git").exists():	# a release tarball brings it
                _run(["autoreconf", "-i"], source, log)
            _run([source / "configure", "-q"], build_dir, log)
            stamp.write_text(wanted)
        _run(["make", "-s", f"-j{os.cpu_count() or 1}"], build_dir, log)


def install(build_dir, programs):
    """`make install` with `programs` as its prefix, whole or not at all."""
    new = programs + ".new"
    shutil.rmtree(new, ignore_errors=True)
    with open(os.path.join(build_dir, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        umask = os.umask(0o022)
        try:
            _run(["make", "-s", "install", f"prefix={new}"], build_dir, os.path.join(build_dir, "build.log"))
        finally:
            os.umask(umask)
    old = programs + ".old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(programs):
        os.rename(programs, old)
    os.rename(new, programs)
    shutil.rmtree(old, ignore_errors=True)
