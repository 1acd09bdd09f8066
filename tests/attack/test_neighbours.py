"""While one owner attacks with half of the slots, another's short jobs all end as they should, and in about the time that they take alone.

It compares times, so runtests runs it by itself; what else the machine does can only add, and the least of three tries counts."""

import concurrent.futures
import contextlib
import json
import threading
import time

import pytest

from attack import attacks, test_attacks
from lib import running, v1

JOBS = 50


class Match:
    def __init__(self, several, ground):
        tools = {test_attacks.key(a): test_attacks.tool_of(a) for a in attacks.ATTACKS}
        tools["short"] = v1.shell("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo done", limits="wall = 60s\nmemory = 64M\nprocesses = 10\n")
        self.stack = several.make(conf={"helper": {"owner_running": "1"}}, tools=tools, slots=2)
        self.token = self.stack.token("attacker")
        self.neighbour = v1.Client(self.stack, self.stack.token("neighbour"))
        helper, spool = self.stack.pids("helper")[0], self.stack.spool
        self.about = json.dumps({
            "spool": spool, "other": spool + "/jobs/00/" + "0" * 32, "config": self.stack.server.config_file, "secrets": self.stack.server.in_memory("secrets"),
            "helper": helper, "supervisor": helper, "outside": ground, "address": "192.0.2.1", "tcp": 1, "udp": 1, "abstract": "\0sg-nobody", "path": ground + "/nobody"})
        self.alone = min(self.measure() for _ in range(2))

    def measure(self):
        """Seconds from the first submission to the last end."""
        begun = time.monotonic()
        ids = [self.neighbour.submit("short")["id"] for _ in range(JOBS)]
        verdicts = [self.neighbour.wait(job, 120)["verdict"] for job in ids]
        assert verdicts == ["passed"] * JOBS
        return time.monotonic() - begun

    @contextlib.contextmanager
    def attacked(self, attack):
        """One of its jobs runs and another waits, all the while. Yields the verdicts so far."""
        over, verdicts, first = threading.Event(), [], threading.Event()
        inputs = {"program.py": attacks.HEAD + attack.program, "about.json": self.about}

        def go_on():
            client = v1.Client(self.stack, self.token)
            while not over.is_set():
                job = client.submit(test_attacks.key(attack), inputs=inputs)["id"]
                first.set()
                while not over.is_set() and v1.job(client.get(f"/jobs/{job}/wait", params={"timeout": 1}))["state"] != "finished":
                    pass
                client.request("POST", f"/jobs/{job}/kill")
                verdicts.append(client.wait(job)["verdict"])
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = [pool.submit(go_on) for _ in range(2)]
            try:
                assert first.wait(30)
                yield verdicts
            finally:
                over.set()
        for one in both:
            one.result()


@pytest.fixture(scope="module")
def match(ground, programs):
    with running.Several(ground, programs) as several:
        yield Match(several, ground)


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=lambda a: a.name)
def test_neighbours_hardly_notice(match, attack):
    ratios = []
    while not ratios or min(ratios) > 3 > len(ratios):
        with match.attacked(attack) as verdicts:
            ratios.append(match.measure() / match.alone)
        assert set(verdicts) <= {attack.verdict, "killed"}, verdicts
    print(f"{attack.name}: {min(ratios):.2f} x of {match.alone:.2f} s, {len(verdicts)} attacks")
    assert min(ratios) <= 3, ratios
