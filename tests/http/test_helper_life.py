"""The helper's own life: one for a spool, faults, reload, ending and beginning while jobs run, re-execution, activation, notices."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib import helper, jobs, machine
from stack import accounts, folder, procs

FOREVER = "echo begun; sleep 1000"


@pytest.fixture
def stack(make_stack):
    return make_stack(parts=("helper",), tools=jobs.TOOLS)


def helper_program(stack):
    return stack.server.program("sbin/spoolgated")


def run_helper(stack, *args, config=None, env=None, seconds=20):
    """A helper that is to end by itself: (exit status, what it said)."""
    done = subprocess.run([helper_program(stack), "--config", config or stack.server.config_file, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds, env={**stack.server.environment(), **(env or {})},
                          **accounts.helper().popen())
    return done.returncode, done.stdout + done.stderr


def other_config(stack, name="other.conf", **changes):
    """A copy of spoolgate.conf with other sockets and what else is to change: section__key=value."""
    text = Path(stack.server.config_file).read_text(encoding="utf-8")
    wanted = {"helper": {"gate_socket": f"{stack.server.run}/helper/gate2.sock", "admin_socket": f"{stack.server.run}/helper/admin2.sock"}}
    for key, value in changes.items():
        section, _, key = key.partition("__")
        wanted.setdefault(section, {})[key] = value
    path = os.path.join(stack.path, "etc", name)
    folder.write(path, folder.merge_ini(text, wanted))
    return path


def begin(stack, gate, **more):
    job = jobs.submit(gate, FOREVER, **more)
    jobs.wait_log(stack, job, "begun")
    return job


def zombies(pid):
    """Children that have ended and nobody reaped."""
    return [child for child in procs.all_pids() if procs.parent(child) == pid and procs.start_ticks(child) is None]


# One for a spool

def test_a_second_helper_leaves_and_names_the_first(stack):
    pid = stack.pids("helper")[0]
    for config in (None, other_config(stack)):
        status, text = run_helper(stack, config=config)
        assert status == 75, text
        assert re.search(rf"\b{pid}\b", text) and stack.spool in text, text
    with stack.helper() as gate:	# nobody took its sockets away
        assert gate.queue()["ok"]


def test_sockets_of_a_living_helper_are_not_taken(stack):
    os.makedirs(os.path.join(stack.path, "spool2"))
    folder.own_folder(os.path.join(stack.path, "spool2"), accounts.helper(), 0o711)
    config = other_config(stack, spool__path=os.path.join(stack.path, "spool2"),
                          helper__gate_socket=f"{stack.server.run}/helper/gate.sock")
    status, text = run_helper(stack, config=config)
    assert status == 1 and "gate.sock" in text and os.strerror(errno.EADDRINUSE) in text, text
    with stack.helper() as gate:
        assert gate.queue()["ok"]


@pytest.mark.parametrize("change", [{"format": 2}, {"format": 0}, {"v": 99}])
def test_a_spool_of_another_release_is_refused(stack, change):
    stack.stop("helper")
    path = Path(stack.spool, "format")
    before = path.read_bytes()
    path.write_text(json.dumps({**json.loads(before), **change}))
    status, text = run_helper(stack)
    assert status == 78 and stack.spool in text and "release" in text, text
    path.write_bytes(before)
    stack.start("helper")


def test_a_journal_of_another_release_is_refused(stack):
    stack.stop("helper")
    path = Path(stack.spool, "redo")
    before = path.read_bytes()
    path.write_bytes(before[:8] + (99).to_bytes(4, "little") + before[12:])
    status, text = run_helper(stack)
    assert status == 78, text
    path.write_bytes(before)
    stack.start("helper")


# Faults

def broken_tools(stack):
    tools = os.path.join(stack.path, "etc/broken")
    os.makedirs(tools, exist_ok=True)
    folder.write(os.path.join(tools, "one.tool"), "[tool]\ncommand = /bin/true\nkeep = soon\n[limits]\nwal = 1s\n")
    folder.write(os.path.join(tools, "two.tool"), "[tool]\n")
    folder.write(os.path.join(tools, "good.tool"), "[tool]\ncommand = /bin/true\n")
    os.chmod(tools, 0o755)
    return tools


def test_all_faults_of_all_files_are_told_at_once(stack):
    tools = broken_tools(stack)
    config = other_config(stack, helper__tools=tools, helper__slots="many", helper__gate_user="no-such-account", gate__wrong="1",
                          helper__long="x" * 200)
    for args in (("--check",), ()):
        status, text = run_helper(stack, *args, config=config)
        assert status == 78, text
        numbers = {line: number for number, line in enumerate(Path(config).read_text().splitlines(), 1)}
        for wanted in (f"{config}:{numbers['slots = many']}: ", f"{config}:{numbers['wrong = 1']}: ",
                       f"{config}:{numbers['long = ' + 'x' * 200]}: ", "no-such-account", f"{tools}/one.tool:3: ",
                       f"{tools}/one.tool:5: ", f"{tools}/two.tool: "):
            assert wanted in text, (wanted, text)
        assert len(text.splitlines()) == 7, text
        assert not os.path.exists(f"{stack.server.run}/helper/gate2.sock")	# nothing was bound


def test_a_check_without_faults_says_nothing_and_touches_nothing(stack):
    config = other_config(stack, spool__path=os.path.join(stack.path, "not-made"))
    assert run_helper(stack, "--check", config=config) == (0, "")
    assert not os.path.exists(os.path.join(stack.path, "not-made"))
    assert not os.path.exists(f"{stack.server.run}/helper/gate2.sock")


def test_a_missing_configuration_is_a_fault(stack):
    status, text = run_helper(stack, "--check", config="/no/such.conf")
    assert status == 78 and "/no/such.conf: No such file" in text


def test_unknown_options_are_refused(stack):
    status, text = run_helper(stack, "--frobnicate")
    assert status not in (0, 75, 78) and "usage" in text
    status, text = run_helper(stack, "--version")
    assert status == 0 and text.startswith("spoolgated ")


# Reload

def has_tool(gate, name):
    answer = gate.submit(name, params={"script": "true"})
    return answer["ok"]


@pytest.mark.parametrize("way", ["SIGHUP", "reload"])
def test_reload_takes_a_good_configuration_and_keeps_the_old_over_a_bad_one(stack, way):
    def reload(good):
        lines = len(stack.log("helper").splitlines())
        if way == "SIGHUP":
            stack.kill("helper", signal.SIGHUP)
        else:
            with stack.helper(admin=True) as admin:
                assert jobs.error(admin.ask({"op": "reload"})) == ("" if good else "EINVAL")
        word = "configuration reloaded" if good else ".tool:"
        machine.wait_for(lambda: any(word in line for line in stack.log("helper").splitlines()[lines:]), 10, "it has reloaded")

    with stack.helper() as gate:
        running = begin(stack, gate)
        stack.settings.tools["new"] = jobs.shell()
        stack.configure("helper", slots="5")
        assert not has_tool(gate, "new")
        reload(True)
        assert has_tool(gate, "new")
        assert gate.queue()["slots"] == 5
        stack.settings.tools["bad"] = "[tool]\nnonsense\n"
        stack.configure("helper", slots="7")
        reload(False)
        assert has_tool(gate, "new") and not has_tool(gate, "bad")
        assert gate.queue()["slots"] == 5
        del stack.settings.tools["bad"], stack.settings.tools["new"]
        stack.configure("helper", slots="2")
        reload(True)
        assert not has_tool(gate, "new")
        assert gate.kill(running)["ok"]
        jobs.wait_idle(gate)


def test_a_queued_job_whose_tool_is_gone_is_refused_in_words(stack):
    stack.settings.tools["brief"] = jobs.shell()
    stack.configure("helper", slots="1")
    stack.kill("helper", signal.SIGHUP)
    with stack.helper() as gate, stack.helper(admin=True) as admin:
        machine.wait_for(lambda: gate.queue()["slots"] == 1, 10, "it has reloaded")
        blocker = begin(stack, gate)
        job = jobs.submit(gate, tool="brief")
        del stack.settings.tools["brief"]
        stack.server.write_configuration()
        assert admin.ask({"op": "reload"})["ok"]
        assert gate.kill(blocker)["ok"]
        result = stack.wait_for_result(job)
        assert result["verdict"] == "refused" and "tool" in result["message"], result


# Ending and beginning

def test_jobs_outlive_the_helper_and_the_next_one_adopts_them(stack):
    with stack.helper() as gate:
        running, ending = begin(stack, gate), jobs.submit(gate, "echo begun; sleep 1; echo done")
        jobs.wait_log(stack, ending, "begun")
        queued = [jobs.submit(gate) for _ in range(3)]
    supervisors = stack.pids("supervisor")
    assert len(supervisors) == 2
    stack.stop("helper")
    assert stack.wait_for_result(ending)["verdict"] == "passed"	# with nobody there
    assert all(not stack.record(job, "result.json") for job in queued)
    stack.start("helper")
    with stack.helper() as gate:
        for job in queued:
            assert stack.wait_for_result(job)["verdict"] == "passed"
        machine.wait_for(lambda: (lambda q: (q["queued"], q["running"]))(gate.queue()) == (0, 1), 10, "only the adopted one is left")
        assert gate.kill(ending)["finished"] is True
        assert gate.kill(running, "me")["finished"] is False
        assert stack.wait_for_result(running)["by"] == "me"
        jobs.wait_idle(gate)
        assert gate.ask({"op": "forget", "id": ending})["ok"]


def test_an_adopted_job_holds_its_slot(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=1)
    for how in ("stop", "kill"):
        with stack.helper() as gate:
            running = begin(stack, gate)
            queued = jobs.submit(gate)
        stack.stop("helper") if how == "stop" else stack.kill("helper")
        stack.start("helper")
        with stack.helper() as gate:
            assert (lambda q: (q["queued"], q["running"]))(gate.queue()) == (1, 1)
            assert gate.kill(running)["ok"]
            stack.wait_for_result(queued)
            assert stack.record(queued, "result.json")["started_usec"] >= stack.record(running, "result.json")["ended_usec"]
            jobs.wait_idle(gate)


def test_a_kill_survives_the_helper(stack):
    with stack.helper() as gate:
        job = begin(stack, gate, tool="once")
        pid = stack.record(job, "run.json")["pid"]
        os.kill(pid, signal.SIGSTOP)	# it cannot do what it is told
        try:
            assert gate.kill(job, "admin")["ok"]
            stack.kill("helper")
            stack.start("helper")
        finally:
            os.kill(pid, signal.SIGCONT)
    result = stack.wait_for_result(job)
    assert (result["verdict"], result["by"]) == ("killed", "admin")


@pytest.mark.parametrize("tool", ["once", "twice"])
def test_ending_does_not_wait_for_anything_that_goes_on(stack, tool):
    """SIGTERM in the middle of starts and kills: it ends soon, and the next one finds everything."""
    for i in range(6):
        with stack.helper() as gate:
            ids = [jobs.submit(gate, FOREVER, tool=tool) for _ in range(3)]
            if i % 2:
                jobs.wait_running(stack, ids[0])
                gate.number += 1
                gate.send({"n": gate.number, "op": "kill", "id": ids[0]})
            process = procs.Process.of(stack.pids("helper")[0])
            process.send(signal.SIGTERM)
            assert process.wait(10), stack.log("helper")
        stack.start("helper")
        with stack.helper() as gate:
            for job in ids:
                assert gate.kill(job)["ok"]
                assert stack.wait_for_result(job)["verdict"] == "killed"
            jobs.wait_idle(gate)


# Re-execution

class Submitter(threading.Thread):
    """Submits one job after the other and remembers what was acknowledged; connects anew when its connection ends."""

    def __init__(self, stack, over):
        super().__init__(daemon=True)
        self.stack, self.over, self.ids, self.ends, self.wrong = stack, over, [], 0, []

    def run(self):
        while not self.over.is_set():
            with self.stack.helper(hello=False) as gate:
                if gate.ask({"op": "hello", "versions": [1]}) is None:
                    self.ends += 1
                    continue
                while not self.over.is_set():
                    answer = gate.submit("once", params={"script": "echo ran"})
                    if answer is None:
                        self.ends += 1
                        break
                    if answer["ok"]:
                        self.ids.append(answer["id"])
                    elif answer["errno"] not in (errno.ESHUTDOWN, errno.EAGAIN):
                        self.wrong.append(answer)
                    self.over.wait(0.02)


def test_re_execution_under_load_loses_nothing(make_stack):
    stack = make_stack(parts=("helper",), tools=jobs.TOOLS, slots=2)
    pid, start = stack.pids("helper")[0], procs.start_ticks(stack.pids("helper")[0])
    with stack.helper() as gate:
        running = begin(stack, gate)
        fds = len(os.listdir(f"/proc/{pid}/fd"))
    over = threading.Event()
    threads = [Submitter(stack, over) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        before = stack.log("helper").count("executing myself anew")
        with stack.helper() as gate:
            assert gate.ask({"op": "restart"})["ok"]
            assert gate.receive() is None	# its connection ends
        machine.wait_for(lambda: stack.log("helper").count("<5>ready") == before + 2, 20, "it is ready again")
        status, text = run_helper(stack, config=other_config(stack))
        assert status == 75 and str(pid) in text, text	# the lock was never let go
        time.sleep(0.2)	# some load in between: not what the test waits for
    over.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive() and not thread.wrong
    assert stack.pids("helper")[0] == pid and procs.start_ticks(pid) == start
    acknowledged = [job for thread in threads for job in thread.ids]
    assert len(acknowledged) == len(set(acknowledged)) > 20
    with stack.helper() as gate:
        assert gate.kill(running)["ok"]
        jobs.wait_idle(gate, 120)
        for job in acknowledged:
            result = stack.record(job, "result.json")
            assert (result["verdict"], jobs.log(stack, job)) == ("passed", "ran\n")
        # Whoever was not answered may have a job all the same; each of them has ended once.
        for job in jobs.all_jobs(stack):
            assert stack.record(job, "result.json") and jobs.log(stack, job).count("ran") <= 1
        assert machine.wait_for(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= fds, 10, "no descriptor is left")
        assert not zombies(pid)


def test_a_connection_that_waits_to_be_taken_is_the_next_ones(stack):
    """A client that connects while the helper is on its way out is answered by its successor, not closed."""
    path = os.path.join(stack.server.run, "helper", "gate.sock")
    for _ in range(10):
        with stack.helper() as gate:
            gate.number += 1
            gate.send({"n": gate.number, "op": "restart"})
            with helper.Connection(path, hello=False) as late:
                answer = late.ask({"op": "hello", "versions": [1]})
                # Only what was taken before the restart was read may be closed.
                if answer is not None:
                    assert answer["ok"]
            assert gate.receive()["ok"]
        with stack.helper() as gate:
            assert gate.queue()["ok"]


def test_a_request_is_answered_or_was_not_read(stack):
    """Whoever got his request off before the helper turned to go gets his answer; whoever did not knows that nobody read it."""
    sent = unread = 0
    for _ in range(5):
        connections = [stack.helper() for _ in range(24)]
        waiting = []
        for i, gate in enumerate(connections):
            gate.number += 1
            body = {"op": "restart"} if i == 8 else jobs.request(tool="twice")
            if gate.send({"n": gate.number, **body}):
                waiting.append(gate)
            else:
                unread += 1
        for gate in waiting:
            answer = gate.receive()
            assert answer and answer["ok"], answer
            sent += 1
        for gate in connections:
            gate.sock.close()
        with stack.helper() as gate:
            jobs.wait_idle(gate)
    assert sent >= 5 * 9 and sent + unread == 5 * 24


def test_jobs_that_end_around_a_re_execution_leave_no_zombie(stack):
    pid = stack.pids("helper")[0]
    for i in range(6):
        with stack.helper() as gate:
            ids = [jobs.submit(gate, f"sleep 0.{i}") for _ in range(2)]
            assert gate.ask({"op": "restart"})["ok"]
        for job in ids:
            assert stack.wait_for_result(job)["verdict"] == "passed"
    with stack.helper() as gate:
        jobs.wait_idle(gate)
    machine.wait_for(lambda: not zombies(pid), 5, "its children are reaped")


def test_a_re_execution_that_could_not_begin_is_refused(stack):
    stack.settings.tools["bad"] = "[tool]\nnonsense\n"
    stack.server.write_configuration()
    with stack.helper() as gate:
        assert jobs.error(gate.ask({"op": "restart"})) == "EINVAL"
        assert gate.queue()["accepting"]
        del stack.settings.tools["bad"]
        stack.server.write_configuration()
        assert gate.ask({"op": "restart"})["ok"]
    with stack.helper() as gate:
        assert gate.queue()["ok"]


def test_subscribers_learn_of_a_re_execution(stack):
    with stack.helper() as gate, stack.helper() as watcher:
        job = begin(stack, gate)
        watcher.ask({"op": "watch", "ids": [job]})
        assert gate.ask({"op": "restart"})["ok"]
        assert watcher.receive() is None
    with stack.helper() as gate, stack.helper() as watcher:
        assert watcher.ask({"op": "watch", "ids": [job]})["ok"]
        assert gate.kill(job)["ok"]
        assert watcher.receive()["id"] == job
        jobs.wait_idle(gate)


# systemd

def test_sockets_are_taken_from_systemd(stack):
    program = "/usr/bin/systemd-socket-activate"
    if not os.path.exists(program):
        machine.cannot("no systemd-socket-activate")
    stack.stop("helper")
    config = other_config(stack, helper__gate_socket="/never/gate.sock", helper__admin_socket="/never/admin.sock")
    run = os.path.join(stack.server.run, "helper")
    paths = [os.path.join(run, name) for name in ("g.sock", "a.sock")]
    with open(stack.server.log_file("helper"), "ab") as log:
        child = subprocess.Popen([program, "--seqpacket", "-l", paths[1], "-l", paths[0], "--fdname=admin:gate",
                                  helper_program(stack), "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=stack.server.environment(), umask=0, **accounts.helper().popen())
    try:
        machine.wait_for(lambda: all(map(os.path.exists, paths)), 10, "systemd listens")
        for path in paths:
            os.chmod(path, 0o666)
        with helper.Connection(paths[0]) as gate:	# this starts it
            job = jobs.submit(gate)
            assert stack.wait_for_result(job)["verdict"] == "passed"
            assert jobs.error(gate.ask({"op": "drain"})) == "EPERM"	# the names decide, not the order
        root = accounts.Account("", os.getuid(), os.getgid(), tuple(os.getgroups()))
        with helper.Connection(paths[1], root) as admin:
            assert admin.ask({"op": "restart"})["ok"]	# and they outlive a re-execution
        with helper.Connection(paths[0]) as gate:
            assert gate.queue()["ok"]
    finally:
        child.terminate()
        assert child.wait(20) == 0
    for path in paths:
        os.unlink(path)
    stack.start("helper")


class Notices:
    """What a helper says to systemd."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o666)

    def next(self, seconds=10):
        self.sock.settimeout(seconds)
        return dict(line.partition("=")[::2] for line in self.sock.recv(4096).decode().splitlines())

    def wait(self, name, value=None):
        while True:
            notice = self.next()
            if name in notice and value in (None, notice[name]):
                return notice


def test_systemd_is_told_how_it_goes(stack):
    stack.stop("helper")
    path = os.path.join(stack.server.run, "notices")
    notices = Notices(path)
    with open(stack.server.log_file("helper"), "ab") as log:
        child = subprocess.Popen([helper_program(stack), "--config", stack.server.config_file], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log, env={**stack.server.environment(), "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"},
                                 **accounts.helper().popen())
    try:
        assert "STATUS" in notices.wait("READY", "1")
        for _ in range(3):
            notices.wait("WATCHDOG", "1")
        child.send_signal(signal.SIGHUP)
        assert int(notices.wait("RELOADING", "1")["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notices.wait("READY", "1")
        with stack.helper() as gate:
            assert gate.ask({"op": "restart"})["ok"]
        notices.wait("READY", "1")
        notices.wait("WATCHDOG", "1")	# the successor keeps it up
    finally:
        child.terminate()
    notices.wait("STOPPING", "1")
    assert child.wait(20) == 0
    notices.sock.close()
    stack.start("helper")
