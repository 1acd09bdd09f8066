"""The StableConfigs API while it computes: progress, ends before the end, limits, large and hard networks, and what is left of a
task when the programs around it are restarted or killed."""

import concurrent.futures
import json
import re

import pytest

from lib import machine, tbn
from lib import stableconfigs as sc
from stack import procs

B4 = tbn.four_strands()
EARLY = re.compile(r"Early Termination at count \[([01])\] min polymers \[\d+\]\.")
NOT_STARTED = "Early Termination at count [0] min polymers [0]."


@pytest.fixture(scope="module")
def client(stack):
    return sc.Client(stack)


@pytest.fixture
def endless(client):
    """A task that is computed until somebody ends it; nothing of it is left running."""
    task = client.post(tbn.hard())
    yield task
    client.terminate(task)
    client.final(task)


# Progress and termination


def test_terminate_in_mid_run(client):
    """stableconfigs#29: at most 203 for a moment, then the 401, within two seconds."""
    task = client.post(tbn.hard())
    client.running(task, count=1)
    client.terminate(task)
    answer = client.final(task, seconds=2)
    assert EARLY.fullmatch(sc.failed(answer, 401, "TBNException"))
    client.terminate(task)
    assert client.status(task).content == answer.content


def test_203_while_it_is_stopping(client):
    """A task that does not hear of its end yet: the progress object, under 203."""
    task = client.post(tbn.hard())
    client.running(task, count=1)
    with sc.frozen(client.stack, client, task):
        client.terminate(task)
        seen = [client.status(task)]
        while seen[-1].status_code == 203:
            seen.append(client.status(task))
    assert seen[0].status_code == 203 and seen[0].json()["count"] == 1
    assert EARLY.fullmatch(sc.failed(seen[-1], 401, "TBNException"))


def test_progress_every_50_ms(client, endless):
    """stableconfigs#35: only 202, numbers, and a count that never falls."""
    seen = []

    def look():
        answer = client.status(endless)
        assert answer.status_code == 202
        seen.append((answer.json()["count"], answer.json()["k"]))
        return len(seen) >= 30 and seen[-1][0] >= 1
    machine.wait_for(look, 60, "progress", pause=0.05)
    counts = [count for count, _ in seen]
    assert counts == sorted(counts) and set(counts) <= {0, 1}
    assert seen[-1][1] >= 1 and all(0 <= k <= 96 for _, k in seen)
    assert all(k == 0 for count, k in seen if count == 0)


def test_two_thousand_calls_in_a_tight_loop(client, endless):
    """stableconfigs#36: none is turned away."""
    client.running(endless)
    statuses = {client.request("GET", f"/status/{endless}").status_code for _ in range(2000)}
    assert statuses == {202}


def test_terminate_in_the_queue(make_stack):
    """stableconfigs#28: final within a second, and it never runs."""
    stack = make_stack(slots=1)
    client = sc.Client(stack)
    busy = client.post(tbn.hard())
    client.running(busy)
    waiting = client.post(B4)
    answer = client.status(waiting)
    assert answer.status_code == 202 and answer.content == b'{"count":0,"k":0,"status":"Progress"}\n'
    client.terminate(waiting)
    answer = client.final(waiting, seconds=1)
    assert answer.content == sc.canonical({"message": NOT_STARTED, "status": "TBNException"}) and answer.status_code == 401
    assert client.status(busy).status_code == 202
    client.terminate(busy)
    client.final(busy, seconds=2)
    assert sc.result(client.solve(B4)) == (1, 3, [3])	# the slot has passed over it
    assert client.status(waiting).content == answer.content
    assert not stack.record(waiting, "run.json") and stack.record(waiting, "result.json")["attempt"] == 0


def test_first_come_first_served(make_stack):
    stack = make_stack(slots=1)
    client = sc.Client(stack)
    tasks = [client.post(B4, gen=i + 1) for i in range(6)]
    for i, task in enumerate(tasks):
        assert sc.result(client.final(task))[0] == min(i + 1, 4)
    begun = [stack.record(task, "result.json")["started_usec"] for task in tasks]
    assert begun == sorted(begun)


def test_a_full_queue(make_stack):
    """503 at POST, in JSON with CORS; nothing is kept, and there is room again when the queue moves."""
    stack = make_stack(slots=1, conf={"helper": {"queue_max": "2"}})
    client = sc.Client(stack)
    busy = client.post(tbn.hard())
    client.running(busy)
    waiting = [client.post(B4), client.post(B4)]
    before = sc.files(stack)
    answer = client.submit({"monomers": B4})
    sc.refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert sc.files(stack) == before
    client.terminate(waiting[1])
    client.final(waiting[1], seconds=1)
    again = client.post(B4)
    client.terminate(busy)
    for task in (waiting[0], again):
        assert sc.result(client.final(task)) == (1, 3, [3])


# Limits


@pytest.mark.parametrize("words,expected", [("documented", "TimedOut"), ("deployed", "Timeout")])
def test_the_time_limit(make_stack, programs, words, expected):
    """stableconfigs#30: more configurations than the limit allows; 400 within a second of it, and memory stays bounded. The
    words of the end are the documented ones unless the configuration says otherwise."""
    stack = make_stack(tools={"stableconfigs": sc.tool_text(programs, wall="3s")}, conf={"stableconfigs": {"status_words": words}})
    client = sc.Client(stack)
    task = client.post(tbn.or_gate(3), gen=1000000)
    client.running(task, count=2)
    answer = client.final(task, seconds=20)
    assert answer.status_code == 400
    assert answer.json()["message"] == "SoftTimeLimitExceeded()" and answer.json()["status"] == expected
    end = stack.record(task, "result.json")
    assert end["verdict"] == "timeout" and 3e6 <= end["wall_usec"] <= 4e6
    assert end["peak_memory_bytes"] < 1 << 30
    done = client.solve(B4)
    assert sc.result(done) == (1, 3, [3]) and done.json()["status"] == {"TimedOut": "COMPLETE", "Timeout": "Completed"}[expected]
    client.terminate(task)
    assert client.status(task).content == answer.content


def test_a_symmetric_tree(client):
    """stableconfigs#31: 63 monomers whose pairings number 2! 4! 8! 16! 32!, all of them one polymer."""
    answer = client.solve(tbn.tree(6))
    assert sc.result(answer) == (1, 1, [1])
    assert not tbn.faults(tbn.tree(6), answer.json()["configs"][0], 1)


# Gates and cascades: counts by brute force


NETWORKS = {"and_gate": tbn.and_gate(), "exchange": tbn.exchange(), "displacement": tbn.displacement()}
CONSTRAINTS = {
    "and_gate": [["FREE", "output"], ["NOTTOGETHER", "track", "reporter"]],
    "exchange": [["NOTFREE", "fuel"], ["TOGETHER", "left", "right"]],
    "displacement": [["TOGETHER", "complex0", "complex1"], ["NOTTOGETHER", "invader0", "report"], ["FREE", "leak3"]],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_configuration_of_a_gate(client, name):
    """stableconfigs#37: all of them, as many of each number of polymers as a brute force finds, printed as it finds them."""
    monomers = NETWORKS[name]
    truth = tbn.Truth(monomers)
    assert len(truth.counts) >= 3000
    answer = client.solve(monomers, gen=100000)
    assert sc.result(answer) == (len(truth.counts), truth.entropy, truth.counts)
    assert truth.lists(answer.json()["configs"])
    for gen in (1, 5, 1000):
        assert sc.result(client.solve(monomers, gen=gen)) == (gen, truth.entropy, truth.counts[:gen])
    high = truth.entropy - 1
    assert sc.result(client.solve(monomers, gen=100000, init_k=high))[2] == [k for k in truth.counts if k >= high]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_constrained_configuration_of_a_gate(client, name):
    """stableconfigs#37 with constraints, which change what is listed and never the entropy."""
    monomers, constraints = NETWORKS[name], CONSTRAINTS[name]
    truth = tbn.Truth(monomers, constraints)
    assert 0 < len(truth.counts) and truth.counts[0] <= truth.entropy
    assert sc.result(client.solve(monomers, constraints, gen=100000)) == (len(truth.counts), truth.entropy, truth.counts)
    assert sc.result(client.solve(monomers, constraints, gen=5)) == (min(5, len(truth.counts)), truth.entropy, truth.counts[:5])


def test_a_thousand_configurations_of_two_gates(client):
    """Two networks side by side that share no type: what there is of both follows from what there is of each."""
    one, two = tbn.and_gate(), tbn.apart(tbn.displacement(3), "2")
    alone = [tbn.Truth(network) for network in (one, two)]
    counts = tbn.side_by_side(*alone)
    assert len(counts) > 1000000
    answer = client.solve(one + two, gen=1000)
    entropy = alone[0].entropy + alone[1].entropy
    assert sc.result(answer) == (1000, entropy, counts[:1000])
    for configuration in answer.json()["configs"][::50]:
        assert not tbn.faults(one + two, configuration, entropy)


def test_a_large_result_comes_straight_from_disk(client):
    """More than passes through the gate: the same headers, compressed where the client can read that, in parts where it asks."""
    task = client.post(tbn.displacement(3), gen=100000)
    plain = client.final(task).content
    assert len(plain) > 100000
    for coding in ("identity", "gzip"):
        answer = client.request("GET", f"/status/{task}", headers={"Origin": "https://page.example", "Accept-Encoding": coding})
        assert sc.look(answer, "https://page.example").content == plain
        assert answer.headers.get("Content-Encoding", "identity") == coding
        assert "X-Request-Id" in answer.headers
    head = client.request("HEAD", f"/status/{task}", headers={"Accept-Encoding": "identity"})
    assert head.status_code == 200 and head.content == b"" and head.headers["Content-Length"] == str(len(plain))
    part = client.request("GET", f"/status/{task}", headers={"Range": "bytes=1000-1999", "Accept-Encoding": "identity"})
    assert part.status_code == 206 and part.content == plain[1000:2000]


# Restarts and crashes


LONG = tbn.displacement()


@pytest.fixture(scope="module")
def long_answer(client):
    """What a run that nobody disturbs says."""
    return client.solve(LONG, gen=100000).content


def test_the_gate_is_restarted(make_stack, long_answer):
    """stableconfigs#38: between POST and result, gently and by force; the task goes on under its id."""
    stack = make_stack()
    client = sc.Client(stack)
    for end in (lambda: stack.stop("gate"), lambda: stack.kill("keeper"), lambda: stack.kill("worker")):
        with sc.frozen_task(stack, client, LONG, gen=100000) as (task, _):
            end()
            if stack.pids("keeper"):
                machine.wait_for(lambda: client.request("GET", "/status/nope").status_code == 404, 10, "another worker answers")
            else:
                stack.start("gate")
            assert client.status(task).status_code == 202
        assert client.final(task).content == long_answer
        assert stack.record(task, "result.json")["attempt"] == 1


def test_the_helper_is_killed_in_mid_run(make_stack, long_answer):
    """stableconfigs#38: the run does not notice; the next helper takes it up, and the queue behind it."""
    stack = make_stack(slots=1)
    client = sc.Client(stack)
    with sc.frozen_task(stack, client, LONG, gen=100000) as (task, engine):
        queued = client.post(B4)
        stack.kill("helper")
        for other in (task, queued):	# whoever asks meanwhile is answered from the spool
            assert client.status(other).status_code == 202
        sc.refusal(client.submit({"monomers": B4}), 503)
        stack.start("helper")
        assert client.status(task).status_code == 202 and engine.alive()
    assert client.final(task).content == long_answer
    assert stack.record(task, "result.json")["attempt"] == 1
    assert sc.result(client.final(queued)) == (1, 3, [3])


def test_the_run_ends_while_there_is_no_helper(make_stack, long_answer):
    """stableconfigs#38: its result stands, helper or not."""
    stack = make_stack()
    client = sc.Client(stack)
    with sc.frozen_task(stack, client, LONG, gen=100000) as (task, _):
        stack.kill("helper")
    assert client.final(task).content == long_answer
    stack.start("helper")
    assert client.status(task).content == long_answer
    assert sc.result(client.solve(B4)) == (1, 3, [3])


def test_the_supervisor_is_killed(make_stack, long_answer):
    """stableconfigs#38: its tool goes with it, and the task is computed again: a result or 402, never 202 for ever."""
    stack = make_stack()
    client = sc.Client(stack)
    with sc.frozen_task(stack, client, LONG, gen=100000) as (task, engine):
        assert stack.kill("supervisor")
        assert engine.wait(10), "the tool outlived its supervisor"
    answer = client.final(task)
    if answer.status_code == 200:
        assert answer.content == long_answer and stack.record(task, "result.json")["attempt"] == 2
    else:
        assert sc.failed(answer, 402, "Exception")


def test_the_engine_is_killed(make_stack):
    """A crash of the engine is 402, at once and for good."""
    stack = make_stack()
    client = sc.Client(stack)
    task = client.post(tbn.hard())
    client.running(task)
    with sc.frozen(stack, client, task) as engine:
        engine.send(9)
    answer = client.final(task, seconds=10)
    assert sc.failed(answer, 402, "Exception")
    assert client.status(task).content == answer.content


def test_everything_is_killed(make_stack, long_answer):
    """stableconfigs#38: nginx, gate, helper and supervisors at once, with one task done, one running, one waiting."""
    stack = make_stack(slots=1)
    client = sc.Client(stack)
    done = client.post(B4, gen=2)
    before = client.final(done)
    with sc.frozen_task(stack, client, LONG, gen=100000) as (task, _):
        queued = client.post(B4)
        for role in ("helper", "supervisor", "keeper", "nginx"):
            assert stack.kill(role)
    for part in ("helper", "gate", "nginx"):
        stack.start(part)
    client = sc.Client(stack)
    assert client.status(done).content == before.content
    assert client.final(task).content == long_answer
    assert sc.result(client.final(queued)) == (1, 3, [3])


def test_results_are_kept(make_stack):
    """At least five minutes, in fact as long as the tool's file says; then the id is unknown and nothing of it is left."""
    stack = make_stack()
    client = sc.Client(stack)
    task = client.post(B4)
    before = client.final(task).content
    for seconds in (310, 23 * 3600, 25 * 3600):
        for part in ("gate", "helper"):
            stack.stop(part)
        stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = str(seconds)
        for part in ("helper", "gate"):
            stack.start(part)
        with stack.helper(admin=True) as admin:
            assert admin.ask({"op": "resume"})["ok"]	# the clock is right: nothing is held back
            if seconds < 24 * 3600:
                assert client.status(task).content == before
                assert admin.queue()["finished"] == 1
    machine.wait_for(lambda: client.request("GET", f"/status/{task}").status_code == 404, 20, "the result has expired")
    sc.quiet(stack)
    assert not [name for name in sc.files(stack) if task.replace("-", "") in name]


def test_a_service_that_is_switched_off(make_stack):
    """Its routes answer 503 in its own shape and say how to switch it on."""
    client = sc.Client(make_stack(conf={"stableconfigs": {"enabled": "no"}}))
    for method, path in (("GET", "/status/x"), ("DELETE", "/terminate/x"), ("GET", "/nowhere")):
        assert "enabled" in sc.refusal(client.request(method, path), 503)
    assert "enabled" in sc.refusal(client.submit({"monomers": B4}), 503)


def test_an_idempotency_key_makes_one_task_of_many(stack):
    """EXT: what is sent again under the same key is the same task; something else under it is refused in this API's own shape."""
    clients = [sc.Client(stack) for _ in range(6)]

    def post(client, body, key="once"):
        return client.submit(body, {**sc.JSON, "Idempotency-Key": key})
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        answers = list(threads.map(lambda client: post(client, {"monomers": B4}), clients))
    assert {a.status_code for a in answers} == {202} and len({a.json()["task_id"] for a in answers}) == 1
    assert "Idempotency-Key" in sc.refusal(post(clients[0], {"monomers": B4, "gen": 2}), 422)
    assert "Idempotency-Key" in sc.refusal(post(clients[0], {"monomers": B4}, "a b"), 400)
