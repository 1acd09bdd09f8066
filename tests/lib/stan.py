"""The Stan compile service for tests: a stack with the stand-in of its compiler, and a client."""

import hashlib
import os
import shutil

from . import machine

STAND_IN = os.path.join(machine.ROOT, "tests/standins/stan")
PASSCODE, RESTART_TOKEN = "1234", "rt"
ORIGIN = "https://stan-playground.flatironinstitute.org"
EVIL = "http://evil.example"


def compiler(folder):
    """A copy of the stand-in that the unprivileged accounts can enter; changes to it concern nobody else."""
    shutil.copytree(STAND_IN, folder)
    for path, _, files in os.walk(folder):
        os.chmod(path, 0o755)
        for name in files:
            os.chmod(os.path.join(path, name), os.stat(os.path.join(path, name)).st_mode | 0o444)
    return folder


def environment(folder, **more):
    """What makes the service: the stand-in's place, the secrets. None takes a variable out."""
    values = {"TINYSTAN": os.path.join(folder, "tinystan"), "PATH": f"{folder}/bin:/usr/bin:/bin", "SWS_PASSCODE": PASSCODE,
              "SWS_RESTART_TOKEN": RESTART_TOKEN, "SWS_COMPILATION_TIMEOUT": "30", **more}
    return {name: value for name, value in values.items() if value is not None}


def model_id(program, salt=b""):
    """By the contract's words, section 4."""
    text = program.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return hashlib.sha1(salt + text).hexdigest()


def program(*orders, name=""):
    """A program that has the stand-in do these things."""
    return "".join(f"// do: {order}\n" for order in orders).encode() + f"parameters {{ real x{name}; }}\n".encode()


class Client:
    def __init__(self, stack, origin=ORIGIN):
        self.stack, self.session = stack, stack.session()
        self.base = stack.url("stan", "")
        self.origin = origin

    def request(self, method, path, headers=None, **more):
        headers = {**({"Origin": self.origin} if self.origin else {}), **(headers or {})}
        return self.session.request(method, self.base + path, headers={k: v for k, v in headers.items() if v is not None},
                                    allow_redirects=False, timeout=120, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def compile(self, source, passcode=PASSCODE, headers=None):
        return self.request("POST", "/compile", data=source,
                            headers={"Content-Type": "text/plain", "Authorization": f"Bearer {passcode}", **(headers or {})})

    def ready(self):
        """Waits until the self-test has passed."""
        machine.wait_for(lambda: self.get("/status").json()["ready"], 60, "the compiler has been tried")
        return self

    # What lies on disk

    @property
    def cache(self):
        return os.path.join(self.stack.spool, "cache/stan")

    @property
    def scratch(self):
        return os.path.join(self.stack.spool, "scratch/stan")

    def entry(self, model):
        path = os.path.join(self.cache, model)
        return sorted(os.listdir(path)) if os.path.isdir(path) else None

    def entries(self):
        return {name for name in os.listdir(self.cache) if not name.startswith(".")}

    def runs(self):
        """The standard output of each compile so far, by job."""
        return {job: self.text(job, "stdout") for job in self.stack.jobs()}

    def text(self, job, name):
        with open(os.path.join(self.stack.job_folder(job), name), encoding="utf-8", errors="replace") as file:
            return file.read()
