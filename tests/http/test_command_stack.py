"""The command on a real stack: a whole user's story, with its interruptions."""

import hashlib
import os
import signal
import subprocess
import urllib.parse
import zipfile

import pytest

from lib import machine, running, v1
from lib.fakeapi import Command


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(slots=4, tools={
            "copy": v1.shell("cat in.txt; mkdir -p sub/deep; cp in.txt sub/deep/copy; : >empty; printf 'two words' >'a name.txt'",
                             inputs="[input in.txt]\nmax = 64M\n"),
            "count": v1.shell("i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done"),
            "sleeper": v1.shell("echo up; exec sleep 60"),
            "wrong": v1.shell("echo no; exit 3"),
        })


@pytest.fixture(scope="module")
def token(stack):
    return stack.token("tests")


@pytest.fixture
def command(stack, programs, tmp_path, token):
    return Command(programs, tmp_path, f"https://localhost:{stack.port}", token, SPOOLGATE_CA=stack.ca)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_tools(command):
    assert {"copy", "count", "sleeper", "wrong", "stableconfigs"} <= set(command.out("tools", "--names").split())
    assert "in.txt" in command.out("tools", "copy")
    assert command.err("tools", "nope", status=5)


@pytest.mark.parametrize("size", [0, 1000, 11 << 20])
def test_submit_wait_fetch_delete(command, tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    job = command.out("submit", "copy", "-i", "in.txt=file", "--name", "ä story").strip()
    assert command.out("wait", job).startswith(f"{job}  passed after ")
    assert "name      ä story" in command.out("status", job)
    assert command.run("log", job).stdout[:1000] == content[:1000]
    command.run("fetch", job, "-o", "out")
    assert tree(tmp_path / "out") == {"sub/deep/copy": content, "empty": b"", "a name.txt": b"two words", "in.txt": content}
    assert command.run("fetch", job, "a name.txt", "-o", "-").stdout == b"two words"
    assert job in command.out("list", "--name", "ä story", "--ids").split()
    command.run("delete", job)
    assert command.err("status", job, status=5)
    assert job not in command.out("list", "--all", "--ids").split()


def test_zip_and_receipt(command, tmp_path):
    job = command.out("submit", "copy", "-i", "in.txt=-", stdin=b"hello\n").strip()
    command.run("wait", job)
    command.run("fetch", job, "--zip", "--log", "--receipt")
    assert (tmp_path / f"{job}.log").read_text() == "hello\n"
    assert job in (tmp_path / f"{job}.receipt.json").read_text()
    with zipfile.ZipFile(tmp_path / f"{job}.zip") as archive:
        assert archive.read("files/sub/deep/copy") == b"hello\n"
    command.run("verify", f"{job}.zip")


def test_a_cut_archive_goes_on(stack, command, tmp_path):
    """With nginx's own ranges and ETag."""
    job = command.out("submit", "copy", "-i", "in.txt=-", stdin=os.urandom(200000)).strip()
    command.run("wait", job)
    command.run("fetch", job, "--zip")
    archive, url = tmp_path / f"{job}.zip", f"/v1/jobs/{job}/zip"
    whole, etag = archive.read_bytes(), command.json("get", url)["headers"]["etag"]
    archive.unlink()
    key = hashlib.sha256(f"https://localhost:{stack.port}{url}\n".encode()).hexdigest()[:32]
    partial = tmp_path / f".spoolgate-{key}-{urllib.parse.quote(etag, safe='')}.part"
    partial.write_bytes(b"X" + whole[1:100000])	# nothing but the ETag says what an archive has to be, so this shows
    command.run("fetch", job, "--zip")
    assert archive.read_bytes() == b"X" + whole[1:]
    archive.unlink()
    (tmp_path / f".spoolgate-{key}-%22other%22.part").write_bytes(b"X" + whole[1:100000])
    command.run("fetch", job, "--zip")
    assert archive.read_bytes() == whole


def test_a_failed_job(command):
    job = command.run("submit", "wrong", "--wait", status=3).stdout.decode().split()[0]
    assert "failed (exit code 3)" in command.out("status", job)
    assert command.out("list", "--state", "finished", "--tool", "wrong").splitlines()[1].split()[1:3] == ["failed", "(exit"]
    assert command.json("status", job)["exit_code"] == 3


def test_what_is_wrong_is_named(command):
    assert "in.txt" in command.err("submit", "copy", status=6)
    assert "no parameter x" in command.err("submit", "copy", "-p", "x=1", status=2)
    assert command.err("log", "0" * 32, status=5)
    job = command.out("submit", "sleeper").strip()
    assert command.err("fetch", job, status=6)	# not finished
    assert command.err("delete", job, status=6)
    assert command.json("kill", job)["state"] in ("killing", "finished")
    assert "killed" in command.out("wait", job, status=3)


@pytest.mark.parametrize("part", ["nginx", "gate", "helper"])
def test_follow_over_the_restart_of_a_part(stack, command, part):
    job = command.out("submit", "count").strip()
    child = command.begin("log", "-f", job, stdout=subprocess.PIPE)
    first = child.stdout.readline()
    stack.restart(part)
    rest, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert (first + rest).decode() == "".join(f"line {n}\n" for n in range(30))


@pytest.mark.parametrize("part", ["nginx", "gate", "helper"])
def test_wait_over_the_end_of_a_part(stack, command, part):
    job = command.out("submit", "count").strip()
    child = command.begin("wait", job, stdout=subprocess.PIPE)
    machine.wait_for(lambda: command.json("status", job)["state"] == "running", 30, "it runs")
    stack.kill({"gate": "keeper"}.get(part, part))
    stack.restart(part)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0 and b"passed" in out


def test_an_interrupted_wait_leaves_the_job(command):
    child = command.begin("submit", "sleeper", "--wait", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    job = child.stdout.readline().decode().strip()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == -signal.SIGINT and f"spoolgate wait {job}" in said.decode()
    assert command.json("status", job)["state"] in ("queued", "running")
    command.run("kill", job)
    command.run("wait", job, status=3)


def test_tokens(stack, command):
    assert "no token was given" in command.err("list", status=7, SPOOLGATE_TOKEN=None)
    assert command.err("list", status=7, SPOOLGATE_TOKEN="sgt_" + "x" * 43)
    reader = stack.token("reader", "--scope", "read")
    assert command.out("list", SPOOLGATE_TOKEN=reader) == ""	# others' jobs are not there
    assert command.err("submit", "sleeper", status=7, SPOOLGATE_TOKEN=reader)


def test_get_any_path(command):
    assert command.json("get", "/v1/")["body"]["service"] == "spoolgate"
    assert command.err("get", "/stableconfigs/status/nope", status=5)
