"""Owners in turn, and the caps of one owner, over the helper's own socket."""

import pytest

from lib import jobs, machine

FOREVER = "echo begun; exec sleep 1000"


def start(stack, gate, **more):
    job = jobs.submit(gate, FOREVER, **more)
    jobs.wait_log(stack, job, "begun")
    return job


def order(stack, names):
    return sorted(names, key=lambda job: stack.record(job, "result.json")["started_usec"])


def test_a_newcomer_starts_when_the_next_job_ends(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)
    with stack.helper() as gate:
        blocker = start(stack, gate, owner="test:user:hog")
        hog = [jobs.submit(gate, owner="test:user:hog") for _ in range(20)]
        other = jobs.submit(gate, owner="test:user:other")
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate)
    assert order(stack, hog + [other]) == [other] + hog


def test_an_owner_over_its_cap_is_refused_and_others_are_not(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1, conf={"helper": {"owner_queued": "2"}})
    with stack.helper() as gate:
        blocker = start(stack, gate)
        waiting = [jobs.submit(gate) for _ in range(2)]
        before = jobs.all_traces(stack)
        for body in (jobs.request(), {"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1}):
            answer = gate.ask(body)
            assert jobs.error(answer) == "EDQUOT" and answer["retry_after"] > 0 and answer["reason"], answer
        jobs.nothing_came_in(stack, before)
        ticket = gate.ask({"op": "may", "service": "test", "owner": "test:user:two", "bytes": 1})["ticket"]
        others = [jobs.submit(gate, owner="test:user:two", ticket=ticket), jobs.submit(gate, owner="test:user:two")]
        assert jobs.error(gate.submit("once", params={"script": "true"}, owner="test:user:two")) == "EDQUOT"
        assert gate.kill(waiting[0])["ok"]
        stack.wait_for_result(waiting[0])
        machine.wait_for(lambda: gate.queue()["queued"] == 3, 10, "a place is free")
        waiting.append(jobs.submit(gate))
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate)
    assert [stack.record(job, "result.json")["verdict"] for job in waiting + others] == ["killed"] + ["passed"] * 4


def test_others_pass_an_owner_that_has_enough_running(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=2, conf={"helper": {"owner_running": "1"}})
    with stack.helper() as gate:
        blocker = start(stack, gate)
        held = jobs.submit(gate)
        other = jobs.submit(gate, owner="test:user:two")
        assert stack.wait_for_result(other)["verdict"] == "passed"
        assert gate.queue()["queued"] == 1
        assert gate.kill(blocker)["ok"]
        assert stack.wait_for_result(held)["verdict"] == "passed"


def test_what_runs_counts_after_a_restart(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=2, conf={"helper": {"owner_running": "1"}})
    with stack.helper() as gate:
        blocker = start(stack, gate)
        held = jobs.submit(gate)
    assert stack.kill("helper")
    stack.start("helper")
    with stack.helper() as gate:
        other = jobs.submit(gate, owner="test:user:two")
        assert stack.wait_for_result(other)["verdict"] == "passed"
        # A result is there a moment before the helper has seen the end.
        machine.wait_for(lambda: (lambda q: (q["queued"], q["running"]))(gate.queue()) == (1, 1), 10, "one runs, one is held")
        assert gate.kill(blocker)["ok"]
        assert stack.wait_for_result(held)["verdict"] == "passed"


def test_a_service_over_its_caps_waits_and_refuses_and_others_do_not(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=2, conf={"v1": {"queued_max": "2", "running_max": "1"}})
    with stack.helper() as gate:
        blocker = start(stack, gate, owner="v1:ip:1", service="v1")
        held = [jobs.submit(gate, owner=f"v1:ip:{i}", service="v1") for i in range(2, 4)]
        assert [gate.ask({"op": "position", "ids": [job]})["positions"] for job in [blocker, *held]] == [[0], [1], [2]]
        before = jobs.all_traces(stack)
        for body in (jobs.request(owner="v1:ip:9", service="v1"), {"op": "may", "service": "v1", "owner": "v1:ip:9", "bytes": 1}):
            answer = gate.ask(body)
            assert jobs.error(answer) == "EAGAIN" and answer["retry_after"] > 0 and "service" in answer["reason"], answer
        jobs.nothing_came_in(stack, before)
        other = jobs.submit(gate)	# of another service
        assert stack.wait_for_result(other)["verdict"] == "passed"
        assert gate.queue()["queued"] == 2
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate)
    assert order(stack, held) == held


@pytest.mark.parametrize("ids", [None, "x", 7, ["0" * 32] * 257])
def test_positions_are_asked_for_in_lists(make_stack, ids):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS)
    with stack.helper() as gate:
        assert jobs.error(gate.ask({"op": "position", "ids": ids})) == "EINVAL"
        assert gate.ask({"op": "position", "ids": ["0" * 32, "x", 7, None]})["positions"] == [0] * 4
