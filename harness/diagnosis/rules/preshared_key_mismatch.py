"""The ends do not have the same preshared key."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import both_anew
from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[End]:
    return [end for end in facts.ends[:1] if ABSENT not in (end.gateway.container.status, end.other.container.status)]


def _when(facts: Facts, end: End) -> Iterator[Case]:
    own, other = _preshared(end.gateway, end.other), _preshared(end.other, end.gateway)
    if own is None or other is None or own == other:
        return
    seals = {end.gateway.service: own, end.other.service: other}
    without = [service for service, seal in seals.items() if seal == "(none)"]
    problem = f"{without[0]} has no preshared key and the other end has one" if without else "each has another one"
    evidence = tuple(f"{service}: preshared key {seal}" for service, seal in seals.items())
    values = {"other": end.other.service, "problem": problem, "commands": both_anew(facts, end, forced=True)}
    yield Case(node=end.gateway.service, evidence=evidence, values=values)


def _preshared(gateway: GatewayFacts, other: GatewayFacts) -> str | None:
    """The seal of the preshared key that a gateway uses with the other; None where it does not know the other.

    `(none)` is one that has none.
    """
    if gateway.container.running and other.container.running:
        key = other.interface.public_key if other.interface else None
        known = {peer.public_key for peer in gateway.peers}
        if key not in known and len(known) == 1:
            key = next(iter(known))  # that the key itself is wrong says nothing about the preshared one
        return gateway.preshared_seal(key) if key in known else None
    if "WG_PRESHARED_KEY_FILE" not in gateway.environment:
        return "(none)"
    file = gateway.preshared_key_file
    return file.seal if file and not file.fault else None


RULES = (
    Rule(
        id="preshared-key-mismatch",
        title="The preshared keys differ",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="{node} and {other} do not have the same preshared key: {problem}",
        remedy="give {node} and {other} the same file (wg genpsk > preshared.key), then: {commands}",
        consequence_of=frozenset({"key-not-reloaded", "key-file-invalid"}),
    ),
)
