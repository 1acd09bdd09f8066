"""The state folder: its place, its parts with owners and modes, its lock, templates, and the certificate."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile

from . import accounts

SOCKET_PATH_MAX = 107	# of sun_path, without its NUL
LONGEST_SOCKET = "helper/admin.sock"
STATE_PATH_MAX = 140	# a line of a configuration file has at most 198 bytes


class StackError(Exception):
    """Something the person at the terminal can do something about; status is the exit status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def _others_may_enter(path):
    """Whether every folder above path lets other accounts through."""
    path = os.path.dirname(path)
    while True:
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def prepare(path):
    """Makes the state folder and returns its real path. As root it has to lie where the unprivileged accounts can reach it;
    where they cannot (below /root, say) its content lies in /var/lib and the path becomes a link to it."""
    path = os.path.abspath(path)
    if len(os.fsencode(os.path.realpath(path))) > STATE_PATH_MAX:
        raise StackError(f"{path}: too long, a state folder's path has at most {STATE_PATH_MAX} bytes")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.getuid() == 0 and not os.path.islink(path) and not _others_may_enter(os.path.realpath(path)):
        if os.path.isdir(path):
            if os.listdir(path):
                raise StackError(f"{path}: the accounts of spoolgate cannot reach this folder, and it is not empty")
            os.rmdir(path)
        name = "quickstart-" + hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:12]
        os.makedirs(f"/var/lib/spoolgate/{name}", exist_ok=True)
        os.symlink(f"/var/lib/spoolgate/{name}", path)
    real = os.path.realpath(path)
    os.makedirs(real, exist_ok=True)
    if not _others_may_enter(real) and os.getuid() == 0:
        raise StackError(f"{real}: the accounts of spoolgate cannot reach this folder")
    if re.search(r"[^A-Za-z0-9._/+@=,~-]", real):
        raise StackError(f"{real}: a state folder's path has letters, digits and . _ / + @ = , ~ - only")
    os.chmod(real, 0o711 if os.getuid() == 0 else 0o700)
    return real


class Lock:
    """state/lock, held while somebody starts or stops the stack."""

    def __init__(self, state):
        self.file = os.path.join(state, "lock")

    def __enter__(self):
        self.fd = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def own_folder(path, account, mode):
    """A folder of this account; also when it was there."""
    os.makedirs(path, exist_ok=True)
    if os.getuid() == 0:
        os.chown(path, account.uid, account.gid)
    os.chmod(path, mode)


def make_parts(state):
    """The folders below the state folder."""
    root = accounts.Account("", os.getuid(), os.getgid(), ())
    for name, account, mode in (
            ("etc", root, 0o755), ("tls", root, 0o755), ("log", root, 0o755), ("nginx", root, 0o711),
            ("gate", accounts.gate(), 0o700)):
        own_folder(os.path.join(state, name), account, mode)


def make_run(state, old):
    """The folder of sockets: state/run, or where that path is too long for a socket a short one; old: the one before."""
    run = os.path.join(state, "run")
    if len(os.fsencode(os.path.join(run, LONGEST_SOCKET))) > SOCKET_PATH_MAX:
        run = old if old and os.path.isdir(old) and os.stat(old).st_uid == os.getuid() else \
            tempfile.mkdtemp(prefix="spoolgate-", dir="/run" if os.getuid() == 0 else "/tmp")
    # Nobody but the user comes near an ordinary user's sockets; root's are for several accounts.
    own_folder(run, accounts.Account("", os.getuid(), os.getgid(), ()), 0o711 if os.getuid() == 0 else 0o700)
    own_folder(os.path.join(run, "helper"), accounts.helper(), 0o711)
    return run


def fill(text, values, where):
    """A template with its @names@ replaced; a name without value is our mistake."""
    def value(match):
        if match.group(1) not in values:
            raise KeyError(f"{where}: nothing to put for @{match.group(1)}@")
        return str(values[match.group(1)])
    return re.sub(r"@([a-z_]+)@", value, text)


def merge_ini(text, changes):
    """text with the values of changes ({section: {key: value}}); None and an empty value take the line out."""
    left = {section: dict(keys) for section, keys in changes.items()}
    out, section = [], None

    def flush():
        for key, value in left.pop(section, {}).items():
            if value not in (None, ""):
                out.append(f"{key} = {value}")
    for line in text.splitlines():
        header = re.fullmatch(r"\[(.+)\]", line)
        pair = re.fullmatch(r"([a-z_-]+)\s*=\s*(.*)", line)
        if header:
            flush()
            section = header.group(1)
        elif pair:
            key, value = pair.groups()
            value = left.get(section, {}).pop(key, value)
            if value in (None, ""):
                continue
            line = f"{key} = {value}"
        out.append(line)
    flush()
    for section in list(left):
        out.append(f"[{section}]")
        flush()
    return "\n".join(out) + "\n"


def write(path, text, mode=0o644):
    """Replaces a file by rename."""
    fd, temp = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(path))
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(fd, mode)
    os.replace(temp, path)


def write_json(path, obj):
    write(path, json.dumps(obj, indent=1, sort_keys=True) + "\n", 0o600)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def _openssl(*args, folder):
    done = subprocess.run(["openssl", *args], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(f"openssl {args[0]}: {done.stderr.strip()}")


def make_certificate(tls, names):
    """ca.pem and, signed by it, server.pem with server.key for these names; made anew a month before they run out or when the
    names change. ca.key is thrown away: nothing else can be signed with it."""
    wanted = ",".join(("IP:" if re.fullmatch(r"[0-9.]+|.*:.*", n) else "DNS:") + n for n in names)
    current = os.path.join(tls, "server.pem")
    if os.path.exists(current) and read_json(os.path.join(tls, "names.json")).get("names") == wanted and subprocess.run(
            ["openssl", "x509", "-checkend", str(30 * 86400), "-noout", "-in", current], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return
    work = tempfile.mkdtemp(prefix=".new-", dir=tls)
    try:
        ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _openssl("req", "-x509", *ec, "-days", "825", "-subj", "/CN=spoolgate quickstart CA", "-addext",
                 "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", "ca.key", "-out", "ca.pem", folder=work)
        _openssl("req", *ec, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr", folder=work)
        write(os.path.join(work, "ext"), f"subjectAltName={wanted}\nbasicConstraints=CA:FALSE\n"
              "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
        _openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "824",
                 "-extfile", "ext", "-out", "server.pem", folder=work)
        for name, mode in (("ca.pem", 0o644), ("server.pem", 0o644), ("server.key", 0o600)):
            os.chmod(os.path.join(work, name), mode)
            os.replace(os.path.join(work, name), os.path.join(tls, name))
        write_json(os.path.join(tls, "names.json"), {"names": wanted})
    finally:
        shutil.rmtree(work)
