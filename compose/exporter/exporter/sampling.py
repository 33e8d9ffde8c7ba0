"""One look at the gateway, made anew for every scrape. What cannot be read now gives no value, never an old one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exporter.catalogue import READINGS
from exporter.log import Log
from exporter.probing import Probe, probe_all
from exporter.report import ReadingError, Report, ask
from exporter.settings import Target

INTERFACE = "wg0"
REPORT_WITHIN = 3.0  # seconds; it takes 30 ms, and the gateway itself gives each of its two commands 1 s
IFF_UP = 1  # linux/if.h
FLAGS = Path("/sys/class/net", INTERFACE, "flags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of one metric of the catalogue."""

    name: str
    labels: tuple[str, ...]
    value: float


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Looks at one gateway; remembers only how often a reading failed, and what was said about it last."""

    probes: tuple[Target, ...]
    probe_timeout: float
    log: Log
    ask: Callable[[float], Report] = ask
    flags: Path = FLAGS
    errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READINGS, 0))
    _said: dict[str, str] = field(default_factory=dict)

    def samples(self) -> list[Sample]:
        """All that can be seen now."""
        found: list[Sample] = []
        failed: set[str] = set()

        def read(reading: str, look: Callable[[], Iterator[Sample]]) -> None:
            try:
                found.extend(list(look()))  # all of a reading or nothing of it
            except ReadingError as error:
                failed.add(reading)
                self._note(reading, str(error))
            else:
                self._note(reading, "")

        report = self._report()
        read("gateway", lambda: _gateway(report))
        read("interface", lambda: _interface(self.flags))
        if "gateway" in failed:  # nobody answers: the rest is not known either, and was said once
            failed |= {"wireguard", "rules"}
        else:
            read("wireguard", lambda: _peers(report))
            read("rules", lambda: _forwards(report))
        for probe in probe_all(self.probes, self.probe_timeout):
            self._note(f"probe of {probe.target.address}:{probe.target.port}", probe.failure or "")
            found.extend(_probe(probe))
        for reading in READINGS:
            self.errors[reading] += reading in failed
            found.append(_sample("wireguard_reading_up", reading, value=reading not in failed))
            found.append(_sample("wireguard_reading_errors_total", reading, value=self.errors[reading]))
        return found

    def _report(self) -> Report | ReadingError:
        try:
            return self.ask(REPORT_WITHIN)
        except ReadingError as error:
            return error

    def _note(self, what: str, failure: str) -> None:
        """Say when something begins to fail, fails in another way, or is well again; not at every scrape."""
        before = self._said.get(what, "")
        if failure == before:
            return
        self._said[what] = failure
        if failure:
            line = f"{what}: {failure}"
            self.log.warning(line)
        else:
            line = f"{what}: well again"
            self.log.info(line)


def _sample(name: str, *labels: str, value: float) -> Sample:
    return Sample(name=name, labels=labels, value=float(value))


def _gateway(report: Report | ReadingError) -> Iterator[Sample]:
    if isinstance(report, ReadingError):
        raise report
    said = report.gateway()
    try:
        public_key = report.tunnel().public_key
    except ReadingError:  # reported as the failure of another reading
        public_key = ""
    yield _sample("wireguard_gateway_info", said["implementation"], said["iptables"], public_key, value=1)


def _interface(flags: Path) -> Iterator[Sample]:
    try:
        up = bool(int(flags.read_text(encoding="ascii"), 16) & IFF_UP)
    except FileNotFoundError:
        up = False
    except (OSError, ValueError) as error:
        message = f"{flags} cannot be read: {error}"
        raise ReadingError(message) from None
    yield _sample("wireguard_interface_up", INTERFACE, value=up)


def _peers(report: Report | ReadingError) -> Iterator[Sample]:
    assert isinstance(report, Report)  # noqa: S101 - looked at by _gateway
    now = report.time()
    for peer in report.tunnel().peers:
        labels = peer.public_key, peer.allowed_ips
        handshake = peer.latest_handshake
        yield _sample("wireguard_peer_handshake_seen", *labels, value=handshake is not None)
        if handshake is not None:
            yield _sample("wireguard_peer_latest_handshake_timestamp_seconds", *labels, value=handshake)
            # A clock that was set back would make it negative.
            age = max(now - handshake, 0)
            yield _sample("wireguard_peer_latest_handshake_age_seconds", *labels, value=age)
        yield _sample("wireguard_peer_received_bytes_total", *labels, value=peer.received)
        yield _sample("wireguard_peer_sent_bytes_total", *labels, value=peer.sent)


def _forwards(report: Report | ReadingError) -> Iterator[Sample]:
    assert isinstance(report, Report)  # noqa: S101 - looked at by _gateway
    for forward in report.forwards():
        for rule, count in report.counts(forward).items():
            labels = forward.port, forward.protocol, forward.destination, rule
            yield _sample("wireguard_forward_rule_present", *labels, value=count is not None)
            if count is not None:
                yield _sample("wireguard_forward_packets_total", *labels, value=count.packets)
                yield _sample("wireguard_forward_bytes_total", *labels, value=count.bytes)


def _probe(probe: Probe) -> Iterator[Sample]:
    labels = probe.target.address, str(probe.target.port), "tcp"
    yield _sample("wireguard_probe_success", *labels, value=probe.seconds is not None)
    if probe.seconds is not None:
        yield _sample("wireguard_probe_duration_seconds", *labels, value=probe.seconds)
