"""The native API: submissions, good and bad."""

import base64
import json
import os

import pytest

from lib import jobs, machine, running, v1

SHOW = v1.shell("cat *.txt big 2>/dev/null | wc -c; cat a.txt b.txt 2>/dev/null", inputs="""[input a.txt]
required = no
max = 64K
description = The first
	of two.
[input b.txt]
required = no
[input big]
required = no
max = 32M
""")
VALUES = """[tool]
title = Values
description =
	Prints what it was given,
	one argument a line.
version = 1.2
command =
	/usr/bin/printf
	%s\\n
	text={text}
	n={n}
	x={x}
	{loud}
	mode={mode}
	{in.txt}
[parameter text]
required = yes
max = 20
description = Any text.
[parameter n]
type = integer
min = -5
max = 5
default = 3
[parameter x]
type = number
[parameter loud]
type = boolean
true = --loud
[parameter mode]
type = choice
choices =
	quick
	exact
default = quick
[input in.txt]
required = yes
[output out/*.csv]
description = A table.
[output log.txt]
"""
TOOLS = {"show": SHOW, "values": VALUES}


@pytest.fixture(scope="module")
def stack(ground, programs):
    with running.Several(ground, programs) as several:
        yield several.make(conf=v1.OPEN, tools=TOOLS, slots=4)


@pytest.fixture(scope="module")
def client(stack):
    return v1.Client(stack)


def log(client, body):
    return jobs.log(client.stack, body["id"])


@pytest.fixture
def nothing_left(stack):
    """No job, no index name, no file of the gate's state and no descriptor is left of what the test sends."""
    def state():
        return jobs.all_traces(stack), sorted(os.listdir(os.path.join(stack.path, "gate")))

    def open_inputs():
        found = []
        for pid in stack.pids("worker") + stack.pids("helper"):
            for name in os.listdir(f"/proc/{pid}/fd"):
                try:
                    link = os.readlink(f"/proc/{pid}/fd/{name}")
                except OSError:
                    continue
                if "memfd:" in link or "(deleted)" in link and "/gate/" in link:
                    found.append(link)
        return found
    before = state()
    yield
    machine.wait_for(lambda: state() == before and not open_inputs(), 10, "nothing is left")


def test_tools_are_listed_with_all_a_submission_may_say(client):
    tools = v1.look(client.get("/tools")).json()["tools"]
    assert [t["name"] for t in tools] == sorted(t["name"] for t in tools) and {"show", "values", "stableconfigs"} <= {t["name"] for t in tools}
    values = client.get("/tools/values").json()
    assert values in tools
    assert values["title"] == "Values" and values["version"] == "1.2"
    assert values["description"] == "Prints what it was given, one argument a line."
    assert values["parameters"] == [
        {"name": "text", "type": "text", "required": True, "maximum": 20, "description": "Any text."},
        {"name": "n", "type": "integer", "required": False, "minimum": -5, "maximum": 5, "default": 3},
        {"name": "x", "type": "number", "required": False},
        {"name": "loud", "type": "boolean", "required": False},
        {"name": "mode", "type": "choice", "required": False, "choices": ["quick", "exact"], "default": "quick"}]
    assert values["inputs"] == [{"name": "in.txt", "required": True, "max_bytes": 1 << 20}]
    assert values["outputs"] == [{"name": "out/*.csv", "description": "A table."}, {"name": "log.txt"}]
    assert values["limits"]["wall_seconds"] == 3600 and values["keep_seconds"] == 7 * 86400
    assert client.get("/tools/show").json()["inputs"][0]["description"] == "The first of two."
    v1.problem(client.get("/tools/nope"), 404)


def test_more_tools_than_one_answer_of_the_helper_holds(make_stack):
    stack = make_stack(conf=v1.OPEN, tools={f"t{i:03}": f"[tool]\ncommand = /bin/true\ndescription =\n" + "\tmore words\n" * 300
                                            for i in range(90)})
    tools = v1.Client(stack).get("/tools").json()["tools"]
    assert [t["name"] for t in tools] == ["stableconfigs"] + [f"t{i:03}" for i in range(90)]


@pytest.mark.parametrize("parameters,lines", [
    ({"text": "a b"}, ["text=a b", "n=3", "mode=quick", "in.txt"]),
    ({"text": "\u00e4", "n": -5, "x": 0.5, "loud": True, "mode": "exact"}, ["text=\u00e4", "n=-5", "x=0.5", "--loud", "mode=exact", "in.txt"]),
    ({"text": "", "loud": False, "x": 7}, ["text=", "n=3", "x=7", "mode=quick", "in.txt"]),
])
def test_parameters_become_arguments(client, parameters, lines):
    done = client.run("values", parameters, {"in.txt": ""})
    assert done["verdict"] == "passed" and log(client, done).splitlines() == lines


def test_inputs_as_text_and_as_base64(client):
    data = bytes(range(256))
    answer = client.request("POST", "/jobs", json={"tool": "show", "inputs": {
        "a.txt": {"text": "one\n"}, "b.txt": {"base64": base64.b64encode(data).decode()}}})
    done = client.wait(v1.job(answer, 202)["id"])
    with open(os.path.join(client.stack.job_folder(done["id"]), "in/b.txt"), "rb") as file:
        assert file.read() == data
    with open(os.path.join(client.stack.job_folder(done["id"]), "log"), "rb") as file:
        assert file.read() == b"260\none\n" + data


def multipart(client, parts, boundary="xyz", **more):
    """parts: (disposition, other headers, data)."""
    body = b"".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n{other}\r\n".encode() + data + b"\r\n"
                    for head, other, data in parts) + f"--{boundary}--\r\n".encode()
    return client.request("POST", "/jobs", data=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}, **more)


def test_a_form_as_curl_and_browsers_send_it(client):
    answer = client.request("POST", "/jobs", data={"tool": "values", "name": "by form", "parameters": json.dumps({"text": "t"})},
                            files={"in.txt": ("C:\\any\\name.bin", b"12345")})
    done = client.wait(v1.job(answer, 202)["id"])
    assert done["name"] == "by form" and done["verdict"] == "passed"


def test_large_inputs_go_over_the_disk(client):
    data = os.urandom(3 << 20) + b"\r\n--xy-not-quite\r\n" + os.urandom(5 << 20)
    answer = multipart(client, [("name=tool", "", b"show"), ('name="big"; filename=""', "Content-Type: x/y\r\n", data)])
    done = client.wait(v1.job(answer, 202)["id"])
    with open(os.path.join(client.stack.job_folder(done["id"]), "in/big"), "rb") as file:
        assert file.read() == data
    assert log(client, done).splitlines()[0] == str(len(data))


def test_a_job_part_says_it_all(client):
    answer = multipart(client, [("name=job", "Content-Type: application/json\r\n", json.dumps({
        "tool": "show", "name": "whole", "inputs": {"a.txt": {"text": "x"}}}).encode()), ('name="b.txt"', "", b"")])
    done = client.wait(v1.job(answer, 202)["id"])
    assert done["name"] == "whole" and log(client, done) == "1\nx"


GOOD = {"tool": "values", "parameters": {"text": "t"}, "inputs": {"in.txt": {"text": ""}}}


@pytest.mark.parametrize("change,pointer", [
    ({"tool": "nope"}, "/tool"), ({"tool": None}, "/tool"), ({"tool": 7}, "/tool"), ({"tool": "../values"}, "/tool"),
    ({"tool": "x" * 5000}, "/tool"), ({"extra": 1}, "/extra"), ({"name": ""}, "/name"), ({"name": "a\nb"}, "/name"),
    ({"name": "a\u0000b"}, "/name"), ({"name": "x" * 201}, "/name"), ({"name": 3}, "/name"), ({"name": "\u0085"}, "/name"),
    ({"parameters": []}, "/parameters"), ({"parameters": {}}, "/parameters/text"), ({"parameters": {"text": 1}}, "/parameters/text"),
    ({"parameters": {"text": "x" * 21}}, "/parameters/text"), ({"parameters": {"text": "a\nb"}}, "/parameters/text"),
    ({"parameters": {"text": "a\u0000b"}}, "/parameters/text"),
    ({"parameters": {"text": "", "n": 6}}, "/parameters/n"), ({"parameters": {"text": "", "n": 1.5}}, "/parameters/n"),
    ({"parameters": {"text": "", "n": True}}, "/parameters/n"), ({"parameters": {"text": "", "x": "1"}}, "/parameters/x"),
    ({"parameters": {"text": "", "x": 1e999}}, None),
    ({"parameters": {"text": "", "loud": "yes"}}, "/parameters/loud"), ({"parameters": {"text": "", "mode": "slow"}}, "/parameters/mode"),
    ({"parameters": {"text": "", "a/b~c": 1}}, "/parameters/a~1b~0c"), ({"parameters": {"text": "", "y" * 5000: 1}}, "/parameters"),
    ({"inputs": {}}, "/inputs/in.txt"), ({"inputs": []}, "/inputs"), ({"inputs": {"in.txt": "x"}}, "/inputs/in.txt"),
    ({"inputs": {"in.txt": {"text": "", "base64": ""}}}, "/inputs/in.txt"), ({"inputs": {"in.txt": {"base64": "abc"}}}, "/inputs/in.txt"),
    ({"inputs": {"in.txt": {"base64": "ab=c"}}}, "/inputs/in.txt"), ({"inputs": {"in.txt": {"path": "/etc/passwd"}}}, "/inputs/in.txt"),
    ({"inputs": {"in.txt": {"text": ""}, "other": {"text": ""}}}, "/inputs/other"),
    ({"inputs": {"in.txt": {"text": ""}, "../x": {"text": ""}}}, "/inputs/..~1x"), ({"inputs": {"..": {"text": ""}}}, "/inputs/.."),
])
def test_a_submission_that_is_wrong_names_the_member(client, nothing_left, change, pointer):
    body = json.dumps({**GOOD, **change}).replace("Infinity", "1e999")
    answer = client.request("POST", "/jobs", data=body.encode(), headers={"Content-Type": "application/json"})
    if pointer is None:
        assert 400 <= answer.status_code < 500
        return
    v1.problem(answer, 422, ("pointer", pointer))


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b'{"tool":"values"}x', b"\xff", b'{"tool":"\xff"}', b'{"a":NaN}', b"[" * 40])
def test_what_is_no_json(client, nothing_left, body):
    v1.problem(client.request("POST", "/jobs", data=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"x"'])
def test_json_that_is_no_object(client, nothing_left, body):
    v1.problem(client.request("POST", "/jobs", data=body, headers={"Content-Type": "application/json"}), 422, ("pointer", ""))


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonx", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded"])
def test_other_media_types(client, nothing_left, kind):
    v1.problem(client.request("POST", "/jobs", data=b"{}", headers={"Content-Type": kind}), 415, ("header", "Content-Type"))


def test_an_input_over_its_limit(client, nothing_left):
    v1.problem(client.request("POST", "/jobs", json={"tool": "show", "inputs": {"a.txt": {"text": "x" * 65537}}}), 413, ("pointer", "/inputs/a.txt"))
    v1.problem(multipart(client, [("name=tool", "", b"show"), ("name=big", "", b"x" * (33 << 20))]), 413, ("pointer", "/inputs/big"))


def test_json_over_its_limit(client, nothing_left):
    v1.problem(client.request("POST", "/jobs", data=b" " * ((4 << 20) + 1), headers={"Content-Type": "application/json"}), 413)


@pytest.mark.parametrize("parts,status,place", [
    ([("name=tool", "", b"show"), ('name="../x"', "", b"")], 422, ("part", "../x")),
    ([("name=tool", "", b"show"), ('name=".."', "", b"")], 422, ("part", "..")),
    ([("name=tool", "", b"show"), ('name="a/b"; filename=x', "", b"")], 422, ("part", "a/b")),
    ([("name=tool", "", b"show"), ('name="a.txt"', "", b""), ('name="a.txt"', "", b"")], 422, ("part", "a.txt")),
    ([("name=tool", "", b"show"), ("name=tool", "", b"show")], 422, ("part", "tool")),
    ([("name=tool", "", b"show"), (f'name="{"x" * 5000}"', "", b"")], 400, None),
    ([("name=tool", "", b"show"), ('name="a\0b"', "", b"")], 400, None),
    ([("name=tool", "", b"show"), ('name=""', "", b"")], 400, None),
    ([("name=tool", "", b"show"), ("nothing", "", b"")], 400, None),
    ([("name=tool", "", b"show"), ('name="a.txt', "", b"")], 400, None),
    ([("name=tool", "", b"show"), ("name=a.txt", "X: " + "y" * 9000 + "\r\n", b"")], 400, None),
    ([("name=tool", "", b"\xff")], 400, ("part", "tool")),
    ([("name=tool", "", b"show"), ("name=parameters", "", b"{")], 400, ("part", "parameters")),
    ([("name=tool", "", b"show"), ("name=parameters", "", b"[]")], 422, ("pointer", "/parameters")),
    ([("name=tool", "", b"show"), ("name=parameters", "", b" " * 300000)], 413, ("part", "parameters")),
    ([("name=a.txt", "", b"x")], 422, ("pointer", "/tool")),
    ([("name=tool", "", b"show")] + [(f"name=f{i}", "", b"") for i in range(70)], 422, ("part", "f64")),
    ([("name=tool", "", b"show"), ("name=nope", "", b"")], 422, ("pointer", "/inputs/nope")),
])
def test_a_form_that_is_wrong(client, nothing_left, parts, status, place):
    v1.problem(multipart(client, parts), status, place)


@pytest.mark.parametrize("body", [
    b"", b"--xyz", b"--xyz--\r\n", b"--xyz\r\n", b"--xyz\r\nContent-Disposition: form-data; name=tool\r\n", b"nothing at all",
    b"--xyz\r\nContent-Disposition: form-data; name=tool\r\n\r\nshow", b"--xyz\r\nContent-Disposition: form-data; name=tool\r\n\r\nshow\r\n--xyz",
    b"--xyz\r\nContent-Disposition: form-data; name=tool\r\n\r\nshow\r\n--xy--\r\n", b"--xyzz\r\n\r\n\r\n--xyz--\r\n",
])
def test_a_form_that_is_cut_off(client, nothing_left, body):
    answer = client.request("POST", "/jobs", data=body, headers={"Content-Type": "multipart/form-data; boundary=xyz"})
    assert answer.status_code == (422 if body == b"--xyz--\r\n" else 400)
    v1.problem(answer, answer.status_code, ("pointer", "/tool") if answer.status_code == 422 else None)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71,
                                  'multipart/form-data; boundary="a b ', "multipart/form-data; boundary=a\"b"])
def test_a_boundary_that_is_none(client, nothing_left, kind):
    v1.problem(client.request("POST", "/jobs", data=b"--x--\r\n", headers={"Content-Type": kind}), 400, ("header", "Content-Type"))


def test_memory_does_not_grow_with_the_body(client):
    """60 MiB pass through workers that keep their size."""
    before = machine.private_bytes(client.stack.pids("worker"))
    for _ in range(4):
        answer = multipart(client, [("name=tool", "", b"show"), ("name=big", "", b"x" * (30 << 20))])
        assert v1.job(answer, 202)
    assert machine.private_bytes(client.stack.pids("worker")) - before < 4 << 20
