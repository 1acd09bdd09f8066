"""Idempotency-Key: what is sent again is the same job, for a day, across restarts, from whichever process of the gate."""

import concurrent.futures
import os
import signal
import time

import pytest

from lib import jobs, machine, running, v1

TOOLS = {
    "quick": v1.shell("echo ran", parameters="[parameter text]\nmax = 100\n", inputs="[input in]\nmax = 64M\nrequired = no\n"),
    "sleeper": v1.shell("echo up; exec sleep 1000"),
}
DAY = 24 * 3600 * 10**6


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf={**v1.OPEN, "gate": {"workers": "4"}}, tools=TOOLS, slots=2)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def post(client, key, body, **more):
    return client.request("POST", "/jobs", json=body, headers={"Idempotency-Key": key}, **more)


def test_the_same_again_is_the_same_job(stack, client):
    body = {"tool": "quick", "name": "n", "parameters": {"text": "a"}, "inputs": {"in": {"text": "data"}}}
    first = v1.job(post(client, "key-1", body), 202)
    before = jobs.all_traces(stack)
    for key in ("key-1", '"key-1"'):	# RFC 8941 has its strings in quotes
        again = post(client, key, body)
        assert v1.job(again, 202)["id"] == first["id"]
        assert again.headers["Location"] == f"/v1/jobs/{first['id']}"
    client.wait(first["id"])
    done = v1.job(post(client, "key-1", body), 202)
    assert (done["id"], done["state"]) == (first["id"], "finished")
    assert jobs.all_traces(stack) == before


def test_a_form_and_json_are_the_same(client):
    first = v1.job(post(client, "form", {"tool": "quick", "parameters": {"text": "a"}, "inputs": {"in": {"text": "data"}}}), 202)
    again = client.request("POST", "/jobs", headers={"Idempotency-Key": "form"}, data={"tool": "quick", "parameters": '{"text": "a"}'},
                           files={"in": ("in", b"data")})
    assert v1.job(again, 202)["id"] == first["id"]


@pytest.mark.parametrize("other", [{"tool": "sleeper"}, {"name": "m"}, {"parameters": {"text": "b"}}, {"parameters": {}},
                                   {"inputs": {"in": {"text": "datb"}}}, {"inputs": {}}])
def test_something_else_is_refused(stack, client, other):
    body = {"tool": "quick", "name": "n", "parameters": {"text": "a"}, "inputs": {"in": {"text": "data"}}}
    v1.job(post(client, "key-2", body), 202)
    before = jobs.all_traces(stack)
    other = {"tool": "sleeper"} if other == {"tool": "sleeper"} else {**body, **other}
    v1.problem(post(client, "key-2", other), 422, ("header", "Idempotency-Key"))
    jobs.nothing_came_in(stack, before)


def test_each_owner_has_its_own_keys(stack, client):
    lab = v1.Client(stack, stack.token("lab"))
    assert v1.job(post(client, "mine", {"tool": "quick"}), 202)["id"] != v1.job(post(lab, "mine", {"tool": "quick"}), 202)["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e4", "a\tb"])
def test_what_is_no_key_is_refused(stack, client, key):
    before = jobs.all_traces(stack)
    v1.problem(client.request("POST", "/jobs", json={"tool": "quick"}, headers={"Idempotency-Key": key.encode()}), 400,
               ("header", "Idempotency-Key"))
    assert jobs.all_traces(stack) == before


def test_a_key_is_kept_as_a_hash(stack, client):
    """Whoever knows it gets the job."""
    job = v1.job(post(client, "a-secret-of-the-client", {"tool": "quick"}), 202)
    client.wait(job["id"])
    for folder, _, names in os.walk(stack.path):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):	# a socket, or gone by now
                continue
            with open(path, "rb") as file:
                assert b"a-secret-of-the-client" not in name.encode() + file.read(), path


def test_of_many_at_once_one_becomes_a_job(stack, client):
    """From all processes of the gate: one job, and for a key of which several mean different things one of them."""
    clients = [v1.Client(stack) for _ in range(16)]
    before = len(jobs.all_jobs(stack))
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        for turn in range(4):
            ids = {v1.job(a, 202)["id"] for a in threads.map(lambda c: post(c, f"turn-{turn}", {"tool": "quick"}), clients)}
            assert len(ids) == 1
        answers = list(threads.map(lambda c: post(c, "differ", {"tool": "quick", "name": f"n{clients.index(c)}"}), clients))
    assert sorted(a.status_code for a in answers) == [202] + [422] * 15
    assert len(jobs.all_jobs(stack)) == before + 5


def test_it_is_known_after_restarts_and_for_a_day(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    first = v1.job(post(client, "key", {"tool": "quick"}), 202)["id"]
    client.wait(first)
    stack.kill("helper")
    stack.start("helper")
    assert v1.job(post(client, "key", {"tool": "quick"}), 202)["id"] == first
    for part in ("gate", "helper"):
        stack.restart(part)
    assert v1.job(post(v1.Client(stack), "key", {"tool": "quick"}), 202)["id"] == first
    stack.stop("helper")
    assert stack.doctor()[0] == 0, stack.doctor()


def test_after_a_day_a_key_is_free(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    first = v1.job(post(client, "key", {"tool": "quick"}), 202)["id"]
    client.wait(first)
    stack.stop("helper")
    stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = str(25 * 3600)
    stack.start("helper")
    second = v1.job(post(client, "key", {"tool": "quick", "name": "another"}), 202)["id"]
    assert second != first
    client.wait(second)
    assert client.request("DELETE", f"/jobs/{first}").status_code == 204	# which leaves the key to the later one
    assert v1.job(post(client, "key", {"tool": "quick", "name": "another"}), 202)["id"] == second
    stack.stop("helper")
    assert stack.doctor()[0] == 0, stack.doctor()


def test_a_deleted_job_leaves_its_key(client):
    first = v1.job(post(client, "deleted", {"tool": "quick"}), 202)["id"]
    client.wait(first)
    assert client.request("DELETE", f"/jobs/{first}").status_code == 204
    assert v1.job(post(client, "deleted", {"tool": "quick"}), 202)["id"] != first


def test_a_full_queue_refuses_no_job_that_is_there(make_stack):
    stack = make_stack(conf={**v1.OPEN, "helper": {"queue_max": "1"}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    client.submit("sleeper")
    big = {"tool": "quick", "inputs": {"in": {"text": "x" * 300000}}}
    machine.wait_for(lambda: v1.job_list(client.get("/jobs"))[0]["state"] == "running", 30, "the slot is taken")
    first = v1.job(post(client, "big", big), 202)["id"]
    assert client.request("POST", "/jobs", json={"tool": "quick"}).status_code == 503
    assert v1.job(post(client, "big", big), 202)["id"] == first
    assert post(client, "small", {"tool": "quick"}).status_code == 503


def test_an_upload_that_went_into_the_job_is_no_obstacle(stack, client):
    upload = client.request("POST", "/uploads", json={"bytes": 4}).json()["id"]
    answer = client.request("PATCH", f"/uploads/{upload}", data=b"data",
                            headers={"Content-Type": "application/octet-stream", "Upload-Offset": "0"})
    assert answer.status_code == 204, answer.text
    body = {"tool": "quick", "inputs": {"in": {"upload": upload}}}
    first = v1.job(post(client, "uploaded", body), 202)["id"]
    assert v1.job(post(client, "uploaded", body), 202)["id"] == first
    v1.problem(client.request("POST", "/jobs", json=body), 422, ("pointer", "/inputs/in"))


def test_a_gate_that_gave_up_and_a_client_that_tries_again_make_one_job(make_stack):
    """The helper hangs past the deadline of the first attempt."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    v1.job(post(client, "before", {"tool": "quick"}), 202)
    helper = stack.pids("helper")[0]
    os.kill(helper, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            began = time.monotonic()
            first = threads.submit(post, client, "key", {"tool": "quick"})
            answer = first.result(60)
            v1.problem(answer, 503)
            assert time.monotonic() - began > 5
    finally:
        os.kill(helper, signal.SIGCONT)
    job = v1.job(post(client, "key", {"tool": "quick"}), 202)["id"]
    client.wait(job)
    assert v1.job(post(client, "key", {"tool": "quick"}), 202)["id"] == job
    assert len(jobs.all_jobs(stack)) == 2
