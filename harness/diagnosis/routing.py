"""Which way the kernel sends a packet: routing policy (`ip rule`) and tables (`ip route`), as `ip -j` prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Self

from harness.model import Route

MAIN = "main"
_OWN = "local"  # the kernel's table of the machine's own addresses, which lead nowhere else
# What this module can judge; anything else, such as a port, an interface or a user, never decides.
_JUDGED = frozenset(
    {"priority", "src", "srclen", "dst", "dstlen", "fwmark", "fwmask", "not", "table", "action", "protocol"}
    | {"suppress_prefixlen"}
)
_REFUSING = frozenset({"blackhole", "unreachable", "prohibit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One line of `ip rule`: which packets look into which `table`, or are refused by `action` (empty: a table)."""

    priority: int
    source: IPv4Network | None
    destination: IPv4Network | None
    mark: tuple[int, int] | None
    negated: bool
    judged: bool
    table: str
    action: str
    shortest: int

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """From an entry of `ip -j rule`; raises `KeyError`, `TypeError` or `ValueError` for what is none."""
        mask = int(str(entry.get("fwmask", "0xffffffff")), 16)
        action = str(entry.get("action", ""))
        return cls(
            priority=int(entry["priority"]),
            source=_network(entry, "src"),
            destination=_network(entry, "dst"),
            mark=(int(str(entry["fwmark"]), 16), mask) if "fwmark" in entry else None,
            negated="not" in entry,
            judged=entry.keys() <= _JUDGED and (action in _REFUSING or not action),
            table=str(entry.get("table", "")),
            action=action,
            shortest=int(entry.get("suppress_prefixlen", -1)) + 1,
        )

    def takes(self, destination: IPv4Address, source: IPv4Address | None, mark: int) -> bool:
        """Whether a packet falls under it; one of which that cannot be told does not."""
        if not self.judged:
            return False
        held = self.destination is None or destination in self.destination
        held = held and (self.source is None or (source is not None and source in self.source))
        held = held and (self.mark is None or mark & self.mark[1] == self.mark[0] & self.mark[1])
        return held != self.negated

    def __str__(self) -> str:
        negated = "not " if self.negated else ""
        selected = f"from {self.source or 'all'}" + (f" to {self.destination}" if self.destination else "")
        marked = f" fwmark {self.mark[0]:#x}" if self.mark else ""
        return f"ip rule {self.priority}: {negated}{selected}{marked} {self.action or f'lookup {self.table}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The route that was chosen, and the policy that led to it, where that was not the main table's own."""

    route: Route
    policy: Policy | None

    @property
    def device(self) -> str | None:
        """The interface by which the packet leaves; None where it is refused."""
        return self.route.device if self.route.kind == "unicast" else None

    def __str__(self) -> str:
        by = f" by {self.route.device}" if self.route.device else ""
        via = f" via {self.route.gateway}" if self.route.gateway else ""
        chosen = f", chosen by {self.policy}" if self.policy else ""
        return f"{self.route.kind} {self.route.destination}{via}{by}{chosen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All policies of a network namespace, in the order in which they are asked, and all its tables."""

    policies: tuple[Policy, ...]
    tables: Mapping[str, Sequence[Route]]

    def way(
        self, to: IPv4Address, *, source: IPv4Address | None = None, mark: int = 0, without: str | None = None
    ) -> Way | None:
        """The way to an address; `without` leaves the routes by a device out."""
        for policy in self.policies:
            if policy.table == _OWN or not policy.takes(to, source, mark):
                continue
            selective = policy.table != MAIN or any((policy.source, policy.destination, policy.mark))
            own = policy if selective else None
            if policy.action:
                refusal = Route(destination=str(to), kind=policy.action, device=None, gateway=None, metric=0)
                return Way(route=refusal, policy=policy)
            found = longest(self.tables.get(policy.table, ()), to, without=without)
            if found is not None and found.network.prefixlen >= policy.shortest:
                return Way(route=found, policy=own)
        return None


def longest(routes: Iterable[Route], to: IPv4Address, *, without: str | None = None) -> Route | None:
    """The route that a table chooses: the longest prefix, and of equal ones the smallest metric."""
    leading = (route for route in routes if to in route.network and (without is None or route.device != without))
    return max(leading, key=lambda route: route.preference, default=None)


def _network(entry: Mapping[str, Any], end: str) -> IPv4Network | None:
    address = str(entry.get(end, "all"))
    return None if address == "all" else IPv4Network(f"{address}/{entry.get(f'{end}len', 32)}")
