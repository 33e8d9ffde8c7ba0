"""All scenarios of the dev layout, one after the other and with two workers; it takes a quarter of an hour."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.figures import Figure
from bench.ground import Ground
from bench.parts import Part
from harness import command, places
from harness.errors import HarnessError

NAME = "suite"
_SLOWEST = 10
_PATIENCE = 3600  # seconds
_RESULTS = places.ROOT / "reports" / "bench"


def measure(ground: Ground) -> Iterator[Figure]:
    """Both runs have to pass: a run that fails has not taken its time."""
    serial, took = _run(ground, "serial", "--numprocesses", "0")
    _pair, beside = _run(ground, "two", "--numprocesses", "2", "--dist", "worksteal")
    yield Figure(part=NAME, name="one after the other", value=took, unit="s", note=f"{len(serial)} scenarios")
    yield Figure(
        part=NAME,
        name="one worker / two workers",
        value=took / beside,
        target=1.3,
        at_least=True,
        note=f"{took:.0f} s over {beside:.0f} s",
    )
    for name, seconds in sorted(serial.items(), key=lambda case: -case[1])[:_SLOWEST]:
        yield Figure(part=NAME, name=name.rpartition("::")[2], value=seconds, unit="s", note=_story(name))


def _run(ground: Ground, name: str, *options: str) -> tuple[dict[str, float], float]:
    """The seconds of each scenario, and of the whole run."""
    _RESULTS.mkdir(parents=True, exist_ok=True)
    report = _RESULTS / f"junit-{name}.xml"
    argv = [sys.executable, "-m", "pytest", "scenarios/", "-q", "--plan", str(ground.plan.index), *options]
    argv += [f"--junitxml={report}", f"--alluredir={_RESULTS / 'results'}", "--clean-alluredir"]
    ran = command.run(argv, timeout=_PATIENCE, cwd=places.ROOT, check=False)
    if not ran.ok:
        message = f"the scenarios did not pass ({name}):\n{ran.stdout[-2000:]}"
        raise HarnessError(message)
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 (this very run wrote it)
    return {f"{case.get('classname')}::{case.get('name')}": float(case.get("time", 0)) for case in cases}, ran.duration


def _story(name: str) -> str:
    """The first sentence of a scenario's docstring: what it waits for."""
    module, _, test = name.partition("::")
    path = Path(places.ROOT, f"{module.replace('.', '/')}.py")
    wanted = test.partition("[")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == wanted:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


PART = Part(name=NAME, what="the whole suite, serial and with two workers (minutes)", measure=measure, usual=False)
