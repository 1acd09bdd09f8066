"""A client of the helper's sockets that can say what the gate never would: SOCK_SEQPACKET, one JSON object a packet, files as
descriptors."""

import array
import fcntl
import json
import os
import socket
import time

from stack import accounts

from . import machine

MESSAGE_MAX = 192 * 1024
F_ADD_SEALS, SEALS = 1033, 0x0001 | 0x0002 | 0x0004 | 0x0008	# F_SEAL_SEAL, _SHRINK, _GROW, _WRITE


def memory_file(data, seals=SEALS, name="input"):
    """A memory file with this content, sealed so that nobody can change it any more; seals 0: not sealed. The caller closes."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Connection:
    """account: as whom to connect; hello False: nothing is said yet."""

    def __init__(self, path, account=None, hello=True, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        machine.as_account(account or accounts.gate(), lambda: self.sock.connect(os.fspath(path)))
        self.number = 0
        self.greeting = self.ask({"op": "hello", "versions": [1], "program": "test"}) if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, message, fds=()):
        """A JSON object, or bytes as they are. False where the helper has closed already."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], ancillary)
            return True
        except ConnectionError:
            return False

    def receive(self):
        """The next object, or None where the helper has closed."""
        try:
            data = self.sock.recv(MESSAGE_MAX)
        except ConnectionError:
            return None
        return json.loads(data) if data else None

    def ask(self, message, fds=()):
        """A numbered request and its answer, events passed over; None where the helper closes instead."""
        self.number += 1
        self.send({"n": self.number, **message}, fds)
        while True:
            answer = self.receive()
            if answer is None or answer.get("n") == self.number:
                return answer

    def submit(self, tool, inputs=None, params=None, service="test", owner="test:user:one", seconds=10, **more):
        """A submission as it should be; inputs: {name: bytes}. Returns the answer: {"ok": true, "id": ...} or a refusal."""
        inputs = inputs or {}
        fds = [memory_file(data) for data in inputs.values()]
        deadline = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + int(seconds * 1e6)
        try:
            return self.ask({"op": "submit", "service": service, "tool": tool, "owner": owner, "deadline": deadline,
                             "params": params or {}, **more,
                             "inputs": [{"name": name, "size": len(data)} for name, data in inputs.items()]}, fds)
        finally:
            for fd in fds:
                os.close(fd)

    def kill(self, job, by="test"):
        return self.ask({"op": "kill", "id": job, "by": by})

    def queue(self):
        return self.ask({"op": "queue"})
