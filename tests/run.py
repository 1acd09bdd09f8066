"""runtests, once the packages are there: stages one after the other, each with its own count, and the sum as the last line."""

import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from stack import build, procs

SOURCE = Path(__file__).resolve().parent.parent
BUILDS = SOURCE / "build"
LOGS = BUILDS / "log"
CI = os.environ.get("CI", "") not in ("", "0", "false")
PR_SET_CHILD_SUBREAPER = 36
STAGE_SECONDS = 1200


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.words = []	# of what failed or was skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.words += other.words

    def fail(self, words):
        self.failed += 1
        self.words.append("FAILED " + words)

    def skip(self, words):
        """In CI nothing may be left out but what this machine truly cannot do, which says so."""
        if CI and "cannot:" not in words:
            self.fail(words + " (skipped)")
        else:
            self.skipped += 1
            self.words.append("skipped " + words)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(name, args, cwd=SOURCE, env=None, seconds=STAGE_SECONDS):
    """Runs a command with its output in LOGS/name.log. Its exit status; everything it started is ended with it."""
    log = LOGS / f"{name}.log"
    with open(log, "ab") as out:
        child = subprocess.Popen([str(a) for a in args], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            out.write(f"\nnot done within {seconds} s\n".encode())
            return 124


def tail(name, lines=40):
    return "\n".join((LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])


def step(count, what, name, args, **more):
    """A step that counts as one test; False where it failed."""
    status = run(name, args, **more)
    if status == 0:
        count.passed += 1
        return True
    count.fail(f"{what} (status {status})\n{tail(name)}")
    return False


def configured(count, name, flags, compiler="gcc"):
    """A build folder, configured and built with these flags."""
    folder = BUILDS / name
    folder.mkdir(parents=True, exist_ok=True)
    stamp, wanted = folder / ".configured", f"{compiler} {flags} {build.digest(SOURCE)}"
    if not (folder / "Makefile").exists() or not stamp.exists() or stamp.read_text() != wanted:
        if not step(count, f"{name}: configure", f"{name}-configure", [SOURCE / "configure", f"CC={compiler}", *flags], cwd=folder):
            return None
        stamp.write_text(wanted)
    if not step(count, f"{name}: make", f"{name}-make", ["make", "-k", f"-j{os.cpu_count()}"], cwd=folder):
        return None
    return folder


def make_check(count, name, folder, target="check"):
    """`make check` or one of its kind, counted by test functions where a program is cmocka's and by program otherwise."""
    for old in folder.rglob("*.trs"):
        old.unlink()
    status = run(name, ["make", "-k", f"-j{os.cpu_count()}", target], cwd=folder)
    programs = 0
    for trs in sorted(folder.rglob("*.trs")):
        results = re.findall(r"^:test-result: (\w+)", trs.read_text(errors="replace"), re.M)
        log = trs.with_suffix(".log").read_text(errors="replace") if trs.with_suffix(".log").exists() else ""
        title = f"{name}: {trs.relative_to(folder).with_suffix('')}"
        programs += 1
        if "SKIP" in results:
            count.skip(f"{title}: {log.strip()[-300:]}")
        elif all(result in ("PASS", "XFAIL") for result in results) and results:
            passed = re.search(r"^\[  PASSED  \] (\d+) test", log, re.M)
            count.passed += int(passed.group(1)) if passed else len(results)
            for skipped in sorted(set(re.findall(r"^\[  SKIPPED \] (\w+)$", log, re.M))):
                count.skip(f"{title}: {skipped}: {'cannot:' if 'cannot:' in log else ''}")
        else:
            failed = set(re.findall(r"^\[  FAILED  \] (\w+)$", log, re.M)) or {""}
            for number, function in enumerate(sorted(failed)):
                count.fail(f"{title} {function}" + (f"\n{log[-3000:]}" if number == 0 else ""))
    if status != 0 and not any(words.startswith(f"FAILED {name}:") for words in count.words):
        count.fail(f"{name}: make check (status {status})\n{tail(name)}")
    if status == 0 and not programs:
        count.fail(f"{name}: make check ran no tests")


def test_tools(count):
    """Programs of PyPI that tests run, in a virtual environment; its folder, or None where they could not be installed."""
    folder, wanted = BUILDS / "venv", "schemathesis==4.32.5"
    if (folder / "installed").exists() and (folder / "installed").read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    for args in (["/usr/bin/python3", "-m", "venv", folder], [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wanted]):
        if run("venv", args, seconds=600) != 0:
            if CI:
                count.fail(f"{wanted} cannot be installed\n{tail('venv')}")
            return None
    (folder / "installed").write_text(wanted)
    return folder


def pytest(count, name, folder, paths, seconds=STAGE_SECONDS, at_once=2):
    """The tests of running programs, against this build."""
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    work = tempfile.mkdtemp(prefix="sg-", dir="/tmp")
    os.chmod(work, 0o711)
    try:
        build.install(str(folder), f"{work}/programs")
        env = {**os.environ, "SPOOLGATE_VENV": str(test_tools(count) or ""), "SPOOLGATE_BUILD": str(folder), "SPOOLGATE_PROGRAMS": f"{work}/programs", "PYTHONDONTWRITEBYTECODE": "1"}
        status = run(name, ["/usr/bin/python3", "-s", "-m", "pytest", "-n", str(at_once), "--dist", "loadfile", "-c", SOURCE / "tests/pytest.ini",
                            "--rootdir", SOURCE / "tests", f"--junitxml={report}", f"--basetemp={work}/pytest", *paths],
                     env=env, seconds=seconds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not report.exists():
        count.fail(f"{name} (status {status})\n{tail(name)}")
        return
    for case in ET.parse(report).getroot().iter("testcase"):
        title = f"{name}: {case.get('classname')}.{case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            count.fail(f"{title}\n{(bad.text or bad.get('message') or '')[-6000:]}")
        elif skipped is not None:
            count.skip(f"{title}: {skipped.get('message')}")
        else:
            count.passed += 1
    if status not in (0, 1):
        count.fail(f"{name}: pytest ended with {status}\n{tail(name)}")


RUNNING = ["tests/http", "tests/regress", "tests/crash", "tests/attack/test_attacks.py"]	# against any build
GUEST = ["tests/guest"]	# what needs a kernel of its own
COMPARING = ["tests/attack/test_neighbours.py"]	# of times, with the machine for themselves
COMMANDS = ["tests/commands"]	# quickstart, which builds by itself


def stage_gcc(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        make_check(count, "gcc-check", folder)


def stage_valgrind(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        make_check(count, "valgrind", folder, "check-valgrind")


def stage_running(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        pytest(count, "running", folder, RUNNING + COMMANDS)


def stage_guest(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        (BUILDS / "guest").mkdir(exist_ok=True)
        os.environ["SPOOLGATE_GUEST"] = str(BUILDS / "guest")
        pytest(count, "guest", folder, GUEST, at_once=1)


def stage_comparing(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        pytest(count, "comparing", folder, COMPARING, at_once=1)


def stage_sanitized(count):
    folder = configured(count, "sanitized", ["--enable-werror", "--enable-sanitizers", "CFLAGS=-O1 -g"])
    if folder:
        make_check(count, "sanitized-check", folder)
        pytest(count, "sanitized-running", folder, RUNNING)


def stage_clang(count):
    folder = configured(count, "clang", ["--enable-werror"], "clang")
    if folder:
        step(count, "clang: tests build", "clang-check", ["make", f"-j{os.cpu_count()}", "check", "TESTS="], cwd=folder)


def stage_distcheck(count):
    folder = configured(count, "gcc", ["--enable-werror"])
    if folder:
        step(count, "make distcheck", "distcheck", ["make", f"-j{os.cpu_count()}", "distcheck",
                                                    "DISTCHECK_CONFIGURE_FLAGS=--enable-werror"], cwd=folder)


STAGES = {name[6:]: function for name, function in list(globals().items()) if name.startswith("stage_")}


def strays():
    """What our stages started and did not end; it became our child."""
    found = []
    for pid in procs.children(os.getpid()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        process = procs.Process.of(pid)
        if process:
            found.append(f"{pid} {words}")
            process.stop((signal.SIGKILL, 5))
    return found


def main():
    parser = argparse.ArgumentParser(prog="runtests", description="Builds and runs all tests, or the named stages.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"one or more of: {', '.join(STAGES)} (default: all)")
    args = parser.parse_args()
    unknown = [name for name in args.stages if name not in STAGES]
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)}")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in list(os.environ):
        if name.endswith(("_CA_BUNDLE", "MAKEFLAGS", "_FLAGS")) or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "MAKELEVEL"):
            del os.environ[name]
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ["LC_ALL"] = "C.UTF-8"
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    total, start = Count(), time.monotonic()
    if not (SOURCE / "configure").exists() or (SOURCE / ".git").exists():
        step(total, "autoreconf", "autoreconf", ["autoreconf", "-i"])
    for name in args.stages or STAGES:
        count, begun = Count(), time.monotonic()
        print(f"== {name} ...", flush=True)
        try:
            STAGES[name](count)
        except Exception as error:	# noqa: BLE001 - one stage's trouble is one failure, the others still run
            count.fail(f"{name}: {type(error).__name__}: {error}")
        for stray in strays():
            count.fail(f"{name}: left running: {stray}")
        for words in count.words:
            print(words, flush=True)
        print(f"== {name}: {count} ({time.monotonic() - begun:.0f} s)", flush=True)
        total.add(count)
    print(f"All of it took {time.monotonic() - start:.0f} s; the output of each step is in {LOGS}.")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
