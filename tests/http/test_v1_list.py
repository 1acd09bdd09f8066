"""The native API: one's own jobs in pages."""

import pytest

from lib import running, v1

TOOLS = {"one": v1.shell("true"), "two": v1.shell("true"), "slow": v1.shell("exec sleep 60")}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


@pytest.fixture(scope="module")
def made(client):
    """Twelve finished jobs and a running one, oldest first."""
    jobs = [client.submit("one" if i % 3 else "two", name=f"n{i % 4}")["id"] for i in range(12)]
    done = [client.wait(job) for job in jobs]
    slow = client.submit("slow")
    yield [*done, slow]
    client.request("POST", f"/jobs/{slow['id']}/kill")


def listed(client, **query):
    answer = v1.look(client.get("/jobs", params=query))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["jobs", "next"]
    for job in body["jobs"]:
        v1.check_job(job)
    return [job["id"] for job in body["jobs"]], body["next"]


def ids(jobs):
    return [job["id"] for job in reversed(jobs)]


def test_newest_first_and_whole(client, made):
    assert listed(client) == (ids(made), None)
    assert client.get("/jobs").json()["jobs"][1] == made[-2]


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13, 14])
def test_pages_join_without_gap_or_double(client, made, limit):
    found, cursor = listed(client, limit=limit)
    while cursor:
        assert len(found) % limit == 0
        more, cursor = listed(client, limit=limit, cursor=cursor)
        assert more
        found += more
    assert found == ids(made)


def test_a_cursor_stays_where_it_is_when_jobs_come_and_go(client, made):
    first, cursor = listed(client, limit=4)
    client.wait(client.submit("one", name="late")["id"])
    second, _ = listed(client, limit=4, cursor=cursor)
    assert [*first, *second] == ids(made)[:8]
    late = listed(client, name="late")[0][0]
    assert client.request("DELETE", f"/jobs/{late}").status_code == 204


def test_filters(client, made):
    assert listed(client, tool="two")[0] == ids([j for j in made if j["tool"] == "two"])
    assert listed(client, name="n3")[0] == ids([j for j in made if j["name"] == "n3"])
    assert listed(client, state="finished")[0] == ids(made[:-1])
    assert listed(client, state="killing") == ([], None)
    assert listed(client, tool="one", name="n1", state="finished")[0] == ids([j for j in made if (j["tool"], j["name"]) == ("one", "n1")])
    assert listed(client, tool="nope") == ([], None)


def test_filters_by_time(client, made):
    assert listed(client, since=made[5]["created"])[0] == ids(made[5:])
    assert listed(client, until=made[5]["created"])[0] == ids(made[:5])
    assert listed(client, since=made[2]["created"], until=made[4]["created"])[0] == ids(made[2:4])
    assert listed(client, since="2000-01-01T00:00:00+02:00", limit=3)[0] == ids(made)[:3]


@pytest.mark.parametrize("query,name", [
    ("state=done", "state"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=ten", "limit"), ("cursor=x", "cursor"),
    ("cursor=1-", "cursor"), ("since=yesterday", "since"), ("until=2026-02-30T00:00:00Z", "until"), ("since=2026-01-01", "since"),
    ("page=2", "page"), ("limit=1&limit=1", "limit"), ("%6cimit=0", "limit")])
def test_a_bad_query(client, query, name):
    v1.problem(client.get("/jobs?" + query), 400, ("parameter", name))


def test_anothers_jobs_are_not_listed(client, made):
    v1.problem(client.get("/jobs", params={"owner": "v1:ip:192.0.2.1"}), 403, ("parameter", "owner"))
    client.session.post(client.stack.url("stableconfigs", "/task"), json={"monomers": [["a"]]})
    assert listed(client)[0] == ids(made)
