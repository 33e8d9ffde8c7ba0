"""Sessions that have run out cost nothing but a handshake: after a long silence, and after a long cut.

A session is dead 180 s after its handshake, which cannot be hurried. So two deployments wait at the same time: the
real one with its underlay cut, where what is sent gets lost, and two gateways by themselves that have nothing to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime

import pytest

from harness import clients, handshakes
from harness.addresses import TUNNEL_SERVICES, TUNNEL_WEB, WIREGUARD_PORT
from harness.budgets import CUT, CUT_IS_OVER, FALLEN_SILENT, FIRST_PACKET, FORWARDING, HANDSHAKE, SETTLE
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.keys import KeyPair, generate_preshared
from harness.model import Outcome
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.waiting import wait_until
from harness.wireguard import REKEY_TIMEOUT
from harness.workbench import KEYS, Workbench

pytestmark = pytest.mark.layouts("dev")  # WireGuard's own patience, which is the same in each layout

THE_WAIT = pytest.mark.timeout(400)  # seconds; pytest.ini's 300 leave a loaded machine too little


@THE_WAIT
@pytest.mark.slow
def test_sessions_that_ran_out_are_renewed(experiment: Experiment) -> None:
    """After 200 s without an underlay queries are answered within 10 s of its return, and the open connection lives.

    After as long without a word, and without keepalives, the first packet is answered by way of a new handshake. In
    both cases WireGuard has given up by then (paper, 6.1 and 6.4: it tries for 90 s), and begins anew for a packet.
    """
    deployment = experiment.deployment
    web, services = deployment.gateways

    with idle_pair(deployment) as (asking, answering), clients.redis(deployment, "web") as connection:
        shaken = [latest_handshake(gateway) for gateway in (asking, answering)]
        said = asking.peer().transfer_rx, asking.peer().transfer_tx
        identity = connection.client_id()

        with experiment.disturbance(f"the underlay is cut for {CUT:g} s") as undo:
            handshakes.shake_hands(deployment)
            heal = cut(undo, deployment)
            experiment.expect(MariaDBQuery("web")).becomes(Outcome.TIMED_OUT, within=FORWARDING)
            with experiment.step("every session runs out"):
                everybody = (web, services, asking, answering)
                wait_until(
                    f"every handshake to be {CUT:g} s old",
                    lambda: youngest(everybody),
                    lambda age: age > CUT,
                    CUT_IS_OVER,
                )
            experiment.expect(MariaDBQuery("web")).becomes(Outcome.TIMED_OUT, within=FORWARDING)

            with experiment.step("the idle pair has said nothing, and is asked"):
                assert (asking.peer().transfer_rx, asking.peer().transfer_tx) == said
                assert [latest_handshake(gateway) for gateway in (asking, answering)] == shaken
                knock(asking)
                assert all(handshakes.age(gateway) < CUT for gateway in (asking, answering))

            with experiment.step("the underlay is healed"):
                heal.close()
            experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)
            experiment.expect(RedisPing("web")).stays(Outcome.CONNECTED, during=SETTLE)
            assert connection.client_id() == identity, "the open connection was replaced by another"


# --- how it is done --------------------------------------------------------------------------------


def cut(undo: ExitStack, deployment: Deployment) -> ExitStack:
    """Drop what WireGuard receives, at both ends; the returned stack heals it, and the undo does if need be.

    On arrival, as on a line that is cut: what is dropped on its way out is refused to the sender's face.
    """
    heal = undo.enter_context(ExitStack())
    rule = ("INPUT", "-p", "udp", "--dport", str(WIREGUARD_PORT), "-j", "DROP")
    for gateway in deployment.gateways:
        heal.callback(gateway.run, "iptables", "-w", "-D", *rule)
        gateway.output("iptables", "-w", "-I", *rule)
    return heal


def youngest(gateways: tuple[Gateway, ...]) -> float:
    """The age of the latest of all handshakes, in seconds."""
    return min(handshakes.age(gateway) for gateway in gateways)


def latest_handshake(gateway: Gateway) -> datetime | None:
    """When a gateway has last shaken hands."""
    return gateway.peer().latest_handshake


def knock(gateway: Gateway) -> None:
    """Have the other end of an idle pair refuse a connection, which it does at once if it hears of it."""
    limit = f"{FIRST_PACKET.seconds:g}"
    knocked = gateway.run("timeout", limit, "bash", "-c", f": <>/dev/tcp/{TUNNEL_SERVICES.ip}/9")
    assert "Connection refused" in knocked.stderr, f"{knocked} ({FIRST_PACKET.reason})"


@contextlib.contextmanager
def idle_pair(deployment: Deployment) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways without keepalives that have shaken hands and then fallen silent: who asks, and who answers."""
    workbench = Workbench(deployment)
    asking, answering, preshared = KeyPair.generate(), KeyPair.generate(), generate_preshared()
    secret = {"WG_PRIVATE_KEY_FILE": f"{KEYS}/private.key", "WG_PRESHARED_KEY_FILE": f"{KEYS}/preshared.key"}
    of_answering = secret | {
        "WG_ADDRESS": str(TUNNEL_SERVICES),
        "WG_PEER_ALLOWED_IPS": f"{TUNNEL_WEB.ip}/32",
        "WG_PEER_PUBLIC_KEY": asking.public,
    }
    of_asking = secret | {
        "WG_ADDRESS": str(TUNNEL_WEB),
        "WG_PEER_ALLOWED_IPS": f"{TUNNEL_SERVICES.ip}/32",
        "WG_PEER_PUBLIC_KEY": answering.public,
        "WG_PERSISTENT_KEEPALIVE": "0",
    }
    with contextlib.ExitStack() as made:
        network = made.enter_context(workbench.network())
        files = {"private.key": answering.private, "preshared.key": preshared}
        one = made.enter_context(workbench.gateway(of_answering, files, network=network))
        (attached,) = one.inspect()["NetworkSettings"]["Networks"].values()
        of_asking["WG_PEER_ENDPOINT"] = f"{attached['IPAddress']}:{WIREGUARD_PORT}"
        files = {"private.key": asking.private, "preshared.key": preshared}
        other = made.enter_context(workbench.gateway(of_asking, files, network=network))
        wait_until("the pair to fall silent", lambda: fallen_silent(other), bool, HANDSHAKE)
        wait_until(
            "it to stay silent", lambda: handshakes.age(other), lambda age: age > REKEY_TIMEOUT + 1, FALLEN_SILENT
        )
        yield other, one


def fallen_silent(gateway: Gateway) -> bool:
    """Whether a gateway that sought its first handshake has it, and has stopped the keepalives that it sought it by."""
    shown = gateway.run("wg", "show", "wg0", "latest-handshakes").stdout.split()
    return len(shown) == 2 and int(shown[1]) > 0 and gateway.peer().persistent_keepalive == 0
