"""Headless Chromium, driven through chromedriver's HTTP interface (W3C WebDriver)."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request

from . import machine


class Browser:
    """A browser for which the address `there` ("127.0.0.1:3000") is `here`, so that a test needs no fixed port."""

    def __init__(self, there, here):
        self.folder = tempfile.mkdtemp(prefix="sg-browser-")
        self.port = machine.Ports.free()
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "TMPDIR": self.folder, "LANG": "C.UTF-8"}
        self.log = open(os.path.join(self.folder, "driver.log"), "wb")	# noqa: SIM115 - closed in end()
        self.driver = subprocess.Popen(["/usr/bin/chromedriver", f"--port={self.port}"], stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=self.log, env=environment, start_new_session=True)
        self.session = None
        try:
            machine.wait_for(self._is_up, 30, "chromedriver answers")
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
                         f"--user-data-dir={self.folder}/profile", f"--host-resolver-rules=MAP {there} {here}"]
            self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}})["sessionId"]
            self.command("POST", "/timeouts", {"script": 60000})
        except BaseException:
            self.end()
            raise

    def _is_up(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from None

    def command(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def run(self, script, *args):
        """The value of an async function's body, with `args` as its arguments."""
        script = ("const done = arguments[arguments.length - 1], args = arguments;"
                  f"(async () => {{ {script} }})().then((v) => done({{value: v}}), (e) => done({{error: String(e)}}));")
        answer = self.command("POST", "/execute/async", {"script": script, "args": list(args)})
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def console(self):
        """What was written to the console since the last call, warnings and errors of the browser itself included."""
        return [(entry["level"], entry["message"]) for entry in self.command("POST", "/se/log", {"type": "browser"})]

    def end(self):
        try:
            if self.session:
                self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            self.log.close()
            shutil.rmtree(self.folder, ignore_errors=True)
