"""quickstart's command line."""

import argparse
import json
import os
import secrets
import subprocess
import sys

from . import accounts, build, folder, server
from .folder import Lock, StackError
from .services import SERVICES

CALLERS_PATH = os.environ.get("PATH", "")	# before main() takes the system's
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


def stan_environment():
    """What of our own environment makes the Stan compile service, with the compiler's PATH; {} where it is not wanted."""
    own = {name: value for name, value in os.environ.items() if name.upper().startswith(("TINYSTAN", "SWS_"))}
    # What is relative is so to where we are, not to where the programs will run.
    own.update({name: os.path.abspath(value) for name, value in own.items() if value and name.upper().endswith(("TINYSTAN", "_DIR"))})
    if own:
        own.update({name: value for name, value in os.environ.items() if name.startswith(("EMSDK", "EM_"))}, PATH=CALLERS_PATH)
    return own


def with_passcode(state, environment):
    """A passcode of its own for a Stan service that was given none, the same each time."""
    names = {name.upper() for name in environment}
    if not names & {"TINYSTAN", "TINYSTAN_DIR"} or "SWS_PASSCODE" in names:
        return environment
    path = os.path.join(state, "client/stan-passcode")
    if not os.path.exists(path):
        folder.own_folder(os.path.dirname(path), accounts.Account("", os.getuid(), os.getgid(), ()), 0o700)
        folder.write(path, secrets.token_urlsafe(12), 0o600)
    with open(path, encoding="ascii") as file:
        return {**environment, "SWS_PASSCODE": file.read()}


def wanted_options(args):
    """What the command line asks for; None: not said."""
    environment = stan_environment()
    for pair in args.env:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise StackError(f"--env {pair}: not NAME=VALUE", 64)
        environment[name] = value
    if args.port is not None and not 0 < args.port < 65536:
        raise StackError(f"--port {args.port}: not a port", 64)
    return {"port": args.port, "listen": args.listen, "classic": args.classic_ports or None, "environment": environment or None}


DEFAULTS = {"port": 8443, "listen": ["127.0.0.1", "[::1]"], "classic": False, "environment": {}}


def shown(key, value):
    """An option for people: of the environment the names alone, for values may be secret."""
    return json.dumps(sorted(value) if key == "environment" else value)


def open_stack(state, wanted):
    """The stack with its options: those it runs with, or the wanted ones where nothing runs."""
    base = {"source": SOURCE, "state": state, "programs": os.path.join(state, "programs")}
    stack = server.Server(server.Settings(**base))
    options = {key: DEFAULTS[key] if value is None else value for key, value in wanted.items()}
    if any(stack.alive(part) for part in server.PARTS):
        for key, value in wanted.items():
            if value is not None and value != stack.options[key]:
                raise StackError(f"This stack runs with {key} = {shown(key, stack.options[key])}: "
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
        wanted = wanted_options(args)
        if wanted["environment"]:
            wanted["environment"] = with_passcode(state, wanted["environment"])
        stack = open_stack(state, wanted)
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
        with open(client_token(stack), encoding="ascii") as file:
            stack.credentials["v1"] = {"token": file.read().strip()}
        stack.credentials.pop("stan", None)
        passcode = stack.stan_setting("SWS_PASSCODE", None)
        if passcode is not None:
            stack.credentials["stan"] = {"passcode": passcode}
        stack.save()
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


NETWORK = "a b >mon1\na* b* >mon2\na >mon3\nb >mon4\n"


def client_token(stack):
    """A file with a token of the native API for whoever runs the quickstart, made the first time."""
    folder.own_folder(os.path.join(stack.state, "client"), accounts.Account("", os.getuid(), os.getgid(), ()), 0o700)
    path = os.path.join(stack.state, "client/token")
    if os.path.exists(path):
        return path
    command = [stack.program("bin/spoolgate"), "token"]
    more = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "env": stack.environment()}
    subprocess.run([*command, "revoke", "quickstart", "--config", stack.config_file], **more)	# whose text is lost
    done = subprocess.run([*command, "add", "quickstart", "--config", stack.config_file], **more)
    if done.returncode != 0:
        raise StackError(done.stderr.strip())
    folder.write(path, done.stdout, 0o600)
    return path


def demonstrate(stack):
    """One real job, with the commands that anybody could type."""
    client = os.path.join(stack.state, "client")
    network, token = os.path.join(client, "network.txt"), client_token(stack)
    folder.write(network, NETWORK)
    settings = {"SPOOLGATE_SERVER": stack.summary()["url"], "SPOOLGATE_CA": stack.ca, "SPOOLGATE_TOKEN_FILE": token}

    def spoolgate(*words, remark=""):
        print("$ spoolgate " + " ".join(words) + (f"   # {remark}" if remark else ""), flush=True)
        done = subprocess.run([stack.program("bin/spoolgate"), *words, "--time-limit", "60s"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, env={**stack.environment(), **settings, "HOME": client})
        print(done.stdout, flush=True)
        if done.returncode != 0:
            raise StackError(f"`spoolgate {words[0]}` ended with {done.returncode}.")
        return done.stdout.strip()

    print("\nA thermodynamic binding network of four strands: how do they bind when they have time?\n")
    print(f"$ cat {network}\n{NETWORK}")
    print(f"$ export PATH={stack.program('bin')}:$PATH")
    for name, value in settings.items():
        print(f"$ export {name}={value}")
    print()
    job = spoolgate("submit", "stableconfigs", "-i", f"problem.txt={network}")
    spoolgate("log", "-f", job, remark="follows it to its end; this tool writes nothing but its answer")
    spoolgate("wait", job)
    spoolgate("fetch", job, "--stdout", "-o", "-")
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
