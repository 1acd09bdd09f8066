"""Clients with addresses of their own: a network namespace joined to this host by a cable (veth). Sockets are opened in the
namespace and used from here."""

import contextlib
import ctypes
import itertools
import os
import socket
import subprocess

from . import machine

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(os.getpid() % 200)


def _call(function, *args):
    if function(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Network:
    """A host side with one address, and clients with as many as are asked for."""

    def __init__(self):
        machine.need_root()
        self.number = next(_numbers) % 250
        self.host, self.host6 = f"198.18.{self.number}.1", f"fd5b:{self.number:x}::1"
        self.device = f"sg{os.getpid() % 10000:04d}n{self.number}"
        try:
            self.fd = machine.in_thread(self._unshare)
        except PermissionError:
            machine.cannot("no network namespaces here")
        try:
            self._ip("link", "add", self.device, "type", "veth", "peer", "name", "client", "netns",
                     f"/proc/{os.getpid()}/fd/{self.fd}")
            self._ip("addr", "add", f"{self.host}/24", "dev", self.device)
            self._ip("addr", "add", f"{self.host6}/32", "dev", self.device, "nodad")
            self._ip("link", "set", self.device, "up")
            self.inside("ip", "link", "set", "lo", "up")
            self.inside("ip", "link", "set", "client", "up")
        except BaseException:
            os.close(self.fd)
            raise

    @staticmethod
    def _unshare():
        _call(_libc.unshare, CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def _ip(*args):
        subprocess.run(["ip", *args], check=True, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)	# the last reference: the cable goes with it
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["ip", "link", "del", self.device], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _there(self, function):
        def body():
            _call(_libc.setns, self.fd, CLONE_NEWNET)
            return function()
        return machine.in_thread(body)

    def inside(self, *args):
        """Runs a command in the clients' namespace."""
        return self._there(lambda: subprocess.run(args, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True))

    def add(self, address):
        """Gives the client side an address: 198.18.N.2 to .254, or one below fd5b:N::/32."""
        if ":" in address:
            self.inside("ip", "addr", "add", f"{address}/32", "dev", "client", "nodad")
        else:
            self.inside("ip", "addr", "add", f"{address}/24", "dev", "client")
        return address

    def client(self, number):
        """Adds and returns the client address with this last number (2 to 254)."""
        return self.add(f"198.18.{self.number}.{number}")

    def connect(self, source, port, timeout=30):
        """A TCP connection from that client address to the host side, as a socket to use from here."""
        six = ":" in source

        def body():
            sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
            try:
                sock.settimeout(timeout)
                sock.bind((source, 0))
                sock.connect((self.host6 if six else self.host, port))
                return sock
            except BaseException:
                sock.close()
                raise
        return self._there(body)
