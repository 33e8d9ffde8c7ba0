"""What becomes of packets between the gateways, by WireGuard's own counters: bytes sent into the tunnel and arrived.

The counters of both ends are read in an order in which traffic that happens to pass meanwhile can only hide a loss,
never invent one: before the burst the receiver's first, after it the sender's first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.model import Budget
from harness.nodes import Node
from harness.waiting import wait_until_or_last
from harness.wireguard import INTERFACE

SIZES = {"small": 100, "large": 10}
"""How many datagrams of each size are sent each way."""

_SCRIPT = (Path(__file__).parent / "looks" / "burst.sh").read_text(encoding="utf-8")
_ARRIVAL = Budget(seconds=0.2, poll=0.02, reason="on one host a packet takes a millisecond, on a loaded one some")
_MOST_WAITS = 5  # a second in all: a snapshot has to be done within two
_STRAGGLERS = 0.1  # of what was sent: so much may be late, more is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of the tunnel, for measuring: `address` is what the other end sends to."""

    node: Node
    attributes: Mapping[str, Any]
    address: IPv4Interface


def measure(first: End, second: End) -> dict[str, dict[str, tuple[int, int]]]:
    """Bytes sent and arrived, by direction (`SERVICE>SERVICE`) and size of packet.

    Raises `HarnessError` when a counter cannot be read or nothing can be sent.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="traffic") as pool:
        ends = (first, second)

        def received() -> list[int]:
            return [counters[0] for counters in pool.map(_transfer, ends)]

        def both(size: str, count: int) -> list[int]:
            return list(pool.map(lambda sender, receiver: _burst(sender, receiver, size, count), ends, ends[::-1]))

        # Behind a NAT that has forgotten the tunnel nothing comes in before something has gone out.
        both("small", 1)
        for size, count in SIZES.items():
            before = received()
            went = both(size, count)

            def arrived(before: list[int] = before) -> list[int]:
                return [now - then for then, now in zip(before, received(), strict=True)]

            came = _settled(arrived, went[::-1])
            for sender, receiver in ((0, 1), (1, 0)):
                way = f"{ends[sender].node.service}>{ends[receiver].node.service}"
                found.setdefault(way, {})[size] = (went[sender], came[receiver])
    return found


def _settled(arrived: Callable[[], list[int]], expected: list[int]) -> list[int]:
    """What has arrived once it is all, or once nothing more comes: on a starved machine what is late is not lost.

    Stragglers are waited for to the end: on such a machine nothing may move for longer than one wait.
    """

    def complete(seen: list[int], but: float = 0) -> bool:
        return all(got >= whole * (1 - but) for got, whole in zip(seen, expected, strict=True))

    seen = wait_until_or_last(arrived, complete, within=_ARRIVAL)
    waits = 1
    while not complete(seen) and waits < _MOST_WAITS:
        before, seen = seen, wait_until_or_last(arrived, complete, within=_ARRIVAL)
        if seen == before and not complete(seen, but=_STRAGGLERS):
            break
        waits += 1
    return seen


def _transfer(end: End) -> tuple[int, int]:
    """Bytes received and sent by wg0, over all its peers."""
    # A wireguard-go that hangs does not answer, and a look must not hang with it.
    return _counted(_said(end, "timeout", "1", "wg", "show", INTERFACE, "transfer"))


def _burst(sender: End, receiver: End, size: str, count: int) -> int:
    """Send, and count the bytes that wg0 sent from just before until just after."""
    said = _said(sender, "bash", "-c", _SCRIPT, "burst", str(receiver.address.ip), size, str(count))
    before, _, rest = said.partition("-- ")
    written, _, after = rest.partition("\n")
    start = _counted(before)[1]
    sent = _counted(after)[1] - start
    # wireguard-go counts what it has sent, which on a loaded machine is some time after it was written.
    while sent < int(written) and (now := _transfer(sender)[1] - start) > sent:
        sent = now
    return sent


def _said(end: End, *argv: str) -> str:
    result = end.node.peek(*argv, attributes=end.attributes)
    if not result.ok:
        message = f"the counters of {end.node.service} cannot be read: {result.stderr.strip()}"
        raise HarnessError(message)
    return result.stdout


def _counted(text: str) -> tuple[int, int]:
    """Bytes received and sent, as `wg show INTERFACE transfer` has them, a line for each peer."""
    fields = [line.split("\t") for line in text.splitlines() if line]
    return sum(int(each[1]) for each in fields), sum(int(each[2]) for each in fields)
