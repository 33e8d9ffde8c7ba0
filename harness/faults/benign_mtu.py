"""wg0 has a smaller MTU, on both ends."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness.deployment import Deployment
from harness.faults import Fault
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherMtu(Fault):
    """1380 instead of 1420, as behind a DSL line: every packet still passes."""

    anywhere: ClassVar[bool] = True

    benign: ClassVar[bool] = True

    mtu: int = 1380

    seen = "nothing"
    roots = frozenset()

    @property
    def name(self) -> str:
        """The change's name."""
        return f"MTU {self.mtu}"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change the MTU of both running interfaces."""
        for gateway in deployment.gateways:
            (old,) = {address.mtu for address in gateway.addresses() if address.interface == INTERFACE}
            undo.callback(gateway.act, "ip", "link", "set", INTERFACE, "mtu", str(old))
            gateway.act("ip", "link", "set", INTERFACE, "mtu", str(self.mtu))


CASES: tuple[Fault, ...] = (AnotherMtu(),)
