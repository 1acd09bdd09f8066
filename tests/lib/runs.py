"""A witness of what tools really do: a socket outside the jail to which a test's tool reports each beginning and end of a run."""

import collections
import os
import socket
import tempfile
import threading

from . import running

SCRIPT = """
import socket, sys, time
number, seconds = open("number").read().split()
witness = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
witness.connect(%r)
witness.send(("begin " + number).encode())
time.sleep(float(seconds))
open("answer", "w").write(number)
print(number)
witness.send(("end " + number).encode())
"""


class Witness:
    """begun[number] and ended[number] count the runs of the job with that number in its input."""

    def __init__(self, folder):
        self.folder = tempfile.mkdtemp(prefix="witness-", dir=folder)
        os.chmod(self.folder, 0o755)
        self.path = os.path.join(self.folder, "s")
        self.script = os.path.join(self.folder, "tool.py")
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(SCRIPT % self.path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o666)
        self.begun, self.ended = collections.Counter(), collections.Counter()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            word, _, number = self.sock.recv(100).decode().partition(" ")
            if word == "stop":
                return
            {"begin": self.begun, "end": self.ended}[word][number] += 1

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"stop", self.path)
        self.thread.join()
        self.sock.close()

    def tool(self, twice, **keys):
        """The text of a tool file whose runs are witnessed; its input `number` is "<number> <seconds>"."""
        return running.tool(["/usr/bin/python3", "-S", "-E", self.script], inputs=["number"], twice="yes" if twice else "no",
                            folders=[self.folder], **{"limit_wall": "60s", **keys})
