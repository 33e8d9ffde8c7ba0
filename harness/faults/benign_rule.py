"""A gateway has one netfilter rule more, which concerns nothing of the deployment."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault

_MONITORED = 9100  # the port of Prometheus's node exporter, which is not here


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrelatedRule(Fault):
    """Somebody's monitoring is let in."""

    anywhere: ClassVar[bool] = True

    benign: ClassVar[bool] = True

    name = "an extra unrelated iptables rule"
    seen = "nothing"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Put the rule before services' gateway's own."""
        rule = f"-p tcp -m tcp --dport {_MONITORED} -j ACCEPT"
        mutations.insert_rule(undo, deployment.wireguard_services, "filter", "INPUT", rule)


CASES: tuple[Fault, ...] = (UnrelatedRule(),)
