"""An application that others reach by its own address lives in a gateway's namespace, where it has none."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[AppFacts]:
    if facts.back is None:
        return []
    return [app for app in facts.apps if app.container.joined == facts.back.service and not facts.is_of_web(app)]


def _when(facts: Facts, app: AppFacts) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    served = frozenset(path.id for path in facts.paths if path.backend is None and path.kind == "forward")
    evidence = (
        f"{app.service}: network mode {app.container.network_mode}, joined to {app.container.joined}",
        f"{facts.back.service}: WG_FORWARD_PORTS={facts.back.environment.get('WG_FORWARD_PORTS', '')}",
    )
    yield Case(
        node=app.service,
        evidence=evidence,
        paths=facts.paths_through(app) | served,
        values={"gateway": facts.back.service},
    )


RULES = (
    Rule(
        id="app-inside-gateway",
        title="An application of the services side lives in the gateway's namespace",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause="{node} shares the namespace of {gateway}: it has no address, no name and no published port of its own",
        remedy=(
            "remove network_mode from {node} and give it its static address on services-net, then: docker compose "
            "up -d {node}"
        ),
    ),
)
