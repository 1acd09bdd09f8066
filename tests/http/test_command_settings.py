"""spoolgate(1): which server, with which token, and who is believed."""

import os
import threading

import pytest

from lib import fakeapi, machine
from lib.fakeapi import Command, Fake, Reply
from stack import folder

TOOLS = {"tools": [{"name": "demo", "title": "A demonstration"}]}


@pytest.fixture
def fake():
    with Fake() as server:
        server.on("GET", "/v1/tools", TOOLS)
        yield server


@pytest.fixture
def home(tmp_path):
    return tmp_path


def sent_token(fake):
    return fake.requests[-1].headers.get("Authorization")


def write(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_names_server_and_token(programs, home, fake):
    assert Command(programs, home, fake.url).out("tools", "--names") == "demo\n"
    assert sent_token(fake) == "Bearer sgt_test"


def test_an_option_goes_before_the_environment_and_that_before_the_file(programs, home, fake):
    token = write(home / "token", "sgt_option\n")
    write(home / ".config/spoolgate/config", "[server]\nurl = http://localhost:1\ntoken = sgt_file\n")
    command = Command(programs, home, "http://localhost:1")
    command.run("tools", "--server", fake.url, "--token-file", token)
    assert sent_token(fake) == "Bearer sgt_option"


@pytest.mark.parametrize("key", ["token = sgt_file", "token-file = {}/token"])
def test_the_settings_file(programs, home, fake, key):
    write(home / "token", "sgt_file\n")
    write(home / ".config/spoolgate/config", f"[server]\nurl = {fake.url}\n{key.format(home)}\n")
    Command(programs, home, None, None).run("tools")
    assert sent_token(fake) == "Bearer sgt_file"


def test_a_settings_file_elsewhere(programs, home, fake):
    write(home / "xdg/spoolgate/config", f"[server]\nurl = {fake.url}/\n")
    Command(programs, home, None, None, XDG_CONFIG_HOME=str(home / "xdg")).run("tools")
    write(home / "mine", f"[server]\nurl = {fake.url}\n")
    Command(programs, home, None, None).run("tools", "--config", home / "mine")
    assert sent_token(fake) is None
    assert "No such file" in Command(programs, home, None, None).err("tools", "--config", home / "none", status=2)


def test_every_fault_of_the_settings_file_is_told_with_its_line(programs, home):
    write(home / ".config/spoolgate/config", "[server]\nurl = a\nurl = b\npassword = x\n[other]\n")
    said = Command(programs, home, None, None).err("tools", status=2)
    for line, fault in (("3", "twice"), ("4", "no key password"), ("5", "no section [other]")):
        assert f"config:{line}: " in said and fault in said


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_is_refused(programs, home, fake, mode):
    token = write(home / "token", "sgt_open\n", mode)
    assert "nobody else can read" in Command(programs, home, fake.url, None).err("tools", "--token-file", token, status=2)
    assert "nobody else" in Command(programs, home, fake.url, None, SPOOLGATE_TOKEN_FILE=str(token)).err("tools", status=2)
    write(home / ".config/spoolgate/config", f"[server]\nurl = {fake.url}\ntoken = sgt_open\n", mode)
    assert "others can read" in Command(programs, home, None, None).err("tools", status=2)
    assert not fake.requests


def test_what_is_no_token(programs, home, fake):
    for text in ("", "\n", "two words\n", "sgt_\x01x\n", "sgt_é\n", "x" * 5000):
        Command(programs, home, fake.url, None).run("tools", "--token-file", write(home / "token", text), status=2)
    Command(programs, home, fake.url, None).run("tools", "--token-file", home, status=2)
    Command(programs, home, fake.url, "a\r\nX-Evil: 1").run("tools", status=2)
    assert not fake.requests


def test_there_is_no_option_with_a_token(programs, home, fake):
    Command(programs, home, fake.url, None).run("tools", "--token", "sgt_x", status=2)


def test_a_token_is_for_the_server_that_was_named_beside_it(programs, home, fake):
    write(home / ".config/spoolgate/config", "[server]\nurl = https://elsewhere.example\ntoken = sgt_file\n")
    done = Command(programs, home, fake.url, None).run("tools")
    assert b"not sent to" in done.stderr and sent_token(fake) is None
    Command(programs, home, "https://elsewhere.example", "sgt_env").run("tools", "--server", fake.url, "--quiet")
    assert sent_token(fake) is None


def test_a_redirect_is_not_followed(programs, home, fake):
    with Fake() as other:
        other.on("GET", "/.*", TOOLS)
        fake.on("GET", "/v1/tools", Reply(b"", 302, {"Location": other.url + "/v1/tools"}))
        assert "redirects to" in Command(programs, home, fake.url).err("tools", status=6)
        assert not other.requests


def test_another_host_does_not_get_the_token(programs, home, fake):
    with Fake() as other:
        other.on("GET", "/x", Reply(b"hello"))
        fake.on("GET", "/v1/x", Reply(b"hello"))
        command = Command(programs, home, fake.url)
        assert command.out("get", other.url + "/x") == "hello"
        assert other.requests[0].headers.get("Authorization") is None
        assert command.out("get", fake.url + "/v1/x") == "hello"
        assert sent_token(fake) == "Bearer sgt_test"
        # The same host by another name is another one.
        command.run("get", f"http://127.0.0.1:{fake.port}/v1/x")
        assert sent_token(fake) is None


def test_no_token_over_plain_http_to_another_machine(programs, home):
    said = Command(programs, home, "http://192.0.2.1").err("tools", "--time-limit", "5s", status=2)
    assert "plain HTTP" in said


@pytest.mark.parametrize("url", ["localhost", "ftp://localhost", "https://user:secret@localhost", "https://localhost/?a=b",
                                 "https://", ""])
def test_an_url_that_is_no_server(programs, home, url):
    assert Command(programs, home, url or None).err("tools", status=2)


def test_certificates_are_verified(programs, home, tmp_path):
    tls = tmp_path / "tls"
    tls.mkdir()
    folder.make_certificate(str(tls), ("localhost",))
    with Fake((str(tls / "server.pem"), str(tls / "server.key"))) as server:
        server.on("GET", "/v1/tools", TOOLS)
        command = Command(programs, home, server.url)
        assert "--ca" in command.err("tools", status=4)
        assert not server.requests
        assert command.out("tools", "--names", "--ca", tls / "ca.pem") == "demo\n"
        assert command.out("tools", "--names", SPOOLGATE_CA=str(tls / "ca.pem")) == "demo\n"
        assert command.out("tools", "--names", SPOOLGATE_CA=str(tls / "ca.pem"), https_proxy="http://127.0.0.1:1") == "demo\n"
        # The right authority, the wrong name.
        command.run("tools", "--ca", tls / "ca.pem", "--server", f"https://127.0.0.1:{server.port}", status=4)
        command.run("tools", "--ca", tmp_path / "none.pem", status=4)


def test_nobody_there(programs, home):
    assert Command(programs, home, fakeapi.nobody_listens()).err("tools", "--retry-time", "0", status=4)
    assert Command(programs, home, "http://no-such-host.invalid").err("tools", status=4, SPOOLGATE_TOKEN="")
    assert "no server" in Command(programs, home, None).err("tools", status=2)


def test_the_time_limit(programs, home, fake):
    fake.on("GET", "/v1/tools", Reply(b"", 503))
    assert "time limit" in Command(programs, home, fake.url).err("tools", "--time-limit", "500ms", status=9)
    never = threading.Event()
    fake.on("GET", "/v1/tools", Reply(b"", held=never))
    assert "time limit" in Command(programs, home, fake.url).err("tools", "--time-limit", "500ms", status=9)
    never.set()


def test_help_and_wrong_usage(programs, home):
    command = Command(programs, home, None, None)
    whole = command.out("--help")
    names = [line.split()[0] for line in whole.splitlines() if line.startswith("  ")]
    assert {"tools", "submit", "status", "wait", "log", "fetch", "kill", "delete", "list", "get", "post", "doctor"} <= set(names)
    for name in names:
        assert "usage" in command.out(name, "--help"), name
        assert command.err(name, "--no-such-option", status=2)
    assert command.err("sideways", status=2) and command.err(status=2)
    for wrong in (["submit"], ["status"], ["wait"], ["log"], ["fetch"], ["kill"], ["delete"], ["get"], ["post"], ["list", "x"],
                  ["status", "../tools"], ["wait", "0" * 31], ["log", "F" * 32], ["kill", ""], ["get", "v1"],
                  ["submit", "x", "-p", "y"], ["tools", ""], ["list", "--limit", "0"], ["list", "--since", "gestern"],
                  ["wait", "0" * 32, "--timeout", "soon"],
                  ["log", "0" * 32, "--offset", "-1"], ["tools", "a", "b"], ["fetch", "0" * 32, "-o", "-"],
                  ["tools", "--retry-time", "x"], ["tools", "--time-limit", "0"], ["list", "--ids", "--json"]):
        assert command.err(*wrong, status=2), wrong


def test_what_cannot_be_written_is_told(programs, home, fake):
    machine.wait_for(lambda: os.path.exists("/dev/full"), 1, "/dev/full")
    with open("/dev/full", "wb") as full:
        child = Command(programs, home, fake.url).begin("tools", stdout=full)
        assert child.wait(30) == 1
