"""What a hostile tool may try, and what stops it: the one list from which the tests are made and doc/security.md's table is drawn.

Each attack is a Python program that runs as a job of a tool with small limits. It is judged by verdict and message, and by what it printed
(`found`, one JSON object), and then by what must not be there any more. `about` has what it cannot know by itself: about["spool"] and the
like."""

from dataclasses import dataclass, field

HEAD = """import ctypes, errno, json, os, resource, signal, socket, stat, struct, subprocess, sys, time
M = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
about = json.load(open("about.json"))
def word(e):
    return errno.errorcode.get(e.errno, str(e.errno))
def tried(f, *args):
    try:
        f(*args); return "worked"
    except OSError as e:
        return word(e)
def call(f, *args):
    ctypes.set_errno(0)
    return "worked" if f(*args) >= 0 else errno.errorcode[ctypes.get_errno()]
def syscall(number, *args):
    return call(libc.syscall, ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
def say(**found):
    print(json.dumps(found), flush=True)
"""
LIMITS = {"limit_wall": "60s", "limit_memory": "128M", "limit_processes": "40", "limit_output": "8M", "limit_output_files": "1000",
          "limit_file": "4M", "limit_log": "64K"}


@dataclass
class Attack:
    name: str
    program: str
    verdict: str
    by: str	# what stopped it, where no cgroup has controllers
    message: tuple = ("",)	# any of these
    found: dict = None	# what it prints; None: not looked at
    cgroup: str = ""	# what stops it where one has; "": the same
    limits: dict = field(default_factory=dict)	# on top of LIMITS
    kill: bool = False	# it is killed when it has printed "up"


WALL, CPU, MEMORY = ("wall time limit",), ("CPU time limit",), ("memory limit",)
MANY, MUCH = "more files in its folder than allowed", "more bytes in its folder than allowed"

ATTACKS = [
    Attack("fork bomb", """
while True:
    try: os.fork()
    except OSError: pass
""", "timeout", "RLIMIT_NPROC of the jail's own user namespace, then the wall limit", WALL, limits={"limit_wall": "3s"},
           cgroup="pids.max and RLIMIT_NPROC, then the wall limit"),
    Attack("memory bomb", """
kept = [bytearray(M) for _ in range(1000)]
time.sleep(50)
""", "out_of_memory", "init adds up the tree and kills it", MEMORY, cgroup="memory.max"),
    Attack("memory bomb in a grandchild whose parents exit with 0", """
if os.fork() == 0:
    if os.fork() == 0:
        kept = [bytearray(M) for _ in range(1000)]; time.sleep(50)
    os._exit(0)
os.wait()
time.sleep(3)
""", "out_of_memory", "init adds up the tree and kills it", MEMORY, cgroup="memory.max"),
    Attack("memory in /tmp, /dev/shm and shared mappings", """
import mmap
kept = mmap.mmap(-1, 60 * M); kept.write(b"x" * (60 * M))
for place in ("/tmp", "/dev/shm"):
    for i in range(12): open(f"{place}/{i}", "wb").write(bytes(4 * M - 1))
time.sleep(50)
""", "out_of_memory", "init adds the tmpfs to the tree and kills it", MEMORY, cgroup="memory.max"),
    Attack("memory that belongs to no process", """
found = dict(memfd_create=syscall(319, b"x", 0), memfd_secret=syscall(447, 0), shmget=syscall(29, 0, 1000 * M, 0o1600), msgget=syscall(68, 0, 0o1600),
             semget=syscall(64, 0, 1000, 0o1600), vmsplice=syscall(278, 1, 0, 0, 0))
say(**found)
""", "passed", "the filter of system calls: not there", found={
        name: "ENOSYS" for name in ("memfd_create", "memfd_secret", "shmget", "msgget", "semget", "vmsplice")}),
    Attack("CPU spin in as many processes as there may be", """
for _ in range(35):
    if os.fork() == 0:
        while True: pass
while True: pass
""", "timeout", "init adds up the tree's CPU time and kills it", CPU, limits={"limit_cpu": "3s"}, cgroup="cpu.weight, and cpu.stat against the limit"),
    Attack("sleep past the limit", "time.sleep(1000)", "timeout", "the supervisor's clock", WALL, limits={"limit_wall": "1s"}),
    Attack("a stopped process", """
if os.fork() == 0:
    time.sleep(1000)
os.kill(0, signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
""", "timeout", "the supervisor's clock; SIGKILL ends what is stopped", WALL, limits={"limit_wall": "1s"}),
    Attack("10 GB to standard output, in the log", """
block = bytes(M)
for _ in range(10240): os.write(1, block)
""", "passed", "the log's cap, kept to the byte"),
    Attack("10 GB to a standard output of its own", """
block = bytes(M)
for _ in range(10240): os.write(1, block)
""", "output_limit", "the supervisor ends it at the cap", ("more on standard output than allowed",), limits={"stdout": "apart", "limit_stdout": "1M"}),
    Attack("a million small files", """
for i in range(1000000): os.close(os.open(f"f{i}", os.O_CREAT | os.O_WRONLY))
time.sleep(50)
""", "output_limit", "the supervisor looks at the folder and ends it", (MANY,)),
    Attack("56 000 nested folders", """
for _ in range(56000):
    os.mkdir("d"); os.chdir("d")
time.sleep(50)
""", "output_limit", "the supervisor looks at the folder and ends it", (MANY, "folders in each other deeper than allowed")),
    Attack("a full disk", """
i = 0
while True:
    open(f"f{i}", "wb").write(bytes(4 * M - 1)); i += 1
""", "output_limit", "the supervisor looks at the folder and ends it", (MUCH,)),
    Attack("a full disk of files without a name", """
kept = []
for i in range(100):
    f = open("f", "wb"); os.unlink("f"); f.write(bytes(4 * M - 1)); f.flush(); kept.append(f)
time.sleep(50)
""", "output_limit", "init looks at what is open and kills it", ("more in its folder than allowed",)),
    Attack("a sparse terabyte", """
f = open("f", "wb")
say(beyond=tried(f.truncate, 1 << 40))
""", "passed", "RLIMIT_FSIZE", found={"beyond": "EFBIG"}),
    Attack("a sparse terabyte where no file has a limit", """
open("f", "wb").truncate(1 << 40); open("kept", "w").write("kept")
""", "output_limit", "the walk removes what is larger than the outputs may be", ("outputs over the limit were removed",), limits={"limit_file": None}),
    Attack("folders without permissions", """
os.makedirs("a/b/c"); open("a/b/c/kept", "w").write("kept"); os.chmod("a/b/c/kept", 0); os.chmod("a/b/c", 0); os.chmod("a/b", 0); os.chmod("a", 0)
os.chmod(".", 0)
""", "passed", "the walk gives its owner access, beneath descriptors"),
    Attack("an output that its readers may not read, by an access list or attributes", """
def entry(tag, may): return struct.pack("<HHI", tag, may, 0xffffffff)
nobody = struct.pack("<I", 2) + entry(1, 6) + entry(4, 0) + entry(16, 0) + entry(32, 0)
os.makedirs("a/b/c"); open("a/b/c/kept", "w").write("kept")
say(found=sorted({tried(os.setxattr, path, name, value) for path in ("a/b/c/kept", "a") for name, value in
    (("system.posix_acl_access", nobody), ("system.posix_acl_default", nobody), ("user.hidden", bytes(3000)))}))
""", "passed", "the filter: extended attributes are not supported", found={"found": ["ENOTSUP"]}),
    Attack("core dumps", """
try: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
except ValueError: os.abort()
""", "signalled", "RLIMIT_CORE, hard"),
    Attack("a daemon: double fork and setsid", """
setsid = []
if os.fork() == 0:
    setsid = tried(os.setsid)
    if os.fork() == 0:
        while True: time.sleep(1)
    say(setsid=setsid)
    os._exit(0)
os.wait()
""", "passed", "the filter refuses a session; the jail's pid namespace goes with the job", found={"setsid": "EPERM"}),
    Attack("ignoring SIGTERM", """
for n in range(1, 32):
    if n not in (9, 17, 19): signal.signal(n, signal.SIG_IGN)
print("up", flush=True)
while True: time.sleep(1)
""", "killed", "SIGKILL to the pid namespace after its grace", limits={"kill_grace": "200ms"}, kill=True),
    Attack("reading the spool, other jobs and the host's files", """
paths = [about["spool"], os.path.join(about["other"], "work", "secret"), about["other"] + "/log", about["other"] + "/job.json", about["config"], about["secrets"], "/etc/shadow", "/etc/hostname", "/root", "/home",
         "/var", "/sys", "/run/spoolgate", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/cwd/", "/proc/1/root/", "/proc/1/fd/3", "/proc/kcore",
         "/dev/mem", "/dev/kmsg", "/dev/sda"]
say(**{path: "read" for path in paths if tried(lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)) == "worked"},
    processes=len([p for p in os.listdir("/proc") if p.isdigit()]), helper=os.path.exists("/proc/%d" % about["helper"]))
""", "passed", "mounts: nothing of it is in the jail; init is not dumpable", found={"processes": 2, "helper": False}),
    Attack("what an account has for all its processes: signals that wait, message queues, ptys", """
ptys = []
try:
    while len(ptys) < 200: ptys.append(os.openpty())
except OSError: pass
waiting = 0
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
for pid in (os.getpid(), 1):
    for _ in range(5000): waiting += libc.sigqueue(pid, int(signal.SIGRTMIN), None) == 0
say(waiting=waiting <= 1024, queue=resource.getrlimit(resource.RLIMIT_SIGPENDING)[1] <= 1024, ptys=len(ptys) < 200, aio=syscall(206, 128, bytes(8)),
    inotify=syscall(294, 0))
""", "passed", "rlimits; the filter; no more descriptors than a process may have", found={
        "waiting": True, "queue": True, "ptys": True, "aio": "ENOSYS", "inotify": "ENOSYS"}),
    Attack("environment and descriptors of others", """
say(environment=sorted(os.environ), descriptors=sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
    kinds=[stat.S_IFMT(os.fstat(fd).st_mode) in (stat.S_IFIFO, stat.S_IFCHR) for fd in (0, 1, 2)])
""", "passed", "a list of the tool's own; 0 to 2", found={"environment": ["HOME", "LANG", "PATH", "PWD"], "descriptors": [0, 1, 2], "kinds": [True] * 3}),
    Attack("signals, ptrace and memory of others with its uid", """
buffer = ctypes.create_string_buffer(64)
vec = struct.pack("QQ", ctypes.addressof(buffer), 64)
there = struct.pack("QQ", 0x400000, 64)
def ptrace(pid): return call(libc.ptrace, 16, ctypes.c_int(pid), None, None)
say(signal_init=[word for word in (tried(os.kill, 1, n) for n in (9, 19, 15)) if word not in ("worked", "EPERM")], signal=tried(os.kill, about["helper"], 0), signal_all=tried(os.kill, about["supervisor"], 9), ptrace_helper=ptrace(about["helper"]), ptrace_init=ptrace(1),
    read_init=syscall(310, 1, vec, 1, there, 1, 0), write_init=syscall(311, 1, vec, 1, there, 1, 0), memory_init=tried(open, "/proc/1/mem", "r+b"))
""", "passed", "the pid namespace has nobody else; init is not dumpable and takes no signal", found={
        "signal_init": [], "signal": "ESRCH", "signal_all": "ESRCH", "ptrace_helper": "ESRCH", "ptrace_init": "EPERM", "read_init": "EPERM", "write_init": "EPERM",
        "memory_init": "EACCES"}),
    Attack("taking init's limits, CPU and priority away", """
none = struct.pack("QQ", 0, 0)
say(descriptors=syscall(302, 1, 7, none, 0), cpu=syscall(302, 1, 0, none, 0), idle=syscall(144, 1, 5, bytes(4)), affinity=syscall(203, 1, 8, struct.pack("Q", 1)),
    nice=syscall(141, 1, 1, 19), adjust=tried(open, "/proc/1/oom_score_adj", "w"))
""", "passed", "the filter spares pid 1", found={"descriptors": "EPERM", "cpu": "EPERM", "idle": "EPERM", "affinity": "EPERM", "nice": "ENOSYS",
                                                 "adjust": "EACCES"}),
    Attack("TCP, UDP, abstract and path sockets of the host", """
def connect(family, kind, address):
    s = socket.socket(family, kind); s.settimeout(5)
    try: s.connect(address); s.send(b"attack")
    finally: s.close()
tried(connect, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", about["udp"]))
say(tcp=tried(connect, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", about["tcp"])),
    outside=tried(connect, socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)), outside6=tried(connect, socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)),
    host=tried(connect, socket.AF_INET, socket.SOCK_STREAM, (about["address"], about["tcp"])),
    udp=tried(connect, socket.AF_INET, socket.SOCK_DGRAM, (about["address"], about["udp"])), abstract=tried(connect, socket.AF_UNIX, socket.SOCK_STREAM, about["abstract"]),
    path=tried(connect, socket.AF_UNIX, socket.SOCK_STREAM, about["path"]))
""", "passed", "a network namespace with nothing in it", found={
        "tcp": "ECONNREFUSED", "outside": "ENETUNREACH", "outside6": "ENETUNREACH", "host": "ENETUNREACH", "udp": "ENETUNREACH", "abstract": "ECONNREFUSED",
        "path": "ENOENT"}),
    Attack("netlink, packet and vsock sockets", """
say(**{name: tried(socket.socket, family, kind, 1) for name, family, kind in (("netlink", 16, socket.SOCK_RAW), ("packet", 17, socket.SOCK_RAW),
    ("vsock", 40, socket.SOCK_STREAM), ("alg", 38, socket.SOCK_SEQPACKET), ("raw", socket.AF_INET, socket.SOCK_RAW))})
""", "passed", "the filter of system calls; no capability", found={
        "netlink": "EAFNOSUPPORT", "packet": "EAFNOSUPPORT", "vsock": "EAFNOSUPPORT", "alg": "EAFNOSUPPORT", "raw": "EPERM"}),
    Attack("mounts, namespaces and the kernel's newer doors", """
say(unshare=syscall(272, 0x10000000), setns=syscall(308, 1, 0), mount=syscall(165, b"none", b"/tmp", b"tmpfs", 0, 0), chroot=tried(os.chroot, "/tmp"),
    clone_user=syscall(56, 0x10000000 | 17, 0, 0, 0, 0), clone3=syscall(435, 0, 0), bpf=syscall(321, 0, 0, 0), keyctl=syscall(250, 0, -3, 0),
    io_uring=syscall(425, 1, bytes(120)), userfaultfd=syscall(323, 0), perf=syscall(298, bytes(128), 0, -1, -1, 0), capabilities=open("/proc/self/status").read().split("CapEff:")[1].split()[0])
""", "passed", "the filter of system calls; no capability; --disable-userns", found={
        "unshare": "EPERM", "setns": "EPERM", "mount": "EPERM", "chroot": "EPERM", "clone_user": "EPERM", "clone3": "ENOSYS", "bpf": "EPERM", "keyctl": "EPERM",
        "io_uring": "ENOSYS", "userfaultfd": "EPERM", "perf": "EPERM", "capabilities": "0" * 16}),
    Attack("writing outside of its folder", """
places = ["/", "/usr", "/usr/bin", "/etc", "/run", "/dev", "/proc", "/job/..", "/proc/self", about["spool"], about["outside"]]
say(written=[place for place in places if tried(open, place + "/attack", "w") == "worked"], tmp=tried(open, "/tmp/attack", "w"), shm=tried(open, "/dev/shm/attack", "w"),
    comm=tried(lambda: open("/proc/self/comm", "w").write("x")), sysctl=tried(lambda: open("/proc/sys/kernel/hostname", "w").write("x")))
""", "passed", "read-only mounts, Landlock; /tmp and /dev/shm are the jail's own", found={
        "written": [], "tmp": "worked", "shm": "worked", "comm": "EACCES", "sysctl": ("EACCES", "EROFS")}),
    Attack("links, FIFOs, devices and sockets among the outputs", """
open("kept", "w").write("kept"); os.link("kept", "again"); os.symlink(about["outside"], "link"); os.symlink("/etc", "folder"); os.mkfifo("fifo")
s = socket.socket(socket.AF_UNIX); s.bind("socket")
say(device=tried(os.mknod, "device", 0o020666, os.makedev(1, 1)))
""", "passed", "the walk keeps regular files and folders alone; no device can be made", found={"device": ("EPERM", "EACCES")}),
    Attack("swapping a link under the readers of its live file", """
print("up", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    for _ in range(100):
        os.symlink(about["outside"], "new"); os.rename("new", "progress.json")
        open("new", "w").write('{"fine": 1}'); os.rename("new", "progress.json")
        os.mkfifo("new"); os.rename("new", "progress.json")
""", "passed", "readers follow no link, wait for no FIFO", limits={"live": "progress.json"}),
]


def cell(attack, cgroup):
    return attack.cgroup or attack.by if cgroup else attack.by


def table():
    """Markdown; each row is proven by the test of the same name."""
    rows = ["| attack | what stopped it, without cgroup controllers | with them | verdict |", "|---|---|---|---|"]
    for a in ATTACKS:
        rows.append(f"| {a.name} | {a.by} | {a.cgroup or 'the same'} | {a.verdict} |")
    return "\n".join(rows) + "\n"
