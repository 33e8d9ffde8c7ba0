"""A gateway knows its peer by a key that is not the other end's."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.model import Hop


def _over(facts: Facts) -> list[End]:
    return [end for end in facts.ends if ABSENT not in (end.gateway.container.status, end.other.container.status)]


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    known, lines = _known(end.gateway)
    actual, source = _actual(end.other)
    if not known or actual is None or actual in known:
        return
    yield Case(
        node=end.gateway.service,
        evidence=(*lines, source),
        values={"other": end.other.service, "known": ", ".join(known), "actual": actual},
    )


def _known(gateway: GatewayFacts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys by which a gateway knows its peers: those in use, or in its file where it does not run."""
    if gateway.container.running and gateway.interface:
        keys = tuple(peer.public_key for peer in gateway.peers)
        return keys, tuple(f"{gateway.service}: {gateway.dump_line(key)}" for key in keys)
    file = gateway.secret_file(PEER_PUBLIC_KEY_FILE)
    told = gateway.environment.get("WG_PEER_PUBLIC_KEY") or (file.content if file and not file.fault else None)
    return ((told,), (f"{gateway.service}: its peer's public key is {told}",)) if told else ((), ())


def _actual(gateway: GatewayFacts) -> tuple[str | None, str]:
    """The public key that a gateway really has, and where that is seen."""
    if gateway.container.running and gateway.interface:
        key = gateway.interface.public_key
        return key, f"{gateway.service}: {gateway.dump_line(key)}"
    file = gateway.private_key_file
    derived = file.public if file else None
    return derived, f"{gateway.service}: its private key's public key is {derived}"


RULES = (
    Rule(
        id="peer-key-mismatch",
        title="A gateway's peer key is not the other end's",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause=(
            "{node} expects a peer with the public key {known}, and {other} has {actual}: it was not derived from "
            "the private key"
        ),
        remedy=(
            "on {other}: wg pubkey < private.key; give what it prints to {node} as its peer's public key, then: "
            "docker compose up -d --force-recreate {node}"
        ),
        consequence_of=STOPS_A_CONTAINER | {"key-not-reloaded", "key-reused"},
    ),
)
