"""Equal work of a tool with a cache key is done once: each follower is a job, and an end that lies in the work is everybody's."""

import os
import signal

import pytest

from lib import jobs, machine, running


@pytest.fixture(scope="module")
def place(ground):
    path = os.path.join(ground, "place")
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


class Scene:
    def __init__(self, stack, place, script="mkdir -p d/e; echo out >d/e/file; echo log", **more):
        """Three equal jobs of different owners, the first of which runs; the tool looks for `go` in a folder of the host."""
        self.stack, self.go = stack, os.path.join(place, f"go-{os.urandom(8).hex()}")
        self.script = f"echo begun; while ! test -e {self.go}; do sleep 0.02; done; {script}"
        self.more = more

    def submit(self, gate, owner):
        return jobs.submit(gate, self.script, tool="equal", owner=f"test:user:{owner}", **self.more)

    def begin(self, gate, n=3):
        ids = [self.submit(gate, f"u{i}") for i in range(n)]
        jobs.wait_log(self.stack, ids[0], "begun")
        return ids

    def end(self):
        open(self.go, "w", encoding="ascii").close()


@pytest.fixture
def stack(make_stack, place):
    return make_stack(parts=("helper",), tools={**jobs.TOOLS, "equal": jobs.shell(**{"cache-key": "yes", "folders": place})}, slots=4)


@pytest.fixture
def gate(stack):
    with stack.helper() as connection:
        yield connection


def result(stack, job):
    return stack.wait_for_result(job)


def whole(stack):
    stack.stop("helper")
    status, said = stack.doctor()
    assert status == 0, said


def runs_of(stack, ids):
    """Those that had an attempt of their own."""
    return [job for job in ids if stack.record(job, "run.json")]


def test_an_end_in_the_work_is_everybodys(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate)
    other = jobs.submit(gate, "true", tool="equal")	# other work
    assert result(stack, other)["verdict"] == "passed"
    machine.wait_for(lambda: (gate.queue()["queued"], gate.queue()["running"]) == (2, 1), 10, "one runs, two follow")
    scene.end()
    results = [result(stack, job) for job in ids]
    jobs.wait_idle(gate)
    assert [r["verdict"] for r in results] == ["passed"] * 3
    assert [r["attempt"] for r in results] == [1, 0, 0] and [r.get("shared", False) for r in results] == [False, True, True]
    assert runs_of(stack, ids) == ids[:1]
    for job in ids:
        folder = stack.job_folder(job)
        with open(os.path.join(folder, "work/d/e/file"), encoding="ascii") as file:
            assert file.read() == "out\n"
        assert jobs.log(stack, job) == "begun\nlog\n"
        record, receipt = stack.record(job, "job.json"), stack.record(job, "receipt.json")
        assert receipt["id"] == job and receipt["verdict"] == "passed" and receipt["jail"] and len(receipt["files"]) == 1
        assert stack.record(job, "result.json")["started_usec"] >= (record["accepted_usec"] if job != ids[0] else 0)
    # What is the one's is not the other's.
    assert gate.ask({"op": "forget", "id": ids[0]})["ok"]
    assert jobs.log(stack, ids[1]) == "begun\nlog\n"
    # Later work is done again.
    later = scene.submit(gate, "later")
    assert result(stack, later)["attempt"] == 1
    jobs.wait_idle(gate)
    whole(stack)


@pytest.mark.parametrize("script,verdict", [("exit 3", "failed"), ("kill -SEGV $$", "signalled"),
                                            ("head -c 9000000 /dev/zero >big", "output_limit")])
def test_so_is_a_bad_end(make_stack, place, script, verdict):
    tool = jobs.shell(**{"cache-key": "yes", "folders": place, "limit_output": "1M"})
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "equal": tool}, slots=4)
    with stack.helper() as gate:
        scene = Scene(stack, place, script)
        ids = scene.begin(gate)
        scene.end()
        results = [result(stack, job) for job in ids]
        jobs.wait_idle(gate)
    assert {(r["verdict"], r["exit_code"], r["signal"]) for r in results} == {(verdict, results[0]["exit_code"], results[0]["signal"])}
    assert runs_of(stack, ids) == ids[:1]
    whole(stack)


def test_a_killed_follower_leaves_alone(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate)
    assert gate.kill(ids[1])["ok"]
    assert result(stack, ids[1])["verdict"] == "killed"
    assert stack.record(ids[0], "result.json") == {} and gate.queue()["running"] == 1
    scene.end()
    assert [result(stack, job)["verdict"] for job in (ids[0], ids[2])] == ["passed"] * 2
    jobs.wait_idle(gate)
    assert runs_of(stack, ids) == ids[:1]
    whole(stack)


def test_when_the_last_one_leaves_the_work_stops(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate)
    for job in (ids[1], ids[2], ids[0]):
        assert gate.kill(job)["ok"]
        assert result(stack, job)["verdict"] == "killed"
    jobs.wait_idle(gate)
    assert stack.pids("supervisor") == [] and runs_of(stack, ids) == ids[:1]
    whole(stack)


def test_after_the_kill_of_who_runs_the_next_one_does_it_again_once(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate)
    assert gate.kill(ids[0])["ok"]
    assert result(stack, ids[0])["verdict"] == "killed"
    jobs.wait_log(stack, ids[1], "begun")
    assert gate.queue()["queued"] == 1
    assert gate.ask({"op": "forget", "id": ids[0]})["ok"]	# deleted: the others are not concerned
    scene.end()
    assert [result(stack, job)["verdict"] for job in ids[1:]] == ["passed"] * 2
    jobs.wait_idle(gate)
    assert runs_of(stack, ids[1:]) == ids[1:2]
    whole(stack)


def test_work_that_is_lost_is_done_again_once(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate, 4)
    for turn in range(2):
        os.kill(stack.pids("supervisor")[0], signal.SIGKILL)
        assert result(stack, ids[turn])["verdict"] == "lost"
        if turn == 0:
            jobs.wait_log(stack, ids[1], "begun")
    results = [result(stack, job) for job in ids]
    assert [r["verdict"] for r in results] == ["lost"] * 4
    jobs.wait_idle(gate)
    assert runs_of(stack, ids) == ids[:2]
    whole(stack)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_who_follows_follows_after_a_restart(stack, place, sig):
    scene = Scene(stack, place)
    with stack.helper() as gate:
        ids = scene.begin(gate, 6)
    if sig == signal.SIGKILL:
        stack.kill("helper")
    else:
        stack.stop("helper")
    stack.start("helper")
    with stack.helper() as gate:
        other = jobs.submit(gate)
        result(stack, other)
        machine.wait_for(lambda: (gate.queue()["queued"], gate.queue()["running"]) == (5, 1), 10, "one runs, five follow")
        late = scene.submit(gate, "late")
        scene.end()
        assert [result(stack, job)["verdict"] for job in [*ids, late]] == ["passed"] * 7
        jobs.wait_idle(gate)
    assert runs_of(stack, [*ids, late]) == ids[:1]
    whole(stack)


def test_followers_count_as_waiting(make_stack, place):
    tool = jobs.shell(**{"cache-key": "yes", "folders": place})
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "equal": tool}, slots=4, conf={"helper": {"owner_queued": "2"}})
    scene = Scene(stack, place)
    with stack.helper() as gate:
        ids = [scene.submit(gate, "one")]
        jobs.wait_log(stack, ids[0], "begun")
        ids += [scene.submit(gate, "one") for _ in range(2)]
        assert jobs.error(gate.ask(jobs.request())) == "EDQUOT"
        assert gate.kill(ids[2])["ok"]
        assert result(stack, ids[2])["verdict"] == "killed"
        machine.wait_for(lambda: gate.queue()["queued"] == 1, 10, "a place is free")
        assert jobs.error(gate.ask(jobs.request())) == ""
        scene.end()
        jobs.wait_idle(gate)
    assert [result(stack, job)["verdict"] for job in ids] == ["passed", "passed", "killed"]
    whole(stack)


def test_who_cannot_have_a_copy_does_it_itself(stack, gate, place):
    scene = Scene(stack, place)
    ids = scene.begin(gate)
    with open(os.path.join(stack.job_folder(ids[1]), "work"), "w", encoding="ascii"):
        pass	# where the copy would go
    scene.end()
    results = [result(stack, job) for job in ids]
    jobs.wait_idle(gate)
    assert [(r["verdict"], r["attempt"]) for r in results] == [("passed", 1), ("passed", 1), ("passed", 0)]
    whole(stack)
