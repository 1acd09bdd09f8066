"""Tokens of the native API: made, listed and revoked by the command, asked for by the gate."""

import json
import os
import pwd
import re
import stat

import pytest

from lib import running, v1

TOOLS = {"one": v1.shell("echo 1"), "two": v1.shell("echo 2"), "slow": v1.shell("exec sleep 60")}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def ann(stack):
    return v1.Client(stack, stack.token("ann"))


@pytest.fixture(scope="module")
def bob(stack):
    return v1.Client(stack, stack.token("bob"))


def refused(answer, status, error):
    v1.problem(answer, status, ("header", "Authorization") if error == "invalid_token" else None)
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="spoolgate", error="{error}"'


def test_a_token_is_256_random_bits_and_only_its_hash_is_kept(stack):
    text = stack.token("fresh")
    assert re.fullmatch(r"sgt_[A-Za-z0-9_-]{43}", text) and text != stack.token("fresh2")
    folder = os.path.join(stack.path, "gate")
    names = [name for name in os.listdir(folder) if name.startswith("spoolgate.db")]
    assert names
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            assert text.encode() not in file.read() and text[4:].encode() not in file.read()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        if os.getuid() == 0:	# made by root for the gate
            assert pwd.getpwuid(os.stat(path).st_uid).pw_name == "spoolgate-gate"


def test_jobs_belong_to_their_token(ann, bob):
    done = ann.run("one")
    assert done["owner"] == "v1:token:ann"
    for method, path in (("GET", ""), ("GET", "/wait"), ("POST", "/kill"), ("DELETE", "")):
        v1.problem(bob.request(method, f"/jobs/{done['id']}{path}"), 404)
    assert done["id"] not in [j["id"] for j in bob.get("/jobs").json()["jobs"]]
    assert done["id"] in [j["id"] for j in ann.get("/jobs").json()["jobs"]]


def test_scopes(stack, ann):
    done = ann.run("one")
    reader, sender = v1.Client(stack, stack.token("reader", "--scope", "read")), v1.Client(stack, stack.token("sender", "--scope", "submit"))
    refused(reader.request("POST", "/jobs", json={"tool": "one"}), 403, "insufficient_scope")
    refused(reader.request("POST", f"/jobs/{done['id']}/kill"), 403, "insufficient_scope")
    refused(reader.request("DELETE", f"/jobs/{done['id']}"), 403, "insufficient_scope")
    assert reader.get("/jobs").json() == {"jobs": [], "next": None}
    job = sender.submit("one")
    refused(sender.get(f"/jobs/{job['id']}"), 403, "insufficient_scope")
    refused(sender.get("/jobs"), 403, "insufficient_scope")
    assert sender.get("/tools").status_code == 200


def test_admin_sees_and_ends_everybodys_jobs(stack, ann):
    admin = v1.Client(stack, stack.token("root", "--scope", "admin"))
    job = ann.submit("slow")
    assert v1.job(admin.get(f"/jobs/{job['id']}"))["owner"] == "v1:token:ann"
    assert job["id"] in [j["id"] for j in admin.get("/jobs", params={"owner": "v1:token:ann"}).json()["jobs"]]
    assert admin.get("/jobs").json()["jobs"] == []	# its own
    v1.job(admin.request("POST", f"/jobs/{job['id']}/kill"), 202)
    assert admin.wait(job["id"])["verdict"] == "killed"
    assert admin.request("DELETE", f"/jobs/{job['id']}").status_code == 204
    v1.problem(ann.get(f"/jobs/{job['id']}"), 404)
    task = ann.session.post(stack.url("stableconfigs", "/task"), json={"monomers": [["a"]]}).json()["task_id"].replace("-", "")
    assert v1.job(admin.get(f"/jobs/{task}"))["tool"] == "stableconfigs"


def test_a_token_for_one_tool(stack):
    own = v1.Client(stack, stack.token("narrow", "--tool", "one", "--tool", "stableconfigs"))
    assert [t["name"] for t in own.get("/tools").json()["tools"]] == ["one", "stableconfigs"]
    v1.problem(own.get("/tools/two"), 404)
    v1.problem(own.request("POST", "/jobs", json={"tool": "two"}), 403, ("pointer", "/tool"))
    v1.problem(own.request("POST", "/jobs", json={"tool": "on"}), 403, ("pointer", "/tool"))
    assert own.run("one")["verdict"] == "passed"


def test_a_revoked_token_is_gone_at_once(stack):
    own = v1.Client(stack, stack.token("brief"))
    for _ in range(8):	# every worker has met it
        assert own.get("/jobs").status_code == 200
    assert stack.command("token", "revoke", "brief").returncode == 0
    for _ in range(8):
        refused(own.get("/jobs"), 401, "invalid_token")
    done = stack.command("token", "revoke", "brief")
    assert (done.returncode, done.stderr) == (5, "spoolgate token: there is no token brief\n")


def test_a_token_whose_time_is_over(make_stack):
    stack = make_stack(tools=TOOLS, clock_offset=0)
    own = v1.Client(stack, stack.token("brief", "--expires", "1h"))
    assert own.get("/jobs").status_code == 200
    stack.stop("gate")
    stack.server.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = "3700"
    stack.start("gate")
    refused(own.get("/jobs"), 401, "invalid_token")


@pytest.mark.parametrize("credentials", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer sgt_", "Bearer sgt_" + "A" * 43, "Bearer " + "x" * 5000,
                                         "bearer nothing", "Bearer sgt_" + "A" * 42 + "'"])
def test_credentials_that_are_none(stack, credentials):
    answer = v1.Client(stack).get("/jobs", headers={"Authorization": credentials})
    if credentials == "":
        v1.problem(answer, 401, ("header", "Authorization") if "invalid_token" in answer.headers["WWW-Authenticate"] else None)
    else:
        refused(answer, 401, "invalid_token")


def test_the_scheme_is_not_case_sensitive(stack):
    assert v1.Client(stack).get("/jobs", headers={"Authorization": f"bEARER  {stack.token('cased')}"}).status_code == 200


def test_list(stack):
    stack.token("listed", "--scope", "read,kill", "--tool", "one", "--expires", "30d")
    rows = json.loads(stack.command("token", "list", "--json").stdout)["tokens"]
    row = next(r for r in rows if r["name"] == "listed")
    assert (row["scopes"], row["tools"]) == (["read", "kill"], ["one"])
    assert v1.TIME.fullmatch(row["created"]) and v1.TIME.fullmatch(row["expires"]) and row["created"] < row["expires"]
    assert [r["name"] for r in rows] == sorted(r["name"] for r in rows)
    assert re.search(r"^listed +read,kill +\S+Z +\S+ +one", stack.command("token", "list").stdout, re.M)
    assert "sgt_" not in stack.command("token", "list").stdout


def test_no_tokens_yet(make_stack):
    stack = make_stack()
    assert json.loads(stack.command("token", "list", "--json").stdout) == {"tokens": []}
    assert stack.command("token", "revoke", "x").returncode == 5
    assert not os.path.exists(os.path.join(stack.path, "gate/spoolgate.db"))


@pytest.mark.parametrize("args,status", [
    (["add"], 2), (["add", "a", "b"], 2), (["add", "Big"], 2), (["add", "-x"], 2), (["add", ".x"], 2), (["add", "x" * 65], 2), (["add", "a b"], 2),
    (["add", "x", "--scope", "all"], 2), (["add", "x", "--scope", ""], 2), (["add", "x", "--tool", "a b"], 2), (["add", "x", "--expires", "soon"], 2),
    (["add", "x", "--expires", "0"], 2), (["nothing"], 2), ([], 2), (["list", "x"], 2), (["add", "taken"], 1)])
def test_bad_usage(stack, args, status):
    if args == ["add", "taken"]:
        stack.token("taken")
    done = stack.command("token", *args)
    assert done.returncode == status and done.stdout == "" and done.stderr
    assert "x" not in [r["name"] for r in json.loads(stack.command("token", "list", "--json").stdout)["tokens"]]


def test_a_database_that_is_none(make_stack):
    stack = make_stack()
    path = os.path.join(stack.path, "gate/spoolgate.db")
    with open(path, "w", encoding="utf-8") as file:
        file.write("this is no database, but it is long enough to be looked at as one" * 100)
    os.chmod(path, 0o666)
    done = stack.command("token", "add", "x")
    assert done.returncode == 1 and "damaged" in done.stderr
    answer = v1.Client(stack, "sgt_" + "A" * 43).get("/jobs")
    v1.problem(answer, 500)
    os.unlink(path)
    assert v1.Client(stack, stack.token("x")).get("/jobs").status_code == 200
