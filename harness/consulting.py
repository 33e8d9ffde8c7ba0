"""`python -m harness doctor` and `snapshot`: look at a deployment, or at saved evidence, and say what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import attached, configured, layouts, leases, remote, rolemap, terminal
from harness.addresses import LAYOUTS, AddressPlan
from harness.diagnosis import drift, evidence
from harness.diagnosis.evidence import Snapshot
from harness.diagnosis.judgement import Diagnosis, judge
from harness.diagnosis.prescription import prescription
from harness.engine import Engine
from harness.errors import EngineUnavailableError, HarnessError
from harness.examination import examined
from harness.production import PROJECT, has_servers
from harness.snapshot import Collector, collect

EXIT_UNSEEN = 2

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """Add the commands to the command line."""
    doctor = add("doctor", _doctor, "Say what is wrong with a deployment, and what to do; exit 0, 1 faulty, 2 unseen.")
    source = doctor.add_mutually_exclusive_group()
    source.add_argument("--snapshot", type=Path, metavar="FILE", help="judge saved evidence; needs no Docker engine")
    source.add_argument(
        "--compose",
        type=Path,
        action="extend",
        nargs="+",
        metavar="FILE",
        help="judge compose files, before anything is started",
    )
    doctor.add_argument("--env-file", type=Path, metavar="FILE", help="the environment of --compose and --like")
    doctor.add_argument(
        "--like",
        type=Path,
        action="extend",
        nargs="+",
        metavar="FILE",
        help="name what --compose says otherwise than these files, those of another layout",
    )
    doctor.add_argument("--json", action="store_true", help="print findings and hops as JSON")
    taken = add("snapshot", _snapshot, "Save what can be seen of a deployment, without its secrets, as one file.")
    taken.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to")
    for parser, group, looked_at in ((doctor, source, "--attach or --compose"), (taken, taken, "--attach")):
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="ROLE=SERVICE|FILE",
            help=f"which part a service of {looked_at} plays, or a TOML file that says so (docs/your-own.md)",
        )
        group.add_argument(
            "--attach",
            action="extend",
            nargs="+",
            metavar="NAME",
            help="look at these containers or compose projects, whoever brought them up",
        )
        group.add_argument(
            "--engine",
            action="append",
            metavar="URL",
            help="look at the production deployment on this engine, such as ssh://root@web; once for each server",
        )
        parser.add_argument("--layout", choices=LAYOUTS, default="dev", help="which layout (default: dev)")
        parser.add_argument(
            "--project", type=_name, metavar="NAME", help="the compose project (default: that of the plan)"
        )
        parser.add_argument("--plan", type=AddressPlan.parse, metavar="N", help="address plan (default: 0)")


def _name(text: str) -> str:
    """A name; a variable that is not set leaves none, which would stand for the default."""
    if not text.strip():
        message = "it is empty: name a compose project"
        raise argparse.ArgumentTypeError(message)
    return text


_SOURCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("snapshot", "compose", "attach"), ("plan", "project")),
    "engine": ("plan",),
}
"""What each that is looked at has no use for; `--layout`, which `make doctor` always gives, is borne by all."""


def _unused(options: argparse.Namespace) -> str | None:
    """Why an option would be passed over in silence; None where none would."""
    source = next((each for each in _SOURCES if getattr(options, each, None)), None)
    for name in _SOURCES.get(source or "", ()):
        if getattr(options, name) is not None:
            return f"--{name} says which deployment of this machine is meant, and --{source} names another"
    if source is None and options.layout == "prod" and options.project is not None:
        return "--project is not for --layout prod, of which --plan says which deployment of this machine is meant"
    return None


def _doctor(options: argparse.Namespace) -> int:
    """Whatever goes wrong here itself is no fault of the deployment, which exit status 1 would say."""
    try:
        return _examine(options)
    except BrokenPipeError:
        raise  # whoever reads it has read enough
    except OSError as error:
        terminal.complain(f"unknown: the diagnosis cannot be written: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 (no traceback for people, and a code that is true)
        reason = f"the doctor itself failed, which is a fault of the harness ({type(error).__name__}: {error})"
        _unseen(f"{reason}: please report it, with the command", options)
    return EXIT_UNSEEN


def _examine(options: argparse.Namespace) -> int:
    if unused := _unused(options):
        return _misused(unused)
    if not options.compose and (options.env_file or options.like):
        given = "--env-file is the environment of" if options.env_file else "--like is compared with"
        return _misused(f"{given} --compose, which is not given")
    if options.map and not (options.compose or options.attach):
        return _misused("--map says who is who in what --attach or --compose names, of which none is given")
    try:
        diagnosis = _compared(options) if options.like else _diagnosed(options)
    except (HarnessError, OSError) as error:  # also a file of this machine that cannot be looked at
        return _unseen(str(error), options)
    sys.stdout.write(_as_json(diagnosis) if options.json else prescription(diagnosis))
    sys.stdout.flush()
    return diagnosis.exit_code


def _as_json(diagnosis: Diagnosis) -> str:
    """As docs/troubleshooting.md has it, in letters that every terminal has; a container may say what is no text."""
    document = json.loads(diagnosis.to_json()) | {"static": diagnosis.static}
    return f"{json.dumps(document, indent=2)}\n"


def _misused(how: str) -> int:
    terminal.complain(how)
    return EXIT_UNSEEN


def _unseen(reason: str, options: argparse.Namespace) -> int:
    """Nothing could be looked at: that is not known, which is neither well nor ill."""
    static = bool(options.compose)
    layout = "configuration" if static else options.layout
    diagnosis = Diagnosis(status="unknown", layout=layout, findings=(), hops=(), unknown=(reason,), static=static)
    if options.json:
        sys.stdout.write(_as_json(diagnosis))
        sys.stdout.flush()
    else:
        terminal.complain(f"unknown: {reason}")
    return EXIT_UNSEEN


def _diagnosed(options: argparse.Namespace) -> Diagnosis:
    if options.snapshot:
        return judge(evidence.load(options.snapshot))
    if options.compose:
        read = configured.read(options.compose, options.env_file)
        return judge(configured.snapshot(read, rolemap.read(options.map)))
    found = examined(lambda: _look(options))
    for line in found.passed:
        terminal.complain(f"failed at a first look, and no more at a second: {line}")
    return found.diagnosis


def _compared(options: argparse.Namespace) -> Diagnosis:
    """Compose files judged for themselves and against those of another layout."""
    mapped = rolemap.read(options.map)
    judged, reference = (
        configured.side(" and ".join(map(str, files)), configured.read(files, options.env_file), mapped)
        for files in (options.compose, options.like)
    )
    return judge(judged.facts.snapshot).joined_by(drift.findings(judged, reference))


def _look(options: argparse.Namespace) -> Snapshot:
    """What is seen; raises `HarnessError` also where an engine goes away while it is asked."""
    try:
        return _look_at_engines(options)
    except (DockerException, RequestException) as error:
        message = f"the Docker engine stopped answering or refused: {error}"
        raise EngineUnavailableError(message) from error


def _look_at_engines(options: argparse.Namespace) -> Snapshot:
    if options.engine and options.attach:
        message = "--attach looks on this machine's engine, --engine on others: give one of them"
        raise HarnessError(message)
    if options.engine:
        with remote.engines(options.engine) as engines:
            found = attached.spread(engines, options.project or PROJECT)
            return Collector(found.nodes, layout="prod", project=found.project).collect()
    engine = Engine.connect()
    if options.layout == "prod" and not options.attach:
        return _look_at_servers(engine, options)
    if options.attach:
        found = attached.named(engine, options.attach, rolemap.read(options.map))
    else:
        found = attached.planned(engine, options.plan or AddressPlan(), options.project)
        if not found.nodes:
            message = (
                f"no container of the compose project {found.project} is there: `make up` brings it up, "
                "--attach NAME looks at containers of another name"
            )
            raise HarnessError(message)
    return Collector(found.nodes, layout=options.layout, project=found.project).collect()


def _look_at_servers(engine: Engine, options: argparse.Namespace) -> Snapshot:
    """The prod deployment that the harness brought up on this machine, and left up."""
    plan = AddressPlan.of("prod", options.plan.index if options.plan else 0)
    held = leases.holder(engine, plan.index)
    deployment = layouts.view(engine, plan, held) if held else None
    if deployment is None or not has_servers(deployment):
        message = (
            f"no deployment {plan.project} is up: `make up LAYOUT=prod` brings it up, --engine URL looks at servers "
            "that the harness did not bring up"
        )
        raise HarnessError(message)
    return collect(deployment)


def _snapshot(options: argparse.Namespace) -> int:
    if options.map and not options.attach:
        return _misused("--map says who is who in what --attach names, which is not given")
    if unused := _unused(options):
        return _misused(unused)
    try:
        bundle = _look(options).to_json()
    except HarnessError as error:
        terminal.complain(f"unknown: {error}")
        return EXIT_UNSEEN
    options.output.write_text(f"{bundle}\n", encoding="utf-8")
    nodes = [node["service"] for node in json.loads(bundle)["nodes"]]
    sys.stdout.write(f"{options.output}: what was seen of {', '.join(nodes)}; secrets are sealed or removed\n")
    return 0
