"""wg0 is down and the route that would stop its traffic is gone: it leaves in the clear."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import capture, disruptions, mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery

_NOBODY = 77  # on the gateway's outer network; neither the compose file nor Docker gives it to anybody
_NOBODYS_MAC = "02:00:00:00:00:01"  # locally administered; Docker's own begin with 02:42

# The old state is kept where the command that restores it reads it; it is the same text that `ip` prints.
_DEFAULT_ROUTE = ("ip", "-4", "route", "show", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailOpen(Fault):
    """What web sends to 10.100.0.11 takes the default route of its gateway, unencrypted."""

    anywhere: ClassVar[bool] = True

    name = "wg0 down with fail-open routing"
    seen = "web reaches no backend, and what it sends them can be read on the underlay"
    roots = frozenset({"interface-down", "fail-open"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """It is sent to where nobody answers, not refused at once as it would be with the blackhole route."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Set wg0 down and delete the blackhole route, the default route led astray beforehand.

        It goes on leading out of the gateway as before, but to a machine that nobody is: not to the host, which
        would send on what is for 10.100.0.11 where it forwards packets at all.
        """
        gateway = deployment.wireguard_web
        interface = capture.interface_of(gateway, deployment.plan.outward_web)
        (network,) = (each.address.network for each in gateway.addresses() if each.interface == interface)
        undo.callback(disruptions.shake_hands_anew, deployment)
        _lead_astray(undo, gateway, interface, str(network[_NOBODY]))

        mutations.set_tunnel_down(undo, gateway)

        for route in gateway.routes_to(deployment.plan.tunnel_services.ip):
            if route.kind == "blackhole":
                blackhole = ("blackhole", route.destination, "metric", str(route.metric))
                undo.callback(gateway.act, "ip", "route", "replace", *blackhole)
                gateway.act("ip", "route", "delete", *blackhole)


def _lead_astray(undo: ExitStack, gateway: Gateway, interface: str, nobody: str) -> None:
    neighbour = (nobody, "lladdr", _NOBODYS_MAC, "dev", interface)
    undo.callback(gateway.run, "ip", "neighbour", "delete", *neighbour)
    gateway.act("ip", "neighbour", "replace", *neighbour, "nud", "permanent")
    for default in gateway.act(*_DEFAULT_ROUTE).splitlines():
        undo.callback(gateway.act, "ip", "route", "replace", *default.split())
        gateway.act("ip", "route", "replace", "default", "via", nobody, "dev", interface)


CASES: tuple[Fault, ...] = (FailOpen(),)
