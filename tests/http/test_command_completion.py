"""bash completion of spoolgate(1), as bash itself does it: typed on a terminal, with the tabulator."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from lib.fakeapi import Fake, finished

TOOL = {"name": "demo", "title": "x", "parameters": [{"name": "gen", "type": "integer"}, {"name": "init_k", "type": "integer"}],
        "inputs": [{"name": "problem.txt", "required": True}]}
JOBS = [finished(id="a1" * 16), finished(id="b2" * 16)]


class Shell:
    """An interactive bash that has sourced the installed completion."""

    def __init__(self, programs, folder, server):
        self.master, slave = pty.openpty()
        env = {"PATH": os.path.join(programs, "bin") + ":" + os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
               "TERM": "dumb",
               "SPOOLGATE_SERVER": server, "ASAN_OPTIONS": "disable_coredump=0"}
        self.child = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
                                      env=env,
                                      start_new_session=True)
        os.close(slave)
        self.source = os.path.join(programs, "share/bash-completion/completions/spoolgate")
        self.say("PS1= PS2=; stty -echo; bind 'set enable-bracketed-paste off' "
                 "'set completion-query-items 0' 'set page-completions off'; "
                 f"source {self.source}")

    def say(self, line):
        """Runs a line and returns what it prints."""
        os.write(self.master, f"{line}\necho end''-of-it\n".encode())
        shown, deadline = b"", time.monotonic() + 60
        while b"end-of-it\r\n" not in shown:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, shown
            shown += os.read(self.master, 65536)
        return shown.decode(errors="replace").replace("\r", "").partition("end-of-it\n")[0]

    def complete(self, line):
        """The words that the line has after a tabulator at its end."""
        shown = self.say(f"{line}\t\x01printf '<%s>\\n' ")
        return re.findall(r"^<(.*)>$", shown, re.M)

    def candidates(self, words):
        """Every candidate for the last word of a line, which bash would list."""
        line = " ".join(words)
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
        shown = self.say(f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; "
                         f"COMP_POINT={len(line)}; _spoolgate; "
                         "printf '<%s>\\n' \"${COMPREPLY[@]}\"")
        return [word for word in re.findall(r"^<(.*)>$", shown, re.M) if word]

    def close(self):
        os.close(self.master)	# the terminal hangs up
        self.child.wait(30)


@pytest.fixture
def fake():
    with Fake() as server:
        server.on("GET", "/v1/tools", {"tools": [TOOL, {"name": "other"}]})
        server.on("GET", "/v1/tools/demo", TOOL)
        server.on("GET", "/v1/jobs[?].*", {"jobs": JOBS, "next": None})
        yield server


@pytest.fixture
def shell(programs, tmp_path, fake):
    one = Shell(programs, tmp_path, fake.url)
    yield one
    one.close()


def test_subcommands(shell):
    assert shell.complete("spoolgate sub") == ["spoolgate", "submit"]
    assert {"tools", "submit", "status", "wait", "log", "fetch", "kill", "delete", "list", "get", "post", "doctor", "queue"} <= \
        set(shell.candidates(["spoolgate", ""]))


def test_options(shell):
    assert shell.complete("spoolgate list --sta") == ["spoolgate", "list", "--state"]
    assert shell.complete("spoolgate list --state ru") == ["spoolgate", "list", "--state", "running"]
    offered = shell.candidates(["spoolgate", "fetch", "--"])
    assert {"--zip", "--log", "--stdout", "--force", "--server", "--json"} <= set(offered)


@pytest.mark.parametrize("command", ["tools", "submit", "status", "wait", "log", "fetch", "kill", "delete", "list", "get", "post",
                                     "token"])
def test_every_option_of_the_help_is_offered(shell, command):
    """And no other."""
    text = subprocess.run([os.path.join(os.path.dirname(shell.source), "../../../bin/spoolgate"), command, "--help"],
                          capture_output=True,
                          text=True, check=True).stdout
    help_has = set(re.findall(r"(?<![\w-])--[a-z-]+", text))
    offered = set(shell.candidates(["spoolgate", command, "--"]))
    assert help_has - {"--help"} <= offered
    assert offered - help_has <= {"--help", "--parameter", "--parameter-file", "--input"}


def test_tokens(shell):
    assert shell.complete("spoolgate token rev") == ["spoolgate", "token", "revoke"]
    assert shell.complete("spoolgate token add x --scope adm") == ["spoolgate", "token", "add", "x", "--scope", "admin"]


def test_tool_files(shell, tmp_path):
    (tmp_path / "my own.tool").write_text("x")
    assert shell.complete("spoolgate tool ch") == ["spoolgate", "tool", "check"]
    assert shell.complete("spoolgate tool check my") == ["spoolgate", "tool", "check", "my own.tool"]


def test_tools_and_what_they_take(shell):
    assert shell.complete("spoolgate submit de") == ["spoolgate", "submit", "demo"]
    assert shell.complete("spoolgate tools oth") == ["spoolgate", "tools", "other"]
    assert shell.complete("spoolgate submit demo -p ge") == ["spoolgate", "submit", "demo", "-p", "gen="]
    assert shell.complete("spoolgate submit demo -p gen=3 -i pro") == ["spoolgate", "submit", "demo", "-p", "gen=3", "-i",
                                                                       "problem.txt="]
    assert shell.complete("spoolgate list --tool de") == ["spoolgate", "list", "--tool", "demo"]


def test_files_of_inputs(shell, tmp_path):
    (tmp_path / "network one.txt").write_text("x")
    assert shell.complete("spoolgate submit demo -i problem.txt=netw") == ["spoolgate", "submit", "demo", "-i",
                                                                           "problem.txt=network one.txt"]
    assert shell.complete("spoolgate submit demo -i problem.txt=") == ["spoolgate", "submit", "demo", "-i",
                                                                       "problem.txt=network one.txt"]


def test_jobs(shell, fake):
    assert shell.complete("spoolgate status a") == ["spoolgate", "status", "a1" * 16]
    assert sorted(shell.candidates(["spoolgate", "wait", ""])) == [job["id"] for job in JOBS]
    shell.complete("spoolgate delete b")
    assert "state=finished" in fake.requests[-1].path


def test_the_server_of_the_line_is_asked(shell, fake):
    with Fake() as other:
        other.on("GET", "/v1/tools", {"tools": [{"name": "elsewhere"}]})
        assert shell.complete(f"spoolgate submit --server {other.url} el")[-1] == "elsewhere"
        assert not fake.requests


def test_without_a_server_there_is_just_nothing(shell, fake):
    fake.stop()
    begun = time.monotonic()
    assert shell.complete("spoolgate submit de") == ["spoolgate", "submit", "de"]
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["$(touch owned)", "`touch owned`", "*", "a;touch owned", "a$(touch${IFS}owned)",
                                  "a\x15touch owned"])
def test_a_hostile_name_is_not_executed(shell, fake, tmp_path, name):
    """Nor does it come onto the line, where the next Return would execute it."""
    fake.on("GET", "/v1/tools", {"tools": [{"name": name}]})
    fake.on("GET", "/v1/jobs[?].*", {"jobs": [finished(id=name)], "next": None})
    for line in ("spoolgate submit ", "spoolgate submit a", "spoolgate wait ", "spoolgate list --tool "):
        assert shell.complete(line) == line.split()
    assert not os.listdir(tmp_path)
