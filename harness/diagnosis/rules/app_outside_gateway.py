"""An application that is to use the tunnel is not in its gateway's network namespace."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[AppFacts]:
    return [app for app in facts.apps if facts.uses_tunnel(app) and app.container.status != ABSENT]


def _when(facts: Facts, app: AppFacts) -> Iterator[Case]:
    if facts.front is None or _is_inside(facts, facts.front, app):
        return
    told = [
        f"{name}={value}"
        for name, value in app.environment.items()
        if any(map(facts.in_tunnel, value.replace("/", ":").replace("@", ":").split(":")))
    ]
    networks = ", ".join(each.network for each in app.container.attachments) or "no network"
    evidence = (f"{app.service}: network mode {app.container.network_mode or 'default'}, on {networks}", *told)
    joined = app.container.joined
    where = f"in the namespace of {joined}" if joined else "on a network of its own"
    yield Case(node=app.service, evidence=evidence, values={"gateway": facts.front.service, "where": where})


def _is_inside(facts: Facts, front: GatewayFacts, app: AppFacts) -> bool:
    """Whether it lives with a gateway of its side, or whose it is cannot be said; both may be in their host's own."""
    joined = app.container.joined
    if joined is None:
        both_in_hosts = app.container.network_mode == "host" == front.container.network_mode
        return both_in_hosts and app.host == front.host
    owner = _owner(facts, joined)
    if owner is None or not facts.is_of_web(app):
        return True
    return owner in facts.gateways and owner is not facts.back


def _owner(facts: Facts, joined: str) -> NodeFacts | None:
    """Whose namespace it is in the end: whoever is joined to may be joined to another one."""
    owner = facts.node(joined)
    return _owner(facts, owner.container.joined) if owner and owner.container.joined else owner


RULES = (
    Rule(
        id="app-outside-gateway",
        title="An application that needs the tunnel is not in its gateway's namespace",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause="{node} is {where} and not in the namespace of {gateway}, the only one with its end of the tunnel",
        remedy=(
            'give {node} network_mode: "service:{gateway}" and no networks of its own, then: docker compose up -d '
            "{node}"
        ),
    ),
)
