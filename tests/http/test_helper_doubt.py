"""What the helper does where it cannot see how a job stands: it concludes nothing that it would have to take back."""

import os
import signal
import threading
import time

import pytest

from lib import jobs, machine
from stack import procs
from test_helper_disk import Faults

FOREVER = "echo begun; sleep 1000"


@pytest.fixture
def stack(make_stack):
    return make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)


def orphan(stack):
    """A job that began, whose helper and supervisor were killed."""
    with stack.helper() as gate:
        job = jobs.submit(gate, FOREVER)
        jobs.wait_log(stack, job, "begun")
    stack.kill("helper")
    supervisor = procs.Process.of(stack.record(job, "run.json")["pid"])
    assert supervisor.send(signal.SIGKILL) and supervisor.wait(10)
    return job


def is_lost_once(stack, job):
    result = stack.wait_for_result(job)
    assert (result["verdict"], result["attempt"]) == ("lost", 1)
    assert jobs.log(stack, job).count("begun") == 1
    machine.wait_for(lambda: not jobs.names(stack, "trash"), 10, "its work/, which was never walked, is gone")


@pytest.mark.parametrize("name", ["result.json", "result.new", "job.json", "run.json", "ended.json"])
def test_what_cannot_be_read_decides_nothing(stack, name):
    job = orphan(stack)
    os.unlink(os.path.join(stack.spool, "redo"))	# whose replay would meet it first
    path = os.path.join(stack.job_folder(job), name)
    there = os.path.exists(path)
    if there:
        os.rename(path, path + ".aside")
    os.mkdir(path)	# there, and not to be read
    stack.start("helper")
    machine.wait_for(lambda: f"job {job} cannot be looked at" in stack.log("helper"), 20, "the helper has looked")
    assert not os.path.isfile(os.path.join(stack.job_folder(job), "result.json"))
    os.rmdir(path)
    if there:
        os.rename(path + ".aside", path)
    is_lost_once(stack, job)


@pytest.mark.parametrize("text", ["", "{", None])
def test_a_job_whose_state_is_damaged_does_not_begin_anew(stack, text):
    job = orphan(stack)
    os.unlink(os.path.join(stack.spool, "redo"))	# which would mend it
    path = os.path.join(stack.job_folder(job), "state.json")
    if text is None:
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    stack.start("helper")
    is_lost_once(stack, job)


def test_a_start_for_which_something_is_short_is_tried_again(make_stack, ground):
    faults = Faults(ground)
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1, environment=faults.environment())
    with stack.helper() as gate:
        faults.set("spawn")
        job, other = (jobs.submit(gate, "echo ran") for _ in range(2))
        machine.wait_for(lambda: f"job {job} cannot be started yet" in stack.log("helper"), 20, "it was tried")
        assert gate.kill(job, "me")["ok"]	# and can be killed meanwhile
        assert stack.wait_for_result(job)["by"] == "me"
        machine.wait_for(lambda: f"job {other} cannot be started yet" in stack.log("helper"), 20, "the next one was tried")
        faults.set()
        assert (stack.wait_for_result(other)["verdict"], jobs.log(stack, other)) == ("passed", "ran\n")
        jobs.wait_idle(gate)


def test_a_connection_that_cannot_be_taken_is_waited_for_quietly(make_stack, ground):
    """It stays in the listener's queue, whose readiness must not keep the loop busy."""
    faults = Faults(ground)
    stack = make_stack(parts=("helper",), environment=faults.environment())
    faults.set("accept")
    said = lambda: stack.log("helper").count("no connection can be taken")	# noqa: E731

    def ask():
        with stack.helper() as gate:
            assert gate.ask({"op": "queue"})["ok"]

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    machine.wait_for(said, 20, "the helper cannot take it")
    began, first = time.monotonic(), said()
    machine.wait_for(lambda: said() >= first + 3, 20, "it has tried again")
    tries = (said() - first) / (time.monotonic() - began)
    assert tries < 30, f"{tries:.0f} tries a second"
    faults.set()
    asker.join(20)
    assert not asker.is_alive()
