"""The Stan compile service and its page: our own page, as the contract describes the real one, in Node and in Chromium.
tests/real/stan repeats it with the page's own code."""

import contextlib
import http.server
import json
import math
import os
import re
import subprocess
import threading

import pytest

from lib import browser, running, stan
from lib.stan import program

ORIGIN = "http://127.0.0.1:3000"
TYPES = {".mjs": "text/javascript", ".html": "text/html"}
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@contextlib.contextmanager
def page():
    """The page's own server, as strict as the real one: (port). Its files are those beside the stand-in."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/") or "index.html"
            body = b"<!DOCTYPE html><title>page</title><link rel=icon href=data:,>"
            if name != "index.html":
                with open(os.path.join(stan.STAND_IN, os.path.basename(name)), "rb") as file:
                    body = file.read()
            self.send_response(200)
            self.send_header("Content-Type", TYPES[os.path.splitext(name)[1]])
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture(scope="module")
def client(ground, programs):
    folder = stan.compiler(os.path.join(ground, "stan-page"))
    with running.Several(ground, programs) as several:
        yield stan.Client(several.make(environment=stan.environment(folder, SWS_COMPILATION_TIMEOUT="3"))).ready()


@pytest.fixture(scope="module")
def real_client(ground, programs):
    """With a real compiler: Debian's Emscripten, which compiles in the jail without a network."""
    folder = stan.compiler(os.path.join(ground, "stan-real"))
    environment = stan.environment(folder, TINYSTAN=f"{folder}/real", PATH=f"{folder}/real-bin:/usr/bin:/bin", SWS_COMPILATION_TIMEOUT="120")
    with running.Several(ground, programs) as several:
        yield stan.Client(several.make(environment=environment))


def in_node(client, source, passcode="1234"):
    """What the page's code shows and where it ends: (statuses, main.js's address)."""
    script = f"""
        import {{compile}} from {json.dumps(os.path.join(stan.STAND_IN, "page.mjs"))};
        const shown = [];
        const url = await compile({json.dumps(client.stack.url("stan", way="port"))}, {json.dumps(source.decode())}, {json.dumps(passcode)},
                                  (word) => shown.push(word));
        console.log(JSON.stringify([shown, url]));
    """
    done = subprocess.run(["/usr/bin/node", "--no-warnings", "--input-type=module", "-e", script], capture_output=True, text=True, env=CLEAN,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_page_in_node(client):
    """stan#37"""
    shown, url = in_node(client, program(name="node"))
    assert shown == ["compiling...", "Checking download of main.js", "compiled"]
    assert url == client.stack.url("stan", f"/download/{stan.model_id(program(name='node'))}/main.js", way="port")
    for source, passcode, words in ((b"x", "12345", r"Invalid passcode"), (program("fail"), "1234", r"Failed to compile model: Syntax error [^/]*"),
                                    (program("sleep 100"), "1234", r"Model compilation took too long to complete")):
        shown, url = in_node(client, source, passcode)
        assert url is None and shown[0] == "compiling..." and re.fullmatch("failed to compile: " + words, shown[1]), shown


# In the page: what a person does there, then a worker that loads the model.
PAGE = """
    const {probe, compile} = await import("/page.mjs");
    const [base, program, x] = args, shown = [];
    const connected = await probe(base);
    const url = await compile(base, program, "1234", (word) => shown.push(word));
    window.load = () => new Promise((resolve) => {
        const worker = new Worker("/worker.mjs", {type: "module"});
        worker.onmessage = ({data}) => { worker.terminate(); resolve(data); };
        worker.onerror = (event) => resolve({error: String(event.message)});
        worker.postMessage({url, x});
    });
    return {connected, shown, url, isolated: self.crossOriginIsolated, loaded: await window.load()};
"""


def fetched(client):
    """How often nginx has sent a file of a model; it writes the last lines of its log when it ends."""
    client.stack.restart("nginx")
    with open(client.stack.server.log_file("nginx-access"), encoding="utf-8") as file:
        text = file.read()
    return len(re.findall(r'"GET /download/[0-9a-f]{40}/main\.(js|wasm) ', text))


def use_page(client, source, x):
    with page() as port:
        chromium = browser.Browser("127.0.0.1:3000", f"127.0.0.1:{port}")
        try:
            chromium.open(ORIGIN + "/")
            result = chromium.run(PAGE, client.stack.url("stan", way="port").replace("localhost", "127.0.0.1"), source.decode(), x)
            again = chromium.run("return await window.load()")
            console = chromium.console()
        finally:
            chromium.end()
    assert result["connected"] and result["isolated"]
    assert result["shown"] == ["compiling...", "Checking download of main.js", "compiled"]
    assert result["loaded"].get("found") == ["_tinystan_separator_char", "_tinystan_stan_version", "_malloc", "_free", "getValue"], result
    assert again == result["loaded"]
    assert fetched(client) == 2, "the second worker's import makes no transfer"
    # A wasm that could not be compiled while it streamed would have said so.
    assert console == []
    return result


def test_page_in_chromium(client):
    """stan#38"""
    result = use_page(client, program("size 100000", name="chromium"), 1)
    assert result["loaded"]["separator"] == 28


def test_real_compile_in_chromium(real_client):
    """stan#38, with WebAssembly from a real compiler: it streams, runs, and answers."""
    real_client.ready()
    result = use_page(real_client, program(name="real"), 2.0)
    assert math.isclose(result["loaded"]["density"], -2.0 - 0.5 * math.log(2 * math.pi), rel_tol=1e-12)
    entry = real_client.entry(re.search(r"[0-9a-f]{40}", result["url"]).group())
    assert {"main.js", "main.wasm", "main.js.gz", "main.wasm.br"} <= set(entry)
