"""The native API: what a job left, as one zip."""

import contextlib
import io
import os
import signal
import threading
import zipfile

import pytest

from lib import machine, running, v1

HUGE = 100 << 20	# takes a packer seconds

TOOLS = {
    "huge": v1.shell(f"head -c {HUGE} /dev/urandom >huge", limits="wall = 60s\noutput = 1G\n"),
    "writer": v1.shell("mkdir -p dir/in empty; echo a >dir/in/a; head -c 300000 /dev/urandom >big; echo b >'b ä'; echo c >\"$(printf 'c\\377')\"; "
                       "ln -s /etc/passwd link; echo done"),
    "answer": v1.shell("printf answer", stdout="apart"),
    "many": v1.shell("i=0; while [ $i -lt 3000 ]; do echo $i >f$i; i=$((i+1)); done", limits="wall = 120s\noutput-files = 10000\n"),
    "slow": v1.shell("exec sleep 60"),
}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def fetch(client, job, **more):
    answer = v1.look(client.get(f"/jobs/{job}/zip", **more))
    assert answer.status_code in (200, 206), answer.text
    return answer


def packs(stack):
    return sorted(os.listdir(os.path.join(stack.spool, "packs")))


def test_a_zip_has_all_that_is_left_and_nothing_else(client):
    done = client.run("writer")
    answer = fetch(client, done["id"])
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{done["id"]}.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert sorted(n for n in names if not n.startswith("files/")) == ["log", "receipt.json"]
    assert sorted(n for n in names if n.startswith("files/")) == sorted([
        "files/b ä", "files/big", b"files/c\xff".decode("cp437"), "files/dir/", "files/dir/in/", "files/dir/in/a", "files/empty/"])
    assert archive.read("log") == b"done\n" and archive.read("files/dir/in/a") == b"a\n"
    assert archive.read("receipt.json") == client.get(f"/jobs/{done['id']}/receipt").content
    assert archive.read("files/big") == client.get(f"/jobs/{done['id']}/files/big").content
    assert {info.external_attr >> 28 for info in archive.infolist()} == {4, 8}	# folders and files
    assert len({info.date_time for info in archive.infolist()}) == 1


def test_a_zip_made_again_is_the_same_byte_for_byte(client):
    job = client.run("writer")["id"]
    first = fetch(client, job)
    part = fetch(client, job, headers={"Range": "bytes=100-199", "If-Range": first.headers["ETag"]})
    assert (part.status_code, part.content) == (206, first.content[100:200])
    for name in packs(client.stack):
        os.unlink(os.path.join(client.stack.spool, "packs", name))
    again = fetch(client, job)
    assert again.content == first.content and again.headers["ETag"] == first.headers["ETag"]


def test_stdout_goes_along(client):
    archive = zipfile.ZipFile(io.BytesIO(fetch(client, client.run("answer")["id"]).content))
    assert archive.read("stdout") == b"answer" and sorted(archive.namelist()) == ["log", "receipt.json", "stdout"]


def test_a_job_that_never_ran_has_its_receipt(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    first, second = client.submit("slow")["id"], client.submit("slow")["id"]
    client.request("POST", f"/jobs/{second}/kill")
    client.wait(second)
    assert zipfile.ZipFile(io.BytesIO(fetch(client, second).content)).namelist() == ["receipt.json"]
    client.request("POST", f"/jobs/{first}/kill")


def test_many_files_and_many_who_ask(client):
    job = client.run("many", name="x")["id"]
    found = []
    readers = [threading.Thread(target=lambda: found.append(fetch(v1.Client(client.stack), job).content)) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert len(found) == 8 and len(set(found)) == 1
    archive = zipfile.ZipFile(io.BytesIO(found[0]))
    assert len(archive.namelist()) == 3002 and archive.read("files/f2999") == b"2999\n"


def test_a_packer_that_dies_leaves_nothing_and_says_so(make_stack, tmp_path):
    tmp_path.chmod(0o755)
    broken = tmp_path / "pack"
    broken.write_text("#!/bin/sh\necho half >&4\necho half >/dev/fd/4/$1.new\nkill -KILL $$\n")
    broken.chmod(0o755)
    for parent in tmp_path.parents:	# pytest keeps its folders to itself
        if os.stat(parent).st_uid == os.getuid() and parent != parent.parent and str(parent) != "/tmp":
            parent.chmod(0o755)
    stack = make_stack(conf={**v1.OPEN, "helper": {"pack_program": str(broken)}}, tools=TOOLS)
    client = v1.Client(stack)
    job = client.run("answer")["id"]
    answer = client.get(f"/jobs/{job}/zip")
    v1.problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    machine.wait_for(lambda: [n for n in packs(stack) if not n.endswith(".failed")] == [], 10, "no half zip")
    v1.problem(client.get(f"/jobs/{job}/zip"), 503)	# tried anew
    stack.configure("helper", pack_program=os.path.join(os.path.dirname(stack.server.program("libexec/spoolgate/spoolgate-run")), "spoolgate-pack"))
    assert stack.command("reload").returncode == 0
    assert zipfile.ZipFile(io.BytesIO(fetch(client, job).content)).read("stdout") == b"answer"


def packers(stack):
    """The helper's children that make a zip."""
    helper, found = stack.pids("helper")[0], []
    with open(f"/proc/{helper}/task/{helper}/children", encoding="ascii") as children:
        for pid in children.read().split():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/comm", encoding="ascii") as name:
                found += [int(pid)] if name.read().strip() == "spoolgate-pack" else []
    return found


def test_a_packer_that_is_killed_in_its_middle_leaves_nothing(make_stack):
    """The real one: libzip writes to a name of its own making until it is done."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    job, answers = client.run("huge")["id"], []
    asker = threading.Thread(target=lambda: answers.append(v1.Client(stack).get(f"/jobs/{job}/zip")))
    asker.start()
    machine.wait_for(lambda: [n for n in packs(stack) if ".new" in n], 20, "half a zip")
    os.kill(packers(stack)[0], signal.SIGKILL)
    asker.join(30)
    v1.problem(answers[0], 503)
    assert [n for n in packs(stack) if not n.endswith(".failed")] == []
    assert zipfile.ZipFile(io.BytesIO(fetch(client, job).content)).getinfo("files/huge").file_size == HUGE


def test_a_full_packs_folder_keeps_what_was_used_last(make_stack):
    stack = make_stack(conf={**v1.OPEN, "helper": {"packs_max": "400K"}}, tools=TOOLS)
    client = v1.Client(stack)
    for _ in range(3):
        fetch(client, client.run("writer")["id"])
    assert len(packs(stack)) == 3
    stack.restart("helper")	# sweeps at its start
    machine.wait_for(lambda: len(packs(stack)) == 1, 20, "the others are gone")


def test_not_before_the_job_is_finished(client):
    job = client.submit("slow")["id"]
    v1.problem(client.get(f"/jobs/{job}/zip"), 409)
    client.request("POST", f"/jobs/{job}/kill")


def test_a_job_forgotten_while_its_zip_is_there(client):
    job = client.run("answer")["id"]
    fetch(client, job)
    assert client.request("DELETE", f"/jobs/{job}").status_code == 204
    v1.problem(client.get(f"/jobs/{job}/zip"), 404)
