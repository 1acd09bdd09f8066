"""The native API: inputs in pieces."""

import hashlib
import os
import threading
import time

import pytest

from lib import jobs, machine, running, v1

TOOLS = {"sum": v1.shell("sha256sum big small 2>/dev/null | cut -c1-64", inputs="[input big]\nrequired = no\nmax = 32M\n[input small]\nrequired = no\n"),
         "needy": v1.shell("true", inputs="[input big]\nmax = 1M\n")}
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture
def client(stack):
    yield v1.Client(stack)
    for name in os.listdir(folder(stack)) if os.path.isdir(folder(stack)) else []:
        os.unlink(os.path.join(folder(stack), name))


def folder(stack):
    return os.path.join(stack.path, "gate/uploads")


def begin(client, size):
    answer = v1.look(client.request("POST", "/uploads", json={"bytes": size}))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert list(body) == ["id", "offset", "bytes", "expires"] and (body["offset"], body["bytes"]) == (0, size)
    assert answer.headers["Location"] == f"/v1/uploads/{body['id']}" and answer.headers["Upload-Offset"] == "0"
    assert v1.TIME.fullmatch(body["expires"])
    return body["id"]


def send(client, upload, offset, data):
    return client.request("PATCH", f"/uploads/{upload}", data=data, headers={**BYTES, "Upload-Offset": str(offset)})


def sent(client, upload, offset, data):
    answer = v1.look(send(client, upload, offset, data))
    assert answer.status_code == 204, answer.text
    assert answer.headers["Upload-Offset"] == str(offset + len(data))


def whole(client, data):
    upload = begin(client, len(data))
    for at in range(0, len(data), 4 << 20):
        sent(client, upload, at, data[at:at + (4 << 20)])
    return upload


def submit(client, **inputs):
    return client.request("POST", "/jobs", json={"tool": "sum", "inputs": {k: {"upload": u} for k, u in inputs.items()}})


def test_inputs_that_came_in_pieces(client):
    big, small = os.urandom(9 << 20), b"small"
    names = {"big": whole(client, big), "small": whole(client, small)}
    assert client.get(f"/uploads/{names['big']}").json()["offset"] == len(big)
    done = client.wait(v1.job(submit(client, **names), 202)["id"])
    assert jobs.log(client.stack, done["id"]).split() == [hashlib.sha256(data).hexdigest() for data in (big, small)]
    assert os.listdir(folder(client.stack)) == []	# used up
    v1.problem(client.get(f"/uploads/{names['big']}"), 404)
    v1.problem(submit(client, **names), 422, ("pointer", "/inputs/big"))


def test_an_empty_input(client):
    done = client.wait(v1.job(submit(client, small=begin(client, 0)), 202)["id"])
    assert jobs.log(client.stack, done["id"]).split() == [hashlib.sha256(b"").hexdigest()]


def test_it_goes_on_where_it_was(client):
    upload = begin(client, 10)
    sent(client, upload, 0, b"01234")
    answer = send(client, upload, 3, b"xxx")
    v1.problem(answer, 409, ("header", "Upload-Offset"))
    assert answer.headers["Upload-Offset"] == "5"
    assert send(client, upload, 6, b"xxx").status_code == 409
    v1.problem(submit(client, small=upload), 422, ("pointer", "/inputs/small"))
    sent(client, upload, 5, b"56789")
    done = client.wait(v1.job(submit(client, small=upload), 202)["id"])
    assert jobs.log(client.stack, done["id"]).split() == [hashlib.sha256(b"0123456789").hexdigest()]


def test_more_than_was_announced(client):
    upload = begin(client, 4)
    v1.problem(send(client, upload, 0, b"12345"), 413)
    assert client.get(f"/uploads/{upload}").json()["offset"] == 0
    sent(client, upload, 0, b"1234")
    v1.problem(send(client, upload, 4, b"5"), 413)


def test_a_submission_that_is_refused_leaves_the_upload(client):
    data = os.urandom(3 << 20)
    upload = whole(client, data)
    for inputs, pointer in (({"big": {"upload": upload}, "nope": {"text": ""}}, "/inputs/nope"), ({"big": {"upload": upload}, "small": 1}, "/inputs/small")):
        v1.problem(client.request("POST", "/jobs", json={"tool": "sum", "inputs": inputs}), 422, ("pointer", pointer))
    v1.problem(client.request("POST", "/jobs", json={"tool": "needy", "inputs": {"big": {"upload": upload}}}), 413, ("pointer", "/inputs/big"))
    assert client.get(f"/uploads/{upload}").json()["offset"] == len(data)
    done = client.wait(v1.job(submit(client, big=upload), 202)["id"])
    assert jobs.log(client.stack, done["id"]).split() == [hashlib.sha256(data).hexdigest()]


def test_one_upload_is_one_input(client):
    """Of submissions that name it at once, one gets it."""
    upload = whole(client, b"once")
    answers = []
    senders = [threading.Thread(target=lambda own: answers.append(submit(own, small=upload).status_code), args=(v1.Client(client.stack),))
               for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(30)
    assert sorted(answers) == [202] + [422] * 7
    v1.problem(client.request("POST", "/jobs", json={"tool": "sum", "inputs": {n: {"upload": whole(client, b"x")} for n in ("big", "..")}}), 422,
               ("pointer", "/inputs/.."))


def test_pieces_at_once_do_not_mix(client):
    upload = begin(client, 8 << 20)
    answers = []
    senders = [threading.Thread(target=lambda c, own: answers.append(send(own, upload, 0, c * (4 << 20)).status_code), args=(c, v1.Client(client.stack)))
               for c in (b"a", b"b", b"c", b"d")]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(30)
    assert sorted(answers) == [204, 409, 409, 409]
    name = os.listdir(folder(client.stack))[0]
    with open(os.path.join(folder(client.stack), name), "rb") as file:
        data = file.read()
    assert len(data) == 4 << 20 and len(set(data)) == 1


def test_anothers_upload_is_none(make_stack):
    stack = make_stack(tools=TOOLS)
    ann, bob = v1.Client(stack, stack.token("ann")), v1.Client(stack, stack.token("bob"))
    upload = whole(ann, b"hers")
    for method, path in (("GET", ""), ("DELETE", "")):
        v1.problem(bob.request(method, f"/uploads/{upload}{path}"), 404)
    v1.problem(send(bob, upload, 4, b""), 404)
    v1.problem(submit(bob, small=upload), 422, ("pointer", "/inputs/small"))
    v1.problem(v1.Client(stack).request("POST", "/uploads", json={"bytes": 1}), 401)
    reader = v1.Client(stack, stack.token("reader", "--scope", "read"))
    v1.problem(reader.request("POST", "/uploads", json={"bytes": 1}), 403)
    assert v1.job(submit(ann, small=upload), 202)


def test_it_is_deleted(client):
    upload = begin(client, 4)
    assert client.request("DELETE", f"/uploads/{upload}").status_code == 204
    v1.problem(client.request("DELETE", f"/uploads/{upload}"), 404)
    v1.problem(send(client, upload, 0, b"1"), 404)
    assert os.listdir(folder(client.stack)) == []


def test_old_ones_go_when_another_begins(client):
    old, young = begin(client, 4), begin(client, 4)
    name = next(n for n in os.listdir(folder(client.stack)) if n.startswith(old))
    long_ago = time.time() - 86400 - 60
    os.utime(os.path.join(folder(client.stack), name), (long_ago, long_ago))
    begin(client, 1)
    v1.problem(client.get(f"/uploads/{old}"), 404)
    assert client.get(f"/uploads/{young}").status_code == 200


def test_caps(make_stack):
    stack = make_stack(conf={"v1": {**v1.OPEN["v1"], "uploads_max": "1M"}}, tools=TOOLS)
    client = v1.Client(stack)
    v1.problem(client.request("POST", "/uploads", json={"bytes": (1 << 20) + 1}), 413, ("pointer", "/bytes"))
    begin(client, 1 << 19)
    answer = client.request("POST", "/uploads", json={"bytes": (1 << 19) + 1})
    v1.problem(answer, 507)
    assert int(answer.headers["Retry-After"]) > 0
    for _ in range(63):
        begin(client, 1)
    v1.problem(client.request("POST", "/uploads", json={"bytes": 1}), 429)


@pytest.mark.parametrize("body,status,place", [
    ({}, 422, ("pointer", "/bytes")), ({"bytes": -1}, 422, ("pointer", "/bytes")), ({"bytes": 1.5}, 422, ("pointer", "/bytes")),
    ({"bytes": "1"}, 422, ("pointer", "/bytes")), ({"bytes": 1 << 53}, 422, ("pointer", "/bytes")), ({"bytes": 1, "x": 1}, 422, None), ([], 422, ("pointer", ""))])
def test_a_bad_beginning(client, body, status, place):
    v1.problem(client.request("POST", "/uploads", json=body), status, place)
    assert not os.path.isdir(folder(client.stack)) or os.listdir(folder(client.stack)) == []


def test_bad_pieces(client):
    v1.problem(client.request("POST", "/uploads", data=b"{", headers={"Content-Type": "application/json"}), 400)
    v1.problem(client.request("POST", "/uploads", data=b"{}", headers={"Content-Type": "text/plain"}), 415, ("header", "Content-Type"))
    upload = begin(client, 4)
    for offset in ("", "x", "-1", "99999999999999999999"):
        v1.problem(send(client, upload, offset, b"1"), 400, ("header", "Upload-Offset"))
    v1.problem(client.request("PATCH", f"/uploads/{upload}", data=b"1", headers=BYTES), 400, ("header", "Upload-Offset"))
    v1.problem(client.request("PATCH", f"/uploads/{upload}", data=b"1", headers={"Upload-Offset": "0", "Content-Type": "text/plain"}), 415,
               ("header", "Content-Type"))
    for name in ("nope", "0" * 32, upload.upper() + "x", "..%2f" + upload):
        assert client.get(f"/uploads/{name}").status_code == 404
    v1.problem(client.request("POST", "/jobs", json={"tool": "sum", "inputs": {"small": {"upload": "../../x"}}}), 422, ("pointer", "/inputs/small"))
    machine.wait_for(lambda: len(os.listdir(folder(client.stack))) == 1, 5, "only the one that was begun")
