"""Stan compiles while gate, helper and supervisors are killed at random moments: who is told of a model finds all of it, every entry
of the cache is whole at every moment, and nothing is left where they worked."""

import os
import random
import threading

import pytest
import requests

from lib import machine, stan
from test_random_kills import Load, finish, kill_at_random

SECONDS = 20
FILES = {"main.js", "main.wasm"}


class Reader(Load):
    """Compiles programs that others compile too, and loads each at once."""

    def __init__(self, stack, dice):
        super().__init__(stack)
        self.client, self.dice = stan.Client(stack), dice
        self.told, self.wrong = set(), []

    def ask(self, call):
        """The answer, or None where nobody gave one or it is one to try again after."""
        try:
            answer = call()
        except requests.RequestException:
            return None
        return None if answer.status_code in (500, 502, 503, 504) else answer

    def one(self):
        source = stan.program("sleep 0.1", name=f"r{self.dice.randrange(200)}")
        answer = self.ask(lambda: self.client.compile(source))
        if not answer:
            return
        if answer.status_code != 200 or answer.json()["model_id"] != stan.model_id(source):
            self.wrong.append(answer.text)
            return
        self.told.add(answer.json()["model_id"])
        for name in FILES:
            loaded = self.ask(lambda name=name: self.client.get(f"/download/{answer.json()['model_id']}/{name}"))
            if loaded and (loaded.status_code != 200 or not loaded.content):
                self.wrong.append(f"{name}: {loaded.status_code}")


def watch_cache(client, over, wrong):
    while not over.wait(0.005):
        for name in client.entries():
            if not FILES <= set(client.entry(name) or FILES):	# None: it was replaced meanwhile
                wrong.append(name)


@pytest.mark.slow
def test_random_kills_of_compiles(make_stack, ground):
    seed = int(os.environ.get("SPOOLGATE_SEED") or random.randrange(1 << 30))
    print(f"SPOOLGATE_SEED={seed}")
    dice = random.Random(seed)
    folder = stan.compiler(os.path.join(ground, "stan-crash"))
    stack = make_stack(slots=3, environment=stan.environment(folder), conf={"helper": {"attempts_max": "100"}})
    client = stan.Client(stack).ready()
    over, partial = threading.Event(), []
    watcher = threading.Thread(target=watch_cache, args=(client, over, partial), daemon=True)
    readers = [Reader(stack, random.Random(dice.random())) for _ in range(4)]
    for thread in (watcher, *readers):
        thread.start()
    kills = kill_at_random(stack, dice, SECONDS)
    finish(readers)
    machine.wait_for(lambda: client.get("/status").json()["queued"] + client.get("/status").json()["running"] == 0, 60, "all compiles end", pause=0.2)
    over.set()
    watcher.join(10)
    told = set().union(*(reader.told for reader in readers))
    print(f"{len(told)} models, killed {dict(kills)}")
    assert len(told) > 10 and not partial and not [w for reader in readers for w in reader.wrong], (partial[:5], [r.wrong[:3] for r in readers])
    for model in told:
        assert FILES <= set(client.entry(model)), model
    machine.wait_for(lambda: not os.listdir(client.scratch), 10, "nothing is left in the job dir")
    machine.wait_for(lambda: not [n for n in os.listdir(client.cache) if n.startswith(".")], 10, "nothing is left in the cache")
    verdicts = {job: stack.record(job, "result.json").get("verdict") for job in stack.jobs()}
    assert set(verdicts.values()) <= {"passed", "refused"}, verdicts	# refused: shot three times before it began
    assert not stack.pids("supervisor")
