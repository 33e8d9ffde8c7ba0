"""The mutation score: the suite, with diagnosis left out, is run on a deployment with each fault in it.

A fault that no scenario notices, and a scenario that no fault can fail, are both defects: of the suite, or of the
catalogue.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from harness import command
from harness.errors import CommandError, HarnessError, UsageError
from harness.faults import Fault, catalogue
from harness.progress import say
from harness.score.kinds import Mutant
from harness.score.mutants import MUTANTS
from harness.waiting import pause

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "reports" / "mutation.json"

_DIAGNOSIS = "scenarios/test_diagnosis.py"  # it is switched off: the scenarios themselves have to notice
_REFUSALS = "scenarios/test_gateway_refusals.py"  # gateways by themselves, for mutants that name it
_LAYOUT = "dev"
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-m", "not slow")
_CHOSEN = ("scenarios/", f"--ignore={_DIAGNOSIS}", f"--ignore={_REFUSALS}")
_LOOK_EVERY = 0.5  # seconds between two looks at suites that take minutes
_CLEARING = 120.0  # seconds for a suite that is interrupted to take its deployment down
_FIRST_PLAN = 60
_TEST_TIMEOUT = 20  # seconds for one scenario
_ENOUGH = 40  # failures, after which a fault is known to be noticed
_COLLECTING = 60.0  # seconds; it imports the scenarios, which takes three


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The suite on a deployment with one fault: which scenarios were run, and which of them failed.

    Where the deployment does not even come up, every scenario fails, `in_set_up`: that tells of the fault, and nothing
    of the scenario. What was skipped was not run, and would be skipped again.
    """

    fault: str
    failed: tuple[str, ...]
    ran: tuple[str, ...]
    in_set_up: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def met(self) -> tuple[str, ...]:
        """The scenarios that were asked, whatever they said."""
        return (*self.ran, *self.skipped)

    @property
    def told(self) -> set[str]:
        """The scenarios that have failed by what they say themselves."""
        return set(self.failed) - set(self.in_set_up)


def run(names: Sequence[str], jobs: int, done: Callable[[Sequence[Run]], None], *, brief: bool = False) -> list[Run]:
    """Run the suite with each fault, `jobs` at a time, each on an address plan of its own.

    `brief` is a fraction of it: a scenario that a fault has failed is run again only with a fault that nothing else
    notices, and then until one does; what none has failed in the end meets those that it has not met; faults in the
    record of the run before are not run again. `done` is handed what there is whenever a suite is through: the whole
    takes long. Raises `UsageError` for a name that is no fault, and `HarnessError` for a suite that could not be run.
    """
    faults = {fault.name: fault for fault in (*MUTANTS, *catalogue()) if not fault.benign and _LAYOUT in fault.layouts}
    if unknown := [name for name in names if name not in faults]:
        message = f"there is no fault {', '.join(map(repr, unknown))}; there are: {'; '.join(sorted(faults))}"
        raise UsageError(message)
    found = [each for each in _recorded() if each.failed] if brief else []
    known = {each.fault for each in found}
    waiting = [faults[name] for name in names or faults if name not in known]
    every = _collected() if brief else {}
    free = list(range(_FIRST_PLAN, _FIRST_PLAN + jobs))
    running: list[_Suite] = []
    with ExitStack() as undo:
        while waiting or running or (waiting := [faults[name] for name in _unmet(every, found) if name in faults]):
            while waiting and free:
                fault = waiting.pop(0)
                if portions := _portions_of(fault, every, found):
                    running.append(undo.enter_context(_Suite(fault, free.pop(0), *portions)))
            pause(_LOOK_EVERY)
            for suite in [each for each in running if each.over]:
                running.remove(suite)
                result = suite.result()
                found = _joined(found, result)
                done(found)
                if not result.failed and suite.then:
                    running.append(undo.enter_context(_Suite(suite.fault, suite.plan, *suite.then)))
                else:
                    free.append(suite.plan)
    return sorted(found, key=lambda each: each.fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Scenarios to run with a fault, by pytest's names, all where none are named.

    So many failures are `enough`; 0 is no limit.
    """

    scenarios: Sequence[str] = ()
    enough: int = _ENOUGH


def _portions_of(fault: Fault, every: Mapping[str, str], found: Sequence[Run]) -> list[_Portion]:
    """What to run with a fault: the first time its own modules or all, then what it has not met; none if that is none.

    Of all it meets as many as are enough, so that what would fail too may not have met it.
    """
    if any(each.fault == fault.name for each in found):
        unmet = _unmet(every, found).get(fault.name)
        return [_Portion(scenarios=unmet, enough=0)] if unmet else []
    own = _own_modules(fault)
    return [_Portion(scenarios=own, enough=0)] if own else _portions(every, found)


def _own_modules(fault: Fault | None) -> tuple[str, ...]:
    """The modules that meet a fault, where those are known."""
    return fault.modules if isinstance(fault, Mutant) else ()


def _unmet(every: Mapping[str, str], found: Sequence[Run]) -> dict[str, list[str]]:
    """By fault, the scenarios that none has failed and that it has not met."""
    told = {name for each in found for name in each.told}
    unmet = {
        each.fault: [node for name, node in every.items() if name not in told and name not in each.met]
        for each in found
        if not _own_modules(next((mutant for mutant in MUTANTS if mutant.name == each.fault), None))
    }
    return {fault: scenarios for fault, scenarios in unmet.items() if scenarios}


def _joined(found: Sequence[Run], result: Run) -> list[Run]:
    """The runs with one more, which is a part of that with the same fault where there is one."""
    before = next((each for each in found if each.fault == result.fault), None)
    if before is None:
        return [*found, result]
    joined = Run(
        fault=result.fault,
        failed=(*before.failed, *result.failed),
        ran=(*before.ran, *result.ran),
        in_set_up=(*before.in_set_up, *result.in_set_up),
        skipped=(*before.skipped, *result.skipped),
    )
    return [joined if each is before else each for each in found]


def _portions(every: Mapping[str, str], found: Sequence[Run]) -> list[_Portion]:
    """Of all scenarios, those that no fault has failed yet; then the others, until one notices the fault."""
    failed = {name for each in found for name in each.told}
    new = [node for name, node in every.items() if name not in failed]
    others = [node for name, node in every.items() if name in failed]
    portions = (_Portion(scenarios=new), _Portion(scenarios=others, enough=1))
    return [portion for portion in portions if portion.scenarios] or [_Portion()]


def _collected() -> dict[str, str]:
    """Every scenario that may notice a fault, by its name here, with pytest's own."""
    lines = command.run([*_PYTEST, "--collect-only", *_CHOSEN], timeout=_COLLECTING, cwd=ROOT).stdout.splitlines()
    nodes = [line for line in lines if line.startswith("scenarios/") and "::" in line]
    parted = {node: node.partition("::") for node in nodes}
    return {f"{Path(file).stem}::{test}": node for node, (file, _, test) in parted.items()}


def _recorded() -> list[Run]:
    """What the run before has found; nothing where there is no record of it, or one that cannot be read."""
    try:
        document = json.loads(RESULT.read_text(encoding="utf-8"))
        ran, in_set_up, skipped = document["ran"], document["in_set_up"], document.get("skipped", {})
        return [
            Run(
                fault=fault,
                failed=tuple(failed),
                ran=tuple(ran[fault]),
                in_set_up=tuple(in_set_up.get(fault, ())),
                skipped=tuple(skipped.get(fault, ())),
            )
            for fault, failed in document["faults"].items()
        ]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


_RAN = (0, 1)  # pytest's own: all passed, or some did not


class _Suite:
    """The suite at work on a deployment with one fault in it; interrupted, should the block be left before its end."""

    def __init__(self, fault: Fault, plan: int, portion: _Portion, *then: _Portion) -> None:
        """`then` is what to go on with where nothing in the first portion notices the fault."""
        self.fault = fault
        self.plan = plan
        self.then = then
        self._portion = portion
        self._results = ROOT / "reports" / f"mutation-{plan}.xml"
        self._log = ROOT / "reports" / f"mutation-{plan}.log"
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._results.unlink(missing_ok=True)
        argv = [*_PYTEST, *(self._portion.scenarios or _CHOSEN), f"--maxfail={self._portion.enough}"]
        argv += ["--plan", str(self.plan), "--with-fault", self.fault.name]
        argv += [f"--timeout={_TEST_TIMEOUT}", f"--junitxml={self._results}"]
        argv += [f"--alluredir={ROOT / 'reports' / f'mutation-{self.plan}-results'}"]
        self._process = self._exit.enter_context(command.background(argv, log=self._log, cwd=ROOT))
        return self

    def __exit__(self, *_error: object) -> None:
        with self._exit:
            if self._process.running:
                self._process.send(signal.SIGTERM)  # it takes its deployment down; SIGINT may be ignored, as behind `&`
                with contextlib.suppress(CommandError):
                    self._process.wait(timeout=_CLEARING)

    @property
    def over(self) -> bool:
        """Whether it is through."""
        return not self._process.running

    def result(self) -> Run:
        """What it found; raises `HarnessError` when no scenario was asked, or not with the fault."""
        found = _read(self.fault.name, self._results)
        if not found.met or self._process.wait(timeout=_CLEARING).exit_status not in _RAN:
            message = f"with the fault {self.fault.name!r} the suite could not be run:\n{self._process.output[-2000:]}"
            raise HarnessError(message)
        say(f"{found.fault}: {len(found.failed)} of {len(found.ran)} scenarios notice it")
        return found


def _read(fault: str, results: Path) -> Run:
    if not results.is_file():
        return Run(fault=fault, failed=(), ran=())
    cases = ET.parse(results).getroot().iter("testcase")  # noqa: S314 (this very run wrote it)
    # Each once: a scenario that fails, and whose end fails too, is there twice.
    ran: dict[str, None] = {}
    skipped: dict[str, None] = {}
    failed: dict[str, bool] = {}  # and whether by what it says itself
    for case in cases:
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if case.find("skipped") is not None:
            skipped[name] = None
            continue
        ran[name] = None
        if case.find("failure") is not None or case.find("error") is not None:
            failed[name] = failed.get(name, False) or case.find("failure") is not None
    in_set_up = tuple(name for name, itself in failed.items() if not itself)
    return Run(fault=fault, failed=tuple(failed), ran=tuple(ran), in_set_up=in_set_up, skipped=tuple(skipped))


def summed_up(runs: Sequence[Run]) -> dict[str, Any]:
    """The score as a document."""
    ran = sorted({name for each in runs for name in each.ran})
    told = {name for each in runs for name in each.told}
    return {
        "faults": {each.fault: list(each.failed) for each in runs},
        "in_set_up": {each.fault: list(each.in_set_up) for each in runs if each.in_set_up},
        "skipped": {each.fault: list(each.skipped) for each in runs if each.skipped},
        "survivors": [each.fault for each in runs if not each.failed],
        "scenarios": len(ran),
        "ran": {each.fault: list(each.ran) for each in runs},
        "never_failed": [name for name in ran if name not in told],
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
