"""`spoolgate doctor` tries every protection and every limit on this very host: what holds is told as on, what was left out as off, by
name, and with a tool that nobody vouches for that is a failure."""

import json
import os
import re
import subprocess
import time

import pytest

from lib import machine, running, v1
from stack import accounts, folder

TOOL = running.tool(["/bin/true"])
TRUSTED = running.tool(["/bin/true"], trust="trusted")
# Bubblewrap with other options: they come by descriptor 7, each ended by a NUL, and the filter by 6. CHANGE is code on `words`.
BWRAP = """#!/usr/bin/python3 -Ss
import os, sys
def replace(number, data):
    fd = os.memfd_create("changed")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    os.dup2(fd, number)
    os.close(fd)
words = os.read(7, 1 << 20).decode().split("\\0")[:-1]
def drop(*what):
    for at in range(len(words)):
        if tuple(words[at:at + len(what)]) == what:
            del words[at:at + len(what)]
            return
    raise SystemExit("there is no " + what[0])
def insert(*what):
    at = words.index("--remount-ro")
    words[at:at] = what
CHANGE
replace(7, b"".join(word.encode() + b"\\0" for word in words))
os.execv("/usr/bin/bwrap", sys.argv)
"""
SEPARATE = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")


def without(space):
    return f"drop('--unshare-all'); words[:0] = {[word for word in SEPARATE if word != space]!r}"


# What is left out, and what then is off; True: and nothing else is.
OPENED = {
    "the network": (without("--unshare-net"), {"namespace-net"}, False),
    "ipc": (without("--unshare-ipc"), {"namespace-ipc"}, True),
    "the cgroup namespace": (without("--unshare-cgroup"), {"namespace-cgroup"}, True),
    "the remount": ("drop('--remount-ro', '/')", {"read-only"}, True),
    "the host's name": ("words += ['--hostname', 'other']", {"host-name"}, True),
    "the job's folder": ("insert('--remount-ro', '/job')", {"job-folder"}, True),
    "a capability": ("words += ['--cap-add', 'CAP_NET_ADMIN']", {"no-capabilities"}, False),
    "user namespaces": ("drop('--disable-userns')", {"no-new-users"}, True),
    "a variable": ("words += ['--setenv', 'LEAK', 'secret']", {"environment"}, True),
    "a folder of the host": ("insert('--ro-bind', '/var', '/var')", {"host-files"}, True),
    "the spool": ("words += ['--ro-bind', 'SPOOL', 'SPOOL']", {"spool-hidden"}, False),
    "a device": ("insert('--dev-bind', '/dev/null', '/dev/kmsg')", {"few-devices"}, True),
    # One instruction: allow.
    "the filter": ("replace(6, bytes.fromhex('060000000000ff7f'))",
                   {"call-keyctl", "call-memfd_create", "call-io_uring_setup", "call-clone3", "call-shmget", "call-setsid", "call-setns",
                    "socket-netlink"},
                   False),
}


class Host:
    """A configuration without anything that runs."""

    def __init__(self, path, programs, tools, **helper):
        self.path, self.programs = str(path), programs
        os.chmod(self.path, 0o711)
        self.spool = os.path.join(self.path, "spool")
        folder.own_folder(self.spool, accounts.helper(), 0o711)
        folder.own_folder(os.path.join(self.path, "tmp"), accounts.helper(), 0o700)
        os.mkdir(os.path.join(self.path, "tools"))
        for name, text in tools.items():
            folder.write(os.path.join(self.path, "tools", name + ".tool"), text)
        libexec = os.path.join(programs, "libexec/spoolgate")
        keys = {"tools": os.path.join(self.path, "tools"), "run_program": f"{libexec}/spoolgate-run",
                "init_program": f"{libexec}/spoolgate-init", **helper}
        self.config = os.path.join(self.path, "spoolgate.conf")
        folder.write(self.config, f"[spool]\npath = {self.spool}\n[helper]\n"
                     + "".join(f"{k} = {v}\n" for k, v in keys.items()))

    def program(self, name, text):
        """One that the helper's account may execute."""
        path = os.path.join(self.path, name)
        folder.write(path, text)
        os.chmod(path, 0o755)
        return path

    def argv(self, *args):
        return [os.path.join(self.programs, "bin/spoolgate"), "doctor", "--config", self.config, *args]

    def environment(self):
        return {**os.environ, "TMPDIR": os.path.join(self.path, "tmp")}

    def left_behind(self):
        return os.listdir(os.path.join(self.path, "tmp"))

    def doctor(self, *args):
        done = subprocess.run(self.argv(*args), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment())
        assert not self.left_behind()
        return done

    def json(self, status):
        done = self.doctor("--json")
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture
def make_host(ground, programs):
    count = [0]

    def make(tools, **helper):
        path = os.path.join(ground, f"host-{os.getpid()}-{time.monotonic_ns()}-{count[0]}")
        count[0] += 1
        os.mkdir(path)
        return Host(path, programs, tools, **helper)
    return make


def off(document):
    return {one["name"] for one in document["protections"] if not one["held"]}


def limits_off(document):
    return {one["name"] for one in document["limits"] if one["required"] and not one["held"]}


def blocked(argv):
    """Runs it where no further user namespace may be made: in one of its own, with this account's or all ids."""
    # Capabilities come with an exec as root, which it is once its ids are mapped.
    script = """read -r word && exec /bin/sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$@" """
    with subprocess.Popen(["/usr/bin/unshare", "--user", "/bin/sh", "-c", script, "sh", *argv], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        own = os.readlink("/proc/self/ns/user")
        machine.wait_for(lambda: os.readlink(f"/proc/{child.pid}/ns/user") != own, 30, "it has its own namespace")
        everybody = os.getuid() == 0
        for name, number in (("uid", os.getuid()), ("gid", os.getgid())):
            if not everybody:
                with open(f"/proc/{child.pid}/setgroups", "w", encoding="ascii") as file:
                    file.write("deny")
            with open(f"/proc/{child.pid}/{name}_map", "w", encoding="ascii") as file:
                file.write("0 0 65536" if everybody else f"0 {number} 1")
        out, err = child.communicate("go\n", timeout=120)
    return child.returncode, out, err


def test_all_of_it_holds_beside_a_running_helper(make_stack):
    stack = make_stack(conf=v1.OPEN, tools={"sleeper": v1.shell("echo up; exec sleep 1000"), "plain": TOOL}, slots=2)
    client = v1.Client(stack)
    job = client.submit("sleeper")["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")
    before = stack.jobs()

    done = stack.command("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["protected"] and document["jail"] == {"held": True, "how": "bubblewrap builds it", "hints": []}
    if document["host"]["landlock_abi"] == 0:
        assert off(document) == {"landlock"}
    else:
        assert off(document) == set()
    assert len(document["protections"]) > 45 and all(one["how"] and one["means"] for one in document["protections"])
    assert limits_off(document) == set()
    names = {one["name"]: one["by"] for one in document["limits"]}
    exact = "cgroup" if document["host"]["cgroup"] else "approximate"
    assert names["memory"] == names["memory-shared"] == names["cpu"] == exact
    assert names["file"] == names["open-files"] == "kernel" and names["wall"] == names["output"] == names["log"] == "supervisor"
    assert document["host"]["helper"] == stack.pids("helper")[0]
    assert document["host"]["uid"] == os.stat(stack.spool).st_uid
    tools = {tool["name"]: tool for tool in document["tools"]}
    assert tools["plain"] == {"name": "plain", "trust": "untrusted", "protected": True, "note": ""}

    table = stack.command("doctor")
    assert table.returncode == 0, table.stderr
    setting = "/proc/sys/kernel/sched_autogroup_enabled"
    shared_out = os.path.exists(setting) and open(setting, encoding="ascii").read() == "1\n"
    assert [one["held"] for one in document["limits"] if one["name"] == "cpu-share"] == [exact == "cgroup" or shared_out]
    for one in document["protections"] + document["limits"]:
        assert re.search(rf"^{one['name']} +{'on' if one['held'] else 'off'} ", table.stdout, re.M), (one, table.stdout)
    assert re.search(r"^plain +untrusted +yes", table.stdout, re.M)
    assert "Every protection and every limit that an untrusted tool needs holds on this host." in table.stdout
    assert ("approximate" in table.stdout) == (exact == "approximate")

    # The spool and the job that runs have not noticed.
    assert stack.jobs() == before and v1.job(client.get(f"/jobs/{job}"))["state"] == "running"
    client.request("POST", f"/jobs/{job}/kill")
    client.wait(job)


def test_where_no_jail_can_be_built_it_says_how_to_allow_it(make_host):
    host = make_host({"plain": TOOL, "other": TOOL, "sure": TRUSTED})
    status, out, err = blocked(host.argv())
    assert status == 1, out + err
    assert re.search(r"^jail +off +refused: .*max_", out, re.M), out
    assert "sysctl -w user.max_user_namespaces=" in out and "user namespaces: no" in out
    for name in ("plain", "other"):
        assert f"{name} is not trusted and would not be protected." in out
        assert re.search(rf"^{name} +untrusted +no +refused: there is no jail", out, re.M)
    assert "sure is not trusted" not in out and re.search(r"^sure +trusted +no +it runs without a jail", out, re.M)
    status, out, _ = blocked(host.argv("--json"))
    document = json.loads(out)
    assert status == 1 and not document["protected"] and not document["jail"]["held"] and document["jail"]["hints"]
    assert document["protections"] == document["limits"] == []


def test_trusted_tools_alone_need_no_jail(make_host):
    status, out, err = blocked(make_host({"sure": TRUSTED}).argv())
    assert status == 0, out + err
    assert "there are only trusted ones" in out and "sysctl -w user.max_user_namespaces=" in out
    # Of the first tool to come nobody has said anything yet.
    status, out, err = blocked(make_host({}).argv())
    assert status == 1, out + err


def test_a_missing_bubblewrap_is_named(make_host):
    host = make_host({"plain": TOOL}, bwrap="/nonexistent/bwrap")
    document = host.json(1)
    assert not document["jail"]["held"] and any("/nonexistent/bwrap" in hint for hint in document["jail"]["hints"]), document


@pytest.mark.parametrize("what", OPENED)
def test_what_is_left_out_is_off(make_host, what):
    change, wanted, alone = OPENED[what]
    host = make_host({"plain": TOOL}, bwrap="/usr/bin/bwrap")
    wrapper = host.program("bwrap", BWRAP.replace("CHANGE", change.replace("SPOOL", host.spool)))
    folder.write(host.config, open(host.config, encoding="utf-8").read().replace("bwrap = /usr/bin/bwrap", f"bwrap = {wrapper}"))
    document = host.json(1)
    found = off(document)
    assert document["jail"]["held"] and not document["protected"]
    assert found - {"landlock"} == wanted if alone else wanted <= found, found
    done = host.doctor()
    assert done.returncode == 1
    for name in wanted:
        assert re.search(rf"^{name} +off ", done.stdout, re.M) and f"off: {name}: " in done.stdout, done.stdout
    assert "plain is not trusted and would not be protected." in done.stdout


def test_a_limit_that_does_not_hold_is_off(make_host, programs):
    host = make_host({"plain": TOOL}, run_program="RUN")
    real = os.path.join(programs, "libexec/spoolgate/spoolgate-run")
    # The plan comes by descriptor 6.
    wrapper = host.program("run", f"""#!/usr/bin/python3 -Ss
import json, os
plan = json.loads(os.read(6, 1 << 20))
limits = plan["limits"]
if limits["open_files"] == 32: limits["open_files"] = 200
if limits["log_bytes"]: limits["log_bytes"] = 1 << 20
if limits["memory_bytes"] == 32 << 20: limits["memory_bytes"] = 512 << 20; limits["wall_usec"] = 1000000
fd = os.memfd_create("plan")
os.write(fd, json.dumps(plan).encode())
os.dup2(fd, 6)
os.close(fd)
os.execve({real!r}, [{real!r}], dict(os.environ))
""")
    folder.write(host.config, open(host.config, encoding="utf-8").read().replace("= RUN", f"= {wrapper}"))
    document = host.json(1)
    assert limits_off(document) == {"open-files", "log", "memory", "memory-shared"}, document["limits"]
    assert off(document) <= {"landlock"} and not document["protected"]
    done = host.doctor()
    assert done.returncode == 1 and re.search(r"^open-files +off ", done.stdout, re.M) and "off: memory: " in done.stdout, done.stdout


def test_root_has_the_same_walls(make_host):
    machine.need_root()
    host = make_host({"plain": TOOL})
    os.chown(host.spool, 0, 0)
    os.chown(os.path.join(host.path, "tmp"), 0, 0)
    document = host.json(0)
    assert document["host"]["uid"] == 0 and document["protected"], document
    # The kernel does not count root's processes.
    assert {one["name"]: one["by"] for one in document["limits"]}["processes"] != "kernel"


def test_an_interrupted_one_leaves_nothing(make_host):
    host = make_host({"plain": TOOL})
    probe = [os.path.join(host.programs, "sbin/spoolgated"), "--config", host.config, "--probe"]
    with subprocess.Popen(probe, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=host.environment()) as child:
        machine.wait_for(host.left_behind, 30, "it has its folder")
        child.terminate()
        out, _ = child.communicate(timeout=60)
    assert child.returncode != 0 and not out and not host.left_behind()


def test_what_cannot_be_found_out_is_no_verdict(make_host):
    host = make_host({"broken": "[tool]\n"})
    done = host.doctor()
    assert done.returncode == 2 and "broken.tool" in done.stderr and not done.stdout, (done.stdout, done.stderr)
    host = make_host({"plain": TOOL}, init_program="/nonexistent/spoolgate-init")
    done = host.doctor()
    assert done.returncode == 2 and "/nonexistent/spoolgate-probe" in done.stderr, done.stderr
    for args in (("--running",), ("--spool", "/tmp", "--json"), ("more",)):
        assert host.doctor(*args).returncode == 2
