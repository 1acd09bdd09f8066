"""The helper's sockets: hello, who may connect, tickets, owners, and the finer points of submissions (test_helper_messages.py has
the coarse ones). What is refused leaves nothing."""

import os
import socket
import tempfile

import pytest

from lib import helper, jobs, machine, running
from stack import accounts


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(parts=("helper",), tools=jobs.TOOLS)


@pytest.fixture
def gate(stack):
    with stack.helper() as connection:
        yield connection


@pytest.fixture
def admin(stack):
    with stack.helper(admin=True) as connection:
        yield connection


# Hello

def test_hello_agrees_on_a_version(gate):
    assert gate.greeting["ok"] and gate.greeting["version"] == 1 and gate.greeting["release"]


@pytest.mark.parametrize("versions", [[1, 2], [7, 1]])
def test_hello_takes_the_version_both_speak(stack, versions):
    with stack.helper(hello=False) as connection:
        assert connection.ask({"op": "hello", "versions": versions})["version"] == 1


@pytest.mark.parametrize("versions", [[2], [], [0], ["1"], [True], [None], [[1]], 1, "1", None])
def test_hello_without_a_common_version_is_refused(stack, versions):
    with stack.helper(hello=False) as connection:
        assert jobs.error(connection.ask({"op": "hello", "versions": versions})) == "EPROTONOSUPPORT"
        assert connection.ask({"op": "queue"}) is None	# no hello was said: it closes


def test_more_descriptors_than_are_allowed_close_the_connection(stack):
    with stack.helper() as connection, open(os.devnull, "rb") as null:
        before = machine_fds(stack)
        connection.send({"n": 1, "op": "submit"}, [null.fileno()] * 65)
        assert connection.receive() is None
    no_more_fds(stack, before - 1)


def machine_fds(stack):
    return len(os.listdir(f"/proc/{stack.pids('helper')[0]}/fd"))


def no_more_fds(stack, before):
    """What came with a message is closed after its answer went out: a moment later."""
    machine.wait_for(lambda: machine_fds(stack) <= before, 10, "the helper has no more descriptors than before")


# Who may ask

@pytest.mark.parametrize("op", ["queue", "kill", "may", "watch"])
def test_descriptors_belong_to_submissions_alone(stack, gate, op):
    with open(os.devnull, "rb") as null:
        before = machine_fds(stack)
        assert jobs.error(gate.ask({"op": op, "id": "0" * 32, "ids": []}, [null.fileno()])) == "EINVAL"
    no_more_fds(stack, before)


def test_only_the_gates_account_may_use_its_socket(stack):
    machine.need_root()
    root = accounts.Account("", 0, 0, (0,))
    nobody = accounts.account("nobody")
    path = os.path.join(stack.server.run, "helper", "gate.sock")
    # Root may open any socket, an account in the gate's group the gate's: the helper itself must say no.
    stranger = accounts.Account("", nobody.uid, accounts.gate().gid, (accounts.gate().gid,))
    for account in (root, stranger, accounts.helper()):
        with helper.Connection(path, account, hello=False) as connection:
            assert connection.ask({"op": "hello", "versions": [1]}) is None
    with pytest.raises(PermissionError):
        helper.Connection(path, nobody)


def test_only_root_may_administer(stack):
    machine.need_root()
    path = os.path.join(stack.server.run, "helper", "admin.sock")
    for account in (accounts.gate(), accounts.account("nobody")):
        with pytest.raises(PermissionError):
            helper.Connection(path, account)
    with helper.Connection(path, accounts.helper(), hello=False) as connection:	# a tool out of its jail has this uid
        assert connection.ask({"op": "hello", "versions": [1]}) is None


def test_the_sockets_have_exact_modes(stack):
    run = os.path.join(stack.server.run, "helper")
    gate, admin = os.stat(f"{run}/gate.sock"), os.stat(f"{run}/admin.sock")
    if os.getuid() == 0:
        assert (gate.st_mode & 0o777, gate.st_gid) == (0o660, accounts.gate().gid)
    else:
        assert gate.st_mode & 0o777 == 0o600
    assert admin.st_mode & 0o777 == 0o600


# May

def may(gate, size=100, owner="test:user:one", service="test"):
    return gate.ask({"op": "may", "service": service, "owner": owner, "bytes": size})


def test_a_ticket_holds_until_it_is_used(stack, gate):
    ticket = may(gate)["ticket"]
    assert len(ticket) == 32
    job = jobs.submit(gate, ticket=ticket)
    assert stack.wait_for_result(job)["verdict"] == "passed"
    stack.wait_for_result(jobs.submit(gate, ticket=ticket))	# used up: as without one


@pytest.mark.parametrize("size", [-1, 1.5, "1", None, True])
def test_a_number_of_bytes_is_needed(gate, size):
    assert jobs.error(may(gate, size)) == "EINVAL"


def test_more_than_is_ever_taken_is_refused_before_it_comes(gate):
    assert jobs.error(may(gate, (1 << 30) + 1)) == "EFBIG"
    assert jobs.error(may(gate, 1 << 62)) == "EFBIG"


def test_tickets_hold_bytes_against_each_other(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, conf={"helper": {"uploads_max": "1M"}})
    with stack.helper() as gate, stack.helper() as other:
        ticket = may(gate, 700000)["ticket"]
        refusal = may(other, 700000)
        assert jobs.error(refusal) == "EAGAIN" and refusal["retry_after"] > 0 and refusal["reason"]
        stack.wait_for_result(jobs.submit(gate, ticket=ticket))
        assert may(other, 700000)["ok"]


def test_who_asks_and_sends_nothing_keeps_nobody_out(make_stack):
    """As the gate where a body was no JSON: a connection holds one ticket, and none when it has gone."""
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, conf={"helper": {"uploads_max": "1M", "queue_max": "2"}})
    with stack.helper() as other:
        with stack.helper() as gate:
            for _ in range(5):
                assert may(gate, 700000)["ok"]
            assert jobs.error(may(other, 700000)) == "EAGAIN"
        # The helper may not have seen the end of that connection yet.
        machine.wait_for(lambda: may(other, 700000)["ok"], 10, "the ticket of a closed connection is given back")


# Owners

LONG = "x" * 240
BAD_OWNERS = ["", "test", "test:", ":user:one", "other:user:one", "tes:user:one", "testing:user", "test:" + "y" * 600,
              "test:" + "ä" * 100, None, 7, ["test:user:one"]]


@pytest.mark.parametrize("owner", BAD_OWNERS)
@pytest.mark.parametrize("op", ["may", "submit"])
def test_a_malformed_owner_is_refused(stack, gate, owner, op):
    before = jobs.all_traces(stack)
    body = jobs.request(owner=owner) if op == "submit" else {"op": "may", "service": "test", "owner": owner, "bytes": 1}
    assert jobs.error(gate.ask(body)) == "EINVAL"
    jobs.nothing_came_in(stack, before)


@pytest.mark.parametrize("service", ["", "key", "x" * 300, None, 3])
def test_a_service_that_is_no_door_is_refused(stack, gate, service):
    before = jobs.all_traces(stack)
    assert jobs.error(gate.ask(jobs.request(service=service, owner=f"{service}:user:one"))) == "EINVAL"
    jobs.nothing_came_in(stack, before)
    assert gate.queue()["accepting"]


@pytest.mark.parametrize("owner", ["test:user:../../../etc", "test:ip:2001:db8::/64", "test:user:a/b\n\t%2f", "test:.", "test:..",
                                   "test:" + "z" * 250, "test::"])
def test_any_name_is_an_owner(stack, gate, owner):
    job = jobs.submit(gate, owner=owner)
    assert stack.record(job, "job.json")["owner"] == owner
    assert stack.wait_for_result(job)["verdict"] == "passed"
    found = [path for path in jobs.all_traces(stack)["index"] if path.endswith(job)]
    assert len(found) == 1 and os.path.dirname(os.path.dirname(found[0])) == os.path.join(stack.spool, "index/test")


# Submissions

def refused(stack, gate, body, fds=(), wanted="EINVAL"):
    before = jobs.all_traces(stack)
    answer = gate.ask(body, fds)
    assert jobs.error(answer) == wanted, answer
    assert answer["reason"]
    jobs.nothing_came_in(stack, before)
    return answer


def test_a_submission_with_inputs_runs(stack, gate):
    job = jobs.submit(gate, "cat data.txt; wc -c <big; cat big | tail -c 3", inputs={"data.txt": b"abc\n", "big": b"x" * 300000 + b"end"})
    assert stack.wait_for_result(job)["verdict"] == "passed"
    assert jobs.log(stack, job) == "abc\n300003\nend"
    record = stack.record(job, "job.json")
    assert [(i["name"], i["size"]) for i in record["inputs"]] == [("data.txt", 4), ("big", 300003)]


def test_an_empty_input_is_an_input(stack, gate):
    job = jobs.submit(gate, "wc -c <data.txt", inputs={"data.txt": b""})
    assert stack.wait_for_result(job)["verdict"] == "passed"
    assert jobs.log(stack, job).strip() == "0"


def test_a_note_is_kept(stack, gate):
    note = {"name": "ä€😀", "n": [1, 2.5, None, True], "x": {"y": "z"}}
    job = jobs.submit(gate, note=note)
    assert stack.record(job, "job.json")["note"] == note
    stack.wait_for_result(job)


def test_a_deadline_that_has_passed_is_a_refusal(stack, gate):
    refused(stack, gate, jobs.request(deadline=jobs.deadline(-0.001)), wanted="ETIMEDOUT")


def file_of(size, linked=False, folder="/tmp"):
    """An unlinked file, or one that still has a name (and its path)."""
    fd, path = tempfile.mkstemp(dir=folder)
    os.truncate(fd, size)
    if not linked:
        os.unlink(path)
    return fd, path


def submit_fd(stack, gate, fd, size, name="big", wanted="EINVAL"):
    try:
        return refused(stack, gate, jobs.request(inputs=[(name, size)]), [fd], wanted)
    finally:
        os.close(fd)


@pytest.mark.parametrize("missing", [0x2, 0x4, 0x8])
def test_a_memory_file_with_a_seal_missing_is_refused(stack, gate, missing):
    submit_fd(stack, gate, jobs.memory_file(b"abc", seals=helper.SEALS & ~missing), 3)


def test_a_large_unlinked_file_is_taken(stack, gate):
    fd, _ = file_of((1 << 20) + 1)
    try:
        answer = gate.ask(jobs.request(script="wc -c <big", inputs=[("big", (1 << 20) + 1)]), [fd])
    finally:
        os.close(fd)
    assert answer["ok"], answer
    assert stack.wait_for_result(answer["id"])["verdict"] == "passed"
    assert jobs.log(stack, answer["id"]).strip() == str((1 << 20) + 1)


def test_a_large_memory_file_is_taken_too(stack, gate):
    stack.wait_for_result(jobs.submit(gate, "wc -c <big", inputs={"big": b"x" * (3 << 20)}))


def test_a_required_input_must_be_there(stack, gate):
    refused(stack, gate, jobs.request("needy", params=None))


@pytest.mark.parametrize("note,wanted", [("x" * 65500, ""), ("x" * 65536, "EINVAL")])
def test_a_note_is_bounded(stack, gate, note, wanted):
    body = jobs.request(note={"note": note})
    if wanted:
        refused(stack, gate, body, wanted=wanted)
    else:
        answer = gate.ask(body)
        assert answer["ok"], answer
        stack.wait_for_result(answer["id"])


def odd_descriptors():
    pipe = os.pipe()
    pair = socket.socketpair()
    large = file_of((1 << 20) + 1, linked=True)
    yield "pipe", pipe[0], 0
    yield "socket", os.dup(pair[0].fileno()), 0
    yield "folder", os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY), os.stat("/tmp").st_size
    yield "device", os.open("/dev/zero", os.O_RDONLY), 0
    yield "event", os.eventfd(0), 0
    yield "path", os.open(large[1], os.O_PATH), (1 << 20) + 1
    yield "write-only", os.open(large[1], os.O_WRONLY), (1 << 20) + 1
    os.unlink(large[1])
    os.close(large[0])
    os.close(pipe[1])
    for end in pair:
        end.close()


def test_a_descriptor_that_is_no_readable_file_is_refused(stack, gate):
    held = list(odd_descriptors())	# the file of "path" and "write-only" has no name any more
    before = machine_fds(stack)
    for what, fd, size in held:
        try:
            refused(stack, gate, jobs.request(inputs=[("big", size)]), [fd])
        except AssertionError as wrong:
            raise AssertionError(what) from wrong
        finally:
            os.close(fd)
    no_more_fds(stack, before)


def test_a_file_that_shrinks_meanwhile_is_refused(stack, gate):
    # Announced and looked at as 8 MiB; nothing seals it. Whatever the helper meets, it is a whole job or none.
    size = 8 << 20
    before = set(jobs.all_jobs(stack))
    for _ in range(5):
        fd, _ = file_of(size)
        gate.number += 1
        gate.send({"n": gate.number, **jobs.request(script="wc -c <big", inputs=[("big", size)])}, [fd])
        os.truncate(fd, 4096)
        os.close(fd)
        answer = gate.receive()
        assert answer["n"] == gate.number
        if answer["ok"]:
            stack.wait_for_result(answer["id"])
            assert jobs.log(stack, answer["id"]).strip() == str(size)
            before.add(answer["id"])
        else:
            assert jobs.error(answer) == "EINVAL"
    machine.wait_for(lambda: not jobs.names(stack, "incoming"), 10, "incoming/ is empty")
    assert set(jobs.all_jobs(stack)) == before


def test_a_connection_that_closes_takes_its_submission_along_or_not_at_all(stack):
    """Sixty-four submissions whose asker goes away at once: each is a whole job that ends, or nothing."""
    before = set(jobs.all_jobs(stack))
    for i in range(64):
        with stack.helper() as connection:
            data = b"x" * (1000 if i % 2 else 400000)
            fd = jobs.memory_file(data)
            connection.send({"n": 5, **jobs.request(inputs=[("big", len(data))])}, [fd])
            os.close(fd)
    with stack.helper() as connection:
        machine.wait_for(lambda: not jobs.names(stack, "incoming"), 30, "incoming/ is empty")
        jobs.wait_idle(connection)
    for job in set(jobs.all_jobs(stack)) - before:
        assert stack.wait_for_result(job)["verdict"] == "passed"


def test_refusals_cost_no_descriptor(stack, gate):
    before = machine_fds(stack)
    fds = [jobs.memory_file(b"abc", seals=0) for _ in range(64)]
    try:
        for _ in range(20):
            assert jobs.error(gate.ask(jobs.request(inputs=[("data.txt", 3)] * 64), fds)) == "EINVAL"
    finally:
        for fd in fds:
            os.close(fd)
    no_more_fds(stack, before)
