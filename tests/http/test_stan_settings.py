"""The Stan compile service: its settings, its faults, and POST /restart; contract stan, sections 2.5 and 3."""

import concurrent.futures
import os
import subprocess
import threading
import time

import pytest

from lib import machine, running, stan
from lib.stan import program
from stack import accounts


@pytest.fixture(scope="module")
def compiler(ground):
    return stan.compiler(os.path.join(ground, "stan-settings"))


@pytest.fixture(scope="module")
def plain(ground, programs):
    """A stack without the service, whose programs and files the checks use; only the helper runs."""
    with running.Several(ground, programs) as several:
        yield several.make()


def check(stack, environment, conf=None):
    """spoolgated --check with these variables and no others of the service: (status, what it says)."""
    path = os.path.join(stack.path, "etc/check.conf")
    with open(os.path.join(stack.path, "etc/spoolgate.conf"), encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "".join(f"[stan]\n{key} = {value}\n" for key, value in (conf or {}).items()))
    os.chmod(path, 0o644)
    done = subprocess.run([stack.server.program("sbin/spoolgated"), "--config", path, "--check"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={"LANG": "C.UTF-8", **environment}, **accounts.helper().popen())
    return done.returncode, done.stderr


@pytest.mark.parametrize("changes,words", (
    ({"SWS_PASSCODE": None}, ["SWS_PASSCODE is missing"]),
    ({"SWS_PASSCODE": ""}, ["SWS_PASSCODE is set, but empty"]),
    ({"SWS_RESTART_TOKEN": ""}, ["SWS_RESTART_TOKEN is set, but empty"]),
    ({"TINYSTAN": "BROKEN"}, ["does not appear to contain a working installation."]),
    ({"TINYSTAN": "/nonexistent"}, ["Tinystan path '/nonexistent' does not appear"]),
    ({"TINYSTAN": None}, ["TINYSTAN is missing"]),
    ({"SWS_COMPILATION_TIMEOUT": "0"}, ["SWS_COMPILATION_TIMEOUT"]),
    ({"SWS_COMPILATION_TIMEOUT": "-1"}, ["SWS_COMPILATION_TIMEOUT"]),
    ({"SWS_COMPILATION_TIMEOUT": "abc"}, ["SWS_COMPILATION_TIMEOUT"]),
    ({"SWS_COMPILATION_TIMEOUT": "1.5"}, ["SWS_COMPILATION_TIMEOUT"]),
    ({"SWS_LOG_LEVEL": "LOUD"}, ["SWS_LOG_LEVEL"]),
    ({"SWS_JOB_DIR": "/tmp/a b"}, ["SWS_JOB_DIR"]),
    ({"SWS_JOB_DIR": "/tmp/a$b"}, ["SWS_JOB_DIR"]),
    ({"SWS_JOB_DIR": "/proc/jobs"}, ["/proc/jobs"]),
    ({"PATH": "/nonexistent"}, ["emmake", "make", "emstrip"]),
    # All at once.
    ({"SWS_PASSCODE": None, "TINYSTAN": "BROKEN", "SWS_COMPILATION_TIMEOUT": "abc", "SWS_LOG_LEVEL": "LOUD", "PATH": "/nonexistent"},
     ["SWS_PASSCODE", "working installation", "SWS_COMPILATION_TIMEOUT", "SWS_LOG_LEVEL", "emmake"]),
))
def test_faults(plain, compiler, changes, words):
    """stan#34: each is named at once, and no secret is."""
    broken = os.path.join(compiler, "broken")
    if not os.path.isdir(broken):	# a stand-in without stan/
        os.makedirs(broken)
        with open(os.path.join(broken, "Makefile"), "w", encoding="ascii"):
            pass
    changes = {name: broken if value == "BROKEN" else value for name, value in changes.items()}
    secret = {"SWS_RESTART_TOKEN": "secret-of-this-test", **({} if "SWS_PASSCODE" in changes else {"SWS_PASSCODE": "secret-of-this-test"})}
    environment = stan.environment(compiler, **{**secret, **changes})
    status, said = check(plain, environment)
    assert status == 78, said
    for word in words:
        assert word in said, said
    assert "secret-of-this-test" not in said


def test_accepted(plain, compiler):
    """stan#34"""
    environment = stan.environment(compiler, SWS_LOG_LEVEL="debug")
    assert check(plain, environment) == (0, "")
    alone = {**environment, "TINYSTAN_DIR": environment["TINYSTAN"]}
    del alone["TINYSTAN"]
    assert check(plain, alone) == (0, "")
    # TINYSTAN wins; a relative one is made absolute.
    assert check(plain, {**environment, "TINYSTAN_DIR": "/nonexistent"})[0] == 0
    assert check(plain, {**alone, "TINYSTAN": "/nonexistent"})[0] == 78
    assert check(plain, {}) == (0, "")
    assert check(plain, {name.lower() if name.startswith("SWS_") else name: value for name, value in environment.items()})[0] == 0


def test_settings_in_the_file(plain, compiler):
    """Section [stan] says the same; a secret lies in a file of its own."""
    secret = os.path.join(compiler, "passcode")
    with open(secret, "w", encoding="ascii") as file:
        file.write(" \n")
    os.chmod(secret, 0o644)
    path = {"PATH": f"{compiler}/bin:/usr/bin:/bin"}
    conf = {"tinystan": os.path.join(compiler, "tinystan"), "passcode_file": secret}
    assert "is empty" in check(plain, path, conf)[1]
    with open(secret, "w", encoding="ascii") as file:
        file.write("1234\n")
    assert check(plain, path, conf) == (0, "")
    assert "SWS_PASSCODE is missing" in check(plain, path, {"tinystan": conf["tinystan"]})[1]
    assert "timeout" in check(plain, path, {**conf, "timeout": "0s"})[1]
    assert "TINYSTAN is missing" in check(plain, path, {"cache_keep": "7d"})[1], "one setting of its own, and each fault is told"


@pytest.mark.parametrize("key", ("passcode_file", "restart_token_file"))
def test_a_secret_that_the_gate_cannot_read(plain, compiler, key):
    """It would be as if there were none; the helper need not read it."""
    secret = os.path.join(compiler, key)
    with open(secret, "w", encoding="ascii") as file:
        file.write("1234\n")
    os.chmod(secret, 0)
    path = {"PATH": f"{compiler}/bin:/usr/bin:/bin", "SWS_PASSCODE": "1234"}
    if key == "passcode_file":
        del path["SWS_PASSCODE"]
    conf = {"tinystan": os.path.join(compiler, "tinystan"), key: secret}
    assert check(plain, path, conf) == (0, "")
    done = subprocess.run([plain.server.program("libexec/spoolgate/spoolgate.fcgi"), "--config", os.path.join(plain.path, "etc/check.conf"), "--check"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, env=path, **accounts.gate().popen())
    assert done.returncode == 78 and f"[stan] {key}: {secret}: Permission denied" in done.stderr, done.stderr


def test_a_tinystan_by_a_crooked_path(make_stack, compiler):
    """There is no ".." in the jail."""
    client = stan.Client(make_stack(environment=stan.environment(compiler, TINYSTAN=f"{compiler}/bin/../tinystan"))).ready()
    said = client.text(client.compile(program(name="crooked")).headers["X-Spool-Job"], "stdout")
    assert f"cwd {compiler}/tinystan STANCFLAGS" in said


def test_nothing_set(plain):
    """stan#34: everything else starts, and the service says how it is configured."""
    client = stan.Client(plain)
    for answer in (client.get("/probe"), client.compile(b"OK1")):
        assert answer.status_code == 503 and "TINYSTAN" in answer.json()["message"]
    assert plain.session().get(plain.url("v1", "/tools")).status_code in (200, 401)


def test_origins(make_stack, compiler):
    """[stan] origins, for the gate and for what nginx sends."""
    origins = "https://one.example http://two.example:81"
    client = stan.Client(make_stack(environment=stan.environment(compiler), conf={"stan": {"origins": origins}}), "http://two.example:81").ready()
    model = client.compile(program(name="origins")).json()["model_id"]
    for path in ("/probe", f"/download/{model}/main.js"):
        for origin, allowed in (("https://one.example", True), ("http://two.example:81", True), (stan.ORIGIN, False)):
            got = client.get(path, headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
            assert got == (origin if allowed else None), (path, origin)


def test_lists_of_origins_agree(plain):
    """The gate's list without settings is that of nginx/stan-origins.map."""
    with open(os.path.join(machine.ROOT, "nginx/stan-origins.map"), encoding="ascii") as file:
        listed = {line.split('"')[1] for line in file if line.startswith('"')}
    with open(os.path.join(machine.ROOT, "src/config/stan.c"), encoding="ascii") as file:
        text = file.read()
    block = text[text.index("default_origins[]"):text.index("default_path[]")]
    assert listed == {word for word in block.replace('"', " ").replace(";", " ").split() if word.startswith("http")}


# ---- POST /restart ----

def restart(client, token=stan.RESTART_TOKEN):
    return client.request("POST", "/restart", headers={"Authorization": f"Bearer {token}"} if token is not None else None)


def test_restart_is_refused(make_stack, compiler):
    """stan#33"""
    client = stan.Client(make_stack(environment=stan.environment(compiler, SWS_RESTART_TOKEN=None)))
    answer = client.request("POST", "/restart")
    assert (answer.status_code, answer.text) == (401, '{"message":"Restart token not set at startup"}')


def test_restart(make_stack, compiler, ground):
    """stan#33"""
    salt = os.path.join(ground, "salt-of-the-restart")
    with open(salt, "w", encoding="ascii"):
        pass
    os.chmod(salt, 0o644)
    # A drain that is shorter than the compile: it is for the end, not for workers that are replaced.
    client = stan.Client(make_stack(environment=stan.environment(compiler), conf={"stan": {"salt_file": salt}, "gate": {"drain": "1s"}}, slots=2)).ready()
    for token, words in ((None, "Passcode not provided"), ("wrong", "Invalid passcode"), ("1234", "Invalid passcode")):
        answer = restart(client, token)
        assert (answer.status_code, answer.json()) == (401, {"message": words})
    assert client.request("POST", "/restart", headers={"Authorization": "bearer rt"}).json() == {"message": "Invalid authorization header"}
    stack = client.stack
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running_one = pool.submit(lambda: stan.Client(stack).compile(program("sleep 4", name="restart")))
        machine.wait_for(lambda: stack.pids("supervisor"), 10, "it compiles")
        before, keeper, helper = set(stack.pids("worker")), stack.pids("keeper"), stack.pids("helper")
        stack.configure("stan", origins="https://new.example")
        with open(salt, "w", encoding="ascii") as file:
            file.write("a salt line\n\n")
        answer = restart(client)
        assert (answer.status_code, answer.text) == (200, '{"status":"restarting"}')
        machine.wait_for(lambda: "executing myself anew" in stack.log("helper") and stack.log("helper").count("ready:") == 2, 5, "the helper is anew")
        machine.wait_for(lambda: stack.log("gate").count("workers serve") == 2, 5, "new workers serve")
        # Who had a request keeps it to its end, and takes no other.
        assert stack.pids("keeper") == keeper and stack.pids("helper") == helper
        client.session.close()
        now = client.get("/probe", headers={"Origin": "https://new.example"})
        assert now.headers["Access-Control-Allow-Origin"] == "https://new.example"
        assert not running_one.done()
        client.ready()
        assert client.compile(b"S").json() == {"model_id": "afd8f8aa04834d5ba5ee6529aed8aeb7ced9c811"}
        answer = running_one.result()
    assert answer.status_code == 200 and answer.json() == {"model_id": stan.model_id(program("sleep 4", name="restart"))}
    machine.wait_for(lambda: not before & set(stack.pids("worker")), 10, "the old workers have finished")


def test_restarts_under_load(make_stack, compiler):
    """Issue: 50 requests a second and ten running compiles while it is called three times; none fails."""
    client = stan.Client(make_stack(environment=stan.environment(compiler), slots=10)).ready()
    over, wrong, n = threading.Event(), [], [0]

    def ask(i):
        own = stan.Client(client.stack)
        model = stan.model_id(program(name="load"))
        while not over.wait(0.1):	# five of these: 50 a second
            answers = (own.get("/probe"), own.compile(program(name="load")), own.request("HEAD", f"/download/{model}/main.js"))
            for answer in (answers[n[0] % 3],) if i else answers[:1]:
                n[0] += 1
                if answer.status_code != 200:
                    wrong.append((answer.url, answer.status_code, answer.text))
    assert client.compile(program(name="load")).status_code == 200
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        compiles = [pool.submit(lambda i=i: stan.Client(client.stack).compile(program("sleep 4", name=f"c{i}"))) for i in range(10)]
        machine.wait_for(lambda: len(client.stack.pids("supervisor")) == 10, 20, "ten compiles run")
        loads = [pool.submit(ask, i) for i in range(5)]
        for i in range(3):
            begun = client.stack.log("gate").count("workers serve")
            assert restart(stan.Client(client.stack)).status_code == 200
            machine.wait_for(lambda begun=begun: client.stack.log("gate").count("workers serve") > begun, 20, "new workers serve")
        answers = [future.result() for future in compiles]
        over.set()
        for load in loads:
            load.result()
    assert not wrong, wrong[:5]
    assert n[0] >= 50 and all(a.status_code == 200 for a in answers), [a.text for a in answers]
    assert len(client.stack.jobs()) == 12, "each was compiled once, and the self-test"
