"""receipt.json: what went in, what ran and what came out, in hashes that anybody can make again."""

import hashlib
import os
import tempfile

import pytest

from lib import machine, running, v1

SCRIPT = "cat data.txt; echo answer >out.txt; mkdir -p d; echo deep >d/e; printf x >$(printf 'bad\\377'); echo note >&2"
TOOLS = {
    "apart": v1.shell(SCRIPT, head="title = A test\nversion = 1.2\n", inputs="[input data.txt]\n", stdout="apart",
                      parameters="[parameter seed]\ntype = integer\nenvironment = SEED\ndefault = 4\n"),
    "slow": v1.shell("exec sleep 60"),
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def program():
    """A program that a test may replace."""
    with tempfile.TemporaryDirectory(prefix="sg-program-") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "program")
        put(path, "#!/bin/sh\necho old\n")
        yield path


def put(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


@pytest.fixture(scope="module")
def client(ground, programs, program):
    tools = {**TOOLS, "mine": f"[tool]\ncommand = {program}\nenvironment = KEY=hidden\nfolders = {os.path.dirname(program)}\n"}
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools=tools, slots=1))


def receipt_of(client, job):
    answer = v1.look(client.get(f"/jobs/{job['id']}/receipt"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_hash_is_that_of_what_it_names(client):
    job = client.run("apart", inputs={"data.txt": "in\n"})
    receipt = receipt_of(client, job)
    assert job["verdict"] == receipt["verdict"] == "passed" and receipt["id"] == job["id"] and receipt["attempt"] == 1
    assert receipt["inputs"] == [{"name": "data.txt", "size": 3, "sha256": sha256(b"in\n")}]
    tool, program = sha256(TOOLS["apart"].encode()), sha256(open("/bin/sh", "rb").read())
    assert (receipt["tool"], receipt["tool_version"], receipt["tool_sha256"], receipt["program_sha256"]) == ("apart", "1.2", tool, program)
    assert receipt["fingerprint"] == sha256((tool + program).encode())
    assert "program_changed" not in receipt
    assert receipt["environment"] == ["SEED=4"] and receipt["network"] is False
    assert (receipt["accepted"], receipt["started"], receipt["ended"]) == (job["created"], job["started"], job["ended"])
    assert receipt["log"] == {"bytes": 5, "sha256": sha256(b"note\n")}
    assert receipt["stdout"] == {"bytes": 3, "sha256": sha256(b"in\n")}
    files = {f.get("name", f.get("encoded")): (f["bytes"], f["sha256"]) for f in receipt["files"]}
    assert files == {"data.txt": (3, sha256(b"in\n")), "out.txt": (7, sha256(b"answer\n")), "d/e": (5, sha256(b"deep\n")),
                     "bad%FF": (1, sha256(b"x"))}
    assert receipt["outputs"]["files"] == 4


def test_a_killed_run_has_a_receipt_and_one_that_never_ran_too(client):
    running_job = client.submit("slow")
    machine.wait_for(lambda: client.get(f"/jobs/{running_job['id']}").json()["started"], 30, "it runs")
    queued = client.submit("slow")
    for job in (queued, running_job):
        client.request("POST", f"/jobs/{job['id']}/kill")
    assert client.wait(queued["id"])["verdict"] == "killed"
    receipt = receipt_of(client, queued)
    assert (receipt["verdict"], receipt["attempt"], receipt["started"], receipt["jail"], receipt["log"], receipt["files"]) == (
        "killed", 0, None, None, None, [])
    assert receipt["outputs"] == {"files": 0, "bytes": 0, "manifest_sha256": None} and receipt["argv"] and receipt["fingerprint"]
    done = client.wait(running_job["id"])
    assert done["verdict"] == "killed"
    receipt = receipt_of(client, done)
    assert receipt["verdict"] == "killed" and receipt["stdout"] is None and receipt["files"] == []


def test_a_program_that_was_replaced_is_told(client, program):
    old = sha256(b"#!/bin/sh\necho old\n")
    receipt = receipt_of(client, client.run("mine"))
    assert receipt["program_sha256"] == old and "program_changed" not in receipt
    assert receipt["environment"] == [] and "hidden" not in str(receipt)
    blocker = client.submit("slow")
    queued = client.submit("mine")
    put(program, "#!/bin/sh\necho new\n")
    client.request("POST", f"/jobs/{blocker['id']}/kill")
    receipt = receipt_of(client, client.wait(queued["id"]))
    assert receipt["program_sha256"] == old and receipt["program_changed"] is True
    receipt = receipt_of(client, client.run("mine"))
    assert receipt["program_sha256"] == sha256(b"#!/bin/sh\necho new\n") and "program_changed" not in receipt
