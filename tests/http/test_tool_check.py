"""spoolgate tool check, and the examples of spoolgate-tool(5): what the manual shows is installed, is sound, and runs."""

import glob
import json
import os
import re
import subprocess

import pytest

from lib import machine, running, v1

EXAMPLES = ["count", "glpsol", "licences"]
BAD = """[tool]
command =
	cat
	{nothing}
secrets = yes
volumes = x
[parameter p]
type = integer
default = x
"""
DIET = """Maximize
 profit: 3 x + 2 y
Subject To
 one: x + y <= 4.5
 two: x + 3 y <= 7
Bounds
 x <= 3
General
 x
 y
End
"""


@pytest.fixture(scope="module")
def command(programs):
    def run(*args):
        done = subprocess.run([os.path.join(programs, "bin/spoolgate"), "tool", *args], capture_output=True, text=True, timeout=30)
        assert not done.stderr or done.returncode == 2, done.stderr
        return done.returncode, done.stdout
    return run


def manual_examples():
    """Each literal display that follows ".Pa NAME.tool :"."""
    with open(os.path.join(machine.ROOT, "man/spoolgate-tool.5")) as file:
        text = file.read()
    found = re.findall(r"^\.Pa (\S+)\.tool :\n\.Bd -literal[^\n]*\n(.*?)^\.Ed\n", text, re.S | re.M)
    return {name: body for name, body in found}


@pytest.fixture(scope="module")
def client(ground, programs):
    if not os.path.exists("/usr/bin/glpsol"):
        machine.cannot("there is no glpsol here")
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools=manual_examples(), slots=2))


def test_the_manual_shows_the_installed_examples(command, programs):
    shown = manual_examples()
    assert sorted(shown) == EXAMPLES
    for name, body in shown.items():
        if name == "glpsol" and not os.path.exists("/usr/bin/glpsol"):
            continue
        paths = glob.glob(os.path.join(programs, f"share/doc/*/examples/tools/{name}.tool"))
        assert len(paths) == 1
        with open(paths[0]) as file:
            assert file.read() == body
        status, out = command("check", paths[0])
        assert status == 0 and out.startswith(f"tool: {name}\n"), out


def test_every_fault_is_told_with_its_line(command, tmp_path):
    path = tmp_path / "bad.tool"
    path.write_text(BAD)
    faults = [(4, "command: {nothing} is neither a parameter nor an input"), (5, '[tool] has no key "secrets"'),
              (6, "volumes is not served by this version"), (9, "parameter p: its default is refused: it is no value of this type")]
    status, out = command("check", str(path))
    assert status == 78
    assert sorted(out.splitlines()) == sorted(f"{path}:{line}: {detail}" for line, detail in faults)
    good = tmp_path / "good.tool"
    good.write_text("[tool]\ncommand =\n\tcat\n\t{a}\n[input a]\n")
    status, out = command("check", "--json", str(path), str(good))
    assert status == 78
    first, second = json.loads(out)["files"]
    assert first["file"] == str(path) and first["tool"] is None
    assert sorted((f["line"], f["detail"]) for f in first["faults"]) == sorted(faults)
    assert second["faults"] == [] and second["tool"]["command"] == ["/usr/bin/cat", "{a}"] and second["tool"]["name"] == "good"


def test_what_is_no_tool_file(command, tmp_path):
    (tmp_path / "x.conf").write_text("[tool]\ncommand = cat\n")
    assert command("check", str(tmp_path / "x.conf")) == (78, f"{tmp_path}/x.conf: a tool file is called NAME.tool\n")
    assert command("check", str(tmp_path / "no.tool")) == (78, f"{tmp_path}/no.tool: No such file or directory\n")
    assert command("check", "/no/folder/x.tool") == (78, "/no/folder/x.tool: No such file or directory\n")
    (tmp_path / "esc.tool").write_text("[tool]\ncommand = cat\n\x1b[2Jx = 1\n")
    status, out = command("check", str(tmp_path / "esc.tool"))
    assert status == 78 and "\x1b" not in out
    for args in ((), ("check",), ("look", "x.tool"), ("check", "--nonsense", "x.tool")):
        assert command(*args)[0] == 2


def test_glpsol_solves_a_program(client):
    job = client.run("glpsol", {"seconds": 20}, inputs={"problem": DIET})
    log = client.get(f"/jobs/{job['id']}/log").text
    assert job["verdict"] == "passed", log
    assert "INTEGER OPTIMAL SOLUTION FOUND" in log
    solution = client.get(f"/jobs/{job['id']}/files/solution.txt").text
    assert re.search(r"^Objective: +profit = 11 \(MAXimum\)$", solution, re.M), solution
    job = client.run("glpsol", {"relaxed": True}, inputs={"problem": DIET})
    solution = client.get(f"/jobs/{job['id']}/files/solution.txt").text
    assert re.search(r"^Objective: +profit = 11 \(MAXimum\)$", solution, re.M) is None and "profit = " in solution, solution


def test_glpsol_refuses_what_it_cannot_read(client):
    job = client.run("glpsol", inputs={"problem": "nonsense"})
    assert job["verdict"] == "failed" and job["exit_code"] == 1
    answer = client.request("POST", "/jobs", json={"tool": "glpsol", "parameters": {"seconds": 101}, "inputs": {"problem": {"text": ""}}})
    v1.problem(answer, 422, ("pointer", "/parameters/seconds"))


def test_the_other_examples_run(client):
    job = client.run("count", inputs={"text.txt": "three small words\n"})
    assert client.get(f"/jobs/{job['id']}/stdout").text == "3 text.txt\n"
    job = client.run("licences", {"text": "GNU GENERAL PUBLIC LICENSE", "count": 1, "ignore_case": True})
    log = client.get(f"/jobs/{job['id']}/log").text
    assert job["verdict"] == "passed" and "licences/GPL-3:" in log, log
