"""A server of /v1 as a test wants it, for what no real one does: cut connections, wrong lengths, hostile names, redirects; and
the command, run on it or on a real one."""

import http.server
import json
import os
import pty
import signal
import re
import select
import socket
import socketserver
import ssl
import subprocess
import threading
import time

from . import machine

JOB = "0123456789abcdef0123456789abcdef"


class Reply:
    """One answer. body: bytes, text, or what becomes JSON. cut: the connection closes after so many bytes of it; length: what
    Content-Length says instead of the truth; held: an event to wait for before the answer; silent: the connection closes
    without one."""

    def __init__(self, body=b"", status=200, headers=None, cut=None, length=None, held=None, silent=False):
        self.kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode() + b"\n"
        self.body, self.status, self.headers = body, status, headers or {}
        self.cut, self.length, self.held, self.silent = cut, length, held, silent


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.method} {self.path} {self.body[:100]!r}>"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            out = b""
            while size := int(self.rfile.readline(), 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out
        wanted, out = int(self.headers.get("Content-Length", 0)), b""
        limit = self.server.fake.cut_request
        while len(out) < wanted and (limit is None or len(out) < limit):
            piece = self.rfile.read1(min(65536, wanted - len(out)))
            if not piece:
                break
            out += piece
        return out

    def _serve(self):
        body = self._body()
        request = Request(self.command, self.path, self.headers, body)
        reply = self.server.fake.answer(request)
        if reply.held:
            reply.held.wait(30)
        self.close_connection = True
        if reply.silent:
            return
        length = len(reply.body) if reply.length is None else reply.length
        self.send_response(reply.status)
        self.send_header("Connection", "close")
        for name, value in {"Content-Type": reply.kind, "Content-Length": length, **reply.headers}.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.cut is None else reply.body[:reply.cut])

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = _serve


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass	# clients hang up


class Fake:
    """on(method, path, reply...) says what is answered: one reply after the other, the last for ever; a function of the request
    in a reply's place makes it. path is a regular expression for the whole target. Everything else is a 404."""

    def __init__(self, tls=None):
        self.requests, self.routes, self.lock = [], [], threading.Lock()
        self.cut_request = None	# read only so much of a body
        self.tls, self.port, self.server = tls, 0, None
        self.start()

    def start(self):
        self.server = _Server(("127.0.0.1", self.port), _Handler)
        self.server.fake = self
        self.port = self.server.server_address[1]
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def on(self, method, path, *replies):
        self.routes.insert(0, [method, re.compile(path), list(replies)])

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            for method, path, replies in self.routes:
                if method == request.method and path.fullmatch(request.path):
                    reply = replies.pop(0) if len(replies) > 1 else replies[0]
                    break
            else:
                reply = problem(404, "there is no such thing")
        if callable(reply):
            reply = reply(request)
        return reply if isinstance(reply, Reply) else Reply(reply)

    def asked(self, method, path):
        with self.lock:
            return [r for r in self.requests if r.method == method and re.fullmatch(path, r.path)]


def problem(status, detail, headers=None, **more):
    reply = Reply({"type": "about:blank", "title": "T", "status": status, "detail": detail, "request_id": "r", **more}, status,
                  headers)
    reply.kind = "application/problem+json"
    return reply


def job(**members):
    """A Job of the API, as it runs unless said otherwise."""
    return {"id": JOB, "tool": "demo", "name": None, "owner": "v1:token:t", "state": "running",
            "created": "2026-11-26T16:50:00.000000Z", "started": "2026-11-26T16:50:01.000000Z", "ended": None, "attempt": 1,
            "verdict": None, "exit_code": None, "signal": None, "killed_by": None, "note": None, "progress": None, "usage": None,
            "log_bytes": 5, "expires": None, "links": {}, **members}


def finished(verdict="passed", **members):
    return job(state="finished", verdict=verdict, ended="2026-11-26T16:50:05.500000Z", **members)


def ranged(content, etag='"e1"', **more):
    """A reply that knows Range and If-Range, as nginx does."""
    def reply(request):
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wanted and request.headers.get("If-Range", etag) == etag:
            first = int(wanted.group(1))
            if first >= len(content):
                return Reply(b"", 416, {"Content-Range": f"bytes */{len(content)}"})
            return Reply(content[first:], 206, {"ETag": etag, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"},
                         **more)
        return Reply(content, 200, {"ETag": etag}, **more)
    return reply


class Command:
    """The command of a build, with a home of its own and nothing of the caller's environment."""

    def __init__(self, programs, home, server, token="sgt_test", **environment):
        self.program = os.path.join(programs, "bin/spoolgate")
        self.home = str(home)
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": self.home,
                            "SPOOLGATE_SERVER": server,
                            "SPOOLGATE_TOKEN": token, "ASAN_OPTIONS": "abort_on_error=1:disable_coredump=0", **environment}
        self.environment = {k: v for k, v in self.environment.items() if v is not None}

    def run(self, *args, status=0, stdin=b"", cwd=None, **environment):
        done = subprocess.run([self.program, *map(str, args)], input=stdin, capture_output=True, timeout=120, cwd=cwd or self.home,
                              env={k: v for k, v in {**self.environment, **environment}.items() if v is not None})
        assert done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr[-4000:])
        return done

    def out(self, *args, **more):
        return self.run(*args, **more).stdout.decode()

    def err(self, *args, **more):
        return self.run(*args, **more).stderr.decode()

    def json(self, *args, **more):
        return json.loads(self.run(*args, "--json", **more).stdout)

    def begin(self, *args, **more):
        # Whoever runs the tests in the background of a shell has interrupts ignored, and would hand that on.
        return subprocess.Popen([self.program, *map(str, args)], stdin=subprocess.DEVNULL, env=self.environment, cwd=self.home,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **more)

    def on_terminal(self, *args, seconds=60):
        """Runs it with stderr (and stdout) on a terminal; (exit status, everything that was shown)."""
        master, slave = pty.openpty()
        child = subprocess.Popen([self.program, *map(str, args)], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                 cwd=self.home, env={**self.environment, "TERM": "xterm"})
        os.close(slave)
        shown, deadline = b"", time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                ready, _, _ = select.select([master], [], [], 0.1)
                if ready:
                    try:
                        piece = os.read(master, 65536)
                    except OSError:	# nobody has the terminal any more
                        break
                    shown += piece
                elif child.poll() is not None:
                    break
            return child.wait(10), shown.decode(errors="replace")
        finally:
            os.close(master)
            if child.poll() is None:
                child.kill()
                child.wait()


def nobody_listens():
    """An address where a connection is refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{machine.Ports.free()}"
