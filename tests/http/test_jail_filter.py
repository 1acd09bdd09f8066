"""The jail's second wall: system calls that no tool needs are refused by the kernel, whatever namespaces and capabilities would say."""

import json
import os

import pytest

from lib import jobs, machine, running, v1

# Each call with arguments that would do something, or fail in another way than by a filter.
PROBE = r'''
import ctypes, errno, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
N = dict(mount=165, umount2=166, pivot_root=155, unshare=272, setns=308, keyctl=250, add_key=248, request_key=249, bpf=321,
         perf_event_open=298, userfaultfd=323, io_uring_setup=425, io_uring_enter=426, clone3=435, memfd_secret=447, fsopen=430,
         open_tree=428, init_module=175, finit_module=313, kexec_load=246, reboot=169, settimeofday=164, clock_settime=227, swapon=167,
         sethostname=170, syslog=103, name_to_handle_at=303, open_by_handle_at=304, fanotify_init=300, modify_ldt=154, setsid=112, chroot=161,
         memfd_create=319, shmget=29, msgget=68, semget=64, pidfd_getfd=438, kcmp=312, personality=135, future=999, io_setup=206, inotify_init1=294, vmsplice=278)
found = {}
for name, number in N.items():
    ctypes.set_errno(0)
    buffer = ctypes.create_string_buffer(256)
    r = libc.syscall(number, 0x1234 if name == "personality" else 0, buffer, 0, 0, 0, 0)
    found[name] = errno.errorcode.get(ctypes.get_errno(), "") if r < 0 else "worked"
for flag in (0x20000, 0x40000000, 0x10000000, 0x20000000):
    r = libc.syscall(56, flag | 17, 0, 0, 0, 0)
    if r == 0:
        os._exit(0)
    found[f"clone {flag:#x}"] = errno.errorcode[ctypes.get_errno()] if r < 0 else "worked"
for name, family in (("netlink", 16), ("packet", 17), ("vsock", 40), ("alg", 38), ("bluetooth", 31), ("x25", 9), ("ax25", 3)):
    try:
        socket.socket(family, socket.SOCK_DGRAM if family != 40 else socket.SOCK_STREAM).close()
        found[name] = "worked"
    except OSError as e:
        found[name] = errno.errorcode[e.errno]
for name, request in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c), ("TIOCSTI with more", 0x700005412)):
    r = libc.syscall(16, 0, ctypes.c_ulong(request), ctypes.c_char_p(b"x"))
    found[name] = errno.errorcode[ctypes.get_errno()] if r < 0 else "worked"
# Each other request of the same byte meets the kernel, which has no terminal here.
# Init has the tool's uid: nothing of it may be changed.
for name, arguments in (("prlimit64", (302, 1, 7, ctypes.create_string_buffer(16), 0)), ("prlimit64 again", (302, (5 << 32) + 1, 7, 0, ctypes.create_string_buffer(16))),
                        ("sched_setscheduler", (144, 1, 5, ctypes.create_string_buffer(16))), ("sched_setaffinity", (203, 1, 8, ctypes.create_string_buffer(b"\1", 128))),
                        ("setpriority", (141, 0, 1, 19)), ("setpriority of the group", (141, 1, 1, 19)), ("setpriority of the user", (141, 2, 0, 19))):
    r = libc.syscall(*[ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments])
    found[name] = errno.errorcode[ctypes.get_errno()] if r < 0 else "worked"
os.nice(1); os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0)); os.sched_setscheduler(os.getpid(), os.SCHED_BATCH, os.sched_param(0))
for request in set(range(0x5400, 0x5500)) - {0x5412, 0x541c, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460, 0x541b}:
    assert libc.syscall(16, 0, ctypes.c_ulong(request), None) < 0 and ctypes.get_errno() == errno.ENOTTY, hex(request)
assert libc.syncfs(0) == 0
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    socket.socket(family, socket.SOCK_STREAM).close()
print(json.dumps(found))
'''
# What tools do all day must go on: threads, processes, shared memory, pipes, mmap, a compiler.
WORK = r'''
import concurrent.futures, ctypes, mmap, multiprocessing, os, subprocess, tempfile, threading, time
from multiprocessing import shared_memory
def square(n): return n * n
if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(4) as pool: assert sum(pool.map(square, range(10))) == 285
    with multiprocessing.get_context("fork").Pool(2) as pool: assert pool.map(square, [3]) == [9]
    segment = shared_memory.SharedMemory(create=True, size=4096); segment.buf[0] = 7; segment.close(); segment.unlink()
    assert subprocess.run(["/bin/sh", "-c", "echo $((6*7)) | cat"], capture_output=True, text=True).stdout == "42\n"
    with tempfile.TemporaryFile() as f: f.truncate(8192); mmap.mmap(f.fileno(), 8192).close()
    os.sched_getaffinity(0); time.clock_gettime(time.CLOCK_MONOTONIC); os.getrandom(8)
    print("worked")
'''


@pytest.fixture(scope="module")
def client(ground, programs):
    tool = running.tool(["/usr/bin/python3", "-s", "{script.py}"], inputs=["script.py"], limit_wall="60s", limit_log="1M", limit_stdout="1M",
                        stdout="apart")
    with running.Several(ground, programs) as several:
        yield v1.Client(several.make(conf=v1.OPEN, tools={"python": tool}, slots=2))


def run(client, script):
    done = client.run("python", inputs={"script.py": script})
    assert done["verdict"] == "passed", jobs.log(client.stack, done["id"])
    return client.get(f"/jobs/{done['id']}/stdout").text


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="cannot: the probe has the numbers of x86-64")
def test_what_no_tool_needs_is_refused(client):
    found = json.loads(run(client, PROBE))
    fall_back = {"io_uring_setup", "io_uring_enter", "clone3", "memfd_secret", "memfd_create", "shmget", "msgget", "semget", "pidfd_getfd", "kcmp", "io_setup", "inotify_init1", "vmsplice", "setpriority", "setpriority of the group", "setpriority of the user",
                 "personality", "future"}
    families = {"netlink", "packet", "vsock", "alg", "bluetooth", "x25", "ax25"}
    wanted = {name: "ENOSYS" if name in fall_back else "EAFNOSUPPORT" if name in families else "EPERM" for name in found}
    assert found == wanted


def test_what_tools_do_all_day_goes_on(client):
    assert run(client, WORK) == "worked\n"


def test_a_compiler_goes_on(client):
    if not os.path.exists("/usr/bin/gcc"):
        machine.cannot("there is no gcc here")
    script = ("import subprocess; open('a.c', 'w').write('int main(void) { return 0; }'); "
              "subprocess.run(['/usr/bin/gcc', '-O2', 'a.c', '-o', 'a'], check=True); subprocess.run(['./a'], check=True); print('built')")
    assert run(client, script) == "built\n"


def test_every_process_of_a_tool_has_it(make_stack):
    stack = make_stack(conf=v1.OPEN, tools={"sleeper": v1.shell("echo up; sleep 1000 & exec sleep 1000")}, slots=1)
    client = v1.Client(stack)
    job = client.submit("sleeper")["id"]
    machine.wait_for(lambda: v1.job(client.get(f"/jobs/{job}"))["log_bytes"], 30, "it runs")
    init = stack.record(job, "run.json")["init_pid"]
    space = os.readlink(f"/proc/{init}/ns/pid")
    seen, sessions = 0, set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != space:
                continue
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                text = file.read()
        except OSError:
            continue
        if int(pid) != init:
            sessions.add(os.getsid(int(pid)))
        assert ("Seccomp:\t2" in text or int(pid) == init) and "NoNewPrivs:\t1" in text and "CapEff:\t0000000000000000" in text, text
        seen += 1
    assert seen >= 3	# init and two sleeps
    # One session, so one share of the CPUs; init, who watches it, and the supervisor have their own.
    sessions |= {os.getsid(init), os.getsid(stack.record(job, "run.json")["pid"])}
    assert len(sessions) == 3
    client.request("POST", f"/jobs/{job}/kill")
    client.wait(job)
