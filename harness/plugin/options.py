"""What can be asked for on the command line, and what of it goes together."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from harness import configured, rolemap
from harness import engines as berths
from harness.addresses import LAYOUTS, AddressPlan
from harness.engines import Engines
from harness.errors import ConfigurationError, HarnessError
from harness.faults import Fault, catalogue
from harness.foreign.plan import LAYOUT, planned
from harness.plugin.invocation import say, worker_number
from harness.score.mutants import MUTANTS
from harness.sharding import Shard


def pytest_addoption(parser: pytest.Parser) -> None:
    """The harness's own options, in a group of their own in `pytest --help`."""
    group = parser.getgroup("deployment", "the deployment under test")
    group.addoption(
        "--layout",
        type=_layouts,
        default=("dev",),
        metavar="NAME[,NAME]",
        help=f"which layouts to test, {' or '.join(LAYOUTS)} or several (default: dev)",
    )
    group.addoption(
        "--plan",
        type=int,
        metavar="N",
        help="address plan of the first worker, of the next one N + 1, and so on; a worker whose plan is taken "
        "stops (default: each worker takes one that is free, the first one 0 if it can)",
    )
    group.addoption("--shard", type=_shard, metavar="N/M", help="only this one of M parts that machines share out")
    group.addoption(
        "--engines",
        type=_engines,
        default=(),
        metavar="URL[,URL]",
        help="spread the workers over these Docker engines, such as ssh://root@a,ssh://root@b, or docker contexts",
    )
    group.addoption(
        "--compose", type=Path, action="append", metavar="FILE", help="test a copy of your own deployment; repeatable"
    )
    group.addoption("--env-file", type=Path, metavar="FILE", help="the environment of --compose")
    group.addoption(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=SERVICE|FILE",
        help="which service of --compose plays which part, or a TOML file that says so (docs/your-own.md)",
    )
    group.addoption(
        "--allow-faults", action="store_true", help="run also the scenarios that break the copy and mend it again"
    )
    group.addoption("--with-fault", metavar="NAME", help="run on a deployment with this fault of the catalogue in it")
    group.addoption("--examine", action="store_true", help="with --with-fault: have the doctor look at each failure")
    group.addoption(
        "--thorough",
        action="store_true",
        help="on the prod layout, run also the faults that are left out by day because a similar one is run",
    )
    group.addoption(
        "--full", action="store_true", help="of the harness's own tests, run also those that take minutes (every night)"
    )
    group.addoption("--keep", action="store_true", help="leave the deployment up at the end")
    group.addoption(
        "--reuse", action="store_true", help="use the deployment that is up; what of it has changed is created anew"
    )


def _layouts(text: str) -> tuple[str, ...]:
    """The layouts that a command line names."""
    named = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in named if name not in LAYOUTS]:
        message = f"there is no layout {unknown[0]!r}: layouts are {', '.join(LAYOUTS)}"
        raise ArgumentTypeError(message)
    return named


def _shard(text: str) -> str:
    """A shard's words, which can be handed to workers as they are."""
    try:
        return str(Shard.parse(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _engines(words: str) -> tuple[str, ...]:
    """The engines that a command line names."""
    try:
        return berths.addresses(words)
    except ConfigurationError as error:
        raise ArgumentTypeError(str(error)) from error


def check_expressions(config: pytest.Config) -> None:
    """What pytest itself finds out only when it has collected: of workers that end then xdist says nothing of use."""
    for option, expression in (("-k", config.option.keyword), ("-m", config.option.markexpr)):
        try:
            Expression.compile(expression.lstrip() or "True")
        except SyntaxError as error:
            message = f"wrong expression passed to {option}: {expression}: at column {error.offset}: {error.msg}"
            raise pytest.UsageError(message) from error


def check_layouts(config: pytest.Config) -> None:
    """What is about one deployment, where each layout has its own."""
    given = {"--plan": config.getoption("--plan") is not None}
    given |= {option: config.getoption(option) for option in ("--keep", "--reuse")}
    for option, is_given in given.items():
        if is_given and len(config.getoption("--layout")) > 1:
            raise pytest.UsageError(f"{option} is about one deployment: give one --layout at a time")


def check_yours(config: pytest.Config) -> None:
    """What can be said of somebody's own deployment only where there is one, and what cannot be had with it."""
    if not config.getoption("--compose"):
        for option in ("--env-file", "--map", "--allow-faults"):
            if config.getoption(option):
                message = f"{option} is about your own deployment, which --compose FILE names"
                raise pytest.UsageError(message)
        return
    for option, given in (
        ("--layout", ("dev",)),
        ("--plan", None),
        ("--keep", False),
        ("--reuse", False),
        ("--with-fault", None),
        ("--engines", ()),
    ):
        if config.getoption(option) != given:
            message = f"{option} is about this project's own layouts, and --compose tests your own deployment"
            raise pytest.UsageError(message)
    if getattr(config.option, "numprocesses", None) not in (None, 0, 1):
        message = (
            "your own deployment has one set of names and addresses, so there can be only one worker: leave -n out"
        )
        raise pytest.UsageError(message)
    config.option.layout = (LAYOUT,)


def plans_of(config: pytest.Config, layout: str) -> tuple[AddressPlan, ...]:
    """The address plans of which this worker may take the first that is free.

    It is one only where it was named, and where a deployment is to be found again afterwards.
    """
    if layout == LAYOUT:
        return (_plan_of_yours(config),)
    number = worker_number(config)
    first = config.getoption("--plan")
    if first is None and not config.getoption("--keep") and not config.getoption("--reuse"):
        return AddressPlan.choices(layout, number, getattr(config, "workerinput", {"workercount": 1})["workercount"])
    try:
        return (AddressPlan.of(layout, (first or 0) + number),)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def _plan_of_yours(config: pytest.Config) -> AddressPlan:
    """What the compose files of somebody's own deployment say that it takes."""
    files, environment = tuple(config.getoption("--compose")), config.getoption("--env-file")
    try:
        mapped = rolemap.read(config.getoption("--map"))
        return planned(configured.started(files, environment, mapped), files, environment, mapped)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def engines_of(config: pytest.Config) -> Engines:
    """The engines of this worker: the same for all, each with another one first, in turn."""
    addresses = config.getoption("--engines")
    for option in ("--keep", "--reuse"):
        if addresses and config.getoption(option):
            raise pytest.UsageError(
                f"{option} does not go with --engines: what is left up is looked after on this machine's engine"
            )
    if addresses and "prod" in config.getoption("--layout"):
        raise pytest.UsageError(
            "--engines does not go with the prod layout, whose servers live on this machine's files"
        )
    number = worker_number(config)
    return Engines(addresses, number, say=lambda line: say(config, line))


def fault_of(config: pytest.Config) -> Fault | None:
    """The fault that every scenario of this run has to live with, if one was asked for."""
    name = config.getoption("--with-fault")
    if name is None:
        if config.getoption("--examine"):  # elsewhere the doctor looks at each failure unasked
            raise pytest.UsageError("--examine is for --with-fault NAME, which is not given")
        return None
    found = {fault.name: fault for fault in (*catalogue(), *MUTANTS)}
    if name not in found:
        message = f"there is no fault {name!r}; there are: {'; '.join(sorted(found))}"
        raise pytest.UsageError(message)
    if elsewhere := [layout for layout in config.getoption("--layout") if layout not in found[name].layouts]:
        there = ",".join(found[name].layouts)
        message = f"the fault {name!r} cannot be had on the {elsewhere[0]} layout: give --layout {there}"
        raise pytest.UsageError(message)
    return found[name]
