"""The Stan compile service: compiles, alone and together, and what becomes of them when something is killed; contract stan, 4 to 8."""

import concurrent.futures
import os
import re
import time

import pytest
import requests

from lib import machine, running, stan
from lib.stan import ORIGIN, program

TOO_LONG = "Model compilation took too long to complete"


@pytest.fixture(scope="module")
def compiler(ground):
    return stan.compiler(os.path.join(ground, "stan-compile"))


@pytest.fixture(scope="module")
def client(ground, programs, compiler):
    with running.Several(ground, programs) as several:
        yield stan.Client(several.make(environment=stan.environment(compiler, SWS_COMPILATION_TIMEOUT="3"), slots=2)).ready()


@pytest.fixture
def fresh(make_stack, compiler):
    """fresh(...): a client of a stack of its own."""
    def make(variables=None, **more):
        return stan.Client(make_stack(environment=stan.environment(compiler, **(variables or {})), **more)).ready()
    return make


def at_once(n, call):
    """call(0..n-1) in threads of their own, begun together."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return [future.result() for future in [pool.submit(call, i) for i in range(n)]]


def clean(client, seconds=10):
    """The job dir is empty, at the latest a moment after the answer."""
    machine.wait_for(lambda: not os.listdir(client.scratch), seconds, "the job dir is empty")
    assert not [name for name in os.listdir(client.cache) if name.startswith(".")]


def own_message(answer, status):
    assert answer.status_code == status, (answer.status_code, answer.text[:1000])
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN and answer.headers["Content-Type"] == "application/json"
    return answer.json()["message"]


def descendants(word):
    """Pids of all processes with this word in their argument vector."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if word.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            continue
    return found


def test_compile(client):
    """stan#12, stan#13"""
    answer = client.compile(b"OK1")
    assert answer.text == '{"model_id":"c58d40afd949f737b3d1273c770f35cc55155059"}' and answer.headers["X-Spool-Cache"] == "miss"
    model = answer.json()["model_id"]
    files = ["main.js", "main.wasm"]
    assert client.entry(model) == sorted(files + [name + form for name in files for form in (".gz", ".br")])
    assert os.listdir(client.scratch) == []
    said = client.text(answer.headers["X-Spool-Job"], "stdout")
    tinystan = client.stack.settings.environment["TINYSTAN"]
    assert said == f"goal /job/main.js cwd {tinystan} STANCFLAGS --filename-in-msg=main.stan\nemstrip /job/main.wasm\n"
    # Again, as everything that may be a body: nothing is compiled.
    before = client.stack.jobs()
    for headers, body in (({"Content-Type": "text/plain"}, b"OK1"), ({"Content-Type": None}, b"OK1"), ({"Content-Type": "application/json"}, b'"OK1"'),
                          ({"Content-Type": "application/x-www-form-urlencoded"}, b"OK1"), ({"Content-Type": "multipart/form-data"}, b"OK1"),
                          ({}, iter([b"O", b"K1"]))):
        again = client.compile(body, headers=headers)
        assert again.text == answer.text and again.headers["X-Spool-Cache"] == "hit", again.text
    assert client.stack.jobs() == before


def test_names(client):
    """stan#14, without a salt"""
    for body, model in ((b"a\r\nb\rc\n", "3ca69e8d6c234a469d16ac28a4a658c92267c423"), (b"\xef\xbb\xbfm", "f17ac9f386288cbb196e05d457444991dd2fd8f4"),
                        ("ä ∂ 𝒳\r".encode() * 9000, None), (b"\r", None), (b"\n" * 16384 + b"\r\n" * 16384, None)):
        answer = client.compile(body)
        assert answer.json() == {"model_id": model or stan.model_id(body)}
    assert client.compile(b"a\nb\nc\n").headers["X-Spool-Cache"] == "hit"
    answer = client.compile(program("bytes").replace(b"\n", b"\r\n"))
    assert r"\r  \n" in client.text(answer.headers["X-Spool-Job"], "stdout"), "make sees the bytes as they came"


def test_salt(make_stack, compiler, ground):
    """stan#14, with a salt"""
    path = os.path.join(ground, "hash-salt.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("a salt line\n\n")
    os.chmod(path, 0o644)
    client = stan.Client(make_stack(environment=stan.environment(compiler), conf={"stan": {"salt_file": path}})).ready()
    assert client.compile(b"S").json() == {"model_id": "afd8f8aa04834d5ba5ee6529aed8aeb7ced9c811"}


def test_salt_of_the_compiler(make_stack, ground):
    """D22, when asked for: another compiler, other names."""
    folder = stan.compiler(os.path.join(ground, "stan-salted"))
    client = stan.Client(make_stack(environment=stan.environment(folder), conf={"stan": {"salt_file": "compiler"}})).ready()
    first = client.compile(b"OK1").json()["model_id"]
    assert first != stan.model_id(b"OK1") and client.compile(b"OK1").json()["model_id"] == first
    with open(os.path.join(folder, "tinystan/make/local"), "a", encoding="ascii") as file:
        file.write("# changed\n")
    client.stack.restart("gate")
    client.ready()
    second = client.compile(b"OK1")
    assert second.json()["model_id"] != first and second.headers["X-Spool-Cache"] == "miss"


def test_failing(client):
    """stan#21"""
    answer = client.compile(program("fail"))
    words = own_message(answer, 422)
    assert words == ("Failed to compile model: Syntax error in 'main.stan', line 1, column 0 to column 3, parsing error:\n"
                     "   Ill-formed phrase in main.stan\n")
    clean(client)
    assert client.entry(stan.model_id(program("fail"))) is None
    # It is the program's own fault: nobody need try again at once, and the whole log is kept.
    again = client.compile(program("fail"))
    assert own_message(again, 422) == words and again.headers["X-Spool-Job"] == answer.headers["X-Spool-Job"]
    log = client.text(answer.headers["X-Spool-Job"], "log")
    assert log.startswith("make: make STANCFLAGS") and "/job/main.js] Error 1" in log


def test_failures_are_forgotten(fresh):
    """Section 6: a short memory."""
    client = fresh(conf={"stan": {"failures_kept": "0"}})
    jobs = {client.compile(program("fail")).headers["X-Spool-Job"] for _ in range(3)}
    assert len(jobs) == 3


def test_too_long(client):
    """stan#22"""
    words = f"sleep-{time.monotonic_ns()}"
    answer = client.compile(program(f"deaf {words}", "sleep 1000", name=words))
    assert own_message(answer, 400) == TOO_LONG
    took = client.stack.record(answer.headers["X-Spool-Job"], "result.json")["wall_usec"]
    assert 3e6 <= took < 6e6, "the limit, the grace, and what a busy machine adds"
    assert not client.stack.pids("supervisor")
    assert not descendants(f"{client.scratch}/")
    clean(client)
    other = client.compile(program(f"deaf {words}", "sleep 1000", name=words))
    assert own_message(other, 400) == TOO_LONG and other.headers["X-Spool-Job"] != answer.headers["X-Spool-Job"], "never remembered"


def test_stray_child(client):
    """stan#23"""
    answer = client.compile(program("hold", "deaf"))
    assert answer.status_code == 200, answer.text
    assert client.stack.record(answer.headers["X-Spool-Job"], "result.json")["wall_usec"] < 2.5e6, "it waits for no stray child"
    assert not client.stack.pids("supervisor")


def test_bad_bytes(client):
    """stan#24, the compiler"""
    words = own_message(client.compile(program("bad-bytes")), 422)
    assert words == "Failed to compile model: a byte � and an escape ?[31m\n"


def test_missing_output(client):
    """stan#31"""
    for order, name in (("no-js", "main.js"), ("no-wasm", "main.wasm")):
        answer = client.compile(program(order))
        assert own_message(answer, 422) == f"Missing compilation output {name}"
        assert client.entry(stan.model_id(program(order))) is None
    clean(client)


def test_ends_of_the_compiler(client):
    """Section 5: a signal or too much memory is no word about the program that is remembered."""
    answer = client.compile(program("signal KILL"))
    assert own_message(answer, 422).startswith("Failed to compile model: ")
    clean(client)


def test_too_much_memory(fresh, compiler, ground):
    client = fresh(slots=1)
    path = os.path.join(client.stack.path, "etc/tools/stan.tool")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("memory = 3G", "memory = 64M"))
    client.stack.kill("helper", 1)
    machine.wait_for(lambda: "configuration reloaded" in client.stack.log("helper"), 10, "the tools are read anew")
    answer = client.compile(program("memory"))
    assert "more memory" in own_message(answer, 422)
    assert client.compile(program("memory")).headers["X-Spool-Job"] != answer.headers["X-Spool-Job"]


def test_environment(fresh, compiler, ground):
    """stan#32; and TINYSTAN, EMSDK and a folder of PATH are there, read-only, each at its own path."""
    emsdk = os.path.join(ground, "stan-emsdk")
    os.mkdir(emsdk)
    os.chmod(emsdk, 0o777)	# it is the jail that forbids to write there
    with open(os.path.join(emsdk, "file-of-emsdk"), "w", encoding="ascii"):
        pass
    client = fresh({"EMSDK": emsdk, "EM_FROZEN_CACHE": "1", "LC_ALL": "C", "SOMETHING_ELSE": "unseen", "SWS_PASSCODE": "pass-of-this-test",
                    "SWS_RESTART_TOKEN": "token-of-this-test"})
    said = client.text(client.compile(program("environment"), passcode="pass-of-this-test").headers["X-Spool-Job"], "stdout")
    assert "of-this-test" not in said and "unseen" not in said
    assert "\nfile-of-emsdk\n" in said
    for folder in (f"{compiler}/tinystan", emsdk, f"{compiler}/bin"):
        assert re.search(rf"touch: .*{re.escape(folder)}/new.*: (Read-only file system|Permission denied)", said), said
    assert not os.path.exists(os.path.join(emsdk, "new"))
    names = set(re.findall(r"^([A-Za-z_]+)=", said, re.M))
    assert names <= {"PATH", "HOME", "LANG", "PWD", "TINYSTAN", "EMSDK", "EM_FROZEN_CACHE", "LC_ALL", "EMSCRIPTEN", "MAKEFLAGS", "MAKELEVEL", "MFLAGS",
                     "MAKEOVERRIDES", "MAKE_TERMERR", "MAKE_TERMOUT", "STANCFLAGS", "OLDPWD", "SHLVL", "_"}, names
    # Of ls in the jail: its three, and the folder that it reads.
    fds = re.findall(r" (\d+) -> (\S+)", said)
    assert sorted(number for number, _ in fds)[:3] == ["0", "1", "2"] and dict(fds)["0"] == "/dev/null"
    assert all(number in "012" or "/fd" in target for number, target in fds), fds


def test_equal_programs(fresh):
    """stan#26: one compile for all who ask, in whichever process, whether it succeeds or fails."""
    client = fresh(conf={"gate": {"workers": "2"}})
    for order, status in (("sleep 1", 200), ("fail", 422)):
        source = program("sleep 1", order, name=order.split()[0])
        before = set(client.stack.jobs())
        answers = at_once(20, lambda _, source=source: stan.Client(client.stack).compile(source))
        assert {a.status_code for a in answers} == {status}, [a.text for a in answers]
        assert len({a.text for a in answers}) == 1 and len({a.headers["X-Spool-Job"] for a in answers}) == 1
        assert len(set(client.stack.jobs()) - before) == 1
        hows = [a.headers.get("X-Spool-Cache") for a in answers]
        assert hows.count("miss") <= 1 and set(hows) <= ({"miss", "joined"} if status == 200 else {None}), hows
    text = client.stack.log("gate")
    workers = client.stack.pids("worker")
    assert len(workers) == 2 and "worker" in text


def test_many_programs(fresh, compiler):
    """stan#27: never more at once than there are slots; who finds the queue full is told so, in words."""
    client = fresh(slots=2, conf={"helper": {"queue_max": "3"}})
    go = os.path.join(compiler, "tinystan/go")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def begin(numbers):
            return [pool.submit(lambda i=i: stan.Client(client.stack).compile(program("await go", name=f"m{i}"))) for i in numbers]
        waiting = begin(range(2))
        machine.wait_for(lambda: client.get("/status").json()["running"] == 2, 20, "all slots are busy")
        waiting += begin(range(2, 5))
        machine.wait_for(lambda: client.get("/status").json()["queued"] == 3, 20, "the queue is full")
        full = client.compile(program(name="one-too-many"))
        with open(go, "w", encoding="ascii"):
            pass
        words = own_message(full, 503)
        assert re.fullmatch(r"Compilation server is busy; try again in \d+ s", words)
        assert full.headers["Retry-After"] == re.search(r"\d+", words).group()
        while not all(future.done() for future in waiting):
            begun = time.monotonic()
            assert client.get("/probe").status_code == 200
            assert time.monotonic() - begun < 5	# how quick it is while they run, tests/bench says
        answers = [future.result() for future in waiting]
    assert all(a.status_code == 200 for a in answers), [a.text for a in answers]
    results = [client.stack.record(a.headers["X-Spool-Job"], "result.json") for a in answers]
    at_once = [sum(other["started_usec"] <= one["started_usec"] < other["ended_usec"] for other in results) for one in results]
    assert max(at_once) == 2, at_once


def test_client_gone(client):
    """stan#28"""
    source = program("sleep 1", name="gone")
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.session.post(client.base + "/compile", data=source, headers={"Authorization": "Bearer 1234"}, timeout=0.3)
    answer = client.compile(source)
    assert answer.status_code == 200 and answer.headers["X-Spool-Cache"] in ("joined", "hit")
    assert "main.js" in client.entry(answer.json()["model_id"])


@pytest.mark.parametrize("planted", (["main.js"], ["main.js", "main.wasm", "running.txt"], [], ["main.wasm", "main.js.gz"]))
def test_planted_entries(client, planted):
    """stan#29"""
    source = program(name=f"planted{len(planted)}{'j' if 'main.js' in planted else ''}")
    entry = os.path.join(client.cache, stan.model_id(source))
    os.mkdir(entry)
    for name in planted:
        with open(os.path.join(entry, name), "w", encoding="ascii") as file:
            file.write("planted")
    for path in [entry, *(os.path.join(entry, name) for name in planted)]:
        st = os.stat(client.cache)
        if os.getuid() == 0:
            os.chown(path, st.st_uid, st.st_gid)
    answer = client.compile(source)
    assert answer.status_code == 200, answer.text
    names = client.entry(answer.json()["model_id"])
    assert {"main.js", "main.wasm"} <= set(names)
    for name in ("main.js", "main.wasm"):
        assert client.get(f"/download/{answer.json()['model_id']}/{name}").status_code == 200
    clean(client)


def test_killed(fresh):
    """stan#30"""
    client = fresh(slots=2)
    source = program("sleep 2", name="killed")
    model = stan.model_id(source)

    def ask():
        with pytest.raises((requests.exceptions.ConnectionError, AssertionError)):
            assert stan.Client(client.stack).compile(source).status_code == 200
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask)
        machine.wait_for(lambda: client.stack.pids("supervisor"), 10, "it compiles")
        jobs = client.stack.jobs()
        workers = client.stack.pids("worker")
        assert client.stack.kill("keeper")
        for pid in workers:
            os.kill(pid, 9)
        assert client.stack.kill("helper")
        first.result()
        assert client.entry(model) is None
        client.stack.start("helper")
        client.stack.start("gate")
    answer = client.compile(source)
    assert answer.json() == {"model_id": model} and client.stack.jobs() == jobs, "it was compiled once"
    # And a compile that loses its supervisor: nothing of it is left, and it is done again.
    source = program("sleep 1", name="shot")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: stan.Client(client.stack).compile(source))
        job = machine.wait_for(lambda: next(iter(set(client.stack.jobs()) - set(jobs)), None), 10, "it is accepted")
        machine.wait_for(lambda: client.stack.record(job, "run.json"), 10, "it compiles")
        machine.wait_for(lambda: client.stack.kill("supervisor"), 10, "its supervisor is shot")
        assert client.get(f"/download/{stan.model_id(source)}/main.js").status_code == 404
        answer = answer.result()
    assert answer.status_code == 200 and answer.headers["X-Spool-Job"] == job, answer.text
    assert client.stack.record(answer.headers["X-Spool-Job"], "result.json")["attempt"] == 2
    clean(client)


def test_lost_work_is_swept(fresh):
    """D1: what a crash left in the job dir goes, and nothing else."""
    client = fresh()
    left = os.path.join(client.scratch, "0" * 32)
    for name in (left, os.path.join(client.cache, ".new-" + "0" * 32)):
        os.mkdir(name)
        with open(os.path.join(name, "main.stan"), "w", encoding="ascii") as file:
            file.write("left")
        if os.getuid() == 0:
            os.chown(name, os.stat(client.cache).st_uid, -1)
    os.mkdir(os.path.join(client.scratch, "mine"))
    client.stack.restart("helper")
    machine.wait_for(lambda: os.listdir(client.scratch) == ["mine"], 10, "it is swept")
    machine.wait_for(lambda: not [n for n in os.listdir(client.cache) if n.startswith(".")], 10, "the cache is too")


def test_much_output(fresh):
    """stan#35"""
    client = fresh()
    worker_bytes = [machine_bytes(pid) for pid in client.stack.pids("worker")]
    answer = client.compile(program("flood 100000000"))
    words = own_message(answer, 422)
    assert 60000 < len(words.encode()) < 80000 and words.startswith("Failed to compile model: xxx") and "\n[...]\n" in words
    assert max(machine_bytes(pid) for pid in client.stack.pids("worker")) < max(worker_bytes) + (4 << 20)


def machine_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_cache_that_cannot_be_written(fresh):
    """stan#36"""
    client = fresh()
    aside = client.cache + ".aside"
    os.rename(client.cache, aside)
    with open(client.cache, "w", encoding="ascii"):
        pass
    try:
        answer = client.compile(program(name="unwritable"))
        assert answer.status_code >= 500 and own_message(answer, answer.status_code)
        clean_scratch = lambda: not os.listdir(client.scratch)	# noqa: E731
        machine.wait_for(clean_scratch, 10, "the job dir is empty")
    finally:
        os.unlink(client.cache)
        os.rename(aside, client.cache)
    assert client.compile(program(name="unwritable")).status_code == 200


def test_eviction(fresh):
    """Section 6: who was not used for longest goes first, whole; what is young stays."""
    client = fresh(conf={"stan": {"cache_max": "1M"}})
    models = [client.compile(program("size 300000", name=f"evict{i}")).json()["model_id"] for i in range(4)]
    for age, model in enumerate(models):
        old = time.time() - 7200 + 600 * age
        for name in client.entry(model):
            os.utime(os.path.join(client.cache, model, name), (old, old))
    [test] = [name for name in client.entries() if name.startswith("keep-self-test-")]
    for name in client.entry(test):
        os.utime(os.path.join(client.cache, test, name), (time.time() - 9000, time.time() - 9000))
    for name in ("lost+found", "mine"):	# whose place it was before it became a cache
        os.mkdir(os.path.join(client.cache, name))
        with open(os.path.join(client.cache, name, "old"), "wb") as file:
            file.truncate(1 << 30)
        os.utime(os.path.join(client.cache, name, "old"), (1, 1))
    client.stack.restart("helper")
    machine.wait_for(lambda: models[0] not in client.entries(), 10, "the oldest goes")
    machine.wait_for(lambda: not [n for n in os.listdir(client.cache) if n.startswith(".")], 10, "it is gone for good")
    assert {models[3], test, "lost+found", "mine"} <= client.entries()
    assert client.compile(program("size 300000", name="evict0")).headers["X-Spool-Cache"] == "miss"


def test_age(fresh):
    """Section 6: nobody's for longest; the self-test of a compiler that is no more goes this way too."""
    client = fresh(conf={"stan": {"cache_keep": "1h"}})
    old, young = (client.compile(program(name=name)).json()["model_id"] for name in ("old", "young"))
    for entry in [name for name in client.entries() if name != young]:
        for name in client.entry(entry):
            os.utime(os.path.join(client.cache, entry, name), (time.time() - 7200, time.time() - 7200))
    client.stack.stop("gate")	# its workers look at the self-test
    client.stack.restart("helper")
    machine.wait_for(lambda: client.entries() == {young}, 10, "what is old goes")
    client.stack.start("gate")
    client.ready()
    assert client.compile(program(name="old")).json()["model_id"] == old


def test_own_folders(make_stack, compiler, ground):
    """SWS_JOB_DIR and SWS_BUILT_MODEL_DIR are made, and used."""
    from stack import accounts
    from stack import folder as folders
    base = os.path.join(ground, "stan-folders")
    os.mkdir(base)
    folders.own_folder(base, accounts.helper(), 0o711)
    client = stan.Client(make_stack(environment=stan.environment(compiler, sws_job_dir=f"{base}/a/jobs", SWS_Built_Model_Dir=f"{base}/models"))).ready()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: stan.Client(client.stack).compile(program("sleep 1")))
        machine.wait_for(lambda: os.listdir(f"{base}/a/jobs"), 10, "it works there")
        answer = answer.result()
    model = answer.json()["model_id"]
    assert os.listdir(f"{base}/a/jobs") == [] and "main.js" in os.listdir(f"{base}/models/{model}")
    assert client.get(f"/download/{model}/main.js").status_code == 200


def test_a_compiler_that_is_not_prepared(make_stack, ground):
    """Until the self-test has passed: 503 with what to do, and once its owner has done it all is well without a restart."""
    folder = stan.compiler(os.path.join(ground, "stan-cold"))
    script = os.path.join(folder, "tinystan/compile")
    os.rename(script, script + ".later")
    client = stan.Client(make_stack(environment=stan.environment(folder)))
    machine.wait_for(lambda: "does not work yet" in client.compile(b"OK1").json()["message"], 20, "the self-test has failed")
    answer = client.compile(b"OK1")
    words = own_message(answer, 503)
    with open(os.path.join(machine.ROOT, "README.md"), encoding="utf-8") as file:
        readme = " ".join(file.read().split())
    assert "building one model in it" in words and "building one model in it" in readme
    assert answer.headers["Retry-After"] and client.get("/probe").status_code == 200
    assert client.get("/status").json()["ready"] is False
    os.rename(script + ".later", script)
    machine.wait_for(lambda: client.compile(b"OK1").status_code == 200, 30, "it is tried again", pause=0.5)


def test_others_cannot_use_the_tool(fresh):
    """A model's name is a hash of its program only as long as nobody else can publish."""
    client = fresh(conf={"v1": {"anonymous": "submit,read,kill"}})
    tools = client.session.get(client.stack.url("v1", "/tools")).json()
    assert "stan" not in str(tools)
    answer = client.session.post(client.stack.url("v1", "/jobs"), json={"tool": "stan", "inputs": {"main.stan": "x"}})
    assert answer.status_code in (404, 422), answer.text


def test_events(client):
    """Section 6: who wants to may follow a compile."""
    source = program("sleep 1", name="events")
    model = stan.model_id(source)
    assert client.get(f"/events/{model}").status_code == 404
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        compiled = pool.submit(lambda: stan.Client(client.stack).compile(source))
        machine.wait_for(lambda: client.stack.pids("supervisor"), 10, "it compiles")
        answer = client.get(f"/events/{model}")
        assert answer.headers["Content-Type"] == "text/event-stream" and answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.text.endswith('event: state\ndata: {"state":"running"}\n\nevent: end\ndata: {"ready":true}\n\n'), answer.text
        assert compiled.result().status_code == 200
    assert client.get(f"/events/{model}").text == 'event: end\ndata: {"ready":true}\n\n'
    status = client.get("/status").json()
    assert status["ready"] and status["accepting"] and status["slots"] == 2 and status["disk_free"] > 0
    assert client.get("/events/x").json() == {"detail": "Not Found"}


def test_metrics(fresh):
    client = fresh()
    for _ in range(3):
        client.compile(program(name="metrics"))
    text = client.session.get(f"https://localhost:{client.stack.port}/metrics").text
    assert 'spoolgate_stan_compiles_total{cache="miss"} 1\n' in text and 'spoolgate_stan_compiles_total{cache="hit"} 2\n' in text
    machine.wait_for(lambda: "spoolgate_cache_entries 2\n" in client.session.get(f"https://localhost:{client.stack.port}/metrics").text, 10, "the cache is looked at")
