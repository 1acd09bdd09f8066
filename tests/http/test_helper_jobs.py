"""What the helper does with accepted jobs: queue, kill, forget, subscriptions."""

import os
import signal
import threading
import time

import pytest

from lib import jobs, machine, running

FOREVER = "echo begun; sleep 1000"


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(parts=("helper",), tools=jobs.TOOLS)


@pytest.fixture
def gate(stack):
    with stack.helper() as connection:
        yield connection
        jobs.wait_idle(connection)


def start(stack, gate, **more):
    job = jobs.submit(gate, FOREVER, **more)
    jobs.wait_log(stack, job, "begun")
    return job


def killed(stack, gate, job, by="test"):
    """Kills a running job and returns its verdict."""
    answer = gate.kill(job, by)
    assert answer["ok"] and answer["finished"] is False, answer
    result = stack.wait_for_result(job, 20)
    assert result["verdict"] == "killed" and result["by"] == by, result
    return result


# Groups

def test_sixty_four_submissions_at_once_are_all_taken(make_stack, journal_disk):
    """Each over a connection of its own, on a disk where a flush costs something; each is durable once it is answered."""
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, spool=os.path.join(journal_disk, "sixtyfour"), slots=1)
    connections = [stack.helper() for _ in range(64)]
    blocker = start(stack, connections[0])
    answers, go = [None] * 64, threading.Barrier(64)

    def submit(i):
        go.wait()
        answers[i] = connections[i].submit("once", {"data.txt": b"number %d" % i}, {"script": "cat data.txt"})
    threads = [threading.Thread(target=submit, args=(i,)) for i in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer and answer["ok"] for answer in answers), answers
    assert len({answer["id"] for answer in answers}) == 64
    stack.kill("helper")	# what was answered must be there after this
    stack.start("helper")
    for connection in connections:
        connection.sock.close()
    with stack.helper() as gate:
        assert gate.queue()["queued"] == 64
        killed(stack, gate, blocker)
        jobs.wait_idle(gate, 120)
    for i, answer in enumerate(answers):
        assert stack.record(answer["id"], "result.json")["verdict"] == "passed"
        assert jobs.log(stack, answer["id"]) == f"number {i}"


def test_jobs_start_in_the_order_of_their_acceptance(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)
    with stack.helper() as gate:
        first = start(stack, gate)
        queued = [jobs.submit(gate) for _ in range(8)]
        killed(stack, gate, first)
        jobs.wait_idle(gate)
    began = [stack.record(job, "result.json")["started_usec"] for job in queued]
    assert began == sorted(began)


# The queue

def test_the_queue_is_bounded(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1, conf={"helper": {"queue_max": "3"}})
    with stack.helper() as gate:
        running_job = start(stack, gate)
        queued = [jobs.submit(gate) for _ in range(3)]
        assert (lambda q: (q["queued"], q["running"], q["slots"], q["queue_max"], q["accepting"]))(gate.queue()) == (3, 1, 1, 3, True)
        for body in (jobs.request(), {"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1}):
            before = jobs.all_traces(stack)
            answer = gate.ask(body)
            assert jobs.error(answer) == "EAGAIN" and answer["retry_after"] > 0 and answer["reason"], answer
            jobs.nothing_came_in(stack, before)
        assert gate.kill(queued[0])["ok"]
        stack.wait_for_result(queued[0])
        machine.wait_for(lambda: gate.queue()["queued"] == 2, 10, "a place is free")
        ticket = gate.ask({"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1})["ticket"]
        assert jobs.error(gate.submit("once", params={"script": "true"})) == "EAGAIN"	# the place is held by the ticket
        queued.append(jobs.submit(gate, ticket=ticket))
        killed(stack, gate, running_job)
        jobs.wait_idle(gate)
    assert [stack.record(job, "result.json")["verdict"] for job in queued] == ["killed", "passed", "passed", "passed"]


def test_draining_takes_nothing_and_ends_what_is_there(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)
    with stack.helper() as gate, stack.helper(admin=True) as admin:
        running_job, queued = start(stack, gate), jobs.submit(gate)
        assert admin.ask({"op": "drain"})["ok"]
        assert (lambda q: (q["accepting"], q["draining"]))(gate.queue()) == (False, True)
        before = jobs.all_traces(stack)
        for body in (jobs.request(), {"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1}):
            answer = gate.ask(body)
            assert jobs.error(answer) == "ESHUTDOWN" and answer["retry_after"] > 0, answer
        jobs.nothing_came_in(stack, before)
        killed(stack, gate, running_job)
        assert stack.wait_for_result(queued)["verdict"] == "passed"
        assert admin.ask({"op": "resume"})["ok"]
        assert gate.queue()["accepting"]
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"


# Kill

def test_kill_of_a_running_job(stack, gate):
    job = start(stack, gate)
    result = killed(stack, gate, job, "somebody")
    assert result["attempt"] == 1 and result["started_usec"] > 0
    assert stack.record(job, "state.json")["want"] == "kill"


def test_kill_of_a_queued_job(stack, gate):
    blockers = [start(stack, gate) for _ in range(2)]
    job = jobs.submit(gate)
    result = killed(stack, gate, job, "me")
    assert result["attempt"] == 0 and result["started_usec"] == 0
    assert not os.path.exists(os.path.join(stack.job_folder(job), "work"))
    for blocker in blockers:
        killed(stack, gate, blocker)


def test_kill_while_it_starts(stack, gate):
    """At every moment between acceptance and start: it is killed or it has passed, and every kill is answered."""
    ids, answers = [], []
    for i in range(60):
        job = jobs.submit(gate, "true" if i % 2 else FOREVER, tool="twice" if i % 3 else "once")
        ids.append(job)
        if i % 4 == 0:
            machine.wait_for(lambda: os.path.exists(os.path.join(stack.job_folder(job), "work")) or
                             stack.record(job, "result.json"), 20, "it is being prepared")
        answers.append(gate.kill(job))
    assert all(answer["ok"] for answer in answers), answers
    for job in ids:
        assert stack.wait_for_result(job)["verdict"] in ("killed", "passed")


def test_kill_while_it_ends(stack, gate):
    """A kill that meets the end of its job: the helper survives, and says one of the two things."""
    for i in range(60):
        job = jobs.submit(gate, f"sleep 0.0{i % 7}")
        machine.wait_for(lambda: stack.record(job, "run.json") or stack.record(job, "result.json"), 20, "it runs")
        answer = gate.kill(job)
        assert answer and answer["ok"], answer
        assert stack.wait_for_result(job)["verdict"] in ("killed", "passed")
    assert gate.queue()["ok"]


def test_many_kill_the_same_job_at_once(stack, gate):
    job = start(stack, gate)
    connections = [stack.helper() for _ in range(12)]
    for connection in connections:
        connection.send({"n": 7, "op": "kill", "id": job, "by": "crowd"})
    answers = [connection.receive() for connection in connections]
    assert all(answer["n"] == 7 for answer in answers)
    assert all(jobs.error(answer) in ("", "EAGAIN") for answer in answers)
    assert sum(answer["ok"] for answer in answers) >= 8
    assert stack.wait_for_result(job)["by"] == "crowd"
    for connection in connections:
        connection.sock.close()


def test_kill_twice_changes_nothing(stack, gate):
    job = start(stack, gate)
    result = killed(stack, gate, job, "first")
    machine.wait_for(lambda: gate.kill(job, "second")["finished"], 10, "it is known to be over")
    assert stack.record(job, "result.json") == result


def test_kill_of_a_finished_job(stack, gate):
    job = jobs.submit(gate)
    result = stack.wait_for_result(job)
    jobs.wait_idle(gate)
    assert gate.kill(job) == {"finished": True, "n": gate.number, "ok": True}
    assert stack.record(job, "result.json") == result


@pytest.mark.parametrize("op", ["kill", "forget"])
def test_an_unknown_job(gate, op):
    assert jobs.error(gate.ask({"op": op, "id": "0" * 32})) == "ENOENT"


def test_a_long_name_of_the_killer_is_cut(stack, gate):
    job = start(stack, gate)
    assert gate.kill(job, "ä" * 200)["ok"]
    by = stack.wait_for_result(job)["by"]
    assert by == "ä" * 63


def test_a_supervisor_that_is_shot_is_no_end_without_a_word(stack, gate):
    once, twice = start(stack, gate), start(stack, gate, tool="twice")
    for job in (once, twice):
        os.kill(stack.record(job, "run.json")["pid"], signal.SIGKILL)
    assert stack.wait_for_result(once)["verdict"] == "lost"
    machine.wait_for(lambda: stack.record(twice, "run.json").get("attempt") == 2, 20, "it runs a second time")
    assert killed(stack, gate, twice)["attempt"] == 2


def test_attempts_are_bounded(stack, gate):
    job = start(stack, gate, tool="twice")
    for attempt in (1, 2, 3):
        machine.wait_for(lambda: stack.record(job, "run.json").get("attempt") == attempt, 20, f"attempt {attempt}")
        os.kill(stack.record(job, "run.json")["pid"], signal.SIGKILL)
    result = stack.wait_for_result(job)
    assert (result["verdict"], result["attempt"]) == ("lost", 3)


# Forget

def test_forget_takes_everything(stack, gate):
    job = jobs.submit(gate, "echo x >out", inputs={"data.txt": b"abc"})
    stack.wait_for_result(job)
    jobs.wait_idle(gate)
    assert gate.ask({"op": "forget", "id": job})["ok"]
    assert not os.path.exists(stack.job_folder(job))
    assert not [path for path in jobs.all_traces(stack)["index"] if job in path]
    assert not [name for name in jobs.names(stack, "active") if job in name]
    machine.wait_for(lambda: not jobs.names(stack, "trash"), 10, "trash/ is emptied")
    assert jobs.error(gate.ask({"op": "forget", "id": job})) == "ENOENT"
    assert jobs.error(gate.kill(job)) == "ENOENT"


def test_a_job_can_be_forgotten_as_soon_as_its_result_can_be_read(stack, gate):
    for _ in range(30):
        job = jobs.submit(gate)
        path = os.path.join(stack.job_folder(job), "result.json")
        end = time.monotonic() + 20
        while not os.path.exists(path):	# no pause: the helper itself may not know it yet
            assert time.monotonic() < end
        answer = gate.ask({"op": "forget", "id": job})
        assert answer["ok"], answer
        assert not os.path.exists(stack.job_folder(job))


def test_a_live_job_is_not_forgotten(stack, gate):
    blockers = [start(stack, gate) for _ in range(2)]
    queued = jobs.submit(gate)
    for job in (*blockers, queued):
        assert jobs.error(gate.ask({"op": "forget", "id": job})) == "EBUSY"
    for job in (queued, *blockers):
        killed(stack, gate, job)


def test_two_forget_the_same_job(stack, gate):
    job = jobs.submit(gate)
    stack.wait_for_result(job)
    jobs.wait_idle(gate)
    with stack.helper() as other:
        for connection in (gate, other):
            connection.number += 1
            connection.send({"n": connection.number, "op": "forget", "id": job})
        assert {jobs.error(gate.receive()), jobs.error(other.receive())} <= {"", "ENOENT"}
    assert gate.queue()["ok"]


# Subscriptions

def events(connection, until, seconds=20):
    """Takes events until one fulfils the predicate; returns all of them."""
    connection.sock.settimeout(seconds)
    found = []
    while not found or not until(found[-1]):
        found.append(connection.receive())
        assert found[-1] is not None
    return found


def changed(job):
    return lambda event: event.get("event") == "changed" and event.get("id") == job


def until_finished(stack, connection, job):
    while not stack.record(job, "result.json"):
        events(connection, changed(job))


def test_a_watched_job_says_what_becomes_of_it(stack, gate):
    blockers = [start(stack, gate) for _ in range(2)]
    job = jobs.submit(gate, FOREVER)
    with stack.helper() as watcher:
        assert watcher.ask({"op": "watch", "ids": [job]})["ok"]
        killed(stack, gate, blockers[0])
        events(watcher, changed(job))	# it starts
        jobs.wait_log(stack, job, "begun")
        assert gate.kill(job)["ok"]
        until_finished(stack, watcher, job)
    killed(stack, gate, blockers[1])


def test_what_has_finished_already_says_so_at_once(stack, gate):
    job = jobs.submit(gate)
    stack.wait_for_result(job)
    jobs.wait_idle(gate)
    assert gate.ask({"op": "watch", "ids": [job, "0" * 32]})["ok"]
    assert {gate.receive()["id"] for _ in range(2)} == {job, "0" * 32}


def test_what_is_not_watched_any_more_says_nothing(stack, gate):
    job = start(stack, gate)
    with stack.helper() as watcher:
        assert watcher.ask({"op": "watch", "ids": [job]})["ok"]
        assert watcher.ask({"op": "unwatch", "ids": [job, "0" * 32]})["ok"]
        killed(stack, gate, job)
        jobs.wait_idle(gate)
        # Its next word is the answer to this, with nothing before it.
        watcher.send({"n": 99, "op": "queue"})
        assert watcher.receive()["n"] == 99


def test_a_forgotten_job_says_that_it_changed(stack, gate):
    job = jobs.submit(gate)
    stack.wait_for_result(job)
    jobs.wait_idle(gate)
    with stack.helper() as watcher:
        watcher.ask({"op": "watch", "ids": [job]})
        assert watcher.receive()["id"] == job
        assert gate.ask({"op": "forget", "id": job})["ok"]
        assert watcher.receive() == {"event": "changed", "id": job}


@pytest.mark.parametrize("ids", [None, "x", 7, {}])
def test_a_subscription_needs_a_list(gate, ids):
    for op in ("watch", "unwatch"):
        assert jobs.error(gate.ask({"op": op, "ids": ids})) == "EINVAL"


def test_what_is_no_id_is_passed_over(stack, gate):
    assert gate.ask({"op": "watch", "ids": ["", "x", 1, None, [], "A" * 32, "0" * 33, "../" + "0" * 29]})["ok"]
    gate.send({"n": 99, "op": "queue"})
    assert gate.receive()["n"] == 99


def test_subscriptions_are_bounded_and_quick(stack, gate):
    with stack.helper() as watcher:
        watcher.sock.settimeout(10)
        ids = [f"{i:032x}" for i in range(4096)]
        begun = time.monotonic()
        watcher.send({"n": 50, "op": "watch", "ids": ids})
        gate.queue()	# the helper is there for others meanwhile
        assert time.monotonic() - begun < 1
        assert watcher.receive()["n"] == 50
        seen = 0
        while seen < 4096:
            event = watcher.receive()
            if event["event"] == "resync":
                break
            seen += 1
        assert jobs.error(watcher.ask({"op": "watch", "ids": ["f" * 32]})) == "EDQUOT"
        assert watcher.ask({"op": "unwatch", "ids": ids[:10]})["ok"]
        assert watcher.ask({"op": "watch", "ids": ["f" * 32]})["ok"]
        assert watcher.ask({"op": "watch", "ids": ids[10:]})["ok"]	# the same ones count once


def test_who_does_not_read_is_told_to_look_at_everything(stack, gate):
    job = start(stack, gate)
    with stack.helper() as watcher:
        others = [f"{i:032x}" for i in range(2000)]
        watcher.ask({"op": "watch", "ids": [job]})
        # Nobody reads: each watch says 2000 times that nothing is there, until no more fits.
        for i in range(3):
            watcher.send({"n": 100 + i, "op": "watch", "ids": others})
            watcher.send({"n": 200 + i, "op": "unwatch", "ids": others})
        killed(stack, gate, job)
        jobs.wait_idle(gate)
        watcher.sock.settimeout(10)
        while True:
            event = watcher.receive()
            if event is None or event.get("event") == "resync":
                break
        # It was told to look again, or, where even an answer found no room, the connection is closed: both make it look.
        if event is not None:
            assert watcher.queue()["ok"]
    assert gate.queue()["ok"]
