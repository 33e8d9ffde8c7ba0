"""Keys are exchanged while web works, and no query notices; what was exchanged opens nothing any more.

A public key or a preshared one can be exchanged at any time: what is under way is encrypted with the session's key. A
private key that is set ends the sessions, but only for sending. So the end that gets a new one goes first: what it
sends from then on waits in its queue, and what it receives still counts. Then the other end exchanges the peer, in one
step because an address belongs to one peer alone, and shakes hands itself, by which the queue comes to go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from harness import traffic
from harness.addresses import TUNNEL_SERVICES, TUNNEL_WEB, WIREGUARD_PORT
from harness.budgets import FORWARDING, HANDSHAKE, REFUSED_HANDSHAKE, REFUSED_STRANGER, SETTLE
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.handshakes import expire_session, shake_hands
from harness.keys import KeyPair, generate_preshared
from harness.model import Outcome
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery
from harness.waiting import holds_for, wait_until
from harness.wireguard import INTERFACE
from harness.workbench import KEYS, Workbench

pytestmark = [
    pytest.mark.ours("key files"),
    pytest.mark.thorough,  # on prod rotate-keys.yml stands for it: both ends' keys, under load
]

BOTH_ENDS = pytest.mark.parametrize("end", ["wireguard-web", "wireguard-services"])


@BOTH_ENDS
def test_a_key_is_exchanged_and_no_query_fails(experiment: Experiment, end: str) -> None:
    """An end takes a new key under load: every query is answered, on connections old and new, and no packet is lost."""
    deployment = experiment.deployment
    rotating, other = ends(deployment, end)
    before = settings_of(rotating), settings_of(other)
    old, new = keys_of(deployment, end), KeyPair.generate()

    with experiment.disturbance(f"{end} takes a new key") as undo:
        undo.callback(exchange_key, deployment, end, new, old)
        with traffic.load(deployment) as load, traffic.pings(deployment) as pings:
            exchange_key(deployment, end, old, new)
            load.everyone_is_answered(within=HANDSHAKE)
        with experiment.step(f"{load}; {pings}"):
            assert load.failed() == ()
            assert pings.lost() == set()
        assert rotating.interface().public_key == new.public
        assert other.peer().public_key == new.public
        assert other.peer().latest_handshake is not None, "the queries came by another way"

    assert (settings_of(rotating), settings_of(other)) == before


@pytest.mark.layouts("dev")  # it needs a stranger on the network that joins the gateways
def test_an_exchanged_key_is_refused(experiment: Experiment) -> None:
    """A gateway with web's old key never shakes hands and disturbs nobody; the same gateway with the new one does."""
    deployment = experiment.deployment
    old, new = deployment.credentials.keys.web, KeyPair.generate()

    with experiment.disturbance("web takes a new key") as undo:
        undo.callback(exchange_key, deployment, "wireguard-web", new, old)
        exchange_key(deployment, "wireguard-web", old, new)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)
        endpoint = deployment.wireguard_services.peer().endpoint

        with stranger(deployment, old) as refused:
            wait_until("it to begin", lambda: has_begun(refused), bool, HANDSHAKE)
            held, _seen, reads = holds_for(lambda: has_handshake(refused), lambda seen: not seen, REFUSED_STRANGER)
            assert held, f"services shook hands with the old key, seen at look {reads}"
            experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)
            assert deployment.wireguard_services.peer().endpoint == endpoint

        with stranger(deployment, new) as accepted:
            wait_until("it to shake hands", lambda: has_handshake(accepted), bool, HANDSHAKE)
            assert deployment.wireguard_services.peer().endpoint != endpoint, "services has nothing of it"


def test_the_preshared_key_is_exchanged_and_no_query_fails(experiment: Experiment) -> None:
    """Both ends take a new preshared key under load, one after the other, and shake hands by it: nothing is lost."""
    deployment = experiment.deployment
    old, new = deployment.credentials.keys.preshared, generate_preshared()

    with experiment.disturbance("both ends take a new preshared key") as undo:
        undo.callback(expire_session, deployment.wireguard_web)
        for gateway in deployment.gateways:
            undo.callback(set_preshared_key, gateway, old)
        with traffic.load(deployment) as load, traffic.pings(deployment) as pings:
            for gateway in deployment.gateways:
                set_preshared_key(gateway, new)
                load.everyone_asks()
            shake_hands(deployment)
            load.everyone_is_answered(within=HANDSHAKE)
        with experiment.step(f"{load}; {pings}"):
            assert load.failed() == ()
            assert pings.lost() == set()


def test_an_exchanged_preshared_key_is_refused(experiment: Experiment) -> None:
    """While one end still has the old preshared key, no handshake comes about; with the new one it does."""
    deployment = experiment.deployment
    web = deployment.wireguard_web
    old, new = deployment.credentials.keys.preshared, generate_preshared()

    with experiment.disturbance("web keeps the old preshared key") as undo:
        undo.callback(expire_session, web)
        undo.callback(set_preshared_key, deployment.wireguard_services, old)
        set_preshared_key(deployment.wireguard_services, new)
        experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)

        expire_session(web)
        before = web.peer().latest_handshake
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.TIMED_OUT, within=FORWARDING)
        held, seen, _reads = holds_for(web.peer, lambda peer: peer.latest_handshake == before, REFUSED_HANDSHAKE)
        assert held, seen

        undo.callback(set_preshared_key, web, old)
        set_preshared_key(web, new)
        expire_session(web)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)


# --- how it is done --------------------------------------------------------------------------------


TAKE_KEY = """
set -euo pipefail
wg set wg0 private-key <(echo "$KEY")
"""

EXCHANGE_PEER = """
set -euo pipefail
old=$1 new=$2 allowed=$3 endpoint=$4 keepalive=$5
settings=(preshared-key "$WG_PRESHARED_KEY_FILE" allowed-ips "$allowed" endpoint "$endpoint" persistent-keepalive 1)
wg set wg0 peer "$new" "${settings[@]}" peer "$old" remove
wg set wg0 peer "$new" persistent-keepalive "$keepalive"
"""
"""The new peer takes the address from the old one. A keepalive is what makes it shake hands at once."""

SET_PRESHARED_KEY = """
set -euo pipefail
wg set wg0 peer "$1" preshared-key <(echo "$KEY")
"""


def exchange_key(deployment: Deployment, end: str, old: KeyPair, new: KeyPair) -> None:
    """Give an end another private key, and then the other end the public key that derives from it."""
    rotating, other = ends(deployment, end)
    address, underlay = {
        "wireguard-web": (TUNNEL_WEB, deployment.plan.underlay_web),
        "wireguard-services": (TUNNEL_SERVICES, deployment.plan.underlay_services),
    }[end]
    keepalive = other.environment().get("WG_PERSISTENT_KEEPALIVE", "0")
    bash(rotating, TAKE_KEY, key=new.private)
    exchanged = (old.public, new.public, f"{address.ip}/32", f"{underlay}:{WIREGUARD_PORT}", keepalive)
    other.look("bash", "-c", EXCHANGE_PEER, "bash", *exchanged)  # the quickest way in: meanwhile queries wait


def set_preshared_key(gateway: Gateway, key: str) -> None:
    """Give a gateway another preshared key for its one peer; it counts from the next handshake on."""
    bash(gateway, SET_PRESHARED_KEY, gateway.peer().public_key, key=key)


def bash(gateway: Gateway, script: str, *arguments: str, key: str = "") -> None:
    """Run a script in a gateway; a key comes in the command's environment, which nothing ever shows."""
    result = gateway.run("bash", "-c", script, "bash", *arguments, environment={"KEY": key})
    assert result.ok, result


@contextlib.contextmanager
def stranger(deployment: Deployment, own: KeyPair) -> Iterator[Gateway]:
    """A gateway with a key of its own and all else as web's has it, somewhere else on tunnel-net."""
    settings = {
        "WG_ADDRESS": str(TUNNEL_WEB),
        "WG_PRIVATE_KEY_FILE": f"{KEYS}/private.key",
        "WG_PRESHARED_KEY_FILE": f"{KEYS}/preshared.key",
        "WG_PEER_PUBLIC_KEY": deployment.credentials.keys.services.public,
        "WG_PEER_ALLOWED_IPS": f"{TUNNEL_SERVICES.ip}/32",
        "WG_PEER_ENDPOINT": f"{deployment.plan.underlay_services}:{WIREGUARD_PORT}",
        "WG_PERSISTENT_KEEPALIVE": "25",
    }
    files = {"private.key": own.private, "preshared.key": deployment.credentials.keys.preshared}
    network = f"{deployment.plan.project}_tunnel-net"
    with Workbench(deployment).gateway(settings, files, network=network) as gateway:
        yield gateway


def ends(deployment: Deployment, end: str) -> tuple[Gateway, Gateway]:
    """An end, and the other one."""
    web, services = deployment.gateways
    return {"wireguard-web": (web, services), "wireguard-services": (services, web)}[end]


def keys_of(deployment: Deployment, end: str) -> KeyPair:
    """The keys that an end was deployed with."""
    keys = deployment.credentials.keys
    return {"wireguard-web": keys.web, "wireguard-services": keys.services}[end]


def settings_of(gateway: Gateway) -> tuple[object, ...]:
    """What a gateway and its peer are configured with, counters and handshakes left out."""
    peer = gateway.peer()
    own = gateway.interface().public_key
    return own, peer.public_key, peer.endpoint, peer.allowed_ips, peer.preshared_key_set, peer.persistent_keepalive


def has_begun(gateway: Gateway) -> bool:
    """Whether a gateway that has just been started has sent its peer anything."""
    sent = gateway.run("wg", "show", INTERFACE, "transfer").stdout.split()
    return len(sent) == 3 and int(sent[2]) > 0


def has_handshake(gateway: Gateway) -> bool:
    """Whether a gateway has ever shaken hands."""
    seen = gateway.run("wg", "show", INTERFACE, "latest-handshakes").stdout.split()
    return len(seen) == 2 and int(seen[1]) > 0
