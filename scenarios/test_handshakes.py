"""Handshakes that are not genuine change nothing: one that is replayed, and thousands that are made up.

A sensor that is to see nothing is shown in the same test what it has to see: the same datagram, sent by the same hand,
is answered when it is new.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness import capture, handshakes, traffic
from harness.addresses import TUNNEL_SERVICES, WIREGUARD_PORT
from harness.budgets import FLOODED_HANDSHAKE, HANDSHAKE, SETTLE, TRAFFIC
from harness.capture import Capture
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.handshakes import COOKIE, DATA, INITIATION, INITIATION_PACKET, INITIATION_SIZE, RESPONSE
from harness.keys import decode
from harness.model import CommandResult, Outcome
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery
from harness.waiting import holds_for, wait_until

pytestmark = [
    pytest.mark.ours("gateway"),
    pytest.mark.thorough,  # WireGuard's own promises, of the same gateways: on prod dev stands for them
]

ELSEWHERE, ELSEWHERE_AGAIN = 40001, 40002  # source ports that WireGuard does not use

WIREGUARD_ONLY = f"udp port {WIREGUARD_PORT}"


def test_a_replayed_initiation_changes_nothing(experiment: Experiment) -> None:
    """An initiation that services has answered is sent again: no answer, and endpoint, handshake and session stay.

    The twin: one that was held up, and so is new to services, is answered at once when the same hand sends it, and
    makes that hand's port the endpoint, until web's next handshake takes it back.
    """
    deployment = experiment.deployment
    web, services = deployment.gateways
    genuine = str(deployment.wireguard_services.peer().endpoint)

    with experiment.disturbance("an initiation is replayed") as undo:
        with experiment.step("web shakes hands"), capture.underlay(deployment, WIREGUARD_ONLY) as underlay:
            handshakes.shake_hands(deployment)
        answered = answered_initiation(underlay)
        before, session = standing(deployment), session_of(deployment)

        with experiment.step("the initiation is sent again"):
            assert replay(deployment, answered, ELSEWHERE) == b""
            held, seen, _reads = holds_for(lambda: standing(deployment), lambda seen: seen == before, SETTLE)
            assert held, f"{before} became {seen}"
            assert session_of(deployment) == session

        with experiment.step("one is held up"), capture.underlay(deployment, WIREGUARD_ONLY) as underlay:
            undo.callback(handshakes.expire_session, web)
            hold_up_initiations(undo, services)
            handshakes.expire_session(web)
            assert not ping(deployment, wait=0.2).ok
        held_up = initiations(underlay)[-1]
        assert answered != held_up

        with experiment.step("and sent by the same hand"):
            assert kind_of(replay(deployment, held_up, ELSEWHERE)) == RESPONSE
            assert services.peer().endpoint == f"{deployment.plan.underlay_web}:{ELSEWHERE}"
            assert replay(deployment, held_up, ELSEWHERE_AGAIN) == b""
            assert services.peer().endpoint == f"{deployment.plan.underlay_web}:{ELSEWHERE}"

    assert session_of(deployment) != session
    assert services.peer().endpoint == genuine


def test_a_flood_of_made_up_initiations_does_not_stop_a_genuine_one(experiment: Experiment) -> None:
    """While thousands of initiations come in that nobody can have made who has a key, web shakes hands.

    Half of them are random but for their type, and fall at the first look; the others carry a right mac1, as anybody
    can make it who knows services' public key, and cost services a key exchange each, or an answer with a cookie.
    What is said in the session that there is goes on meanwhile, and not a query fails.
    """
    deployment = experiment.deployment
    web, services = deployment.gateways

    with experiment.disturbance("services is flooded with initiations") as undo:
        arrived = count_initiations(undo, services)
        with traffic.load(deployment, fresh=False) as load, flood(deployment) as flooding:
            wait_until("the flood to have arrived", arrived, lambda count: count > FLOOD_BEGUN, TRAFFIC)
            load.everyone_is_answered(within=TRAFFIC)
            assert load.failed() == (), "in the session that there is"

            wait_until(
                "the last handshake to be a while ago", lambda: handshakes.age(web), lambda age: age > 1, TRAFFIC
            )
            before = services.peer().latest_handshake
            handshakes.expire_session(web)
            wait_until("a handshake", services.peer, lambda peer: peer.latest_handshake != before, FLOODED_HANDSHAKE)
            load.everyone_is_answered(within=FLOODED_HANDSHAKE)
            assert not flooding.over, "the flood was over before the handshake"
        with experiment.step(f"{arrived()} initiations arrived; {flooding}; {load}"):
            experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)


# --- how it is done --------------------------------------------------------------------------------


FLOOD_BEGUN = 1000  # initiations
FLOOD = f"""
import hashlib, itertools, json, os, pathlib, socket, time
public, target = bytes.fromhex(os.environ["PUBLIC_KEY"]), (os.environ["TARGET"], {WIREGUARD_PORT})
key = hashlib.blake2s(b"mac1----" + public).digest()
sent = cookies = 0
ends = time.monotonic() + 60
stop = pathlib.Path(os.environ["STOP"])
with socket.socket(type=socket.SOCK_DGRAM) as sender:
    sender.setblocking(False)
    while sent < 100_000 and time.monotonic() < ends and not stop.exists():
        for number in range(200):
            random = bytes([{INITIATION}, 0, 0, 0]) + os.urandom({INITIATION_SIZE} - 4)
            mac1 = hashlib.blake2s(random[:116], key=key, digest_size=16).digest()
            sender.sendto(random if number % 2 else random[:116] + mac1 + bytes(16), target)
        sent += 200
        time.sleep(0.1)
        try:
            for _ in itertools.count():
                cookies += sender.recv(256)[0] == {COOKIE}
        except BlockingIOError:
            pass
stop.unlink(missing_ok=True)
print(json.dumps({{"sent": sent, "cookies": cookies}}))
"""
"""Sends at most 2,000 initiations a second, 100,000 in all and for 60 s, from web's namespace."""


def ping(deployment: Deployment, *, wait: float = 2) -> CommandResult:
    """Send one packet through the tunnel, and wait that many seconds for the answer at most."""
    return deployment.probe_web.run("ping", "-n", "-c", "1", "-W", str(wait), str(TUNNEL_SERVICES.ip), user="0")


def initiations(underlay: Capture) -> list[bytes]:
    """The initiations in a capture, in their order."""
    return [message.payload for message in handshakes.messages(underlay.raw()) if message.kind == INITIATION]


def answered_initiation(underlay: Capture) -> bytes:
    """The one initiation in a capture that services has answered: the response bears its sender's number."""
    seen = handshakes.messages(underlay.raw())
    answered = {message.payload[8:12] for message in seen if message.kind == RESPONSE}
    (found,) = (message.payload for message in seen if message.kind == INITIATION and message.payload[4:8] in answered)
    return found


def replay(deployment: Deployment, initiation: bytes, source_port: int) -> bytes:
    """Send an initiation to services from web's address but another port; returns what is answered, if anything."""
    return handshakes.send(deployment.probe_web, initiation, deployment.plan.underlay_services, source_port=source_port)


def kind_of(answer: bytes) -> int | None:
    """What a message is, None where there is none."""
    return answer[0] if answer else None


def standing(deployment: Deployment) -> list[object]:
    """Where each end believes the other to be, and when they last shook hands."""
    return [(peer.endpoint, peer.latest_handshake) for peer in (gateway.peer() for gateway in deployment.gateways)]


def session_of(deployment: Deployment) -> bytes:
    """The number by which services knows the session in which web sends to it."""
    with capture.underlay(deployment, WIREGUARD_ONLY) as underlay:
        pinged = ping(deployment)
    assert pinged.ok, pinged
    from_web = [
        message for message in handshakes.messages(underlay.raw()) if message.source == deployment.plan.outward_web
    ]
    (session,) = {message.receiver for message in from_web if message.kind == DATA}
    return session


def hold_up_initiations(undo: ExitStack, services: Gateway) -> None:
    """Drop the initiations that web itself sends, and nothing else."""
    insert_rule(undo, services, "--sport", str(WIREGUARD_PORT), "-j", "DROP")


def count_initiations(undo: ExitStack, services: Gateway) -> Callable[[], int]:
    """Count the initiations that arrive at services, with a rule that does nothing else."""
    mark = "counted"
    insert_rule(undo, services, "-m", "comment", "--comment", mark)

    def count() -> int:
        (rule,) = (rule for rule in services.rules("filter", "INPUT") if f"--comment {mark}" in rule.specification)
        return rule.packets

    return count


def insert_rule(undo: ExitStack, services: Gateway, *rest: str) -> None:
    """Insert a rule for initiations, which are known by their size, before all others of the INPUT chain."""
    size = str(INITIATION_PACKET)
    rule = ("-p", "udp", "--dport", str(WIREGUARD_PORT), "-m", "length", "--length", size, *rest)
    undo.callback(services.run, "iptables", "-w", "-D", "INPUT", *rule)
    services.output("iptables", "-w", "-I", "INPUT", *rule)


@contextlib.contextmanager
def flood(deployment: Deployment) -> Iterator[Flooding]:
    """Send services made-up initiations from web's namespace while the block runs."""
    stop = f"/tmp/{secrets.token_hex(8)}"  # noqa: S108 (inside the container)
    environment = {
        "PUBLIC_KEY": decode(deployment.wireguard_services.interface().public_key).hex(),
        "TARGET": str(deployment.plan.underlay_services),
        "STOP": stop,
    }
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="flood") as pool:
        sending = pool.submit(deployment.web.python, FLOOD, environment=environment)
        try:
            yield Flooding(sending)
        finally:
            deployment.web.output("touch", stop)
            sending.result()


class Flooding:
    """A flood that goes on or is over."""

    def __init__(self, sending: Future[CommandResult]) -> None:
        self._sending = sending

    @property
    def over(self) -> bool:
        """Whether nothing is sent any more."""
        return self._sending.done()

    def __str__(self) -> str:
        """How much was sent, and how often services answered with a cookie."""
        return self._sending.result().stdout.strip()
