"""spoolgate fetch, from a server that cuts, lies, and names files as an attacker would."""

import hashlib
import os
import signal
import threading

import pytest

from lib import machine
from lib.fakeapi import JOB, Command, Fake, Reply, problem, ranged

BASE = f"/v1/jobs/{JOB}"
BIG = os.urandom(300000)


@pytest.fixture
def fake():
    with Fake() as server:
        yield server


@pytest.fixture
def command(programs, tmp_path, fake):
    return Command(programs, tmp_path, fake.url)


def offer(fake, files, **more):
    """The files list of a job, and each file as nginx would serve it. files: {name: content}; more: {name: a route's replies}."""
    listed = [{"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
              for name, content in files.items()]
    fake.on("GET", f"{BASE}/files", {"files": listed})
    for name, content in files.items():
        fake.on("GET", f"{BASE}/files/" + name.replace(".", "[.]"), more.get(name) or ranged(content))


def parts(folder):
    """What a cut download leaves."""
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(".spoolgate-")]


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


FILES = {"a.txt": b"one\n", "sub/deep/b.bin": BIG, "sub/empty": b""}


def test_all_files_into_a_folder_of_the_jobs_name(command, fake, tmp_path):
    offer(fake, FILES)
    assert command.out("fetch", JOB) == ""
    assert tree(tmp_path / JOB) == FILES
    # Again: everything is there, nothing is transferred.
    before = len(fake.requests)
    done = command.json("fetch", JOB)
    assert len(fake.requests) == before + 1
    assert done["job"] == JOB and [f["was_there"] for f in done["fetched"]] == [True] * 3


def test_some_files_and_a_folder_elsewhere(command, fake, tmp_path):
    offer(fake, FILES)
    command.run("fetch", JOB, "a.txt", "-o", "new/place")
    assert tree(tmp_path / "new/place") == {"a.txt": b"one\n"}
    command.run("fetch", JOB, "sub/", "-o", tmp_path / "other")
    assert set(tree(tmp_path / "other")) == {"sub/deep/b.bin", "sub/empty"}
    assert "no file su" in command.err("fetch", JOB, "a.txt", "su", status=5)


def test_to_standard_output(command, fake):
    offer(fake, FILES)
    assert command.run("fetch", JOB, "sub/deep/b.bin", "-o", "-").stdout == BIG
    fake.on("GET", f"{BASE}/stdout", ranged(b"answer"))
    assert command.run("fetch", JOB, "--stdout", "-o", "-").stdout == b"answer"


def test_zip_log_stdout_and_receipt(command, fake, tmp_path):
    for place in ("zip", "log", "stdout", "receipt"):
        fake.on("GET", f"{BASE}/{place}", ranged(place.encode()))
    command.run("fetch", JOB, "--zip", "--log", "--stdout", "--receipt", "-o", "out")
    assert tree(tmp_path / "out") == {f"{JOB}.zip": b"zip", f"{JOB}.log": b"log", f"{JOB}.stdout": b"stdout",
                                      f"{JOB}.receipt.json": b"receipt"}
    command.run("fetch", JOB, "--zip")
    assert (tmp_path / f"{JOB}.zip").read_bytes() == b"zip"


def test_a_job_that_is_not_finished(command, fake, tmp_path):
    fake.on("GET", f"{BASE}/files", problem(409, "the job is not finished"))
    assert "not finished" in command.err("fetch", JOB, status=6)
    assert not os.listdir(tmp_path)


HOSTILE = ["../evil", "/etc/evil", "a/../../evil", "..", ".", "", "a//b", "a/", "./a", "a/./b", "x\ny", "\x1b]0;x\x07", "n" * 256,
           "d/" * 2100 + "f"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_not_followed(command, fake, tmp_path, name):
    fake.on("GET", f"{BASE}/files/.*", ranged(b"evil"))
    fake.on("GET", f"{BASE}/files", {"files": [
        {"name": n, "bytes": 4, "sha256": hashlib.sha256(b"evil").hexdigest()} for n in (name, "good")]})
    said = command.err("fetch", JOB, "-o", "in/out", status=10)
    assert "not fetched" in said and "\x1b" not in said
    assert tree(tmp_path) == {"in/out/good": b"evil"}	# the others are all the same


def test_a_name_with_a_nul(command, fake, tmp_path):
    fake.on("GET", f"{BASE}/files", {"files": [{"name": "a\0b", "bytes": 4, "sha256": "0" * 64}]})
    command.run("fetch", JOB, status=10)
    assert not tree(tmp_path)


def test_a_list_in_pages(command, fake, tmp_path):
    def page(request):
        n = int(request.path.partition("cursor=")[2] or 0)
        return {"files": [{"name": f"f{n}", "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}],
                "next": n + 1 if n < 4 else None}
    fake.on("GET", f"{BASE}/files([?]cursor=[0-9]+)?", page)
    fake.on("GET", f"{BASE}/files/f.", ranged(b"x"))
    command.run("fetch", JOB)
    assert sorted(tree(tmp_path / JOB)) == ["f0", "f1", "f2", "f3", "f4"]
    command.run("fetch", JOB, "f3", "-o", "one")
    assert sorted(tree(tmp_path / "one")) == ["f3"]
    fake.on("GET", f"{BASE}/files.*", {"files": [], "next": 1})
    assert command.err("fetch", JOB, status=10)


def test_a_name_that_is_no_utf8(command, fake, tmp_path):
    """Its address has the bytes that its name in JSON cannot have."""
    fake.on("GET", f"{BASE}/files", {"files": [{"name": "a\ufffdb", "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest(),
                                                "href": f"{BASE}/files/d/a%FFb"}]})
    fake.on("GET", f"{BASE}/files/d/a%FFb", ranged(b"x"))
    assert command.json("fetch", JOB)["fetched"][0]["name"] == "a\ufffdb"
    assert os.listdir(os.fsencode(tmp_path / JOB / "d")) == [b"a\xffb"]


@pytest.mark.parametrize("href", ["/v1/jobs/other/files/a", f"{BASE}/files/..%2Fevil", f"{BASE}/files/%2Fevil",
                                  f"{BASE}/files/a%00b",
                                  f"{BASE}/files/", "https://elsewhere.example/a", f"{BASE}/files/../a"])
def test_a_hostile_address(command, fake, tmp_path, href):
    fake.on("GET", f"{BASE}/files", {"files": [{"name": "a", "bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest(),
                                                "href": href}]})
    fake.on("GET", "/.*/files/.*", ranged(b"x"))
    assert "not fetched" in command.err("fetch", JOB, status=10)
    assert not tree(tmp_path)


def test_no_link_is_followed(command, fake, tmp_path):
    offer(fake, {"sub/f": b"new", "g": b"new"})
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (outside / "g").write_text("old")
    (out / "sub").symlink_to(outside)
    (out / "g").symlink_to(outside / "g")
    for force in ([], ["--force"]):
        assert "link" in command.err("fetch", JOB, "-o", "out", *force, status=1)
        assert tree(outside) == {"g": b"old"}
    assert (out / "g").read_text() == "new" and not (out / "g").is_symlink()	# the link was replaced, not what it names
    assert not parts(tmp_path)


def test_nothing_is_overwritten_without_force(command, fake, tmp_path):
    offer(fake, {"f": b"new", "g": b"new"})
    out = tmp_path / JOB
    out.mkdir()
    (out / "f").write_text("mine")
    assert "--force" in command.err("fetch", JOB, status=1)
    assert tree(out) == {"f": b"mine", "g": b"new"}
    command.run("fetch", JOB, "--force")
    assert tree(out) == {"f": b"new", "g": b"new"}
    (out / "f").unlink()
    (out / "f").mkdir()
    assert command.err("fetch", JOB, "--force", status=1)
    assert (out / "f").is_dir() and not parts(out)


def test_a_file_that_appears_meanwhile_is_not_overwritten(command, fake, tmp_path):
    def late(request):
        (tmp_path / JOB / "f").write_text("mine")
        return Reply(b"new", 200, {"ETag": '"e"'})
    offer(fake, {"f": b"new"}, f=[late])
    fake.on("GET", f"{BASE}/files/f", late)
    assert "--force" in command.err("fetch", JOB, status=1)
    assert (tmp_path / JOB / "f").read_text() == "mine"


@pytest.mark.parametrize("content", [b"X" * 300000, BIG[:-1], BIG + b"x", b""], ids=["other", "shorter", "longer", "empty"])
def test_what_is_not_as_announced_gets_no_name(command, fake, tmp_path, content):
    offer(fake, {"f": BIG})
    fake.on("GET", f"{BASE}/files/f", ranged(content))
    assert command.err("fetch", JOB, status=10)
    assert not tree(tmp_path)


@pytest.mark.parametrize("entry", [
    {"name": "f"}, {"name": "f", "bytes": -1, "sha256": "0" * 64}, {"name": "f", "bytes": 1, "sha256": "x"}, {"bytes": 1}, 7])
def test_a_list_that_says_too_little(command, fake, tmp_path, entry):
    fake.on("GET", f"{BASE}/files", {"files": [entry]})
    assert command.err("fetch", JOB, status=10)
    assert not tree(tmp_path)


def test_a_cut_download_goes_on(command, fake, tmp_path):
    whole = ranged(BIG)

    def cutting(request):
        reply = whole(request)
        reply.cut = 70000
        return reply
    offer(fake, {"f": BIG})
    fake.on("GET", f"{BASE}/files/f", cutting)
    command.run("fetch", JOB)
    assert tree(tmp_path / JOB) == {"f": BIG}
    asked = fake.asked("GET", ".*/f")
    assert len(asked) == 5 and [r.headers.get("Range") for r in asked] == [None] + [f"bytes={n * 70000}-" for n in range(1, 5)]
    assert asked[1].headers["If-Range"] == '"e1"'


def test_to_standard_output_a_cut_download_goes_on_too(command, fake):
    whole = ranged(BIG)
    fake.on("GET", f"{BASE}/log", Reply(BIG, 200, {"ETag": '"e1"'}, cut=1000), problem(503, "x"), whole)
    assert command.run("fetch", JOB, "--log", "-o", "-").stdout == BIG
    fake.on("GET", f"{BASE}/log", Reply(BIG, 200, {"ETag": '"e1"'}, cut=1000), ranged(BIG, '"e2"'))
    assert command.run("fetch", JOB, "--log", "-o", "-", status=10).stdout == BIG[:1000]	# and nothing twice


def test_a_later_call_goes_on_where_an_earlier_was_cut(command, fake, tmp_path):
    offer(fake, {"f": BIG})
    fake.on("GET", f"{BASE}/files/f", Reply(BIG, 200, {"ETag": '"e1"'}, cut=200000), Reply(silent=True))
    command.run("fetch", JOB, "--retry-time", "0", status=4)
    assert len(parts(tmp_path)) == 1 and "f" not in os.listdir(tmp_path / JOB)
    fake.on("GET", f"{BASE}/files/f", ranged(BIG))
    command.run("fetch", JOB)
    assert tree(tmp_path / JOB) == {"f": BIG}
    assert fake.requests[-1].headers["Range"] == "bytes=200000-"


def test_an_interrupted_download_goes_on_at_the_next_call(command, fake, tmp_path):
    offer(fake, {"f": BIG})
    held = threading.Event()
    fake.on("GET", f"{BASE}/files/f", Reply(BIG, 200, {"ETag": '"e1"'}, cut=200000), Reply(b"", held=held))
    child = command.begin("fetch", JOB, stderr=-1)
    machine.wait_for(lambda: len(fake.asked("GET", ".*/f")) == 2, 30, "the second request")
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == -signal.SIGTERM
    child.stderr.close()
    held.set()
    fake.on("GET", f"{BASE}/files/f", ranged(BIG))
    command.run("fetch", JOB)
    assert fake.requests[-1].headers["Range"] == "bytes=200000-" and tree(tmp_path / JOB) == {"f": BIG}


@pytest.mark.parametrize("later", [ranged(BIG, '"e2"'), Reply(BIG, 200)])
def test_an_archive_that_changed_begins_anew(command, fake, tmp_path, later):
    fake.on("GET", f"{BASE}/zip", Reply(b"old" * 1000, 200, {"ETag": '"e1"'}, cut=1000), Reply(silent=True))
    command.run("fetch", JOB, "--zip", "--retry-time", "0", status=4)
    assert len(parts(tmp_path)) == 1
    fake.on("GET", f"{BASE}/zip", later)
    command.run("fetch", JOB, "--zip")
    assert fake.requests[-1].headers["If-Range"] == '"e1"'
    assert tree(tmp_path) == {f"{JOB}.zip": BIG}


def test_without_an_etag_nothing_is_left_to_go_on_with(command, fake, tmp_path):
    fake.on("GET", f"{BASE}/zip", Reply(BIG, 200, cut=1000), Reply(silent=True))
    command.run("fetch", JOB, "--zip", "--retry-time", "0", status=4)
    assert not tree(tmp_path)


def test_without_an_etag_nothing_is_put_together(command, fake, tmp_path):
    fake.on("GET", f"{BASE}/zip", Reply(b"old" * 1000, 200, cut=1000), Reply(BIG, 200))
    command.run("fetch", JOB, "--zip")
    assert tree(tmp_path) == {f"{JOB}.zip": BIG} and "Range" not in fake.requests[-1].headers
    fake.on("GET", f"{BASE}/log", Reply(b"old" * 1000, 200, cut=1000), Reply(BIG, 200))
    assert command.run("fetch", JOB, "--log", "-o", "-", status=4).stdout == (b"old" * 1000)[:1000]


def partial_of(fake, command, tmp_path):
    """A cut download, and the file that it left."""
    offer(fake, {"f": BIG})
    fake.on("GET", f"{BASE}/files/f", Reply(BIG, 200, {"ETag": '"e1"'}, cut=200000), Reply(silent=True))
    command.run("fetch", JOB, "--retry-time", "0", status=4)
    fake.on("GET", f"{BASE}/files/f", ranged(BIG))
    [name] = parts(tmp_path)
    return tmp_path / JOB / name


@pytest.mark.parametrize("spoil", [lambda b: b"X" + b[1:], lambda b: BIG[:200000] + b"too much" * 20000, lambda b: BIG,
                                   lambda b: b""])
def test_a_spoilt_part_is_no_harm(command, fake, tmp_path, spoil):
    partial = partial_of(fake, command, tmp_path)
    partial.write_bytes(spoil(partial.read_bytes()))
    command.run("fetch", JOB)
    assert tree(tmp_path / JOB) == {"f": BIG}


def test_a_part_that_is_a_link_is_not_written_to(command, fake, tmp_path):
    partial, victim = partial_of(fake, command, tmp_path), tmp_path / "victim"
    for link in (partial.symlink_to, partial.hardlink_to):
        victim.write_bytes(BIG[:200000])
        partial.unlink(missing_ok=True)
        link(victim)
        command.run("fetch", JOB)
        assert victim.read_bytes() == BIG[:200000]
        assert (tmp_path / JOB / "f").read_bytes() == BIG
        (tmp_path / JOB / "f").unlink()


def test_another_part_than_asked_for_is_refused(command, fake, tmp_path):
    partial_of(fake, command, tmp_path)
    fake.on("GET", f"{BASE}/files/f", Reply(BIG[5:], 206, {"ETag": '"e1"', "Content-Range": f"bytes 5-{len(BIG) - 1}/{len(BIG)}"}))
    assert command.err("fetch", JOB, status=10)
    assert "f" not in os.listdir(tmp_path / JOB)


def test_a_server_that_lies_about_the_length(command, fake, tmp_path):
    offer(fake, {"f": b"short"})
    fake.on("GET", f"{BASE}/files/f", Reply(b"short", 200, {"ETag": '"e"'}, length=500))
    command.run("fetch", JOB)	# the connection was cut behind the last byte that there is: it is whole, and verified
    assert tree(tmp_path / JOB) == {"f": b"short"}


def test_busy_and_gone(command, fake, tmp_path):
    offer(fake, {"f": BIG})
    fake.on("GET", f"{BASE}/files/f", problem(503, "busy", {"Retry-After": 0}), problem(502, "x"), ranged(BIG))
    command.run("fetch", JOB)
    offer(fake, {"g": BIG, "h": b"h"})
    fake.on("GET", f"{BASE}/files/g", problem(404, "gone"))
    assert "gone" in command.err("fetch", JOB, "-o", "o", status=5)
    assert tree(tmp_path / "o") == {"h": b"h"}


def test_progress_is_shown_on_a_terminal(command, fake, tmp_path):
    offer(fake, {"f\u202ename": BIG})
    fake.on("GET", f"{BASE}/files/f.*", ranged(BIG))
    status, shown = command.on_terminal("fetch", JOB)
    assert status == 0 and "of 293 KiB" in shown and "1 file, 293 KiB" in shown and "\u202e" not in shown


def test_a_folder_that_cannot_be_made(command, fake, tmp_path):
    offer(fake, {"f": b"x"})
    (tmp_path / "file").write_text("x")
    assert "file" in command.err("fetch", JOB, "-o", "file", status=1)
    assert "file" in command.err("fetch", JOB, "-o", "file/sub", status=1)
