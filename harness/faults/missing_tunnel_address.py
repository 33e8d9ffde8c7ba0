"""wg0 of one end has lost its address."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_OWNERS = {"web": "web's", "services": "services'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingTunnelAddress(Fault):
    """`end` has no address inside the tunnel, and so no route into it either."""

    anywhere: ClassVar[bool] = True

    end: str

    seen = "the tunnel shakes hands and no connection through it is ever made"
    roots = frozenset({"address-missing"})

    @property
    def name(self) -> str:
        """Its name in the catalogue."""
        return f"{_OWNERS[self.end]} tunnel address is missing"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The blackhole route takes what web asks, or what services answers."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.UNREACHABLE, Outcome.TIMED_OUT))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Take the address away."""
        gateway = {"web": deployment.wireguard_web, "services": deployment.wireguard_services}[self.end]
        mutations.set_address(undo, gateway, None)


CASES: tuple[Fault, ...] = (MissingTunnelAddress(end="web"), MissingTunnelAddress(end="services"))
