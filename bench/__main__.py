"""`python -m bench`: measure, print a table, and keep everything under reports/bench/, as JSON and as a table.

Exit status: 0 all that was asked for was measured, whether or not targets are met; 1 something could not be measured;
2 wrong usage; 10 a prerequisite is missing; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine, parts
from bench.figures import Figure, markdown, table
from bench.ground import Ground, compiled
from harness import images, leases, lifecycle, places, preflight
from harness.addresses import AddressPlan
from harness.cli import guarded
from harness.engine import Engine
from harness.errors import EXIT_FAILED, HarnessError, HeldError
from harness.progress import say

REPORTS = places.ROOT / "reports" / "bench"
_PLAN = 10  # out of the way of plan 0 and of the workers of a test run


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; every known failure is one sentence on standard error."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: _measure(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the harness, side by side.")
    known = parts.catalogue()
    usual = [name for name, part in known.items() if part.usual]
    listed = "; ".join(f"{name}: {part.what}" for name, part in known.items())
    parser.add_argument(
        "--only", nargs="+", choices=known, default=usual, metavar="PART", help=f"only these parts ({listed})"
    )
    parser.add_argument(
        "--rounds", type=_count, default=5, metavar="N", help="rounds of what takes seconds (default: 5)"
    )
    parser.add_argument("--faults", type=_count, default=12, metavar="N", help="how many faults to try (default: 12)")
    parser.add_argument(
        "--plan",
        type=AddressPlan.parse,
        default=AddressPlan(index=_PLAN),
        metavar="N",
        help=f"address plan, or the first of several (default: {_PLAN})",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is not a number of 1 or more"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _measure(options: argparse.Namespace) -> int:
    engine = Engine.connect()
    lifecycle.sweep(engine, say=say)
    if leases.holder(engine, options.plan.index):
        raise HeldError(leases.describe_holder(engine, options.plan.index))
    preflight.require(engine, options.plan)
    images.ensure(engine, options.plan.layout, say)
    compiled()
    ground = Ground(engine=engine, plan=options.plan, rounds=options.rounds, faults=options.faults, say=say)
    document: dict[str, Any] = {
        "date": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "machine": machine.description(engine, places.ROOT),
        "rounds": options.rounds,
    }
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    for name in options.only:
        say(f"{name}: {parts.catalogue()[name].what}")
        try:
            figures += parts.catalogue()[name].measure(ground)
        except HarnessError as error:
            failed[name] = str(error)
            say(f"{name} could not be measured: {error}")
        _keep(document, figures, failed)
    sys.stdout.write(f"{table(figures)}\n")
    return EXIT_FAILED if failed else 0


def _keep(document: dict[str, Any], figures: Sequence[Figure], failed: Mapping[str, str]) -> None:
    """Keep what has been measured so far: a run that is interrupted has measured something too."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = Path(REPORTS, f"{str(document['date']).replace(':', '').partition('+')[0]}.json")
    whole = document | {"figures": [figure.document() for figure in figures], "failed": dict(failed)}
    path.write_text(f"{json.dumps(whole, indent=1)}\n", encoding="utf-8")
    path.with_suffix(".md").write_text(f"{_described(document)}\n\n{markdown(figures)}\n", encoding="utf-8")


def _described(document: dict[str, Any]) -> str:
    on = document["machine"]
    return (
        f"{document['date']}: {on['processor']}, {on['cores']} cores, {on['memory_gib']} GiB, Engine {on['engine']} "
        f"({on['storage']}), Compose {on['compose']}, Python {on['python']}, commit {on['commit']}"
    )


if __name__ == "__main__":
    sys.exit(main())
