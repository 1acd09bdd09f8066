"""The table of src/run/verdict.h, each row by a job that does it: what is said must be what happened, in result.json and in /v1."""

import os
import signal

import pytest

from lib import machine, running, v1
from stack import procs

HEAD = "import os, signal, sys, time\nM = 1 << 20\n"
LIMITS = {"limit_wall": "60s", "limit_log": "64K", "limit_memory": "128M", "limit_processes": "40", "limit_output": "8M", "limit_output_files": "100",
          "limit_file": "4M"}


def tool(**keys):
    return running.tool(["/usr/bin/python3", "-s", "{script.py}"], inputs=["script.py"], **{**LIMITS, **keys})


TOOLS = {
    "plain": tool(), "short": tool(limit_wall="500ms"), "hasty": tool(limit_cpu="1s"), "both": tool(limit_cpu="1s", limit_wall="1s"),
    "apart": tool(stdout="apart", limit_stdout="64K"), "graceful": tool(kill_grace="10s"), "curt": tool(kill_grace="200ms"),
    "short-graceful": tool(limit_wall="500ms", kill_grace="10s"), "again": tool(twice="yes"),
}


@pytest.fixture(scope="module")
def client(ground, programs):
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(tools=TOOLS, conf=v1.OPEN, slots=2))


def submit(client, name, script):
    return client.submit(name, inputs={"script.py": HEAD + script})["id"]


def ended(client, job, started=True):
    """(Job, result.json) once it has ended; what must hold of every verdict."""
    done = client.wait(job)
    result = client.stack.record(job, "result.json")
    assert done["verdict"] == result["verdict"]
    assert done["exit_code"] == (result["exit_code"] if result["exit_code"] >= 0 else None)
    assert done["signal"] == (signal.Signals(result["signal"]).name if result["signal"] else None)
    assert done["killed_by"] == (result["by"] or None)
    assert (done["note"] or "") == result["message"]
    assert done["log_bytes"] == result["log_bytes"] == os.path.getsize(os.path.join(client.stack.job_folder(job), "log")) if started else True
    if started:
        assert 0 < result["started_usec"] <= result["ended_usec"] and done["created"] <= done["started"] <= done["ended"]
        assert abs(result["ended_usec"] - result["started_usec"] - result["wall_usec"]) < 1_000_000
        assert result["cpu_usec"] > 0 and result["peak_memory_bytes"] > 1 << 20 and result["attempt"] == 1
        assert done["usage"] == {"wall_seconds": result["wall_usec"] / 1e6, "cpu_seconds": result["cpu_usec"] / 1e6,
                                 "memory_bytes": result["peak_memory_bytes"]}
        files = client.get(f"/jobs/{job}/files").json()["files"]
        assert result["output_bytes"] == sum(f["bytes"] for f in files) and result["output_files"] == len(files)
        assert result["limits"] in ("cgroup", "approximate")
    else:
        assert done["started"] is None and done["usage"] is None and result["started_usec"] == result["wall_usec"] == 0
    return done, result


TREE = """
for _ in range(3):
    if os.fork() == 0:
        while True: pass
"""
CASES = {
    # name: (tool, script, verdict, exit code, signal, message)
    "exit code 0": ("plain", "print('x')", "passed", 0, 0, ""),
    "exit code 3": ("plain", "sys.exit(3)", "failed", 3, 0, ""),
    "exit code 255": ("plain", "os._exit(255)", "failed", 255, 0, ""),
    "exit code 137, which a shell would take for a signal": ("plain", "os._exit(137)", "failed", 137, 0, ""),
    "SIGSEGV": ("plain", "os.kill(os.getpid(), signal.SIGSEGV)", "signalled", -1, 11, ""),
    "SIGABRT": ("plain", "os.abort()", "signalled", -1, 6, ""),
    "SIGKILL by itself": ("plain", "os.kill(os.getpid(), 9)", "signalled", -1, 9, ""),
    "SIGTERM by itself": ("plain", "os.kill(os.getpid(), 15)", "signalled", -1, 15, ""),
    "a child's signal is its parent's matter": ("plain", "pid = os.fork()\nif pid == 0: os.abort()\nos.wait(); os._exit(0)", "passed", 0, 0, ""),
    "wall time": ("short", "time.sleep(1000)", "timeout", -1, 9, "wall time limit"),
    "wall time of one that exits well in its grace": (
        "short-graceful", "signal.signal(15, lambda *_: os._exit(0))\nwhile True: time.sleep(1)", "timeout", 0, 0, "wall time limit"),
    "CPU time": ("hasty", "while True: pass", "timeout", -1, None, "CPU time limit"),
    "CPU time of children": ("hasty", TREE + "time.sleep(1000)", "timeout", -1, 9, "CPU time limit"),
    "CPU time of children whose parent is done in time": (
        "hasty", TREE.replace("while True: pass", "until = time.process_time() + 0.45\n        while time.process_time() < until: pass\n        os._exit(0)") +
        "for _ in range(3): os.wait()\nos._exit(0)", "timeout", None, None, "CPU time limit"),
    "memory": ("plain", "kept = bytearray(500 * M); time.sleep(50)", "out_of_memory", -1, 9, "memory limit"),
    "memory of a child whose parent exits with 0": (
        "plain", "pid = os.fork()\nif pid == 0:\n    kept = bytearray(500 * M); time.sleep(50)\nos.wait()\nos._exit(0)", "out_of_memory", None, None,
        "memory limit"),
    "a file that is too large": ("plain", "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nopen('f', 'wb').write(bytes(5 * M))", "output_limit", -1, 25,
                                 "file size limit"),
    "standard output": ("apart", "while True: os.write(1, bytes(4096))", "output_limit", -1, 9, "more on standard output than allowed"),
    "standard output of one that exits well": ("apart", "os.write(1, bytes(65537)); os._exit(0)", "output_limit", None, None,
                                               "more on standard output than allowed"),
    "files at its end": ("plain", "for i in range(150): open(f'f{i}', 'w')", "output_limit", 0, 0, "outputs over the limit were removed"),
    "bytes at its end": ("plain", "for i in range(3): open(f'f{i}', 'wb').write(bytes(4 * M - 1))", "output_limit", 0, 0,
                         "outputs over the limit were removed"),
    "files while it runs": ("plain", "for i in range(150): open(f'f{i}', 'w')\ntime.sleep(50)", "output_limit", -1, 9,
                            "more files in its folder than allowed; outputs over the limit were removed"),
    "a failure that leaves too much has failed": ("plain", "for i in range(150): open(f'f{i}', 'w')\nos._exit(4)", "failed", 4, 0,
                                                  "outputs over the limit were removed"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_tool_does_is_what_is_said(client, case):
    name, script, verdict, code, sig, message = CASES[case]
    done, result = ended(client, submit(client, name, script))
    assert (done["verdict"], result["message"]) == (verdict, message), result
    assert code is None or result["exit_code"] == code
    assert sig is None or result["signal"] == sig
    assert result["by"] == ""


def test_wall_and_cpu_time_at_once(client):
    _, result = ended(client, submit(client, "both", "while True: pass"))
    assert result["verdict"] == "timeout" and result["message"] in ("wall time limit", "CPU time limit"), result


def up(client, name, script):
    job = submit(client, name, script.replace("UP", "print('up', flush=True)"))
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it is up")
    return job


KILLED = {
    "at once": ("plain", "UP\ntime.sleep(1000)", -1, 9),
    "after its grace": ("curt", "signal.signal(15, signal.SIG_IGN)\nUP\ntime.sleep(1000)", -1, 9),
    "by the SIGTERM of its grace": ("graceful", "UP\ntime.sleep(1000)", -1, 15),
    "exiting well in its grace": ("graceful", "signal.signal(15, lambda *_: os._exit(0))\nUP\nwhile True: time.sleep(1)", 0, 0),
    "exiting badly in its grace": ("graceful", "signal.signal(15, lambda *_: os._exit(7))\nUP\nwhile True: time.sleep(1)", 7, 0),
}


@pytest.mark.parametrize("case", KILLED)
def test_killed(client, case):
    name, script, code, sig = KILLED[case]
    job = up(client, name, script)
    assert client.request("POST", f"/jobs/{job}/kill").status_code == 202
    done, result = ended(client, job)
    assert (done["verdict"], result["exit_code"], result["signal"]) == ("killed", code, sig), result
    assert result["by"] == "owner"


def test_killed_by_an_administrator(client):
    job = up(client, "plain", "UP\ntime.sleep(1000)")
    with client.stack.helper(admin=True) as admin:
        assert admin.kill(job, by="admin")["ok"]
    _, result = ended(client, job)
    assert (result["verdict"], result["by"]) == ("killed", "admin")


def test_killed_before_it_began(client):
    blockers = [up(client, "plain", "UP\ntime.sleep(1000)") for _ in range(2)]
    job = submit(client, "plain", "print('never')")
    client.request("POST", f"/jobs/{job}/kill")
    done, result = ended(client, job, started=False)
    assert (done["verdict"], result["by"], result["attempt"]) == ("killed", "owner", 0)
    for blocker in blockers:
        client.request("POST", f"/jobs/{blocker}/kill")
        ended(client, blocker)


def test_a_kill_while_its_outputs_are_listed_changes_nothing(client):
    # The tool has ended by itself when its supervisor says so in ended.json; the walk hashes what it left.
    for _ in range(50):
        job = submit(client, "again", "for i in range(99): open(f'f{i}', 'wb').write(os.urandom(80000))\nos._exit(5)")
        folder = client.stack.job_folder(job)
        machine.wait_for(lambda at=folder: {"ended.json", "result.json"} & set(os.listdir(at)), 30, "it has ended", pause=0)
        client.request("POST", f"/jobs/{job}/kill")
        meanwhile = "result.json" not in os.listdir(folder)
        _, result = ended(client, job)
        assert (result["verdict"], result["exit_code"], result["by"]) == ("failed", 5, "")
        if meanwhile:
            return
    raise AssertionError("no kill came while outputs were listed")


def test_lost_with_its_supervisor(client):
    job = up(client, "plain", "UP\ntime.sleep(1000)")
    run = client.stack.record(job, "run.json")
    os.kill(run["pid"], signal.SIGKILL)
    done = client.wait(job)
    result = client.stack.record(job, "result.json")
    assert (result["verdict"], result["message"]) == ("lost", "the supervisor ended without a verdict")
    assert done["exit_code"] is None and result["by"] == ""
    process = procs.Process.of(run["init_pid"])
    assert process is None or process.wait(2)


def test_lost_with_its_jails_init(client):
    job = up(client, "plain", "UP\ntime.sleep(1000)")
    os.kill(client.stack.record(job, "run.json")["init_pid"], signal.SIGKILL)
    result = client.stack.record(client.wait(job)["id"], "result.json")
    assert (result["verdict"], result["message"]) == ("lost", "the jail ended without telling how its tool did")


# What is put in bubblewrap's place.
BROKEN = {
    "it is not there": None,
    "it fails": "#!/bin/sh\necho 'bwrap: cannot do that' >&2\nexit 1\n",
    "it fails with the exit code of a tool": "#!/bin/sh\nexit 0\n",
    "it is shot": "#!/bin/sh\nkill -9 $$\n",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_jail_that_fails_is_no_word_about_the_tool(make_stack, how):
    stack = make_stack(tools=TOOLS, conf={**v1.OPEN, "helper": {"bwrap": "/usr/bin/bwrap"}}, parts=("helper", "gate", "nginx"), slots=1)
    client = v1.Client(stack)
    assert ended(client, submit(client, "plain", "pass"))[0]["verdict"] == "passed"
    wrapper = os.path.join(stack.path, "bwrap")
    if BROKEN[how]:
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(BROKEN[how])
        os.chmod(wrapper, 0o755)
    stack.configure("helper", bwrap=wrapper)
    stack.restart("helper")
    done, result = ended(client, submit(client, "plain", "open('ran', 'w')"), started=False)
    assert (done["verdict"], result["exit_code"], result["signal"], result["by"]) == ("refused", -1, 0, ""), result
    assert result["message"] and "program" not in result["message"], result
    assert not os.path.exists(os.path.join(stack.job_folder(done["id"]), "work/ran"))


def test_a_jail_that_fails_at_the_start_of_the_one_job(make_stack):
    """When the helper looked, jails could be built."""
    stack = make_stack(tools=TOOLS, conf={**v1.OPEN, "helper": {"bwrap": os.path.join("/tmp", f"sg-bwrap-{os.getpid()}")}}, slots=1, parts=())
    wrapper = stack.settings.conf["helper"]["bwrap"]
    os.symlink("/usr/bin/bwrap", wrapper)
    try:
        for part in ("helper", "gate", "nginx"):
            stack.start(part)
        client = v1.Client(stack)
        assert ended(client, submit(client, "plain", "pass"))[0]["verdict"] == "passed"
        os.unlink(wrapper)
        _, result = ended(client, submit(client, "plain", "open('ran', 'w')"), started=False)
        assert result["verdict"] == "refused" and "cannot start the jail" in result["message"], result
        os.symlink("/usr/bin/bwrap", wrapper)
        # The helper looks again after a refusal.
        machine.wait_for(lambda: ended_any(client) == "passed", 30, "jails are built again")
    finally:
        os.unlink(wrapper)


@pytest.mark.parametrize("how", ("kill -9 $$", "exit 137"))
def test_a_jail_that_is_shot_before_the_tool_began_is_built_again(make_stack, how):
    """As by the kernel where memory is short; 137 is bubblewrap's word for the same of its child."""
    stack = make_stack(tools=TOOLS, conf={**v1.OPEN, "helper": {"bwrap": "/usr/bin/bwrap"}}, parts=("helper", "gate", "nginx"), slots=1)
    client, wrapper, shot = v1.Client(stack), os.path.join(stack.path, "bwrap"), os.path.join(stack.path, "shot")
    with open(wrapper, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n[ -e {shot} ] || exec /usr/bin/bwrap \"$@\"\nrm {shot}\n{how}\n")
    os.chmod(wrapper, 0o755)
    os.chmod(stack.path, 0o777)	# its accounts are others
    stack.configure("helper", bwrap=wrapper)
    stack.restart("helper")
    assert ended(client, submit(client, "plain", "pass"))[0]["verdict"] == "passed"
    open(shot, "w", encoding="ascii").close()
    done, result = ended(client, submit(client, "plain", "open('ran', 'w')"))
    assert (done["verdict"], result["attempt"]) == ("passed", 1) and not os.path.exists(shot), result


def ended_any(client):
    return client.wait(submit(client, "plain", "pass"))["verdict"]


def test_a_program_that_cannot_be_executed(make_stack):
    path = f"/usr/local/lib/sg-{os.getpid()}"
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/no/such/interpreter\n")
    os.chmod(path, 0o755)
    try:
        stack = make_stack(tools={"broken": running.tool([path], limit_wall="9s")}, conf=v1.OPEN, slots=1)
        client = v1.Client(stack)
        done, result = ended(client, client.submit("broken")["id"], started=False)
        assert done["verdict"] == "refused" and result["message"] == "the program cannot be executed: No such file or directory"
    finally:
        os.unlink(path)
