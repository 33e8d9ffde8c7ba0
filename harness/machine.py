"""The machine on which a Docker engine runs: what of it is reached by other ways than the engine's API."""

from __future__ import annotations

from harness import command
from harness.model import CommandResult


class Machine:
    """This machine: its files, its ports and its shell are the engine's own."""

    here = True
    """Whether the engine sees the files of this machine, and its loopback is ours."""
    name = "this machine"

    def port(self, published: int) -> int:
        """The port of our loopback that leads to one of the machine's loopback.

        Raises `EngineUnavailableError` when no way can be had.
        """
        return published

    def shell(self, line: str, *, timeout: float) -> CommandResult:
        """Run a line as it is typed into a shell of the machine, whatever its exit status; `timeout` is in seconds.

        Raises `CommandError` when it cannot be run or takes longer.
        """
        return command.run(["sh", "-c", line], timeout=timeout, check=False)

    def gone(self) -> str | None:
        """Why the machine is known to be out of reach, or None when nothing is known of the kind."""
        return None
