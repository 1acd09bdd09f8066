"""While one owner attacks with half of the slots, another's short jobs all end as they should, and in about the time that they take alone.

It compares times, so runtests runs it by itself; what else the machine does can only add, and the least of three tries counts."""

import time

import pytest

from attack import attacks, test_attacks
from lib import machine, running, v1

JOBS = 50
HEAVY = [a for a in attacks.ATTACKS if a.heavy]


class Match:
    def __init__(self, several, path):
        tools = {test_attacks.key(a): test_attacks.tool_of(a) for a in HEAVY}
        tools["short"] = v1.shell("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo done", limits="wall = 60s\nmemory = 64M\nprocesses = 10\n")
        self.stack = several.make(conf={"helper": {"owner_running": "1"}}, tools=tools, slots=2)
        self.attacker, self.neighbour = (v1.Client(self.stack, self.stack.token(name)) for name in ("attacker", "neighbour"))
        self.alone = min(self.measure() for _ in range(2))

    def measure(self):
        """Seconds from the first submission to the last end."""
        begun = time.monotonic()
        ids = [self.neighbour.submit("short")["id"] for _ in range(JOBS)]
        verdicts = [self.neighbour.wait(job, 120)["verdict"] for job in ids]
        assert verdicts == ["passed"] * JOBS
        return time.monotonic() - begun


@pytest.fixture(scope="module")
def match(ground, programs):
    with running.Several(ground, programs) as several:
        yield Match(several, ground)


@pytest.mark.parametrize("attack", HEAVY, ids=lambda a: a.name)
def test_neighbours_hardly_notice(match, attack):
    inputs = {"program.py": attacks.HEAD + attack.program, "about.json": "{}"}
    ratios = []
    while not ratios or min(ratios) > 3 > len(ratios):
        # Enough of them to last; what is left over is killed.
        ids = [match.attacker.submit(test_attacks.key(attack), inputs=inputs)["id"] for _ in range(30)]
        machine.wait_for(lambda: match.stack.record(ids[0], "run.json"), 30, "the attack begins")
        ratios.append(match.measure() / match.alone)
        still = v1.job(match.attacker.get(f"/jobs/{ids[-1]}"))["state"]
        for job in ids:
            match.attacker.request("POST", f"/jobs/{job}/kill")
        ended = {match.attacker.wait(job)["verdict"] for job in ids}
        assert ended <= {attack.verdict, "killed"}, ended
        assert still != "finished", "the attack did not last"
    print(f"{attack.name}: {min(ratios):.2f} x of {match.alone:.2f} s")
    assert min(ratios) <= 3, ratios
