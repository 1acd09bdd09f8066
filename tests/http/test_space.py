"""What finished jobs take: files that go before their records, the oldest that go where there is too much, and an administrator's prune."""

import concurrent.futures
import json
import multiprocessing
import os

import pytest

from lib import jobs, machine, running, v1

KIB = 100	# that each job of `writer` leaves
TOOLS = {
    "writer": v1.shell(f"head -c {KIB}K /dev/zero >out; echo log; printf answer >&3 || true", inputs="[input in]\nmax = 16M\nrequired = no\n"),
    "apart": v1.shell("echo answer; echo log >&2; echo file >file", stdout="apart"),
    "sleeper": v1.shell("echo up; exec sleep 1000"),
    "short": v1.shell("echo log; echo x >file", head="keep-files = 2s\nkeep = 1h\n"),
}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf={**v1.OPEN, "gate": {"workers": "2"}}, tools=TOOLS, slots=2)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def prune(client, job):
    return v1.look(client.request("DELETE", f"/jobs/{job}/files"))


def files_of(stack, job):
    return sorted(os.listdir(stack.job_folder(job)))


RECORDS = ["job.json", "lock", "manifest", "meta.json", "receipt.json", "result.json", "run.json", "state.json"]


def sound(stack):
    stack.stop("helper")
    status, said = stack.doctor()
    assert status == 0, said
    stack.start("helper")


def test_a_jobs_files_go_and_its_records_stay(stack, client):
    job = client.run("apart")["id"]
    receipt = client.get(f"/jobs/{job}/receipt").json()
    assert client.get(f"/jobs/{job}/zip").status_code == 200
    zips = [name for name in jobs.names(stack, "packs") if name.endswith(".zip")]
    assert prune(client, job).status_code == 204
    body = v1.job(client.get(f"/jobs/{job}"))
    assert (body["state"], body["verdict"]) == ("finished", "passed") and v1.TIME.fullmatch(body["pruned"])
    assert set(files_of(stack, job)) <= set(RECORDS) | {"ended.json"}
    assert [name for name in jobs.names(stack, "packs") if name.endswith(".zip")] == zips[:-1] or len(zips) == 1
    for path in ("files", "files/file", "stdout", "zip", "log", "log?offset=0", "events"):
        assert body["pruned"] in v1.problem(client.get(f"/jobs/{job}/{path}"), 410), path
    assert client.get(f"/jobs/{job}/receipt").json() == receipt
    assert prune(client, job).status_code == 204	# again
    assert v1.job(client.get(f"/jobs/{job}"))["pruned"] == body["pruned"]
    sound(stack)
    assert client.request("DELETE", f"/jobs/{job}").status_code == 204
    v1.problem(prune(client, job), 404)


def test_a_live_job_keeps_its_files(client):
    job = client.submit("sleeper")["id"]
    v1.problem(prune(client, job), 409)
    client.request("POST", f"/jobs/{job}/kill")
    client.wait(job)
    machine.wait_for(lambda: prune(client, job).status_code == 204, 10, "it has ended")


def test_a_prune_survives_whatever_comes(make_stack):
    """Large inputs lie beside the journal: once they are gone its record is done again all the same."""
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    answer = client.request("POST", "/jobs", data={"tool": "writer"}, files={"in": ("in", os.urandom(1 << 20))})
    big, small = v1.job(answer, 202)["id"], client.submit("writer", inputs={"in": "small"})["id"]
    for job in (big, small):
        client.wait(job)
        machine.wait_for(lambda: prune(client, job).status_code == 204, 10, "it has ended")	# noqa: B023
    for _ in range(2):
        stack.kill("helper")
        stack.start("helper")
        for job in (big, small):
            assert v1.job(client.get(f"/jobs/{job}"))["pruned"]
            assert set(files_of(stack, job)) <= set(RECORDS) | {"ended.json"}
    # As a power cut may leave it: the record is in the journal, nothing of what it asks for has happened.
    os.unlink(os.path.join(stack.job_folder(small), "meta.json"))
    stack.kill("helper")
    stack.start("helper")
    assert v1.job(client.get(f"/jobs/{small}"))["pruned"]
    sound(stack)


def test_of_many_changes_at_once_each_is_whole(stack):
    """Two processes amend one job, prune it and fetch its zip at once: the last one that was answered last stands, nothing is torn."""
    client = v1.Client(stack)
    job = client.run("apart")["id"]
    with stack.helper() as gate:
        machine.wait_for(lambda: gate.queue()["running"] == 0, 10, "it has ended")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=amend_all, args=(stack.helper(), job, name)) for name in ("a", "b")]
    for process in processes:
        process.start()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        zips = [threads.submit(lambda: v1.Client(stack).get(f"/jobs/{job}/zip").status_code) for _ in range(3)]
        pruned = threads.submit(lambda: prune(v1.Client(stack), job).status_code)
        assert pruned.result() == 204
        assert {z.result() for z in zips} <= {200, 404, 410, 503}
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    meta = stack.record(job, "meta.json")
    assert meta["pruned_usec"] > 0 and meta["note"]["n"] == 49 and meta["note"]["text"] == meta["note"]["by"] * 1000
    sound(stack)
    assert stack.record(job, "meta.json") == meta


def amend_all(gate, job, name):
    for n in range(50):
        assert gate.ask({"op": "amend", "id": job, "note": {"by": name, "n": n, "text": name * 1000}})["ok"]


@pytest.mark.parametrize("body,wanted", [({"note": 7}, "EINVAL"), ({}, "EINVAL"), ({"note": {"x": "y" * 66000}}, "E2BIG")])
def test_a_note_that_is_none_is_refused(stack, client, body, wanted):
    job = client.run("apart")["id"]
    with stack.helper() as gate:
        assert jobs.error(gate.ask({"op": "amend", "id": job, **body})) == wanted
        assert jobs.error(gate.ask({"op": "amend", "id": "0" * 32, "note": {}})) == "ENOENT"
        assert jobs.error(gate.ask({"op": "prune", "id": "x"})) == "EINVAL"
    assert stack.record(job, "meta.json") == {}


def test_a_live_job_may_be_amended(stack, client):
    job = client.submit("sleeper")["id"]
    with stack.helper() as gate:
        assert gate.ask({"op": "amend", "id": job, "note": {"name": "new"}})["ok"]
    assert stack.record(job, "meta.json")["note"] == {"name": "new"}
    client.request("POST", f"/jobs/{job}/kill")
    client.wait(job)


def test_files_go_by_age_and_the_job_later(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    job = client.run("short")["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["pruned"], 30, "its files expire")
    assert client.get("/tools/short").json()["keep_files_seconds"] == 2
    with stack.helper() as gate:	# one that is pruned is not counted as kept
        assert jobs.error(gate.ask(jobs.request(tool="apart", params=None, service="v1", owner="v1:ip:127.0.0.1", kept_owner=1))) == ""
    stack.stop("helper")
    stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = str(3590 + 60)
    stack.start("helper")
    assert stack.command("resume").returncode == 0
    machine.wait_for(lambda: client.get(f"/jobs/{job}").status_code == 404, 30, "the job expires")


def kept(client, ids):
    return [job for job in ids if client.get(f"/jobs/{job}").status_code == 200]


def test_the_oldest_results_go_where_there_is_too_much(make_stack):
    stack = make_stack(conf={**v1.OPEN, "spool": {"results_max": f"{3 * KIB + 50}K"}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    ids = [client.run("writer")["id"] for _ in range(3)]
    with stack.helper() as gate:
        machine.wait_for(lambda: gate.queue()["results_bytes"] >= 3 * KIB * 1024, 10, "all are weighed")
        assert kept(client, ids) == ids
        waiting = client.submit("sleeper")["id"]
        ids += [client.submit("writer")["id"] for _ in range(2)]	# behind the sleeper
        client.request("POST", f"/jobs/{waiting}/kill")
        for job in ids[3:]:
            client.wait(job)
        machine.wait_for(lambda: kept(client, ids) == ids[2:], 20, "the oldest two go")
        assert gate.queue()["results_bytes"] <= (3 * KIB + 50) * 1024
        # What somebody deletes makes room, and a start knows all again.
        assert client.request("DELETE", f"/jobs/{ids[3]}").status_code == 204
        ids.append(client.run("writer")["id"])
    stack.restart("helper")
    ids.append(client.run("writer")["id"])
    machine.wait_for(lambda: kept(client, ids) == [ids[4], ids[5], ids[6]], 20, "again the oldest goes")
    # A cap that is lower counts after a reload.
    stack.configure("spool", results_max=f"{KIB + 50}K")
    assert stack.command("reload").returncode == 0
    machine.wait_for(lambda: kept(client, ids) == [ids[6]], 20, "all but the last go")
    sound(stack)


def test_a_cap_may_come_later(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    ids = [client.run("writer")["id"] for _ in range(3)]
    stack.configure("spool", results_max=f"{2 * KIB + 50}K")
    assert stack.command("reload").returncode == 0
    machine.wait_for(lambda: kept(client, ids) == ids[1:], 20, "the oldest goes")


def test_an_administrator_prunes(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client, lab = v1.Client(stack), v1.Client(stack, stack.token("lab"))
    ids = [client.run("writer")["id"] for _ in range(3)] + [lab.run("writer")["id"]]

    def told(*args):
        done = stack.command("prune", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert told("--older", "1h") == "0 jobs with 0 B go\n"
    assert told("--keep-bytes", f"{2 * KIB + 50}K", "--dry-run").startswith("2 jobs with 200 KiB would go")
    assert kept(lab, ids[3:]) + kept(client, ids[:3]) == ids[3:] + ids[:3]
    assert json.loads(told("--owner", "v1:token:lab", "--older", "0s", "--files", "--json"))["jobs"] == 1
    machine.wait_for(lambda: v1.job(lab.get(f"/jobs/{ids[3]}"))["pruned"], 20, "the lab's has no files any more")
    assert told("--owner", "v1:token:lab", "--keep-bytes", "0", "--files") == "0 jobs with 0 B lose their files\n"
    assert told("--keep-bytes", f"{KIB + 50}K").startswith("2 jobs with 200 KiB go")
    machine.wait_for(lambda: kept(client, ids[:3]) == ids[2:3], 20, "the oldest two go")
    assert kept(lab, ids[3:]) == ids[3:]
    assert told("--older", "0s").startswith("2 jobs")
    machine.wait_for(lambda: kept(client, ids[:3]) + kept(lab, ids[3:]) == [], 20, "all go")
    sound(stack)


@pytest.mark.parametrize("args", [(), ("--owner", "v1:ip:1"), ("--older", "soon"), ("--keep-bytes", "-1"), ("--older", "1d", "x"), ("--odd",)])
def test_a_prune_that_says_nothing_is_none(stack, args):
    done = stack.command("prune", *args)
    assert done.returncode == 2 and "usage:" in done.stderr + done.stdout or "is no" in done.stderr


def test_a_prune_needs_a_helper_and_an_owner_that_is_one(stack):
    assert stack.command("prune", "--older", "1d", "--owner", "nobody").returncode == 1


def test_a_clock_that_ran_ahead_holds_no_administrator_back(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=2)
    client = v1.Client(stack)
    ids = [client.run("writer")["id"] for _ in range(2)]
    machine.wait_for(lambda: os.path.exists(os.path.join(stack.spool, "expiry.json")), 20, "a pass has recorded the time")
    stack.stop("helper")
    stack.settings.environment["SPOOLGATE_CLOCK_OFFSET"] = str(30 * 86400)
    stack.start("helper")
    assert stack.command("prune", "--keep-bytes", f"{KIB + 50}K").returncode == 0
    machine.wait_for(lambda: kept(client, ids) == ids[1:], 20, "the older one goes, the other does not expire")
    assert "the clock ran ahead" in stack.log("helper")
