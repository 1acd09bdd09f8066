"""The helper on a disk that is full, or that refuses to flush; expiry, and the guard against a clock that ran ahead."""

import contextlib
import os
import subprocess
import time

import pytest

from lib import disks, jobs, machine, running

FOREVER = "echo begun; sleep 1000"
DAY = 86400


# Flushes that fail

class Faults:
    """A stack's disk: faults.set("fdatasync") and the like, faults.set() for none."""

    def __init__(self, ground, number=[0]):
        number[0] += 1
        self.path = os.path.join(ground, f"faults{number[0]}")
        self.library = os.path.join(ground, "faulty.so")
        if not os.path.exists(self.library):
            source = os.path.join(machine.ROOT, "tests/lib/faulty.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library + ".new", source], check=True)
            os.rename(self.library + ".new", self.library)

    def environment(self):
        libraries = [self.library]
        if machine.sanitized():	# its runtime insists on being the first
            libraries.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], check=True, capture_output=True,
                                               text=True).stdout.strip())
        return {"LD_PRELOAD": " ".join(libraries), "FAULTS": self.path}

    def set(self, *names):
        if names:
            with open(self.path + ".new", "w", encoding="ascii") as file:
                file.write(" ".join(names))
            os.chmod(self.path + ".new", 0o644)
            os.rename(self.path + ".new", self.path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


@pytest.fixture
def faults(ground):
    own = Faults(ground)
    yield own
    own.set()


@pytest.fixture
def stack(make_stack, faults):
    return make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1, environment=faults.environment())


def resume(stack, wanted=""):
    """As an administrator; again while something is still under way."""
    with stack.helper(admin=True) as admin:
        answer = machine.wait_for(lambda: (lambda a: a if jobs.error(a) != "EBUSY" else None)(admin.ask({"op": "resume"})), 20,
                                  "resume is possible")
        assert jobs.error(answer) == wanted, answer


def state(gate):
    queue = gate.queue()
    return queue["accepting"], queue["stopped"]


def start(stack, gate, **more):
    job = jobs.submit(gate, FOREVER, **more)
    jobs.wait_log(stack, job, "begun")
    return job


@pytest.mark.parametrize("size", [10, 400000])
def test_a_journal_that_cannot_be_flushed_stops_the_helper(stack, faults, size):
    with stack.helper() as gate:
        running_job = start(stack, gate)
        queued = [jobs.submit(gate, tool=tool) for tool in ("once", "twice")]
        faults.set("fdatasync")
        refused = gate.submit("once", {"big": b"x" * size}, {"script": "true"})
        assert jobs.error(refused) == "EIO" and refused["reason"], refused
        assert state(gate) == (False, True)
        faults.set()	# too late: a failed flush is never repeated
        for body in (jobs.request(), {"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1}):
            answer = gate.ask(body)
            assert jobs.error(answer) == "ESHUTDOWN" and answer["retry_after"] > 0, answer
        assert jobs.error(gate.kill(running_job)) == "EIO"	# it could not be recorded, so it is not promised
        assert stack.record(running_job, "state.json")["want"] == "start"
        os.kill(stack.record(running_job, "run.json")["pid"], 15)	# it ends; what is queued waits all the same
        stack.wait_for_result(running_job)
        machine.wait_for(lambda: gate.queue()["running"] == 0, 10, "nothing runs")
        assert gate.queue()["queued"] == 2
        resume(stack)
        assert state(gate) == (True, False)
        for job in (*queued, jobs.submit(gate)):
            assert stack.wait_for_result(job)["verdict"] == "passed"
        known = jobs.all_jobs(stack)
        assert len(known) == 4
        machine.wait_for(lambda: not jobs.names(stack, "incoming") and not jobs.names(stack, "trash"), 10, "the refused one is gone")
    stack.kill("helper")
    stack.start("helper")
    assert jobs.all_jobs(stack) == known	# nor does the old journal bring it back


@pytest.mark.parametrize("size", [10, 400000])
def test_after_a_failed_flush_the_next_start_finds_what_was_acknowledged(stack, faults, size):
    with stack.helper() as gate:
        acknowledged = [start(stack, gate), *(jobs.submit(gate, "cat big | wc -c", inputs={"big": b"x" * size}) for _ in range(3))]
        faults.set("fdatasync")
        assert jobs.error(gate.submit("once", {"big": b"x" * size}, {"script": "true"})) == "EIO"
    stack.kill("helper")
    faults.set()
    stack.start("helper")
    with stack.helper() as gate:
        assert state(gate) == (True, False)
        assert gate.kill(acknowledged[0])["ok"]
        jobs.wait_idle(gate)
        assert set(acknowledged) <= set(jobs.all_jobs(stack))
        for job in acknowledged[1:]:
            assert stack.record(job, "result.json")["verdict"] == "passed"
            assert jobs.log(stack, job).strip() == str(size)
        assert not jobs.names(stack, "incoming")


def test_a_start_that_cannot_be_recorded_does_not_begin(stack, faults):
    with stack.helper() as gate:
        blocker, job = start(stack, gate), jobs.submit(gate, "echo ran")
        faults.set("fdatasync")
        os.kill(stack.record(blocker, "run.json")["pid"], 15)
        machine.wait_for(lambda: state(gate)[1], 10, "it stops")
        machine.wait_for(lambda: gate.queue()["queued"] == 1, 10, "the job is queued again")
        assert not stack.record(job, "result.json") and not os.path.exists(os.path.join(stack.job_folder(job), "work"))
        faults.set()
        resume(stack)
        assert stack.wait_for_result(job)["attempt"] == 1
        assert jobs.log(stack, job) == "ran\n"


def test_resume_waits_for_a_disk_that_works(stack, faults):
    with stack.helper() as gate:
        faults.set("fdatasync", "syncfs")
        assert jobs.error(gate.submit("once", params={"script": "true"})) == "EIO"
        resume(stack, "EIO")
        assert state(gate) == (False, True)
        faults.set("fsync")	# the spool can be flushed, a new journal cannot be made
        resume(stack, "EIO")
        assert state(gate) == (False, True)
        faults.set()
        resume(stack)
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"


def test_a_checkpoint_that_fails_stops_the_helper(stack, faults):
    """The journal's half that is full could be given back only after a flush of everything."""
    with stack.helper() as gate:
        blocker = start(stack, gate)
        faults.set("syncfs")
        taken, answer = [], None
        for _ in range(60):	# two halves of 4 MiB
            answer = gate.submit("once", {"big": b"x" * 200000}, {"script": "true"})
            if not answer["ok"]:
                break
            taken.append(answer["id"])
        assert jobs.error(answer) in ("EIO", "ETIMEDOUT", "ESHUTDOWN") and len(taken) > 15, answer
        machine.wait_for(lambda: state(gate)[1] or jobs.error(gate.submit("once", params={"script": "true"})), 15, "it stops")
        faults.set()
        resume(stack)
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate, 120)
        for job in taken:
            assert stack.record(job, "result.json")["verdict"] == "passed"


def test_a_journal_smaller_than_its_load_goes_round(make_stack, journal_disk):
    """Ten times what the journal holds, and a helper shot in between: nothing is lost."""
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, spool=os.path.join(journal_disk, "round"),
                       conf={"spool": {"redo_bytes": "4M"}, "helper": {"slots": "1"}})
    with stack.helper() as gate:
        blocker = start(stack, gate)
        taken = [jobs.submit(gate, "cat big | md5sum", inputs={"big": b"%06d" % i * 40000}) for i in range(90)]
    stack.kill("helper")
    stack.start("helper")
    with stack.helper() as gate:
        taken += [jobs.submit(gate, "cat big | md5sum", inputs={"big": b"%06d" % i * 40000}) for i in range(90, 100)]
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate, 120)
    assert len({jobs.log(stack, job) for job in taken}) == 100


def test_a_verdict_that_cannot_be_flushed_is_tried_again(stack, faults):
    with stack.helper() as gate:
        blocker, queued = start(stack, gate), jobs.submit(gate)
        faults.set("fsync")
        gate.number += 1
        gate.send({"n": gate.number, "op": "kill", "id": queued, "by": "me"})
        machine.wait_for(lambda: "verdict cannot be written" in stack.log("helper"), 20, "the disk has refused it")
        assert not stack.record(queued, "result.json")
        faults.set()
        assert gate.receive()["ok"]
        assert stack.wait_for_result(queued)["by"] == "me"
        with stack.helper(admin=True) as admin:
            admin.ask({"op": "resume"})
        os.kill(stack.record(blocker, "run.json")["pid"], 15)
        jobs.wait_idle(gate)


def test_a_verdict_that_waits_for_the_disk_survives_the_helpers_end(stack, faults):
    with stack.helper() as gate:
        blocker, queued = start(stack, gate), jobs.submit(gate)
        faults.set("fsync")
        gate.number += 1
        gate.send({"n": gate.number, "op": "kill", "id": queued, "by": "me"})
        machine.wait_for(lambda: "verdict cannot be written" in stack.log("helper"), 20, "the disk has refused it")
    stack.stop("helper")
    faults.set()
    stack.start("helper")
    assert stack.wait_for_result(queued)["by"] == "me"
    with stack.helper() as gate:
        assert gate.kill(blocker)["ok"]
        jobs.wait_idle(gate)


def test_kills_during_resume_are_neither_lost_nor_fatal(stack, faults):
    with stack.helper() as gate, stack.helper(admin=True) as admin:
        job = start(stack, gate)
        for _ in range(5):
            faults.set("fdatasync")
            assert jobs.error(gate.submit("once", params={"script": "true"})) == "EIO"
            faults.set()
            admin.number += 1
            admin.send({"n": admin.number, "op": "resume"})
            answer = gate.kill(job)
            said = admin.receive()
            assert jobs.error(said) in ("", "EBUSY"), said
            if jobs.error(said):
                resume(stack)
            if answer["ok"]:
                assert stack.wait_for_result(job)["verdict"] == "killed"
                jobs.wait_idle(gate)
                job = start(stack, gate)
            else:
                assert jobs.error(answer) == "EIO"
        assert gate.kill(job)["ok"]
        jobs.wait_idle(gate)


def test_a_new_journal_whose_name_is_not_flushed_takes_no_record(stack, faults):
    """The old one has no name any more: what went there would be promised, and found by nobody."""
    with stack.helper() as gate:
        job, queued = start(stack, gate), jobs.submit(gate)
        faults.set("dirsync")
        assert gate.kill(queued, "me")["ok"]	# whose verdict stops the helper; the journal works
        machine.wait_for(lambda: state(gate) == (False, True), 20, "it stops")
        resume(stack, "EIO")
        assert jobs.error(gate.kill(job)) == "EIO" and state(gate) == (False, True)
        faults.set()
        resume(stack)
        assert gate.kill(job)["ok"]
        jobs.wait_idle(gate)
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"


# What is recorded but cannot be put in its place

def test_a_job_that_cannot_be_published_is_taken_back(stack, faults):
    with stack.helper() as gate:
        before = jobs.all_traces(stack)
        faults.set("publish")
        for size in (3, 400000):
            answer = gate.submit("once", {"big": b"x" * size}, {"script": "true"})
            assert jobs.error(answer) == "ENOSPC" and answer["retry_after"] > 0, answer
        jobs.nothing_came_in(stack, before)
        faults.set()
        assert state(gate) == (True, False)
    stack.kill("helper")	# its record is in the journal, and one that takes it back
    stack.start("helper")
    jobs.nothing_came_in(stack, before)
    with stack.helper() as gate:
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"


# A full disk

def test_a_full_disk_takes_nothing(make_stack, small_disk):
    disk = small_disk(96 << 20)
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, spool=os.path.join(disk, "spool"), conf={"spool": {"disk_reserve": "0"}})
    with stack.helper() as gate:
        stack.wait_for_result(jobs.submit(gate))
        jobs.wait_idle(gate)
        for leave in (2 << 20, 64 << 10, 0):
            filler = disks.fill(disk, leave)
            before = jobs.all_traces(stack)
            for size in (100000, 6 << 20):
                answer = gate.submit("once", {"big": b"x" * size}, {"script": "true"})
                if answer["ok"]:
                    assert size < leave
                    stack.wait_for_result(answer["id"])
                    jobs.wait_idle(gate)
                    before = jobs.all_traces(stack)
                    continue
                assert jobs.error(answer) == "ENOSPC" and answer["retry_after"] > 0 and answer["reason"], answer
                jobs.nothing_came_in(stack, before)
            os.unlink(filler)
            if state(gate)[1]:	# a verdict met the full disk
                resume(stack)
            assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"
            jobs.wait_idle(gate)


def test_the_reserve_is_kept(make_stack, small_disk):
    disk = small_disk(96 << 20)
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, spool=os.path.join(disk, "spool"), conf={"spool": {"disk_reserve": "40M"}})
    with stack.helper() as first, stack.helper() as second:
        room = disks.room(disk)

        def may(size, gate=first):
            return jobs.error(gate.ask({"op": "may", "service": "test", "owner": "test:user:one", "bytes": size}))
        assert may(room - (39 << 20)) == "ENOSPC"
        assert may(room - (48 << 20)) == ""
        assert may(room - (48 << 20), second) == "ENOSPC"	# the first one's room is held


def test_below_the_reserve_nothing_is_accepted_and_what_waits_runs(make_stack, small_disk):
    disk = small_disk(96 << 20)
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, spool=os.path.join(disk, "spool"), slots=1,
                       conf={"spool": {"disk_reserve": "40M"}})
    with stack.helper() as gate:
        blocker = jobs.submit(gate, "echo begun; exec sleep 1000")
        jobs.wait_log(stack, blocker, "begun")
        waiting = [jobs.submit(gate, "head -c 1M /dev/zero >out", tool=tool) for tool in ("once", "twice")]
        filler = disks.fill(disk, 20 << 20)
        answer = gate.ask(jobs.request())
        assert jobs.error(answer) == "ENOSPC" and answer["retry_after"] > 0, answer
        assert gate.kill(blocker)["ok"]
        assert [stack.wait_for_result(job)["verdict"] for job in waiting] == ["passed"] * 2
        os.unlink(filler)
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"


# Expiry

def expired(stack, job, seconds=20):
    machine.wait_for(lambda: not os.path.exists(stack.job_folder(job)), seconds, f"job {job} is forgotten")


def in_index(stack, job):
    return any(job in path for path in jobs.all_traces(stack)["index"])


def test_a_job_is_forgotten_when_its_time_is_over(make_stack):
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "brief": jobs.shell(keep="1s"), "ever": jobs.shell(keep="0")})
    with stack.helper() as gate:
        kept, brief, ever = (jobs.submit(gate, tool=tool) for tool in ("once", "brief", "ever"))
        end = stack.wait_for_result(brief)["ended_usec"]
        expired(stack, brief)
        assert time.time() * 1e6 >= end + 1e6	# not before
        assert not in_index(stack, brief)
        assert jobs.error(gate.kill(brief)) == "ENOENT"
        assert in_index(stack, kept) and in_index(stack, ever)
        machine.wait_for(lambda: not jobs.names(stack, "trash"), 10, "trash/ is emptied")
        running_job = jobs.submit(gate, FOREVER, tool="brief")	# its time begins at its end
        jobs.wait_log(stack, running_job, "begun")
        machine.wait_for(lambda: time.time() * 1e6 > stack.record(running_job, "job.json")["accepted_usec"] + 2.5e6, 10, "time goes by")
        assert os.path.exists(stack.job_folder(running_job))
        assert gate.kill(running_job)["ok"]
        expired(stack, running_job)


def test_what_finished_before_the_start_expires_too(make_stack):
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "brief": jobs.shell(keep="3s")})
    with stack.helper() as gate:
        many = [jobs.submit(gate, tool="brief") for _ in range(5)]
        kept = jobs.submit(gate)
        jobs.wait_idle(gate)
    stack.kill("helper")
    stack.start("helper")
    for job in many:
        expired(stack, job)
    assert in_index(stack, kept)


def set_clock(stack, seconds):
    stack.stop("helper")
    stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = str(int(seconds))
    stack.start("helper")


def marked(stack):
    return machine.wait_for(lambda: stack_mark(stack), 10, "an expiry pass was recorded")


def stack_mark(stack):
    return machine.read_json(os.path.join(stack.spool, "expiry.json"))


def need_young_host():
    if time.clock_gettime(time.CLOCK_BOOTTIME) > DAY - 600:
        machine.cannot("a host that is up for a day trusts its clock")


def test_a_clock_that_ran_ahead_deletes_nothing_until_somebody_looked(make_stack):
    need_young_host()
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS)
    with stack.helper() as gate:
        job = jobs.submit(gate)
        stack.wait_for_result(job)
        jobs.wait_idle(gate)
    marked(stack)
    set_clock(stack, 400 * DAY)
    machine.wait_for(lambda: "the clock ran ahead" in stack.log("helper"), 10, "it has noticed")
    with stack.helper() as gate, stack.helper(admin=True) as admin:
        assert gate.queue()["expiry_held"] and gate.queue()["accepting"]
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"	# nothing else stops
    set_clock(stack, 400 * DAY)	# nor does a restart make it right
    with stack.helper() as gate, stack.helper(admin=True) as admin:
        machine.wait_for(lambda: gate.queue()["expiry_held"], 10, "it has noticed again")
        assert os.path.exists(stack.job_folder(job))
        assert admin.ask({"op": "resume"})["ok"]
        expired(stack, job)
        assert not gate.queue()["expiry_held"]


def test_a_clock_that_is_right_again_needs_nobody(make_stack):
    need_young_host()
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS)
    with stack.helper() as gate:
        job = jobs.submit(gate)
        jobs.wait_idle(gate)
    marked(stack)
    set_clock(stack, 400 * DAY)
    with stack.helper() as gate:
        machine.wait_for(lambda: gate.queue()["expiry_held"], 10, "it has noticed")
    set_clock(stack, 0)
    with stack.helper() as gate:
        mark = stack_mark(stack)
        machine.wait_for(lambda: stack_mark(stack) != mark, 10, "a pass was recorded")
        assert not gate.queue()["expiry_held"]
    assert os.path.exists(stack.job_folder(job))


def test_half_an_hour_ahead_is_no_reason_to_stop(make_stack):
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "brief": jobs.shell(keep="10m")})
    with stack.helper() as gate:
        job = jobs.submit(gate, tool="brief")
        jobs.wait_idle(gate)
    marked(stack)
    set_clock(stack, 1800)
    expired(stack, job)


def test_a_clock_that_went_back_deletes_nothing(make_stack):
    stack = make_stack(parts=("helper",), tools={**jobs.TOOLS, "brief": jobs.shell(keep="10m")})
    with stack.helper() as gate:
        job = jobs.submit(gate, tool="brief")
        jobs.wait_idle(gate)
    marked(stack)
    set_clock(stack, -10 * DAY)
    with stack.helper() as gate:
        mark = stack_mark(stack)
        machine.wait_for(lambda: stack_mark(stack) != mark, 10, "a pass was recorded")
        assert stack.wait_for_result(jobs.submit(gate))["verdict"] == "passed"
    assert os.path.exists(stack.job_folder(job))
