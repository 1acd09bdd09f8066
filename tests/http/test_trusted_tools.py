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
