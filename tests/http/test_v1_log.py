"""The native API: logs, whole and in pieces."""

import os
import os
import threading
import time

import pytest

from lib import machine, running, v1

# Goes on whenever the file `go` is put into its working folder from outside.
STEPS = v1.shell("echo one; until [ -e go ]; do sleep 0.02; done; printf two; until [ -e end ]; do sleep 0.02; done; exit 0")
TOOLS = {"steps": STEPS, "quiet": v1.shell("until [ -e end ]; do sleep 0.02; done"), "bytes": v1.shell(r"printf 'a\377\000b\nc'"),
         "big": v1.shell("head -c 300000 /dev/zero | tr '\\0' x"), "long": v1.shell("yes 0123456789 | head -c 3000000", limits="wall = 60s\nlog = 1M\n")}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def piece(client, job, offset, **query):
    """A piece: (bytes, next, complete)."""
    answer = v1.look(client.get(f"/jobs/{job}/log", params={"offset": offset, **query}))
    assert answer.status_code == 200, answer.text
    head = answer.headers
    assert head["Content-Type"] == "application/octet-stream" and head["Spoolgate-Log-Offset"] == str(offset)
    assert int(head["Spoolgate-Log-Next"]) == offset + len(answer.content)
    return answer.content, int(head["Spoolgate-Log-Next"]), {"yes": True, "no": False}[head["Spoolgate-Log-Complete"]]


def touch(client, job, name):
    """A file in the job's working folder."""
    with open(os.path.join(client.stack.job_folder(job), "work", name), "wb"):
        pass


def begun(client, tool):
    job = client.submit(tool)["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"] is not None, 30, "there is a log")
    return job


def later(call):
    """Calls in a thread; the result comes with join()."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()

    def join():
        thread.join(30)
        return found[0]
    return join


def test_a_log_is_followed_piece_by_piece(client):
    job = begun(client, "steps")
    assert piece(client, job, 0, wait=20) == (b"one\n", 4, False)
    assert piece(client, job, 4) == (b"", 4, False)
    waiting = later(lambda: piece(v1.Client(client.stack), job, 4, wait=30))
    touch(client, job, "go")
    assert waiting() == (b"two", 7, False)
    waiting = later(lambda: piece(v1.Client(client.stack), job, 7, wait=30))
    touch(client, job, "end")
    assert waiting() == (b"", 7, True)
    assert piece(client, job, 0, wait=30) == (b"one\ntwo", 7, True)
    assert piece(client, job, 1, limit=2) == (b"ne", 3, False)
    assert piece(client, job, 6, limit=1, wait=30) == (b"o", 7, True)


def test_a_log_is_waited_for_before_the_job_has_begun(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    first, second = begun(client, "quiet"), client.submit("steps")["id"]
    waiting = later(lambda: piece(v1.Client(stack), second, 0, wait=40))
    touch(client, first, "end")
    assert waiting() == (b"one\n", 4, False)
    client.request("POST", f"/jobs/{second}/kill")


def test_a_hold_ends_at_its_time(client):
    job = begun(client, "quiet")
    start = time.monotonic()
    assert piece(client, job, 0, wait=1) == (b"", 0, False)
    assert 1 <= time.monotonic() - start < 20
    touch(client, job, "end")
    assert piece(client, job, 0, wait=30) == (b"", 0, True)


def test_the_whole_log(client):
    done = client.run("bytes")
    answer = v1.look(client.get(f"/jobs/{done['id']}/log"))
    assert (answer.status_code, answer.content) == (200, b"a\xff\0b\nc")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    part = client.get(f"/jobs/{done['id']}/log", headers={"Range": "bytes=1-2", "If-Range": answer.headers["ETag"]})
    assert (part.status_code, part.content) == (206, b"\xff\0")
    assert client.get(f"/jobs/{done['id']}/log", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    job = begun(client, "steps")
    machine.wait_for(lambda: client.get(f"/jobs/{job}/log").content == b"one\n", 20, "what a running job has said")
    client.request("POST", f"/jobs/{job}/kill")


def test_large_pieces_join(client):
    job = client.run("big")["id"]
    data, offset, complete = b"", 0, False
    while not complete:
        more, offset, complete = piece(client, job, offset)
        assert 0 < len(more) <= 65536
        data += more
    assert data == b"x" * 300000


def test_a_cut_log_keeps_its_offsets(client):
    done = client.run("long")
    whole = client.get(f"/jobs/{done['id']}/log").content
    assert len(whole) == done["log_bytes"] == 1 << 20
    assert piece(client, done["id"], 1000000)[0] == whole[1000000:]


def test_a_queued_jobs_log_is_empty(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    first, second = begun(client, "quiet"), client.submit("steps")["id"]
    assert client.get(f"/jobs/{second}/log").content == b""
    assert piece(client, second, 0) == (b"", 0, False)
    assert client.request("POST", f"/jobs/{second}/kill").status_code in (200, 202)
    client.wait(second)
    assert piece(client, second, 0, wait=10) == (b"", 0, True)
    touch(client, first, "end")


def test_an_offset_beyond_the_end(client):
    job = client.run("bytes")["id"]
    v1.problem(client.get(f"/jobs/{job}/log", params={"offset": 7}), 416, ("parameter", "offset"))
    assert piece(client, job, 6) == (b"", 6, True)


@pytest.mark.parametrize("query,name", [
    ("offset=-1", "offset"), ("offset=x", "offset"), ("offset=99999999999999999999", "offset"), ("offset=0&limit=0", "limit"), ("offset=0&limit=65537", "limit"),
    ("offset=0&wait=61", "wait"), ("offset=", "offset"), ("from=1", "from")])
def test_a_bad_query(client, query, name):
    job = client.submit("bytes")["id"]
    v1.problem(client.get(f"/jobs/{job}/log?{query}"), 400, ("parameter", name))


def test_a_deleted_job_ends_the_hold(client):
    job = begun(client, "quiet")
    touch(client, job, "end")
    client.wait(job)
    client.request("DELETE", f"/jobs/{job}")
    v1.problem(client.get(f"/jobs/{job}/log", params={"offset": 0, "wait": 30}), 404)
    v1.problem(client.get(f"/jobs/{job}/log"), 404)
