"""A gateway was given its own public key as its peer's."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.model import Hop


def _over(facts: Facts) -> list[GatewayFacts]:
    return facts.gateways


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    private, public = gateway.private_key_file, gateway.secret_file(PEER_PUBLIC_KEY_FILE)
    told = public.content if public else gateway.environment.get("WG_PEER_PUBLIC_KEY")
    if private and private.public and told == private.public:
        evidence = [
            f"{gateway.service}: the private key's public key is {private.public}",
            f"{gateway.service}: the peer's public key is {told}",
        ]
        yield Case(node=gateway.service, evidence=tuple(evidence))
        return
    try:
        interface = gateway.interface
    except UnseenError:
        return  # the files were judged; a gateway like this does not start
    if interface and any(peer.public_key == interface.public_key for peer in interface.peers):
        yield Case(node=gateway.service, evidence=(gateway.dump_line(interface.public_key),))


RULES = (
    Rule(
        id="peer-key-is-own",
        title="A gateway's peer key is its own",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="{node} was given its own public key as its peer's",
        remedy=(
            "give {node} the other end's public key (wg pubkey < the other end's private.key), then: docker "
            "compose up -d --force-recreate {node}"
        ),
        consequence_of=frozenset({"key-reused"}),
    ),
)
