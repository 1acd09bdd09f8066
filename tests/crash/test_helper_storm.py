"""Everything that can be asked of the helper, by many at once and in any order, while it is executed anew, reloaded and shot. What was
answered holds afterwards; nothing but we ends the helper."""

import os
import random
import signal
import threading

import pytest

from lib import jobs, machine

SECONDS = 15
SEEDS = [int(seed) for seed in os.environ.get("STORM_SEEDS", "1 2").split()]	# for who looks for more
ENDLESS = "sleep 1000"
TOOLS = {"once": jobs.shell(), "twice": jobs.shell(twice="yes"), "brief": jobs.shell(keep="2s"), "equal": jobs.shell(**{"cache-key": "yes"}),
         "alone": jobs.shell(serial="yes"), "memory": jobs.shell(durable="no")}
KEYS = {f"key{n}": script for n, script in enumerate(["true", "sleep 0.05", "exit 3", "echo x >out"] * 3)}


class Rider(threading.Thread):
    """One client in the storm."""

    def __init__(self, stack, dice, over):
        super().__init__(daemon=True)
        self.stack, self.dice, self.over = stack, dice, over
        self.error = None
        self.accepted = {}	# id: (tool, script)
        self.forgotten, self.doubtful = set(), set()	# doubtful: asked to be forgotten, no answer
        self.by_key = []	# (Idempotency-Key, id), as answered
        self.answers = 0

    def run(self):
        try:
            while not self.over.is_set():
                try:
                    with self.stack.helper(hello=False, timeout=30) as gate:
                        if gate.ask({"op": "hello", "versions": [1]}) is not None:
                            while not self.over.is_set() and self.one(gate):
                                pass
                except (ConnectionError, FileNotFoundError):
                    self.over.wait(0.02)	# nobody there at the moment
        except BaseException as error:	# noqa: BLE001 - shown by the test
            self.error = error

    def one(self, gate):
        """One request; False where the connection has ended."""
        what = self.dice.choices(["submit", "again", "kill", "forget", "prune", "amend", "watch", "may", "queue", "leave"],
                                 [8, 2, 5, 3, 1, 1, 2, 1, 1, 0.3])[0]
        job = self.dice.choice(list(self.accepted)) if self.accepted else "0" * 32
        if what == "leave":
            return False
        if what == "submit":
            tool = self.dice.choice(list(TOOLS))
            script = self.dice.choice(["true", "sleep 0.05", "echo x >out", ENDLESS, "exit 3"])
            data = b"x" * self.dice.choice([0, 100, 3000, 300000])
            inputs = {"big": data} if data else {}
            answer = gate.submit(tool, inputs, {"script": script})
            if answer and answer["ok"] and tool != "memory":
                self.accepted[answer["id"]] = (tool, script)
        elif what == "again":
            key = self.dice.choice(list(KEYS))
            answer = gate.submit("once", params={"script": KEYS[key]}, once=key)
            if answer and answer["ok"]:
                self.accepted[answer["id"]] = ("once", KEYS[key])
                self.by_key.append((key, answer["id"]))
        elif what in ("prune", "amend"):
            answer = gate.ask({"op": what, "id": job, "note": {"n": self.answers}})
        elif what == "kill":
            answer = gate.kill(job)
        elif what == "forget":
            self.doubtful.add(job)
            answer = gate.ask({"op": "forget", "id": job})
            if answer:
                self.doubtful.discard(job)
                if answer["ok"] or jobs.error(answer) == "ENOENT":
                    self.forgotten.add(job)
        elif what == "watch":
            ids = self.dice.sample(list(self.accepted), min(len(self.accepted), 20))
            answer = gate.ask({"op": self.dice.choice(["watch", "unwatch"]), "ids": ids})
        elif what == "may":
            answer = gate.ask({"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1000})
        else:
            answer = gate.queue()
        self.answers += answer is not None
        return answer is not None


def weather(stack, dice, over):
    """What befalls the helper."""
    while not over.wait(dice.uniform(0.2, 0.9)):
        what = dice.choices(["anew", "reload", "shot", "end", "supervisor"], [4, 2, 2, 1, 2])[0]
        if what == "anew":
            try:
                with stack.helper(admin=True) as admin:
                    admin.ask({"op": "restart"})
            except ConnectionError:
                pass
        elif what == "reload":
            stack.kill("helper", signal.SIGHUP)
        elif what == "supervisor":
            pids = stack.pids("supervisor")
            if pids:
                try:
                    os.kill(dice.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        else:
            child = stack.server.children["helper"]
            assert child.poll() is None, f"the helper ended by itself with {child.returncode}\n{stack.log('helper')[-3000:]}"
            stack.kill("helper") if what == "shot" else stack.stop("helper")
            stack.start("helper")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_answered_holds(make_stack, seed):
    stack = make_stack(parts=("helper",), tools=TOOLS, slots=3, conf={"helper": {"attempts_max": "100"}, "spool": {"redo_bytes": "4M"}})
    dice, over = random.Random(seed), threading.Event()
    riders = [Rider(stack, random.Random(f"{seed}-{i}"), over) for i in range(5)]
    timer = threading.Timer(SECONDS, over.set)
    for thread in (*riders, timer):
        thread.start()
    try:
        weather(stack, dice, over)
    finally:
        over.set()
        timer.cancel()
        for rider in riders:
            rider.join(40)
    assert not [rider.error for rider in riders if rider.error or rider.is_alive()]
    assert stack.server.children["helper"].poll() is None
    accepted = {job: what for rider in riders for job, what in rider.accepted.items()}
    forgotten = set().union(*(rider.forgotten for rider in riders))
    doubtful = set().union(*(rider.doubtful for rider in riders))
    assert len(accepted) > 50 and sum(rider.answers for rider in riders) > 300
    memory = stack.server.in_memory("transient")
    with stack.helper() as gate:
        def live():
            return [job for job in jobs.all_jobs(stack) if not stack.record(job, "result.json")]

        def ended():
            for job in live() + os.listdir(os.path.join(memory, "active")):	# also those whose askers never heard of them, and what is being put in its place just now
                gate.kill(job, "end")
            queue = gate.queue()
            return queue["queued"] + queue["running"] == 0

        try:
            machine.wait_for(ended, 300, "the queue is empty", pause=0.2)
        except TimeoutError:
            for job in live():	# for whoever has to find out why
                print(job, os.listdir(stack.job_folder(job)), stack.record(job, "state.json"), stack.record(job, "run.json"))
            raise
    there = set(jobs.all_jobs(stack))
    for job, (tool, script) in accepted.items():
        result = stack.record(job, "result.json")
        if job in forgotten:
            assert job not in there, job
            continue
        if job not in there or (not result and not os.path.exists(stack.job_folder(job))):	# expired since we looked
            assert job in doubtful or tool == "brief", (job, tool, script)
            continue
        assert result, (job, tool, script)
        wanted = {"true": "passed", "sleep 0.05": "passed", "echo x >out": "passed", "exit 3": "failed", ENDLESS: "killed"}[script]
        assert result["verdict"] in (wanted, "killed", "lost"), (job, tool, script, result)
        if result["verdict"] == "lost":	# its supervisor was shot, and it may not run twice
            assert tool != "twice", (job, result)
        elif result["verdict"] == "killed":
            assert result["by"] in ("end", "test"), (job, result)
    assert sum(len(rider.by_key) for rider in riders) > 10
    check_keys(riders, forgotten | doubtful)
    check_alone(stack, [job for job, (tool, _) in accepted.items() if tool == "alone"])
    # A start-up finds nothing else.
    before = there
    # Read before: a brief one may be forgotten at any moment, and then nothing says any more that it was.
    lasting = {job for job in before if stack.record(job, "job.json").get("tool") not in (None, "brief")}
    stack.kill("helper")
    stack.start("helper")
    after = set(jobs.all_jobs(stack))
    assert not lasting - after and not after - before, (lasting - after, after - before)
    machine.wait_for(lambda: not jobs.names(stack, "incoming") and not jobs.names(stack, "trash"), 20, "nothing lies about")
    assert os.listdir(os.path.join(memory, "incoming")) == [] and os.listdir(os.path.join(memory, "active")) == []
    stack.end_of_memory()


def check_keys(riders, may_be_gone):
    """Of all that was submitted under one key there is one job, or those before it are gone."""
    for key in KEYS:
        ids = {job for rider in riders for k, job in rider.by_key if k == key}
        assert len(ids - may_be_gone) <= 1, (key, ids)


def check_alone(stack, ids):
    """No two ran at the same time."""
    runs = [stack.record(job, "result.json") for job in ids]
    runs = sorted((r["started_usec"], r["ended_usec"]) for r in runs if r.get("started_usec"))
    for (_, ended), (started, _) in zip(runs, runs[1:]):
        assert ended <= started, runs
