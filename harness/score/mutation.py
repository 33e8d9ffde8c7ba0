"""The mutation score: the suite, with diagnosis left out, is run on a deployment with each fault in it.

A fault that no scenario notices, and a scenario that no fault can fail, are both defects: of the suite, or of the
catalogue.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from harness import command
from harness.errors import CommandError, HarnessError
from harness.faults import Fault, catalogue
from harness.progress import say
from harness.score.mutants import MUTANTS
from harness.waiting import pause

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "reports" / "mutation.json"

_DIAGNOSIS = "scenarios/test_diagnosis.py"  # it is switched off: the scenarios themselves have to notice
_REFUSALS = "scenarios/test_gateway_refusals.py"  # gateways by themselves, which only another image reaches
_BESIDE = ("scenarios/test_regressions.py",)  # it tries some by themselves too
_LOOK_EVERY = 0.5  # seconds between two looks at suites that take minutes
_CLEARING = 120.0  # seconds for a suite that is interrupted to take its deployment down
_FIRST_PLAN = 60
_TEST_TIMEOUT = 20  # seconds for one scenario
_ENOUGH = 40  # failures, after which a fault is known to be noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The suite on a deployment with one fault: which scenarios were run, and which of them failed.

    Where the deployment does not even come up, every scenario fails.
    """

    fault: str
    failed: tuple[str, ...]
    ran: tuple[str, ...]


def run(names: Sequence[str], jobs: int, done: Callable[[Sequence[Run]], None]) -> list[Run]:
    """Run the suite with each fault, `jobs` at a time, each on an address plan of its own.

    `done` is handed what there is whenever a fault is through: the whole takes long. Raises `HarnessError` for a name
    that is no fault, and for a suite that could not be run.
    """
    faults = {fault.name: fault for fault in (*catalogue(), *MUTANTS) if not fault.benign}
    if unknown := [name for name in names if name not in faults]:
        message = f"there is no fault {', '.join(map(repr, unknown))}; there are: {'; '.join(sorted(faults))}"
        raise HarnessError(message)
    waiting = [faults[name] for name in names] or list(faults.values())
    free = list(range(_FIRST_PLAN, _FIRST_PLAN + jobs))
    running: list[_Suite] = []
    found: list[Run] = []
    with ExitStack() as undo:
        while waiting or running:
            while waiting and free:
                running.append(undo.enter_context(_Suite(waiting.pop(0), free.pop(0))))
            pause(_LOOK_EVERY)
            for suite in [each for each in running if each.over]:
                running.remove(suite)
                free.append(suite.plan)
                found.append(suite.result())
                done(found)
    return sorted(found, key=lambda each: each.fault)


class _Suite:
    """The suite at work on a deployment with one fault in it; interrupted, should the block be left before its end."""

    def __init__(self, fault: Fault, plan: int) -> None:
        self._fault = fault
        self.plan = plan
        self._results = ROOT / "reports" / f"mutation-{plan}.xml"
        self._log = ROOT / "reports" / f"mutation-{plan}.log"
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._results.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "pytest", "-m", "not slow", "-q"]
        if getattr(self._fault, "variable", None) == "WIREGUARD_IMAGE":
            argv += [_REFUSALS, *_BESIDE]  # what such gateways do is seen in gateways by themselves
        else:
            argv += ["scenarios/", f"--ignore={_DIAGNOSIS}", f"--ignore={_REFUSALS}", f"--maxfail={_ENOUGH}"]
        argv += ["--plan", str(self.plan), "--with-fault", self._fault.name]
        argv += [f"--timeout={_TEST_TIMEOUT}", f"--junitxml={self._results}"]
        argv += [f"--alluredir={ROOT / 'reports' / f'mutation-{self.plan}-results'}"]
        self._process = self._exit.enter_context(command.background(argv, log=self._log, cwd=ROOT))
        return self

    def __exit__(self, *_error: object) -> None:
        with self._exit:
            if self._process.running:
                self._process.send(signal.SIGINT)  # it takes its deployment down
                with contextlib.suppress(CommandError):
                    self._process.wait(timeout=_CLEARING)

    @property
    def over(self) -> bool:
        """Whether it is through."""
        return not self._process.running

    def result(self) -> Run:
        """What it found; raises `HarnessError` when no scenario was run."""
        found = _read(self._fault.name, self._results)
        if not found.ran:
            message = f"with the fault {self._fault.name!r} the suite could not be run:\n{self._process.output[-2000:]}"
            raise HarnessError(message)
        say(f"{found.fault}: {len(found.failed)} of {len(found.ran)} scenarios notice it")
        return found


def _read(fault: str, results: Path) -> Run:
    if not results.is_file():
        return Run(fault=fault, failed=(), ran=())
    cases = ET.parse(results).getroot().iter("testcase")  # noqa: S314 (this very run wrote it)
    failed, ran = [], []
    for case in cases:
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if case.find("skipped") is not None:
            continue
        ran.append(name)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
    return Run(fault=fault, failed=tuple(failed), ran=tuple(ran))


def summed_up(runs: Sequence[Run]) -> dict[str, Any]:
    """The score as a document."""
    ran = sorted({name for each in runs for name in each.ran})
    noticed = {name for each in runs for name in each.failed}
    return {
        "faults": {each.fault: list(each.failed) for each in runs},
        "survivors": [each.fault for each in runs if not each.failed],
        "scenarios": len(ran),
        "never_failed": [name for name in ran if name not in noticed],
    }


def write(runs: Sequence[Run]) -> None:
    """Keep the score for the report."""
    RESULT.write_text(json.dumps(summed_up(runs), indent=1) + "\n", encoding="utf-8")


def text(runs: Sequence[Run]) -> str:
    """The score for people."""
    document = summed_up(runs)
    lines = ["fault -> scenarios that fail"]
    for each in runs:
        shown = ", ".join(each.failed[:3]) + (f" and {len(each.failed) - 3} more" if len(each.failed) > 3 else "")  # noqa: PLR2004 (enough to see which)
        lines.append(f"{'  ' if each.failed else 'X '}{each.fault}: {shown or 'nothing notices it'}")
    killed = sum(bool(each.failed) for each in runs)
    lines += ["", f"{killed} of {len(runs)} faults are noticed by a scenario"]
    lines += [f"{len(document['never_failed'])} of {document['scenarios']} scenarios are failed by no fault:"]
    lines += [f"  {name}" for name in document["never_failed"]]
    return "\n".join(lines) + "\n"
