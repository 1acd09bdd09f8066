"""The native API: jobs from submission to deletion."""

import json
import os
import threading
import time

import pytest

from lib import machine, running, v1

TOOLS = {
    "hello": v1.shell("echo hello"),
    "sleeper": v1.shell("echo up; exec sleep 60"),
    "wrong": v1.shell("exit 3"),
    "crash": v1.shell("kill -SEGV $$"),
    "live": v1.shell(r"""printf '\173"step":7\175' >p.new; mv p.new p.json; echo up; exec sleep 60""", head="live = p.json\n"),
}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def test_the_root_says_where_to_go_on(client):
    assert client.get("/").json() == {"service": "spoolgate", "version": "0.1.0", "openapi": "/v1/openapi.json", "docs": "/v1/docs"}


def test_a_job_from_submission_to_result(client):
    accepted = client.request("POST", "/jobs", json={"tool": "hello", "name": "my first"})
    body = v1.job(accepted, 202)
    assert accepted.headers["Location"] == f"/v1/jobs/{body['id']}"
    assert (body["tool"], body["name"], body["owner"]) == ("hello", "my first", "v1:ip:127.0.0.1")
    done = client.wait(body["id"])
    assert (done["verdict"], done["exit_code"], done["signal"], done["attempt"]) == ("passed", 0, None, 1)
    assert done["log_bytes"] == 6
    assert done["created"] <= done["started"] <= done["ended"] < done["expires"]
    assert 0 < done["usage"]["wall_seconds"] < 30 and 0 <= done["usage"]["cpu_seconds"] < 30
    assert v1.job(client.get(f"/jobs/{body['id']}")) == done


@pytest.mark.parametrize("tool,verdict,code,signal", [("wrong", "failed", 3, None), ("crash", "signalled", None, "SIGSEGV")])
def test_a_job_that_fails(client, tool, verdict, code, signal):
    done = client.run(tool)
    assert (done["verdict"], done["exit_code"], done["signal"]) == (verdict, code, signal)


def started(client, tool):
    body = client.submit(tool)
    return machine.wait_for(lambda: (lambda b: b if b["log_bytes"] else None)(v1.job(client.get(f"/jobs/{body['id']}"))), 30,
                            "the job has said something")


def test_progress_is_shown_while_it_runs(client):
    body = started(client, "live")
    assert (body["state"], body["progress"]) == ("running", {"step": 7})
    v1.job(client.request("POST", f"/jobs/{body['id']}/kill"), 202)
    assert client.wait(body["id"])["progress"] is None


def test_a_wait_ends_with_the_job(client):
    body = started(client, "sleeper")
    found = []
    waiter = threading.Thread(target=lambda: found.append(client.get(f"/jobs/{body['id']}/wait", params={"timeout": 50}).json()))
    waiter.start()
    killed = v1.job(v1.Client(client.stack).request("POST", f"/jobs/{body['id']}/kill"), 202)
    assert killed["state"] in ("killing", "finished")
    waiter.join(30)
    assert (found[0]["verdict"], found[0]["killed_by"]) == ("killed", "owner")
    assert v1.job(client.request("POST", f"/jobs/{body['id']}/kill"))["verdict"] == "killed"	# nothing left to kill


def test_a_wait_ends_at_its_timeout(client):
    body = started(client, "sleeper")
    start = time.monotonic()
    assert v1.job(client.get(f"/jobs/{body['id']}/wait", params={"timeout": 1}))["state"] == "running"
    assert time.monotonic() - start >= 1
    client.request("POST", f"/jobs/{body['id']}/kill")


def test_waits_of_one_owner_are_capped(make_stack):
    stack = make_stack(conf={**v1.OPEN, "gate": {"waits_owner_max": "2", "workers": "1"}}, tools=TOOLS)
    client = v1.Client(stack)
    body = started(client, "sleeper")
    answers = []
    waiters = [threading.Thread(target=lambda own: answers.append(own.get(f"/jobs/{body['id']}/wait")), args=(v1.Client(stack),))
               for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    machine.wait_for(lambda: answers, 20, "one of three is turned away")
    client.request("POST", f"/jobs/{body['id']}/kill")
    for waiter in waiters:
        waiter.join(30)
    v1.problem(answers[0], 429)
    assert int(answers[0].headers["Retry-After"]) > 0
    assert [v1.job(answer)["verdict"] for answer in answers[1:]] == ["killed", "killed"]


@pytest.mark.parametrize("query,name", [("timeout=0", "timeout"), ("timeout=x", "timeout"), ("timeout=3601", "timeout"), ("timeout=-1", "timeout"),
                                        ("timeout=1&timeout=2", "timeout"), ("wait=1", "wait"), ("timeout=%zz", "timeout")])
def test_a_bad_query_of_a_wait(client, query, name):
    body = client.submit("hello")
    v1.problem(client.get(f"/jobs/{body['id']}/wait?{query}"), 400, ("parameter", name))


def test_a_job_is_deleted_when_it_is_finished(client):
    body = started(client, "sleeper")
    v1.problem(client.request("DELETE", f"/jobs/{body['id']}"), 409)
    client.request("POST", f"/jobs/{body['id']}/kill")
    client.wait(body["id"])
    answer = v1.look(client.request("DELETE", f"/jobs/{body['id']}"))
    assert (answer.status_code, answer.content) == (204, b"")
    v1.problem(client.get(f"/jobs/{body['id']}"), 404)
    v1.problem(client.request("DELETE", f"/jobs/{body['id']}"), 404)
    assert not os.path.exists(client.stack.job_folder(body["id"]))


@pytest.mark.parametrize("name", ["nope", "0" * 32, "F" * 32, "%20", "a%2fb", pytest.param("x" * 5000, id="long")])
def test_no_such_job(client, name):
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/wait"), ("POST", "/kill")):
        answer = client.request(method, f"/jobs/{name}{path}")
        assert answer.status_code in (400, 404, 405), answer.text
        v1.problem(answer, answer.status_code)


def test_jobs_of_another_service_are_none_of_ours(client):
    answer = client.session.post(client.stack.url("stableconfigs", "/task"), json={"monomers": [["a"]]})
    v1.problem(client.get(f"/jobs/{answer.json()['task_id'].replace('-', '')}"), 404)


def test_methods_and_addresses_that_are_not_served(client):
    v1.problem(client.request("PUT", "/jobs"), 405)
    assert client.request("PUT", "/jobs").headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    v1.problem(client.get("/nope"), 404)
    answer = client.request("OPTIONS", "/jobs", headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST",
                                                         "Access-Control-Request-Headers": "authorization"})
    assert answer.status_code == 204 and answer.headers["Access-Control-Allow-Headers"] == "authorization"


def test_nginx_speaks_in_problem_documents(client):
    with client.stack.raw() as connection:
        connection.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n")
        answer = connection.answer()
    body = json.loads(answer.body)
    assert (answer.status, answer.headers["Content-Type"], body["status"], body["title"]) == (413, v1.PROBLEM, 413, "Content Too Large")


def test_without_a_token_nothing_is_allowed_unless_configured(make_stack):
    stack = make_stack(tools=TOOLS)
    client = v1.Client(stack)
    for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/jobs/" + "0" * 32), ("POST", "/jobs/" + "0" * 32 + "/kill")):
        answer = client.request(method, path)
        v1.problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="spoolgate"'
    answer = v1.Client(stack, "nonsense").get("/jobs")
    v1.problem(answer, 401, ("header", "Authorization"))
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert client.get("/").status_code == 200


def test_503_without_a_helper(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    done = client.run("hello")
    stack.stop("helper")
    for method, path in (("POST", "/jobs"), ("DELETE", f"/jobs/{done['id']}")):
        answer = client.request(method, path, json={"tool": "hello"} if path == "/jobs" else None)
        v1.problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert v1.job(client.get(f"/jobs/{done['id']}")) == done
