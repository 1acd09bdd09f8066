"""spoolgate verify: what was downloaded against its receipt, as a zip and as a folder, sound and in every way spoiled."""

import json
import os
import shutil
import stat
import subprocess
import urllib.parse
import zipfile

import pytest

from lib import running, v1

SCRIPT = "cat data.txt; mkdir -p d/e; echo deep >d/e/f; printf x >'with blank'; : >empty; printf y >$(printf 'bad\\377'); echo note >&2"
TOOLS = {"writer": v1.shell(SCRIPT, inputs="[input data.txt]\n", stdout="apart")}


@pytest.fixture(scope="module")
def client(ground, programs):
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools=TOOLS, slots=2))


@pytest.fixture(scope="module")
def job(client):
    job = client.run("writer", inputs={"data.txt": "in\n"})
    assert job["verdict"] == "passed"
    return job["id"]


@pytest.fixture(scope="module")
def bundle(client, job):
    """{name: bytes} of a job as it is downloaded: files/..., log, stdout, receipt.json."""
    found = {}
    for file in client.get(f"/jobs/{job}/files").json()["files"]:
        raw = urllib.parse.unquote_to_bytes(file["href"].split("/files/", 1)[1])
        found[b"files/" + raw] = client.session.get(client.stack.url(path=file["href"]), timeout=30).content
    for place, name in (("log", b"log"), ("stdout", b"stdout"), ("receipt", b"receipt.json")):
        found[name] = client.get(f"/jobs/{job}/{place}").content
    assert found[b"files/d/e/f"] == b"deep\n" and found[b"files/bad\xff"] == b"y" and found[b"log"] == b"note\n"
    return found


@pytest.fixture(scope="module")
def command(programs):
    def run(*args):
        done = subprocess.run([os.path.join(programs, "bin/spoolgate"), "verify", *map(str, args)], capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()
    return run


def unpack(files, folder):
    os.mkdir(folder)
    for name, data in files.items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return folder


class Entry(zipfile.ZipInfo):
    """A name as it is: zipfile would write bytes that are no ASCII as UTF-8."""

    def __init__(self, raw):
        super().__init__("x")
        self.raw, self.filename = raw, raw.decode("cp437")

    def _encodeFilenameFlags(self):
        return self.raw, 0


def pack(files, path, method=zipfile.ZIP_DEFLATED, more=()):
    """more: (name, bytes, mode) besides."""
    with zipfile.ZipFile(path, "w", method) as zipped:
        zipped.writestr("files/", b"")
        for name, data, mode in [*((name, data, stat.S_IFREG | 0o640) for name, data in files.items()), *more]:
            info = Entry(name)
            info.create_system, info.external_attr, info.compress_type = 3, mode << 16, method
            zipped.writestr(info, data)
    return path


@pytest.fixture(params=["folder", "zip"])
def place(request, tmp_path):
    def put(files):
        where = tmp_path / ("job.zip" if request.param == "zip" else "job")
        if request.param == "zip":
            return pack(files, where)
        shutil.rmtree(where, ignore_errors=True)
        return unpack(files, where)
    return put


def faults(command, *args):
    status, out, err = command("--json", *args)
    assert not err and status in (0, 10), (status, err)
    body = json.loads(out)
    assert bool(body["faults"]) == (status == 10)
    return {(f["fault"], f.get("name", f.get("encoded"))) for f in body["faults"]}, body


def test_what_was_downloaded_is_what_the_receipt_says(command, place, bundle):
    where = place(bundle)
    assert command(where) == (0, f"{len(bundle) - 1} files are what the receipt says\n", "")
    found, body = faults(command, where)
    assert found == set() and body["files"] == len(bundle) - 1
    receipt = json.loads(bundle[b"receipt.json"])
    assert all(body[key] == receipt[key] for key in ("id", "tool", "fingerprint", "verdict"))


def test_the_zip_that_the_server_makes(command, client, job, bundle, tmp_path):
    answer = client.get(f"/jobs/{job}/zip")
    assert answer.status_code == 200, answer.text
    (tmp_path / "job.zip").write_bytes(answer.content)
    assert command(tmp_path / "job.zip") == (0, f"{len(bundle) - 1} files are what the receipt says\n", "")


def test_every_fault_is_told(command, place, bundle):
    spoiled = dict(bundle)
    spoiled[b"files/d/e/f"] = b"deeq\n"
    spoiled[b"files/empty"] = b"x"
    spoiled[b"stdout"] = b"i"
    spoiled[b"files/more"] = spoiled[b"other"] = b""
    del spoiled[b"files/with blank"], spoiled[b"log"], spoiled[b"files/bad\xff"]
    found, _ = faults(command, place(spoiled))
    assert found == {("changed", "files/d/e/f"), ("changed", "files/empty"), ("changed", "stdout"), ("superfluous", "files/more"),
                     ("superfluous", "other"), ("missing", "files/with blank"), ("missing", "log"), ("missing", "files%2Fbad%FF")}
    status, out, _ = command(place(spoiled))
    assert status == 10 and "changed: files/d/e/f: its bytes are others\n" in out and "changed: stdout: it is shorter\n" in out
    assert "missing: files/bad\\xff\n" in out and len(out.splitlines()) == 8


def test_a_folder_may_be_named_in_any_way(command, bundle, tmp_path):
    folder = unpack(bundle, tmp_path / "job")
    os.symlink(folder, tmp_path / "link")
    for path in (f"{folder}/", f"{folder}///", tmp_path / "link", f"{folder}/../job"):
        assert command(path)[0] == 0, path


def test_a_very_long_name_is_told(command, bundle, tmp_path):
    name = "files/" + "\x1b" * 65000
    path = pack(bundle, tmp_path / "x.zip", more=[(name.encode(), b"", 0)])
    assert faults(command, path)[0] == {("superfluous", name)}
    status, out, _ = command(path)
    assert status == 10 and out == "superfluous: files/" + "\\x1b" * 65000 + "\n"


def test_links_are_no_files(command, bundle, tmp_path):
    folder = unpack(bundle, tmp_path / "job")
    os.rename(folder / "log", tmp_path / "log")
    os.symlink(tmp_path / "log", folder / "log")
    os.mkfifo(folder / "pipe")
    os.symlink("/", folder / "root")
    assert faults(command, folder)[0] == {("changed", "log"), ("superfluous", "pipe"), ("superfluous", "root")}
    path = pack({key: value for key, value in bundle.items() if key != b"log"}, tmp_path / "x.zip",
                more=[(b"log", bundle[b"log"], stat.S_IFLNK | 0o777)])
    assert faults(command, path)[0] == {("changed", "log")}


def test_a_zip_that_is_damaged_bombed_or_has_a_file_twice(command, bundle, tmp_path):
    path = pack(bundle, tmp_path / "x.zip", zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"deep\n", b"deeq\n"))
    assert faults(command, path)[0] == {("changed", "files/d/e/f")}
    path.write_bytes(data[:-40])
    assert command(path)[0] == 1
    bomb = dict(bundle)
    bomb[b"log"] = bytes(200 << 20)
    assert faults(command, pack(bomb, tmp_path / "bomb.zip"))[0] == {("changed", "log")}
    with pytest.warns(UserWarning):
        pack(bundle, path, more=[(b"log", bundle[b"log"], 0)])
    found, body = faults(command, path)
    assert found == {("superfluous", "log")} and body["faults"][0]["detail"] == "it is there twice"


def test_what_cannot_be_verified(command, place, bundle, tmp_path):
    def refused(receipt, words):
        files = dict(bundle)
        del files[b"receipt.json"]
        if receipt is not None:
            files[b"receipt.json"] = receipt if isinstance(receipt, bytes) else json.dumps(receipt).encode()
        status, out, err = command(place(files))
        assert status == 1 and words in err and not out, (status, out, err)

    good = json.loads(bundle[b"receipt.json"])
    refused(None, "there is no receipt.json")
    refused(b"{", "damaged")
    refused(b"null", "damaged")
    refused({**good, "v": 2}, "later version")
    refused({key: value for key, value in good.items() if key != "files"}, "did not list")
    for wrong in ({"files": [1]}, {"files": [{"name": "x"}]}, {"files": good["files"] * 2}, {"log": 3}, {"log": {"bytes": 1, "sha256": "x"}},
                  {"files": [{"encoded": "%zz", "bytes": 1, "sha256": "0" * 64}]}):
        refused({**good, **wrong}, "damaged")
    (tmp_path / "text").write_text("no zip")
    assert command(tmp_path / "text")[0] == 1
    assert command("/no/such")[2] == "spoolgate verify: /no/such: No such file or directory\n"
    assert command("/dev/null")[0] == 1
    for args in ((), ("a", "b"), ("--nonsense", "a")):
        assert command(*args)[0] == 2
