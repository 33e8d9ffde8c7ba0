"""Web sends no keepalives, and a NAT between the ends forgets about the tunnel when it is idle."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Budget, Outcome
from harness.nodes import Gateway
from harness.probes.tcp import TcpConnect
from harness.waiting import holds_for, wait_until
from harness.wireguard import INTERFACE

_TIMEOUTS = dict.fromkeys(
    ("net/netfilter/nf_conntrack_udp_timeout", "net/netfilter/nf_conntrack_udp_timeout_stream"), "1"
)
"""A NAT that forgets after 1 s, where real ones take from 30 s to minutes."""
_FORGOTTEN = Budget(seconds=1.5, poll=0.1, reason="the conntrack timeout, 1 s, and what the kernel's clock rounds up")
_IDLE = Budget(seconds=30, reason="web sends nothing by itself but for a health check every 25 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingKeepalive(Fault):
    """Web's persistent keepalive is off behind a filter that lets in only what answers a packet of web's."""

    name = "no keepalive behind NAT"
    seen = "web reaches everything, and services cannot reach web's gateway until web has sent something again"
    roots = frozenset({"keepalive-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:
        """Web's gateway, which has no such port for the tunnel, refuses while it can be reached at all."""
        return Symptom(
            probe=TcpConnect("wireguard-services", str(deployment.plan.tunnel_web.ip), deployment.plan.web_listen),
            outcomes=(Outcome.TIMED_OUT,),
        )

    def unavailable(self, deployment: Deployment) -> str | None:
        """It needs conntrack's sysctls."""
        if not deployment.wireguard_web.peek("test", "-e", f"/proc/sys/{next(iter(_TIMEOUTS))}").ok:
            return "this kernel does not let a network namespace choose its conntrack timeouts"
        return None

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Turn the keepalive off, and put the filter before the gateway, where a NAT would be."""
        web = deployment.wireguard_web
        peer = web.peer()
        keepalive = ("wg", "set", INTERFACE, "peer", peer.public_key, "persistent-keepalive")
        undo.callback(web.act, *keepalive, str(peer.persistent_keepalive))
        mutations.set_sysctls(deployment, undo, web, _TIMEOUTS)
        unasked = f"-s {deployment.plan.underlay_services}/32 -p udp -m udp --dport {deployment.plan.wireguard_port}"
        mutations.insert_rule(undo, web, "filter", "INPUT", f"{unasked} -m conntrack --ctstate NEW -j DROP")
        web.act(*keepalive, "0")
        # A flow keeps the timeout that its last packet gave it, so one more has to pass, and then none.
        TcpConnect("web", str(deployment.plan.tunnel_services.ip), deployment.plan.mariadb_port).observe(deployment)
        wait_until("web to send nothing for as long as the NAT remembers", lambda: _was_idle(web), bool, within=_IDLE)


def _was_idle(gateway: Gateway) -> bool:
    sent = gateway.peer().transfer_tx
    held, _seen, _reads = holds_for(lambda: gateway.peer().transfer_tx, lambda seen: seen == sent, _FORGOTTEN)
    return held


CASES: tuple[Fault, ...] = (MissingKeepalive(),)
