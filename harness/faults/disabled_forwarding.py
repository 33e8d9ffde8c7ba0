"""The kernel of services' gateway forwards nothing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class DisabledForwarding(Fault):
    """net.ipv4.ip_forward is 0 in the namespace of services' gateway."""

    anywhere: ClassVar[bool] = True

    name = "ip_forward is 0"
    seen = "the tunnel shakes hands and every rule is there, and whatever web asks for times out"
    roots = frozenset({"forwarding-disabled"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """What is not for the gateway itself is dropped."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Turn it off while the gateway runs; one that starts like this refuses to."""
        mutations.set_sysctls(deployment, undo, deployment.wireguard_services, {"net/ipv4/ip_forward": "0"})


CASES: tuple[Fault, ...] = (DisabledForwarding(),)
