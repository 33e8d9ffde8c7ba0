"""The web side has a way to the backends' network that is not the tunnel."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    behind = [app for app in facts.apps if facts.uses_tunnel(app)]
    return [*behind, *([facts.front] if facts.front else [])]


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    backends = {each.network for backend in _behind(facts) for each in backend.container.attachments}
    for attachment in node.container.attachments:
        if attachment.network in backends:
            evidence = (f"{node.service}: on {attachment.network} as {attachment.interface}",)
            values = {"network": attachment.network}
            yield Case(node=node.service, evidence=evidence, paths=frozenset(), values=values)


def _behind(facts: Facts) -> list[NodeFacts]:
    """The backends that the tunnel leads to: one of the web side's own, such as a Redis for sessions, is no secret."""
    forwarded = {forward.destination for forward in facts.back.declared} if facts.back else set()
    used = [path.backend for path in facts.paths if path.tunnelled and facts.in_tunnel(path.host)]
    return [each for each in facts.backends if each in used or forwarded.intersection(each.container.addresses)]


RULES = (
    Rule(
        id="tunnel-bypassed",
        title="The web side has a way past the tunnel",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{node} is on {network}, where the backends are: the web side has a way to them past the tunnel",
        remedy="docker network disconnect {network} {container}, and remove {network} from {node} in the compose file",
    ),
)
