from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import CommandResult, Forward, Observation, Outcome

DOCUMENTED = "3306:tcp:10.101.0.2 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5"

forwards = st.builds(
    Forward,
    port=st.integers(min_value=1, max_value=65535),
    protocol=st.sampled_from(["tcp", "udp"]),
    destination=st.ip_addresses(v=4),
)


def test_the_documented_setting_is_read() -> None:
    """The `WG_FORWARD_PORTS` of the deployment gives its three forwards, in order."""
    assert Forward.parse_all(DOCUMENTED) == (
        Forward(port=3306, protocol="tcp", destination=IPv4Address("10.101.0.2")),
        Forward(port=6379, protocol="tcp", destination=IPv4Address("10.101.0.4")),
        Forward(port=8001, protocol="tcp", destination=IPv4Address("10.101.0.5")),
    )


@pytest.mark.parametrize("setting", ["", "   ", "\n"])
def test_an_empty_setting_forwards_nothing(setting: str) -> None:
    """Nothing but white space is no entry, and no error."""
    assert Forward.parse_all(setting) == ()


@given(st.lists(forwards, max_size=6), st.sampled_from([" ", "  ", "\n", "\t "]))
def test_what_is_written_is_read_back(entries: list[Forward], separator: str) -> None:
    """Every list of forwards survives being written as a setting and parsed, whatever white space parts it."""
    assert Forward.parse_all(separator.join(map(str, entries))) == tuple(entries)


def test_a_changed_port_is_read_where_there_may_be_one() -> None:
    """This project's own gateways know of none."""
    changed = Forward(port=13306, protocol="tcp", destination=IPv4Address("10.101.0.2"), changed=3306)
    assert Forward.parse_all(f"{changed} {DOCUMENTED}") == (changed, *Forward.parse_all(DOCUMENTED))
    assert (changed.target, Forward.parse_all(DOCUMENTED)[0].target) == (3306, 3306)
    with pytest.raises(ValueError, match="is not PORT:tcp"):
        Forward.parse_all(str(changed), keeping=True)


@pytest.mark.parametrize(
    "entry",
    [
        "3306",
        "3306:tcp",
        "3306:10.101.0.2",
        "3306:tcp:10.101.0.2:1",
        "3306:tcp:",
        ":tcp:10.101.0.2",
        "70000:tcp:10.101.0.2",
        "0:tcp:10.101.0.2",
        "-1:tcp:10.101.0.2",
        "03306:tcp:10.101.0.2",
        "+3306:tcp:10.101.0.2",
        "٣٣٠٦:tcp:10.101.0.2",
        "3306:sctp:10.101.0.2",
        "3306:TCP:10.101.0.2",
        "3306:tcp:db",
        "3306:tcp:10.101.0",
        "3306:tcp:10.101.0.256",
        "3306:tcp:10.101.0.02",
        "3306:tcp:10.101.0.2/32",
        "3306:tcp:::1",
    ],
)
def test_a_malformed_entry_is_named(entry: str) -> None:
    """One entry that cannot be read is named as it stands, with the form that was wanted."""
    with pytest.raises(ValueError, match="is not PORT:tcp\\|udp:ADDRESS") as caught:
        Forward.parse_all(f"6379:tcp:10.101.0.4 {entry} 8001:tcp:10.101.0.5", keeping=True)
    assert repr(entry) in str(caught.value)
    assert "6379" not in str(caught.value)


def test_a_command_result_shows_what_was_run_and_said() -> None:
    """For people: the command as typed, the exit status, both outputs."""
    result = CommandResult(argv=("wg", "show"), exit_status=3, stdout="out\n", stderr="err\n", duration=0.5)
    assert str(result) == "$ wg show\n[exit 3, 0.50 s]\nout\nerr"
    assert not result.ok


def test_an_observation_reads_as_a_sentence() -> None:
    """For people: probe, both ends, outcome, and the detail if there is one."""
    seen = Observation(
        probe="Redis PING",
        source="web",
        destination="10.100.0.11:6379",
        outcome=Outcome.TIMED_OUT,
        detail="no answer",
        observed_at=datetime.now(tz=UTC),
    )
    assert str(seen) == "Redis PING from web to 10.100.0.11:6379: timed out (no answer)"
