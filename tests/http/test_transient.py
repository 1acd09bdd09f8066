"""durable = no: queued, limited, jailed, killed and judged like any other job, in memory alone, with nothing flushed or recorded."""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import threading

import pytest

from lib import jobs, machine, v1

HEAD = "durable = no\n"
TOOLS = {
    "run": v1.shell("cat in 2>/dev/null; echo file >out; echo ran", head=HEAD, parameters="[parameter n]\nrequired = no\n",
                    inputs="[input in]\nmax = 16M\nrequired = no\n"),
    "apart": v1.shell("printf answer", head=HEAD, stdout="apart"),
    "sleeper": v1.shell("echo up; exec sleep 1000", head=HEAD),
    "lasting": v1.shell("echo ran"),
}


@pytest.fixture
def stack(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    yield stack
    stack.end_of_memory()


@pytest.fixture
def client(stack):
    return v1.Client(stack)


def memory(stack, *path):
    return os.path.join(stack.server.in_memory("transient"), *path)


def folder(stack, job):
    return memory(stack, "jobs", job[:2], job)


def started(client, job):
    return machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")


def test_it_is_a_job_like_any_other_and_lies_in_memory(stack, client):
    before, size = jobs.all_traces(stack), os.stat(os.path.join(stack.spool, "redo"))
    with open(os.path.join(stack.spool, "redo"), "rb") as file:
        journal = file.read()
    data = "x" * 300000	# more than the journal would hold
    done = client.run("run", inputs={"in": data})
    assert (done["verdict"], done["tool"], done["owner"]) == ("passed", "run", "v1:ip:127.0.0.1") and done["usage"]
    assert client.get(f"/jobs/{done['id']}/log").text == data + "ran\n"
    assert client.get(f"/jobs/{done['id']}/files/out").text == "file\n"
    assert [f["name"] for f in client.get(f"/jobs/{done['id']}/files").json()["files"]] == ["in", "out"]
    assert client.get(f"/jobs/{done['id']}/receipt").json()["verdict"] == "passed"
    apart = client.run("apart")["id"]
    assert client.get(f"/jobs/{apart}/stdout").text == "answer"
    assert os.path.isdir(folder(stack, apart)) and os.stat(memory(stack)).st_mode & 0o022 == 0
    assert jobs.all_traces(stack) == before and os.stat(os.path.join(stack.spool, "redo")).st_size == size.st_size
    with open(os.path.join(stack.spool, "redo"), "rb") as file:
        assert file.read() == journal
    v1.problem(client.get(f"/jobs/{apart}/zip"), 404)
    v1.problem(client.request("DELETE", f"/jobs/{apart}/files"), 409)
    assert client.get("/jobs").json()["jobs"] == []	# a list is of what is kept


def test_it_is_forgotten_soon_after_its_end(stack, client):
    job = client.run("run")
    other = client.run("run")["id"]
    assert client.request("DELETE", f"/jobs/{other}").status_code == 204
    machine.wait_for(lambda: not os.path.exists(folder(stack, other)), 10, "one that is deleted goes at once")
    lasting = client.run("lasting")["id"]
    stack.restart("helper")
    assert client.get(f"/jobs/{job['id']}").status_code == 200
    stack.stop("helper")
    stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = "120"
    stack.start("helper")
    machine.wait_for(lambda: client.get(f"/jobs/{job['id']}").status_code == 404, 20, "it is forgotten")
    machine.wait_for(lambda: os.listdir(memory(stack, "trash")) == [], 20, "nothing of it is left")
    assert client.get(f"/jobs/{lasting}").status_code == 200


def test_nothing_is_flushed(make_stack):
    """No fsync, fdatasync or syncfs by helper, supervisor or anybody they start, but on files in memory."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2, environment={"ASAN_OPTIONS": "detect_leaks=0"})	# it traces, too
    client = v1.Client(stack)
    client.run("run")
    helper = stack.pids("helper")[0]
    trace = os.path.join(stack.path, "trace")
    tracer = subprocess.Popen(["strace", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync", "-o", trace,
                               "-p", str(helper)], stderr=subprocess.PIPE)
    try:
        machine.wait_for(lambda: "TracerPid:\t0" not in open(f"/proc/{helper}/status", encoding="ascii").read(), 20, "it is traced")
        for _ in range(3):
            client.run("run")
        killed = client.submit("sleeper")["id"]
        started(client, killed)
        client.request("POST", f"/jobs/{killed}/kill")
        client.wait(killed)
        durable = client.run("lasting")
        assert durable["verdict"] == "passed"
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if "sync" in line and "/dev/shm/" not in line and "resumed" not in line]
    assert lines and all(stack.spool in line for line in lines), lines	# those of the durable one, which shows that they are seen
    assert sum("redo" in line for line in lines) <= 4, lines	# accepted and started
    stack.end_of_memory()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_it_outlives_the_helper(stack, client, sig):
    running = client.submit("sleeper")["id"]
    started(client, running)
    blocker = client.submit("sleeper")["id"]
    started(client, blocker)
    waiting = client.submit("run")["id"]
    if sig == signal.SIGKILL:
        stack.kill("helper")
    else:
        stack.stop("helper")
    left = memory(stack, "incoming", "0" * 32)	# as a crash leaves it
    os.mkdir(left)
    os.chown(left, os.stat(memory(stack)).st_uid, -1)
    stack.start("helper")
    assert os.listdir(memory(stack, "incoming")) == []
    for job in (running, blocker):
        assert v1.job(client.request("POST", f"/jobs/{job}/kill"), 202)
        assert client.wait(job)["verdict"] == "killed"
    assert client.wait(waiting)["verdict"] == "passed"


def test_a_supervisor_that_dies_loses_it(stack, client):
    job = client.submit("sleeper")["id"]
    started(client, job)
    os.kill(stack.pids("supervisor")[0], signal.SIGKILL)
    assert client.wait(job)["verdict"] == "lost"


def test_who_waits_when_the_memory_goes_may_try_again(make_stack):
    stack = make_stack(conf={**v1.OPEN, "gate": {"workers": "1", "waits_owner_max": "1"}}, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    job = client.submit("sleeper")["id"]
    started(client, job)
    answers = []

    def wait():
        while not answers or answers[-1].status_code == 429:	# the look below may be in the way
            answers.append(v1.Client(stack).get(f"/jobs/{job}/wait", params={"timeout": 60}))
    waiter = threading.Thread(target=wait)
    waiter.start()
    machine.wait_for(lambda: client.get(f"/jobs/{job}/wait", params={"timeout": 1}).status_code == 429, 30, "somebody waits")
    supervisor = stack.pids("supervisor")[0]
    stack.kill("helper")
    os.kill(supervisor, signal.SIGKILL)
    for name in os.listdir(memory(stack, "jobs")):
        shutil.rmtree(memory(stack, "jobs", name))
    for name in os.listdir(memory(stack, "active")):
        os.unlink(memory(stack, "active", name))
    stack.start("helper")
    waiter.join(60)
    v1.problem(answers[-1], 503)
    assert answers[-1].headers["Retry-After"] == "1"
    assert client.run("run")["verdict"] == "passed"
    stack.end_of_memory()


def test_caps_and_keys_hold_for_it(make_stack):
    stack = make_stack(conf={**v1.OPEN, "helper": {"queue_max": "1"}, "gate": {"workers": "2"}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    started(client, client.submit("sleeper")["id"])
    waiting = client.submit("run")
    assert waiting["position"] == 1
    answer = client.request("POST", "/jobs", json={"tool": "run"})
    v1.problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    client.request("POST", f"/jobs/{waiting['id']}/kill")
    assert client.wait(waiting["id"])["verdict"] == "killed"
    stack.restart("helper")

    def post(_):
        return v1.Client(stack).request("POST", "/jobs", json={"tool": "run"}, headers={"Idempotency-Key": "k"})
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        ids = {v1.job(answer, 202)["id"] for answer in threads.map(post, range(16))}
    assert len(ids) == 1
    v1.problem(client.request("POST", "/jobs", json={"tool": "run", "callback": "https://example.org/"}), 422, ("pointer", "/callback"))
    stack.end_of_memory()


def test_a_deadline_that_has_passed_leaves_nothing(stack):
    with stack.helper() as gate:
        body = jobs.request(tool="run", params={}, service="v1", owner="v1:ip:1", deadline=jobs.deadline(-1))
        assert jobs.error(gate.ask(body)) == "ETIMEDOUT"
        machine.wait_for(lambda: os.listdir(memory(stack, "incoming")) == [], 10, "nothing is left")
    assert not any(os.listdir(memory(stack, "jobs", two)) for two in os.listdir(memory(stack, "jobs")))


def test_it_lies_in_memory_or_there_is_a_fault(make_stack):
    stack = make_stack(parts=(), conf={"helper": {"transient": "/var/tmp/spoolgate-none/transient"}}, tools=TOOLS)
    with pytest.raises(Exception, match="on no tmpfs"):
        stack.server.check()
    stack = make_stack(parts=(), conf={}, tools={"both": v1.shell("true", head=HEAD + "cache-key = yes\n")})
    with pytest.raises(Exception, match="exclude each other"):
        stack.server.check()
