"""The Stan compile service: every answer that needs no particular compile; contract stan, sections 2 and 8."""

import gzip
import http.client
import json
import os

import pytest

from lib import running, stan
from lib.stan import EVIL, ORIGIN

ZEROS = "0" * 40


@pytest.fixture(scope="module")
def client(ground, programs):
    folder = stan.compiler(os.path.join(ground, "stan-answers"))
    with running.Several(ground, programs) as several:
        yield stan.Client(several.make(environment=stan.environment(folder), slots=2)).ready()


@pytest.fixture(scope="module")
def model(client):
    answer = client.compile(stan.program("size 50000"))
    assert answer.status_code == 200, answer.text
    return answer.json()["model_id"]


def cors(answer, origin=ORIGIN):
    """Section 2.1 for an allowed origin (or one that is none, or without)."""
    headers = answer.headers
    assert headers.get("Access-Control-Allow-Origin") == (origin if origin == ORIGIN else None), headers
    assert headers.get("Access-Control-Allow-Credentials") == ("true" if origin else None), headers
    assert "Origin" in headers["Vary"]
    return answer


def says(answer, code, **body):
    """Exactly this JSON, compact."""
    assert answer.status_code == code, (answer.status_code, answer.text)
    assert answer.text == json.dumps(body, separators=(",", ":"), ensure_ascii=False), answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


def message(answer, status):
    """The words that the page shows."""
    cors(answer)
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["Cache-Control"] == "no-store"
    return answer.json()["message"]


def raw(client, method, target, headers=None, body=None):
    """A request whose target no library tidies up: (status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", client.stack.settings.plain["stan"], timeout=30)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": "stan.example:8083", **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_probe(client):
    """stan#1"""
    answer = cors(says(client.get("/probe"), 200, status="ok"))
    assert len(answer.content) == 15
    cors(says(client.request("GET", "/probe", headers={"Origin": None}), 200, status="ok"), None)
    head = client.request("HEAD", "/probe")
    assert head.status_code == 200 and head.content == b"" and head.headers["Content-Length"] == "15"


def test_probe_from_elsewhere(client):
    """stan#2"""
    cors(says(client.get("/probe", headers={"Origin": EVIL}), 200, status="ok"), EVIL)
    # http://localhost:3000 is none of the list, which is compared exactly.
    for origin in ("http://localhost:3000", ORIGIN + "/", ORIGIN.upper(), "null"):
        cors(client.get("/probe", headers={"Origin": origin}), origin)


def test_slashes(client):
    """stan#3"""
    answer = client.get("/probe/?a=b%20c")
    assert (answer.status_code, answer.headers["Location"], answer.content) == (307, "/stan/probe?a=b%20c", b"")
    cors(answer)
    for method, path in (("POST", "/compile/"), ("OPTIONS", "/probe/"), ("GET", f"/download/{ZEROS}/main.js/"), ("PUT", "/restart/")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["Location"]) == (307, "/stan" + path[:-1]), (method, path)
    assert client.get("/download/x/").status_code == 404
    # On a port of its own there is no prefix; and no address may ever become another host's.
    for path in ("//probe", "///probe"):
        assert raw(client, "GET", path)[::2] == (200, b'{"status":"ok"}')
        status, headers, _ = raw(client, "GET", path + "/")
        assert (status, headers["Location"]) == (307, "/probe")
    assert raw(client, "GET", "//evil.example/")[0] == 404
    assert client.get("//probe").text == '{"status":"ok"}'
    answer = says(client.request("POST", "/probe"), 405, detail="Method Not Allowed")
    assert answer.headers["Allow"] == "GET"


def test_unknown(client):
    """stan#4"""
    for method in ("GET", "POST", "DELETE", "HEAD"):
        answer = cors(client.request(method, "/nope"))
        assert answer.status_code == 404
    cors(says(client.get("/nope?x=1"), 404, detail="Not Found"))
    answer = cors(says(client.get("/compile"), 405, detail="Method Not Allowed"))
    assert answer.headers["Allow"] == "POST"


def preflight(client, path="/compile", origin=ORIGIN, method="POST", headers="authorization", **more):
    return client.request("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": method,
                                                    "Access-Control-Request-Headers": headers, **more})


@pytest.mark.parametrize("path", ("/compile", "/nope", "/", f"/download/{ZEROS}/main.js"))
def test_preflight(client, path):
    """stan#5"""
    answer = cors(preflight(client, path))
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
    assert "Access-Control-Allow-Headers" not in preflight(client, path, headers=None).headers


def test_preflight_that_fails(client):
    """stan#6"""
    for origin, method, words in ((EVIL, "POST", "origin"), (ORIGIN, "TRACE", "method"), (EVIL, "TRACE", "origin, method")):
        answer = cors(preflight(client, origin=origin, method=method), origin)
        assert (answer.status_code, answer.text) == (400, "Disallowed CORS " + words)
        assert answer.headers["Access-Control-Max-Age"] == "600" and answer.headers["Access-Control-Allow-Headers"] == "authorization"


def test_private_network(client):
    """stan#7"""
    asked = {"Access-Control-Request-Private-Network": "true"}
    answer = cors(preflight(client, **asked))
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    answer = preflight(client, origin=EVIL, **asked)
    assert answer.text == "Disallowed CORS origin, private-network"
    assert "Access-Control-Allow-Private-Network" not in answer.headers
    assert "Access-Control-Allow-Private-Network" not in preflight(client).headers


def test_options_without_origin(client):
    """stan#8"""
    answer = says(client.request("OPTIONS", "/compile", headers={"Origin": None}), 405, detail="Method Not Allowed")
    assert answer.headers["Allow"] == "POST"
    assert client.request("OPTIONS", "/compile").status_code == 405	# with Origin alone it is no preflight either


def test_empty_body(client):
    """stan#9"""
    for headers in ({}, {"Authorization": "Bearer 1234"}, {"Content-Type": "application/json"}):
        answer = client.request("POST", "/compile", headers=headers)
        assert message(answer, 422)
        assert answer.json()["detail"] == [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]


def test_passcodes(client):
    """stan#10, stan#11"""
    jobs = client.stack.jobs()
    for header, words in ((None, "Passcode not provided"), ("", "Passcode not provided"), ("Basic x", "Invalid authorization header"),
                          ("bearer 1234", "Invalid authorization header"), ("Bearer ", "Invalid authorization header"),
                          ("Bearer 12345", "Invalid passcode"), ("Bearer  1234", "Invalid passcode"), ("Bearer 123", "Invalid passcode")):
        cors(says(client.compile(b"x", headers={"Authorization": header}), 401, message=words))
    assert client.stack.jobs() == jobs and os.listdir(client.scratch) == []
    assert client.compile(stan.program(name="zzz"), headers={"Authorization": "Bearer 1234 zzz"}).status_code == 200


def test_json_bodies(client):
    """What section 2.3 says of bodies of type application/json."""
    def post(body, kind="application/json"):
        return client.compile(body, headers={"Content-Type": kind})
    answer = post(b'{"a":')
    assert message(answer, 422) and answer.json()["detail"][0]["type"] == "json_invalid" and answer.json()["detail"][0]["loc"] == ["body", 5]
    answer = post(b'[1]', "application/x+json")
    assert answer.status_code == 422
    assert answer.json()["detail"] == [{"type": "bytes_type", "loc": ["body"], "msg": "Input should be a valid bytes", "input": [1]}]
    assert post(b"null").json()["detail"][0]["type"] == "missing"
    answer = post(b'"\xff"')
    assert answer.status_code == 400 and answer.json()["detail"] == "There was an error parsing the body"


def test_downloads(client, model):
    """stan#15"""
    path = os.path.join(client.cache, model, "main.js")
    with open(path, "rb") as file:
        content = file.read()
    head = cors(client.request("HEAD", f"/download/{model}/main.js", headers={"Accept-Encoding": "identity"}))
    assert head.status_code == 200 and head.content == b"" and head.headers["Content-Length"] == str(len(content))
    answer = cors(client.get(f"/download/{model}/main.js", headers={"Accept-Encoding": "identity"}))
    assert answer.content == content and "Content-Encoding" not in answer.headers
    for one in (head, answer):
        assert one.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert one.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert one.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert one.headers["ETag"].startswith('"') and one.headers["Last-Modified"] and one.headers["Accept-Ranges"] == "bytes"
        assert one.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    cors(client.get(f"/download/{model}/main.js", headers={"Origin": EVIL}), EVIL)


def test_hits_do_not_wake_the_gate(client, model):
    """Section 6: nginx serves what is in the cache."""
    before = client.stack.log("gate").count("/download/")
    for way in ("prefix", "port"):
        url = client.stack.url("stan", f"/download/{model}/main.wasm", way=way)
        assert client.session.get(url).status_code == 200
    assert client.stack.log("gate").count("/download/") == before


def test_compressed(client, model):
    """stan#16"""
    with open(os.path.join(client.cache, model, "main.wasm"), "rb") as file:
        content = file.read()
    for encodings, coding in (("gzip", "gzip"), ("gzip, deflate, br", "br"), ("identity", None)):
        status, headers, body = raw(client, "GET", f"/download/{model}/main.wasm", {"Accept-Encoding": encodings, "Origin": ORIGIN})
        assert (status, headers["Content-Type"], headers["Content-Encoding"]) == (200, "application/wasm", coding)
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp" and headers["Access-Control-Allow-Origin"] == ORIGIN
        vary = ", ".join(headers.get_all("Vary"))
        assert "Origin" in vary and "Accept-Encoding" in vary
        if coding == "gzip":
            assert gzip.decompress(body) == content and len(body) < len(content) * 0.7
        elif coding == "br":
            with open(os.path.join(client.cache, model, "main.wasm.br"), "rb") as file:
                assert body == file.read() and len(body) < len(content) * 0.7
        else:
            assert body == content


def test_conditions_and_ranges(client, model):
    """stan#17"""
    def get(**headers):
        return cors(client.get(f"/download/{model}/main.wasm", headers={"Accept-Encoding": "identity",
                                                                      **{k.replace("_", "-"): v for k, v in headers.items()}}))
    whole = get()
    etag, size = whole.headers["ETag"], len(whole.content)
    answer = get(If_None_Match=etag)
    assert answer.status_code == 304 and answer.content == b"" and answer.headers["ETag"] == etag
    answer = get(Range="bytes=0-3")
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, b"\0asm", f"bytes 0-3/{size}")
    answer = get(Range="bytes=0-1,4-7")
    assert answer.status_code == 206 and answer.headers["Content-Type"].startswith("multipart/byteranges")
    assert get(Range="bytes=0-3", If_Range=etag).status_code == 206
    assert get(Range="bytes=0-3", If_Range='"other"').content == whole.content
    for nonsense in ("bytes=x-y", "lines=0-1"):
        assert get(Range=nonsense).content == whole.content
    answer = client.get(f"/download/{model}/main.wasm", headers={"Accept-Encoding": "identity", "Range": "bytes=99999999-"})
    assert (answer.status_code, answer.headers["Content-Range"], answer.content) == (416, f"bytes */{size}", b"")
    cors(answer)


def test_file_names(client, model):
    """stan#18"""
    for name in ("main.cpp", "running.txt", "main.js.gz", "main.wasm.br", "MAIN.JS", "%C3%A4"):
        shown = "ä" if name == "%C3%A4" else name
        for one in (model, ZEROS, "x"):
            assert message(client.get(f"/download/{one}/{name}"), 400) == f"Invalid file name {shown}"
    answer = client.get(f"/download/{ZEROS}/main.js")
    assert message(answer, 404) == f"File not found: {ZEROS}/main.js"
    assert "Cross-Origin-Embedder-Policy" not in answer.headers
    assert client.request("HEAD", f"/download/{ZEROS}/main.js").status_code == 404
    assert message(client.get(f"/download/{model.upper()}/main.js"), 404)


def test_ways_out_of_the_cache(client, model):
    """stan#19"""
    for place in ("..", "../.."):
        with open(os.path.join(client.cache, place, "main.js"), "w", encoding="ascii") as file:
            file.write("out of the cache")
    os.symlink(os.path.join(client.cache, model), os.path.join(client.cache, "e" * 40))
    for target in ("%2e%2e", "..", "%2e", ".", "a%2Fb", "a%00b", "%2e%2e%2f..", "e" * 40, f"{model}/..", "%c0%ae%c0%ae", ""):
        for prefix in ("/stan", ""):
            status, _, body = raw(client, "GET", f"{prefix}/download/{target}/main.js", {"Origin": ORIGIN})
            assert 400 <= status < 500 and b"out of" not in body and b"async" not in body, (target, status, body)


def test_post_download(client, model):
    """stan#20"""
    for one in (model, ZEROS):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = cors(says(client.request(method, f"/download/{one}/main.js"), 405, detail="Method Not Allowed"))
            assert "GET" in answer.headers["Allow"]


def test_not_utf8(client):
    """stan#24, the program: no compile, and the page can read why."""
    jobs = client.stack.jobs()
    for bad in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"x" * 16383 + b"\xe2\x82"):
        assert message(client.compile(bad), 400) == "Stan source file is not valid UTF-8."
    assert client.stack.jobs() == jobs


def test_sizes(client):
    """stan#25"""
    limit = 10485760
    worker_bytes = max(rss_bytes(pid) for pid in client.stack.pids("worker"))
    filler = b"// do: fail\n" + b"x" * (limit - 12)
    assert message(client.compile(filler), 422).startswith("Failed to compile model: ")
    assert message(client.compile(filler + b"x"), 400) == "Stan source file too large."
    # Beyond nginx's own limit its words come, and they can be read too; and a body whose length nobody said.
    assert message(client.compile(b"x" * (12 << 20)), 413)
    assert message(client.request("POST", f"/download/{ZEROS}/main.js", data=b"x" * (12 << 20)), 413)
    assert message(client.compile(iter([filler, b"x"])), 400) == "Stan source file too large."
    assert max(rss_bytes(pid) for pid in client.stack.pids("worker")) < worker_bytes + (4 << 20)


def test_a_gate_that_is_gone(client):
    """Section 2.6: nginx's own errors are JSON that the page can read."""
    client.stack.stop("gate")
    try:
        assert message(client.get("/probe"), 502)
        assert message(client.get(f"/download/{ZEROS}/main.js"), 502)
    finally:
        client.stack.start("gate")
    assert client.get("/probe").status_code == 200
