"""The native API: what a finished job left, through nginx."""

import hashlib
import json
import urllib.parse

import pytest
import requests

from lib import running, v1

NAMES = ["plain.txt", "with blank", "per%cent", "a+b&c=d?e#f;g", "quote\"back\\slash", "\u00e4\u20ac\U0001f9ec", "dir/in/side", "-dash", "new\nline"]
TOOLS = {
    "many": v1.shell("i=0; while [ $i -lt 2500 ]; do echo $i >f$i; i=$((i+1)); done", limits="wall = 120s\noutput-files = 10000\n"),
    "answer": v1.shell("printf answer; echo note >&2", stdout="apart"),
    "slow": v1.shell("exec sleep 60"),
}
PYTHON = """import os
os.makedirs("dir/in"); os.mkdir("empty")
for name in %r:
    with open(name, "w") as file: file.write(name * 3)
with open(b"bad\\xffname", "w") as file: file.write("x")
os.symlink("/etc/passwd", "link"); os.symlink("/", "root"); os.mkfifo("fifo"); open("h1", "w").close(); os.link("h1", "h2")
""" % (NAMES,)
TOOLS["writer"] = """[tool]
command =
	/usr/bin/python3
	-B
	write.py
[input write.py]
"""


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


@pytest.fixture(scope="module")
def done(client):
    done = client.run("writer", inputs={"write.py": PYTHON})
    assert done["verdict"] == "passed", client.get(f"/jobs/{done['id']}/log").text
    return done


def files(client, job, **query):
    answer = v1.look(client.get(f"/jobs/{job}/files", params=query))
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["files", "next"]
    return answer.json()


def test_files_and_nothing_else_are_listed(client, done):
    found = files(client, done["id"])
    assert found["next"] is None
    assert sorted(f["name"] for f in found["files"]) == sorted([*NAMES, "bad\ufffdname", "h2", "write.py"])	# of two links to one file one is left
    for file in found["files"]:
        if file["name"] in NAMES:
            data = (file["name"] * 3).encode()
            assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def fetch(client, href, **more):
    """requests would decode and encode the address anew; this keeps it."""
    request = client.session.prepare_request(requests.Request("GET", client.stack.url(path="/"), **more))
    request.url = client.stack.url(path=href)
    return client.session.send(request, timeout=30)


def test_each_file_is_served_by_the_address_in_the_list(client, done):
    for file in files(client, done["id"])["files"]:
        answer = v1.look(fetch(client, file["href"]))
        assert answer.status_code == 200, (file, answer.text)
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["Content-Type"] == "application/octet-stream"
        last = file["name"].rpartition("/")[2]
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith('attachment; filename="') and disposition.isascii() and "\n" not in disposition
        if "\ufffd" not in last:
            assert urllib.parse.unquote(disposition.partition("filename*=UTF-8''")[2], errors="strict") == last


def test_ranges_and_conditions(client, done):
    href = f"/v1/jobs/{done['id']}/files/plain.txt"
    answer = fetch(client, href)
    tag = answer.headers["ETag"]
    part = fetch(client, href, headers={"Range": "bytes=5-8", "If-Range": tag})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, answer.content[5:9], f"bytes 5-8/{len(answer.content)}")
    assert fetch(client, href, headers={"If-None-Match": tag}).status_code == 304
    assert fetch(client, href, headers={"Range": "bytes=999-"}).status_code == 416


@pytest.mark.parametrize("path", [
    "nope", "link", "root", "root/etc/passwd", "fifo", "h1", "empty", "dir", "dir/in", "dir//in/side", "dir/in/side/", "../job.json", "..%2fjob.json",
    "dir%2fin%2fside", "%2e%2e/job.json", ".", "plain.txt/x", "x" * 3000, "%00", "bad%fename"])
def test_nothing_else_is_served(client, done, path):
    answer = fetch(client, f"/v1/jobs/{done['id']}/files/{path}")
    assert answer.status_code in (400, 404), (answer.status_code, answer.text[:200])


def test_pages_of_files(client):
    job = client.run("many")["id"]
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = files(client, job, **({"cursor": cursor} if cursor else {}))
        found += page["files"]
        cursor, pages = page["next"], pages + 1
    assert pages == 3 and len(found) == 2500
    assert {f["name"]: f["bytes"] for f in found} == {f"f{i}": len(str(i)) + 1 for i in range(2500)}
    for bad in ("x", "0", "-1"):
        v1.problem(client.get(f"/jobs/{job}/files", params={"cursor": bad}), 400, ("parameter", "cursor"))


def test_stdout_apart(client, done):
    job = client.run("answer")["id"]
    answer = v1.look(client.get(f"/jobs/{job}/stdout"))
    assert (answer.content, answer.headers["Content-Type"]) == (b"answer", "application/octet-stream")
    assert client.get(f"/jobs/{job}/log").content == b"note\n"
    assert files(client, job) == {"files": [], "next": None}
    v1.problem(client.get(f"/jobs/{done['id']}/stdout"), 404)


def test_the_receipt(client, done):
    answer = v1.look(client.get(f"/jobs/{done['id']}/receipt"))
    receipt = json.loads(answer.content)
    assert (receipt["id"], receipt["tool"], receipt["verdict"]) == (done["id"], "writer", "passed")
    assert receipt["inputs"] == [{"name": "write.py", "size": len(PYTHON.encode()), "sha256": hashlib.sha256(PYTHON.encode()).hexdigest()}]


def test_not_before_the_job_is_finished(client):
    job = client.submit("slow")["id"]
    for path in ("/files", "/files/x", "/stdout", "/receipt"):
        v1.problem(client.get(f"/jobs/{job}{path}"), 409)
    client.request("POST", f"/jobs/{job}/kill")
