"""An application that is to use the tunnel is not in its gateway's network namespace."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[AppFacts]:
    return [app for app in facts.apps if facts.uses_tunnel(app) and app.container.status != ABSENT]


def _when(facts: Facts, app: AppFacts) -> Iterator[Case]:
    if app.container.joined is not None or facts.front is None:
        return
    told = [
        f"{name}={value}"
        for name, value in app.environment.items()
        if any(map(facts.in_tunnel, value.replace("/", ":").replace("@", ":").split(":")))
    ]
    networks = ", ".join(each.network for each in app.container.attachments) or "no network"
    evidence = (f"{app.service}: network mode {app.container.network_mode or 'default'}, on {networks}", *told)
    yield Case(node=app.service, evidence=evidence, values={"gateway": facts.front.service})


RULES = (
    Rule(
        id="app-outside-gateway",
        title="An application that needs the tunnel is not in its gateway's namespace",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause="{node} is on a network of its own and not in the namespace of {gateway}, the only one with the tunnel",
        remedy=(
            'give {node} network_mode: "service:{gateway}" and no networks of its own, then: docker compose up -d '
            "{node}"
        ),
    ),
)
