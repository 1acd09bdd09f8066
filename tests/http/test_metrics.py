"""/metrics: what all processes count together, who may read it, and a real Prometheus that does."""

import collections
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse

import pytest

from lib import machine, v1, web

TYPE = "text/plain; version=0.0.4; charset=utf-8"
TOOLS = {"sleeper": v1.shell("echo up; exec sleep 1000"), "quick": v1.shell("true"), "fails": v1.shell("exit 3"),
         "slow": v1.shell("true", limits="wall = 1s\n"), "twice": v1.shell("echo up; exec sleep 1000", head="twice = yes\n")}
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\})? (\S+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')
BOUNDS = 19
TOKEN = "correct-horse-battery"


def parse(text):
    """{(name, ((label, value), ...)): number} of a text whose form is checked as it is read."""
    out, types, seen = {}, {}, []
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            seen.append(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert seen[-1] == name and name not in types, line
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert re.sub("_(bucket|sum|count)$", "", name) == seen[-1] or name == seen[-1], line
            key = name, tuple(LABEL.findall(labels or ""))
            assert key not in out, line
            out[key] = float(value)
    assert len(seen) == len(set(seen))
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(out, name)
    return out


def check_histogram(samples, name):
    """Buckets grow, the last one is the count."""
    series = collections.defaultdict(list)
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            series[labels[:-1]].append((float(labels[-1][1]), value))
    for labels, buckets in series.items():
        assert len(buckets) == BOUNDS + 1 and buckets == sorted(buckets) and buckets[-1][0] == float("inf"), (name, labels)
        assert [n for _, n in buckets] == sorted(n for _, n in buckets), (name, labels)
        count, total = samples[name + "_count", labels], samples[name + "_sum", labels]
        assert buckets[-1][1] == count and (total > 0 or count == 0 or total == 0)


def url(stack):
    return f"https://localhost:{stack.port}/metrics"


def scrape(stack, **headers):
    with stack.session() as session:
        answer = session.get(url(stack), headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == TYPE and answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    return parse(answer.text)


def value(samples, name, **labels):
    """The sum of the samples of that name with these labels."""
    return sum(n for (sample, own), n in samples.items() if sample == name and set(labels.items()) <= set(own))


def await_value(stack, wanted, name, **labels):
    def look():
        samples = scrape(stack)
        return samples if value(samples, name, **labels) == wanted else None
    try:
        return machine.wait_for(look, 30, f"{name} {labels} becomes {wanted}")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {value(scrape(stack), name, **labels)}") from None


def ask_many(stack, paths, threads=8):
    """GETs on many connections, so that every worker has its share. The statuses."""
    def part(own):
        with stack.session() as session:
            return [session.get(stack.url("v1", path), headers={"Connection": "close"}, timeout=60).status_code for path in own]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return [s for part_ in pool.map(part, [paths[i::threads] for i in range(threads)]) for s in part_]


def begun(client, tool="sleeper"):
    body = client.submit(tool)
    def look():
        now = v1.job(client.get(f"/jobs/{body['id']}"))
        return now if now["log_bytes"] else None
    return machine.wait_for(look, 30, "it runs")


def test_the_text_is_what_promtool_wants(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS)
    client = v1.Client(stack)
    client.run("quick")
    with stack.session() as session:
        text = session.get(url(stack)).text
        head = session.head(url(stack))
        assert head.status_code == 200 and head.text == "" and head.headers["Content-Type"] == TYPE
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = session.request(method, url(stack))
            assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
            assert answer.text == "This method is not allowed here.\n"
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert session.options(url(stack)).status_code == 204
        lost = session.get(url(stack) + "/more")
        assert lost.status_code == 404 and lost.text == "Not found.\n"
        assert session.post(url(stack), data=b"x" * 5000).text == "The request body is too large.\n"
    parse(text)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout + done.stderr == ""


def test_counts_are_of_all_workers_and_survive_their_death(make_stack):
    stack = make_stack(conf={**v1.OPEN, "gate": {"workers": "3", "threads": "2"}}, tools=TOOLS)
    assert set(ask_many(stack, ["/tools/quick"] * 240)) == {200}
    labels = {"service": "v1", "route": "/tools/{}", "status": "200"}
    samples = await_value(stack, 240, "spoolgate_http_requests_total", **labels)
    assert value(samples, "spoolgate_http_request_duration_seconds_count", service="v1", route="/tools/{}") == 240
    assert 0 < value(samples, "spoolgate_http_request_duration_seconds_sum", service="v1", route="/tools/{}") < 240
    assert value(samples, "spoolgate_gate_workers") == 3
    replaced = value(samples, "spoolgate_gate_workers_replaced_total")
    for n in (1, 2):
        before = stack.pids("worker")
        assert stack.kill("worker")
        machine.wait_for(lambda: len(stack.pids("worker")) == 3 and set(stack.pids("worker")) != set(before), 30, "another")
        await_value(stack, replaced + n, "spoolgate_gate_workers_replaced_total")
    samples = scrape(stack)
    assert value(samples, "spoolgate_http_requests_total", **labels) == 240
    assert set(ask_many(stack, ["/tools/quick"] * 60)) == {200}
    await_value(stack, 300, "spoolgate_http_requests_total", **labels)
    # And over a keeper in the keeper's place.
    before = stack.pids("worker")
    assert stack.kill("keeper", signal.SIGHUP)
    machine.wait_for(lambda: not set(stack.pids("worker")) & set(before) and len(stack.pids("worker")) == 3, 30, "new workers")
    assert set(ask_many(stack, ["/tools/quick"] * 30)) == {200}
    samples = await_value(stack, 330, "spoolgate_http_requests_total", **labels)
    assert value(samples, "spoolgate_gate_workers_replaced_total") == replaced + 2


def test_a_failed_hangup_keeps_counting(make_stack):
    stack = make_stack(conf=v1.OPEN)
    assert set(ask_many(stack, ["/tools"] * 10)) == {200}
    stack.configure("metrics", open="yes", token_file="/nowhere")
    assert stack.kill("keeper", signal.SIGHUP)
    machine.wait_for(lambda: "everything stays as it is" in stack.log("gate"), 30, "the keeper says so")
    assert "[metrics] token_file: /nowhere: No such file or directory" in stack.log("gate")
    assert set(ask_many(stack, ["/tools"] * 10)) == {200}
    await_value(stack, 20, "spoolgate_http_requests_total", service="v1", route="/tools", status="200")


def test_labels_are_bounded_whatever_is_asked(make_stack):
    stack = make_stack(conf=v1.OPEN)
    odd = ["/" + urllib.parse.quote(f'x{n}"\\\n{{}}') for n in range(100)] + [f"/jobs/{n:032x}" for n in range(100)] + \
          [f"/jobs/{n}/files/a/b/{n}" for n in range(100)] + ["/%zz", "/a%00b", "/" + "x/" * 40]
    ask_many(stack, odd)
    for n in range(20):
        stack.fastcgi(f"METHOD{n}", "/nowhere", service=f"strange{n}")
    samples = await_value(stack, 20, "spoolgate_http_requests_total", service="other", route="other", status="500")
    routes = {dict(labels)["route"] for (name, labels) in samples if name == "spoolgate_http_requests_total"}
    assert routes <= {"other", "/", "/tools", "/tools/{}", "/jobs/{}", "/jobs/{}/files/{*}"}, routes
    assert value(samples, "spoolgate_http_requests_total", service="v1", route="/jobs/{}", status="404") == 100
    assert value(samples, "spoolgate_http_requests_total", service="v1", route="other", status="404") >= 100
    services = {dict(labels).get("service", "other") for (_, labels) in samples}
    assert services <= {"stableconfigs", "stan", "v1", "metrics", "other"}


def test_jobs_by_service_and_verdict(make_stack):
    stack = make_stack(conf={**v1.OPEN, "helper": {"queue_max": "2"}}, tools=TOOLS, slots=1)
    client = v1.Client(stack)
    for tool in ("quick", "quick", "fails"):
        client.run(tool)
    blocker = begun(client)
    waiting = [client.submit("quick") for _ in range(2)]
    v1.problem(client.request("POST", "/jobs", json={"tool": "quick"}), 503)
    v1.problem(client.request("POST", "/jobs", json={"tool": "nothing"}), 422, ("pointer", "/tool"))
    samples = scrape(stack)
    assert value(samples, "spoolgate_jobs_queued") == 2 and value(samples, "spoolgate_jobs_running") == 1
    assert value(samples, "spoolgate_limits_approximate") in (0, 1)
    assert value(samples, "spoolgate_slots") == 1 and value(samples, "spoolgate_queue_limit") == 2
    assert value(samples, "spoolgate_spool_jobs", state="live") == 3 and value(samples, "spoolgate_spool_jobs", state="kept") == 3
    assert value(samples, "spoolgate_queue_wait_seconds_count") == 4
    assert value(samples, "spoolgate_submissions_refused_total", reason="queue_full") == 1
    assert value(samples, "spoolgate_submissions_refused_total", reason="invalid") == 1
    assert value(samples, "spoolgate_submissions_refused_total") == 2
    v1.job(client.request("POST", f"/jobs/{blocker['id']}/kill"), 202)
    for body in (blocker, *waiting):
        client.wait(body["id"])
    samples = await_value(stack, 6, "spoolgate_jobs_finished_total", service="v1")
    verdicts = {dict(labels)["verdict"]: n for (name, labels), n in samples.items()
                if name == "spoolgate_jobs_finished_total" and ("service", "v1") in labels}
    assert {v: n for v, n in verdicts.items() if n} == {"passed": 4, "failed": 1, "killed": 1} and len(verdicts) == 9
    assert value(samples, "spoolgate_jobs_accepted_total", service="v1") == 6 == value(samples, "spoolgate_jobs_accepted_total")
    assert value(samples, "spoolgate_queue_wait_seconds_count") == 6 == value(samples, "spoolgate_start_latency_seconds_count")
    assert 0 < value(samples, "spoolgate_start_latency_seconds_sum") < 60
    assert value(samples, "spoolgate_queue_wait_seconds_sum") > 0
    assert value(samples, "spoolgate_run_seconds_count") == 6
    assert value(samples, "spoolgate_jobs_queued") == value(samples, "spoolgate_jobs_running") == 0
    await_value(stack, 6, "spoolgate_spool_jobs", state="kept")
    assert value(scrape(stack), "spoolgate_spool_results_bytes") > 0
    stack.restart("helper")
    await_value(stack, 6, "spoolgate_spool_jobs", state="kept")
    assert client.request("DELETE", f"/jobs/{blocker['id']}").status_code == 204
    samples = await_value(stack, 5, "spoolgate_spool_jobs", state="kept")
    assert value(samples, "spoolgate_spool_jobs", state="live") == 0
    for process in ("helper", "keeper", "workers"):
        assert 1e5 < value(samples, "spoolgate_resident_memory_bytes", process=process) < 4e9
    assert value(samples, "spoolgate_spool_disk_free_bytes") > 0 and value(samples, "spoolgate_accepting") == 1


def test_refusals_have_their_reasons(make_stack):
    conf = {**v1.OPEN, "helper": {"owner_queued": "1"}}
    stack = make_stack(conf=conf, tools=TOOLS, slots=1)
    stack.configure("v1", queued_max="2")
    assert stack.command("reload").returncode == 0
    client, other, third = v1.Client(stack), v1.Client(stack, stack.token("other")), v1.Client(stack, stack.token("third"))
    begun(client)
    submit = {"json": {"tool": "quick"}}
    assert [c.request("POST", "/jobs", **submit).status_code for c in (client, client, other, third)] == [202, 429, 202, 503]
    assert stack.command("drain").returncode == 0
    assert third.request("POST", "/jobs", **submit).status_code == 503
    samples = await_value(stack, 3, "spoolgate_submissions_refused_total")
    for reason in ("owner_cap", "service_cap", "not_accepting"):
        assert value(samples, "spoolgate_submissions_refused_total", reason=reason) == 1
    assert value(samples, "spoolgate_accepting") == 0
    assert stack.command("resume").returncode == 0
    assert value(scrape(stack), "spoolgate_accepting") == 1


def test_crashes_of_helper_and_supervisors(make_stack):
    stack = make_stack(conf=v1.OPEN, tools=TOOLS, slots=3)
    client = v1.Client(stack)
    goes_on, lost = begun(client), begun(client)
    stack.kill("helper")
    samples = scrape(stack)
    assert value(samples, "spoolgate_helper_up") == 0 and not any("jobs" in name for name, _ in samples)
    stack.start("helper")
    samples = await_value(stack, 1, "spoolgate_helper_up")
    # Counters of the helper begin anew, with what it met.
    assert value(samples, "spoolgate_jobs_accepted_total") == 0
    assert value(samples, "spoolgate_jobs_recovered_total", how="adopted") == 2
    assert value(samples, "spoolgate_jobs_running") == 2
    again = begun(client, "twice")
    for body in (lost, again):
        supervisor = stack.record(body["id"], "run.json")["pid"]
        os.kill(supervisor, signal.SIGKILL)
    samples = await_value(stack, 1, "spoolgate_jobs_recovered_total", how="started_again")
    samples = await_value(stack, 1, "spoolgate_jobs_finished_total", service="v1", verdict="lost")
    assert value(samples, "spoolgate_jobs_recovered_total", how="lost") == 1
    assert goes_on["id"] in stack.jobs() and client.get(f"/jobs/{goes_on['id']}").json()["state"] == "running"


def test_without_a_token_it_is_for_this_host_alone(make_stack):
    stack = make_stack()

    def status(address, **params):
        got = stack.fastcgi("GET", "/metrics", service="metrics", prefix="/metrics", REMOTE_ADDR=address, **params)
        if got[0] != 200:
            assert got[0] == 403 and b"for this host alone" in got[2] and got[2].count(b"\n") == 1
        return got[0]
    for address in ("127.0.0.1", "127.9.9.9", "::1", "unix:", "::ffff:127.0.0.1"):
        assert status(address) == 200, address
    for address in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "::", "0.0.0.0", "", "localhost", None):
        assert status(address) == 403, address
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"):
        assert status("127.0.0.1", **{header: "127.0.0.1"}) == 403
    # What a client says of itself changes nothing, also through nginx.
    with stack.session() as session:
        assert session.get(url(stack), headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 403
        assert session.get(url(stack)).status_code == 200


def test_open_is_for_everybody(make_stack):
    stack = make_stack(conf={"metrics": {"open": "yes"}})
    for address in ("192.0.2.1", "2001:db8::1", "127.0.0.1"):
        assert stack.fastcgi("GET", "/metrics", service="metrics", prefix="/metrics", REMOTE_ADDR=address)[0] == 200


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_token_opens_it_and_nothing_else_does(make_stack, ground, way):
    path = os.path.join(ground, f"metrics-token-{os.getpid()}")
    with open(path, "w", encoding="ascii") as file:
        file.write(("other" if way == "environment" else TOKEN) + "\n")
    os.chmod(path, 0o644)
    stack = make_stack(conf={"metrics": {"token_file": path}}, environment={"METRICS_TOKEN": TOKEN} if way == "environment" else {})
    with stack.session() as session:
        def get(authorization):
            return session.get(url(stack), headers={"Authorization": authorization} if authorization else {})
        for authorization in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            assert get(authorization).status_code == 200
        for authorization in (None, "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
                              "Bearer other"):
            answer = get(authorization)
            assert answer.status_code == 401, authorization
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="spoolgate metrics"'
            assert answer.text.count("\n") == 1 and TOKEN not in answer.text
    assert TOKEN not in stack.log("gate")
    samples = scrape(stack, Authorization=f"Bearer {TOKEN}")
    assert value(samples, "spoolgate_http_requests_total", service="metrics", route="/", status="401") == 8


def check(stack, **environment):
    """What the gate says to its configuration."""
    program = stack.server.program("libexec/spoolgate/spoolgate.fcgi")
    return subprocess.run([program, "--config", stack.server.config_file, "--check"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**stack.server.environment(), **environment})


@pytest.mark.parametrize("conf, token, words", [
    ({"open": "yes"}, "secret", "open = yes and a token exclude each other"),
    ({}, "two words", "METRICS_TOKEN: a token is one word"),
    ({}, "x" * 513, "METRICS_TOKEN: a token is one word"),
    ({"token_file": "/dev/null"}, "", "[metrics] token_file: /dev/null: Invalid argument"),
])
def test_faults_of_its_settings_are_told(make_stack, conf, token, words):
    stack = make_stack(parts=())
    stack.configure("metrics", **conf)
    done = check(stack, METRICS_TOKEN=token)
    assert done.returncode == 78 and words in done.stderr
    assert not token or token not in done.stderr.replace("a token exclude", "")


def test_an_empty_token_file_is_a_fault(make_stack, ground):
    stack = make_stack(parts=())
    for n, text in enumerate((b"", b"\n", b"two\nlines\n", b"nul\0inside\n")):
        path = os.path.join(ground, f"bad-token-{os.getpid()}-{n}")
        with open(path, "wb") as file:
            file.write(text)
        os.chmod(path, 0o644)
        stack.configure("metrics", token_file=path)
        done = check(stack)
        assert done.returncode == 78 and f"{path}: a token is one word" in done.stderr, text


class Prometheus:
    """A real one that scrapes a stack each half second."""

    def __init__(self, ground, stack, token):
        self.folder = os.path.join(ground, f"prometheus-{os.getpid()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.port = machine.Ports.free()
        with open(os.path.join(self.folder, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [{
                "job_name": "spoolgate", "scheme": "https", "tls_config": {"ca_file": stack.ca},
                "authorization": {"credentials": token}, "static_configs": [{"targets": [f"localhost:{stack.port}"]}]}]}, file)
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.session = web.session(True)

    def ask(self, query):
        """{labels: value} of an instant query; {} where it does not answer yet."""
        try:
            answer = self.session.get(f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": query}, timeout=10).json()
        except (OSError, ValueError):
            assert self.process.poll() is None, "Prometheus ended"
            return {}
        assert answer["status"] == "success", answer
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in answer["data"]["result"]}

    def await_value(self, query, wanted):
        return machine.wait_for(lambda: list(self.ask(query).values()) == [wanted], 60, f"{query} is {wanted}")

    def end(self):
        self.session.close()
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def test_a_real_prometheus_scrapes_it(make_stack, ground):
    stack = make_stack(conf={**v1.OPEN, "gate": {"workers": "2"}}, tools=TOOLS, environment={"METRICS_TOKEN": TOKEN}, slots=1)
    client = v1.Client(stack)
    prometheus = Prometheus(ground, stack, TOKEN)
    try:
        prometheus.await_value("up", 1)
        for tool in ("quick", "quick", "fails"):
            client.run(tool)
        sleeper = begun(client)
        prometheus.await_value('spoolgate_jobs_finished_total{service="v1",verdict="passed"}', 2)
        prometheus.await_value('spoolgate_jobs_finished_total{service="v1",verdict="failed"}', 1)
        prometheus.await_value("spoolgate_jobs_running", 1)
        prometheus.await_value('spoolgate_http_requests_total{service="v1",route="/jobs",status="202"}', 4)
        prometheus.await_value("spoolgate_start_latency_seconds_count", 4)
        prometheus.await_value('count(spoolgate_queue_wait_seconds_bucket)', BOUNDS + 1)
        assert 0 < list(prometheus.ask("histogram_quantile(0.99, spoolgate_start_latency_seconds_bucket)").values())[0] < 60
        stack.kill("helper")
        prometheus.await_value("spoolgate_helper_up", 0)
        stack.start("helper")
        prometheus.await_value('spoolgate_jobs_recovered_total{how="adopted"}', 1)
        v1.job(client.request("POST", f"/jobs/{sleeper['id']}/kill"), 202)
        prometheus.await_value("spoolgate_jobs_running", 0)
    finally:
        prometheus.end()
