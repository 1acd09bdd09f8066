"""How the StableConfigs API speaks: bytes, headers, methods, addresses, and what it refuses without keeping a trace of it."""

import json
import re
from urllib.parse import unquote_to_bytes

import pytest

from lib import fastcgi, tbn
from lib import stableconfigs as sc

B4 = tbn.four_strands()
ORIGIN = "https://page.example:8443"
UNKNOWN = "01234567-89ab-4def-8123-456789abcdef"
ALLOW = {"/task": "POST, OPTIONS", "/status/x": "HEAD, OPTIONS, GET", "/terminate/x": "OPTIONS, DELETE"}


@pytest.fixture(scope="module")
def client(stack):
    return sc.Client(stack)


@pytest.fixture(params=["prefix", "port"])
def either(stack, request):
    """Below its prefix and over TLS, or as the root of a port without."""
    return sc.Client(stack, request.param)


@pytest.fixture(scope="module")
def done(client):
    """A finished task."""
    task = client.post(B4)
    assert client.final(task).status_code == 200
    return task


def prefix(client):
    return "/stableconfigs" if client.way == "prefix" else ""


def raw(client):
    return client.stack.raw() if client.way == "prefix" else client.stack.raw("stableconfigs")


def head(client, *lines):
    return "\r\n".join([f"POST {prefix(client)}/task HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines, "", ""])


# Methods, addresses, CORS


@pytest.mark.parametrize("method,path,allow", [
    ("GET", "/task", "/task"), ("POST", "/status/x", "/status/x"), ("GET", "/terminate/x", "/terminate/x"),
    ("HEAD", "/task", "/task"), ("PUT", "/task", "/task"), ("DELETE", "/task", "/task"), ("DELETE", "/status/x", "/status/x"),
    ("PATCH", "/status/x", "/status/x"), ("POST", "/terminate/x", "/terminate/x"), ("HEAD", "/terminate/x", "/terminate/x"),
    ("BREW", "/task", "/task"),
])
def test_a_method_that_is_not_allowed(either, method, path, allow):
    """stableconfigs#34: 405 with Allow."""
    answer = either.request(method, path, headers=sc.JSON, data=b"{}" if method in ("POST", "PUT", "PATCH") else None)
    assert answer.status_code == 405 and answer.headers["Allow"] == ALLOW[allow]
    if method != "HEAD":
        sc.refusal(answer, 405)


@pytest.mark.parametrize("path", [
    "/task/", "/status/", "/status", "/terminate/", "/terminate", "/status/x/", "/status/x/y", "/status/x%2Fy", "/status/%2f",
    "/terminate/a%2Fb", "/", "", "/tasks", "/Task", "/status//x", "//task", "/task%2f", "/status/x;y/z", "/static/x",
])
def test_an_address_that_is_none(either, path):
    """stableconfigs#34: 404, whatever the method."""
    for method in ("GET", "POST", "DELETE"):
        sc.refusal(either.request(method, path, headers=sc.JSON), 404)


@pytest.mark.parametrize("path", [*ALLOW, f"/status/{UNKNOWN}", "/terminate/%20"])
def test_preflight(either, path):
    """stableconfigs#33: 200 on every route, empty, with what the page asked for."""
    allow = ALLOW["/task" if path == "/task" else "/status/x" if "status" in path else "/terminate/x"]
    answer = either.request("OPTIONS", path, headers={
        "Origin": ORIGIN, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "content-type, x-mine"})
    assert answer.status_code == 200 and answer.content == b"" and answer.headers["Content-Length"] == "0"
    assert answer.headers["Allow"] == allow
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN and "Origin" in answer.headers["Vary"]
    assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type, x-mine"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    plain = either.request("OPTIONS", path)
    assert plain.status_code == 200 and plain.content == b"" and plain.headers["Allow"] == allow
    assert plain.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Methods" not in plain.headers and "Access-Control-Allow-Headers" not in plain.headers


def test_cors_on_every_answer(either, done):
    """stableconfigs#33: the origin comes back on results and errors alike."""
    headers = {"Origin": ORIGIN}
    failed = either.post([])
    either.final(failed)
    odd = either.post(B4, gen="2")
    either.final(odd)
    for method, path, status in (("GET", f"/status/{done}", 200), ("GET", f"/status/{failed}", 401), ("GET", f"/status/{odd}", 402),
                                 ("GET", "/status/nope", 404), ("GET", "/nowhere", 404), ("GET", "/task", 405),
                                 ("DELETE", "/terminate/nope", 200)):
        answer = sc.look(either.request(method, path, headers=headers), ORIGIN)
        assert answer.status_code == status
    accepted = either.submit({"monomers": B4}, headers={**sc.JSON, **headers})
    assert accepted.status_code == 202
    assert either.final(sc.look(accepted, ORIGIN).json()["task_id"]).status_code == 200
    sc.refusal(either.submit(b"{", headers={**sc.JSON, **headers}), 400, ORIGIN)
    sc.refusal(either.submit(b"{}", headers={"Content-Type": "text/plain", **headers}), 415, ORIGIN)
    assert sc.look(either.request("GET", f"/status/{done}", headers={"Origin": "null"}), "null").status_code == 200


def test_head_is_get_without_its_body(either, done):
    for task in (done, "nope"):
        get, head = either.request("GET", f"/status/{task}"), either.request("HEAD", f"/status/{task}")
        assert head.status_code == get.status_code and head.content == b""
        assert head.headers["Content-Length"] == str(len(get.content))
        for name in ("Content-Type", "Access-Control-Allow-Origin"):
            assert head.headers[name] == get.headers[name]
    with raw(either) as connection:	# and nothing follows its headers on the wire
        connection.send(f"HEAD {prefix(either)}/status/{done} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        seen = connection.rest()
    assert seen.startswith(b"HTTP/1.1 200 ") and seen.endswith(b"\r\n\r\n") and seen.count(b"\r\n\r\n") == 1


# Ids


@pytest.mark.parametrize("task", [
    "x", "0", "null", UNKNOWN, UNKNOWN.upper(), UNKNOWN.replace("-", ""), "{" + UNKNOWN + "}", UNKNOWN + "x", "x" * 4000, "%20",
    "a%20b", "%22%5C", "%C3%A9", "%F0%9F%A7%AC", "%ff%fe", "%C3", "%ed%a0%80", "..", "...", "%2e%2e", "%2e", "-", "--", "~", "*",
    "%25%32%46", "%01%7f", "%0d%0aX:%20y", "a+b", "a:b", "a@b", "$x", "a;b=c", "x?y=z",
])
def test_ids_of_any_shape(client, task):
    """Unknown is unknown: 404; to stop it is 200, with the id decoded; neither leaves anything behind."""
    if task in ("..", "%2e%2e", "%2e"):	# nginx resolves it, or a client does, before anybody sees an id
        raw = client.stack.raw("stableconfigs")
        with raw as connection:
            connection.send(f"GET /status/{task} HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = connection.answer()
        assert answer.status in (400, 404) and json.loads(answer.body)["status"] == "Exception"
        return
    sc.refusal(client.request("GET", f"/status/{task}"), 404)
    answer = sc.look(client.request("DELETE", f"/terminate/{task}"))
    assert answer.status_code == 200
    decoded = unquote_to_bytes(task.partition("?")[0])
    try:
        assert answer.json() == {"status": "terminating task: " + decoded.decode()}
    except UnicodeDecodeError:
        assert answer.json()["status"].startswith("terminating task: ") and "\ufffd" in answer.json()["status"]


def test_only_the_spelling_that_was_given_names_a_task(either, done):
    for other in (done.upper(), done.replace("-", ""), done + "%00", done + "%20", "%20" + done, f"urn:uuid:{done}", f"{{{done}}}"):
        if other == done:
            continue
        answer = either.request("GET", f"/status/{other}")
        assert answer.status_code in (400, 404) and sc.look(answer).json()["status"] == "Exception"
    percent = "".join(f"%{ord(letter):02x}" for letter in done)
    assert either.status(percent).status_code == 200	# the same letters, escaped
    assert either.request("GET", f"/status/{done}?a=b&c").status_code == 200


def test_an_id_decoded_and_escaped(client):
    answer = client.request("DELETE", "/terminate/a%20b%22%5c%C3%A9%F0%9F%A7%AC")
    assert answer.content == rb'{"status":"terminating task: a b\"\\\u00e9\ud83e\uddec"}' + b"\n"


def test_ids_are_not_guessable(client):
    tasks = [client.post([]) for _ in range(20)]
    for task in tasks:
        client.final(task)
    bits = [int(task.replace("-", ""), 16) for task in tasks]
    assert len(set(bits)) == 20
    assert all(bin(a ^ b).count("1") > 24 for a, b in zip(bits, bits[1:]))


# Bodies


@pytest.mark.parametrize("kind", [
    "application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "Application/Json;Charset=\"utf-8\"",
    "application/vnd.mine+json", "application/ld+JSON; profile=x", "application/json ; a=b",
])
def test_media_types_of_json(client, kind):
    answer = client.submit({"monomers": []}, headers={"Content-Type": kind})
    assert answer.status_code == 202, answer.text[:500]
    client.final(answer.json()["task_id"])


@pytest.mark.parametrize("kind", [
    "text/plain", None, "", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
    "application/xml", "json", "application/json+xml", "text/vnd.mine+json", "xapplication/json",
])
def test_a_media_type_that_is_not_json(client, kind):
    """stableconfigs#24: 415, and nothing is queued."""
    with sc.nothing_left(client.stack):
        sc.refusal(client.submit({"monomers": B4}, headers={} if kind is None else {"Content-Type": kind}), 415)


BAD = {
    "nothing": b"", "blank": b"  \n", "half an object": b"{", "no quotes": b"{monomers:[]}", "two values": b'{"monomers":[]}{}',
    "a tail": b'{"monomers":[]} x', "a comma": b'{"monomers":[["a",]]}', "a comment": b'{"monomers":[]/**/}', "single quotes": b"{'monomers':[]}",
    "NaN": b'{"monomers":[],"gen":NaN}', "leading zero": b'{"monomers":[],"gen":01}', "plus": b'{"monomers":[],"gen":+1}',
    "a raw control byte": b'{"monomers":[["a\x01"]]}', "a raw line end": b'{"monomers":[["a\n"]]}', "bad escape": b'{"monomers":[["\\x41"]]}',
    "half an escape": b'{"monomers":[["\\u12"]]}', "lone surrogate": b'{"monomers":[["\\ud800"]]}', "low surrogate": b'{"monomers":[["\\udc00a"]]}',
    "NUL": b'{"monomers":[["a\\u0000b"]]}', "a NUL byte": b'{"monomers":[]}\0', "invalid UTF-8": b'{"monomers":[["\xff"]]}',
    "overlong": b'{"monomers":[["\xc0\xaf"]]}', "a surrogate in UTF-8": b'{"monomers":[["\xed\xa0\x80"]]}',
    "beyond Unicode": b'{"monomers":[["\xf4\x90\x80\x80"]]}', "cut UTF-8": b'{"monomers":[["\xe2\x82"]]}', "UTF-16": '{"monomers":[]}'.encode("utf-16"),
    "deep arrays": b"[" * 100000, "deep objects": b'{"a":' * 100000, "deep and closed": b'{"monomers":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "deep where nobody looks": b'{"monomers":[],"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "empty object": b"{}", "an array": b"[1]", "a string": b'"monomers"', "a number": b"1", "null": b"null", "true": b"true",
    "monomers null": b'{"monomers":null}', "monomers string": b'{"monomers":"ab"}', "monomers number": b'{"monomers":1}',
    "monomers object": b'{"monomers":{}}', "a string for a line": b'{"monomers":["ab"]}', "null for a line": b'{"monomers":[null]}',
    "a number among the tokens": b'{"monomers":[["a",1]]}', "null among the tokens": b'{"monomers":[["a",null]]}',
    "an array among the tokens": b'{"monomers":[["a",["b"]]]}', "monomers misspelt": b'{"Monomers":[["a"]]}',
    "constraints null": b'{"monomers":[["a"]],"constraints":null}', "constraints string": b'{"monomers":[["a"]],"constraints":"FREE a"}',
    "a string for a constraint": b'{"monomers":[["a"]],"constraints":["FREE a"]}',
    "a number in a constraint": b'{"monomers":[["a"]],"constraints":[["FREE",1]]}', "constraints object": b'{"monomers":[["a"]],"constraints":{}}',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_body(client, body):
    """stableconfigs#23: 400 in JSON with CORS, and nothing is queued."""
    with sc.nothing_left(client.stack):
        queue = client.stack.helper().queue()
        sc.refusal(client.submit(body), 400)
        assert client.stack.helper().queue() == queue


def test_members_that_nobody_knows(client):
    answer = client.submit(b' {"x":{"y":[1,{"z":null}]},"monomers":[["a"]],"Gen":"7","\\u006donomers ":1,"":0}\r\n')
    assert answer.status_code == 202
    assert sc.result(client.final(answer.json()["task_id"])) == (1, 1, [1])


def test_escapes_in_names_and_tokens(client):
    answer = client.submit(rb'{"\u006donomers":[["\u0061\/\u00e9","\ud83e\uddec*","b\tc\u2003d\ne"]]}')
    assert answer.status_code == 202
    answer = client.final(answer.json()["task_id"])
    assert answer.json()["configs"][0]["polymers"] == [[["a/\u00e9", "\U0001f9ec*", "b", "c", "d", "e"]]]


def test_a_body_that_is_too_large(either):
    """413, from the gate just above its limit and from nginx far above it; just below it is a body like any other."""
    most = 4 << 20
    text = json.dumps({"monomers": [], "x": ""}).encode()
    with sc.nothing_left(either.stack):
        for size in (most + 1, most + 200000):
            body = text[:-2] + b" " * (size - len(text)) + text[-2:]
            sc.refusal(either.submit(body), 413)
            with either.stack.session() as fresh:	# requests sends chunks on a kept connection without a second try
                answer = fresh.post(either.url("/task"), data=iter([body]), headers=sc.JSON, timeout=30)
            sc.refusal(answer, 413)	# no length declared
    answer = either.submit(text[:-2] + b"x" * (most - len(text)) + text[-2:])
    assert answer.status_code == 202, answer.text[:500]
    either.final(answer.json()["task_id"])


def test_a_body_in_chunks(either):
    body = json.dumps({"monomers": B4}).encode()
    with raw(either) as connection:
        connection.send(head(either, "Transfer-Encoding: chunked"))
        for i in range(0, len(body), 7):
            piece = body[i:i + 7]
            connection.send(b"%x;note=x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        answer = connection.answer("POST")
    assert answer.status == 202
    assert sc.result(either.final(json.loads(answer.body)["task_id"])) == (1, 3, [3])


@pytest.mark.parametrize("lines,body", [
    (["Content-Length: 5000"], b'{"monomers":[["a"]]}'), (["Content-Length: 5000"], b""),
    (["Transfer-Encoding: chunked"], b'14\r\n{"monomers":[["a"]]}\r\n'), (["Transfer-Encoding: chunked"], b'ff\r\n{"monomers":[["a"]]}'),
    (["Content-Length: 200000"], b'{"monomers":[["a"]]}' + b" " * 150000),
])
def test_a_body_that_is_cut_off(either, lines, body):
    """A either that declares more than it sends and goes: no task, no trace."""
    with sc.nothing_left(either.stack):
        for _ in range(3):
            with raw(either) as connection:
                connection.send(head(either, *lines), body)
        assert either.request("GET", "/status/nope").status_code == 404


@pytest.mark.parametrize("claim,body", [(20, b'{"monomers":[]}'), (10, b'{"monomers":[]}'), (0, b'{"monomers":[]}'),
                                        (1 << 40, b"{}"), ("x", b'{"monomers":[]}'), ("-1", b'{"monomers":[]}')])
def test_a_length_that_is_not_the_bodys(client, claim, body):
    """Past nginx, straight to the gate: a body shorter or longer than declared, or a length that is no number."""
    with sc.nothing_left(client.stack):
        params = fastcgi.params_of("POST", "/task", body=body, CONTENT_LENGTH=str(claim))
        answer = fastcgi.call(client.stack.gate_socket, params, body)
        assert answer is None or (answer[0] in (400, 411, 413) and json.loads(answer[2])["status"] == "Exception"), answer
    assert client.request("GET", "/status/nope").status_code == 404


@pytest.mark.parametrize("pieces", [
    b"", b"\0" * 8, fastcgi.begin(), fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, b"\x7f\x7fabc"),
    fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs({"REQUEST_METHOD": "POST"})) + fastcgi.stream(fastcgi.STDIN, b"{}"),
    fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(fastcgi.params_of("POST", "/task", body=b"{}")))
    + fastcgi.record(fastcgi.ABORT),
    fastcgi.begin(role=2) + fastcgi.stream(fastcgi.PARAMS, b""), fastcgi.begin(version=9),
    fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"abc", length=60000), bytes(range(256)) * 300,
], ids=lambda value: repr(value[:24]))
def test_what_is_no_fastcgi_request(client, pieces):
    """Malformed records and parameters end their connection and nothing else."""
    with sc.nothing_left(client.stack):
        workers = client.stack.pids("worker")
        with fastcgi.Connection(client.stack.gate_socket) as connection:
            connection.send(pieces)
            connection.half_close()
            connection.read()
        assert client.request("GET", "/status/nope").status_code == 404
        assert client.stack.pids("worker") == workers


def test_a_client_that_leaves_at_once(either):
    """It sends a whole request and does not wait: the task is accepted or is not, and the server goes on."""
    body = json.dumps({"monomers": B4}).encode()
    for _ in range(10):
        with raw(either) as connection:
            connection.send(head(either, f"Content-Length: {len(body)}"), body)
    assert sc.result(either.solve(B4)) == (1, 3, [3])
    sc.quiet(either.stack)


def test_requests_one_behind_the_other_on_a_connection(either):
    body = json.dumps({"monomers": []}).encode()
    with raw(either) as connection:
        for last in (False, False, True):
            connection.send(head(either, f"Content-Length: {len(body)}", *["Connection: close"] * last), body)
        seen = connection.rest()
    tasks = re.findall(rb'\r\n\r\n\{"task_id":"([0-9a-f-]*)"\}\n', seen)
    assert seen.count(b"HTTP/1.1 202 ") == len(set(tasks)) == 3
    for task in tasks:
        either.final(task.decode())
