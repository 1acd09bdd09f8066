"""Secret parameters: in memory and in the tool's environment, and nowhere else."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import urllib.parse

import pytest

from lib import jobs, machine, v1

SECRET = "open+sesame/Zwölf&\"key\""
PARAMETER = "[parameter key]\nsecret = yes\nenvironment = KEY\nmax = 100\n"
TOOLS = {
    "hash": v1.shell('printf %s "$KEY" | sha256sum; echo up', parameters=PARAMETER + "[parameter n]\nrequired = no\n"),
    "sleeper": v1.shell("echo up; exec sleep 1000", parameters=PARAMETER),
    "twice": v1.shell("echo up; exec sleep 1000", parameters=PARAMETER, head="twice = yes\n"),
}


@pytest.fixture
def stack(make_stack):
    return make_stack(conf=v1.OPEN, tools=TOOLS, slots=1)


@pytest.fixture
def client(stack):
    return v1.Client(stack)


def kept(stack):
    return sorted(os.listdir(stack.server.in_memory("secrets"))) if os.path.isdir(stack.server.in_memory("secrets")) else []


def block(client):
    """Takes the one slot."""
    job = client.submit("sleeper", {"key": "another"})["id"]
    return machine.wait_for(lambda: (lambda b: b["id"] if b["log_bytes"] else None)(v1.job(client.get(f"/jobs/{job}"))), 30, "it runs")


def end(client, job):
    client.request("POST", f"/jobs/{job}/kill")
    return client.wait(job)


def forms():
    raw = SECRET.encode()
    return [raw, base64.b64encode(raw).rstrip(b"="), urllib.parse.quote(SECRET).encode(), SECRET.encode("unicode_escape"),
            SECRET.replace('"', '\\"').encode(), SECRET.replace("/", "\\/").encode()]


def found(stack):
    """Where any form of the secret lies: files below the state folder and its sockets' folder, argument vectors of all processes, and
    environments of those that are no job's."""
    places = []
    for top in (stack.path, stack.server.run):
        for folder, _, names in os.walk(top):
            for path in (os.path.join(folder, name) for name in names):
                places += look(path) if os.path.isfile(path) and not os.path.islink(path) else []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        places += look(f"/proc/{pid}/cmdline")
    for role in ("helper", "keeper", "worker", "nginx", "supervisor"):
        for pid in stack.pids(role):
            places += look(f"/proc/{pid}/environ")
    return places


def look(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:	# it has ended
        return []
    return [path] if any(form in data for form in forms()) else []


def test_a_secret_is_found_in_the_environment_alone(stack, client):
    blocker = block(client)
    waiting = client.submit("hash", {"key": SECRET}, name="with a secret")["id"]
    path = os.path.join(stack.server.in_memory("secrets"), waiting)
    assert (os.stat(path).st_mode & 0o777, os.stat(stack.server.in_memory("secrets")).st_mode & 0o777) == (0o600, 0o700)
    with open(path, "rb") as file:
        assert file.read() == b"KEY=" + SECRET.encode() + b"\0"
    assert found(stack) == []
    end(client, blocker)
    assert client.wait(waiting)["verdict"] == "passed"
    expected = hashlib.sha256(SECRET.encode()).hexdigest()
    assert jobs.log(stack, waiting).split()[0] == expected
    machine.wait_for(lambda: kept(stack) == [], 10, "nothing is kept")
    assert found(stack) == []
    receipt = client.get(f"/jobs/{waiting}/receipt").json()
    assert receipt["environment"] == [] and SECRET not in str(receipt)
    parameter = client.get("/tools/hash").json()["parameters"][0]
    assert parameter["name"] == "key" and parameter["secret"] is True


def test_while_it_runs_no_argument_vector_has_it(stack, client):
    job = client.submit("sleeper", {"key": SECRET})["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")
    assert found(stack) == []
    end(client, job)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_secret_outlives_the_helper(stack, client, sig):
    blocker = block(client)
    waiting = client.submit("hash", {"key": SECRET})["id"]
    if sig == signal.SIGKILL:
        stack.kill("helper")
    else:
        stack.stop("helper")
    with open(os.path.join(stack.server.in_memory("secrets"), "0" * 32), "w", encoding="ascii"):
        pass	# as a crash leaves it before the record
    os.chown(os.path.join(stack.server.in_memory("secrets"), "0" * 32), os.stat(stack.server.in_memory("secrets")).st_uid, -1)
    stack.start("helper")
    assert kept(stack) == sorted([blocker, waiting])
    end(client, blocker)
    assert client.wait(waiting)["verdict"] == "passed"
    assert jobs.log(stack, waiting).split()[0] == hashlib.sha256(SECRET.encode()).hexdigest()


def test_a_reboot_loses_it_and_the_job(stack, client):
    blocker = block(client)
    waiting = client.submit("hash", {"key": SECRET})["id"]
    stack.kill("helper")
    shutil.rmtree(stack.server.in_memory("secrets"))
    stack.start("helper")
    end(client, blocker)
    done = client.wait(waiting)
    assert done["verdict"] == "lost" and "secret" in done["note"]
    assert client.run("hash", {"key": "new"})["verdict"] == "passed"


def test_a_second_attempt_has_it_again(stack, client):
    job = client.submit("twice", {"key": SECRET})["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")
    os.kill(stack.pids("supervisor")[0], signal.SIGKILL)
    machine.wait_for(lambda: (lambda b: b["attempt"] == 2 and b["log_bytes"])(v1.job(client.get(f"/jobs/{job}"))), 30, "it runs again")
    assert kept(stack) == [job]
    end(client, job)
    machine.wait_for(lambda: kept(stack) == [], 10, "nothing is kept")


def test_what_comes_to_nothing_leaves_none(stack, client):
    blocker = block(client)
    waiting = client.submit("hash", {"key": SECRET})["id"]
    assert end(client, waiting)["verdict"] == "killed"
    detail = v1.problem(client.request("POST", "/jobs", json={"tool": "hash", "parameters": {"key": SECRET + "x" * 100}}), 422,
                        ("pointer", "/parameters/key"))
    assert SECRET not in detail
    with stack.helper() as gate:
        late = gate.ask(jobs.request(tool="hash", params={"key": SECRET}, service="v1", owner="v1:ip:1", deadline=jobs.deadline(-1)))
        assert jobs.error(late) == "ETIMEDOUT"
    machine.wait_for(lambda: kept(stack) == [blocker], 10, "only the blocker's is kept")
    assert found(stack) == []
    end(client, blocker)
    machine.wait_for(lambda: kept(stack) == [], 10, "nothing is kept")


def test_an_idempotency_key_tells_nothing_of_it(stack, client):
    def post(**parameters):
        return client.request("POST", "/jobs", json={"tool": "hash", "parameters": parameters}, headers={"Idempotency-Key": "k"})
    first = v1.job(post(key=SECRET), 202)["id"]
    assert v1.job(post(key="another"), 202)["id"] == first	# what is kept of it has no secret in it
    v1.problem(post(key=SECRET, n="x"), 422, ("header", "Idempotency-Key"))
    client.wait(first)
    assert found(stack) == []


def test_without_memory_for_them_there_is_a_fault(make_stack, tmp_path):
    stack = make_stack(parts=(), conf={"helper": {"secrets": str(tmp_path / "secrets")}}, tools=TOOLS)
    stack.server.write_configuration()
    done = subprocess.run([stack.server.program("sbin/spoolgated"), "--config", stack.server.config_file, "--check"],
                          capture_output=True, text=True, env=stack.server.environment())
    assert done.returncode == 78 and "on no tmpfs" in done.stderr


def test_a_folder_of_somebody_else_is_none(make_stack):
    stack = make_stack(parts=(), conf={}, tools=TOOLS)
    os.mkdir(stack.server.in_memory("secrets"), 0o777)
    os.chmod(stack.server.in_memory("secrets"), 0o777)
    try:
        with pytest.raises(Exception, match="helper"):
            stack.start("helper")
        assert "open to others" in stack.log("helper")
    finally:
        os.rmdir(stack.server.in_memory("secrets"))
