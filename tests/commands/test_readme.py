"""README.md says what is so: its commands run and print what it shows, its files exist."""

import json
import os
import re
import subprocess

import pytest

from lib import leaks, machine
from stack import procs

NOBODY = 65534
README = os.path.join(machine.ROOT, "README.md")


def shown(command):
    """What the README shows as the output of a command."""
    with open(README, encoding="utf-8") as file:
        blocks = re.findall(r"^```console\n(.*?)^```$", file.read(), re.M | re.S)
    [output] = [block.partition("\n")[2] for block in blocks if block.startswith(f"$ {command}\n")]
    return output


def shape(text):
    """Output with what differs from run to run taken out: ids, port, paths of the clone."""
    text = re.sub(r"localhost:\d+", "HOST", text)
    text = re.sub(r"[0-9a-f]{2}/[0-9a-f]{32}", "xx/JOB", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r"after [0-9.]+ s$", "after TIME", text, flags=re.M)
    text = re.sub(r"(?:/[\w.+-]+)+/state\b", "STATE", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def test_every_file_it_names_is_there():
    with open(README, encoding="utf-8") as file:
        text = file.read()
    names = set(re.findall(r"`((?:\.?[\w-]+/)*[\w.-]+(?:/|\.(?:md|list|conf|in|tool|h|c|py|mk)))`", text))
    made = ("state/", "share/")	# by the quickstart and by make install
    missing = [name for name in names if "/" in name and not name.startswith(made) and not os.path.exists(os.path.join(machine.ROOT, name))]
    assert not missing, missing


@pytest.mark.slow
def test_the_first_command_shows_what_the_readme_shows(ground):
    """On a release, unpacked and built from nothing by an ordinary user."""
    build = machine.build_dir()
    done = subprocess.run(["make", "-s", "-C", build, "dist"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [tarball] = [name for name in os.listdir(build) if re.fullmatch(r"spoolgate-[0-9.]+\.tar\.xz", name)]
    fresh = os.path.join(ground, "fresh")
    os.mkdir(fresh)
    subprocess.run(["tar", "-xf", os.path.join(build, tarball), "-C", fresh, "--strip-components=1", "--no-same-owner"], check=True)
    account = []
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", fresh], check=True)
        account = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def quickstart(*args):
        done = subprocess.run([*account, os.path.join(fresh, "quickstart"), *args], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, cwd=fresh, timeout=600, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    try:
        assert shape(quickstart("--port", str(machine.Ports.free()))) == shape(shown("./quickstart"))
        summary = json.loads(quickstart("status"))
        assert all(procs.start_ticks(pid) for pid in (summary["pids"]["nginx"], summary["pids"]["helper"], *summary["pids"]["gate"]))
    finally:
        quickstart("down")
    assert not leaks.processes(fresh)
