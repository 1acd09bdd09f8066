"""nginx's part: where a service is reached, what nginx itself answers, bodies of every framing, files straight from disk."""

import json
import re
import socket
import ssl
import subprocess
import time
import warnings

import pytest

from lib import machine, web
from stack import server

B4 = {"monomers": [["a", "b", ">mon1"], ["a*", "b*", ">mon2"], ["a", ">mon3"], ["b", ">mon4"]], "gen": 2}


@pytest.fixture(scope="module")
def session(stack):
    return stack.session()


def api_error(answer, status, origin=None):
    """An error in the API's own shape, with CORS, whoever gave it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert sorted(body) == ["message", "status"] and body["status"] == "Exception" and body["message"]
    assert answer.text == json.dumps(body, separators=(",", ":"), sort_keys=True) + "\n"
    assert answer.headers["Access-Control-Allow-Origin"] == (origin or "*")
    assert ("Origin" in answer.headers.get("Vary", "")) == (origin is not None)
    assert len(answer.headers["X-Request-Id"]) == 32


def test_the_main_host_says_what_it_serves(stack, session):
    answer = session.get(stack.url(path="/"))
    assert answer.status_code == 200
    assert answer.json() == {"services": {"stableconfigs": {"prefix": "/stableconfigs"}, "stan": {"prefix": "/stan"}, "v1": {"prefix": "/v1"}}}


@pytest.mark.parametrize("origin", [None, "https://page.example"])
def test_an_address_without_service_is_an_error_of_the_same_shape(stack, session, origin):
    headers = {"Origin": origin} if origin else {}
    for path in ("/nope", "/stableconfigsx", "/-/spool/lock", "/-/spool/jobs/", "/-/error/plain"):
        api_error(session.get(stack.url(path=path), headers=headers), 404, origin)


def test_every_way_to_a_service(stack, session):
    """Below its prefix, as the root of a host name, as the root of a loopback port."""
    for url in (stack.url("stableconfigs", "/status/nope"), stack.url("stableconfigs", "/status/nope", way="port")):
        api_error(session.get(url), 404)
    answer = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", stack.ca, "--resolve", f"stableconfigs.localhost:{stack.port}:127.0.0.1",
         f"https://stableconfigs.localhost:{stack.port}/status/nope", "-w", "%{http_code} %{http_version}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert answer.endswith("404 2") and '"status":"Exception"' in answer


def test_tls_and_http_2(stack):
    for version in ("--tlsv1.2", "--tlsv1.3"):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", version, "--cacert", stack.ca, stack.url(path="/"), "-o", "/dev/null",
                               "-w", "%{http_version} %{ssl_verify_result}"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.stdout == "2 0", done.stderr
    context = ssl.create_default_context(cafile=stack.ca)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", stack.port)) as sock, pytest.raises(OSError):
        context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("request_text,status", [
    ("GET / HTTP/9.9\r\n\r\n", 505), ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /..%2f HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /%2e%2e/etc HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("NONSENSE\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("POST /stableconfigs/task HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
    ("POST /stableconfigs/task HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST /stableconfigs/task HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ("TRACE /stableconfigs/task HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("GET /" + "x" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "x" * 40000 + "\r\n\r\n", 400),
], ids=lambda value: str(value)[:40])
def test_what_nginx_cannot_read_gets_an_answer_of_the_same_shape(stack, request_text, status):
    with stack.raw() as connection:
        connection.send(request_text)
        answer = connection.answer()
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body)["status"] == "Exception"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_plain_http_on_the_tls_port(stack):
    with web.Connection(stack.port) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.answer()
    assert answer.status == 400 and json.loads(answer.body)["status"] == "Exception"


def test_a_body_over_the_limit_is_413_before_it_is_sent(stack, session):
    """The gate's limit answers just above it, nginx's far above it; the client need not send it all."""
    for size in ((4 << 20) + 1, 5 << 20):
        answer = session.post(stack.url("stableconfigs", "/task"), data=b" " * size, headers={
            "Content-Type": "application/json", "Origin": "https://page.example"})
        api_error(answer, 413, "https://page.example")
    with stack.raw() as connection:
        connection.send("POST /stableconfigs/task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.answer().status == 413


def test_a_body_in_chunks(stack):
    with stack.session() as session:	# of its own: requests sends chunks on a kept connection without a second try
        answer = session.post(stack.url("stableconfigs", "/task"), data=iter([json.dumps(B4).encode()]),
                              headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("piece", [
    b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"])
def test_a_body_cut_off_is_no_request(stack, piece):
    """It never reaches the gate: nothing is accepted, nothing waits."""
    before = stack.jobs()
    with stack.raw("stableconfigs") as connection:
        connection.send(b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + piece)
        connection.end_of_sending()
        try:
            assert connection.answer().status in (100, 400, 408)
        except (ConnectionError, web.http.client.HTTPException):
            pass	# no answer is one too
    with stack.session() as session:
        assert session.get(stack.url("stableconfigs", "/status/nope")).status_code == 404
    assert stack.jobs() == before


def test_bytes_beyond_the_body_are_no_part_of_it(stack):
    body = json.dumps(B4).encode()
    with stack.raw("stableconfigs") as connection:
        connection.send(b"POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body),
                        body, b"GARBAGE\r\n\r\n")
        assert connection.answer("POST").status == 202
        assert connection.answer().status == 400


def test_the_gates_4xx_reach_the_client_unchanged(stack, session):
    answer = session.post(stack.url("stableconfigs", "/task"), data="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"] != "The request is malformed."	# the gate's words, not nginx's
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("header", [{"If-Match": '"another"'}, {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}],
                         ids=lambda header: next(iter(header)))
def test_a_condition_that_does_not_hold_is_an_error_of_the_same_shape(stack, session, header):
    """nginx looks at conditions of what it sends from disk."""
    url = stack.url("stableconfigs", "/status/") + session.post(stack.url("stableconfigs", "/task"), json={
        "monomers": [[f"s{i}" + "x" * 60] for i in range(1200)]}).json()["task_id"]

    def large():
        answer = session.get(url)
        return [answer] if answer.status_code not in (202, 203) else None
    assert "ETag" in machine.wait_for(large, 30, "the large result")[0].headers
    # nginx 1.22 says keep-alive in this answer and closes the connection a moment later: nothing else is to be on its way there.
    api_error(stack.session().get(url, headers={**header, "Origin": "https://page.example"}), 412, "https://page.example")


def test_the_request_id_is_one_from_nginx_to_the_gates_log(stack, session):
    answer = session.get(stack.url("stableconfigs", "/status/nope"))
    name = answer.headers["X-Request-Id"]
    machine.wait_for(lambda: name in stack.log("gate"), 5, "the gate logs the request")
    machine.wait_for(lambda: name in stack.log("nginx-access"), 5, "nginx logs the request")


def test_a_tight_loop_is_never_turned_away(stack, session):
    statuses = {session.get(stack.url("stableconfigs", "/status/nope")).status_code for _ in range(2000)}
    assert statuses == {404}


def test_a_slow_client_holds_no_worker(stack, session):
    """More clients that have sent half a request than the gate has threads."""
    slow = [stack.raw("stableconfigs") for _ in range(40)]
    for connection in slow:
        connection.send("POST /task HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    begun = time.monotonic()
    assert session.get(stack.url("stableconfigs", "/status/nope")).status_code == 404
    assert time.monotonic() - begun < 5
    for connection in slow:
        connection.close()


def test_502_while_the_gate_is_away(make_stack):
    stack = make_stack()
    session = stack.session()
    stack.stop("gate")
    answer = session.get(stack.url("stableconfigs", "/status/nope"), headers={"Origin": "https://page.example"})
    api_error(answer, 502, "https://page.example")
    assert answer.headers["Retry-After"] == "1"
    stack.start("gate")
    assert session.get(stack.url("stableconfigs", "/status/nope")).status_code == 404


def test_connections_of_one_address_are_capped(make_stack):
    stack = make_stack(connections=4)
    held = [stack.raw("stableconfigs") for _ in range(12)]	# four of them stay
    for connection in held:
        connection.send("POST /task HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    session = stack.session()

    def turned_away():
        answer = session.get(stack.url("stableconfigs", "/status/nope"))
        return [answer] if answer.status_code == 503 else None	# a 503 is no true value
    [answer] = machine.wait_for(turned_away, 5, "the fifth connection is turned away")
    api_error(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    for connection in held:
        connection.close()
    machine.wait_for(lambda: session.get(stack.url("stableconfigs", "/status/nope")).status_code == 404, 5, "room again")


def test_the_configuration_is_valid_as_an_installation_has_it(tmp_path):
    """The installed templates, filled in by make: nginx takes them, with a site around them."""
    build = machine.build_dir()
    done = subprocess.run(["make", "-s", "-C", build, "install-nginxDATA", "install-dist_nginxDATA", f"prefix={tmp_path}", f"pkgdatadir={tmp_path}/data"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data/nginx"
    names = sorted(path.name for path in folder.iterdir())
    assert "site.conf.example" in names and "http.conf" in names
    for path in folder.iterdir():
        text = path.read_text()
        assert not re.search(r"@[a-z_]+@", text.replace("@nginx@", "")), path
    # Where they will lie stands in them; for the test they lie here. So do sockets in place of ports, without certificates.
    for path in folder.iterdir():
        path.write_text(re.sub(r"/\S+/spoolgate/nginx/", f"{folder}/", path.read_text()))
    numbers = iter(range(100))
    site = re.sub(r"^\s*listen .*;$", lambda _: f"listen unix:{tmp_path}/{next(numbers)};", (folder / "site.conf.example").read_text(),
                  flags=re.M)
    site = re.sub(r"^\s*ssl_.*$", "", site, flags=re.M)
    temps = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
    (tmp_path / "nginx.conf").write_text(f"""load_module {server.BROTLI};
pid {tmp_path}/pid;
events {{}}
http {{
{temps}
include {folder}/http.conf;
{site}
server {{ listen unix:{tmp_path}/stan; include {folder}/server.conf; include {folder}/stan-root.conf; }}
}}
""")
    done = subprocess.run(["nginx", "-t", "-p", str(tmp_path), "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr
