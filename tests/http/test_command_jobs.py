"""spoolgate(1): submit, status, wait, log, kill, delete, list, get and post, on a server that does what none should."""

import base64
import json
import os
import signal
import threading

import pytest

from lib import fakeapi, machine
from lib.fakeapi import JOB, Command, Fake, Reply, finished, job, problem

TOOL = {
    "name": "demo", "title": "A demonstration", "description": "Does what it is told.", "version": "1.0",
    "parameters": [
        {"name": "n", "type": "integer", "required": True, "minimum": 1, "maximum": 9},
        {"name": "x", "type": "number", "required": False},
        {"name": "flag", "type": "boolean", "required": False},
        {"name": "mode", "type": "choice", "required": False, "choices": ["fast", "slow"], "default": "fast"},
        {"name": "word", "type": "text", "required": False, "maximum": 20},
        {"name": "key", "type": "text", "required": False, "secret": True}],
    "inputs": [{"name": "in.txt", "required": False, "max_bytes": 1 << 30}, {"name": "more", "required": False}],
    "stdout": "log", "live": True, "limits": {"wall_seconds": 60, "memory_bytes": 1 << 30}, "keep_seconds": 3600}
EVIL = "\x1b]0;owned\x07\x1b[2J\nsecond\u202eline\u009b31m"


@pytest.fixture
def fake():
    with Fake() as server:
        server.on("GET", "/v1/tools", {"tools": [TOOL]})
        server.on("GET", "/v1/tools/demo", TOOL)
        server.on("POST", "/v1/jobs", Reply(job(state="queued"), 202))
        yield server


@pytest.fixture
def command(programs, tmp_path, fake):
    return Command(programs, tmp_path, fake.url)


def harmless(text):
    return not any(ord(c) < 0x20 and c != "\n" or 0x7f <= ord(c) < 0xa0 or 0x202a <= ord(c) <= 0x202e for c in text)


def submitted(fake):
    return fake.asked("POST", "/v1/jobs")[-1].json


def test_tools_are_listed_and_described(command):
    assert command.out("tools") == "demo  A demonstration\n"
    assert command.json("tools")["tools"][0]["name"] == "demo"
    text = command.out("tools", "demo")
    for part in ("integer 1 to 9", "required", "fast|slow", "default fast", "text up to 20 bytes", "up to 1.0 GiB",
                 "memory 1.0 GiB", "wall 60 s"):
        assert part in text, text
    assert command.json("tools", "demo") == TOOL
    assert command.err("tools", "other", status=5)


def test_values_are_typed_as_the_tool_says(command, fake):
    out = command.out("submit", "demo", "-p", "n=5", "-p", "x=1e-3", "-p", "flag=Yes", "-p", "mode=slow", "-p", "word=7", "--name",
                      "ä b")
    assert out == JOB + "\n"
    assert submitted(fake) == {"tool": "demo", "name": "ä b", "inputs": {},
                               "parameters": {"n": 5, "x": 1e-3, "flag": True, "mode": "slow", "word": "7"}}
    assert b'"x":1e-3' in fake.asked("POST", "/v1/jobs")[-1].body	# as it was written
    command.run("submit", "demo", "-p", "n=-3", "-p", "x=.5", "-p", "word=a=b")
    assert submitted(fake)["parameters"] == {"n": -3, "x": 0.5, "word": "a=b"}


@pytest.mark.parametrize("pair,why", [
    ("n=5.0", "integer"), ("n=", "integer"), ("n= 5", "integer"), ("n=99999999999999999999", "64 bits"), ("x=nan", "number"),
    ("x=1e999", "number"), ("x=0x10", "number"), ("flag=maybe", "true or false"), ("mode=medium", "fast slow"),
    ("word=\udcff", "UTF-8"), ("other=1", "n, x, flag"), ("key=s", "-P key=FILE"), ("=1", "NAME=VALUE")])
def test_a_value_that_cannot_be_typed_is_refused_before_anything_is_sent(command, fake, pair, why):
    assert why in command.err("submit", "demo", "-p", pair, status=2)
    assert not fake.asked("POST", ".*")


def test_a_secret_comes_from_a_file(command, fake, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    command.run("submit", "demo", "-p", "n=1", "-P", "key=secret")
    assert submitted(fake)["parameters"]["key"] == "s3cret"
    command.run("submit", "demo", "-p", "n=1", "-P", "key=-", stdin=b"from a pipe\n\n")
    assert submitted(fake)["parameters"]["key"] == "from a pipe\n"


def test_wrong_words(command, fake, tmp_path):
    (tmp_path / "f").write_text("x")
    for words in (["-p", "n=1", "-p", "n=2"], ["-i", "nope=f"], ["-i", "in.txt=f", "-i", "in.txt=f"],
                  ["-i", "in.txt=-", "-i", "more=-"]):
        assert command.err("submit", "demo", *words, status=2), words
    assert command.err("submit", "demo", "-i", "in.txt=none", status=1)
    assert command.err("submit", "demo", "-i", "in.txt=.", status=1)
    assert not fake.asked("POST", ".*")


@pytest.mark.parametrize("content", [b"", b"text\n", bytes(range(256)) * 100, b"\xff\0"], ids=["empty", "text", "every", "two"])
def test_inputs_arrive_byte_by_byte(command, fake, tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    command.run("submit", "demo", "-i", "in.txt=f", "-i", "more=-", stdin=content)
    inputs = submitted(fake)["inputs"]
    assert [base64.b64decode(inputs[name]["base64"]) for name in ("in.txt", "more")] == [content, content]


class Uploads:
    """The API's uploads; trouble(n) may answer the nth PATCH in its own way."""

    def __init__(self, fake, trouble=lambda n: None):
        self.content, self.bytes, self.patches, self.trouble = b"", 0, 0, trouble
        self.deleted = False
        fake.on("POST", "/v1/uploads", self.make)
        fake.on("PATCH", "/v1/uploads/u1", self.patch)
        fake.on("GET", "/v1/uploads/u1", self.look)
        fake.on("DELETE", "/v1/uploads/u1", self.delete)

    def make(self, request):
        self.bytes = request.json["bytes"]
        return Reply({"id": "u1", "offset": 0, "bytes": self.bytes, "expires": "x"}, 201)

    def look(self, _):
        return Reply({"id": "u1", "offset": len(self.content), "bytes": self.bytes}, 200, {"Upload-Offset": len(self.content)})

    def delete(self, _):
        self.deleted = True
        return Reply(b"", 204, {"Content-Length": None})

    def patch(self, request):
        self.patches += 1
        trouble = self.trouble(self.patches)
        if isinstance(trouble, Reply) and trouble.status >= 400:
            return trouble
        if int(request.headers["Upload-Offset"]) != len(self.content):
            return Reply(problem(409, "not there").body, 409, {"Upload-Offset": len(self.content)})
        self.content += request.body
        return trouble or Reply(b"", 204, {"Upload-Offset": len(self.content), "Content-Length": None})


BIG = os.urandom(1 << 20) * 11


def test_a_large_input_is_uploaded(command, fake, tmp_path):
    uploads = Uploads(fake)
    (tmp_path / "big").write_bytes(BIG)
    command.run("submit", "demo", "-i", "in.txt=big", TMPDIR="/nonexistent")	# no copy is made of a file
    assert uploads.content == BIG and submitted(fake)["inputs"] == {"in.txt": {"upload": "u1"}}
    assert not uploads.deleted
    assert "standard input" in command.err("submit", "demo", "-i", "in.txt=-", stdin=b"x", TMPDIR="/nonexistent", status=1)


def test_an_upload_shows_progress_on_a_terminal(command, fake, tmp_path):
    Uploads(fake)
    (tmp_path / "big").write_bytes(BIG)
    status, shown = command.on_terminal("submit", "demo", "-i", "in.txt=big")
    assert status == 0 and "in.txt  " in shown and "of 11 MiB" in shown and JOB in shown


def test_an_upload_goes_on_after_a_cut(command, fake):
    # The second piece arrives, but its answer does not; the next meets a busy server, then one that takes less at once.
    uploads = Uploads(fake, {2: Reply(silent=True), 3: problem(503, "busy", {"Retry-After": 0}), 4: problem(413, "less")}.get)
    command.run("submit", "demo", "-i", "in.txt=-", stdin=BIG)
    assert uploads.content == BIG
    sizes = [len(r.body) for r in fake.asked("PATCH", ".*")]
    assert max(sizes) == 4 << 20 and sizes[-2:] == [2 << 20, 1 << 20]


def test_an_upload_goes_on_after_a_cut_in_the_middle_of_a_piece(command, fake):
    def trouble(n):
        fake.cut_request = 1 << 20 if n == 1 else None
        return Reply(silent=True) if n == 2 else None
    uploads = Uploads(fake, trouble)
    command.run("submit", "demo", "-i", "in.txt=-", stdin=BIG)
    assert uploads.content == BIG
    assert len(fake.asked("PATCH", ".*")[1].body) < 4 << 20	# it was


def test_an_upload_that_came_to_nothing_is_taken_back(command, fake, tmp_path):
    uploads = Uploads(fake)
    fake.on("POST", "/v1/jobs", problem(422, "missing", errors=[{"pointer": "/parameters/n", "detail": "is required"}]))
    (tmp_path / "big").write_bytes(BIG)
    assert "missing; /parameters/n: is required" in command.err("submit", "demo", "-i", "in.txt=big", status=6)
    assert uploads.deleted
    uploads.trouble = lambda n: problem(507, "the disk is full")
    uploads.deleted, uploads.content = False, b""
    assert "disk is full" in command.err("submit", "demo", "-i", "in.txt=big", status=8)
    assert uploads.deleted


def test_an_upload_gives_up_where_nothing_gets_better(command, fake, tmp_path):
    Uploads(fake, lambda n: Reply(silent=True) if n == 1 else problem(503, "busy"))
    (tmp_path / "big").write_bytes(BIG)
    command.run("submit", "demo", "-i", "in.txt=big", "--retry-time", "1s", status=8)
    assert not fake.asked("POST", "/v1/jobs")


def keys(fake):
    return [asked.headers["Idempotency-Key"] for asked in fake.asked("POST", "/v1/jobs")]


def test_a_submission_is_repeated_where_it_was_not_taken(command, fake):
    fake.on("POST", "/v1/jobs", problem(503, "full", {"Retry-After": 0}), problem(429, "enough", {"Retry-After": 0}),
            Reply(job(state="queued"), 202))
    assert command.out("submit", "demo") == JOB + "\n"
    assert len(fake.asked("POST", "/v1/jobs")) == 3 and len(set(keys(fake))) == 1


@pytest.mark.parametrize("reply", [Reply(silent=True), Reply(job(), 202, cut=10), problem(502, "gone"), problem(504, "late")])
def test_a_submission_that_may_have_arrived_is_repeated_under_its_key(command, fake, reply):
    fake.on("POST", "/v1/jobs", reply, Reply(job(), 202))
    assert command.out("submit", "demo") == JOB + "\n"
    assert len(keys(fake)) == 2 and len(set(keys(fake))) == 1
    command.out("submit", "demo")
    assert len(set(keys(fake))) == 2	# another submission is another job


@pytest.mark.parametrize("reply,status", [(Reply(silent=True), 4), (Reply(job(), 202, cut=10), 4), (problem(502, "gone"), 8)])
def test_a_submission_of_which_nothing_is_known_in_the_end_is_told(command, fake, reply, status):
    fake.on("POST", "/v1/jobs", reply)
    assert "it is not known whether" in command.err("submit", "demo", "--retry-time", "0", status=status)


def test_a_submission_may_name_a_callback(command, fake):
    command.out("submit", "demo", "--callback", "https://hooks.example.org/x")
    assert submitted(fake)["callback"] == "https://hooks.example.org/x"


def test_a_submission_may_have_a_key_of_its_own(command, fake):
    fake.on("POST", "/v1/jobs", Reply(job(), 202))
    command.out("submit", "demo", "--idempotency-key", "night-1")
    assert keys(fake) == ["night-1"]
    for bad in ("", "a b", "x" * 256, "\u00e4"):
        assert "visible ASCII" in command.err("submit", "demo", "--idempotency-key", bad, status=2)


def test_a_submission_that_is_asked_to_wait_too_long_gives_up(command, fake):
    fake.on("POST", "/v1/jobs", problem(503, "the queue is full", {"Retry-After": 3600}))
    said = command.err("submit", "demo", status=8)
    assert "the queue is full" in said and "3600" in said and len(fake.asked("POST", "/v1/jobs")) == 1


def test_a_connection_that_is_refused_is_tried_again(programs, tmp_path):
    with Fake() as server:
        server.on("GET", "/v1/tools/demo", TOOL)
        server.on("POST", "/v1/jobs", Reply(job(), 202))
        server.stop()
        child = Command(programs, tmp_path, server.url).begin("submit", "demo", stdout=-1)
        begun = threading.Timer(0.5, server.start)
        begun.start()
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and out.decode() == JOB + "\n"


@pytest.mark.parametrize("status,code", [(400, 6), (401, 7), (403, 7), (404, 5), (409, 6), (413, 6), (422, 6), (429, 8), (500, 8),
                                         (507, 8), (301, 6)])
def test_exit_codes(command, fake, status, code):
    fake.on("GET", f"/v1/jobs/{JOB}", problem(status, "no, because"))
    assert "no, because" in command.err("status", JOB, status=code)
    fake.on("GET", f"/v1/jobs/{JOB}", problem(status, "no, because", errors=[{"parameter": "p", "detail": "no, because"}]))
    assert command.err("status", JOB, status=code).count("no, because (p)") == 1
    error = json.loads(command.err("status", JOB, "--json", status=code))
    assert error["problem"]["status"] == status and "no, because" in error["error"]


def test_what_is_no_answer_of_this_api(command, fake):
    for reply in (Reply(b"<html>"), Reply([1]), Reply("{"), Reply({}, 200, cut=1), Reply(b"\xff{}")):
        fake.on("GET", "/v1/tools", reply)
        assert command.run("tools", "--retry-time", "0", status=4 if reply.cut else 10).stderr
    fake.on("GET", "/v1/jobs/.*", {"a": 1})
    command.run("wait", JOB, status=10)
    fake.on("POST", "/v1/jobs", Reply({"id": EVIL}, 202))
    command.run("submit", "demo", status=10)


def test_a_get_is_repeated(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}", Reply(silent=True), problem(502, "x"), Reply(finished(), cut=20), problem(503, "x"),
            finished())
    assert command.json("status", JOB)["state"] == "finished"
    assert len(fake.asked("GET", ".*")) == 5
    fake.on("GET", f"/v1/jobs/{JOB}", problem(502, "x"), finished())
    command.run("status", JOB, "--retry-time", "0", status=8)


def test_status(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}", finished("failed", exit_code=3, name="a name", note="why", log_bytes=2048,
                                               progress={"done": 0.5, "what": "x"},
                                               usage={"wall_seconds": 1.25, "cpu_seconds": 0.5, "memory_bytes": 1 << 20}))
    text = command.out("status", JOB)	# a failed job is no failed command
    for line in ("state     failed (exit code 3) after 4.5 s", "name      a name", "note      why", "created   2026-11-26 16:50:00",
                 "progress  done 0.5, what x", "log       2.0 KiB",
                 "usage     1.25 s of time, 0.50 s of processor, 1.0 MiB of memory"):
        assert line in text.splitlines(), text
    assert command.json("status", JOB)["verdict"] == "failed"


def test_status_tells_of_callbacks_places_and_files_that_went(command, fake):
    callback = {"url": "https://hooks.example.org/", "state": "failed", "attempts": 12, "last": "HTTP status 500\x1b[31m"}
    fake.on("GET", f"/v1/jobs/{JOB}", finished(callback=callback, pruned="2026-11-26T16:50:00.000000Z"))
    said = command.out("status", JOB)
    assert "callback  failed after 12 attempts (HTTP status 500\\x1b[31m)\n" in said and "pruned    2026-11-26" in said
    fake.on("GET", f"/v1/jobs/{JOB}", job(state="queued", started=None, position=7))
    assert "state     queued, 7 in the queue\n" in command.out("status", JOB)


def test_nothing_hostile_reaches_the_terminal_but_the_log(command, fake):
    evil = finished("killed", name=EVIL, note=EVIL, killed_by=EVIL, progress={EVIL: EVIL}, tool=EVIL, owner=EVIL)
    fake.on("GET", f"/v1/jobs/{JOB}(/wait.*)?", evil)
    fake.on("GET", "/v1/jobs[?].*", {"jobs": [evil], "next": None})
    fake.on("GET", "/v1/tools", {"tools": [{**TOOL, "name": EVIL, "title": EVIL}]})
    fake.on("GET", "/v1/tools/demo", {**TOOL, "title": EVIL, "description": EVIL, "parameters": [
        {"name": EVIL, "type": EVIL, "choices": [EVIL], "description": EVIL, "default": EVIL}], "limits": {EVIL: EVIL}})
    fake.on("POST", f"/v1/jobs/{JOB}/kill", evil)
    fake.on("DELETE", f"/v1/jobs/{JOB}", problem(409, EVIL))
    for words, status in ((["status", JOB], 0), (["list"], 0), (["tools"], 0), (["tools", "--names"], 0), (["tools", "demo"], 0),
                          (["kill", JOB], 0),
                          (["wait", JOB], 3), (["delete", JOB], 6)):
        done = command.run(*words, status=status)
        text = done.stdout.decode() + done.stderr.decode()
        assert "\\x1b" in text and harmless(text), text
    assert len(command.out("list").splitlines()) == 2	# a name cannot begin a line
    _, shown = command.on_terminal("wait", JOB)
    assert "owned" in shown and "\x1b]" not in shown and "\x1b[2J" not in shown


def test_wait(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", job(), Reply(silent=True), finished())
    assert command.out("wait", JOB) == f"{JOB}  passed after 4.5 s\n"
    assert fake.asked("GET", ".*/wait.*")[0].path.endswith("?timeout=60")
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", finished("timeout", note="over 60 s"))
    assert command.out("wait", JOB, status=3) == f"{JOB}  timeout after 4.5 s: over 60 s\n"
    assert command.json("wait", JOB, status=3)["verdict"] == "timeout"
    assert command.out("wait", JOB, "-q", status=3) == ""


def test_wait_for_several(command, fake):
    other = "f" * 32
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", finished("failed", exit_code=1))
    fake.on("GET", f"/v1/jobs/{other}/wait.*", finished(id=other))
    lines = command.out("wait", JOB, other, status=3).splitlines()
    assert [line.split()[:2] for line in lines] == [[JOB, "failed"], [other, "passed"]]
    assert command.err("wait", "e" * 32, status=5)


def test_wait_no_longer_than(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", job())
    assert "still running" in command.err("wait", JOB, "--timeout", "1s", status=9)
    assert fake.asked("GET", ".*/wait.*")[0].path.endswith("?timeout=1")
    assert command.json("wait", JOB, "--timeout", "0", status=9)["state"] == "running"
    # A server that does not hold back is not asked in a spin.
    assert len(fake.requests) < 10


def test_wait_shows_progress_on_a_terminal_alone(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", job(progress={"step": 3}), finished())
    status, shown = command.on_terminal("wait", JOB)
    assert status == 0 and "running" in shown and "step 3" in shown and "passed" in shown
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", job(progress={"step": 3}), finished())
    assert command.err("wait", JOB) == ""


@pytest.mark.parametrize("words", [["wait", JOB], ["submit", "demo", "--wait"], ["log", "-f", JOB]])
def test_an_interrupted_wait_says_how_to_come_back(command, fake, words):
    held = threading.Event()
    fake.on("GET", f"/v1/jobs/{JOB}/(wait|log).*", Reply(job(), held=held))
    child = command.begin(*words, stdout=-1, stderr=-1)
    machine.wait_for(lambda: fake.asked("GET", ".*/(wait|log).*"), 30, "it waits")
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    held.set()
    assert child.returncode == -signal.SIGINT	# 130 to a shell
    assert f"{words[0] if words[0] != 'submit' else 'wait'}" in said.decode() and JOB in said.decode() and "kill" in said.decode()
    assert not fake.asked("POST", ".*/kill")


class Log:
    """The log interface over a text that grows, one step at each request that would have nothing otherwise."""

    def __init__(self, fake, pieces, trouble=lambda n: None, state=finished):
        self.pieces, self.text, self.n, self.trouble = list(pieces), b"", 0, trouble
        fake.on("GET", f"/v1/jobs/{JOB}/log[?].*", self.reply)
        fake.on("GET", f"/v1/jobs/{JOB}/wait.*", state())

    def reply(self, request):
        self.n += 1
        query = dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))
        offset = int(query["offset"])
        if offset >= len(self.text) and self.pieces:
            self.text += self.pieces.pop(0)
        if offset > len(self.text):
            return problem(416, "beyond the end")
        trouble = self.trouble(self.n)
        data = self.text[offset:offset + int(query["limit"])]
        end = not self.pieces and offset + len(data) == len(self.text)
        reply = Reply(data, 200, {"Spoolgate-Log-Offset": offset, "Spoolgate-Log-Next": offset + len(data),
                                  "Spoolgate-Log-Complete": "yes" if end else "no"})
        if isinstance(trouble, Reply):
            return trouble
        if trouble is not None:
            reply.cut = trouble
        return reply


RAW = b"one\n\x1b[1mtwo\xff\n" + os.urandom(150000)


def test_log_is_raw_and_complete(command, fake):
    Log(fake, [RAW])
    assert command.run("log", JOB).stdout == RAW
    Log(fake, [RAW])
    assert command.run("log", JOB, "--offset", "5").stdout == RAW[5:]
    Log(fake, [b"abc"])
    assert command.err("log", JOB, "--offset", "99", status=6)


def test_log_of_a_running_job_ends_at_its_present_end(command, fake):
    log = Log(fake, [b"now", b"", b"later"])
    assert command.out("log", JOB) == "now"
    assert len(log.pieces) == 1 and "wait=0" in fake.requests[-1].path


def test_follow_neither_loses_nor_repeats_a_byte(command, fake):
    Log(fake, [b"one\n", b"", RAW, b"three\n"], {2: 2, 4: Reply(silent=True), 5: 1000, 6: problem(503, "drains"), 8: 0}.get)
    assert command.run("log", "-f", JOB).stdout == b"one\n" + RAW + b"three\n"


def test_follow_over_a_restart_of_the_server(programs, tmp_path):
    with Fake() as server:
        log = Log(server, [b"before\n"])
        log.pieces.append(b"after\n")
        child = Command(programs, tmp_path, server.url).begin("log", "-f", JOB, stdout=-1)

        def stop(n):
            if n == 2:
                threading.Thread(target=server.stop).start()
                return Reply(silent=True)
            return None
        log.trouble = stop
        machine.wait_for(lambda: server.server is None, 30, "it stops")
        server.start()
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and out == b"before\nafter\n"


def test_log_as_json(command, fake):
    Log(fake, ["ä\n".encode(), b"\xff"])
    pieces = [json.loads(line) for line in command.out("log", "-f", "--json", JOB).splitlines()]
    assert pieces[0] == {"offset": 0, "next": 3, "complete": False, "text": "ä\n"}
    assert pieces[-1] == {"offset": 3, "next": 4, "complete": True, "base64": "/w=="}


def test_a_piece_of_another_place_is_refused(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}/log.*", Reply(b"abc", 200, {"Spoolgate-Log-Offset": 1, "Spoolgate-Log-Next": 4,
                                                                "Spoolgate-Log-Complete": "yes"}))
    assert command.run("log", JOB, status=10).stdout == b""
    fake.on("GET", f"/v1/jobs/{JOB}/log.*", Reply(b"abc"))
    assert command.run("log", JOB, status=10).stdout == b""


def test_submit_wait_and_follow(command, fake):
    fake.on("GET", f"/v1/jobs/{JOB}/wait.*", finished())
    assert command.out("submit", "demo", "--wait") == f"{JOB}\n{JOB}  passed after 4.5 s\n"
    assert command.json("submit", "demo", "--wait")["verdict"] == "passed"
    Log(fake, [b"hello\n"], state=lambda: finished("failed", exit_code=1))
    done = command.run("submit", "demo", "--follow", "-q", status=3)
    assert done.stdout == b"hello\n"
    Log(fake, [b"hello\n"])
    done = command.run("submit", "demo", "--follow")
    assert done.stdout.decode() == f"hello\n{JOB}  passed after 4.5 s\n" and done.stderr.decode() == JOB + "\n"
    Log(fake, [b"hello\n"])
    lines = [json.loads(line) for line in command.out("submit", "demo", "--follow", "--json").splitlines()]
    assert lines[0]["text"] == "hello\n" and lines[-1]["verdict"] == "passed"


def test_kill_and_delete(command, fake):
    fake.on("POST", f"/v1/jobs/{JOB}/kill", Reply(silent=True), Reply(job(state="killing"), 202))
    assert command.out("kill", JOB) == f"{JOB}  killing\n"
    assert command.json("kill", JOB)["state"] == "killing"
    fake.on("DELETE", f"/v1/jobs/{JOB}", problem(409, "not finished"), Reply(b"", 204, {"Content-Length": None}))
    assert "not finished" in command.err("delete", JOB, status=6)
    assert command.out("delete", JOB) == ""
    assert command.json("delete", JOB) == {"id": JOB, "deleted": True}
    fake.on("DELETE", f"/v1/jobs/{JOB}/files", Reply(silent=True), Reply(b"", 204, {"Content-Length": None}))
    assert command.json("delete", "--files", JOB) == {"id": JOB, "pruned": True}
    assert "--files" in command.err("kill", "--files", JOB, status=2)
    assert command.err("delete", JOB, "e" * 32, status=5)
    # The answer to the first was lost; it had deleted the job.
    fake.on("DELETE", f"/v1/jobs/{JOB}", Reply(silent=True), problem(404, "none"))
    command.run("delete", JOB)
    fake.on("DELETE", f"/v1/jobs/{JOB}", problem(503, "busy", {"Retry-After": 0}), problem(404, "none"))
    command.run("delete", JOB, status=5)


def test_list(command, fake):
    jobs = [finished(id=f"{n:032x}", name="n" * n) for n in range(1, 4)]
    fake.on("GET", "/v1/jobs[?]limit=100", {"jobs": jobs, "next": None})
    lines = command.out("list").splitlines()
    assert lines[0].split() == ["JOB", "STATE", "TOOL", "CREATED", "TIME", "NAME"]
    assert lines[1] == f"{1:032x}  passed  demo  2026-11-26 16:50:00  4.5 s  n"
    assert command.out("list", "--ids").split() == [f"{n:032x}" for n in range(1, 4)]
    assert command.json("list") == {"jobs": jobs, "next": None}


def test_list_in_pages(command, fake):
    def page(request):
        n = int(request.path.partition("cursor=")[2] or 0)
        limit = int(request.path.partition("limit=")[2].partition("&")[0])
        rows = [finished(id=f"{i:032x}") for i in range(n, min(n + limit, 2500))]
        return {"jobs": rows, "next": str(n + limit) if n + limit < 2500 else None}
    fake.on("GET", "/v1/jobs[?].*", page)
    assert len(command.out("list", "--all", "--ids").split()) == 2500
    assert len(command.out("list", "--limit", "1001", "--ids").split()) == 1001
    assert command.json("list", "--limit", "2")["next"] == "2"
    fake.on("GET", "/v1/jobs[?].*", {"jobs": [], "next": "a"})
    assert "circles" in command.err("list", "--all", status=10)


def test_list_filters(command, fake):
    fake.on("GET", "/v1/jobs[?].*", {"jobs": [], "next": None})
    assert command.out("list", "--state", "running", "--tool", "a&b", "--name", "ä c", "--since", "2026-11-26T16:50:00.5+01:00",
                       "--until", "2026-11-27 10:00") == ""
    assert fake.requests[-1].path == ("/v1/jobs?limit=100&state=running&tool=a%26b&name=%C3%A4%20c"
                                      "&since=2026-11-26T15%3A50%3A00.500000Z&until=2026-11-27T10%3A00%3A00.000000Z")


def test_get_and_post(command, fake, tmp_path):
    fake.on("GET", "/v1/x", Reply(RAW, 200, {"X-Two": "b"}), Reply(RAW, cut=3))
    fake.on("POST", "/v1/x", lambda r: Reply({"type": r.headers.get("Content-Type"), "bytes": len(r.body)}))
    assert command.run("get", "/v1/x").stdout == RAW
    assert command.run("get", "/v1/x", status=4).stdout == RAW[:3]
    (tmp_path / "f").write_bytes(RAW)
    assert command.json("post", "/v1/x", "--data", "f", "--type", "text/x")["body"] == {"type": "text/x", "bytes": len(RAW)}
    assert json.loads(command.out("post", "/v1/x", "--data", "-", stdin=b"{}")) == {"type": "application/json", "bytes": 2}
    assert json.loads(command.out("post", "/v1/x", "--data", "-", stdin=b"")) == {"type": "application/json", "bytes": 0}
    assert json.loads(command.out("post", "/v1/x")) == {"type": None, "bytes": 0}
    fake.on("GET", "/v1/y", problem(418, "no coffee"))
    done = command.run("get", "/v1/y", status=6)
    assert b"no coffee" in done.stderr and json.loads(done.stdout)["status"] == 418
    answer = command.json("get", "/v1/y", status=6)
    assert answer["status"] == 418 and answer["headers"]["content-type"] == "application/problem+json"
    fake.on("GET", "/v1/z", Reply(b"\xff"))
    assert command.json("get", "/v1/z")["base64"] == "/w=="


def test_a_reader_who_goes_away_is_no_fault_to_tell(command, fake):
    Log(fake, [b"x" * 65536] * 40)
    read, write = os.pipe()
    child = command.begin("log", "-f", JOB, stdout=write, stderr=-1)
    os.close(write)
    os.read(read, 10)
    os.close(read)
    _, said = child.communicate(timeout=30)
    assert child.returncode != 0 and said == b""


def test_requests_say_who_asks(command, fake):
    command.run("tools")
    headers = fake.requests[-1].headers
    assert headers["User-Agent"].startswith("spoolgate/") and headers["Authorization"] == "Bearer sgt_test"
    assert fakeapi.JOB not in str(headers)
