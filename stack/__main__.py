"""quickstart's command line."""

import argparse
import json
import os
import subprocess
import sys
import time

from . import accounts, build, folder, server
from .folder import Lock, StackError
from .services import SERVICES

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def arguments():
    parser = argparse.ArgumentParser(prog="quickstart", description="""Builds spoolgate and runs it under a state folder: nginx with
        a certificate of its own, gate, helper. Without a command: `up`, then one job that you can watch.""")
    parser.add_argument("command", nargs="?", choices=("up", "down", "status"), help="""up: start what is missing, print one JSON
        object as the last line; down: stop it (running jobs go on and are taken up by the next `up`); status: print the same
        object and start nothing""")
    parser.add_argument("--state", metavar="DIR", default=os.path.join(SOURCE, "state"), help="state folder (default: %(default)s)")
    parser.add_argument("--port", metavar="N", type=int, help="HTTPS port (default: 8443)")
    parser.add_argument("--listen", metavar="ADDRESS", action="append", help="address of that port (default: loopback); repeatable")
    parser.add_argument("--classic-ports", action="store_true", help="also bind the reference servers' own ports on loopback: " +
                        ", ".join(f"{s.name} {s.classic_port}" for s in SERVICES.values() if s.classic_port))
    parser.add_argument("--stand-ins", action="store_true", help="serve a service that is off with test equipment; says what it serves")
    parser.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="environment of gate and helper; repeatable")
    return parser.parse_args()


def wanted_options(args):
    """What the command line asks for; None: not said."""
    environment = {}
    for pair in args.env:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise StackError(f"--env {pair}: not NAME=VALUE", 64)
        environment[name] = value
    if args.port is not None and not 0 < args.port < 65536:
        raise StackError(f"--port {args.port}: not a port", 64)
    return {"port": args.port, "listen": args.listen, "classic": args.classic_ports or None, "environment": environment or None}


DEFAULTS = {"port": 8443, "listen": ["127.0.0.1", "[::1]"], "classic": False, "environment": {}}


def open_stack(state, wanted):
    """The stack with its options: those it runs with, or the wanted ones where nothing runs."""
    base = {"source": SOURCE, "state": state, "programs": os.path.join(state, "programs")}
    stack = server.Server(server.Settings(**base))
    options = {key: DEFAULTS[key] if value is None else value for key, value in wanted.items()}
    if any(stack.alive(part) for part in server.PARTS):
        for key, value in wanted.items():
            if value is not None and value != stack.options[key]:
                raise StackError(f"This stack runs with {key} = {json.dumps(stack.options[key])}: "
                                 "`quickstart down` it before it can run otherwise.")
        options = stack.options
    plain = {s.name: s.classic_port for s in SERVICES.values() if s.classic_port} if options["classic"] else {}
    stack = server.Server(server.Settings(**base, port=options["port"], listen=tuple(options["listen"]), plain=plain,
                                          environment=options["environment"]))
    stack.options = options
    return stack


def up(args):
    build_dir = os.environ.get("SPOOLGATE_BUILD")	# somebody's own build, taken as it is
    if not build_dir:
        build_dir = os.path.join(SOURCE, "build/quickstart")
        build.build(SOURCE, build_dir)
    state = folder.prepare(args.state)
    with Lock(state):
        stack = open_stack(state, wanted_options(args))
        if args.stand_ins:
            print("--stand-ins: no service needs one, all are served by the real thing.", file=sys.stderr)
        if not all(stack.alive(part) for part in server.PARTS):
            # Programs are replaced only where none of them runs: parts of one stack are of one build.
            if not os.path.isdir(stack.settings.programs) or not any(stack.alive(part) for part in ("helper", "gate")):
                accounts.ensure()
                build.install(build_dir, stack.settings.programs)
            stack.prepare()
            stack.check()
            stack.up()
        return stack


def down(args):
    state = os.path.realpath(args.state)
    if not os.path.isfile(os.path.join(state, "stack.json")):
        print(f"Nothing runs in {args.state}.", file=sys.stderr)
        return
    with Lock(state):
        stack = open_stack(state, dict.fromkeys(DEFAULTS))
        stack.down()
        jobs = len(stack.supervisors())
        if jobs:
            print(f"{jobs} running job{'s go' if jobs > 1 else ' goes'} on; the next `up` takes up what becomes of "
                  f"{'them' if jobs > 1 else 'it'}.", file=sys.stderr)


def status(args):
    state = os.path.realpath(args.state)
    if not os.path.isfile(os.path.join(state, "stack.json")):
        raise StackError(f"There is no stack in {args.state}.")
    with Lock(state):
        return open_stack(state, dict.fromkeys(DEFAULTS))


def demonstrate(stack):
    """One real job through HTTPS, with the commands that anybody could type."""
    url, ca = stack.summary()["url"] + SERVICES["stableconfigs"].prefix, stack.ca
    network = '{"monomers":[["a","b",">mon1"],["a*","b*",">mon2"],["a",">mon3"],["b",">mon4"]]}'

    def curl(*words, shown=None):
        if shown:
            print(f"$ curl --cacert {ca} {shown}", flush=True)
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", ca, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise StackError(f"curl: {done.stderr.strip()}")
        return done.stdout.strip()

    print("\nA thermodynamic binding network of four strands: how do they bind when they have time?\n")
    answer = curl("-H", "Content-Type: application/json", "-d", network, f"{url}/task",
                  shown=f"-H 'Content-Type: application/json' \\\n    -d '{network}' \\\n    {url}/task")
    print(answer + "\n")
    try:
        task = json.loads(answer)["task_id"]
    except (ValueError, KeyError, TypeError):
        raise StackError("The job was not accepted.") from None
    deadline = time.monotonic() + 60
    while True:
        body, _, code = curl("-w", "\n%{http_code}", f"{url}/status/{task}").rpartition("\n")
        if code not in ("202", "203"):
            break
        if time.monotonic() > deadline:
            raise StackError("The job did not finish within a minute.")
        time.sleep(0.1)
    print(f"$ curl --cacert {ca} {url}/status/{task}\n{body.strip()}\n")
    if code != "200":
        raise StackError(f"The job ended with {code}.")
    job = task.replace("-", "")
    print(f"The job ran in a sandbox, and all there is of it lies in\n  {stack.spool}/jobs/{job[:2]}/{job}/\n"
          f"The stack goes on. Its logs are in {stack.state}/log, and this stops it:\n  ./quickstart down"
          + ("" if stack.state == os.path.realpath(os.path.join(SOURCE, "state")) else f" --state {stack.state}"))


def main():
    os.environ["PATH"] = server.SYSTEM_PATH
    os.umask(0o022)
    args = arguments()
    try:
        if args.command == "down":
            down(args)
        elif args.command == "status":
            print(json.dumps(status(args).summary()))
        else:
            stack = up(args)
            if args.command == "up":
                print(json.dumps(stack.summary()))
            else:
                demonstrate(stack)
    except (StackError, TimeoutError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return getattr(error, "status", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
