"""A container lives in a network namespace that its owner has left: a gateway's, or another's that it was joined to."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import GONE, UNSEEN
from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    return [node for node in facts.nodes if node.container.joined is not None and not _is_passed_by(node)]


def _is_passed_by(node: NodeFacts) -> bool:
    """Whether it is no application, and where it lives was not seen: nothing hangs on it that would be unknown."""
    seen = node.evidence.has("netns") and node.container.joined != UNSEEN
    return not isinstance(node, AppFacts) and node.container.joined != GONE and not seen


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    joined = node.container.joined
    own = "its gateway" if isinstance(node, AppFacts) else "whoever it was joined to"
    values = {"gateway": joined if joined != GONE else own}
    if joined == UNSEEN:
        raise UnseenError(node.service, "the gateway", f"{node.container.network_mode[:24]}... was not looked at")
    if joined == GONE:
        told = (
            f"{node.service}: network mode {node.container.network_mode[:24]}..., a container that is no longer there"
        )
        yield Case(node=node.service, evidence=(told,), values=values)
        return
    owner = facts.node(joined)
    if owner is None or node.configured_only:
        return
    if not (owner.container.running and node.container.running):
        return
    if node.netns != owner.netns:
        evidence = (
            f"{node.service} is in {node.netns}, {owner.service} in {owner.netns}",
            f"{node.service} started {node.container.started_at}, {owner.service} {owner.container.started_at}",
        )
        yield Case(node=node.service, evidence=evidence, values=values)


RULES = (
    Rule(
        id="namespace-orphaned",
        title="A container is left behind in the namespace of a gateway, or another, that was restarted",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause=(
            "{node} is left behind in a network namespace that {gateway} no longer lives in: it was restarted or "
            "created anew alone"
        ),
        remedy="docker compose up -d --force-recreate --no-deps {node}",
        consequence_of=frozenset({"app-outside-gateway"}),
    ),
)
