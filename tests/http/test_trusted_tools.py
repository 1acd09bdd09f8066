"""What a tool file says about trust, jail and limits: where no jail can be built untrusted tools are refused and trusted ones are bound by
what is left; jail = none holds what it starts by limits, log, kill and verdict alone; limits = strict wants exact ones."""

import json
import os
import signal

import pytest

from lib import machine, running, v1
from stack import procs

# bubblewrap itself, where the kernel refuses it a user namespace: one of its own in which there may be none.
BLOCKED = """#!/bin/sh
exec unshare --user --map-root-user /bin/sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec /usr/bin/bwrap "$@"' bwrap "$@"
"""
LOOK = r"""
import ctypes, json, os, socket
def tried(f):
    try:
        f(); return "worked"
    except OSError as e:
        return type(e).__name__
def inet():
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
def read(path):
    return lambda: os.close(os.open(path, os.O_RDONLY))
def write(path):
    return lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
status = open("/proc/self/status").read()
job = os.path.dirname(os.getcwd())
found = dict(inet=tried(inet), spool=tried(lambda: os.listdir(os.path.dirname(os.path.dirname(job)))), record=tried(read(job + "/job.json")), shadow=tried(read("/etc/hostname")),
             parent=tried(read(f"/proc/{os.getppid()}/environ")), other=tried(write(job + "/in/x")), tmp=tried(write("/tmp/sg-trusted")),
             own=tried(write("result.txt")), null=tried(write("/dev/null")), usr=tried(lambda: os.listdir("/usr")),
             setsid=tried(os.setsid), home=os.environ["HOME"] == os.getcwd(), temporary=os.environ.get("TMPDIR") == os.getcwd(),
             seccomp="Seccomp:\t2" in status, privileges="NoNewPrivs:\t1" in status, here=os.path.basename(os.getcwd()))
if found["other"] == "worked":
    os.unlink(job + "/in/x")
print(json.dumps(found))
"""


def tool(script=None, **keys):
    return running.tool(["/usr/bin/python3", "-s", "-c", script] if script else ["/usr/bin/python3", "-s", "{script.py}"],
                        inputs=[] if script else ["script.py"], **{"limit_wall": "60s", "limit_log": "1M", "limit_stdout": "1M", "stdout": "apart", **keys})


NONE = {"jail": "none", "trust": "trusted", "network": "yes"}
TOOLS = {
    "untrusted": tool(),
    "trusted": tool(trust="trusted", limit_memory="96M", limit_processes="20"),
    "connected": tool(trust="trusted", network="yes"),
    "bare": tool(limit_memory="96M", limit_processes="20", **NONE),
    "strict": tool(limits="strict"),
}


@pytest.fixture(scope="module")
def blocked(ground, programs):
    wrapper = os.path.join(ground, "bwrap-blocked")
    with open(wrapper, "w", encoding="ascii") as file:
        file.write(BLOCKED)
    os.chmod(wrapper, 0o755)
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf={**v1.OPEN, "helper": {"bwrap": wrapper}}, tools=TOOLS, slots=2))


@pytest.fixture(scope="module")
def client(ground, programs):
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools=TOOLS, slots=2))


def run(client, name, script):
    done = client.run(name, inputs={"script.py": script})
    return done, client.get(f"/jobs/{done['id']}/stdout").text


def test_untrusted_tools_are_refused_where_no_jail_can_be_built(blocked):
    done = blocked.run("untrusted", inputs={"script.py": "open('ran', 'w')"})
    result = blocked.stack.record(done["id"], "result.json")
    assert done["verdict"] == "refused" and done["started"] is None and done["exit_code"] is None
    assert "no jail can be built on this host" in result["message"] and "max_" in result["message"], result
    assert not os.path.exists(os.path.join(blocked.stack.job_folder(done["id"]), "work/ran"))
    assert "only tools with trust = trusted can run" in blocked.stack.log("helper")


def test_trusted_tools_run_there_with_what_is_left(blocked):
    done, out = run(blocked, "trusted", LOOK)
    assert done["verdict"] == "passed", out
    found = json.loads(out)
    assert found == {"inet": "OSError", "spool": "PermissionError", "record": "PermissionError", "shadow": "PermissionError",
                     "parent": "PermissionError", "other": "PermissionError", "tmp": "PermissionError", "own": "worked", "null": "worked",
                     "usr": "worked", "setsid": "PermissionError", "home": True, "temporary": True, "seccomp": True, "privileges": True,
                     "here": "work"}
    found = json.loads(run(blocked, "connected", LOOK)[1])
    assert found["inet"] == "worked" and found["spool"] == "PermissionError"
    assert blocked.stack.record(done["id"], "receipt.json")["jail"] == "none"


def test_in_a_jail_a_trusted_tool_is_jailed(client):
    done, out = run(client, "trusted", LOOK)
    assert done["verdict"] == "passed" and json.loads(out)["here"] == "job"


def test_without_a_jail_nothing_but_limits(client):
    done, out = run(client, "bare", LOOK)
    found = json.loads(out)
    assert found["inet"] == found["tmp"] == "worked" and not found["seccomp"] and found["home"] and found["here"] == "work", found
    assert not found["temporary"]


def left(stack, job):
    """Processes whose working directory is the job's."""
    def place(pid):
        try:
            return os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return ""
    return [pid for pid in procs.all_pids() if place(pid).startswith(stack.job_folder(job))]


@pytest.mark.parametrize("which", ["blocked", "client"])
def test_limits_hold_without_a_jail(request, which):
    client, name = request.getfixturevalue(which), "trusted" if which == "blocked" else "bare"
    done, _ = run(client, name, "import os, time\nif os.fork() == 0:\n    kept = bytearray(300 << 20)\ntime.sleep(50)")
    assert done["verdict"] == "out_of_memory"
    done, _ = run(client, name, "import os, time\nfor _ in range(100):\n    if os.fork() == 0:\n        time.sleep(50)\ntime.sleep(50)")
    assert done["verdict"] == "signalled" and client.stack.record(done["id"], "result.json")["message"] == "more processes than allowed"
    assert left(client.stack, done["id"]) == []


DAEMON = r"""
import os, time
if os.fork() == 0:
    try: os.setsid()
    except OSError: pass
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(1000)
"""


def daemon(client, name):
    """Starts one that leaves its parents; (job, its process)."""
    job = client.submit(name, inputs={"script.py": DAEMON})["id"]
    path = os.path.join(client.stack.job_folder(job), "stdout")
    pid = int(machine.wait_for(lambda: os.path.exists(path) and open(path, encoding="ascii").read().strip(), 30, "the daemon runs"))
    return job, procs.Process.of(pid)


@pytest.mark.parametrize("how", ["kill", "supervisor"])
@pytest.mark.parametrize("which", ["blocked", "client"])
def test_nothing_is_left_without_a_jail(request, which, how):
    client, name = request.getfixturevalue(which), "trusted" if which == "blocked" else "bare"
    job, process = daemon(client, name)
    if how == "kill":
        client.request("POST", f"/jobs/{job}/kill")
    else:
        os.kill(client.stack.record(job, "run.json")["pid"], signal.SIGKILL)
    done = client.wait(job)
    assert done["verdict"] == ("killed" if how == "kill" else "lost")
    assert process.wait(2), "the daemon lives on"


def test_strict_limits_want_exact_ones(client):
    done = client.run("strict", inputs={"script.py": "pass"})
    result = client.stack.record(done["id"], "result.json")
    if done["verdict"] == "passed":
        assert result["limits"] == "cgroup"
    else:
        assert done["verdict"] == "refused" and "limits = strict" in result["message"], result


# A container, as far as a tool is concerned: something that is there until somebody removes it, and that has the job's id.
CONTAINER = """
import os, sys, time
job = os.path.basename(os.path.dirname(os.getcwd()))
open(os.path.join(os.environ["CONTAINERS"], job), "w").close()
print("up", flush=True)
{rest}
"""
REMOVE = """#!/bin/sh
# Fails as often as the file `fail` has lines; notes each try.
echo "$1" >>"$CONTAINERS/tries"
echo $$ >>"$CONTAINERS/pids"
sleep 600 &
echo $! >>"$CONTAINERS/pids"
[ ! -e "$CONTAINERS/hold" ] || wait
if [ -s "$CONTAINERS/fail" ]; then sed -i 1d "$CONTAINERS/fail"; exit 3; fi
rm "$CONTAINERS/$1"
"""


class Containers:
    def __init__(self, several, path):
        self.path = os.path.join(path, "containers")
        os.mkdir(self.path)
        os.chmod(self.path, 0o777)
        with open(os.path.join(path, "remove"), "w", encoding="ascii") as file:
            file.write(REMOVE)
        os.chmod(os.path.join(path, "remove"), 0o755)
        keys = {**NONE, "after": [os.path.join(path, "remove"), "{id}"], "environment": [f"CONTAINERS={self.path}"]}
        self.client = v1.Client(several.make(conf=v1.OPEN, tools={"once": tool(**keys), "again": tool(twice="yes", **keys)}, slots=2))

    def submit(self, rest, name="once"):
        return self.client.submit(name, inputs={"script.py": CONTAINER.format(rest=rest)})["id"]

    def up(self, rest="time.sleep(1000)", name="once"):
        job = self.submit(rest, name)
        machine.wait_for(lambda: os.path.exists(os.path.join(self.path, job)), 30, "the container is there")
        return job

    def tries(self, job):
        try:
            with open(os.path.join(self.path, "tries"), encoding="ascii") as file:
                return file.read().split().count(job)
        except FileNotFoundError:
            return 0

    def fail(self, times):
        path = os.path.join(self.path, "fail")
        with open(path, "w", encoding="ascii") as file:
            file.write("x\n" * times)
        os.chmod(path, 0o666)

    def ended(self, job, verdict):
        done = self.client.wait(job)
        assert done["verdict"] == verdict, self.client.stack.record(job, "result.json")
        assert not os.path.exists(os.path.join(self.path, job)), "its container is there still"
        return done


@pytest.fixture(scope="module")
def containers(ground, programs):
    with running.Several(ground, programs) as several:
        path = os.path.join(ground, "after")
        os.mkdir(path)
        os.chmod(path, 0o755)
        yield Containers(several, path)


@pytest.mark.parametrize("rest, verdict", [("sys.exit(0)", "passed"), ("sys.exit(3)", "failed"), ("os.abort()", "signalled")])
def test_after_follows_every_end(containers, rest, verdict):
    job = containers.submit(rest)
    containers.ended(job, verdict)
    assert containers.tries(job) == 1


def test_after_follows_a_kill(containers):
    job = containers.up()
    containers.client.request("POST", f"/jobs/{job}/kill")
    assert containers.ended(job, "killed")["killed_by"] == "owner"


def test_there_is_no_verdict_until_after_has_worked(containers):
    containers.fail(2)
    job = containers.up()
    containers.client.request("POST", f"/jobs/{job}/kill")
    machine.wait_for(lambda: containers.tries(job) == 1, 30, "it is tried")
    assert v1.job(containers.client.get(f"/jobs/{job}"))["state"] == "killing"
    containers.ended(job, "killed")
    assert containers.tries(job) == 3
    assert "ended with 3; again in 1 s" in containers.client.stack.log("helper")


@pytest.mark.parametrize("name, verdict, times", [("once", "lost", 1), ("again", "passed", 2)])
def test_after_follows_a_supervisor_that_was_shot(containers, name, verdict, times):
    flag = os.path.join(containers.path, "second-" + name)
    job = containers.up(f"flag = {flag!r}\nif os.path.exists(flag): sys.exit(0)\nopen(flag, 'w').close(); time.sleep(1000)", name)
    machine.wait_for(lambda: os.path.exists(flag), 30, "it has begun")
    os.kill(containers.client.stack.record(job, "run.json")["pid"], signal.SIGKILL)
    containers.ended(job, verdict)
    assert containers.tries(job) == times


def test_after_goes_on_without_its_helper_and_without_its_supervisor(containers):
    stack = containers.client.stack
    containers.fail(2)
    job = containers.up("sys.exit(5)")
    machine.wait_for(lambda: containers.tries(job) == 1, 30, "it is tried")
    assert stack.kill("helper") and stack.kill("supervisor")
    stack.start("helper")
    assert containers.ended(job, "failed")["exit_code"] == 5
    assert containers.tries(job) == 3


def test_nothing_of_after_outlives_its_supervisor(containers):
    """Shot in the middle of a try: what that has started ends before there is another."""
    hold, pids = (os.path.join(containers.path, name) for name in ("hold", "pids"))
    for name in (hold, pids):	# of this test alone
        open(name, "w", encoding="ascii").close()
        os.chmod(name, 0o666)
    job = containers.up("sys.exit(5)")

    def two():
        with open(pids, encoding="ascii") as file:
            return len(file.read().split()) == 2
    machine.wait_for(two, 30, "it is tried")
    with open(pids, encoding="ascii") as file:
        first = [int(pid) for pid in file.read().split()]
    os.unlink(hold)
    os.kill(containers.client.stack.record(job, "run.json")["pid"], signal.SIGKILL)
    machine.wait_for(lambda: not any(procs.start_ticks(pid) for pid in first), 10, "what it has started ends")
    assert containers.ended(job, "failed")["exit_code"] == 5
    assert containers.tries(job) == 2
