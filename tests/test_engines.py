from __future__ import annotations

import pytest

from harness import engines
from harness.engines import Engines
from harness.errors import ConfigurationError, EngineUnavailableError

HERE = "unix:///nonexistent/docker.sock"
THREE = ("ssh://root@a", "ssh://root@b:2222", "ssh://c/run/docker.sock")


def nobody_listens(_line: str) -> None:
    """Say it to nobody."""


@pytest.mark.parametrize(
    ("worker", "order"),
    [(0, ("a", "b:2222", "c")), (1, ("b:2222", "c", "a")), (2, ("c", "a", "b:2222")), (3, ("a", "b:2222", "c"))],
)
def test_workers_begin_on_one_engine_after_the_other(worker: int, order: tuple[str, ...]) -> None:
    """In turn; and each knows all others, for when its own is lost."""
    assert Engines(THREE, worker, say=nobody_listens).names == order


def test_where_none_are_named_it_is_the_docker_commands_own() -> None:
    """Which is not there in these tests; nothing is lost, and nothing is left of it."""
    own = Engines(say=nobody_listens)
    assert own.names == ()
    with pytest.raises(EngineUnavailableError, match="no Docker engine answers"):
        own.current()
    assert own.at_work is None
    assert own.loss() is None
    own.close()


def test_when_none_is_left_each_is_named_with_its_reason() -> None:
    """Said once when it is found out, and then by each test that would need one."""
    said: list[str] = []
    own = Engines([HERE], say=said.append)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match=r"no engine is left: this machine: .*No such file"):
            own.current()
    assert len(said) == 1
    assert "none is left" in said[0]


def test_a_docker_context_stands_for_its_engine() -> None:
    """The default one is always there."""
    assert engines.addresses("default, ssh://root@a")[0].startswith("unix:///")


def test_spaces_and_empty_words_are_nothing() -> None:
    """As people type lists."""
    assert engines.addresses(" ssh://root@a ,, ssh://root@b") == ("ssh://root@a", "ssh://root@b")
    with pytest.raises(ConfigurationError, match="names no engine"):
        engines.addresses(" , ")
