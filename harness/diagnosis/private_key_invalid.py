"""A gateway's private key is none."""

from __future__ import annotations

from collections.abc import Iterator

from harness.containers import ABSENT
from harness.diagnosis import Case, Rule
from harness.facts import Facts
from harness.model import Hop
from harness.nodefacts import GatewayFacts
from harness.sealing import PRIVATE_KEY_FILE


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.container.status != ABSENT]


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    file = gateway.private_key_file
    complaint = gateway.log_lines(PRIVATE_KEY_FILE)[-1:] if not gateway.container.running else ()
    if file is None:
        if complaint:
            yield Case(node=gateway.service, evidence=complaint, values={"problem": "cannot be read"})
        return
    problem = "is empty" if file.empty else file.fault
    if problem:
        yield Case(
            node=gateway.service,
            evidence=(f"{gateway.service}: the key in {file.path} {problem}", *complaint),
            values={"problem": problem},
        )


RULES = (
    Rule(
        id="private-key-invalid",
        title="A private key is none",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="the private key of {node} {problem}",
        remedy="make a new pair (wg genkey > private.key; wg pubkey < private.key > public.key), give the public key to the other end, then: docker compose up -d --force-recreate {node}",
    ),
)
