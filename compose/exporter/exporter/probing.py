"""Whether a connection through the tunnel comes about, and how long that takes."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from exporter.settings import MOST_PROBES, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What became of one connection: how long it took in seconds, or why there was none."""

    target: Target
    seconds: float | None
    failure: str | None = None


def probe_all(targets: Iterable[Target], within: float) -> list[Probe]:
    """Connect to each target at once; it takes `within` seconds at most."""
    targets = list(targets)
    if not targets:
        return []
    with ThreadPoolExecutor(max_workers=MOST_PROBES, thread_name_prefix="probe") as pool:
        return list(pool.map(lambda target: probe(target, within), targets))


def probe(target: Target, within: float) -> Probe:
    """Connect, and hang up without a word.

    MariaDB counts such a client against max_connect_errors only where it looks up names; the deployment's runs with
    --skip-name-resolve, so its host is never blocked.
    """
    began = time.monotonic()
    try:
        with socket.create_connection((target.address, target.port), timeout=within):
            return Probe(target=target, seconds=time.monotonic() - began)
    except TimeoutError:
        failure = f"no answer within {within:g} s"
    except OSError as error:
        failure = "refused" if error.errno == errno.ECONNREFUSED else str(error.strerror or error).lower()
    return Probe(target=target, seconds=None, failure=failure)
