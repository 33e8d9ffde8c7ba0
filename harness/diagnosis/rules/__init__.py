"""Diagnosis: rules that judge evidence, one file each, none importing another, none doing any input or output.

A rule looks at the contradiction that *is* the fault, not at its symptoms, so that it also finds what nobody foresaw
in a shape that nobody foresaw. It says which other rules explain what it finds: of a dead tunnel's many signs only
the cause is a root. A path that fails and that no root explains is `undiagnosed`, never passed over.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

from harness.diagnosis.facts import Facts
from harness.model import Hop, Severity

S = TypeVar("S")

STARTS_NOTHING = frozenset(
    {
        *("capability-missing", "device-missing", "out-of-memory"),
        *("setting-missing", "setting-misnamed", "setting-malformed", "forward-setting-malformed"),
    }
)
"""What a gateway or a backend cannot start with: where it runs all the same, nothing comes of it."""

STOPS_A_CONTAINER = STARTS_NOTHING | {
    *("subnet-overlap", "forwarding-disabled", "private-key-invalid", "key-file-invalid", "peer-key-is-own"),
}
"""What a container cannot start with, or does not live long with."""

KILLS_A_TUNNEL = STOPS_A_CONTAINER | {
    *("container-down", "interface-missing", "interface-down", "address-missing", "address-duplicated"),
    *("route-missing", "allowed-ips-missing", "allowed-ips-taken", "port-unpublished"),
    *("endpoint-wrong", "endpoint-missing", "peer-missing", "link-down", "network-missing", "process-stopped"),
    *("peer-key-mismatch", "preshared-key-mismatch", "key-reused", "key-not-reloaded"),
}
"""What lets nothing through between two gateways that could reach each other."""

BREAKS_A_PATH = KILLS_A_TUNNEL | {
    *("peer-unreachable", "handshake-stale", "path-mtu", "namespace-orphaned", "app-outside-gateway"),
    *("name-unresolvable", "setting-contradicted", "forward-dropped", "return-path-missing", "reverse-path-filter"),
    *("forward-rule-missing", "forward-rule-wrong-destination", "forward-rule-wrong-protocol"),
    *("connection-untracked", "outgoing-dropped", "backend-route-missing"),
    *("forward-rule-shadowed", "backend-down", "backend-address-moved", "backend-not-listening", "app-inside-gateway"),
}
"""What an application notices as a backend that it cannot talk to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a rule found. `values` fill the rule's cause and remedy; `evidence` are the very lines.

    `paths` are the paths that it breaks; None means all that need the node. `severity` is the rule's where it is None.
    """

    node: str
    evidence: tuple[str, ...]
    paths: frozenset[str] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[S]):
    """One way to be wrong.

    `over` gives the subjects, each judged by `when`, which may raise `UnseenError`: then this subject is unknown.
    `cause` and `remedy` are templates, in which {node} is the service's name and {container} that of its container.
    `consequence_of` names the rules that explain a finding of this one where they share a node or a path, and
    `local` those of them that do so on the same node alone; `hop` is where on the way the packet is stopped.
    """

    id: str
    title: str
    hop: Hop
    over: Callable[[Facts], Iterable[S]]
    when: Callable[[Facts, S], Iterator[Case]]
    cause: str
    remedy: str
    severity: Severity = Severity.ERROR
    consequence_of: frozenset[str] = frozenset()
    local: frozenset[str] = frozenset()


@cache
def rules() -> tuple[Rule[Any], ...]:
    """Every rule, found in this folder: each module has one, or several that belong together, as `RULES`."""
    found: list[Rule[Any]] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        found += importlib.import_module(f"{__name__}.{module.name}").RULES
    return tuple(sorted(found, key=lambda rule: (list(Hop).index(rule.hop), rule.id)))
