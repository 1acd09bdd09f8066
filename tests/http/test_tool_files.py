"""What a tool file says is what its jobs meet: links, network, variables, flags; through the native API."""

import os
import socket
import tempfile

import pytest

from lib import running, v1

CONNECT = "import socket; socket.create_connection(('127.0.0.1', %d), 10).sendall(b'hello'); print('sent')"


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


@pytest.fixture(scope="module")
def data():
    # Not below /tmp alone: the jail has a /tmp of its own, which must not hide it.
    with tempfile.TemporaryDirectory(prefix="sg-link-") as folder:
        os.chmod(folder, 0o755)
        with open(os.path.join(folder, "table"), "w") as file:
            file.write("from the host\n")
        os.chmod(os.path.join(folder, "table"), 0o644)
        yield folder


@pytest.fixture(scope="module")
def client(ground, programs, listener, data):
    connect = "[tool]\ncommand =\n\t/usr/bin/python3\n\t-c\n\t" + CONNECT % listener.getsockname()[1] + "\n"
    tools = {
        "links": v1.shell("cat data/table one && readlink data && ! echo x 2>/dev/null >data/new && echo kept >own",
                          head=f"link =\n\tdata {data}\n\tone {data}/table\n"),
        "system": v1.shell("./run && echo ran >out && ./here/true", head="link =\n\trun /bin/true\n\there /bin\n", limits="output-files = 1\n"),
        "offline": connect,
        "online": connect + "network = yes\n",
        "variables": v1.shell('for v in A B C D; do printenv $v || echo unset; done', head="environment =\n\tD=fixed\n",
                              parameters="[parameter a]\nenvironment = A\n[parameter b]\nenvironment = B\ntype = integer\ndefault = 7\n"
                                         "[parameter c]\nenvironment = C\ntype = boolean\ntrue = on\n"),
        "flags": "[tool]\ncommand =\n\t/bin/echo\n\t{verbose}\n\t--mode={mode}\n[parameter verbose]\ntype = boolean\ntrue = --verbose\n"
                 "[parameter mode]\ntype = choice\nchoices =\n\tfast\n\texact\ndefault = fast\n",
    }
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools=tools, slots=4))


def log_of(client, *args, verdict="passed", **more):
    job = client.run(*args, **more)
    text = client.get(f"/jobs/{job['id']}/log").text
    assert job["verdict"] == verdict, (job, text)
    return job, text


def test_a_link_shows_its_target_and_is_no_output(client, data):
    job, text = log_of(client, "links")
    assert text == f"from the host\nfrom the host\n{data}\n"
    files = client.get(f"/jobs/{job['id']}/files").json()["files"]
    assert [f["name"] for f in files] == ["own"]
    assert os.listdir(data) == ["table"]


def test_links_into_the_system_count_against_no_limit(client):
    job, text = log_of(client, "system")
    assert text == "" and [f["name"] for f in client.get(f"/jobs/{job['id']}/files").json()["files"]] == ["out"]


def test_the_network_is_there_only_where_the_tool_file_says_so(client, listener):
    log_of(client, "offline", verdict="failed")
    job = client.submit("online")
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(5, socket.MSG_WAITALL) == b"hello"
    assert client.wait(job["id"])["verdict"] == "passed"


def test_variables_from_parameters(client):
    assert log_of(client, "variables")[1] == "unset\n7\nunset\nfixed\n"
    assert log_of(client, "variables", {"a": "x y=z$HOME", "b": -3, "c": True})[1] == "x y=z$HOME\n-3\non\nfixed\n"


def test_flags_and_choices(client):
    assert log_of(client, "flags")[1] == "--mode=fast\n"
    assert log_of(client, "flags", {"verbose": True, "mode": "exact"})[1] == "--verbose --mode=exact\n"
    assert log_of(client, "flags", {"verbose": False})[1] == "--mode=fast\n"
    for wrong in ({"verbose": "yes"}, {"mode": "slow"}):
        answer = client.request("POST", "/jobs", json={"tool": "flags", "parameters": wrong})
        v1.problem(answer, 422, ("pointer", f"/parameters/{list(wrong)[0]}"))
