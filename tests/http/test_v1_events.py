"""The native API: a job's states and log as server-sent events."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from lib import machine, running, v1

STEPS = v1.shell("echo one; until [ -e go ]; do sleep 0.02; done; printf two; until [ -e end ]; do sleep 0.02; done; exit 0")
TOOLS = {
    "steps": STEPS,
    "hello": v1.shell("echo hello"),
    "quiet": v1.shell("until [ -e end ]; do sleep 0.02; done"),
    # A character cut in two, one that never ends, a byte that is none, a NUL.
    "bytes": v1.shell(r"""printf 'a\303'; until [ -e go ]; do sleep 0.02; done; printf '\244b\377c\000d\342\202'"""),
    "flood": v1.shell("yes 0123456789abcdef | head -c 8000000; until [ -e end ]; do sleep 0.02; done", limits="wall = 60s\nlog = 16M\n"),
}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


class Events:
    """A reader of one stream; [(event, id, data)...] as they come."""

    def __init__(self, client, job, last=None, offset=None):
        self.session = client.stack.session()
        headers = {"Accept": "text/event-stream", **({} if last is None else {"Last-Event-ID": str(last)})}
        self.answer = self.session.get(client.stack.url("v1", f"/jobs/{job}/events"), headers=headers, stream=True, timeout=30,
                                       params={} if offset is None else {"offset": offset})
        self.lines = self.answer.iter_lines(chunk_size=65536)
        self.comments = 0

    def __iter__(self):
        event, mark, data = None, None, None
        for line in self.lines:
            line = line.decode()
            if line == "":
                if event:
                    yield event, mark, json.loads(data)
                event, mark, data = None, None, None
            elif line.startswith(":"):
                self.comments += 1
            else:
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "id":
                    mark = int(value)
                elif name == "data":
                    assert data is None
                    data = value
                else:
                    assert name == "retry" and value.isdigit()

    def close(self):
        self.answer.close()
        self.session.close()


def touch(client, job, name):
    with open(os.path.join(client.stack.job_folder(job), "work", name), "wb"):
        pass


def begun(client, tool):
    job = client.submit(tool)["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"] is not None, 30, "there is a log")
    return job


def text(events):
    return "".join(data["text"] for event, _, data in events if event == "log")


def test_a_job_from_its_beginning_to_its_end(client):
    job = client.submit("steps")["id"]
    stream = Events(client, job)
    v1.look(stream.answer)
    assert (stream.answer.status_code, stream.answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert "Content-Length" not in stream.answer.headers
    seen, states = [], []
    for event, mark, data in stream:
        seen.append((event, mark, data))
        if event in ("state", "end"):
            states.append(v1.check_job(data)["state"])
        if event == "log" and text(seen) == "one\n":
            touch(client, job, "go")
        if event == "log" and text(seen) == "one\ntwo":
            touch(client, job, "end")
    assert text(seen) == "one\ntwo"
    assert states in (["queued", "running", "finished"], ["running", "finished"])
    assert seen[-1][0] == "end" and seen[-1][2] == v1.job(client.get(f"/jobs/{job}"))
    at = 0
    for event, mark, data in seen:
        if event == "log":
            assert data["offset"] == at and mark == at + len(data["text"].encode())
            at = mark
    stream.close()


def test_a_finished_job_is_told_at_once(client):
    done = client.run("hello")
    seen = list(Events(client, done["id"]))
    assert [event for event, _, _ in seen] == ["state", "log", "end"]
    assert seen[1] == ("log", 6, {"offset": 0, "text": "hello\n"}) and seen[2][2] == done


def test_who_comes_again_misses_nothing_and_gets_nothing_twice(client):
    done = client.run("hello")
    assert text(Events(client, done["id"], last=2)) == "llo\n"
    assert text(Events(client, done["id"], offset=5)) == "\n"
    assert text(Events(client, done["id"], last=3, offset=0)) == "lo\n"
    assert Events(client, done["id"], last=6).answer.status_code == 204	# an EventSource stops
    assert [event for event, _, _ in Events(client, done["id"], offset=6)] == ["state", "end"]


@pytest.mark.parametrize("last,offset,status,place", [
    ("x", None, 400, ("header", "Last-Event-ID")), ("-1", None, 400, ("header", "Last-Event-ID")), ("7", None, 416, ("header", "Last-Event-ID")),
    (None, "7", 416, ("parameter", "offset")), (None, "x", 400, ("parameter", "offset"))])
def test_a_bad_beginning(client, last, offset, status, place):
    v1.problem(Events(client, client.run("hello")["id"], last, offset).answer, status, place)


def test_characters_that_are_cut_or_none(client):
    job = begun(client, "bytes")
    stream, seen = Events(client, job), []
    for one in stream:
        seen.append(one)
        if one[0] == "log" and one[2]["offset"] == 0:
            assert one[1:] == (1, {"offset": 0, "text": "a"})	# half a character is held back
            touch(client, job, "go")
    assert text(seen) == "a\u00e4b\ufffdc\0d\ufffd\ufffd"
    assert [mark for event, mark, _ in seen if event == "log"][-1] == 10
    stream.close()


def test_a_killed_job_ends_the_stream(client):
    job = begun(client, "quiet")
    stream = Events(client, job)
    follow = iter(stream)
    assert next(follow)[2]["state"] == "running"
    client.request("POST", f"/jobs/{job}/kill")
    assert [data["state"] for _, _, data in follow][-1] == "finished"


def test_a_job_deleted_meanwhile_ends_the_stream(client):
    job = begun(client, "quiet")
    stream = iter(Events(client, job))
    next(stream)
    touch(client, job, "end")
    client.wait(job)
    client.request("DELETE", f"/jobs/{job}")
    assert [event for event, _, _ in stream] in ([], ["end"], ["state", "end"])


def test_many_follow_one_log(client):
    job = begun(client, "steps")
    streams = [Events(client, job) for _ in range(20)]
    found = [[] for _ in streams]
    readers = [threading.Thread(target=lambda s=s, f=f: f.extend(s)) for s, f in zip(streams, found)]
    for reader in readers:
        reader.start()
    touch(client, job, "go")
    touch(client, job, "end")
    for reader in readers:
        reader.join(30)
    assert [text(f) for f in found] == ["one\ntwo"] * 20
    assert all(f[-1][0] == "end" for f in found)


def test_a_reader_that_takes_nothing_holds_up_nobody(client):
    """8 MB of log and a reader whose window is full: another follows to the end, and the worker's memory stays small."""
    job = begun(client, "flood")
    with client.stack.raw() as slow:
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        total = 0
        for event, _, data in Events(client, job):
            if event == "log":
                total += len(data["text"])
                if total == 8000000:
                    touch(client, job, "end")
            else:
                last = event
        assert (total, last) == (8000000, "end")
        start = time.monotonic()
        assert v1.job(client.get(f"/jobs/{job}/wait", params={"timeout": 20}))["state"] == "finished"
        assert time.monotonic() - start < 10


def test_a_reader_that_hangs_up_is_forgotten(make_stack):
    stack = make_stack(conf={**v1.OPEN, "gate": {"waits_owner_max": "3", "workers": "1"}}, tools=TOOLS)
    client = v1.Client(stack)
    job = begun(client, "quiet")
    for _ in range(12):	# four times what is allowed at once
        def come():
            stream = Events(client, job)
            return stream if stream.answer.status_code == 200 else None
        machine.wait_for(come, 20, "there is room for another").close()
    touch(client, job, "end")


def test_a_worker_that_is_replaced_tells_its_readers_to_come_again(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    job = begun(client, "steps")
    stream = Events(client, job)
    events = iter(stream)
    machine.wait_for(lambda: next(events)[1] == 4, 20, "the first line")
    os.kill(stack.pids("keeper")[0], signal.SIGHUP)
    assert [event for event, _, _ in events] == ["reconnect"]
    again = Events(client, job, last=4)
    touch(client, job, "go")
    touch(client, job, "end")
    seen = list(again)
    assert text(seen) == "two" and seen[-1][0] == "end"


def test_a_wait_ends_when_its_worker_is_replaced(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    job = begun(client, "quiet")
    found = []
    waiter = threading.Thread(target=lambda: found.append(v1.job(v1.Client(stack).get(f"/jobs/{job}/wait", params={"timeout": 50}))))
    waiter.start()
    stream = iter(Events(client, job))
    next(stream)	# so the worker has read the other's request by now, or will: both end
    os.kill(stack.pids("keeper")[0], signal.SIGHUP)
    waiter.join(40)
    assert found[0]["state"] == "running"
    touch(client, job, "end")
