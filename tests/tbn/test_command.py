#!/usr/bin/env python3
"""The command spoolgate-tbn from outside: what the service relies on, and what a person sees."""
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

import help	# noqa: E402
from networks import network	# noqa: E402

B4 = "a b >mon1\na* b* >mon2\na >mon3\nb >mon4\n"
HARD = "\n".join(network("ring", 40)) + "\n"


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="spoolgate-tbn-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def start(self, *args, **kwargs):
        child = subprocess.Popen([help.ENGINE, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 encoding="utf-8", **kwargs)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child


def wait_for(condition, what):
    end = time.monotonic() + help.DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen")
        os.sched_yield()


class Service(Folder):
    def test_success(self):
        problem = self.file("problem.txt", B4)
        done = help.run("--service", "--status-word", "Completed", problem)
        self.assertEqual(done.stdout, '{"configs":[{"polymers":[[["a","b",">mon1"],["a*","b*",">mon2"]],[["a",">mon3"]],'
                         '[["b",">mon4"]]],"polymers_count":3}],"count":1,"entropy":3,"status":"Completed"}\n')
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_constraints_file(self):
        problem, free = self.file("problem.txt", B4), self.file("free", "FREE mon1\n")
        empty, comment = self.file("empty", ""), self.file("comment", "\n# FREE mon1\n")
        together = self.file("together", "TOGETHER\n")
        answers = [json.loads(help.run("--service", "-g", "0", problem, file).stdout) for file in (free, empty, comment, together)]
        self.assertEqual([answer["count"] for answer in answers], [0, 1, 1, 0])
        self.assertEqual(json.loads(help.run("--service", problem, free).stdout)["configs"][0]["polymers_count"], 2)

    def test_errors_of_the_input(self):
        for text, message in (("", "Input contains no monomers."), ("a *b", "Invalid BindingSite name. 'a *b'"),
                              ("é *\u2028\"\\", "Invalid BindingSite name. 'é *\u2028\"\\'"), ("a #\n*x\r\n", "Invalid BindingSite name. '*x\r'")):
            self.assertEqual(help.service(text), (1, {"message": message, "status": "TBNException"}))

    def test_minimum_polymers_are_quoted_as_given(self):
        for k in ("4", "4.0", "1e308", "9" * 300, "3.0000001", "inf"):
            message = (f"Minimum Polymers [{k}] exceeds the max entropy of TBN system. No Results can be computed. "
                       "Choose a lower value.")
            self.assertEqual(help.service(B4, "--init-k", k), (1, {"message": message, "status": "TBNException"}))
        self.assertEqual(help.service(B4, "--init-k=2.5", "--gen=2")[1]["count"], 1)
        self.assertEqual(help.service(B4, "--init-k=-3", "--gen=2.5")[1]["count"], 3)

    def test_numbers_that_are_none(self):
        self.assertEqual(help.service(B4, "--gen", "two"), (2, {"message": "gen must be a number", "status": "Exception"}))
        self.assertEqual(help.service(B4, "--init-k="), (2, {"message": "init_k must be a number", "status": "Exception"}))
        self.assertEqual(help.service("*", "--gen", "two")[0], 1)	# the input's own error wins
        self.assertEqual(help.service(B4, "--gen", "x", "--init-k", "99")[0], 2)

    def test_constraint_errors_win_over_minimum_polymers(self):
        """stableconfigs#22"""
        problem = self.file("problem.txt", "a:s\nb\n")
        for line, message in (("FREE z", "Monomer 'z' does not exist. 'FREE z'"), ("ANYPAIRED s", "Binding Site [s] does not have any "
                              "complementary binding sites in the system.")):
            done = help.run("--service", "--init-k=99", problem, self.file("constraints.txt", line))
            self.assertEqual(json.loads(done.stdout), {"message": message, "status": "TBNException"})

    def test_other_errors_are_exceptions(self):
        missing = os.path.join(self.folder, "missing")
        for args, part in ((["--service", missing], "cannot open"), (["--service", self.folder], "cannot read"),
                           (["--service"], "no problem file"), (["--service", "a", "b", "c"], "too many"),
                           (["--nonsense", "--service", "-"], "unknown option"), (["--service", "-", "-"], "standard input"),
                           (["--service", "--time-limit=x", "-"], "--time-limit"), (["--service", "--memory=-1", "-"], "--memory"),
                           (["--service", self.file("latin1", b"a\xe9\n")], "UTF-8")):
            done = help.run(*args, text="")
            answer = json.loads(done.stdout)
            self.assertEqual((done.returncode, answer["status"], done.stderr), (2, "Exception", ""), args)
            self.assertIn(part, answer["message"])

    def test_too_large_a_network_is_refused_at_once(self):
        start = time.monotonic()
        status, answer = help.service("".join("a b\na* b*\na\nb*\n" for _ in range(3000)))
        self.assertEqual((status, answer["status"]), (2, "Exception"))
        self.assertIn("too large", answer["message"])
        self.assertLess(time.monotonic() - start, 20)

    def stop(self, problem, *args, ready=lambda: True, sig=signal.SIGTERM):
        """What a stopped run answers, and how long that took from the signal on."""
        child = self.start("--service", *args, problem)
        wait_for(ready, "the run getting ready")
        child.send_signal(sig)
        start = time.monotonic()
        out, err = child.communicate(timeout=help.DEADLINE)
        took = time.monotonic() - start
        self.assertEqual((child.returncode, err), (3, ""))
        self.assertEqual(out.count("\n"), 1)
        answer = json.loads(out)
        self.assertEqual(answer["status"], "TBNException")
        self.assertLess(took, 2)
        return answer["message"]

    def test_stopped_while_it_solves(self):
        """stableconfigs#29"""
        live = os.path.join(self.folder, "progress.json")
        for sig in (signal.SIGTERM, signal.SIGINT):
            message = self.stop(self.file("problem.txt", HARD), "--live", live, ready=lambda: os.path.exists(live), sig=sig)
            self.assertRegex(message, r"^Early Termination at count \[1\] min polymers \[[1-9]\d*\]\.$")
            self.assertEqual(os.listdir(self.folder).count("progress.json.new"), 0)
            os.unlink(live)

    def test_stopped_while_it_reads(self):
        fifo = os.path.join(self.folder, "problem.fifo")
        os.mkfifo(fifo)
        opened = []

        def ready():	# once the other end can be opened, the engine sits in its read
            try:
                opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                return False
            return True

        self.assertEqual(self.stop(fifo, ready=ready), "Early Termination at count [0] min polymers [0].")
        os.close(opened[0])

    def test_stopped_while_it_encodes(self):
        problem = self.file("problem.txt", "\n".join(network("sorting", 14)) + "\n")
        child = self.start("--service", problem)
        statm = f"/proc/{child.pid}/statm"

        def grown():
            with open(statm, encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") > 48 << 20

        wait_for(grown, "the formula growing")
        child.send_signal(signal.SIGTERM)
        start = time.monotonic()
        out, _ = child.communicate(timeout=help.DEADLINE)
        self.assertLess(time.monotonic() - start, 2)
        self.assertRegex(json.loads(out)["message"], r"^Early Termination at count \[[01]\] min polymers \[\d+\]\.$")

    def test_stopped_while_it_generates(self):
        live = os.path.join(self.folder, "progress.json")

        def tenth():
            try:
                with open(live, encoding="utf-8") as file:
                    return json.load(file)["count"] > 10
            except FileNotFoundError:
                return False

        message = self.stop(self.file("problem.txt", "\n".join(network("strands", 30)) + "\n"), "--gen=1000000000", "--live", live,
                            ready=tenth)
        self.assertGreater(int(message.split("[")[1].split("]")[0]), 10)
        self.assertIn("min polymers [30].", message)

    def test_time_limit(self):
        """stableconfigs#30"""
        # More configurations than any machine finds in that time; a quick one finds a million.
        for text, args in ((HARD, ()), ("\n".join(network("strands", 30)) + "\n", ("--gen=1000000000",))):
            start = time.monotonic()
            status, answer = help.service(text, "--time-limit=0.5", *args)
            self.assertEqual(status, 4)	# before the answers, which may be too large to be shown side by side
            self.assertEqual(answer, {"message": "SoftTimeLimitExceeded()", "status": "TimedOut"})
            self.assertLess(time.monotonic() - start, 5)

    def test_memory_limit(self):
        for name, size in (("sorting", 14), ("strands", 30)):	# the formula; what was found
            status, answer = help.service("\n".join(network(name, size)) + "\n", "--gen=1000000000", "--memory=64")
            self.assertEqual((status, answer["status"]), (2, "Exception"))
            self.assertIn("64 MiB", answer["message"])

    def test_progress_is_valid_at_any_moment_and_never_falls(self):
        """stableconfigs#35"""
        live = os.path.join(self.folder, "progress.json")
        self.start("--service", "--gen=1000000000", "--live", live, self.file("problem.txt", "\n".join(network("strands", 30)) + "\n"))
        wait_for(lambda: os.path.exists(live), "progress")
        last, seen = 0, set()
        while len(seen) < 4:
            with open(live, encoding="utf-8") as file:
                text = file.read()
            state = json.loads(text)
            self.assertEqual(text, f'{{"count":{state["count"]},"k":{state["k"]},"status":"Progress"}}\n')
            self.assertGreaterEqual(state["count"], last)
            last = state["count"]
            seen.add(last)


class Person(Folder):
    def test_text(self):
        done = help.run("-", text=B4)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, """entropy 3 (polymers of a stable configuration)

configuration 1: 3 polymers, stable
    1  {a b >mon1} {a* b* >mon2}
    2  {a >mon3}
    3  {b >mon4}

1 configuration
""")
        lines = help.run("-g", "4", "-", text=B4).stdout.splitlines()
        self.assertEqual([line for line in lines if line.startswith("configuration")],
                         ["configuration 1: 3 polymers, stable"] + [f"configuration {i}: 2 polymers" for i in (2, 3, 4)])
        self.assertEqual(lines[-1], "4 configurations")

    def test_json_has_the_content_of_the_service(self):
        for args in (["-g", "4"], ["-g", "0"]):
            problem, free = self.file("problem.txt", B4), self.file("free", "FREE mon1\n")
            person = help.run("--json", *args, problem, free)
            machine = help.run("--service", *args, problem, free)
            self.assertEqual(json.loads(person.stdout), json.loads(machine.stdout))

    def test_errors_name_file_line_and_token(self):
        problem, constraints = self.file("p.txt", "a >m\n\nb *c:x >n\n"), self.file("c.txt", "\nFREE q\n")
        done = help.run(problem)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"spoolgate-tbn: {problem}:3: Invalid BindingSite name. 'b *c:x >n' (at '*c:x')\n")
        done = help.run("-", constraints, text="a >m\n")
        self.assertEqual(done.stderr, f"spoolgate-tbn: {constraints}:2: Monomer 'q' does not exist. 'FREE q' (at 'q')\n")
        done = help.run("-", text="*\n")
        self.assertEqual(done.stderr, "spoolgate-tbn: standard input:1: Invalid BindingSite name. '*' (at '*')\n")
        done = help.run(self.file("latin1", b"a\nb\xe9\n"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("latin1:2: The input is not valid UTF-8.", done.stderr)

    def test_usage(self):
        done = help.run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("usage: spoolgate-tbn", done.stdout)
        self.assertEqual(help.run("--version").returncode, 0)
        done = help.run()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("usage:", done.stderr)

    def test_ctrl_c_shows_what_was_found(self):
        live = os.path.join(self.folder, "live")
        child = self.start("--json", "-g", "1000000000", "--live", live, self.file("problem.txt", "\n".join(network("strands", 20)) + "\n"))
        wait_for(lambda: os.path.exists(live), "progress")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=help.DEADLINE)
        answer = json.loads(out)
        self.assertEqual((child.returncode, answer["status"]), (3, "Interrupted"))
        self.assertGreater(answer["count"], 0)
        self.assertEqual(answer["count"], len(answer["configs"]))
        self.assertIn("Early Termination at count", err)

    def test_time_limit_shows_what_was_found(self):
        done = help.run("-g", "1000000000", "--time-limit", "0.3", "-", text="\n".join(network("strands", 20)))
        self.assertEqual(done.returncode, 4)
        self.assertIn("stopped by the time limit", done.stdout)

    def test_progress_on_a_terminal(self):
        main, side = pty.openpty()
        self.addCleanup(os.close, main)
        child = subprocess.Popen([help.ENGINE, "--time-limit=0.5", self.file("problem.txt", HARD)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=side)
        os.close(side)
        child.communicate(timeout=help.DEADLINE)
        shown = os.read(main, 65536).decode()
        self.assertRegex(shown, r"\rconfiguration 1, trying \d+ polymers, 0\.\d s\x1b\[K")

    def test_a_full_device_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for mode in ((), ("--service",), ("--json",)):
                done = subprocess.run([help.ENGINE, *mode, self.file("problem.txt", B4)], stdout=full, stderr=subprocess.PIPE,
                                      timeout=help.DEADLINE, check=False)
                self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    help.main()
