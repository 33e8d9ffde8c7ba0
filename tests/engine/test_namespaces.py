"""Entering a container's namespaces and `docker exec` are two ways to the same evidence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pymysql
import pytest

from harness import clients, mutations, namespaces
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES, TUNNEL_WEB, WEB_PORT
from harness.deployment import Deployment
from harness.errors import CommandError
from harness.model import Outcome
from harness.probes import Probe
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.probes.tcp import TcpConnect

REMOTE = str(TUNNEL_SERVICES.ip)
Switch = Callable[[], None]


@pytest.fixture
def by_exec(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Called, it makes everything go by `docker exec` from then on, as on a remote engine."""
    if deployment.web.process() is None:
        pytest.skip("namespaces can be entered only by root, with nsenter, on the engine's own machine")
    return lambda: monkeypatch.setattr(namespaces, "process_of", lambda _attributes, _procfs=None: None)


@pytest.mark.parametrize(
    ("source", "address", "port", "outcome"),
    [
        ("web", REMOTE, MARIADB_PORT, Outcome.CONNECTED),
        ("web", REMOTE, 22, Outcome.REFUSED),
        ("services", "nobody", 22, Outcome.TIMED_OUT),
        ("probe-web", "127.0.0.1", WEB_PORT, Outcome.CONNECTED),
        ("wireguard-services", str(TUNNEL_WEB.ip), 22, Outcome.REFUSED),
        ("wireguard-services", "nobody", 22, Outcome.TIMED_OUT),
    ],
    ids=[
        "open",
        "refused",
        "silent",
        "open, no Python",
        "refused, no Python",
        "silent, no Python",
    ],
)
def test_a_connection_fares_alike(  # noqa: PLR0913, PLR0917
    deployment: Deployment, by_exec: Switch, source: str, address: str, port: int, outcome: Outcome
) -> None:
    """Opened, refused or unanswered: both ways meet the same outcome and say the same of it."""
    probe = TcpConnect(source, address.replace("nobody", str(deployment.plan.services_net[77])), port)
    entered = probe.observe(deployment)
    by_exec()
    executed = probe.observe(deployment)
    assert (entered.outcome, entered.detail) == (executed.outcome, executed.detail)
    assert entered.outcome is outcome
    assert not entered.commands
    assert executed.commands


@pytest.mark.parametrize("side", ["web", "services"])
@pytest.mark.parametrize("client", [MariaDBQuery, RedisPing])
@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (None, Outcome.CONNECTED),
        ("-p tcp -j REJECT --reject-with tcp-reset", Outcome.REFUSED),
        ("-p tcp -j REJECT --reject-with icmp-host-unreachable", Outcome.UNREACHABLE),
        ("-p tcp -j DROP", Outcome.TIMED_OUT),
    ],
    ids=["served", "refused", "unreachable", "silent"],
)
def test_a_client_fares_alike(  # noqa: PLR0913, PLR0917
    deployment: Deployment,
    by_exec: Switch,
    client: Callable[[str], Probe],
    side: str,
    rule: str | None,
    outcome: Outcome,
) -> None:
    """A client that dials from inside and one behind a relay meet the same outcome; a rule is about web alone."""
    expected = outcome if side == "web" else Outcome.CONNECTED
    with ExitStack() as undo:
        if rule:
            mutations.insert_rule(undo, deployment.wireguard_services, "filter", "FORWARD", rule)
        direct = client(side).observe(deployment)
        by_exec()
        relayed = client(side).observe(deployment)
    assert (direct.outcome, relayed.outcome) == (expected, expected)


@pytest.mark.parametrize("relayed", [False, True])
def test_a_client_that_hears_nothing_is_told_from_one_that_cannot_connect(
    deployment: Deployment,
    by_exec: Switch,
    relayed: bool,  # noqa: FBT001
) -> None:
    """A server that is stopped has its connections made by its kernel, and answers none: timed out, either way."""
    if relayed:
        by_exec()
    deployment.redis.container.pause()
    try:
        seen = RedisPing("services").observe(deployment)
    finally:
        deployment.redis.container.unpause()
    assert seen.outcome is Outcome.TIMED_OUT
    assert "connected" in seen.detail


def test_a_connection_made_anew_is_dialled_from_inside_too(deployment: Deployment) -> None:
    """PyMySQL's reconnection goes the way of the first connection, and never from this machine itself."""
    with clients.mariadb(deployment, "web") as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.MySQLError):
            cursor.execute("KILL CONNECTION_ID()")
        connection.close()
        connection.connect()
        assert cursor.execute("SELECT 1") == 1


def test_evidence_is_alike(deployment: Deployment, by_exec: Switch) -> None:
    """Addresses, routes, rules and peers read the same either way, from the container and no other."""
    entered = evidence(deployment)
    by_exec()
    assert evidence(deployment) == entered
    assert len({str(addresses) for addresses, *_rest in entered}) == len(entered), "each gateway has its own"


def test_a_command_that_fails_says_why(deployment: Deployment, by_exec: Switch) -> None:
    """Either way a failing command is an error that names the container and shows what the command said."""
    message = r"(?s)wireguard-web.*nonsense"
    with pytest.raises(CommandError, match=message):
        deployment.wireguard_web.look("ip", "nonsense")
    by_exec()
    with pytest.raises(CommandError, match=message):
        deployment.wireguard_web.look("ip", "nonsense")


def test_a_foreign_process_is_never_entered(deployment: Deployment) -> None:
    """A number that is not that container's process, as a remote engine's are, is not taken for it."""
    attributes = deployment.web.inspect()
    foreign = {**attributes, "State": {**attributes["State"], "Pid": 1}}
    assert namespaces.process_of(foreign) is None


def evidence(deployment: Deployment) -> list[tuple[object, ...]]:
    """What can be seen of each gateway, counters left out."""
    return [
        (
            gateway.addresses(),
            gateway.routes(),
            [(rule.table, rule.chain, rule.specification) for rule in gateway.rules()],
            [(peer.public_key, peer.endpoint, peer.allowed_ips) for peer in gateway.interface().peers],
            gateway.implementation(),
        )
        for gateway in deployment.gateways
    ]
