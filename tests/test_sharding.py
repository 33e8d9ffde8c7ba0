from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sharding import Shard

TESTS = [f"scenarios/test_{module}.py::test_{number}" for module in "abcdef" for number in range(70)]


@given(st.text(), st.integers(1, 12))
def test_every_test_is_in_exactly_one_shard(test: str, count: int) -> None:
    """Whatever its name: of all machines one runs it, and no more than one."""
    assert sum(Shard(number=number, count=count).holds(test) for number in range(1, count + 1)) == 1


def test_a_shard_does_not_hang_on_which_other_tests_there_are() -> None:
    """A machine that collects less than the others takes nothing from them: what it holds is the same."""
    shard = Shard.parse("2/3")
    whole = {test for test in TESTS if shard.holds(test)}
    assert {test for test in TESTS[::2] if shard.holds(test)} == whole & set(TESTS[::2])


def test_shards_are_of_about_one_size() -> None:
    """Two machines of a night have between two and three fifths each."""
    held = sum(Shard.parse("1/2").holds(test) for test in TESTS)
    assert 0.4 < held / len(TESTS) < 0.6


def test_a_shard_is_the_same_everywhere() -> None:
    """Names decide by a hash that no process salts: another process would say the same."""
    assert [test[-1] for test in TESTS[:10] if Shard.parse("1/2").holds(test)] == ["1", "2", "4", "7"]


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "1/100", "-1/2", "1/2/3", "a/b", " 1/2", "1/2\n", "01/2"]
)
def test_what_is_no_shard_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1/2"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert str(Shard.parse("2/3")) == "2/3"
    assert Shard.parse("1/1").holds("anything")
