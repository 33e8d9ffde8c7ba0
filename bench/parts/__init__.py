"""The parts of the bench, one file each, found by being there: each has a `PART`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bench.figures import Figure
from bench.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its name on the command line, what it measures, and how. `usual` ones are measured unless named."""

    name: str
    what: str
    measure: Callable[[Ground], Iterable[Figure]]
    usual: bool = True


@cache
def catalogue() -> dict[str, Part]:
    """Every part by its name, in the order of their files' names."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{name}").PART for name in modules]
    return {part.name: part for part in found}
