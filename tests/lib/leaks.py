"""What a stack must not leave behind when it has been stopped: processes, faults in the spool, a sanitizer's report, a core."""

import os
import re
import subprocess
from pathlib import Path

from stack import procs

REPORT = re.compile(rb"ERROR: (Address|Leak|Memory|Thread)Sanitizer|runtime error:|stack smashing detected|Assertion .* failed")
# What the leak check says when its process is killed in the middle of it, as Stack.end() kills supervisors.
SHOT = re.compile(r"^==\d+==Unable to get registers from thread \d+\.$")


def processes(folder):
    """Living processes that run from below this folder, or have a file or their working directory there."""
    found = []
    for pid in procs.all_pids():
        if pid == os.getpid() or procs.start_ticks(pid) is None:
            continue
        names = ["exe", "cwd"]
        try:
            names += [f"fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
            links = [os.readlink(f"/proc/{pid}/{name}") for name in names]
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if any(link == folder or link.startswith(folder + "/") for link in links):
            found.append(f"{pid}: {words}")
    return found


def reports(folder):
    """Sanitizers' words, in their own files, in logs and in the logs of jobs."""
    texts = {path: path.read_text(errors="replace") for path in Path(folder, "log/sanitizer").iterdir()}
    found = [f"{path}: {text[:4000]}" for path, text in texts.items()
             if not all(SHOT.search(line) for line in text.splitlines())]
    for path in [*Path(folder, "log").glob("*.log"), *Path(folder).glob("spool/jobs/*/*/log")]:
        data = path.read_bytes()
        match = REPORT.search(data)
        if match:
            start = data.rfind(b"\n", 0, match.start()) + 1
            found.append(f"{path}: {data[start:start + 4000].decode(errors='replace')}")
    return found


def cores(folder):
    # find(1), for a hostile job may have left folders deeper than Python recurses.
    found = subprocess.run(["find", folder, "-type", "f", "-name", "core*"], capture_output=True, text=True, check=False).stdout.splitlines()
    return [path for path in found if Path(path).open("rb").read(4) == b"\x7fELF"]


def check(stack):
    """Raises AssertionError with everything that is wrong."""
    wrong = []

    def gone():
        return not (processes(stack.path) or processes(stack.spool))
    try:
        procs.wait_until(gone, 10, "processes end")
    except TimeoutError:
        wrong += ["left running " + line for line in processes(stack.path) + processes(stack.spool)]
    wrong += ["sanitizer: " + text for text in reports(stack.path)]
    wrong += ["core file " + path for path in cores(stack.path)]
    if os.path.isfile(os.path.join(stack.spool, "format")):
        status, text = stack.doctor()
        if status != 0:
            wrong.append(f"spoolgate doctor --spool ended with {status}:\n{text}")
    if wrong:
        logs = "".join(f"\n--- {part}\n{stack.server.tail(part, 30)}" for part in ("helper", "gate"))
        raise AssertionError("\n".join(wrong) + logs)
