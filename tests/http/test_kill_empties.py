"""A kill and a time-out leave no process: within two seconds of the request (tests/bench says how long it takes), whatever the tree looks
like, and at whatever moment it comes."""

import os
import random
import time

import pytest

from lib import jobs, machine, running, v1

DEADLINE = 2	# seconds from the request, or from the end of the grace
HEAD = "import os, signal, sys, time\n"
# Fifty processes: stopped ones, such that left their parents, deaf ones, busy ones.
TREE = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for i in range(24):
    if os.fork() == 0:
        if i % 4 == 0: os.kill(os.getpid(), signal.SIGSTOP)
        if i % 4 == 1:
            if os.fork() == 0:
                while True: time.sleep(1)
            os._exit(0)
        if i % 4 == 2:
            while True: pass
        if os.fork() == 0:
            while True: time.sleep(1)
        while True: time.sleep(1)
"""
UP = "print('up', flush=True)\n"


def tool(**keys):
    return running.tool(["/usr/bin/python3", "-s", "{script.py}"], inputs=["script.py"],
                        **{"limit_wall": "60s", "limit_log": "64K", "limit_processes": "60", "limit_memory": "1G", **keys})


TOOLS = {"plain": tool(), "curt": tool(kill_grace="300ms"), "patient": tool(kill_grace="30s"), "short": tool(limit_wall="1s"),
         "short-curt": tool(limit_wall="1s", kill_grace="300ms")}


@pytest.fixture(scope="module")
def client(ground, programs):
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(tools=TOOLS, conf=v1.OPEN, slots=2))


def space_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def living(space):
    """Pids in this pid namespace that are no zombies."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if space_of(pid) == space:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    if file.read().rpartition(")")[2].split()[0] not in "ZX":
                        found.append(int(pid))
        except OSError:
            continue
    return found


def start(client, name, script):
    """(job, its pid namespace) when it is up."""
    job = client.submit(name, inputs={"script.py": HEAD + script})["id"]
    jobs.wait_log(client.stack, job, "up")
    return job, space_of(client.stack.record(job, "run.json")["init_pid"])


def kill(client, job):
    assert client.request("POST", f"/jobs/{job}/kill").status_code in (200, 202)


def empties(space, begin, seconds=DEADLINE):
    machine.wait_for(lambda: not living(space), seconds - (time.monotonic() - begin), "the jail is empty")


@pytest.mark.parametrize("name", ["plain", "curt"])
def test_a_kill_empties_a_tree(client, name):
    job, space = start(client, name, TREE + UP + "while True: time.sleep(1)")
    machine.wait_for(lambda: len(living(space)) >= 31, 30, "all of them are there")
    begin = time.monotonic()
    kill(client, job)
    empties(space, begin, DEADLINE + (0.3 if name == "curt" else 0))
    assert client.wait(job)["verdict"] == "killed"


def test_a_tool_that_uses_its_grace_ends_when_it_is_done(client):
    job, space = start(client, "patient", "signal.signal(15, lambda *_: (open('tidied', 'w').write('yes'), os._exit(0)))\n" + UP + "while True: time.sleep(1)")
    begin = time.monotonic()
    kill(client, job)
    empties(space, begin)
    assert client.wait(job)["verdict"] == "killed"
    assert client.get(f"/jobs/{job}/files/tidied").text == "yes"


def test_what_a_tool_leaves_after_its_grace_goes_too(client):
    job, space = start(client, "patient", TREE.replace("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.signal(15, lambda *_: os._exit(0))") +
                       UP + "while True: time.sleep(1)")
    begin = time.monotonic()
    kill(client, job)
    empties(space, begin)
    assert client.wait(job)["verdict"] == "killed"


@pytest.mark.parametrize("name", ["short", "short-curt"])
def test_a_time_out_empties_a_tree(client, name):
    job, space = start(client, name, UP + TREE + "while True: time.sleep(1)")
    begin = time.monotonic()
    empties(space, begin, 1 + DEADLINE + (0.3 if name == "short-curt" else 0))
    assert client.wait(job)["verdict"] == "timeout"


def test_a_kill_twice_is_harmless(client):
    job, space = start(client, "curt", TREE + UP + "while True: time.sleep(1)")
    begin = time.monotonic()
    for _ in range(5):
        kill(client, job)
    empties(space, begin, DEADLINE + 0.3)
    done = client.wait(job)
    kill(client, job)
    assert client.wait(job) == done and done["verdict"] == "killed" and done["attempt"] == 1


def test_a_queued_job_is_killed_without_having_begun(client):
    busy = [start(client, "plain", UP + "time.sleep(1000)")[0] for _ in range(2)]
    job = client.submit("plain", inputs={"script.py": HEAD + "open('ran', 'w')"})["id"]
    begin = time.monotonic()
    kill(client, job)
    done = client.wait(job, DEADLINE)
    assert done["verdict"] == "killed" and done["started"] is None and time.monotonic() - begin < DEADLINE
    assert not os.path.exists(os.path.join(client.stack.job_folder(job), "run.json"))
    for one in busy:
        kill(client, one)
        assert client.wait(one)["verdict"] == "killed"


def test_a_job_that_is_just_starting_is_killed_at_any_moment(client):
    chance = random.Random(6)
    began = 0
    begin = time.monotonic()
    job, _ = start(client, "plain", UP + "time.sleep(1000)")
    usual = time.monotonic() - begin
    kill(client, job)
    client.wait(job)
    for _ in range(50):
        job = client.submit("plain", inputs={"script.py": HEAD + "time.sleep(1000)"})["id"]
        until = time.monotonic() + chance.uniform(0, usual)
        while time.monotonic() < until:
            pass
        begin = time.monotonic()
        kill(client, job)
        done = client.wait(job, DEADLINE)
        assert done["verdict"] == "killed" and time.monotonic() - begin < DEADLINE
        began += done["started"] is not None
        init = client.stack.record(job, "run.json").get("init_pid")
        assert init is None or space_of(init) in (None, space_of(os.getpid())) or not living(space_of(init))
    assert 0 < began < 50, began	# some before, some after the first instruction
