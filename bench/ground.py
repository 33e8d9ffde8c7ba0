"""What a part measures with: the harness as people call it, the harness in this process, and compose by itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness import command, compose, images, layouts, lifecycle, places
from harness.addresses import AddressPlan
from harness.compose import ComposeProject
from harness.deployment import Deployment
from harness.engine import Engine
from harness.errors import HarnessError
from harness.ownership import Run
from harness.timeline import Timeline

Say = Callable[[str], None]

_PATIENCE = 300  # seconds; an ordinary deployment is up after half a minute, and the machine may be loaded
_UNWRITTEN = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One address plan of one engine; how often what takes seconds is done, and how many faults are put in."""

    engine: Engine
    plan: AddressPlan
    rounds: int
    faults: int
    say: Say

    def harness(self, verb: str, plan: AddressPlan | None = None) -> float:
        """Run `python -m harness VERB`; returns its seconds. Raises `CommandError` when it fails."""
        argv = [sys.executable, "-m", "harness", verb, "--plan", str((plan or self.plan).index)]
        return command.run(argv, timeout=_PATIENCE, cwd=places.ROOT).duration

    @contextlib.contextmanager
    def deployed(self, timeline: Timeline | None = None) -> Iterator[Deployment]:
        """A deployment that is brought up in this process, and removed after the block."""
        with lifecycle.deployed(self.engine, self.plan, say=quiet, timeline=timeline) as deployment:
            yield deployment

    @contextlib.contextmanager
    def composed(self, overlay: Callable[[Mapping[str, Any]], str] | None = None) -> Iterator[Composed]:
        """The very same files for compose by itself; all that is laid over them is labels, by which it is swept.

        `overlay` makes one more compose file, as text, from the configuration.
        """
        lifecycle.sweep(self.engine, say=quiet)
        run = Run.start(self.plan.index, layout=self.plan.layout)
        try:
            layouts.prepare_run(self.engine, run)
            configuration = compose.project(self.plan, run.state).configuration()
            labels = run.state / "labels.json"
            compose.write_override(labels, compose.labelled(configuration, run.labels()))
            files = [labels]
            if overlay is not None:
                files.append(run.state / "overlay.yml")
                files[-1].write_text(overlay(configuration), encoding="utf-8")
            yield Composed(compose.project(self.plan, run.state, overlays=tuple(files)))
        finally:
            lifecycle.remove(self.engine, run, say=quiet, graceful=False)


class Composed:
    """A compose project without the harness."""

    def __init__(self, project: ComposeProject) -> None:
        self._project = project

    def up(self) -> float:
        """`docker compose up -d --wait`; returns its seconds."""
        return self._run("up", "--detach", "--wait")

    def down(self) -> float:
        """`docker compose down --volumes`; returns its seconds."""
        return self._run("down", "--volumes")

    def _run(self, *words: str) -> float:
        argv = [*self._project.compose_command_property, *words]
        return command.run(argv, timeout=_PATIENCE, cwd=images.COMPOSE, env=self._project.environment).duration


def compiled() -> None:
    """Have Python's modules compiled and loaded once, so that no start that is measured compiles them again."""
    os.environ.pop(_UNWRITTEN, None)
    command.run([sys.executable, "-m", "harness", "--help"], timeout=_PATIENCE, cwd=places.ROOT)
    command.run([sys.executable, "-c", "import harness.lifecycle"], timeout=_PATIENCE, cwd=places.ROOT)


def at_once(actions: Sequence[Callable[[], float]]) -> list[float]:
    """Do several things side by side; returns what each returned, or raises the first error when all have ended."""
    with ThreadPoolExecutor(max_workers=len(actions)) as pool:
        running = [pool.submit(action) for action in actions]
    return [each.result() for each in running]


def plans_from(first: AddressPlan, count: int) -> list[AddressPlan]:
    """So many plans side by side; raises `HarnessError` where there are not so many."""
    try:
        return [AddressPlan(index=first.index + number) for number in range(count)]
    except ValueError as error:
        message = f"{count} plans from {first.index} on are needed: {error}"
        raise HarnessError(message) from error


def each(ground: Ground, verb: str, plans: Sequence[AddressPlan]) -> list[Callable[[], float]]:
    """One command of the harness on several plans."""
    return [partial(ground.harness, verb, plan) for plan in plans]


def quiet(_line: str) -> None:
    """Say nothing: what is measured is one line among many."""
