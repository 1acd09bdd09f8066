"""A client of the native API that looks at each answer: JSON of the right type, problem documents, CORS."""

import json
import re

from . import machine

PROBLEM = "application/problem+json"
JOB_MEMBERS = ["id", "tool", "name", "owner", "state", "position", "created", "started", "ended", "attempt", "verdict", "exit_code", "signal", "killed_by",
               "note", "progress", "usage", "log_bytes", "callback", "pruned", "expires", "links"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# Anybody may do everything: for tests that are not about tokens.
OPEN = {"v1": {"anonymous": "submit,read,kill"}}


def shell(script, head="", parameters="", inputs="", limits="wall = 60s\n", stdout="log"):
    """A tool file that runs a line of shell in /job."""
    lines = "\n".join("\t" + line for line in ["/bin/sh", "-c", script])
    return f"[tool]\ncommand =\n{lines}\nstdout = {stdout}\n{head}\n[limits]\n{limits}\n{parameters}\n{inputs}\n"


def look(answer):
    """What holds of every answer."""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
    return answer


def problem(answer, status, place=None):
    """A problem document of this status; place: ("pointer", "/tool"). Returns its detail."""
    look(answer)
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["Content-Type"] == PROBLEM
    body = answer.json()
    assert answer.text == json.dumps(body, separators=(",", ":"), ensure_ascii=False) + "\n"
    assert list(body)[:5] == ["type", "title", "status", "detail", "request_id"]
    assert body["type"] == "about:blank" and body["status"] == status and body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    if place is None:
        assert "errors" not in body, body
    else:
        assert [{place[0]: e.get(place[0])} for e in body["errors"]] == [{place[0]: place[1]}], body
        assert body["errors"][0]["detail"]
    return body["detail"]


def job(answer, status=200):
    """An answer that is a Job: the object."""
    look(answer)
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["Content-Type"] == "application/json"
    return check_job(answer.json())


def job_list(answer):
    """A page of jobs."""
    look(answer)
    assert answer.status_code == 200, (answer.status_code, answer.text[:500])
    return [check_job(body) for body in answer.json()["jobs"]]


def check_job(body):
    assert list(body) == JOB_MEMBERS, body
    assert re.fullmatch(r"[0-9a-f]{32}", body["id"])
    assert TIME.fullmatch(body["created"])
    for key in ("started", "ended", "expires"):
        assert body[key] is None or TIME.fullmatch(body[key])
    assert (body["state"] == "finished") == (body["verdict"] is not None) == (body["ended"] is not None), body
    assert body["links"]["self"] == f"/v1/jobs/{body['id']}"
    return body


class Client:
    """token: its text; None: anonymous."""

    def __init__(self, stack, token=None):
        self.stack, self.session = stack, stack.session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, path, **more):
        more.setdefault("timeout", 60)
        return self.session.request(method, self.stack.url("v1", path), **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def submit(self, tool, parameters=None, inputs=None, name=None, status=202):
        """As JSON; inputs: {name: text}. The Job, accepted."""
        body = {"tool": tool, "parameters": parameters or {}, "inputs": {key: {"text": text} for key, text in (inputs or {}).items()}}
        if name is not None:
            body["name"] = name
        return job(self.request("POST", "/jobs", json=body), status)

    def wait(self, job_id, seconds=60):
        """The Job, finished."""
        def look_again():
            body = job(self.get(f"/jobs/{job_id}/wait", params={"timeout": 20}))
            return body if body["state"] == "finished" else None
        return machine.wait_for(look_again, seconds, f"job {job_id} ends")

    def run(self, tool, *args, **more):
        return self.wait(self.submit(tool, *args, **more)["id"])
