"""The queue as clients of the native API see it: owners in turn, positions, caps with their Retry-After."""

import concurrent.futures
import os
import signal
import time

import pytest

from lib import jobs, machine, v1

TOOLS = {"sleeper": v1.shell("echo up; exec sleep 1000"), "quick": v1.shell("true"), "file": v1.shell("true", inputs="[input in]\nmax = 64M\n")}
HOG = 1000


def begun(client, tool="sleeper"):
    body = client.submit(tool)
    return machine.wait_for(lambda: (lambda b: b if b["log_bytes"] else None)(v1.job(client.get(f"/jobs/{body['id']}"))), 30, "it runs")


def open_files(pids):
    """The files among these processes' descriptors, unlinked ones too."""
    found = [os.readlink(f"/proc/{pid}/fd/{fd}") for pid in pids for fd in os.listdir(f"/proc/{pid}/fd")]
    return sorted(path for path in found if path.startswith("/") and not path.startswith("/dev/"))


def kill(client, body):
    return v1.job(client.request("POST", f"/jobs/{body['id']}/kill"), 202)


def test_beside_a_thousand_jobs_of_a_hog_another_starts_next(make_stack):
    stack = make_stack(conf={**v1.OPEN, "helper": {"queue_max": "2000"}}, tools=TOOLS, slots=1)
    hog, other = v1.Client(stack), v1.Client(stack, stack.token("lab"))
    blocker = begun(hog)
    clients = [v1.Client(stack) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        work = [threads.submit(lambda c: [c.submit("quick") for _ in range(HOG // len(clients))], c) for c in clients]
        queued = [body for part in work for body in part.result()]
    mine = other.submit("quick")
    assert mine["position"] == 1
    assert v1.job(hog.get(f"/jobs/{queued[0]['id']}"))["position"] > 1
    assert {v1.job(hog.get(f"/jobs/{body['id']}"))["state"] for body in queued[::50]} == {"queued"}
    kill(hog, blocker)
    done = other.wait(mine["id"])
    assert done["verdict"] == "passed" and done["position"] is None
    machine.wait_for(lambda: v1.job(hog.get(f"/jobs/{queued[2]['id']}"))["started"], 30, "some of the hog's have started")
    started = [v1.job(hog.get(f"/jobs/{body['id']}"))["started"] for body in queued]
    assert done["started"] < min(filter(None, started))


def test_positions_follow_the_queue(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    blocker = begun(client)
    assert blocker["position"] is None
    waiting = [client.submit("quick") for _ in range(3)]
    assert [body["position"] for body in waiting] == [1, 2, 3]
    assert [body["position"] for body in v1.job_list(client.get("/jobs"))] == [3, 2, 1, None]
    assert kill(client, waiting[0])["position"] is None
    client.wait(waiting[0]["id"])
    assert [v1.job(client.get(f"/jobs/{body['id']}"))["position"] for body in waiting[1:]] == [1, 2]
    kill(client, blocker)
    assert [client.wait(body["id"])["verdict"] for body in waiting] == ["killed", "passed", "passed"]


def test_a_position_that_nobody_tells_keeps_no_status_waiting(make_stack):
    """The helper hangs: jobs are shown from the spool, as ever."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    begun(client)
    waiting = client.submit("quick")
    helper = stack.pids("helper")[0]
    os.kill(helper, signal.SIGSTOP)
    try:
        for _ in range(3):
            before = time.monotonic()
            body = v1.job(client.get(f"/jobs/{waiting['id']}"))
            assert (body["state"], body["position"]) == ("queued", None)
            assert time.monotonic() - before < 10
    finally:
        os.kill(helper, signal.SIGCONT)
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{waiting['id']}"))["position"] == 1, 20, "it is told again")


@pytest.mark.parametrize("conf,status", [({"helper": {"owner_queued": "1"}}, 429), ({"v1": {"queued_max": "1"}}, 503),
                                         ({"helper": {"queue_max": "1"}}, 503)])
def test_over_a_cap_a_client_is_told_when_to_come_back(make_stack, conf, status):
    stack = make_stack(conf={**v1.OPEN, **conf, "v1": {**v1.OPEN["v1"], **conf.get("v1", {})}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    blocker = begun(client)
    waiting = client.submit("quick")
    before = jobs.all_traces(stack)
    answer = client.request("POST", "/jobs", json={"tool": "quick"})
    v1.problem(answer, status)
    assert int(answer.headers["Retry-After"]) > 0
    assert jobs.all_traces(stack) == before
    kill(client, blocker)
    assert client.wait(waiting["id"])["verdict"] == "passed"
    assert client.run("quick")["verdict"] == "passed"


def test_uploads_beside_a_full_queue_cost_no_memory_and_leave_nothing(make_stack):
    """64 bodies of 10 MiB at once, none of which is taken."""
    stack = make_stack(conf={**v1.OPEN, "helper": {"queue_max": "1"}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    begun(client)
    client.submit("quick")
    before, ours = jobs.all_traces(stack), stack.pids("helper") + stack.pids("worker")
    memory, files = machine.peak_bytes(ours, reset=True), open_files(ours)
    body = b"x" * (10 << 20)
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: v1.Client(stack).request("POST", "/jobs", files={"in": ("in", body)}, data={"tool": "file"}),
                                   range(64)))
    for answer in answers:
        v1.problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert machine.peak_bytes(ours) < memory + (8 << 20)
    assert jobs.all_traces(stack) == before
    machine.wait_for(lambda: open_files(ours) == files, 20, "no file is left open")


def test_an_administrator_drains_and_resumes(make_stack):
    """Nothing is accepted meanwhile, in each API's shape; what is queued and runs goes on. A configuration with a fault stays out."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    blocker = begun(client)
    waiting = client.submit("quick")
    done = stack.command("drain")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    answer = client.request("POST", "/jobs", json={"tool": "quick"})
    v1.problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    other = stack.session().post(stack.url("stableconfigs", "/task"), json={"monomers": [["a"]], "gen": 1}, timeout=30)
    assert other.status_code == 503 and int(other.headers["Retry-After"]) > 0 and other.json()["status"] == "Exception"
    kill(client, blocker)
    assert client.wait(waiting["id"])["verdict"] == "passed"
    assert stack.command("resume").returncode == 0
    assert client.run("quick")["verdict"] == "passed"
    stack.configure("helper", queue_max="many")
    done = stack.command("reload")
    assert done.returncode == 1 and '"many" is no number' in done.stderr
    stack.configure("helper", queue_max="10")
    assert stack.command("reload").returncode == 0
    assert "queue_max     10\n" in stack.command("queue").stdout
    for name in ("drain", "resume", "reload", "restart", "queue"):
        assert stack.command(name, "superfluous").returncode == 2
    stack.stop("helper")
    assert stack.command("drain").returncode == 1
