"""Each attack of attacks.py against a whole stack: verdict, message, what the tool found, and what must not be there afterwards."""

import json
import os
import re
import select
import socket
import subprocess

import pytest

from attack import attacks
from lib import jobs, machine, running, v1
from stack import procs

CANARY = "the canary of a file outside"


def tool_of(attack):
    limits = {key: value for key, value in {**attacks.LIMITS, **attack.limits}.items() if value is not None}
    return running.tool(["/usr/bin/python3", "-s", "{program.py}"], inputs=["program.py", "about.json"], **limits)


def key(attack):
    return "a" + re.sub("[^a-z0-9]+", "-", attack.name.lower())[:60]


def own_address():
    """One of this host's that is not loopback, or one that no host has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))	# sends nothing
            return s.getsockname()[0]
        except OSError:
            return "192.0.2.1"


class Ground:
    """A stack with a tool for each attack, another's job with a secret, and what listens on the host."""

    def __init__(self, several, path):
        self.outside = os.path.join(path, "outside")
        os.makedirs(self.outside)
        with open(os.path.join(self.outside, "canary"), "w", encoding="ascii") as file:
            file.write(CANARY)
        os.chmod(self.outside, 0o777)
        os.chmod(os.path.join(self.outside, "canary"), 0o644)
        tools = {key(a): tool_of(a) for a in attacks.ATTACKS}
        tools["other"] = v1.shell("echo hidden >secret; echo printed; exec sleep 1000", limits="wall = 1000s\n")
        self.stack = several.make(conf=v1.OPEN, tools=tools, slots=2)
        self.client = v1.Client(self.stack)
        self.tcp = socket.create_server(("", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("", 0))
        self.abstract, self.path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0sg-attack-{os.getpid()}")
        self.path.bind(os.path.join(self.outside, "socket"))
        os.chmod(os.path.join(self.outside, "socket"), 0o777)
        for s in (self.abstract, self.path):
            s.listen()
        self.other = self.client.submit("other")["id"]
        machine.wait_for(lambda: os.path.exists(os.path.join(self.stack.job_folder(self.other), "work/secret")), 30, "the other runs")

    def about(self):
        return json.dumps({
            "spool": self.stack.spool, "other": self.stack.job_folder(self.other), "config": self.stack.server.config_file,
            "secrets": self.stack.server.in_memory("secrets"),
            "helper": self.stack.pids("helper")[0], "supervisor": self.stack.record(self.other, "run.json")["pid"], "outside": self.outside,
            "address": own_address(), "tcp": self.tcp.getsockname()[1], "udp": self.udp.getsockname()[1], "abstract": self.abstract.getsockname().decode("ascii"),
            "path": self.path.getsockname()})

    def submit(self, attack, client=None):
        inputs = {"program.py": attacks.HEAD + attack.program, "about.json": self.about()}
        return (client or self.client).submit(key(attack), inputs=inputs)["id"]

    def reached(self):
        """Which of what listens here has met somebody."""
        return select.select([self.tcp, self.udp, self.abstract, self.path], [], [], 0)[0]

    def end(self):
        self.client.request("POST", f"/jobs/{self.other}/kill")
        assert self.client.wait(self.other)["verdict"] == "killed", "the other job was touched"
        for s in (self.tcp, self.udp, self.abstract, self.path):
            s.close()


@pytest.fixture(scope="module")
def field(ground, programs):
    with running.Several(ground, programs) as several:
        made = Ground(several, os.path.join(ground, "attack"))
        yield made
        made.end()


def look_at_live(field, job):
    """Asks for the job until it has ended: its progress is nothing or its own."""
    seen = []

    def ended():
        body = v1.job(field.client.get(f"/jobs/{job}"))
        seen.append(body["progress"])
        return body["state"] == "finished"
    machine.wait_for(ended, 60, "it ends", pause=0)
    assert all(progress in (None, {"fine": 1}) for progress in seen) and len(seen) > 20, seen


def same(found, wanted):
    return {name: wanted[name] if name not in found else found[name] if not isinstance(wanted[name], tuple) else
            wanted[name] if found[name] in wanted[name] else found[name] for name in wanted}


@pytest.mark.parametrize("attack", attacks.ATTACKS, ids=lambda a: a.name)
def test_attack(field, attack):
    stack, client = field.stack, field.client
    job = field.submit(attack)
    init = machine.wait_for(lambda: stack.record(job, "run.json").get("init_pid"), 30, "it begins")
    if attack.kill:
        jobs.wait_log(stack, job, "up")
        client.request("POST", f"/jobs/{job}/kill")
    if "live" in attack.limits:
        look_at_live(field, job)
    done = client.wait(job, 120)
    result, log = stack.record(job, "result.json"), jobs.log(stack, job)
    message = result["message"]
    assert done["verdict"] == attack.verdict, (result, log[-2000:])
    assert message.split(";")[0] in attack.message, result
    if attack.found is not None:
        found = json.loads(log)
        for name, wanted in attack.found.items():
            assert found.pop(name) in (wanted if isinstance(wanted, tuple) else (wanted,)), (name, log)
        assert found == {}
    # The pid namespace goes with its first process.
    process = procs.Process.of(init)
    assert process is None or process.wait(2), "the jail's init lives on"
    look_after(field, attack, job)


def look_after(field, attack, job):
    """What the attack must not have left or reached."""
    stack = field.stack
    files = {entry["name"]: entry for entry in field.client.get(f"/jobs/{job}/files").json()["files"]}
    if "kept" in attack.program and attack.verdict in ("passed", "output_limit") and 'open("kept"' in attack.program:
        assert len([path for path in files if path in ("kept", "again")]) == 1 and not {"link", "folder", "fifo", "socket", "f"} & set(files), files
    if "a/b/c/kept" in attack.program:
        assert field.client.get(f"/jobs/{job}/files/a/b/c/kept").text == "kept"
    if attack.name == "core dumps":
        assert set(files) == {"program.py", "about.json"}, files
    if attack.name.startswith("10 GB to standard"):
        assert os.path.getsize(os.path.join(stack.job_folder(job), "log")) == 64 << 10
    if attack.name.startswith("10 GB to a"):
        assert os.path.getsize(os.path.join(stack.job_folder(job), "stdout")) == 1 << 20
    assert sorted(os.listdir(field.outside)) == ["canary", "socket"] and not field.reached()
    assert open(os.path.join(field.outside, "canary"), encoding="ascii").read() == CANARY
    assert not os.path.exists("/tmp/attack") and not os.path.exists("/dev/shm/attack")
    odd = subprocess.run(["find", stack.job_folder(job), "!", "-type", "f", "!", "-type", "d"], capture_output=True, text=True, check=True)
    assert odd.stdout == ""
    # Whatever it was, it can be forgotten.
    assert field.client.request("DELETE", f"/jobs/{job}").status_code == 204
    machine.wait_for(lambda: os.listdir(os.path.join(stack.spool, "trash")) == [], 60, "its folder is gone")


def test_the_table_is_drawn_from_these_tests():
    path = os.path.join(machine.ROOT, "doc/security.md")
    with open(path, encoding="utf-8") as file:
        assert attacks.table() in file.read(), "python3 tests/attack/report.py draws it"
