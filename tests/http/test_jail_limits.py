"""Limits of a whole tree where no cgroup counts it: memory wherever it lies, CPU time wherever it was spent, and no false alarm for what
is shared or can be dropped. Landlock behind the mounts."""

import pytest

from lib import jobs, running, v1

LIMIT = 96 << 20
HEAD = "import ctypes, mmap, os, signal, subprocess, sys, time\nM = 1 << 20\n"


@pytest.fixture(scope="module")
def client(ground, programs):
    def tool(**limits):
        limits = {"limit_wall": "60s", "limit_log": "1M", "limit_memory": "96M", "limit_processes": "64", **limits}
        return running.tool(["/usr/bin/python3", "-s", "{script.py}"], inputs=["script.py"], **limits)
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools={"python": tool(), "hasty": tool(limit_cpu="2s"),
                                                               "small": tool(limit_output="8M", limit_output_files="50", limit_file="64M")}, slots=2))


def run(client, script, tool="python"):
    done = client.run(tool, inputs={"script.py": HEAD + script})
    return done, jobs.log(client.stack, done["id"])


def is_out_of_memory(client, script):
    done, log = run(client, script + "\nprint('survived')\n")
    result = client.stack.record(done["id"], "result.json")
    assert (done["verdict"], result["message"]) == ("out_of_memory", "memory limit"), (result, log)
    assert "survived" not in log
    assert LIMIT < result["peak_memory_bytes"] < 4 * LIMIT, result
    assert done["exit_code"] is None


MEMORY = {
    "its own": "kept = bytearray(400 * M)\ntime.sleep(50)",
    "a grandchild's": """
if os.fork() == 0:
    if os.fork() == 0:
        kept = b"x" * (400 * M); time.sleep(50)
    os._exit(0)
time.sleep(50)""",
    "many small": """
for _ in range(8):
    if os.fork() == 0:
        kept = bytearray(30 * M); time.sleep(50)
time.sleep(50)""",
    "shared and anonymous": "kept = mmap.mmap(-1, 400 * M); kept.write(b'x' * (400 * M)); time.sleep(50)",
    "files in /tmp and /dev/shm": """
for place in ("/tmp", "/dev/shm"):
    with open(place + "/f", "wb") as f: f.write(bytes(40 * M))
kept = bytearray(60 * M); time.sleep(50)""",
    "a deleted file in /dev/shm": """
f = open("/dev/shm/f", "wb"); os.unlink("/dev/shm/f"); f.write(bytes(40 * M)); f.flush()
kept = bytearray(80 * M); time.sleep(50)""",
    "page tables": """
space = mmap.mmap(-1, 1 << 37, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ)
space.madvise(15) if hasattr(mmap, "MADV_NOHUGEPAGE") else None
seen = sum(space[at] for at in range(0, 1 << 37, 2 * M)); time.sleep(50)""",
    "names in /tmp": """
for i in range(200000): os.close(os.open(f"/tmp/{i}", os.O_CREAT))
time.sleep(50)""",
    "sockets": """
import socket
kept = []
for i in range(4):
    if os.fork() == 0:
        for _ in range(120):
            kept += [pair := socket.socketpair()]
            for end in pair:
                end.setblocking(False)
                try:
                    while True: end.send(bytes(60000))
                except BlockingIOError: pass
        time.sleep(50)
time.sleep(50)""",
    "behind others who take the CPUs": """
for _ in range(50):
    if os.fork() == 0:
        while True: pass
kept = bytearray(300 * M); time.sleep(50)""",
    "of one that hides": """
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
kept = bytearray(400 * M); time.sleep(50)""",
}


@pytest.mark.parametrize("what", MEMORY)
def test_memory_counts_wherever_it_lies(client, what):
    is_out_of_memory(client, MEMORY[what])


PEACEFUL = {
    "what forks share": """
kept = bytearray(60 * M)
for _ in range(6):
    if os.fork() == 0:
        time.sleep(1); os._exit(0)
for _ in range(6): os.wait()""",
    "an address space between vfork and exec": """
kept = bytearray(60 * M)
# vfork(2) by number, for the child to stay a while with its parent's memory.
import threading
for _ in range(3): subprocess.run(["/bin/sleep", "0.1"])
libc = ctypes.CDLL(None)
libc.syscall.restype = ctypes.c_long
stack = ctypes.create_string_buffer(1 << 20)
child = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: (time.sleep(0.5), 0)[1])
pid = libc.clone(child, ctypes.c_void_p(ctypes.addressof(stack) + (1 << 20) - 64), 0x100 | 17, None)
assert pid > 0
os.waitpid(pid, 0)""",
    "files on disk": """
with open("big", "wb") as f: f.write(bytes(300 * M))
with open("big", "r+b") as f:
    seen = mmap.mmap(f.fileno(), 0); total = sum(seen[at] for at in range(0, len(seen), 4096)); time.sleep(0.5)
os.unlink("big")""",
    "a file of a tmpfs that is mapped": """
from multiprocessing import shared_memory
kept = shared_memory.SharedMemory(create=True, size=40 * M)
kept.buf[:] = bytes(40 * M)
other = bytearray(10 * M); time.sleep(0.5)
kept.close(); kept.unlink()""",
    "what is given back": """
for _ in range(20):
    kept = bytearray(60 * M); del kept""",
}


@pytest.mark.parametrize("what", PEACEFUL)
def test_no_false_alarm(client, what):
    done, log = run(client, PEACEFUL[what] + "\nprint('survived')\n")
    assert done["verdict"] == "passed" and "survived" in log, (client.stack.record(done["id"], "result.json"), log)


CPU = {
    "one process": "while True: pass",
    "children that share it": """
for _ in range(4):
    if os.fork() == 0:
        while True: pass
time.sleep(50)""",
    "children one after the other": """
while True:
    if os.fork() == 0:
        until = time.process_time() + 0.3
        while time.process_time() < until: pass
        os._exit(0)
    os.wait()""",
}


@pytest.mark.parametrize("what", CPU)
def test_cpu_time_counts_wherever_it_was_spent(client, what):
    done, _ = run(client, CPU[what], "hasty")
    result = client.stack.record(done["id"], "result.json")
    assert done["verdict"] == "timeout" and result["message"] == "CPU time limit", result
    assert 1_500_000 <= result["cpu_usec"] < 4_000_000, result


OUTPUTS = {
    "many files": ("more files in its folder than allowed", """
for i in range(100): open(f"f{i}", "w")"""),
    "many in folders": ("more files in its folder than allowed", """
for i in range(10):
    os.mkdir(f"d{i}")
    for j in range(10): open(f"d{i}/{j}", "w")"""),
    "folders in each other": ("more files in its folder than allowed", """
for i in range(2000): os.mkdir("d"); os.chdir("d")"""),
    "bytes": ("more bytes in its folder than allowed", """
for i in range(10): open(f"f{i}", "wb").write(b"x" * M)"""),
    "in a shut folder": ("more bytes in its folder than allowed", """
os.mkdir("d")
for i in range(10): open(f"d/f{i}", "wb").write(b"x" * M)
os.chmod("d", 0)"""),
    "beyond the end of a file": ("more bytes in its folder than allowed", """
f = open("f", "wb"); assert ctypes.CDLL(None).fallocate(f.fileno(), 1, ctypes.c_long(0), ctypes.c_long(30 * M)) == 0"""),
    "without a name": ("more in its folder than allowed", """
f = open("f", "wb"); os.unlink("f"); f.write(b"x" * (20 * M)); f.flush()"""),
    "without a name and in two hands": ("more in its folder than allowed", """
f = open("f", "wb"); os.unlink("f"); f.write(b"x" * (20 * M)); f.flush(); os.fork()"""),
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_outputs_are_bounded_while_it_runs(client, what):
    message, script = OUTPUTS[what]
    done, _ = run(client, script + "\ntime.sleep(50)", "small")
    result = client.stack.record(done["id"], "result.json")
    assert (done["verdict"], result["message"].split(";")[0]) == ("output_limit", message), result
    assert result["wall_usec"] < 20_000_000


SMALL = {
    "a hole": """f = open("f", "wb"); f.truncate(63 * M); time.sleep(1); f.truncate(0)""",
    "several names": """
open("f", "wb").write(b"x" * (5 * M))
for i in range(5): os.link("f", f"g{i}")
time.sleep(1)
for i in range(5): os.unlink(f"g{i}")""",
    "little without a name, in many hands": """
f = open("f", "wb"); os.unlink("f"); f.write(b"x" * (5 * M)); f.flush()
for i in range(5):
    if os.fork() == 0: time.sleep(2); os._exit(0)
time.sleep(1.5)""",
    "files that come and go": """
for i in range(300):
    open(f"f{i % 40}", "wb").write(b"x" * 10000); time.sleep(0.005); os.unlink(f"f{i % 40}")""",
}


@pytest.mark.parametrize("what", SMALL)
def test_outputs_within_bounds_are_no_matter(client, what):
    done, log = run(client, SMALL[what], "small")
    assert done["verdict"] == "passed", (client.stack.record(done["id"], "result.json"), log)


def test_landlock_stands_behind_the_mounts(client):
    # /proc/self/comm is a writable file of a writable mount, which only Landlock forbids; what tools need goes on.
    done, log = run(client, """
try:
    open("/proc/self/comm", "w").write("other"); print("written")
except PermissionError: print("refused")
os.mkdir("a"); os.mkdir("b"); open("a/f", "w").write("x"); os.rename("a/f", "b/f"); os.link("b/f", "a/g"); os.truncate("b/f", 0)
open("/dev/null", "w").write("x"); os.symlink("b", "c"); os.mkfifo("/tmp/fifo"); open("/dev/shm/x", "w").write("x")
import socket
a = socket.socket(socket.AF_UNIX); a.bind("/tmp/s"); a.listen(); b = socket.socket(socket.AF_UNIX); b.connect("/tmp/s")
a = socket.socket(socket.AF_UNIX); a.bind("\\0name"); a.listen(); b = socket.socket(socket.AF_UNIX); b.connect("\\0name")
child = subprocess.Popen(["/bin/sleep", "50"]); child.terminate(); child.wait()
for name in ("device",):
    try:
        os.mknod(name, 0o020600, os.makedev(1, 3)); print("device made")
    except PermissionError: pass
""")
    assert done["verdict"] == "passed" and log == "refused\n", log
