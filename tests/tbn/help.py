"""What the tests of the command share: running it, and unittest's result in the words that runtests counts."""
import json
import os
import subprocess
import sys
import unittest

ENGINE = os.environ.get("SPOOLGATE_TBN", os.path.abspath("spoolgate-tbn"))
# Under sanitizers or valgrind everything takes longer; a deadline is there to end a test that hangs.
DEADLINE = 60


def run(*args, text=None, **kwargs):
    """The finished command; text goes to its standard input."""
    return subprocess.run([ENGINE, *args], input=text, capture_output=True, encoding="utf-8", timeout=DEADLINE, check=False, **kwargs)


def service(text, *args):
    """Exit status and answer of a network given as a text."""
    done = run("--service", "-", *args, text=text)
    assert done.stderr == "", done.stderr
    assert done.stdout.count("\n") == 1 and done.stdout.endswith("\n"), done.stdout
    answer = json.loads(done.stdout)
    assert json.dumps(answer, separators=(",", ":"), sort_keys=True) + "\n" == done.stdout, done.stdout[:1000]
    return done.returncode, answer


def main():
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if result.wasSuccessful():
        print(f"[  PASSED  ] {result.testsRun} test(s).")
    sys.exit(not result.wasSuccessful())
