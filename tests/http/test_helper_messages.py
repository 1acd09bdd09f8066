"""What the helper refuses, whoever sends it: it trusts no peer. Nothing refused may leave a job or a file, and the helper goes on."""

import errno
import json
import os
import socket

import pytest

from lib import machine, running
from lib.helper import MESSAGE_MAX, Connection, memory_file

ECHO = running.tool(["/bin/cat", "{text}"], inputs=["text"], params=["word"]).replace("max = 16M", "max = 3M", 1)


@pytest.fixture(scope="module")
def stack(ground, programs):
    """The helper alone; it takes jobs, of which none starts: there are no slots to spare while the first one sleeps."""
    with running.Several(ground, programs) as several:
        yield several.make(parts=("helper",), slots=1, tools={
            "echo": ECHO, "ranged": "[tool]\ncommand =\n\t/bin/echo\n\t{n}\n[parameter n]\ntype = integer\nmin = 1\nmax = 9\n"})


@pytest.fixture
def nothing_left(stack):
    """Afterwards there are as many jobs as before, incoming/ is empty and the helper answers."""
    before = stack.jobs()
    yield
    with stack.helper() as helper:
        assert helper.queue()["ok"]
    assert stack.jobs() == before
    machine.wait_for(lambda: not os.listdir(os.path.join(stack.spool, "incoming")), 5, "incoming/ is empty")


def refused(answer, code):
    assert answer is not None and answer["ok"] is False, answer
    assert answer["errno"] == code, answer
    assert "id" not in answer


def submission(**changes):
    message = {"op": "submit", "service": "test", "tool": "echo", "owner": "test:user:one", "deadline": 1 << 62,
               "params": {}, "inputs": []}
    message.update(changes)
    return {key: value for key, value in message.items() if value is not None}


def test_a_whole_submission_is_taken(stack):
    with stack.helper() as helper:
        answer = helper.submit("echo", {"text": b"hello"}, {"word": "x"})
    assert answer["ok"] is True
    assert stack.record(answer["id"], "job.json")["tool"] == "echo"


@pytest.mark.parametrize("changes", [
    {"tool": "nope"}, {"tool": None}, {"tool": 7}, {"tool": "../echo"}, {"service": ""}, {"service": None}, {"owner": None},
    {"owner": "other:user:one"}, {"owner": "test"}, {"owner": "test:" + "x" * 600}, {"params": []}, {"params": {"word": [1]}},
    {"params": {"nope": "x"}}, {"params": {"word": "a\nb"}}, {"params": {"word": "x" * 5000}}, {"note": []}, {"inputs": None},
    {"inputs": {}}, {"inputs": [{"name": "text", "size": 1}]}, {"deadline": None}, {"deadline": "soon"},
    {"tool": "ranged", "params": {"n": 0}}, {"tool": "ranged", "params": {"n": 10}}, {"tool": "ranged", "params": {"n": 1.5}},
    {"tool": "ranged", "params": {"n": "5; rm"}}, {"tool": "ranged", "params": {"n": 1e308}},
], ids=lambda changes: json.dumps(changes)[:60])
def test_a_wrong_member_is_refused(stack, nothing_left, changes):
    with stack.helper() as helper:
        refused(helper.ask(submission(**changes)), errno.EINVAL)


def with_input(stack, fd, size, name="text", fds=None):
    with stack.helper() as helper:
        return helper.ask(submission(inputs=[{"name": name, "size": size}]), [fd] if fds is None else fds)


def test_an_unsealed_memory_file_is_refused(stack, nothing_left):
    fd = memory_file(b"hello", seals=0)
    refused(with_input(stack, fd, 5), errno.EINVAL)
    os.close(fd)


def test_a_half_sealed_memory_file_is_refused(stack, nothing_left):
    fd = memory_file(b"hello", seals=0x2 | 0x4)	# neither shrinks nor grows, but can be written
    refused(with_input(stack, fd, 5), errno.EINVAL)
    os.close(fd)


def test_a_linked_file_is_refused(stack, nothing_left, tmp_path):
    for size in (5, 2 << 20):
        (tmp_path / "linked").write_bytes(b"x" * size)
        with open(tmp_path / "linked", "rb") as file:
            refused(with_input(stack, file.fileno(), size), errno.EINVAL)


def test_a_small_unlinked_file_is_refused_and_a_large_one_taken(stack, tmp_path):
    for size, taken in ((5, False), (2 << 20, True)):
        with open(tmp_path / "gone", "w+b") as file:
            os.unlink(tmp_path / "gone")
            file.write(b"x" * size)
            file.flush()
            answer = with_input(stack, file.fileno(), size)
        assert answer["ok"] is taken, answer


def test_an_oversized_input_is_refused(stack, nothing_left):
    fd = memory_file(b"x" * ((3 << 20) + 1))
    refused(with_input(stack, fd, (3 << 20) + 1), errno.EFBIG)
    os.close(fd)


@pytest.mark.parametrize("claimed", [0, 4, 6, -1, 1 << 62, "5", None])
def test_a_size_that_is_not_the_files_is_refused(stack, nothing_left, claimed):
    fd = memory_file(b"hello")
    refused(with_input(stack, fd, claimed), errno.EINVAL)
    os.close(fd)


def test_descriptors_that_are_no_files_are_refused(stack, nothing_left):
    read, write = os.pipe()
    folder = os.open("/", os.O_RDONLY)
    device = os.open("/dev/zero", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as sock:
        for fd in (read, folder, device, sock.fileno()):
            refused(with_input(stack, fd, 5), errno.EINVAL)
    for fd in (read, write, folder, device):
        os.close(fd)


def test_a_write_only_descriptor_is_refused(stack, nothing_left, tmp_path):
    fd = os.open(tmp_path / "blind", os.O_WRONLY | os.O_CREAT)
    os.unlink(tmp_path / "blind")
    os.ftruncate(fd, 2 << 20)
    refused(with_input(stack, fd, 2 << 20), errno.EINVAL)
    os.close(fd)


def test_superfluous_and_missing_descriptors_are_refused(stack, nothing_left):
    fds = [memory_file(b"hello") for _ in range(2)]
    refused(with_input(stack, None, 5, fds=fds), errno.EINVAL)
    refused(with_input(stack, None, 5, fds=[]), errno.EINVAL)
    with stack.helper() as helper:
        refused(helper.ask(submission(), fds), errno.EINVAL)
        refused(helper.ask({"op": "queue"}, fds), errno.EINVAL)
        refused(helper.ask(submission(inputs=[{"name": "text", "size": 5}] * 2), fds), errno.EINVAL)
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("name", ["other", "../text", "", "text\0", ".text", "a/b", 5, None])
def test_an_input_of_another_name_is_refused(stack, nothing_left, name):
    fd = memory_file(b"hello")
    refused(with_input(stack, fd, 5, name=name), errno.EINVAL)
    os.close(fd)


def test_a_submission_after_its_deadline_is_dropped(stack, nothing_left):
    with stack.helper() as helper:
        answer = helper.submit("echo", {"text": b"late"}, seconds=-1)
    assert answer["ok"] is False and answer["errno"] in (errno.ETIMEDOUT, errno.EINVAL), answer


@pytest.mark.parametrize("raw", [
    b"", b"x", b"{", b"[]", b"7", b"null", b'{"op":"queue"}', b'{"op":"queue","n":"1"}', b'{"n":1}', b'{"op":7,"n":1}',
    b'{"op":"queue","n":1} x', b'{"op":"queue","n":1,"n":2}x', b"\xff\xfe", b'{"op":"\xff","n":1}', b"[" * 5000,
    b'{"a":' * 5000, b'{"n":1,"op":"queue","x":NaN}', b" " * MESSAGE_MAX],
    ids=lambda raw: repr(raw[:24]))
def test_what_is_no_message_ends_the_connection(stack, nothing_left, raw):
    with stack.helper() as helper:
        helper.send(raw)
        assert helper.receive() is None


def test_a_packet_over_the_limit_ends_the_connection(stack, nothing_left):
    with stack.helper() as helper:
        helper.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        try:
            helper.send(b'{"op":"queue","n":1,"x":"' + b"x" * MESSAGE_MAX + b'"}')
        except OSError as error:
            assert error.errno == errno.EMSGSIZE	# the kernel's limit came first
            return
        assert helper.receive() is None


def test_too_many_descriptors_end_the_connection(stack, nothing_left):
    fds = [memory_file(b"x") for _ in range(65)]
    with stack.helper() as helper:
        answer = helper.ask(submission(inputs=[{"name": "text", "size": 1}] * 65), fds)
        assert answer is None or answer["ok"] is False
    for fd in fds:
        os.close(fd)


def test_nothing_is_answered_before_hello(stack, nothing_left):
    with stack.helper(hello=False) as helper:
        assert helper.ask({"op": "queue"}) is None


def test_an_unknown_version_is_refused(stack, nothing_left):
    with stack.helper(hello=False) as helper:
        refused(helper.ask({"op": "hello", "versions": [99], "program": "test"}), errno.EPROTONOSUPPORT)


def test_unknown_requests_and_those_of_the_other_socket_are_refused(stack, nothing_left):
    with stack.helper() as helper:
        refused(helper.ask({"op": "nope"}), errno.ENOSYS)
        for op in ("drain", "resume", "reload"):
            refused(helper.ask({"op": op}), errno.EPERM)
    with stack.helper(admin=True) as helper:
        for op in ("may", "submit", "watch", "unwatch"):
            refused(helper.ask({"op": op}), errno.EPERM)


@pytest.mark.parametrize("job", ["", "x", "0" * 31, "0" * 33, "A" * 32, "../../etc/passwd", "0" * 32, 5, None])
@pytest.mark.parametrize("op", ["kill", "forget"])
def test_an_id_that_is_none_is_refused(stack, nothing_left, op, job):
    with stack.helper() as helper:
        answer = helper.ask({"op": op, "id": job, "by": "test"})
    assert answer["ok"] is False and answer["errno"] in (errno.EINVAL, errno.ENOENT), answer


def test_peers_of_other_accounts_are_turned_away(stack, nothing_left):
    machine.need_root()
    from stack import accounts
    nobody = accounts.account("nobody")
    run = os.path.join(stack.server.run, "helper")
    for socket_name, account in (("gate.sock", accounts.helper()), ("admin.sock", accounts.helper()),
                                 ("admin.sock", accounts.gate()), ("gate.sock", nobody), ("admin.sock", nobody),
                                 ("gate.sock", accounts.nginx())):
        try:
            with Connection(os.path.join(run, socket_name), account) as connection:
                assert connection.greeting is None, (socket_name, account)
        except PermissionError:
            pass	# the socket's mode came first


def test_may_holds_room_under_a_ticket(stack):
    with stack.helper() as helper:
        answer = helper.ask({"op": "may", "service": "test", "owner": "test:user:one", "bytes": 5})
        assert answer["ok"] is True and len(answer["ticket"]) == 32
        assert helper.submit("echo", {"text": b"hello"}, ticket=answer["ticket"])["ok"] is True
        refused(helper.ask({"op": "may", "service": "test", "owner": "test:user:one", "bytes": 1 << 50}), errno.EFBIG)
        refused(helper.ask({"op": "may", "service": "test", "owner": "other:x", "bytes": 5}), errno.EINVAL)


def test_half_a_hundred_idle_and_broken_peers_hold_nobody_up(stack):
    peers = [stack.helper(hello=number % 2 == 0) for number in range(50)]
    for peer in peers[::3]:
        peer.send(b"{")
    with stack.helper() as helper:
        assert helper.queue()["ok"]
    for peer in peers:
        peer.sock.close()
