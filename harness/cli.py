"""The command line: `python -m harness COMMAND`.

Exit status: 0 done, 1 failed, 2 wrong usage, 10 a prerequisite is missing, 130 interrupted, 141 nobody reads what is
written. `doctor` and `score` exit with 0 healthy, 1 faulty, 2 could not observe.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import images, interrupts, keys, layouts, leases, lifecycle, orphans, preflight, remote, terminal
from harness.addresses import LAYOUTS, AddressPlan
from harness.deployment import Deployment
from harness.engine import Engine
from harness.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNREAD, HarnessError, HeldError
from harness.ownership import Liveness, Run
from harness.progress import say
from harness.timeline import Timeline

Command = Callable[[argparse.Namespace], int]

_BARE = (["up"], ["down"], ["status"])
"""What people wait for, and has no use for the doctor, who takes as long to import as everything else."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(bare=words[:1] in _BARE).parse_args(words)
    command: Command = options.command
    return guarded(lambda: command(options))


def guarded(work: Callable[[], int]) -> int:
    """Do a command's work and return its exit status; every known failure is one sentence on standard error.

    Interrupted, it leaves nothing behind that this process has brought up.
    """
    terminal.prepare()
    interrupts.as_keyboard_interrupt(say)
    orphans.mark_children()
    try:
        status = work()
        sys.stdout.flush()
    except HarnessError as error:
        terminal.complain(f"{error}")
        return error.exit_code
    except (DockerException, RequestException) as error:
        terminal.complain(f"the Docker engine stopped answering or refused: {error}")
        return EXIT_FAILED
    except BrokenPipeError:
        return EXIT_UNREAD
    except OSError as error:
        terminal.complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; {_removed_own()}\n")
        return EXIT_INTERRUPTED
    else:
        return status
    finally:
        terminal.abandon()


def _removed_own() -> str:
    """Remove what this process has brought up, and say whether that succeeded."""
    try:
        lifecycle.remove_own(Engine.connect(), say=say)
    except (HarnessError, DockerException, RequestException, OSError) as error:
        return f"what this command may have brought up could not be removed: {error}; `make sweep` removes it"
    return "nothing of this command is left running"


def _parser(*, bare: bool) -> argparse.ArgumentParser:
    """All commands; `bare` leaves out those that bring the doctor along."""
    parser = argparse.ArgumentParser(
        prog="python -m harness", description="Brings the deployment up and down, and says what is wrong with it."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    for name, command, text in (
        ("check", _check, "Sweep, as a run does, and check what it needs; exit 10 with a line for each thing missing."),
        ("up", _up, "Bring the deployment up with fresh keys, and leave it up."),
        ("down", _down, "Take the deployment down that was left up, and remove all that belongs to it."),
        ("status", _status, "Show each container, the tunnel, and which WireGuard is at work."),
    ):
        added = add(name, command, text)
        added.add_argument("--layout", choices=LAYOUTS, default="dev", help="which layout (default: dev)")
        added.add_argument(
            "--plan", type=AddressPlan.parse, default=AddressPlan(), metavar="N", help="address plan (default: 0)"
        )
        if command is _up:
            added.add_argument("--phases", action="store_true", help="print what the time was spent on")
    if not bare:
        from harness import catalogues, consulting  # noqa: PLC0415 (see _BARE)
        from harness.nights import commands as nights  # noqa: PLC0415
        from harness.score import record as scoring  # noqa: PLC0415

        consulting.add_to(add)
        scoring.add_to(add)
        catalogues.add_to(add)
        nights.add_to(add)
    prepare = add("prepare", _prepare, "Make images, keys and secrets, after which a bare `docker compose up` works.")
    prepare.add_argument("--layout", choices=LAYOUTS, default="dev", help="for which layout (default: dev)")
    add("images", _images, "List the images on the engine that were built here, and what they are built on.")
    sweep = add("sweep", _sweep, "Remove what dead runs left behind; never anything that is not the harness's.")
    sweep.add_argument("--kept", action="store_true", help="also deployments that were kept on purpose")
    sweep.add_argument("--force", action="store_true", help="also runs of other machines, alive or not")
    sweep.add_argument(
        "--engine",
        action="append",
        metavar="URL",
        help="on this engine of another machine, such as ssh://root@a; once for each (default: this machine's)",
    )
    _add_keys(add("keys", _no_command, "Make and check WireGuard keys."))
    return parser


def _add_keys(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    generate = commands.add_parser("generate", help="make both key pairs and a preshared key in DIR")
    generate.add_argument("directory", type=_folder, metavar="DIR")
    generate.add_argument("--force", action="store_true", help="replace keys that are there")
    generate.set_defaults(command=_keys_generate)
    verify = commands.add_parser("verify", help="check the keys in DIR: exit 0, or 1 with a line for each fault")
    verify.add_argument("directory", type=_folder, metavar="DIR")
    verify.set_defaults(command=_keys_verify)


def _folder(text: str) -> Path:
    """A folder; nothing at all, which a variable that is not set leaves of it, is not the current one."""
    if not text.strip():
        message = "it is empty: name a folder"
        raise argparse.ArgumentTypeError(message)
    return Path(text)


def _plan(options: argparse.Namespace) -> AddressPlan:
    return AddressPlan.of(options.layout, options.plan.index)


def _check(options: argparse.Namespace) -> int:
    engine = Engine.connect()
    lifecycle.sweep(engine, say=say)
    preflight.require(engine, _plan(options))
    say("prerequisites: all there")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    layouts.prepare(Engine.connect(), options.layout, say=say)
    return 0


def _images(_options: argparse.Namespace) -> int:
    sys.stdout.writelines(f"{reference}\n" for reference in images.made_here(Engine.connect()))
    return 0


def _up(options: argparse.Namespace) -> int:
    engine, plan, timeline = Engine.connect(), _plan(options), Timeline()
    if lifecycle.is_kept(engine, plan):
        layouts.ensure_images(engine, plan, say=say)
        if lifecycle.attach(engine, plan, say=say):
            return 0
        _down(options)
    with timeline.phase("prerequisites"):
        lifecycle.sweep(engine, say=say)
        preflight.require(engine, plan)
    with timeline.phase("images"):
        layouts.ensure_images(engine, plan, say=say)
        preflight.require_wireguard(engine, Run.start(plan.index))
    deployment = lifecycle.bring_up(engine, plan, keep=True, say=say, timeline=timeline)
    if options.phases:
        sys.stdout.write(f"{timeline.table()}\n")
    say(f"web {deployment.url('web', '/health/')}, services {deployment.url('services', '/health/')}")
    return 0


def _down(options: argparse.Namespace) -> int:
    engine, plan = Engine.connect(), _plan(options)
    run = leases.holder(engine, plan.index)
    if run is None:
        say(f"{plan.project}: nothing is up")
        return 0
    if run.layout != plan.layout or (not leases.is_kept(engine, run) and run.owner.liveness() is not Liveness.DEAD):
        raise HeldError(leases.describe_holder(engine, plan.index))  # what was not left up is at work
    lifecycle.remove(engine, run, say=say, graceful=False)  # what a process could still save goes with its volume
    return 0


def _status(options: argparse.Namespace) -> int:
    engine, plan = Engine.connect(), _plan(options)
    run = leases.holder(engine, plan.index)
    if run is None or run.layout != plan.layout:
        other = f"; {leases.describe_holder(engine, plan.index)}" if run else ""
        sys.stdout.write(f"{plan.project}: nothing is up{other}\n")
        return EXIT_FAILED
    deployment = layouts.view(engine, plan, run)
    sys.stdout.write("\n".join(_status_lines(deployment)) + "\n")
    return EXIT_FAILED if deployment.unwell() else 0


def _status_lines(deployment: Deployment) -> list[str]:
    states = deployment.states()
    width = max(map(len, states))
    lines = [f"{deployment.plan.project}, run {deployment.run.id}, since {deployment.run.since}"]
    lines += [f"  {service:<{width}}  {state}" for service, state in states.items()]
    for gateway in deployment.gateways:
        try:
            peer = gateway.peer()
            handshake = f"{peer.latest_handshake:%H:%M:%S} UTC" if peer.latest_handshake else "never"
            lines.append(
                f"  {gateway.service}: WireGuard by {gateway.implementation()}, latest handshake {handshake}, "
                f"received {peer.transfer_rx} B, sent {peer.transfer_tx} B"
            )
        except HarnessError as error:
            lines.append(f"  {gateway.service}: {error}")
    return lines


def _sweep(options: argparse.Namespace) -> int:
    with remote.engines(options.engine) if options.engine else contextlib.nullcontext((Engine.connect(),)) as engines:
        removed = sum(lifecycle.sweep(engine, say=say, kept=options.kept, force=options.force) for engine in engines)
    say(f"swept: {removed} runs removed" if removed else "swept: nothing was left behind")
    return 0


def _keys_generate(options: argparse.Namespace) -> int:
    keys.write(options.directory, keys.KeySet.generate(), overwrite=options.force)
    sys.stdout.write(f"keys made in {options.directory}: {', '.join(keys.FILES)}\n")
    return 0


def _keys_verify(options: argparse.Namespace) -> int:
    faults = keys.verify(options.directory)
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    if not faults:
        sys.stdout.write(f"{options.directory}: all keys are sound\n")
    return EXIT_FAILED if faults else 0


def _no_command(_options: argparse.Namespace) -> int:
    raise AssertionError("argparse requires a subcommand here")
