"""What the environment says, checked once and before anything starts.

EXPORTER_PORT            where /metrics is served, 9586
EXPORTER_PROBES          address:port ..., each tried with a TCP connection at every scrape; unset: none
EXPORTER_PROBE_TIMEOUT   seconds that a connection may take, 1
LOG_FORMAT               text, or json: an object a line
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

DEFAULT_PORT = 9586
DEFAULT_PROBE_TIMEOUT = 1.0
LONGEST_PROBE = 5.0  # seconds; Prometheus gives up a scrape after 10 s unless it is told otherwise
MOST_PROBES = 16  # each is a thread while a scrape lasts
LAST_PORT = 65535
KNOWN = ("EXPORTER_PORT", "EXPORTER_PROBES", "EXPORTER_PROBE_TIMEOUT")


class SettingError(Exception):
    """A variable is misnamed or malformed; the message says which, and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a connection is tried."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the exporter reads from its environment; `probe_timeout` is in seconds."""

    port: int
    probes: tuple[Target, ...]
    probe_timeout: float


def load(environ: Mapping[str, str]) -> Settings:
    """Return the checked settings, or raise a SettingError for the first fault."""
    for name in sorted(environ):
        if name.startswith("EXPORTER_") and name not in KNOWN:
            message = f"{name} is not a setting of the exporter; there are {', '.join(KNOWN)}"
            raise SettingError(message)
    log_format = environ.get("LOG_FORMAT", "").strip() or "text"
    if log_format not in {"text", "json"}:
        message = f"LOG_FORMAT is {log_format!r}: write text or json"
        raise SettingError(message)
    return Settings(
        port=_port("EXPORTER_PORT", environ.get("EXPORTER_PORT", "").strip() or str(DEFAULT_PORT)),
        probes=_probes(environ.get("EXPORTER_PROBES", "")),
        probe_timeout=_seconds(environ.get("EXPORTER_PROBE_TIMEOUT", "").strip() or str(DEFAULT_PROBE_TIMEOUT)),
    )


def _probes(text: str) -> tuple[Target, ...]:
    found: list[Target] = []
    for entry in text.split():
        address, _, port = entry.rpartition(":")
        try:
            IPv4Address(address)
        except AddressValueError:
            message = f"EXPORTER_PROBES has {entry!r}: write IPv4 address:port, as in 10.100.0.11:3306"
            raise SettingError(message) from None
        target = Target(address=address, port=_port("EXPORTER_PROBES", port))
        if target in found:
            message = f"EXPORTER_PROBES has {entry!r} twice: remove one of the two"
            raise SettingError(message)
        found.append(target)
    if len(found) > MOST_PROBES:
        message = f"EXPORTER_PROBES has {len(found)} targets: {MOST_PROBES} are the most that one scrape tries"
        raise SettingError(message)
    return tuple(found)


def _port(name: str, text: str) -> int:
    # isdecimal alone would take digits of other scripts.
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LAST_PORT):
        message = f"{name}: {text!r} is not a port; write a number from 1 to {LAST_PORT}"
        raise SettingError(message)
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_PROBE:  # what is not a number fails here too
        message = f"EXPORTER_PROBE_TIMEOUT is {text!r}: write seconds, more than 0 and at most {LONGEST_PROBE:g}"
        raise SettingError(message)
    return seconds
