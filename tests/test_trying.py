"""What an application is to be tried with stays out of what everybody can read."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from harness import trying
from harness.diagnosis import containers
from harness.dialects import Dialect
from harness.model import CommandResult
from harness.nodes import Node

PASSWORD = "hunter2-on-no-line"


class Told:
    """An application into which nobody can go but by its engine, and that is told its settings by a map."""

    def __init__(self) -> None:
        self.dialect = Dialect(settings={"DATABASE_PASSWORD": "${LEDGER_PASSWORD}"})
        self.argv: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}

    def process(self, _attributes: object) -> None:
        """None that can be entered from here."""

    def peek(self, *argv: str, attributes: object, environment: dict[str, str]) -> CommandResult:
        """Note what was asked."""
        assert attributes is not None
        self.argv, self.environment = argv, environment
        return CommandResult(argv=argv, exit_status=0, stdout="{}", stderr="", duration=0.0)


def test_no_password_is_on_a_command_line() -> None:
    """`ps` shows command lines to everybody, on the host and inside, and the engine keeps those that it has run."""
    node = Told()
    container = replace(containers.absent(), environment={"DATABASE_PASSWORD": PASSWORD})
    piece = trying.backends(cast("Node", node), {}, container, {})
    assert piece.text == "{}"
    assert PASSWORD not in " ".join(node.argv)
    assert node.environment["DATABASE_PASSWORD"] == PASSWORD
