"""The mutation score: the suite, with diagnosis left out, is run on a deployment with each fault in it.

A fault that no scenario notices, and a scenario that no fault can fail, are both defects: of the suite, or of the
catalogue.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from xml.etree import ElementTree as ET

from harness import command
from harness.errors import HarnessError
from harness.faults import Fault, catalogue
from harness.progress import say

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "reports" / "mutation.json"

_LEFT_OUT = (
    "scenarios/test_diagnosis.py",  # diagnosis is switched off: the scenarios themselves have to notice
    "scenarios/test_gateway_refusals.py",  # gateways by themselves, which no fault of a deployment reaches
)
_TIMEOUT = 1800.0  # seconds for the suite on one broken deployment, where much waits in vain
_FIRST_PLAN = 60
_TEST_TIMEOUT = 60  # seconds for one scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The suite on a deployment with one fault: which scenarios failed, of how many that were run.

    `failed` is None where the deployment did not even come up.
    """

    fault: str
    failed: tuple[str, ...] | None
    ran: tuple[str, ...]

    @property
    def killed(self) -> bool:
        """Whether any scenario noticed the fault."""
        return self.failed is None or bool(self.failed)


def run(names: Sequence[str], jobs: int, done: Callable[[Sequence[Run]], None]) -> list[Run]:
    """Run the suite with each fault, `jobs` at a time, each on address plans of its own.

    `done` is handed what there is whenever a fault is through: the whole takes long. Raises `HarnessError` for a name that is no fault.
    """
    faults = {fault.name: fault for fault in catalogue() if not fault.benign}
    if unknown := [name for name in names if name not in faults]:
        message = f"there is no fault {', '.join(map(repr, unknown))}; there are: {'; '.join(sorted(faults))}"
        raise HarnessError(message)
    chosen = [faults[name] for name in names] or list(faults.values())
    plans: SimpleQueue[int] = SimpleQueue()
    for number in range(jobs):
        plans.put(_FIRST_PLAN + number)
    found: list[Run] = []
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="mutation") as pool:
        for each in as_completed([pool.submit(_run_one, fault, plans) for fault in chosen]):
            found.append(each.result())
            done(found)
    return sorted(found, key=lambda each: each.fault)


def _run_one(fault: Fault, plans: SimpleQueue[int]) -> Run:
    plan = plans.get()
    results = ROOT / "reports" / f"mutation-{plan}.xml"
    results.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "scenarios/", *(f"--ignore={path}" for path in _LEFT_OUT)]
    argv += ["-m", "not slow", "-q", "--plan", str(plan), "--with-fault", fault.name, f"--junitxml={results}"]
    argv += [f"--timeout={_TEST_TIMEOUT}", f"--alluredir={ROOT / 'reports' / f'mutation-{plan}-results'}"]
    try:
        command.run(argv, timeout=_TIMEOUT, cwd=ROOT, check=False)
        found = _read(fault.name, results)
    finally:
        results.unlink(missing_ok=True)
        plans.put(plan)
    noticed = "the deployment did not come up" if found.failed is None else f"{len(found.failed)} of {len(found.ran)}"
    say(f"{fault.name}: {noticed}")
    return found


def _read(fault: str, results: Path) -> Run:
    if not results.is_file():
        return Run(fault=fault, failed=None, ran=())
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
    noticed = {name for each in runs for name in each.failed or ()}
    return {
        "faults": {each.fault: list(each.failed) if each.failed is not None else "did not come up" for each in runs},
        "survivors": [each.fault for each in runs if not each.killed],
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
        if each.failed is None:
            lines.append(f"  {each.fault}: the deployment does not come up")
            continue
        shown = ", ".join(each.failed[:3]) + (f" and {len(each.failed) - 3} more" if len(each.failed) > 3 else "")  # noqa: PLR2004 (enough to see which)
        lines.append(f"{'  ' if each.killed else 'X '}{each.fault}: {shown or 'nothing notices it'}")
    killed = sum(each.killed for each in runs)
    lines += ["", f"{killed} of {len(runs)} faults are noticed by a scenario"]
    lines += [f"{len(document['never_failed'])} of {document['scenarios']} scenarios are failed by no fault:"]
    lines += [f"  {name}" for name in document["never_failed"]]
    return "\n".join(lines) + "\n"
