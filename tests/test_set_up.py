"""What `make` calls asks only for what it needs."""

from __future__ import annotations

import pytest

from harness import command, places
from harness.errors import EXIT_PREREQUISITE
from harness.model import CommandResult

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def called(*words: str) -> CommandResult:
    """`tools/run.sh` on a machine on which no engine answers."""
    argv = [str(places.ROOT / "tools" / "run.sh"), *words]
    return command.run(argv, timeout=60, cwd=places.ROOT, env=NO_ENGINE, check=False)


def test_what_only_reads_wants_no_engine() -> None:
    """Linters, unit tests and the nights' tables work without one; set-up says which Python there is."""
    result = called("flaky")
    assert result.exit_status == 0, result
    assert "set-up: complete: Python 3." in result.stdout


@pytest.mark.parametrize("word", ["up", "scenarios"])
def test_what_deploys_says_that_none_is_there(word: str) -> None:
    """Exit status 10 and what to do, before anything is started."""
    result = called(word)
    assert result.exit_status == EXIT_PREREQUISITE, result
    assert "missing: a Docker engine that answers: start the engine that DOCKER_HOST" in result.stdout + result.stderr
