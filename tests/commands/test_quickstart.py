"""quickstart: what it promises, as root and as an ordinary user."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from lib import leaks, machine, stan, web
from stack import procs

B4 = {"monomers": [["a", "b", ">mon1"], ["a*", "b*", ">mon2"], ["a", ">mon3"], ["b", ">mon4"]], "gen": 2}


class Quickstart:
    """One state folder and the command on it; whatever still runs is stopped at the end."""

    def __init__(self, folder):
        self.state, self.port = os.path.join(folder, "state"), machine.Ports.free()

    def run(self, *args, status=0, **env):
        done = subprocess.run([os.path.join(machine.ROOT, "quickstart"), "--state", self.state, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300, cwd="/",
                              env={**os.environ, "SPOOLGATE_BUILD": machine.build_dir(), **env})
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def up(self, *args, **more):
        return json.loads(self.run("up", "--port", str(self.port), *args, **more).stdout.splitlines()[-1])

    def get(self, summary, path):
        session = web.session(summary["ca"])
        try:
            return session.get(summary["url"] + path, timeout=30)
        finally:
            session.close()


@pytest.fixture
def quickstart(ground):
    folder = tempfile.mkdtemp(prefix="q", dir=ground)
    os.chmod(folder, 0o711)
    one = Quickstart(folder)
    yield one
    one.run("down")
    state = os.path.realpath(one.state)
    assert not leaks.processes(state)
    shutil.rmtree(state, ignore_errors=True)


def alive(summary):
    pids = summary["pids"]
    return [pid for pid in [pids["nginx"], pids["helper"], *pids["gate"]] if pid and procs.start_ticks(pid)]


def test_up_says_where_everything_is(quickstart):
    summary = quickstart.up()
    assert summary["url"] == f"https://localhost:{quickstart.port}"
    assert os.path.samefile(summary["state"], quickstart.state)
    assert os.path.isfile(summary["ca"])
    assert summary["services"]["stableconfigs"]["prefix"] == "/stableconfigs"
    assert summary["services"]["stableconfigs"]["port"] is None
    session = web.session(summary["ca"])
    answer = session.get(summary["url"] + "/v1/tools", headers={"Authorization": "Bearer " + summary["credentials"]["v1"]["token"]})
    assert [tool["name"] for tool in answer.json()["tools"]] == ["stableconfigs"]
    session.close()
    assert len(alive(summary)) >= 4 and len(summary["pids"]["gate"]) >= 2
    assert quickstart.get(summary, "/stableconfigs/status/nope").status_code == 404


def test_up_again_prints_the_same_and_disturbs_nothing(quickstart):
    first = quickstart.up()
    assert quickstart.up() == first
    assert json.loads(quickstart.run("up").stdout.splitlines()[-1]) == first
    assert json.loads(quickstart.run("status").stdout) == first


@pytest.mark.parametrize("part", ["nginx", "helper", "gate"])
def test_half_a_stack_is_made_whole(quickstart, part):
    first = quickstart.up()
    pid = first["pids"][part] if part != "gate" else first["pids"]["gate"][0]
    os.kill(pid, signal.SIGKILL)
    machine.wait_for(lambda: procs.start_ticks(pid) is None, 5, "it is gone")
    second = quickstart.up()
    for other in {"nginx", "helper", "gate"} - {part}:
        assert second["pids"][other] == first["pids"][other]
    assert second["pids"][part] != first["pids"][part]
    assert {**second, "pids": 0} == {**first, "pids": 0}
    assert quickstart.get(second, "/stableconfigs/status/nope").status_code == 404


def test_down_stops_all_and_the_next_up_keeps_the_jobs(quickstart):
    first = quickstart.up()
    session = web.session(first["ca"])
    task = session.post(first["url"] + "/stableconfigs/task", json=B4).json()["task_id"]
    session.close()
    quickstart.run("down")
    assert not alive(first)
    quickstart.run("down")	# nothing to do is no fault
    second = quickstart.up()
    machine.wait_for(lambda: quickstart.get(second, f"/stableconfigs/status/{task}").status_code == 200, 30, "the job is there")
    # The spool's own check, while it runs.
    done = subprocess.run([os.path.join(second["state"], "programs/bin/spoolgate"), "doctor", "--spool",
                           os.path.join(second["state"], "spool"), "--running"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_several_side_by_side(ground, quickstart):
    other = Quickstart(os.path.join(os.path.dirname(quickstart.state), "other"))
    one, two = quickstart.up(), other.up()
    try:
        assert not set(alive(one)) & set(alive(two))
        for summary in (one, two):
            assert quickstart.get(summary, "/stableconfigs/status/nope").status_code == 404
    finally:
        other.run("down")
    assert alive(one) and not alive(two)


def test_two_at_once_start_one_stack(quickstart):
    out = []
    threads = [threading.Thread(target=lambda: out.append(quickstart.up())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(out) == 2 and out[0] == out[1]


def test_options_that_differ_from_what_runs_are_refused(quickstart):
    quickstart.up()
    assert "port" in quickstart.run("up", "--port", "1", status=1).stderr
    assert "environment" in quickstart.run("up", "--env", "A=b", status=1).stderr


def test_wrong_usage(quickstart):
    for args in (["up", "--env", "novalue"], ["up", "--port", "70000"]):
        quickstart.run(*args, status=64)
    quickstart.run("sideways", status=2)


def test_the_environment_reaches_gate_and_helper(quickstart):
    summary = quickstart.up("--env", "SWS_EXAMPLE=one two", "--env", "PATH=/usr/bin")
    for pid in (summary["pids"]["helper"], *summary["pids"]["gate"]):
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read().split(b"\0")
        assert b"SWS_EXAMPLE=one two" in environ and b"PATH=/usr/bin" in environ
        assert not [entry for entry in environ if entry.startswith(b"SPOOLGATE_BUILD")]


def test_stand_ins_are_accepted_and_said(quickstart):
    assert "--stand-ins" in quickstart.run("up", "--port", str(quickstart.port), "--stand-ins").stderr


def test_classic_ports(quickstart):
    try:
        with socket.create_server(("127.0.0.1", 5005)):
            pass
    except OSError:
        machine.cannot("somebody else has port 5005")
    summary = quickstart.up("--classic-ports")
    assert summary["services"]["stableconfigs"]["port"] == 5005
    session = web.session(summary["ca"])
    assert session.get("http://localhost:5005/status/nope").status_code == 404
    assert session.get("http://[::1]:5005/status/nope").status_code == 404
    session.close()


def test_a_port_that_is_taken_is_said(quickstart):
    with socket.create_server(("127.0.0.1", quickstart.port)):
        done = quickstart.run("up", "--port", str(quickstart.port), status=1)
    assert "Address already in use" in done.stderr


def test_a_state_folder_out_of_the_accounts_reach(ground):
    machine.need_root()
    closed = os.path.join(ground, "closed")
    os.mkdir(closed, 0o700)
    one = Quickstart(closed)
    summary = one.up()
    real = os.path.realpath(one.state)
    try:
        assert os.path.islink(one.state) and real.startswith("/var/lib/spoolgate/")
        assert one.get(summary, "/stableconfigs/status/nope").status_code == 404
    finally:
        one.run("down")
        assert not leaks.processes(real)
        shutil.rmtree(real)


def test_a_long_path_has_its_sockets_elsewhere(ground):
    deep = os.path.join(ground, "d" * 35, "e" * 35)
    os.makedirs(deep)
    one = Quickstart(deep)
    assert len(os.path.join(one.state, "run/helper/admin.sock")) > 107
    summary = one.up()
    try:
        assert one.get(summary, "/stableconfigs/status/nope").status_code == 404
        assert one.up() == summary
    finally:
        one.run("down")
    assert not leaks.processes(os.path.realpath(one.state))
    assert "too long" in one.run("up", "--state", "/tmp/" + "x" * 150, status=1).stderr


def test_a_tinystan_is_served(quickstart, ground):
    """With TINYSTAN it serves the Stan compile service, with a passcode of its own where none is given."""
    folder = stan.compiler(os.path.join(ground, "quickstart-stan"))
    variables = {"TINYSTAN": f"{folder}/tinystan", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    summary = quickstart.up(**variables)
    assert quickstart.up() == summary, "what runs goes on with what it was given"
    session = web.session(summary["ca"])
    passcode = summary["credentials"]["stan"]["passcode"]

    def compile_with(word):
        return session.post(summary["url"] + "/stan/compile", data=b"OK1", headers={"Authorization": f"Bearer {word}"})
    assert len(passcode) >= 16 and compile_with("1234").status_code == 401
    machine.wait_for(lambda: compile_with(passcode).status_code == 200, 30, "the self-test passes", pause=0.1)
    model = compile_with(passcode).json()["model_id"]
    assert model == "c58d40afd949f737b3d1273c770f35cc55155059"
    assert session.get(summary["url"] + f"/stan/download/{model}/main.wasm").content[:4] == b"\0asm"
    session.close()
    quickstart.run("down")
    assert quickstart.up(**variables)["credentials"]["stan"] == {"passcode": passcode}
    quickstart.run("down")
    assert quickstart.up(SWS_PASSCODE="1234", **variables)["credentials"]["stan"] == {"passcode": "1234"}
    quickstart.run("down")


def test_faults_of_a_service_are_told(quickstart, ground):
    """stan#34: `quickstart up` says them all, and no secret; nothing is started."""
    done = quickstart.run("up", "--port", str(quickstart.port), status=78, TINYSTAN="/nonexistent", SWS_PASSCODE="secret-of-this-test",
                          SWS_COMPILATION_TIMEOUT="abc", SWS_LOG_LEVEL="LOUD")
    said = done.stdout + done.stderr
    for word in ("working installation", "SWS_COMPILATION_TIMEOUT", "SWS_LOG_LEVEL", "emstrip"):
        assert word in said, said
    assert "secret-of-this-test" not in said
    assert not os.path.exists(os.path.join(quickstart.state, "stack.json")) or not alive(json.loads(quickstart.run("status").stdout))
