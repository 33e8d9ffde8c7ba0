"""Both ends have one key pair."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[End, ...]:
    return facts.ends[:1]


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    own, other = _public_key(end.gateway), _public_key(end.other)
    if own and own == other:
        evidence = (f"{end.gateway.service}: public key {own}", f"{end.other.service}: public key {other}")
        yield Case(node=end.other.service, evidence=evidence, values={"other": end.gateway.service})


def _public_key(gateway: GatewayFacts) -> str | None:
    """The public key that a gateway has, or would have by its file."""
    try:
        if gateway.interface:
            return gateway.interface.public_key
    except UnseenError:
        pass  # one that does not run has a file all the same
    return gateway.private_key_file.public if gateway.private_key_file else None


RULES = (
    Rule(
        id="key-reused",
        title="Both ends use one key pair",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="{node} and {other} have the same key pair, so neither can tell the other from itself",
        remedy=(
            "make a pair for each end (python -m harness keys generate DIR), give each the other's public key, "
            "then: docker compose up -d --force-recreate {node}"
        ),
    ),
)
