"""Callbacks: a receiver is told once when a job has ended, signed, whatever fails meanwhile; and nobody else is."""

import json
import os
import socket
import subprocess
import threading

import pytest

from stack import accounts
from stack.folder import StackError

from lib import jobs, machine, v1
from lib.receiver import Receiver

SECRET = "whsec_" + "c3Bvb2xnYXRlIHNwb29sZ2F0ZSBzcG9vbGdhdGUh"
TOOLS = {"quick": v1.shell("echo ran; exit 3"), "sleeper": v1.shell("echo up; exec sleep 1000")}


@pytest.fixture
def place(ground, request):
    path = os.path.join(ground, f"hooks-{os.urandom(4).hex()}")
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


@pytest.fixture
def key(place):
    path = os.path.join(place, "key")
    with open(path, "w", encoding="ascii") as file:
        file.write(SECRET + "\n")
    own(path, 0o600)
    return path


@pytest.fixture
def make(make_stack, key):
    def begin(receiver=None, **more):
        conf = {"secret_file": key, "allow": "127.0.0.0/8, ::1", "pause": "50ms", **({"ca_file": receiver.ca} if receiver else {}), **more}
        return make_stack(conf={**v1.OPEN, "callbacks": conf}, tools=TOOLS, slots=2)
    return begin


def own(path, mode):
    """The helper's own."""
    if os.getuid() == 0:
        os.chown(path, accounts.helper().uid, 0)
    os.chmod(path, mode)


def submit(client, url, tool="quick", status=202):
    return v1.job(client.request("POST", "/jobs", json={"tool": tool, "callback": url, "name": "mine"}), status)["id"]


def callback(client, job):
    return v1.job(client.get(f"/jobs/{job}"))["callback"]


def settled(client, job, state="delivered", seconds=20):
    return machine.wait_for(lambda: (lambda c: c if c["state"] == state else None)(callback(client, job)), seconds, f"it is {state}")


def owed(stack):
    return sorted(os.listdir(os.path.join(stack.spool, "pending")))


def sound(stack):
    stack.stop("helper")
    status, said = stack.doctor()
    assert status == 0, said


def test_a_receiver_that_fails_five_times_is_told_in_the_end(make, place):
    with Receiver(place, "five", lambda n, call: [500, 503, 404, 302, 429, 204][n - 1]) as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        job = submit(client, receiver.url("/hook?a=b"))
        done = client.wait(job)
        final = settled(client, job)
        assert final == {"url": receiver.url("/hook?a=b"), "state": "delivered", "attempts": 6, "last": "HTTP status 204"}
        assert len(receiver.calls) == 6 and owed(stack) == []
        for call in receiver.calls:
            assert call.signed(SECRET) and not call.signed("whsec_" + "x" * 40)
            assert call.path == "/hook?a=b" and call.headers["Content-Type"] == "application/json"
            assert call.headers["webhook-id"] == f"job_{job}" and call.headers["User-Agent"].startswith("spoolgate/")
        assert len({call.body for call in receiver.calls}) == 1
        body = json.loads(receiver.calls[0].body)
        assert body["type"] == "job.finished" and body["timestamp"] == done["ended"]
        wanted = {key: done[key] for key in ("id", "tool", "name", "state", "verdict", "exit_code", "created", "started", "ended")}
        assert body["data"] == {**wanted, "service": "v1"}
        stamps = [int(call.headers["webhook-timestamp"]) for call in receiver.calls]
        assert stamps == sorted(stamps)
        sound(stack)


@pytest.mark.parametrize("how", ["kill", "restart", "execute"])
def test_a_call_survives_the_helper(make, place, how):
    """Exactly one is accepted: what is owed is known from the journal, and what was delivered too."""
    gate = threading.Event()
    with Receiver(place, "restarts", lambda n, call: 200 if gate.is_set() else 503) as receiver:
        stack = make(receiver, pause="200ms")
        client = v1.Client(stack)
        job = submit(client, receiver.url())
        client.wait(job)
        machine.wait_for(lambda: len(receiver.calls) >= 2, 30, "two attempts have failed")
        assert owed(stack) == [job]
        if how == "execute":
            assert stack.command("restart").returncode == 0
        elif how == "kill":
            stack.kill("helper")
            stack.start("helper")
        else:
            stack.restart("helper")
        machine.wait_for(lambda: callback(client, job)["attempts"] >= 3, 30, "it goes on")
        gate.set()
        settled(client, job)
        n = len(receiver.calls)
        for _ in range(2):
            stack.kill("helper")
            stack.start("helper")
            later = submit(client, receiver.url("/later"))
            settled(client, later)
        assert [call.path for call in receiver.calls[n:]] == ["/later"] * 2
        assert len({call.headers["webhook-id"] for call in receiver.calls[:n]}) == 1
        sound(stack)


def test_it_is_owed_before_the_job_has_ended(make, place):
    with Receiver(place, "early") as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        job = submit(client, receiver.url(), tool="sleeper")
        assert owed(stack) == [job] and receiver.calls == []
        stack.kill("helper")
        stack.start("helper")
        client.request("POST", f"/jobs/{job}/kill")
        settled(client, job)
        assert json.loads(receiver.calls[0].body)["data"]["verdict"] == "killed"


def test_attempts_come_to_an_end(make, place):
    with Receiver(place, "ends", lambda n, call: 500) as receiver:
        stack = make(receiver, attempts="3", pause="10ms")
        client = v1.Client(stack)
        job = submit(client, receiver.url())
        final = settled(client, job, "failed")
        assert (final["attempts"], final["last"]) == (3, "HTTP status 500") and len(receiver.calls) == 3 and owed(stack) == []
        sound(stack)


def test_a_receiver_that_is_gone_is_left_alone(make, place):
    with Receiver(place, "gone", lambda n, call: 410) as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        assert settled(client, submit(client, receiver.url()), "failed")["attempts"] == 1
        assert len(receiver.calls) == 1


def test_a_redirect_is_no_answer_and_is_not_followed(make, place):
    with Receiver(place, "target") as target, \
            Receiver(place, "redirects", lambda n, call: (307, {"Location": target.url()}) if n == 1 else 204) as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        assert settled(client, submit(client, receiver.url()))["attempts"] == 2
        assert target.calls == []


def test_a_certificate_that_is_not_trusted_gets_nothing(make, place):
    with Receiver(place, "stranger") as stranger, Receiver(place, "named", names=("example.org",)) as named:
        for receiver, ca in ((stranger, named), (named, named)):
            stack = make(ca, attempts="1")
            client = v1.Client(stack)
            final = settled(client, submit(client, receiver.url()), "failed")
            assert "certificate" in final["last"].lower() or "SSL" in final["last"], final
            assert receiver.calls == []


def test_a_receiver_that_hangs_keeps_no_other_waiting(make, place):
    with Receiver(place, "hangs", lambda n, call: None) as hanging, Receiver(place, "answers") as receiver:
        bundle = os.path.join(place, "both.pem")
        with open(bundle, "w", encoding="ascii") as out:
            for ca in (hanging.ca, receiver.ca):
                with open(ca, encoding="ascii") as file:
                    out.write(file.read())
        hanging.ca = bundle
        stack = make(hanging)
        client = v1.Client(stack)
        stuck = [submit(client, hanging.url()) for _ in range(8)]
        machine.wait_for(lambda: hanging.calls, 30, "one hangs")
        for _ in range(3):
            settled(client, submit(client, receiver.url()), seconds=15)
        assert len(hanging.calls) == 1	# one call at a time to one place
        assert client.wait(stuck[-1])["callback"]["attempts"] == 0
        assert client.request("DELETE", f"/jobs/{stuck[-1]}").status_code == 204	# which is owed nothing any more
        assert stuck[-1] not in owed(stack)


@pytest.mark.parametrize("url,why", [
    ("http://example.org/", "https://"), ("https://user@example.org/", "user"), ("https://example.org/#x", "fragment"), ("https://", "name"),
    ("https://example.org:0/", "port"), ("https://example.org:99999/", "port"), ("https://exa mple.org/", "character"), ("ftp://x/", "https://"),
    ("https://example.org/" + "x" * 2000, "2000"), ("https://[::1", "IPv6"), ("https://10.0.0.1/", "private"), ("https://[fe80::1]/", "private"),
    ("https://169.254.169.254/latest/", "private"), ("https://[::ffff:10.1.1.1]/", "private"), ("https://0.0.0.0/", "private")])
def test_a_url_that_may_not_be_called_is_refused(make, url, why):
    stack = make()
    client = v1.Client(stack)
    before = jobs.all_traces(stack)
    assert why in v1.problem(client.request("POST", "/jobs", json={"tool": "quick", "callback": url}), 422, ("pointer", "/callback"))
    jobs.nothing_came_in(stack, before)
    assert owed(stack) == []


def test_what_is_no_text_is_no_url(make):
    client = v1.Client(make())
    v1.problem(client.request("POST", "/jobs", json={"tool": "quick", "callback": 7}), 422, ("pointer", "/callback"))


def test_a_name_of_a_private_address_is_not_called(make, place):
    """localhost is a name; what it stands for is looked at when it is called."""
    with Receiver(place, "private") as receiver:
        stack = make(receiver, allow="192.0.2.1", attempts="1")
        client = v1.Client(stack)
        final = settled(client, submit(client, receiver.url()), "failed")
        assert final["last"] == "its address is private" and receiver.calls == []


def test_without_a_key_there_are_no_callbacks(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    detail = v1.problem(v1.Client(stack).request("POST", "/jobs", json={"tool": "quick", "callback": "https://example.org/"}), 422,
                        ("pointer", "/callback"))
    assert "no callbacks" in detail


def test_a_form_may_name_one(make, place):
    with Receiver(place, "form") as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        answer = client.request("POST", "/jobs", files={"tool": (None, "quick"), "callback": (None, receiver.url())})
        settled(client, v1.job(answer, 202)["id"])
        assert len(receiver.calls) == 1


@pytest.mark.parametrize("text,mode,fault", [("", 0o600, "whsec_"), ("secret", 0o600, "whsec_"), ("whsec_" + "QUJD", 0o600, "24 to 64"),
                                             (SECRET, 0o644, "may read"), (None, 0o600, "No such file")])
def test_a_key_that_is_none_is_a_fault(make_stack, key, text, mode, fault):
    os.unlink(key)
    if text is not None:
        with open(key, "w", encoding="ascii") as file:
            file.write(text)
        own(key, mode)
    stack = make_stack(parts=(), conf={"callbacks": {"secret_file": key, "allow": "10.0.0.1/8"}}, tools=TOOLS)
    with pytest.raises(StackError) as raised:
        stack.server.check()
    assert fault in str(raised.value) and "10.0.0.1/8" in str(raised.value)


def test_the_sender_sees_nothing_of_the_spool(make, place):
    """Who speaks to the receiver is alone in a jail: its root has neither the spool nor the configuration."""
    with Receiver(place, "jail", lambda n, call: None) as receiver:
        stack = make(receiver)
        client = v1.Client(stack)
        submit(client, receiver.url())
        machine.wait_for(lambda: receiver.calls, 30, "it has connected")
        pid = next(int(p) for p in filter(str.isdigit, os.listdir("/proc")) if command_of(p) == "spoolgate-send" and
                   os.readlink(f"/proc/{p}/ns/pid") != os.readlink("/proc/self/ns/pid"))
        root = f"/proc/{pid}/root"
        assert os.path.exists(root + "/usr/bin") and not os.path.exists(root + stack.path) and not os.path.exists(root + "/home")
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            text = status.read()
        assert "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text
        with open(f"/proc/{pid}/environ", "rb") as environ:
            assert SECRET.encode() not in environ.read()
        opened = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if fd != "2"]	# but the log
        assert not any(stack.path in path for path in opened), opened


def command_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def test_a_port_that_nobody_listens_on_is_tried_again(make, place):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stack = make(attempts="2")
    client = v1.Client(stack)
    final = settled(client, submit(client, f"https://127.0.0.1:{port}/"), "failed")
    assert final["attempts"] == 2 and "connect" in final["last"].lower()


def test_a_name_is_resolved_once_and_the_address_pinned(place, programs):
    """So nobody can answer with another address between the look at it and the call."""
    with Receiver(place, "pinned") as receiver:
        trace = os.path.join(place, "trace")
        request = {"url": receiver.url(), "headers": ["webhook-id: x"], "body": "{}", "allow": "127.0.0.1", "ca_file": receiver.ca, "seconds": 10}
        done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=openat,connect", "-o", trace,
                               os.path.join(programs, "libexec/spoolgate/spoolgate-send")], input=json.dumps(request), capture_output=True,
                              text=True, timeout=60, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        assert json.loads(done.stdout) == {"status": 204}, (done.stdout, done.stderr)
        assert len(receiver.calls) == 1
        with open(trace, encoding="utf-8") as file:
            lines = file.readlines()
        assert sum('"/etc/hosts"' in line for line in lines) == 1, lines
        called = [line for line in lines if "connect(" in line and f"htons({receiver.port})" in line]
        assert len(called) == 1 and "127.0.0.1" in called[0], called


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url":"http://x/","headers":[],"body":"","allow":"","seconds":1}',
                                  '{"url":"https://x/","headers":[],"body":"","allow":"nonsense","seconds":1}',
                                  '{"url":"https://x/","headers":7,"body":"","allow":"","seconds":1}'])
def test_the_sender_refuses_what_is_no_request(programs, text):
    done = subprocess.run([os.path.join(programs, "libexec/spoolgate/spoolgate-send")], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 65 and done.stdout == "" and "cannot be read" in done.stderr
