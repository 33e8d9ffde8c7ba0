from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import command, namespaces

HERE = Path(f"/proc/{os.getpid()}")


def test_variables_are_not_on_the_line() -> None:
    """Everybody on the machine can read a command line."""
    argv, variables = namespaces.entering(HERE, {"TOKEN": "hidden", "PATH": "/opt/app/bin"})
    assert "hidden" not in " ".join(argv)
    assert variables == {"TOKEN": "hidden", "PATH": "/opt/app/bin"}


def test_what_this_machines_loader_would_go_by_is_for_the_command_alone() -> None:
    """A container's LD_PRELOAD is nothing that nsenter itself may load."""
    argv, variables = namespaces.entering(HERE, {"LD_PRELOAD": "/tmp/x.so", "A": "b"})  # noqa: S108 (a name)
    assert argv[-2:] == ["env", "LD_PRELOAD=/tmp/x.so"]
    assert "LD_PRELOAD" not in variables


def test_nsenter_is_this_machines() -> None:
    """Whatever PATH the container has."""
    argv, _ = namespaces.entering(HERE, {"PATH": "/nowhere"})
    assert Path(argv[0]).is_absolute() or argv[0] == "nsenter"


@pytest.mark.parametrize("user", ["", "999", "999:999"])
def test_numbers_are_taken_on(user: str) -> None:
    """They mean the same everywhere."""
    assert namespaces.by_number(user)


@pytest.mark.parametrize("user", ["app", "999:app", "app:999"])
def test_names_are_not_taken_on(user: str) -> None:
    """A user's name means something inside the container alone."""
    assert not namespaces.by_number(user)


def test_a_command_may_be_given_nothing_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what this process has in its environment, nor less than what it was given."""
    monkeypatch.setenv("OWN", "1")
    argv = ["/usr/bin/env"]
    assert command.run(argv, timeout=10, env={"GIVEN": "2"}, inherit=False).stdout.split() == ["GIVEN=2"]
    assert {"OWN=1", "GIVEN=2"} <= set(command.run(argv, timeout=10, env={"GIVEN": "2"}).stdout.split("\n"))
