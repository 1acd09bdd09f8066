"""The unprivileged accounts: spoolgate (helper, supervisors), spoolgate-gate, and the groups through which nginx and the gate
read. Only root has them; an ordinary user's stack runs as that user, without groups."""

import fcntl
import grp
import os
import pwd
import subprocess
from dataclasses import dataclass

HELPER, GATE, NGINX = "spoolgate", "spoolgate-gate", "www-data"
READ_GROUP, GATE_GROUP = "spoolgate-read", "spoolgate-gate"
# Who is in which group besides its own. nginx: only through READ_GROUP.
MEMBERS = {READ_GROUP: (HELPER, GATE, NGINX), GATE_GROUP: (HELPER,)}


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int
    groups: tuple

    def popen(self):
        """Arguments of subprocess.Popen that make a child of this account."""
        if os.getuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}


def account(name):
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid, tuple(sorted(os.getgrouplist(name, entry.pw_gid))))


def _exists(look_up, name):
    try:
        look_up(name)
        return True
    except KeyError:
        return False


def ensure():
    """As root: makes what is missing of accounts and groups. Several may do so at once."""
    if os.getuid() != 0:
        return
    with open("/run/lock/spoolgate-accounts.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in (READ_GROUP, GATE_GROUP):
            if not _exists(grp.getgrnam, name):
                subprocess.run(["groupadd", "--system", name], check=True)
        for name in (HELPER, GATE):
            if not _exists(pwd.getpwnam, name):
                group = ["--gid", name] if _exists(grp.getgrnam, name) else ["--user-group"]
                subprocess.run(["useradd", "--system", *group, "--no-create-home", "--home-dir", "/nonexistent",
                                "--shell", "/usr/sbin/nologin", name], check=True)
        for group, names in MEMBERS.items():
            for name in names:
                entry = grp.getgrnam(group)
                if name not in entry.gr_mem and entry.gr_gid not in account(name).groups:
                    subprocess.run(["usermod", "--append", "--groups", group, name], check=True)


def _here(name):
    return account(name) if os.getuid() == 0 else Account("", os.getuid(), os.getgid(), ())


def helper():
    return _here(HELPER)


def gate():
    return _here(GATE)


def nginx():
    return _here(NGINX)
