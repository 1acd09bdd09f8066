"""A full disk: submissions are refused in the API's shape and leave nothing; with room again all goes on."""

import os

from lib import disks, machine, running

B4 = {"monomers": [["a", "b", ">mon1"], ["a*", "b*", ">mon2"], ["a", ">mon3"], ["b", ">mon4"]], "gen": 2}


def submit(session, stack):
    return session.post(stack.url("stableconfigs", "/task"), json=B4)


def finish(session, stack, task):
    def done():
        answer = session.get(stack.url("stableconfigs", f"/status/{task}"))
        return [answer] if answer.status_code not in (202, 203) else None
    return machine.wait_for(done, 30, "the job ends")[0]


def test_a_full_disk_refuses_and_recovers(make_stack, small_disk):
    disk = small_disk(96 << 20)
    stack = make_stack(spool=os.path.join(disk, "spool"))
    session = stack.session()
    first = submit(session, stack)
    assert first.status_code == 202
    assert finish(session, stack, first.json()["task_id"]).json()["count"] == 2

    for leave in (8 << 20, 64 << 10, 0):	# below the reserve; hardly anything; nothing
        filler = disks.fill(disk, leave)
        before = stack.jobs()
        answer = submit(session, stack)
        assert answer.status_code in (503, 507), answer.text
        assert answer.headers["Content-Type"] == "application/json"
        assert sorted(answer.json()) == ["message", "status"] and answer.json()["status"] == "Exception"
        assert int(answer.headers["Retry-After"]) > 0
        assert stack.jobs() == before and not os.listdir(os.path.join(stack.spool, "incoming"))
        # What is there can still be read.
        assert session.get(stack.url("stableconfigs", f"/status/{first.json()['task_id']}")).status_code == 200
        os.unlink(filler)

    again = submit(session, stack)
    assert again.status_code == 202, again.text
    assert finish(session, stack, again.json()["task_id"]).status_code == 200


def test_a_disk_that_fills_while_a_job_runs_keeps_its_verdict(make_stack, small_disk):
    """The verdict has its room from the start: on a full disk the job ends all the same, and its end can be read."""
    disk = small_disk(96 << 20)
    stack = make_stack(spool=os.path.join(disk, "spool"), tools={
        "wait": running.tool(["/bin/sh", "-c", "while test ! -e never; do sleep 0.05; done"], limit_wall="4s")})
    with stack.helper() as helper:
        job = helper.submit("wait")["id"]
        machine.wait_for(lambda: stack.record(job, "run.json"), 10, "the job runs")
        filler = disks.fill(disk)
        result = stack.wait_for_result(job, 20)
        # What the tool left could not be kept, and the verdict says so.
        assert result["verdict"] in ("timeout", "lost"), result
        assert result["verdict"] == "timeout" or "No space left" in result["message"], result
        os.unlink(filler)
        answer = helper.submit("wait")
        assert answer["ok"] or answer["errno"] == 108	# ESHUTDOWN: a failed flush stopped it, until an administrator looks
