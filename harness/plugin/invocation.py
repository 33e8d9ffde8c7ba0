"""How pytest was called: as which worker, on which folders; and what the plugin's parts share."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from harness import progress
from harness.places import ROOT
from harness.stage import Stage

REPORTS = ROOT / "reports"
SCENARIOS = ROOT / "scenarios"
UNIT_TESTS = ROOT / "tests"
ENGINE_TESTS = UNIT_TESTS / "engine"

STAGES = pytest.StashKey[dict[str, Stage]]()
"""The stage of each layout that is tested."""
SESSION = pytest.StashKey[pytest.Session]()
"""The session, once it has used an engine."""
LEFT_OUT = pytest.StashKey[list[str]]()
"""Why scenarios are not for somebody's own deployment, a reason for each."""

_SHOWING = (
    "help",
    "version",
    "markers",
    "collectonly",
    "showfixtures",
    "show_fixtures_per_test",
    "cacheshow",
    "setupplan",
)
"""What asks pytest to show something instead of running tests, as its options are called inside."""


def runs(config: pytest.Config, *folders: Path) -> bool:
    """Whether the command line names one of these folders or something in it."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return any(path.is_relative_to(folder) for path in named for folder in folders)


def shows_only(config: pytest.Config) -> bool:
    """Whether pytest was only asked to show something, so that no test is run."""
    # A plugin that is switched off adds no options.
    return any(getattr(config.option, name, None) for name in _SHOWING)


def worker(config: pytest.Config) -> str | None:
    """The name of this xdist worker, such as `gw1`, or None in the controller and without xdist."""
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    return given["workerid"] if given else None


def worker_number(config: pytest.Config) -> int:
    """Which worker this is, from 0 on; 0 without xdist."""
    return int((worker(config) or "gw0").removeprefix("gw"))


def say(config: pytest.Config, line: str) -> None:
    """Show progress at once, past pytest's capture, also from an xdist worker; never raises."""
    capture = config.pluginmanager.getplugin("capturemanager")
    who = worker(config)
    text = f"\n{progress.stamped(f'{who} {line}' if who else line)}"
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        progress.write(text)
