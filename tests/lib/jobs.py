"""Jobs for the tests of the helper: tools that run a line of shell, submissions in every detail, and looking at the spool."""

import errno
import os
import time

from . import helper, machine, running

SHELL = ["/bin/sh", "-c", "{script}"]
LIMITS = {"limit_wall": "120s", "limit_log": "1M"}


def shell(**keys):
    """A tool file: runs the parameter `script`; optional inputs data.txt (4 KiB) and big (16 MiB)."""
    text = running.tool(SHELL, params=["script"], **{**LIMITS, **keys})
    return text + "[input data.txt]\nrequired = no\nmax = 4K\n[input big]\nrequired = no\nmax = 16M\n[parameter n]\ntype = integer\n" \
        "min = 1\nmax = 9\n"


TOOLS = {"once": shell(), "twice": shell(twice="yes"), "needy": running.tool(["/bin/cat", "{a}"], inputs=["a"]).replace(
    "required = no", "required = yes")}


def deadline(seconds=10):
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + int(seconds * 1e6)


def request(tool="once", script="true", inputs=(), **more):
    """The object of a submission; inputs: (name, size) pairs; a member whose value is None is left out."""
    body = {"op": "submit", "service": "test", "tool": tool, "owner": "test:user:one", "deadline": deadline(),
            "params": {"script": script}, "inputs": [{"name": name, "size": size} for name, size in inputs], **more}
    return {key: value for key, value in body.items() if value is not None}


def submit(connection, script="true", tool="once", inputs=None, **more):
    """A submission that must be accepted; returns the id."""
    answer = connection.submit(tool, inputs, {"script": script}, **more)
    assert answer and answer["ok"], answer
    return answer["id"]


def error(answer):
    """The name of a refusal's errno, "" for an acceptance."""
    assert answer is not None, "the helper closed the connection"
    return "" if answer["ok"] else errno.errorcode[answer["errno"]]


def names(stack, folder):
    """The names in a folder of the spool that say something."""
    return sorted(os.listdir(os.path.join(stack.spool, folder)))


def all_jobs(stack):
    """The ids of jobs/, whatever their state."""
    found = []
    for two in names(stack, "jobs"):
        found += names(stack, "jobs/" + two)
    return sorted(found)


def nothing_came_in(stack, before):
    """Neither a job nor anything in incoming/ or index/ since all_traces()."""
    machine.wait_for(lambda: all_traces(stack) == before, 10, "what was refused leaves nothing")


def all_traces(stack):
    found = {"incoming": names(stack, "incoming"), "jobs": all_jobs(stack)}
    found["index"] = sorted(os.path.join(path, name) for path, _, files in os.walk(os.path.join(stack.spool, "index"))
                            for name in files)
    return found


def wait_running(stack, job, seconds=30):
    """Until its tool runs: its supervisor has written run.json."""
    return machine.wait_for(lambda: stack.record(job, "run.json"), seconds, f"job {job} runs")


def wait_log(stack, job, text, seconds=30):
    """Until the job's log has this text."""
    path = os.path.join(stack.job_folder(job), "log")

    def look():
        try:
            with open(path, "rb") as log:
                return text.encode() in log.read()
        except FileNotFoundError:
            return False
    machine.wait_for(look, seconds, f"job {job} says {text}")


def log(stack, job):
    with open(os.path.join(stack.job_folder(job), "log"), encoding="utf-8") as file:
        return file.read()


def wait_idle(connection, seconds=60):
    """Until nothing is queued and nothing runs."""
    machine.wait_for(lambda: (lambda q: q["queued"] + q["running"] == 0)(connection.queue()), seconds, "the queue is empty")


def memory_file(data, **more):
    return helper.memory_file(data, **more)
