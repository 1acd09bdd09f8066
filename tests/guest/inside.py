"""What runs in the guest (lib/guest.py), as root and with nothing but Python's own library: a helper in a delegated cgroup, jobs, and a RESULT
line for each case, of facts that the tests outside judge."""

import array
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import traceback

sys.path.insert(0, "/guest")
import attacks	# noqa: E402

BASE, STATE, UID = "/sys/fs/cgroup/spoolgate", "/tmp/state", 900
PROGRAMS = "/opt/spoolgate"
SPOOL, GATE = STATE + "/spool", STATE + "/run/gate.sock"
CONF = f"""[spool]
path = {SPOOL}
disk_reserve = 1M
redo_bytes = 4M
[helper]
gate_socket = {GATE}
admin_socket = {STATE}/run/admin.sock
gate_user = root
admin_user = root
secrets = /dev/shm/sg/secrets
transient = /dev/shm/sg/transient
tools = {STATE}/tools
slots = 2
run_program = {PROGRAMS}/libexec/spoolgate/spoolgate-run
init_program = {PROGRAMS}/libexec/spoolgate/spoolgate-init
pack_program = {PROGRAMS}/libexec/spoolgate/spoolgate-pack
"""
PYTHON = "[tool]\ncommand =\n\t/usr/bin/python3.11\n\t-s\n\t{program.py}\n%s\n[input program.py]\n[input about.json]\nrequired = no\n[limits]\n%s\n"
LIMITS = {**attacks.LIMITS, "limit_wall": "120s"}


def tool(limits):
    keys = {key: value for key, value in {**LIMITS, **limits}.items() if value is not None}
    return PYTHON % ("\n".join(f"{k.replace('_', '-')} = {v}" for k, v in keys.items() if not k.startswith("limit_")),
                     "\n".join(f"{k[6:].replace('_', '-')} = {v}" for k, v in keys.items() if k.startswith("limit_")))


def key(attack):
    return "a" + re.sub("[^a-z0-9]+", "-", attack.name.lower())[:60]


def report(case, **facts):
    print("RESULT " + json.dumps({"case": case, **facts}), flush=True)


def wait_for(look, seconds, what):
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def folder(job):
    return f"{SPOOL}/jobs/{job[:2]}/{job}"


def record(job, name):
    return json.loads(read(f"{folder(job)}/{name}") or "{}")


class Helper:
    def __init__(self):
        self.process, self.sock, self.number = None, None, 0

    def start(self):
        def become():
            # Once controllers are switched on in it, a cgroup has no process of its own.
            leaf = BASE + "/spoolgated"
            with open((leaf if os.path.isdir(leaf) else BASE) + "/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")
            os.setgroups([])
            os.setgid(UID)
            os.setuid(UID)
        self.log = open("/tmp/helper.log", "ab")	# noqa: SIM115 - it lives as long as the guest
        self.process = subprocess.Popen([PROGRAMS + "/sbin/spoolgated", "--config", STATE + "/spoolgate.conf"], preexec_fn=become, stderr=self.log)
        self.connect()

    def connect(self):
        def reached():
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self.sock.connect(GATE)
                return True
            except OSError:
                return False
        wait_for(reached, 30, "the helper listens:\n" + read("/tmp/helper.log"))
        self.ask({"op": "hello", "versions": [1], "program": "test"})

    def ask(self, message, fds=()):
        self.number += 1
        self.sock.sendmsg([json.dumps({"n": self.number, **message}).encode()],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        while True:
            answer = json.loads(self.sock.recv(192 * 1024))
            if answer.get("n") == self.number:
                return answer

    def submit(self, name, program, about="{}"):
        fds, inputs = [], {"program.py": program.encode(), "about.json": about.encode()}
        for data in inputs.values():
            fd = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.write(fd, data)
            fcntl.fcntl(fd, 1033, 0xf)
            fds.append(fd)
        answer = self.ask({"op": "submit", "service": "test", "tool": name, "owner": "test:user:one", "params": {},
                           "deadline": time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + 60_000_000,
                           "inputs": [{"name": n, "size": len(d)} for n, d in inputs.items()]}, fds)
        for fd in fds:
            os.close(fd)
        assert answer["ok"], answer
        return answer["id"]

    def wait(self, job, seconds=120):
        return wait_for(lambda: record(job, "result.json"), seconds, f"{job} ends; its log: {read(folder(job) + '/log')}")

    def run(self, name, program, about="{}"):
        job = self.submit(name, attacks.HEAD + program, about)
        return job, self.wait(job)

    def kill(self, job):
        return self.ask({"op": "kill", "id": job, "by": "test"})


def job_cgroups():
    return sorted(name for name in os.listdir(BASE) if name.startswith("job-"))


def gone(*others):
    """That no job's cgroup is left but these, which the helper sees to a moment after the end."""
    left = [f"job-{other}" for other in others]
    try:
        wait_for(lambda: job_cgroups() == left, 10, "")
        return True
    except TimeoutError:
        return job_cgroups()


def processes_of(job):
    return read(f"{BASE}/job-{job}/cgroup.procs").split()


def begun(job):
    return wait_for(lambda: "up" in read(folder(job) + "/log"), 60, "it is up")


# The cases

def case_memory(helper):
    job, result = helper.run("python", "kept = [bytearray(M) for _ in range(1000)]; time.sleep(50)")
    report("memory", result=result, gone=gone())
    job, result = helper.run("python", """
if os.fork() == 0:
    if os.fork() == 0:
        kept = [bytearray(M) for _ in range(1000)]
    os._exit(0)
os.wait()
time.sleep(3)
os._exit(0)
""")
    report("grandchild", result=result, gone=gone())
    # The child of which the kernel makes an end, while its parent has nothing better to do than to exit well, and at once.
    job, result = helper.run("python", """
pid = os.fork()
if pid == 0:
    kept = [bytearray(M) for _ in range(1000)]
os.waitpid(pid, 0)
os._exit(0)
""")
    report("exit 0", result=result)
    for name, program in (("shm", "for i in range(60):\n    open(f'/dev/shm/{i}' if i % 2 else f'/tmp/{i}', 'wb').write(bytes(3 * M))\ntime.sleep(50)"),
                          ("mapping", "import mmap\nkept = mmap.mmap(-1, 400 * M); kept.write(b'x' * (400 * M)); time.sleep(50)"),
                          ("pipes", """
kept = []
for i in range(30):
    if os.fork() == 0:
        for _ in range(110):
            pair = socket.socketpair(); pair[0].setblocking(False); kept.append(pair)
            try:
                while True: pair[0].send(bytes(60000))
            except BlockingIOError: pass
        time.sleep(50)
time.sleep(50)""")):
        job, result = helper.run("python", program)
        report(name, result=result)
    job, result = helper.run("python", "kept = bytearray(80 * M); kept[::4096] = bytes(len(kept[::4096]))")
    report("peak", result=result)


def case_processes(helper):
    job = helper.submit("python", attacks.HEAD + """
print("up", flush=True)
while True:
    try: os.fork()
    except OSError: pass
""")
    begun(job)
    most, end = 0, time.monotonic() + 2
    while time.monotonic() < end:
        most = max(most, int(read(f"{BASE}/job-{job}/pids.current") or 0))
    limit = read(f"{BASE}/job-{job}/pids.max").strip()
    helper.kill(job)
    report("fork bomb", result=helper.wait(job), most=most, limit=limit, gone=gone())


def case_cpu(helper):
    job, result = helper.run("hasty", """
for _ in range(3):
    if os.fork() == 0:
        while True: pass
time.sleep(100)
""")
    report("cpu", result=result)
    # Whose parent ignores their end leaves no trace in /proc.
    job, result = helper.run("hasty", """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        until = time.process_time() + 0.2
        while time.process_time() < until: pass
        os._exit(0)
    time.sleep(0.25)
""")
    report("cpu unseen", result=result)


def case_share(helper):
    spin = attacks.HEAD + """
for _ in range(%d):
    if os.fork() == 0:
        while True: pass
print("up", flush=True)
while True: pass
"""
    many, one = helper.submit("python", spin % 15), helper.submit("python", spin % 1)
    begun(many)
    begun(one)

    def used(job):
        return int(re.search(r"usage_usec (\d+)", read(f"{BASE}/job-{job}/cpu.stat")).group(1))
    before = [used(job) for job in (many, one)]
    time.sleep(4)
    report("share", used=[used(job) - was for job, was in zip((many, one), before)], weight=read(f"{BASE}/job-{one}/cpu.weight").strip())
    for job in (many, one):
        helper.kill(job)
        helper.wait(job)


TREE = attacks.HEAD + """
for _ in range(10):
    if os.fork() == 0:
        time.sleep(1000)
print("up", flush=True)
time.sleep(1000)
"""


def case_ends(helper):
    job = helper.submit("python", TREE)
    begun(job)
    inside, outside = len(processes_of(job)), read(f"/proc/{record(job, 'run.json')['pid']}/cgroup").strip()
    helper.kill(job)
    report("kill", result=helper.wait(job), inside=inside, supervisor=outside, gone=gone())
    job = helper.submit("python", TREE)
    begun(job)
    inside = len(processes_of(job))
    os.kill(record(job, "run.json")["pid"], signal.SIGKILL)
    report("supervisor", result=helper.wait(job), inside=inside, gone=gone())
    job = helper.submit("python", TREE)
    begun(job)
    os.kill(helper.process.pid, signal.SIGKILL)
    helper.process.wait()
    alive = len(processes_of(job))
    helper.start()
    helper.kill(job)
    report("helper", result=helper.wait(job), alive=alive, gone=gone())
    # The helper executed anew has its limits and its base still.
    # It says when it has been told to grow: its limit, which it had before, is still its own.
    job = helper.submit("python", attacks.HEAD + "grow = []\nsignal.signal(signal.SIGTERM, lambda *_: grow.append(1))\nprint('up', flush=True)\n"
                        "while not grow: time.sleep(0.05)\nkept = [bytearray(M) for _ in range(1000)]\ntime.sleep(50)\n")
    begun(job)
    pid = helper.process.pid
    assert helper.ask({"op": "restart"})["ok"]
    helper.sock.close()
    helper.connect()
    second, result = helper.run("python", "kept = [bytearray(M) for _ in range(1000)]; time.sleep(50)")
    # Init is the first of them, the tool the second; nobody may send a signal to a tool but root.
    os.kill(int(sorted(processes_of(job), key=int)[1]), signal.SIGTERM)
    report("restart", same=pid == helper.process.pid, second=result, result=helper.wait(job), gone=gone(), log=read("/tmp/helper.log").count("limits of jobs are kept by cgroups"))


def case_strict(helper):
    job, result = helper.run("strict", "pass")
    report("strict", result=result)


def case_doctor(helper):
    """What it finds out, as root beside a job and as the helper's account, which may not enter the helper's cgroup."""
    job = helper.submit("long", TREE)
    begun(job)
    for name, ids in (("doctor", {}), ("doctor outside", {"user": UID, "group": UID, "extra_groups": []})):
        done = subprocess.run([PROGRAMS + "/bin/spoolgate", "doctor", "--config", STATE + "/spoolgate.conf", "--json"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, **ids)
        report(name, status=done.returncode, said=json.loads(done.stdout or "null"), errors=done.stderr[-1000:], gone=gone(job),
               helper=helper.process.pid, inside=len(processes_of(job)))
    helper.kill(job)
    helper.wait(job)


def case_attacks(helper):
    other = helper.submit("long", attacks.HEAD + "open('secret', 'w').write('x'); print('up', flush=True); time.sleep(1000)")
    begun(other)
    os.makedirs("/tmp/outside", mode=0o777)
    os.chmod("/tmp/outside", 0o777)
    tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract, path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind("\0attack")
    path.bind("/tmp/outside/socket")
    for s in (abstract, path):
        s.listen()
    about = json.dumps({"spool": SPOOL, "other": folder(other), "config": STATE + "/spoolgate.conf", "secrets": "/dev/shm/sg/secrets", "helper": helper.process.pid,
                        "supervisor": record(other, "run.json")["pid"], "outside": "/tmp/outside", "address": "192.0.2.1", "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1],
                        "abstract": "\0attack", "path": "/tmp/outside/socket"})
    for attack in attacks.ATTACKS:
        if attack.name.startswith("10 GB"):	# an hour in here, and nothing of it is another
            continue
        job = helper.submit(key(attack), attacks.HEAD + attack.program, about)
        if attack.kill:
            begun(job)
            helper.kill(job)
        result = helper.wait(job)
        report("attack", name=attack.name, result=result, log=read(folder(job) + "/log")[-3000:], outside=sorted(os.listdir("/tmp/outside")), gone=gone(other))
    helper.kill(other)
    report("other", result=helper.wait(other), reached=len(select.select([tcp, udp, abstract, path], [], [], 0)[0]))


def main():
    os.makedirs("/sys/fs/cgroup/guest")
    for path, text in (("guest/cgroup.procs", "0"), ("cgroup.subtree_control", "+memory +pids +cpu")):
        with open("/sys/fs/cgroup/" + path, "w", encoding="ascii") as file:
            file.write(text)
    os.makedirs(BASE)
    for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
        os.chown(BASE + name, UID, UID)
    for path in (STATE, SPOOL, STATE + "/run", STATE + "/tools", "/dev/shm/sg", "/dev/shm/sg/secrets", "/dev/shm/sg/transient"):
        os.makedirs(path)
        os.chown(path, UID, UID)
        os.chmod(path, 0o711)
    tools = {"python": {}, "hasty": {"limit_cpu": "2s"}, "strict": {"limits": "strict"}, "long": {"limit_wall": "1000s"},
             **{key(a): a.limits for a in attacks.ATTACKS}}
    for name, limits in tools.items():
        with open(f"{STATE}/tools/{name}.tool", "w", encoding="utf-8") as file:
            file.write(tool(limits))
    with open(STATE + "/spoolgate.conf", "w", encoding="utf-8") as file:
        file.write(CONF)
    helper = Helper()
    helper.start()
    report("start", log=read("/tmp/helper.log"), leaf=read(f"/proc/{helper.process.pid}/cgroup").strip())
    for case in (case_memory, case_processes, case_cpu, case_share, case_ends, case_strict, case_doctor, case_attacks):
        begin = time.monotonic()
        try:
            case(helper)
        except Exception:	# noqa: BLE001 - the others are to be seen too
            report("broken", what=case.__name__, why=traceback.format_exc(), log=read("/tmp/helper.log")[-2000:])
        print(f"{case.__name__} took {time.monotonic() - begin:.1f} s", flush=True)
    helper.process.terminate()
    report("end", status=helper.process.wait(30), left=job_cgroups(), seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


main()
