"""One stack: its configuration on disk and its three long-running parts, started, stopped and looked at one by one."""

import contextlib
import hashlib
import http.client
import os
import re
import resource
import secrets
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import accounts, folder, procs
from .folder import StackError
from .procs import Process
from .services import METRICS, SERVICES

PARTS = ("helper", "gate", "nginx")	# in the order of their start
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 20
BROTLI = "/usr/lib/nginx/modules/ngx_http_brotli_static_module.so"


@dataclass
class Settings:
    source: str	# the tree with templates and tool files
    state: str	# a prepared state folder
    programs: str	# prefix of an installation: sbin/spoolgated, libexec/spoolgate/...
    port: int = 8443
    listen: tuple = ("127.0.0.1", "[::1]")
    plain: dict = field(default_factory=dict)	# service: loopback port where it is the root, without TLS
    environment: dict = field(default_factory=dict)	# of helper and gate
    conf: dict = field(default_factory=dict)	# {section: {key: value}} over the template's
    tools: dict = field(default_factory=dict)	# further tool files, {name: text}
    spool: str = ""	# "" : state/spool
    connections: int = 512	# of one address or IPv6 /64, at nginx
    names: tuple = ()	# further names and addresses of the certificate
    cores: bool = False	# whether a crash leaves a core file (in a folder where the part may write)


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


class Server:
    """The stack of a state folder. What runs is recorded in state/stack.json, so that another process can go on with it.
    Nothing here locks: whoever changes something holds folder.Lock."""

    def __init__(self, settings):
        self.settings = settings
        self.state = settings.state
        self.record_file = os.path.join(self.state, "stack.json")
        record = folder.read_json(self.record_file)
        self.run = record.get("run", "")
        self.credentials = record.get("credentials", {})
        self.options = record.get("options", {})
        self.parts = {part: Process.from_json(record.get("processes", {}).get(part)) for part in PARTS}
        self.children = {}	# Popen objects of what this very process started

    # What is on disk

    @property
    def spool(self):
        return self.settings.spool or os.path.join(self.state, "spool")

    @property
    def config_file(self):
        return os.path.join(self.state, "etc/spoolgate.conf")

    @property
    def ca(self):
        return os.path.join(self.state, "tls/ca.pem")

    def log_file(self, part):
        return os.path.join(self.state, "log", part + ".log")

    def program(self, name):
        return os.path.join(self.settings.programs, name)

    def save(self):
        folder.write_json(self.record_file, {
            "run": self.run, "credentials": self.credentials, "options": self.options,
            "processes": {part: process.to_json() for part, process in self.parts.items() if process}})

    def values(self):
        """What the templates call @name@."""
        as_root = os.getuid() == 0
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        return {
            "spool": self.spool, "run": self.run, "log": os.path.join(self.state, "log"),
            "tools": os.path.join(self.state, "etc/tools"), "gate_state": os.path.join(self.state, "gate"),
            "bindir": self.program("bin"), "pkglibexecdir": self.program("libexec/spoolgate"),
            "gate_socket": os.path.join(self.run, "gate.sock"), "secrets": self.in_memory("secrets"),
            "transient": self.in_memory("transient"),
            "read_group": accounts.READ_GROUP if as_root else "", "gate_group": accounts.GATE_GROUP if as_root else "",
            "gate_user": accounts.GATE if as_root else "", "admin_user": "root" if as_root else "",
            "nginx": os.path.join(self.state, "etc/nginx"), "nginx_temp": os.path.join(self.state, "nginx"),
            "nginx_user": f"user {accounts.NGINX};" if as_root else "", "nginx_workers": 2,
            "nofile": 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384),
            "connections": self.settings.connections,
            "stan_cache": self.stan_setting("SWS_BUILT_MODEL_DIR", "cache") or os.path.join(self.spool, "cache/stan"),
            "nginx_modules": f"load_module {BROTLI};" if os.path.exists(BROTLI) else "",
            "brotli_static": "brotli_static on;" if os.path.exists(BROTLI) else "",
        }

    def stan_setting(self, variable, key):
        """A setting of the Stan service as its programs read it: the environment's name in any case, then the configuration's."""
        by_name = {name.upper(): value for name, value in self.settings.environment.items()}
        return by_name.get(variable) or self.settings.conf.get("stan", {}).get(key)

    def _stan_origins(self):
        origins = self.settings.conf.get("stan", {}).get("origins")
        if not origins:
            return Path(self.settings.source, "nginx/stan-origins.map").read_text(encoding="utf-8")
        return "".join(f'"{origin}" $http_origin;\n' for origin in origins.split())

    def in_memory(self, name):
        """A folder that must lie in memory, of secret parameters or of jobs; the helper makes it where a tool wants it."""
        return f"/dev/shm/spoolgate-{name}-{os.getuid()}-{hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]}"

    def _template(self, name, values):
        path = os.path.join(self.settings.source, name + ".in")
        return folder.fill(Path(path).read_text(encoding="utf-8"), values, path)

    def write_configuration(self):
        """Everything below state/etc, from the templates of the tree."""
        values = self.values()
        etc = os.path.join(self.state, "etc")
        for name in ("tools", "nginx"):
            folder.own_folder(os.path.join(etc, name), accounts.Account("", os.getuid(), os.getgid(), ()), 0o755)
        folder.write(self.config_file, folder.merge_ini(self._template("conf/spoolgate.conf", values), self.settings.conf))
        tools = {path.name[:-len(".tool.in")]: self._template(f"conf/tools/{path.name[:-3]}", values)
                 for path in Path(self.settings.source, "conf/tools").glob("*.tool.in")}
        tools.update(self.settings.tools)
        for path in Path(etc, "tools").iterdir():
            if path.name.removesuffix(".tool") not in tools:
                path.unlink()
        for name, text in tools.items():
            folder.write(os.path.join(etc, "tools", name + ".tool"), text)
        for name in ("http.conf", "server.conf", "fastcgi.conf", "stan-cache.conf"):
            folder.write(os.path.join(etc, "nginx", name), self._template("nginx/" + name, values))
        for service in (*SERVICES.values(), METRICS):
            for kind, prefix in (("prefix", service.prefix), ("root", ""))[:2 if service.classic_port else 1]:
                own = {**values, "service": service.name, "prefix": prefix, "body_max": service.body_max, "shape": service.shape}
                folder.write(os.path.join(etc, "nginx", f"{service.name}-{kind}.conf"),
                             "".join(self._template("nginx/" + name, own) for name in service.templates))
        folder.write(os.path.join(etc, "nginx/stan-origins.map"), self._stan_origins())
        values["servers"] = self._servers(values)
        folder.write(os.path.join(etc, "nginx/nginx.conf"), self._template("nginx/nginx.conf", values))

    def _servers(self, values):
        """The server blocks: the main host with every service below its prefix, a host name each, a loopback port each."""
        own, etc, out = self.settings, values["nginx"], []
        addresses = [a for a in own.listen if not a.startswith("[") or have_ipv6()]

        def block(listens, names, includes, tls):
            lines = [f"listen {address}{rest};" for address, rest in listens]
            lines += [f"server_name {names};", f"include {etc}/server.conf;"]
            if tls:
                lines += [f"ssl_certificate {self.state}/tls/server.pem;", f"ssl_certificate_key {self.state}/tls/server.key;",
                          "ssl_protocols TLSv1.2 TLSv1.3;", "ssl_session_cache shared:spoolgate:2m;", "ssl_session_tickets off;"]
            out.append("\tserver {\n" + "".join(f"\t\t{line}\n" for line in lines + includes) + "\t}\n")

        main = [(f"{a}:{own.port}", " ssl http2") for a in addresses]
        table = ",".join(f'"{s.name}":{{"prefix":"{s.prefix}"}}' for s in SERVICES.values())
        block([(a, rest + " default_server backlog=4096") for a, rest in main], "_", [
            *(f"include {etc}/{name}-prefix.conf;" for name in (*SERVICES, METRICS.name)),
            "location = / {", "\tdefault_type application/json;", f"\treturn 200 '{{\"services\":{{{table}}}}}\\n';", "}",
            "location / {", "\treturn 404;", "}"], True)
        for name in (s.name for s in SERVICES.values() if s.classic_port):
            block(main, f"{name}.localhost", [f"include {etc}/{name}-root.conf;"], True)
        for name, port in own.plain.items():
            loopback = ["127.0.0.1", "[::1]"] if have_ipv6() else ["127.0.0.1"]
            block([(f"{a}:{port}", "") for a in loopback], "_", [f"include {etc}/{name}-root.conf;"], False)
        return "".join(out)

    def prepare(self):
        """Makes accounts, folders, certificate and configuration. Nothing of it disturbs what runs."""
        accounts.ensure()
        folder.make_parts(self.state)
        self.run = folder.make_run(self.state, self.run)
        if not os.path.isdir(self.spool):
            folder.own_folder(self.spool, accounts.helper(), 0o711)
        folder.make_certificate(os.path.join(self.state, "tls"), (
            "localhost", *(f"{s.name}.localhost" for s in SERVICES.values() if s.classic_port), "127.0.0.1", "::1", *self.settings.names))
        self.write_configuration()
        self.save()

    def check(self):
        """All faults of the configuration at once, as the helper finds them; status 78."""
        done = subprocess.run([self.program("sbin/spoolgated"), "--config", self.config_file, "--check"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment(),
                              **accounts.helper().popen())
        if done.returncode != 0:
            faults = re.sub(r"^<\d>", "", done.stderr.strip(), flags=re.M)	# journald's priorities
            raise StackError(faults or "spoolgated --check failed", done.returncode)

    # What runs

    def environment(self):
        return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **self.settings.environment}

    def alive(self, part):
        return self.parts[part] is not None and self.parts[part].alive()

    def _spawn(self, part, argv, account, env):
        cwd = {"helper": os.path.join(self.run, "helper"), "gate": os.path.join(self.state, "gate")}.get(part, "/") \
            if self.settings.cores else "/"
        log = os.open(self.log_file(part), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=cwd,
                                     start_new_session=True, umask=0o027, **(account.popen() if account else {}))
        finally:
            os.close(log)
        self.children[part] = child
        self.parts[part] = Process.of(child.pid)
        self.save()
        return child

    def tail(self, part, lines=20):
        try:
            text = Path(self.log_file(part)).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _until(self, part, predicate, what):
        """Waits for a part to be ready; when it ends instead, its own words are the error."""
        child = self.children[part]

        def look():
            if child.poll() is not None:
                raise StackError(f"{part} ended with {child.returncode}\n{self.tail(part)}", 1)
            return predicate()
        try:
            return procs.wait_until(look, START_SECONDS, what)
        except TimeoutError as error:
            raise StackError(f"{error}\n{self.tail(part)}") from None

    def start(self, part):
        """Starts a part that does not run and waits until it is ready."""
        {"helper": self._start_helper, "gate": self._start_gate, "nginx": self._start_nginx}[part]()

    def _start_helper(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ready:
            path = os.path.join(self.run, f"notify-{secrets.token_hex(4)}")
            ready.bind(path)
            try:
                os.chmod(path, 0o666)
                self._spawn("helper", [self.program("sbin/spoolgated"), "--config", self.config_file], accounts.helper(),
                            {**self.environment(), "NOTIFY_SOCKET": path})
                self._until("helper", lambda: self._said_ready(ready), "the helper says that it is ready")
            finally:
                os.unlink(path)

    @staticmethod
    def _said_ready(sock):
        try:
            return b"READY=1" in sock.recv(4096).split(b"\n")
        except BlockingIOError:
            return False

    def _start_gate(self):
        path = os.path.join(self.run, "gate.sock")
        argv = ["spawn-fcgi", "-s", path, "-M", "0660", "-b", "4096", "-n"]
        if os.getuid() == 0:
            argv += ["-u", accounts.GATE, "-g", accounts.GATE, "-U", accounts.GATE, "-G", accounts.NGINX]
        argv += ["--", self.program("libexec/spoolgate/spoolgate.fcgi"), "--config", self.config_file]
        # spawn-fcgi becomes the keeper: the same process, so that its pid and start time are the keeper's.
        self._spawn("gate", argv, None, self.environment())
        self._until("gate", lambda: self.gate_workers(), "the gate has workers")

    def _start_nginx(self):
        argv = ["nginx", "-p", self.state, "-e", self.log_file("nginx"), "-c",
                os.path.join(self.state, "etc/nginx/nginx.conf")]
        env = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
        self._spawn("nginx", argv, None, env)
        self._until("nginx", lambda: self.get("/")[0] == 200, "nginx answers")

    def get(self, path):
        """(status, body) of a GET on the main host; (0, b"") where nobody answers."""
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection("localhost", self.settings.port, timeout=10, context=context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def gate_workers(self):
        return procs.children(self.parts["gate"].pid) if self.alive("gate") else []

    def supervisors(self):
        """Pids of the supervisors of this spool's jobs, whoever their parent is by now."""
        program, found = self.program("libexec/spoolgate/spoolgate-run"), {}
        spools = tuple(os.path.realpath(spool) + "/" for spool in (self.spool, self.in_memory("transient")))
        for pid in procs.all_pids():
            try:
                exe = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
                if exe == program and os.readlink(f"/proc/{pid}/fd/3").startswith(spools):
                    found[pid] = procs.parent(pid)
            except OSError:
                continue
        # A child that becomes bubblewrap in a moment looks like its supervisor.
        return [pid for pid, parent in found.items() if parent not in found]

    def stop(self, part):
        """Ends a part in its own gentle way, by force where it does not end."""
        process = self.parts[part]
        if process:
            first = {"nginx": ((signal.SIGQUIT, 3), (signal.SIGTERM, 5)), "gate": ((signal.SIGTERM, 10),),
                     "helper": ((signal.SIGTERM, 10),)}[part]
            process.stop(*first, (signal.SIGKILL, 5))
        if part == "helper":
            with contextlib.suppress(OSError):	# not there, or jobs that wait need it
                os.rmdir(self.in_memory("secrets"))
        self.sweep(part)
        self.parts[part] = None
        self.save()

    def up(self):
        """Starts what is missing."""
        for part in PARTS:
            if not self.alive(part):
                self.sweep(part)
                self.start(part)

    def sweep(self, part):
        """Ends what a part that was killed left behind: nginx's workers keep its ports, the gate's its socket."""
        find = {"gate": self._gate_processes, "nginx": self._nginx_processes}.get(part, list)

        def clean():
            left = find()
            for process in filter(None, map(Process.of, left)):
                process.stop((signal.SIGTERM, 3), (signal.SIGKILL, 5))
            return not left and not (part == "gate" and self._gate_listens())
        # Again where one was just being started by its parent and had no name yet.
        procs.wait_until(clean, 10, f"what is left of the {part} ends")
        child = self.children.pop(part, None)
        if child:
            child.wait(5)

    def _gate_listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1)
            try:
                sock.connect(os.path.join(self.run, "gate.sock"))
                return True
            except TimeoutError:
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False

    def _gate_processes(self):
        program, found = os.fsencode(self.program("libexec/spoolgate/spoolgate.fcgi")), []
        for pid in procs.all_pids():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == program and os.fsencode(self.config_file) in words:
                found.append(pid)
        return found

    def _nginx_processes(self):
        """Those that have our log open: nginx's workers have no argument vector of their own."""
        return [pid for pid in procs.all_pids() if procs.has_open(pid, "nginx", self.log_file("nginx"))]

    def down(self):
        """Stops nginx, gate and helper. Running jobs go on under their supervisors and are taken up by the next helper."""
        for part in reversed(PARTS):
            self.stop(part)

    def summary(self):
        """The JSON object of `quickstart up`."""
        own = self.settings
        return {
            "url": f"https://localhost:{own.port}", "ca": self.ca, "state": self.state,
            "pids": {"nginx": self.parts["nginx"].pid if self.alive("nginx") else None,
                     "helper": self.parts["helper"].pid if self.alive("helper") else None,
                     "gate": ([self.parts["gate"].pid] + self.gate_workers()) if self.alive("gate") else []},
            "services": {s.name: {"prefix": s.prefix, "port": own.plain.get(s.name),
                                  "host": f"{s.name}.localhost" if s.classic_port else None}
                         for s in SERVICES.values()},
            "credentials": self.credentials,
        }
