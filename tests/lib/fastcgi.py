"""A FastCGI client of our own, which can say what nginx never would; straight to the gate's socket."""

import contextlib
import os
import socket
import struct

from stack import accounts

from . import machine

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7
RESPONDER, KEEP = 1, 1


def record(kind, content=b"", request=1, version=1, length=None, padding=0):
    """One record; length: what its header claims, whatever the content is."""
    return struct.pack(">BBHHBB", version, kind, request, len(content) if length is None else length, padding, 0) + \
        content + bytes(padding)


def begin(role=RESPONDER, flags=0, **rest):
    return record(BEGIN, struct.pack(">HB5x", role, flags), **rest)


def pairs(params):
    """Name-value pairs; names and values may be text or bytes."""
    out = b""
    for name, value in params.items() if isinstance(params, dict) else params:
        name, value = (x.encode() if isinstance(x, str) else x for x in (name, value))
        for n in (len(name), len(value)):
            out += struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 0x80000000)
        out += name + value
    return out


def stream(kind, data, piece=32768):
    """A stream cut into records, with the empty one at its end."""
    return b"".join(record(kind, data[i:i + piece]) for i in range(0, len(data), piece)) + record(kind)


def params_of(method, uri, service="stableconfigs", prefix="", body=b"", **more):
    """What nginx/fastcgi.conf sends."""
    query = uri.partition("?")[2]
    params = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1",
              "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1", "SPOOLGATE_SERVICE": service, "SPOOLGATE_PREFIX": prefix,
              "SPOOLGATE_REQUEST_ID": "0" * 32}
    if body or method in ("POST", "PUT"):
        params.update(CONTENT_LENGTH=str(len(body)), CONTENT_TYPE="application/json", HTTP_CONTENT_TYPE="application/json")
    params.update(more)
    return {name: value for name, value in params.items() if value is not None}


class Connection:
    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        machine.as_account(accounts.nginx(), lambda: self.sock.connect(os.fspath(path)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *pieces):
        """False where the gate has closed already."""
        try:
            for piece in pieces:
                self.sock.sendall(piece)
            return True
        except ConnectionError:
            return False

    def half_close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def read(self):
        """All records until the gate closes: (stdout, stderr, whether END_REQUEST came)."""
        out, err, ended, raw = b"", b"", False, b""
        while True:
            try:
                piece = self.sock.recv(65536)
            except ConnectionError:
                piece = b""
            if not piece:
                return out, err, ended
            raw += piece
            while len(raw) >= 8:
                _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", raw[:8])
                if len(raw) < 8 + length + padding:
                    break
                content, raw = raw[8:8 + length], raw[8 + length + padding:]
                out += content if kind == STDOUT else b""
                err += content if kind == STDERR else b""
                ended = ended or kind == END


def call(path, params, body=b""):
    """One whole request: (status, headers, body), or None where the gate closed without an answer."""
    with Connection(path) as connection:
        connection.send(begin(), stream(PARAMS, pairs(params)), stream(STDIN, body))
        return parse(connection.read()[0])


def parse(out):
    if not out:
        return None
    head, _, body = out.partition(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in headers.items()}
    return int(headers.get("status", "200")[:3]), headers, body
