"""A gateway's private key is none."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PRIVATE_KEY_FILE
from harness.model import Hop


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
    if not problem and _is_unloaded(gateway):
        yield Case(
            node=gateway.service,
            evidence=(f"{gateway.service}: {gateway.dump_line('(none)')}",),
            values={"problem": "is not loaded into wg0, though its file has one"},
        )
    if problem:
        yield Case(
            node=gateway.service,
            evidence=(f"{gateway.service}: the key in {file.path} {problem}", *complaint),
            values={"problem": problem},
        )


def _is_unloaded(gateway: GatewayFacts) -> bool:
    """Whether a running wg0 has no private key at all."""
    if not gateway.container.running or not gateway.evidence.has("dump"):
        return False
    return gateway.interface is not None and gateway.interface.public_key == "(none)"


RULES = (
    Rule(
        id="private-key-invalid",
        title="A private key is none",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="the private key of {node} {problem}",
        remedy=(
            "where the file has a key: docker compose up -d --force-recreate {node}; else make a new pair first "
            "(wg genkey > private.key; wg pubkey < private.key > public.key) and give the public key to the other end"
        ),
    ),
)
