"""Conditions of a submission over the helper's socket, asked by two processes of the gate at once: exactly the permitted number wins."""

import multiprocessing
import os

import pytest

from lib import jobs, machine, running

NEVER = "exec sleep 1000"


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(parts=("helper",), tools={**jobs.TOOLS, "alone": jobs.shell(serial="yes")}, slots=4)


@pytest.fixture
def gate(stack):
    with stack.helper() as connection:
        yield connection


def submit_all(connections, barrier, results, bodies):
    """A process of the gate: as many connections as it has submissions. They were made before it: a child of a process with threads
    had better not begin any."""
    barrier.wait()
    for connection, body in zip(connections, bodies):
        connection.number += 1
        connection.send({"n": connection.number, **body})
    results.put([connection.receive() for connection in connections])


def race(stack, bodies):
    """Half of the submissions from each of two processes, at once; all answers."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    connections = [stack.helper() for _ in bodies]
    processes = [context.Process(target=submit_all, args=(connections[part::2], barrier, results, bodies[part::2])) for part in range(2)]
    for process in processes:
        process.start()
    answers = results.get(timeout=60) + results.get(timeout=60)
    for process in processes:
        process.join(60)
    for connection in connections:
        connection.sock.close()
    return answers


def outcome(answers):
    """How often each error came; "": accepted."""
    errors = [jobs.error(answer) for answer in answers]
    return {error: errors.count(error) for error in errors}


def test_a_key_goes_on_from_a_job_that_has_finished(stack, gate):
    """Where the submission says so; from one that runs it does not."""
    first = gate.ask(jobs.request(key="goes-on", key_replaces=True))
    assert first["ok"], first
    machine.wait_for(lambda: stack.record(first["id"], "result.json"), 20, "it has finished")
    assert jobs.error(gate.ask(jobs.request(key="goes-on"))) == "EEXIST"
    answers = race(stack, [jobs.request(key="goes-on", key_replaces=True, script=NEVER) for _ in range(10)])
    assert [jobs.error(a) for a in answers if not a["ok"]] == ["EEXIST"] * 9
    [second] = [a["id"] for a in answers if a["ok"]]
    assert os.readlink(os.path.join(stack.spool, "index/key/test/goes-on")) == second
    assert jobs.error(gate.ask(jobs.request(key="goes-on", key_replaces=True))) == "EEXIST"
    assert gate.ask({"op": "forget", "id": first["id"]})["ok"]
    assert os.readlink(os.path.join(stack.spool, "index/key/test/goes-on")) == second
    assert gate.ask({"op": "kill", "id": second, "by": "test"})["ok"]
    assert jobs.error(gate.ask(jobs.request(key="x", key_replaces=7))) == "EINVAL"


def test_a_key_is_one_jobs(stack, gate):
    answers = race(stack, [jobs.request(key="run-1") for _ in range(20)])
    assert outcome(answers) == {"": 1, "EEXIST": 19}
    assert {a["member"] for a in answers if not a["ok"]} == {"/key"}
    job = next(a["id"] for a in answers if a["ok"])
    stack.wait_for_result(job)
    assert os.readlink(os.path.join(stack.spool, "index/key/test/run-1")) == job
    assert jobs.error(gate.ask(jobs.request(key="run-1"))) == "EEXIST"
    assert jobs.error(gate.ask(jobs.request(key="run-1", service="other", owner="other:user:one"))) == ""
    machine.wait_for(lambda: gate.ask({"op": "forget", "id": job})["ok"], 10, "it is forgotten")
    assert jobs.error(gate.ask(jobs.request(key="run-1"))) == ""


def test_kept_jobs_of_an_owner(stack, gate):
    owner = "kept:ip:192.0.2.7"
    answers = race(stack, [jobs.request(service="kept", owner=owner, kept_owner=3, kept_service=100) for _ in range(20)])
    assert outcome(answers) == {"": 3, "EDQUOT": 17}
    assert {a["member"] for a in answers if not a["ok"]} == {"/kept_owner"}
    kept = [a["id"] for a in answers if a["ok"]]
    for job in kept:	# finished ones count
        stack.wait_for_result(job)
    assert jobs.error(gate.ask(jobs.request(service="kept", owner=owner, kept_owner=3))) == "EDQUOT"
    assert jobs.error(gate.ask(jobs.request(service="kept", owner="kept:ip:192.0.2.8", kept_owner=3))) == ""
    machine.wait_for(lambda: gate.ask({"op": "forget", "id": kept[0]})["ok"], 10, "it is forgotten")
    assert outcome(race(stack, [jobs.request(service="kept", owner=owner, kept_owner=3) for _ in range(6)])) == {"": 1, "EDQUOT": 5}


def test_kept_jobs_of_a_service(stack):
    bodies = [jobs.request(service="few", owner=f"few:ip:192.0.2.{i}", kept_owner=3, kept_service=5) for i in range(20)]
    answers = race(stack, bodies)
    assert outcome(answers) == {"": 5, "EDQUOT": 15}
    assert {a["member"] for a in answers if not a["ok"]} == {"/kept_service"}


def test_one_of_a_serial_group_runs_at_a_time(stack, gate):
    script = "sleep 0.05"
    answers = race(stack, [jobs.request(script=script, serial="map") for _ in range(8)])
    assert outcome(answers) == {"": 8}
    jobs.wait_idle(gate)
    records = sorted((stack.record(a["id"], "result.json") for a in answers), key=lambda record: record["started_usec"])
    assert {r["verdict"] for r in records} == {"passed"}
    for before, after in zip(records, records[1:]):
        assert before["ended_usec"] <= after["started_usec"]


def test_a_tool_may_say_that_one_of_its_jobs_runs_at_a_time(make_stack):
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "alone": jobs.shell(serial="yes")}, slots=4)
    with stack.helper() as gate:
        first = jobs.submit(gate, "echo begun; exec sleep 1000", tool="alone")
        jobs.wait_log(stack, first, "begun")
        second, third = [jobs.submit(gate, "echo begun; exec sleep 1000", tool="alone") for _ in range(2)]
        other = jobs.submit(gate)
        stack.wait_for_result(other)
        assert gate.queue()["queued"] == 2 and gate.queue()["running"] <= 2
    stack.kill("helper")
    stack.start("helper")
    with stack.helper() as gate:
        other = jobs.submit(gate)
        stack.wait_for_result(other)
        machine.wait_for(lambda: (gate.queue()["queued"], gate.queue()["running"]) == (2, 1), 10, "one runs, two wait")
        assert gate.kill(second)["ok"]	# from the middle
        assert stack.wait_for_result(second)["verdict"] == "killed"
        assert gate.kill(first)["ok"]
        jobs.wait_log(stack, third, "begun")
        assert gate.kill(third)["ok"]
        jobs.wait_idle(gate)
    stack.stop("helper")
    assert stack.doctor()[0] == 0


@pytest.mark.parametrize("member,value", [("key", ""), ("key", "x" * 81), ("key", 7), ("key", "once:x"), ("once", ""), ("once", "x" * 256),
                                          ("once", None), ("serial", ""), ("serial", "x" * 256), ("serial", {}), ("kept_owner", 0),
                                          ("kept_owner", -1), ("kept_service", "3"), ("kept_service", 0)])
def test_a_condition_that_is_none_is_refused(stack, gate, member, value):
    before = jobs.all_traces(stack)
    body = jobs.request()
    answer = gate.ask({**body, member: value})
    assert jobs.error(answer) == "EINVAL" and answer["member"] == f"/{member}", answer
    jobs.nothing_came_in(stack, before)


def test_who_waits_for_its_turn_keeps_its_deadline(make_stack):
    """Submissions under one claim are looked at one after the other; what is refused leaves nothing and lets the next one through."""
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)
    answers = race(stack, [jobs.request(key=f"k{i % 2}", deadline=jobs.deadline(-1 if i < 10 else 10)) for i in range(20)])
    found = outcome(answers)
    assert found[""] == 2 and found["ETIMEDOUT"] > 0 and found["EEXIST"] >= 8 and sum(found.values()) == 20, found
    assert len(jobs.all_jobs(stack)) == 2
    assert jobs.names(stack, "incoming") == []
