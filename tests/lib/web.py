"""HTTP, politely with requests and rudely with raw sockets."""

import http.client
import io
import socket
import ssl

import requests


def session(ca):
    """A requests session that trusts this CA and nothing of the environment."""
    own = requests.Session()
    own.trust_env = False
    own.verify = ca
    return own


class _Reader(io.BufferedReader):
    """What a connection's answers are read from, one after the other: HTTPResponse closes its file, but not this one."""

    def makefile(self, _mode):
        return self

    def close(self):
        pass


class Answer:
    """One HTTP/1.1 answer read from a connection."""

    def __init__(self, sock, method="GET"):
        answer = http.client.HTTPResponse(sock, method=method)
        answer.begin()
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Connection:
    """A raw connection to a stack's TLS port, or to a port without TLS; sock: a connected one to use instead."""

    def __init__(self, port, ca=None, sock=None, timeout=30, host="localhost"):
        self.sock = sock or socket.create_connection(("127.0.0.1", port), timeout)
        if ca:
            context = ssl.create_default_context(cafile=ca)
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self._file = self.sock.makefile("rb", buffering=0)
        self.reader = _Reader(self._file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self.sock.close()

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece if isinstance(piece, bytes) else piece.encode())

    def answer(self, method="GET"):
        return Answer(self.reader, method)

    def rest(self):
        """Every byte until the other side closes."""
        pieces = []
        while piece := self.sock.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)

    def end_of_sending(self):
        """No more bytes from us; without TLS the other side still may answer."""
        self.sock.shutdown(socket.SHUT_WR)

    def closed(self):
        """Waits for the other side to close, and tells whether it did so without a word."""
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True


def parse(raw):
    """An answer in bytes, as Answer."""
    class Bytes:
        def makefile(self, _mode):
            return io.BytesIO(raw)
    return Answer(Bytes())
