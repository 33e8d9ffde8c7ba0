"""An application lives in the network namespace of a gateway's container that is gone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import GONE, UNSEEN
from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[AppFacts]:
    return [app for app in facts.apps if app.container.joined is not None]


def _when(facts: Facts, app: AppFacts) -> Iterator[Case]:
    joined = app.container.joined
    values = {"gateway": joined if joined != GONE else "its gateway"}
    if joined == UNSEEN:
        raise UnseenError(app.service, "the gateway", f"{app.container.network_mode[:24]}... was not looked at")
    if joined == GONE:
        told = f"{app.service}: network mode {app.container.network_mode[:24]}..., a container that is no longer there"
        yield Case(node=app.service, evidence=(told,), values=values)
        return
    gateway = facts.node(joined)
    if not isinstance(gateway, GatewayFacts) or app.configured_only:
        return
    if not (gateway.container.running and app.container.running):
        return
    if app.netns != gateway.netns:
        evidence = (
            f"{app.service} is in {app.netns}, {gateway.service} in {gateway.netns}",
            f"{app.service} started {app.container.started_at}, {gateway.service} {gateway.container.started_at}",
        )
        yield Case(node=app.service, evidence=evidence, values=values)


RULES = (
    Rule(
        id="namespace-orphaned",
        title="An application is left behind in the namespace of a gateway that was restarted",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause=(
            "{node} is left behind in a network namespace that {gateway} no longer lives in: it was restarted or "
            "created anew alone"
        ),
        remedy="docker compose up -d --force-recreate --no-deps {node}",
    ),
)
