"""A client of the StableConfigs API that believes nothing: each answer it gives back has been looked at to the byte."""

import contextlib
import json
import os
import re
import signal

from stack import folder, procs

from . import machine

JSON = {"Content-Type": "application/json"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def canonical(obj):
    """The wire style: members sorted by name, no blanks, ASCII alone, one newline."""
    return (json.dumps(obj, separators=(",", ":"), sort_keys=True, ensure_ascii=True) + "\n").encode()


def look(answer, origin=None):
    """What holds of every answer with a body, whatever its status. Returns the answer."""
    assert answer.headers["Content-Type"] == "application/json", answer.headers
    assert answer.content == canonical(answer.json())
    assert answer.headers["Access-Control-Allow-Origin"] == (origin or "*")
    assert ("Origin" in answer.headers.get("Vary", "")) == (origin is not None), answer.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "WWW-Authenticate" not in answer.headers
    return answer


def refusal(answer, status, origin=None):
    """An error that carries no result. Returns its message."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    body = look(answer, origin).json()
    assert sorted(body) == ["message", "status"] and body["status"] == "Exception", body
    assert isinstance(body["message"], str) and body["message"]
    return body["message"]


class Client:
    """way: as in Stack.url."""

    def __init__(self, stack, way="port"):
        self.stack, self.way = stack, way
        self.session = stack.session()

    def url(self, path):
        return self.stack.url("stableconfigs", path, way=self.way)

    def request(self, method, path, **more):
        return self.session.request(method, self.url(path), timeout=30, **more)

    def submit(self, body, headers=None):
        """POST /task with these bytes, or this object as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", "/task", data=data, headers=JSON if headers is None else headers)

    def post(self, monomers, constraints=None, **options):
        """A task that is accepted: its id."""
        body = {"monomers": monomers, **options}
        if constraints is not None:
            body["constraints"] = constraints
        answer = self.submit(body)
        assert answer.status_code == 202, answer.text[:500]
        assert sorted(look(answer).json()) == ["task_id"]
        task = answer.json()["task_id"]
        assert isinstance(task, str) and task and "/" not in task
        return task

    def status(self, task):
        answer = look(self.request("GET", f"/status/{task}"))
        if answer.status_code in (202, 203):
            body = answer.json()
            assert sorted(body) == ["count", "k", "status"] and body["status"] == "Progress", body
            assert type(body["count"]) is int and type(body["k"]) is int, body	# bool is an int to isinstance
        elif answer.status_code in (400, 401, 402):
            assert {"message", "status"} <= set(answer.json())
        elif answer.status_code == 200:
            assert sorted(answer.json()) == ["configs", "count", "entropy", "status"]
        return answer

    def final(self, task, seconds=60):
        """The answer that ends the polling, asked for without a pause worth the name."""
        def ended():
            answer = self.status(task)
            return [answer] if answer.status_code not in (202, 203) else None	# a 4xx alone would count as false
        return machine.wait_for(ended, seconds, f"task {task} ends", pause=0.002)[0]

    def solve(self, monomers, constraints=None, seconds=60, **options):
        return self.final(self.post(monomers, constraints, **options), seconds)

    def running(self, task, count=0, seconds=30):
        """Waits until the task is computed and has reached this count of its progress; it must not have ended."""
        def seen():
            answer = self.status(task)
            assert answer.status_code == 202, answer.text[:500]
            return answer.json() if self.stack.record(task, "run.json") and answer.json()["count"] >= count else None
        return machine.wait_for(seen, seconds, f"task {task} runs")

    def terminate(self, task):
        answer = look(self.request("DELETE", f"/terminate/{task}"))
        assert answer.status_code == 200 and answer.json() == {"status": f"terminating task: {task}"}
        return answer


def result(answer):
    """(count, entropy, list of polymers_count) of a 200."""
    assert answer.status_code == 200, answer.text[:500]
    body = answer.json()
    assert body["count"] == len(body["configs"])
    for configuration in body["configs"]:
        assert sorted(configuration) == ["polymers", "polymers_count"]
        assert configuration["polymers_count"] == len(configuration["polymers"])
    counts = [configuration["polymers_count"] for configuration in body["configs"]]
    assert counts == sorted(counts, reverse=True)
    return body["count"], body["entropy"], counts


def failed(answer, status, word):
    """Its message, where a run ended so."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.json()["status"] == word
    return answer.json()["message"]


def tool_text(stack_or_programs, **limits):
    """The tool file as it is installed, with other limits: wall="3s"."""
    programs = getattr(stack_or_programs, "programs", stack_or_programs)
    with open(os.path.join(machine.ROOT, "conf/tools/stableconfigs.tool.in"), encoding="utf-8") as file:
        text = folder.fill(file.read(), {"bindir": os.path.join(programs, "bin")}, file.name)
    for name, value in limits.items():
        text, n = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert n == 1, name
    return text


# The spool, seen from outside


def quiet(stack, seconds=30):
    """Waits until no job is under way and nothing is waiting to be deleted."""
    def at_rest():
        return not any(os.listdir(os.path.join(stack.spool, name)) for name in ("active", "incoming", "trash"))
    machine.wait_for(at_rest, seconds, "the spool is at rest")


def files(stack):
    """Every name below the spool's folders but what tools make while they run, and what the gate keeps for a moment."""
    found = []
    for top in (stack.spool, os.path.join(stack.path, "gate")):
        for place, folders, names in os.walk(top):
            names = names if place != stack.spool else []	# the helper's own: journal, lock, ...
            found += [os.path.join(place, name) for name in folders + names]
            folders[:] = [name for name in folders if name != "work"]
    return sorted(found)


@contextlib.contextmanager
def nothing_left(stack):
    """What happens inside adds and removes not a single name."""
    quiet(stack)
    before = files(stack)
    yield
    machine.wait_for(lambda: files(stack) == before, 10, "nothing is left behind")


# A run that stands still while somebody works around it


def engine(stack, task):
    """The process that computes a running task, or None."""
    init = stack.record(task, "run.json").get("init_pid")
    found = procs.children(init) if init else []
    return procs.Process.of(found[0]) if found else None


def freeze(stack, client, task):
    """Stops the engine of this task where it is; None where it was quicker."""
    def look():
        return engine(stack, task) or client.status(task).status_code not in (202, 203)
    process = machine.wait_for(look, 30, f"task {task} is computed", pause=0.002)
    if process is True or not process.send(signal.SIGSTOP):
        return None
    if client.status(task).status_code == 202:
        return process
    process.send(signal.SIGCONT)
    return None


@contextlib.contextmanager
def frozen(stack, client, task):
    """Stops the engine of a task that is long enough to be met, until the block ends."""
    process = freeze(stack, client, task)
    assert process, f"task {task} has ended already"
    try:
        yield process
    finally:
        process.send(signal.SIGCONT)


@contextlib.contextmanager
def frozen_task(stack, client, *args, **keywords):
    """Posts a task that ends by itself and stops its engine until the block ends: (task, engine). On a busy machine it may have
    ended before we see it; then another one is posted."""
    for _ in range(30):
        task = client.post(*args, **keywords)
        process = freeze(stack, client, task)
        if process:
            break
    assert process, "no task could be met while it is computed"
    try:
        yield task, process
    finally:
        process.send(signal.SIGCONT)
