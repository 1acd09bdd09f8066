"""FastCGI as nginx would never speak it, straight to the gate's socket: an error in the API's shape or a closed connection, no
job, no crash, and the gate goes on."""

import json
import os
import random
import struct

import pytest

from lib import fastcgi
from lib.fastcgi import PARAMS, STDIN, Connection, begin, pairs, params_of, record, stream

BODY = json.dumps({"monomers": [["a"], ["a*"]]}).encode()


@pytest.fixture(autouse=True)
def goes_on(stack):
    """Afterwards no job is there, the same processes answer, and no worker has died."""
    jobs, keeper, workers = stack.jobs(), stack.pids("keeper"), stack.pids("worker")
    yield
    assert stack.fastcgi("GET", "/status/nope")[0] == 404
    assert stack.jobs() == jobs and stack.pids("keeper") == keeper and stack.pids("worker") == workers


def error(answer, *statuses):
    """431 wherever a parameter may be too long: the gate says so before it looks closer."""
    assert answer is not None
    status, headers, body = answer
    assert status in (*statuses, 431), answer
    assert headers["content-type"] == "application/json"
    assert sorted(json.loads(body)) == ["message", "status"]


def raw(stack, *pieces, half_close=True):
    """What the gate says to these bytes."""
    with Connection(stack.gate_socket) as connection:
        connection.send(*pieces)
        if half_close:
            connection.half_close()
        return fastcgi.parse(connection.read()[0])


@pytest.mark.parametrize("change,statuses", [
    ({"REQUEST_METHOD": None}, (400,)), ({"REQUEST_METHOD": ""}, (400,)), ({"REQUEST_METHOD": "GE T"}, (400, 405)),
    ({"REQUEST_METHOD": "x" * 5000}, (400, 405)), ({"REQUEST_METHOD": b"\xff"}, (400, 405)), ({"REQUEST_URI": None}, (400, 404)),
    ({"REQUEST_URI": ""}, (400, 404)), ({"REQUEST_URI": "status/x"}, (400, 404)), ({"REQUEST_URI": "/" * 9000}, (404, 414)),
    ({"REQUEST_URI": "/" + "x" * 100000}, (404, 414)), ({"REQUEST_URI": "/status/%"}, (400, 404)),
    ({"REQUEST_URI": "/status/%00"}, (400, 404)), ({"REQUEST_URI": "/status/%zz"}, (400, 404)),
    ({"REQUEST_URI": b"/status/\xff\xfe"}, (400, 404)), ({"REQUEST_URI": "/status/../../etc/passwd"}, (404,)),
    ({"REQUEST_URI": "/status/%2e%2e%2f%2e%2e"}, (404,)), ({"REQUEST_URI": "/a" * 1000}, (404, 414)),
    ({"SPOOLGATE_PREFIX": "/other"}, (404,)), ({"SPOOLGATE_PREFIX": "x" * 10000}, (400, 404)),
    ({"SPOOLGATE_REQUEST_ID": "x" * 10000}, (404,)), ({"SPOOLGATE_REQUEST_ID": "a\r\nSet-Cookie: x"}, (400, 404)),
    ({"HTTP_ORIGIN": "a\r\nSet-Cookie: x=y"}, (400, 404)), ({"HTTP_ORIGIN": "x" * 60000}, (400, 404)), ({"HTTP_ORIGIN": b"\xff\0"}, (400, 404)),
    ({"REMOTE_ADDR": "nonsense"}, (400, 404)), ({"REMOTE_ADDR": "x" * 9000}, (400, 404)), ({"QUERY_STRING": "x" * 60000}, (400, 404)),
], ids=lambda value: repr(value)[:50])
def test_a_malformed_parameter_of_a_get(stack, change, statuses):
    answer = fastcgi.call(stack.gate_socket, params_of("GET", change.get("REQUEST_URI") and "/" or "/status/nope", **change))
    error(answer, *statuses)
    assert "set-cookie" not in answer[1]


@pytest.mark.parametrize("service", [None, "", "nope", "x" * 5000, "../stableconfigs", "stableconfigs\0"], ids=lambda s: repr(s)[:20])
def test_a_service_that_is_none(stack, service):
    answer = fastcgi.call(stack.gate_socket, params_of("GET", "/status/nope", SPOOLGATE_SERVICE=service))
    assert answer is not None and answer[0] in (400, 404, 431, 500), answer	# 500: nginx is configured wrongly


@pytest.mark.parametrize("length,statuses", [
    ("x", (400,)), ("-1", (400,)), ("1e3", (400,)), ("0x10", (400,)), ("99999999999999999999", (400, 413)),
    ("9223372036854775807", (400, 413)), ("4294967296", (413,)), (" 5", (400,)), ("5 ", (400,)), ("+5", (400,)), ("0", (400,)),
    (str(len(BODY) + 1), (400,)), (str(len(BODY) - 1), (400,))])
def test_a_content_length_that_is_not_the_bodys(stack, length, statuses):
    error(fastcgi.call(stack.gate_socket, params_of("POST", "/task", body=BODY, CONTENT_LENGTH=length), BODY), *statuses)


@pytest.mark.parametrize("length", ["", None])
def test_a_body_without_length_ends_with_its_stream(stack, length):
    error(fastcgi.call(stack.gate_socket, params_of("POST", "/task", body=BODY[:-1], CONTENT_LENGTH=length), BODY[:-1]), 400, 411)


@pytest.mark.parametrize("media", [None, "", "text/plain", "application/jsonx", "x" * 9000, "/", b"\xff/\xff", "multipart/form-data"],
                         ids=lambda media: repr(media)[:20])
def test_a_media_type_that_is_not_json(stack, media):
    error(fastcgi.call(stack.gate_socket, params_of("POST", "/task", body=BODY, CONTENT_TYPE=media), BODY), 400, 415)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[", b"nul", b"{}", b"[1]", b"7", b'"x"', b"null", b'{"monomers":', b'{"monomers":[["a",1]]}', b'{"monomers":"ab"}',
    b'{"monomers":["ab"]}', b'{"monomers":[["a"]]} x', b'{"monomers":[["\xff"]]}', b'{"monomers":[["\\ud800"]]}', b"[" * 100000,
    b'{"monomers":' + b"[" * 100000, b'{"a":' * 100000, b'{"monomers":NaN}', b'{"monomers":[["a\n"]]}', b"\0" * 100,
    b"\xef\xbb\xbf{}", b'{"monomers":null}', b'{"monomers":[["a"]],"constraints":null}', b'{"monomers":[[null]]}',
], ids=lambda body: repr(body[:30]))
def test_a_body_that_is_no_task(stack, body):
    error(fastcgi.call(stack.gate_socket, params_of("POST", "/task", body=body), body), 400)


def test_a_body_over_the_limit(stack):
    body = b" " * ((4 << 20) + 1)
    error(fastcgi.call(stack.gate_socket, params_of("POST", "/task", body=body), body), 413)


@pytest.mark.parametrize("sent", range(0, 80, 7))
def test_a_request_cut_off_anywhere(stack, sent):
    whole = begin() + stream(PARAMS, pairs(params_of("POST", "/task", body=BODY))) + stream(STDIN, BODY)
    answer = raw(stack, whole[:len(whole) * sent // 80])
    assert answer is None or answer[0] == 400, answer


def test_a_body_whose_sender_goes_away(stack):
    answer = raw(stack, begin(), stream(PARAMS, pairs(params_of("POST", "/task", body=BODY))), record(STDIN, BODY[:10]))
    assert answer is None or answer[0] == 400, answer


@pytest.mark.parametrize("pieces", [
    [b"GET / HTTP/1.0\r\n\r\n"], [b"\0" * 8], [b"\xff" * 64], [record(99)], [record(PARAMS, b"xx")], [begin(version=2)],
    [begin(role=7), record(PARAMS)], [begin(), record(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff")],
    [begin(), record(PARAMS, struct.pack(">I", 0xffffffff) * 2 + b"x"), record(PARAMS)],
    [begin(), record(PARAMS, b"\x05\x05abc"), record(PARAMS)], [begin(), record(STDIN, b"x")],
    [begin(), record(2), record(PARAMS)], [begin(), begin(), record(PARAMS), record(STDIN)],
    [begin(request=0), record(PARAMS, request=0)], [begin(request=65535), record(PARAMS, pairs({"A": "b"}), request=1)],
    [begin(), record(PARAMS, pairs({"A": "b"}), length=60000)], [begin(), record(9, b"\x0f\0FCGI_MPXS_CONNS", request=0)],
], ids=lambda pieces: repr(b"".join(pieces)[:30]))
def test_what_is_no_fastcgi(stack, pieces):
    """libfcgi reads these; what it makes of them must not be a job or a crash."""
    raw(stack, *pieces)


def test_very_many_and_very_large_parameters(stack):
    for more in ({f"HTTP_X{n}": "x" for n in range(5000)}, {"HTTP_X": "x" * (1 << 20)}, {"x" * 70000: "y"}, {"": ""}):
        answer = fastcgi.call(stack.gate_socket, {**params_of("GET", "/status/nope"), **more})
        assert answer is None or answer[0] in (400, 404, 431), answer


def test_a_parameter_twice(stack):
    twice = [*params_of("GET", "/status/nope").items(), ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/task")]
    answer = raw(stack, begin(), stream(PARAMS, pairs(twice)), stream(STDIN, b""))
    assert answer is None or answer[0] >= 400, answer


def test_random_bytes(stack):
    dice = random.Random(7)
    for _ in range(200):
        raw(stack, dice.randbytes(dice.randrange(1, 300)))


def test_mutated_requests(stack):
    dice = random.Random(11)
    whole = bytearray(begin() + stream(PARAMS, pairs(params_of("GET", "/status/nope"))) + stream(STDIN, b""))
    for _ in range(300):
        bad = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        answer = raw(stack, bytes(bad))
        assert answer is None or answer[0] >= 200, answer


def test_idle_connections_hold_no_thread_for_ever(stack):
    """As many silent connections as the gate has threads, and more: others are served, at the latest when these are closed."""
    idle = [Connection(stack.gate_socket) for _ in range(int(os.environ.get("SPOOLGATE_IDLE", "64")))]
    for connection in idle[::2]:
        connection.send(begin())
    for connection in idle:
        connection.sock.close()
    assert stack.fastcgi("GET", "/status/nope")[0] == 404
