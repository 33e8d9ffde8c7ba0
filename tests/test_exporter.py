from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "compose" / "exporter"))

from exporter import catalogue, probing, report, sampling, settings
from exporter.log import Log

PEER = "aVcU8g7ebIml5PoRHYPl/eD7HAChLjB8lAMstB7sWlo="
OWN = "vU2ggTCfIVYbffXDypXik7h5zeIuNTlf7jHguTtoOHA="
RULES = """\
*nat
:PREROUTING ACCEPT [5:300]
:DOCKER_OUTPUT - [0:0]
[7:420] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 10.101.0.2:3306
[9:540] -A PREROUTING -i wg0 -p tcp -m tcp --dport 6379 -j DNAT --to-destination 10.101.0.9:6379
COMMIT
*filter
:FORWARD DROP [0:0]
[40:4000] -A FORWARD -d 10.101.0.2/32 -i wg0 -o eth1 -p tcp -m tcp --dport 3306 -m conntrack --ctstate DNAT -j ACCEPT
[2:200] -A FORWARD -d 10.101.0.2/32 -i wg0 -o eth9 -p tcp -m tcp --dport 3306 -m conntrack --ctstate DNAT -j ACCEPT
[8:800] -A FORWARD -d 10.101.0.4/32 -i wg0 -o eth1 -p tcp -m tcp --dport 6379 -m conntrack --ctstate DNAT -j DROP
COMMIT"""


def written(
    *,
    handshake: int = 1000,
    wireguard: tuple[int, str] | None = None,
    rules: tuple[int, str] = (0, RULES),
    forwards: str = "3306:tcp:10.101.0.2 6379:tcp:10.101.0.4",
    end: str = ":end 0",
) -> str:
    """A report as the gateway writes it, at second 1010."""
    status, dump = wireguard or (
        0,
        f"{OWN}\t51820\toff\n{PEER}\t172.20.0.3:51820\t10.100.0.11/32\t{handshake}\t34300\t33348\t25",
    )
    return (
        f":gateway 0\ntime=1010.250000\nimplementation=kernel\niptables=nft\nforwards={forwards}\n"
        f":wireguard {status}\n{dump}\n:rules {rules[0]}\n{rules[1]}\n{end}\n"
    )


class Exported:
    """What one look at a gateway exports, and what it says in its log."""

    def __init__(self, tmp_path: Path, text: str | report.ReadingError, *, flags: str | None = "0x11043\n") -> None:
        self.said: list[str] = []
        self.flags = tmp_path / "flags"
        if flags is not None:
            self.flags.write_text(flags)
        self.text = text
        self.sampler = sampling.Sampler(
            probes=(),
            probe_timeout=1,
            log=Log(as_json=False, write=self.said.append),
            ask=self._ask,
            flags=self.flags,
        )

    def _ask(self, _within: float) -> report.Report:
        if isinstance(self.text, report.ReadingError):
            raise self.text
        return report.parse(self.text)

    def look(self) -> dict[tuple[str, ...], float]:
        """Each value by its metric's name, without what all have in common, and its labels."""
        samples = self.sampler.samples()
        return {(sample.name.removeprefix("wireguard_"), *sample.labels): sample.value for sample in samples}


def test_what_wireguard_says_is_exported(tmp_path: Path) -> None:
    """Handshake, its age by the gateway's clock, bytes both ways, by the peer's public key and allowed IPs."""
    seen = Exported(tmp_path, written()).look()
    peer = (PEER, "10.100.0.11/32")
    assert seen["gateway_info", "kernel", "nft", OWN] == 1
    assert seen["interface_up", "wg0"] == 1
    assert seen["peer_handshake_seen", *peer] == 1
    assert seen["peer_latest_handshake_timestamp_seconds", *peer] == 1000
    assert seen["peer_latest_handshake_age_seconds", *peer] == 10.25
    assert seen["peer_received_bytes_total", *peer] == 34300
    assert seen["peer_sent_bytes_total", *peer] == 33348


def test_no_handshake_yet_is_no_old_handshake(tmp_path: Path) -> None:
    """Before the first handshake there is neither a time nor an age, and it is said that there was none."""
    seen = Exported(tmp_path, written(handshake=0)).look()
    assert seen["peer_handshake_seen", PEER, "10.100.0.11/32"] == 0
    assert not [key for key in seen if "latest_handshake" in key[0]]


def test_a_clock_that_was_set_back_gives_no_negative_age(tmp_path: Path) -> None:
    seen = Exported(tmp_path, written(handshake=2000)).look()
    assert seen["peer_latest_handshake_age_seconds", PEER, "10.100.0.11/32"] == 0


def test_rules_are_counted_for_the_forward_that_they_serve(tmp_path: Path) -> None:
    """Both rules of 3306, one of them there twice; of 6379 one leads elsewhere and the other drops, so it has none."""
    seen = Exported(tmp_path, written()).look()
    assert seen["forward_packets_total", "3306", "tcp", "10.101.0.2", "dnat"] == 7
    assert seen["forward_bytes_total", "3306", "tcp", "10.101.0.2", "dnat"] == 420
    assert seen["forward_packets_total", "3306", "tcp", "10.101.0.2", "accept"] == 42
    assert seen["forward_bytes_total", "3306", "tcp", "10.101.0.2", "accept"] == 4200
    for rule in ("dnat", "accept"):
        assert seen["forward_rule_present", "3306", "tcp", "10.101.0.2", rule] == 1
        assert seen["forward_rule_present", "6379", "tcp", "10.101.0.4", rule] == 0
        assert ("forward_packets_total", "6379", "tcp", "10.101.0.4", rule) not in seen


@pytest.mark.parametrize(
    ("text", "failed", "reason"),
    [
        (report.ReadingError("nobody answers"), {"gateway", "wireguard", "rules"}, "gateway: nobody answers"),
        (written(wireguard=(1, "Unable to access interface: No such device")), {"wireguard"}, "No such device"),
        (written(wireguard=(0, "")), {"wireguard"}, "not in the format"),
        (written(wireguard=(0, f"{OWN}\t1\toff\n{PEER}\tx\ty\tsoon\t0\t0\toff")), {"wireguard"}, "not in the format"),
        (written(rules=(4, "Permission denied (you must be root)")), {"rules"}, "Permission denied"),
        (written(rules=(0, RULES.replace("[7:420]", "[x:420]"))), {"rules"}, "not in the format"),
    ],
)
def test_a_failed_reading_is_said_and_gives_no_value(
    tmp_path: Path, text: str | report.ReadingError, failed: set[str], reason: str
) -> None:
    """What cannot be read is 0 in its own metric and counted, gives no value at all, and is a line in the log."""
    exported = Exported(tmp_path, text)
    seen = exported.look()
    assert {reading for reading in catalogue.READINGS if not seen["reading_up", reading]} == failed
    assert all(seen["reading_errors_total", reading] == (reading in failed) for reading in catalogue.READINGS)
    names = {key[0] for key in seen}
    assert any(name.startswith("peer_") for name in names) is ("wireguard" not in failed)
    assert any(name.startswith("forward_") for name in names) is ("rules" not in failed)
    assert len(exported.said) == 1
    assert reason in exported.said[0]


def test_after_a_failure_no_value_is_left_and_recovery_is_said(tmp_path: Path) -> None:
    """A value of an earlier look is never shown again; the log tells of the change, not of every look."""
    exported = Exported(tmp_path, written())
    exported.look()
    exported.text = report.ReadingError("silence")
    for failures in (1, 2):
        seen = exported.look()
        assert seen["reading_errors_total", "gateway"] == failures
        assert not [key for key in seen if key[0].startswith(("peer_", "forward_", "gateway_"))]
    exported.text = written()
    assert exported.look()["reading_errors_total", "gateway"] == 2
    assert exported.said == ["exporter: gateway: silence", "exporter: gateway: well again"]


@pytest.mark.parametrize(("flags", "up"), [("0x1003\n", 1), ("0x1002\n", 0), (None, 0)])
def test_an_interface_is_up_down_or_gone(tmp_path: Path, flags: str | None, up: int) -> None:
    assert Exported(tmp_path, written(), flags=flags).look()["interface_up", "wg0"] == up


@pytest.mark.parametrize("text", ["", "hello", written(end=""), written()[:200]])
def test_a_report_that_is_cut_off_is_none(text: str) -> None:
    with pytest.raises(report.ReadingError, match="cut off"):
        report.parse(text)


def test_only_what_is_in_the_catalogue_is_exported(tmp_path: Path) -> None:
    """Every metric has its labels and a help text, and each of the catalogue's can come about."""
    exported = Exported(tmp_path, written())
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:
        exported.sampler.probes = (settings.Target(address="127.0.0.1", port=listening.getsockname()[1]),)
        samples = exported.sampler.samples()
    labels = {metric.name: metric.labels for metric in catalogue.CATALOGUE}
    assert {sample.name for sample in samples} == set(labels)
    assert all(len(sample.labels) == len(labels[sample.name]) for sample in samples)
    for metric in catalogue.CATALOGUE:
        assert metric.help.endswith(".")
        assert (metric.kind == "counter") is metric.name.endswith("_total")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket in the place of the gateway's."""
    name = f"\0test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        yield name, listening


def test_the_gateway_is_asked(gateway: tuple[str, socket.socket]) -> None:
    name, listening = gateway

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(written().encode())

    thread = threading.Thread(target=answer)
    thread.start()
    assert report.ask(5, trusted=os.getuid(), name=name).tunnel().public_key == OWN
    thread.join()


def test_nobody_else_is_believed(gateway: tuple[str, socket.socket]) -> None:
    """Whoever in the namespace binds the name first is no gateway unless it is the gateway's user."""
    name, _ = gateway
    with pytest.raises(report.ReadingError, match=f"user {os.getuid()} answers in its place"):
        report.ask(5, trusted=os.getuid() + 1, name=name)


def test_a_silent_gateway_is_given_up(gateway: tuple[str, socket.socket]) -> None:
    name, _ = gateway
    with pytest.raises(report.ReadingError, match=r"within 0\.05 s"):
        report.ask(0.05, trusted=os.getuid(), name=name)


def test_no_gateway_at_all_is_named() -> None:
    with pytest.raises(report.ReadingError, match="does not answer"):
        report.ask(1, name="\0nobody-is-there")


def test_a_refused_connection_is_told_from_a_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        open_one = probing.probe(settings.Target(address="127.0.0.1", port=port), 1)
    refused = probing.probe(settings.Target(address="127.0.0.1", port=port), 1)
    assert open_one.seconds is not None
    assert open_one.failure is None
    assert refused.seconds is None
    assert refused.failure == "refused"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EXPORTER_PORT": "0"}, "EXPORTER_PORT: '0' is not a port"),
        ({"EXPORTER_PORT": "٣"}, "not a port"),
        ({"EXPORTER_PROBES": "mariadb:3306"}, "EXPORTER_PROBES has 'mariadb:3306'"),
        ({"EXPORTER_PROBES": "10.100.0.11"}, "EXPORTER_PROBES has '10.100.0.11'"),
        ({"EXPORTER_PROBES": "10.100.0.11:99999"}, "'99999' is not a port"),
        ({"EXPORTER_PROBES": "10.100.0.11:1 10.100.0.11:1"}, "twice"),
        ({"EXPORTER_PROBES": " ".join(f"10.0.0.1:{port}" for port in range(1, 18))}, "17 targets"),
        ({"EXPORTER_PROBE_TIMEOUT": "nan"}, "EXPORTER_PROBE_TIMEOUT is 'nan'"),
        ({"EXPORTER_PROBE_TIMEOUT": "-1"}, "more than 0"),
        ({"EXPORTER_PROBE_TIMEOUT": "60"}, "at most 5"),
        ({"EXPORTER_PROBE": "10.100.0.11:1"}, "EXPORTER_PROBE is not a setting"),
        ({"LOG_FORMAT": "xml"}, "write text or json"),
    ],
)
def test_a_wrong_setting_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(settings.SettingError, match=said):
        settings.load(environment)


def test_the_settings_have_defaults() -> None:
    found = settings.load({"EXPORTER_PROBES": " 10.100.0.11:3306\n10.100.0.11:6379 ", "LOG_FORMAT": ""})
    assert (found.port, found.probe_timeout) == (9586, 1.0)
    assert [(target.address, target.port) for target in found.probes] == [("10.100.0.11", 3306), ("10.100.0.11", 6379)]


def test_a_line_of_the_log_is_one_object() -> None:
    said: list[str] = []
    Log(as_json=True, write=said.append).warning('a "quoted"\nmessage')
    assert {key: value for key, value in json.loads(said[0]).items() if key != "time"} == {
        "service": "exporter",
        "level": "warning",
        "message": 'a "quoted" message',
    }
