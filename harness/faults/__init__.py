"""Faults: every way in which this deployment is known to fail, one file each, none importing another.

A fault knows how to put itself in and how to take itself out again, what a user sees of it, and by which rules the
doctor has to name it. Timing, health before and after, and proof that it took are the experiment's business.
"""

from __future__ import annotations

import abc
import enum
import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.addresses import LAYOUTS
from harness.deployment import Deployment
from harness.model import Outcome
from harness.probes import Probe


class Stage(enum.Enum):
    """When a fault is put in: BEFORE_UP creates containers anew with it, LIVE changes what runs."""

    BEFORE_UP = "before up"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What a client meets while the fault is there: `probe` has one of `outcomes`."""

    probe: Probe
    outcomes: tuple[Outcome, ...]


class Fault(abc.ABC):
    """One way to fail. Subclasses are frozen dataclasses; their fields are what can be chosen."""

    stage: ClassVar[Stage] = Stage.LIVE
    benign: ClassVar[bool] = False
    """A change that a healthy deployment bears: no error may be found."""
    layouts: ClassVar[tuple[str, ...]] = LAYOUTS
    """Where this can happen at all."""
    anywhere: ClassVar[bool] = False
    """Whether it acts on what any deployment of this kind has, so that it can be put into one that is not ours."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The fault's name in the catalogue and in the score, in lower-case words: `web holds a wrong services key`."""

    @property
    @abc.abstractmethod
    def seen(self) -> str:
        """What a user sees, in one sentence."""

    @property
    @abc.abstractmethod
    def roots(self) -> frozenset[str]:
        """The rule ids that the doctor must name as roots, all of them and no others; empty when benign."""

    @property
    def tolerated(self) -> frozenset[str]:
        """Warnings that may be named besides the roots."""
        return frozenset()

    def symptom(self, deployment: Deployment) -> Symptom | None:  # noqa: ARG002 (a default)
        """What a probe meets, or None for what no client notices."""
        return None

    def unavailable(self, deployment: Deployment) -> str | None:  # noqa: ARG002 (a default)
        """Why this fault cannot be put into this deployment, or None when it can."""
        return None

    @abc.abstractmethod
    def apply(self, deployment: Deployment, undo: ExitStack) -> Deployment | None:
        """Put the fault in; register each undo before the change that it undoes, and let it be exact.

        Returns the deployment to look at where that is not the one given: some faults can only be had in one that
        does not come up, beside this one.
        """


def catalogue() -> tuple[Fault, ...]:
    """Every fault and benign change, found in this folder: each module lists its own as `CASES`."""
    return tuple(_discovered())


def _discovered() -> Iterator[Fault]:
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name):
        yield from importlib.import_module(f"{__name__}.{module.name}").CASES
