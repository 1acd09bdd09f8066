"""spoolgate top: what runs, and what each job's processes use together."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time

from lib import machine, v1

BUSY = "echo up; sh -c 'while :; do :; done' & head -c 50000000 /dev/zero | tail -c 50000000 | (sleep 1000) & wait"
TOOLS = {"busy": v1.shell(BUSY, limits="wall = 300s\nmemory = 1G\n"), "sleeper": v1.shell("echo up; exec sleep 1000")}


def begun(client, tool):
    job = client.submit(tool)["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")
    return job


def look(stack):
    done = stack.command("top", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_look_at_what_runs(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    busy, sleeper = begun(client, "busy"), begun(client, "sleeper")
    client.submit("sleeper")
    machine.wait_for(lambda: next(j for j in look(stack)["jobs"] if j["id"] == busy)["cpu_usec"] > 200000, 30, "it has used a processor")
    seen = look(stack)
    assert (seen["queued"], seen["running"], seen["accepting"]) == (1, 2, True)
    by_id = {job["id"]: job for job in seen["jobs"]}
    assert set(by_id) == {busy, sleeper}
    assert (by_id[busy]["tool"], by_id[busy]["owner"], by_id[busy]["killing"]) == ("busy", "v1:ip:127.0.0.1", False)
    assert by_id[busy]["processes"] >= 5 and by_id[busy]["cpu_usec"] > by_id[sleeper]["cpu_usec"]
    assert by_id[busy]["pid"] in stack.pids("supervisor") and by_id[busy]["memory_bytes"] > by_id[sleeper]["memory_bytes"]
    stack.kill("helper")
    stack.start("helper")
    again = {job["id"]: job for job in look(stack)["jobs"]}
    assert again[busy]["pid"] == by_id[busy]["pid"] and again[busy]["tool"] == "busy"
    done = stack.command("top")	# no terminal: once
    assert done.returncode == 0 and re.search(rf"^{busy} busy +v1:ip:127.0.0.1 .* MiB +\d+$", done.stdout, re.M), done.stdout
    assert done.stdout.startswith("accepting; 1 queued of 1000, 2 running of 2\n")
    assert stack.command("drain").returncode == 0
    assert stack.command("top", "--once").stdout.startswith("draining; ")


def test_a_terminal_of_any_size_is_painted_until_q(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    job = begun(v1.Client(stack), "sleeper")
    for rows, columns in ((24, 140), (3, 20)):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        child = subprocess.Popen([stack.server.program("bin/spoolgate"), "top", "--config", stack.server.config_file, "--delay", "50ms"],
                                 stdin=slave, stdout=slave, stderr=slave, env=stack.server.environment(), start_new_session=True)
        os.close(slave)
        text, deadline = b"", time.monotonic() + 20
        while text.count(b"\033[H") < 3 and time.monotonic() < deadline:
            text += os.read(master, 65536)
        assert text.count(b"\033[H") >= 3
        os.write(master, b"q")
        while time.monotonic() < deadline:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            text += more
        assert child.wait(10) == 0
        os.close(master)
        assert text.startswith(b"\033[?1049h") and text.rstrip().endswith(b"\033[?1049l")
        frame = text.split(b"\033[H")[1].split(b"\033[J")[0]
        lines = [re.sub(rb"\033\[K", b"", line) for line in frame.split(b"\r\n")]
        assert len(lines) <= rows and max(map(len, lines)) <= columns
        assert (job.encode() in frame) == (rows > 3)


def test_there_is_nobody_to_ask(make_stack):
    stack = make_stack(parts=(), conf={}, tools=TOOLS)
    assert stack.command("top").returncode == 1
    for args in (("--delay", "never"), ("--delay", "1ms"), ("x",), ("--what",)):
        assert stack.command("top", *args).returncode == 2
