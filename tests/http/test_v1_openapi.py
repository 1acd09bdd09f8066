"""The native API's description: served, true, and held against the service by schemathesis."""

import base64
import hashlib
import json
import os
import re
import subprocess

import pytest

from lib import machine, running, v1

TOOLS = {
    "hello": v1.shell("echo hello; echo x >file", limits="wall = 20s\n"),
    "answer": v1.shell("echo answer", stdout="apart", limits="wall = 20s\n"),
}
# What the document cannot say: which tools there are, what they take, how long a log is.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 410, 413, 416, 422, 429, "5xx"]

# A form's part `parameters` is JSON, which schemathesis does not always make it.
[[operations]]
include-name = "POST /jobs"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 410, 413, 416, 422, 429, "5xx"]

# 507 says that there is no room for what all uploads announce together.
[[operations]]
include-name = "POST /uploads"
checks.not_a_server_error.enabled = false

# A job has a file `stdout` only where its tool keeps it apart.
[[operations]]
include-name = "GET /jobs/{id}/stdout"
checks.ensure_resource_availability.enabled = false
"""


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(tools=TOOLS, slots=4, conf={"gate": {"waits_owner_max": "500"}, "v1": {"uploads_max": "1M"}})


@pytest.fixture(scope="module")
def document(stack):
    answer = v1.look(v1.Client(stack).get("/openapi.json"))
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    again = v1.Client(stack).get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    return answer.json()


def test_each_operation_is_served_and_each_that_is_served_is_told(stack, document):
    assert document["openapi"] == "3.1.0" and document["servers"] == [{"url": "/v1"}]
    client = v1.Client(stack)
    for path, operations in document["paths"].items():
        answer = client.request("OPTIONS", path.replace("{id}", "0" * 32).replace("{tool}", "x").replace("{path}", "a/b"))
        assert answer.status_code == 204, path
        allowed = set(answer.headers["Allow"].split(", "))
        told = {name.upper() for name in operations} | {"OPTIONS"}
        assert allowed == told | ({"HEAD"} if "GET" in told else set()), path
    with open(os.path.join(machine.ROOT, "src/gate/api_native.c"), encoding="utf-8") as file:
        routes = [line.split('"')[1] for line in file if line.startswith('\t{ "/') and '", "' in line]
    assert sorted(r.replace("{*}", "{}") for r in routes) == sorted(
        p.replace("{id}", "{}").replace("{tool}", "{}").replace("{path}", "{}") for p in document["paths"])


def test_the_page_for_people_needs_nothing_else(stack):
    answer = v1.look(v1.Client(stack).get("/docs"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    script = re.search(r"<script>(.*?)</script>", answer.text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)
    assert v1.Client(stack).get("/docs", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_schemathesis_finds_nothing(stack, document, tmp_path):
    venv = os.environ.get("SPOOLGATE_VENV", "")
    if not venv:
        pytest.skip("cannot: schemathesis is not installed (runtests does that)")
    token = stack.token("schemathesis", "--scope", "submit,read,kill")
    client = v1.Client(stack, token)
    for tool in TOOLS:
        client.run(tool)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [f"{venv}/bin/schemathesis", "--config-file", tmp_path / "schemathesis.toml", "run", stack.url("v1", "/openapi.json"),
         "--tls-verify", stack.ca, "--header", f"Authorization: Bearer {token}", "--max-examples", "40", "--seed", "7", "--workers", "1",	# Python 3.11 breaks its parser with several threads
         "--request-timeout", "60", "--suppress-health-check", "all", "--no-color"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Tested: " in done.stdout and json.dumps(document)
    for job in client.get("/jobs", params={"limit": 1000}).json()["jobs"]:
        client.request("POST", f"/jobs/{job['id']}/kill")
