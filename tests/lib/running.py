"""A whole stack for a test: the quickstart's own code (stack/), the programs of the build under test, a private folder."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

from stack import accounts, folder, procs, server
from stack.folder import StackError
from stack.services import SERVICES

from . import fastcgi, helper, leaks, machine, web


class Stack:
    """A stack below a folder of its own. Keywords:
    slots, conf ({section: {key: value}}), tools ({name: text}), environment, clock_offset (seconds), spool (a folder on some
    disk; made if it is not there), parts (which of helper, gate, nginx to start), listen and names (addresses of the TLS port
    besides loopback), connections (of one address)."""

    def __init__(self, path, programs, slots=2, conf=None, tools=None, environment=None, clock_offset=None, spool=None,
                 parts=server.PARTS, listen=(), connections=4096):
        environment = {"ASAN_OPTIONS": f"log_path={path}/log/sanitizer/asan:abort_on_error=1:disable_coredump=0",
                       "UBSAN_OPTIONS": f"log_path={path}/log/sanitizer/ubsan:print_stacktrace=1", **(environment or {})}
        if clock_offset is not None:
            environment["SPOOLGATE_CLOCK_OFFSET"] = str(clock_offset)
        own = {"helper": {"slots": str(slots)}, "spool": {"disk_reserve": "16M", "redo_bytes": "8M"}}
        for section, keys in (conf or {}).items():
            own.setdefault(section, {}).update(keys)
        self.path = folder.prepare(path)
        folder.make_parts(self.path)
        os.mkdir(os.path.join(self.path, "log/sanitizer"))
        os.chmod(os.path.join(self.path, "log/sanitizer"), 0o1777)
        if spool:
            os.makedirs(spool, exist_ok=True)
            folder.own_folder(spool, accounts.helper(), 0o711)
        self.settings = server.Settings(
            source=machine.ROOT, state=self.path, programs=programs, environment=environment, conf=own, tools=tools or {},
            listen=("127.0.0.1", *listen), names=tuple(a.strip("[]") for a in listen), spool=spool or "",
            connections=connections, cores=True)
        self.server = server.Server(self.settings)
        self.wanted = tuple(parts)
        self.spool = self.server.spool
        self.ca = self.server.ca
        self._sessions = []

    # Starting and stopping

    def begin(self):
        for last in (False, False, True):
            self.settings.port = machine.Ports.free()
            self.settings.plain = {s.name: machine.Ports.free() for s in SERVICES.values() if s.classic_port}
            self.server.prepare()
            try:
                for part in self.wanted:
                    if not self.server.alive(part):
                        self.server.start(part)
                return self
            except StackError as error:
                if last or "Address already in use" not in str(error):
                    raise
                self.server.stop("nginx")

    def start(self, part):
        self.server.sweep(part)
        self.server.start(part)

    def stop(self, part):
        self.server.stop(part)

    def restart(self, part):
        self.stop(part)
        self.start(part)

    def configure(self, section, **keys):
        """Changes settings in spoolgate.conf; for parts that are started after it."""
        self.settings.conf.setdefault(section, {}).update(keys)
        self.server.write_configuration()

    def end(self):
        """Stops everything, running jobs too, and looks for what must not be left."""
        for session in self._sessions:
            session.close()
        for part in reversed(server.PARTS):
            self.server.stop(part)
        for process in filter(None, map(procs.Process.of, self.pids("supervisor"))):
            process.stop((signal.SIGKILL, 10))
        try:
            leaks.check(self)
        finally:
            shutil.rmtree(self.server.in_memory("transient"), ignore_errors=True)

    def end_of_memory(self):
        """What a reboot does to folders in memory; the parts are stopped before."""
        for part in reversed(server.PARTS):
            self.server.stop(part)
        for process in filter(None, map(procs.Process.of, self.pids("supervisor"))):
            process.stop((signal.SIGKILL, 10))
        shutil.rmtree(self.server.in_memory("transient"), ignore_errors=True)

    # Looking at it

    def pids(self, role):
        """nginx, helper, keeper: at most one; worker: the gate's; supervisor: one a running job."""
        if role == "worker":
            return self.server.gate_workers()
        if role == "supervisor":
            return self.server.supervisors()
        process = self.server.parts["gate" if role == "keeper" else role]
        return [process.pid] if process and process.alive() else []

    def kill(self, role, sig=signal.SIGKILL, which=0):
        """Signals one process of a role and, with SIGKILL, waits for its end. False: there was none."""
        pids = self.pids(role)
        process = procs.Process.of(pids[which]) if which < len(pids) else None
        if not process or not process.send(sig):
            return False
        if sig == signal.SIGKILL and not process.wait(10):
            raise TimeoutError(f"{role} {process.pid} survived SIGKILL")
        return True

    def log(self, part):
        return self.server.tail(part, 100000)

    def job_folder(self, job):
        job = job.replace("-", "")
        return os.path.join(self.spool, "jobs", job[:2], job)

    def jobs(self):
        """The ids of all jobs in the spool."""
        jobs = os.path.join(self.spool, "jobs")
        return sorted(name for two in os.listdir(jobs) for name in os.listdir(os.path.join(jobs, two)))

    def record(self, job, name):
        """One of the job's JSON files; {} where it is not there."""
        return folder.read_json(os.path.join(self.job_folder(job), name))

    def wait_for_result(self, job, seconds=60):
        return machine.wait_for(lambda: self.record(job, "result.json"), seconds, f"job {job} ends")

    def doctor(self, *args):
        """`spoolgate doctor --spool`: (exit status, what it says)."""
        done = subprocess.run([self.server.program("bin/spoolgate"), "doctor", "--spool", self.spool, *args],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.server.environment())
        return done.returncode, done.stdout + done.stderr

    def token(self, name, *args):
        """A new token's text; args as `spoolgate token add` takes them."""
        done = self.command("token", "add", name, *args)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def command(self, *args, **more):
        """The finished administrative command, with this stack's configuration."""
        return subprocess.run([self.server.program("bin/spoolgate"), args[0], "--config", self.server.config_file, *args[1:]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.server.environment(), **more)

    # Talking to it

    @property
    def port(self):
        return self.settings.port

    def url(self, service=None, path="", way="prefix"):
        """A service's address below its prefix, as the root of a loopback port (way = "port"); without service the main host's."""
        if way == "port":
            return f"http://localhost:{self.settings.plain[service]}{path}"
        return f"https://localhost:{self.port}{SERVICES[service].prefix if service else ''}{path}"

    def session(self):
        session = web.session(self.ca)
        self._sessions.append(session)
        return session

    def raw(self, service=None):
        """A raw TLS connection to the main host, or one without TLS to the service's loopback port."""
        return web.Connection(self.settings.plain[service]) if service else web.Connection(self.port, self.ca)

    @property
    def gate_socket(self):
        return os.path.join(self.server.run, "gate.sock")

    def fastcgi(self, method, uri, body=b"", **params):
        """A request straight to the gate: (status, headers, body) or None."""
        return fastcgi.call(self.gate_socket, fastcgi.params_of(method, uri, body=body, **params), body)

    def helper(self, admin=False, **more):
        """A connection to the helper, as the gate or as the administrator."""
        root = accounts.Account("", os.getuid(), os.getgid(), tuple(os.getgroups()))
        return helper.Connection(os.path.join(self.server.run, "helper", "admin.sock" if admin else "gate.sock"),
                                 **{"account": root if admin else None, **more})


class Several(contextlib.ExitStack):
    """Stacks that end with the block, all of them, also where one fails its check."""

    def __init__(self, ground, programs):
        super().__init__()
        self.ground, self.programs, self.count = ground, programs, 0

    def make(self, **keywords):
        Several.number = getattr(Several, "number", 0) + 1
        stack = Stack(os.path.join(self.ground, f"s{Several.number}"), self.programs, **keywords)
        self.callback(stack.end)
        return stack.begin()


def tool(command, inputs=(), params=(), **keys):
    """The text of a tool file: command is a list; inputs and params are names (of optional ones); keys of [tool] and, as
    limit_wall="3s", of [limits]."""
    lines = ["[tool]", "command ="] + ["\t" + word for word in command]
    for key, value in keys.items():
        if not key.startswith("limit_"):
            value = "\n\t" + "\n\t".join(value) if isinstance(value, (list, tuple)) else value
            lines.append(f"{key.replace('_', '-')} = {value}")
    for name in inputs:
        lines += [f"[input {name}]", "required = no", "max = 16M"]
    for name in params:
        lines += [f"[parameter {name}]", "type = text", "required = no"]
    limits = [f"{key[6:].replace('_', '-')} = {value}" for key, value in keys.items() if key.startswith("limit_")]
    return "\n".join(lines + (["[limits]"] + limits if limits else [])) + "\n"


def pretty(obj):
    return json.dumps(obj, indent=1, sort_keys=True)
