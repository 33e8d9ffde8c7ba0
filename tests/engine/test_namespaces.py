"""Entering a container's namespaces and `docker exec` are two ways to the same evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from harness import clients, mutations, namespaces, trying
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES, TUNNEL_WEB, WEB_PORT
from harness.deployment import Deployment
from harness.diagnosis import containers
from harness.dialects import Dialect
from harness.errors import CommandError
from harness.model import Outcome
from harness.nodes import Node
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
            # Else a destination hears of six refusals, and then of one a second (icmp(7)).
            mutations.set_sysctls(deployment, undo, deployment.wireguard_services, {"net/ipv4/icmp_ratelimit": "0"})
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


@pytest.mark.parametrize("service", ["web", "services", "celery"])
def test_an_application_that_is_well_fares_alike(deployment: Deployment, by_exec: Switch, service: str) -> None:
    """Its backends, and what its gateway forwards besides, answer to the last step, whoever takes the steps."""
    entered = tried(deployment, service)
    by_exec()
    assert entered == tried(deployment, service)
    assert {name for name, each in entered.items() if "failed" in each} == set()
    assert entered["database"]["reached"][-1] == entered["broker"]["reached"][-1] == "bulk up"
    assert len(entered) == (3 if service == "web" else 2)


@pytest.mark.parametrize(
    ("settings", "kind", "failed"),
    [
        ({"DATABASE_HOST": "localhost"}, "database", "connect"),
        ({"DATABASE_HOST": ""}, "database", "setting"),
        ({"DATABASE_PORT": "x"}, "database", "port"),
        ({"DATABASE_PORT": "22"}, "database", "connect"),
        ({"DATABASE_PASSWORD_FILE": "/run/secrets/nothing"}, "database", "password"),
        ({"DATABASE_PASSWORD_FILE": "/run"}, "database", "password"),
        ({"DATABASE_PASSWORD_FILE": "/etc/shadow"}, "database", "password"),
        ({"DATABASE_PASSWORD_FILE": "", "DATABASE_PASSWORD": "wrong"}, "database", "login"),
        ({"DATABASE_NAME": "another"}, "database", "login"),
        ({"CELERY_BROKER_URL": "redis://:wrong@HOST:6379/0"}, "broker", "answer"),
        ({"CELERY_BROKER_URL": "redis://HOST:6379/99"}, "broker", "answer"),
        ({"CELERY_BROKER_URL": "redis://HOST:x/0"}, "broker", "probe"),
    ],
    ids=lambda value: ",".join(value.values()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("service", ["web", "services"])
def test_an_application_that_is_told_wrong_fares_alike(  # noqa: PLR0913, PLR0917
    deployment: Deployment, by_exec: Switch, service: str, settings: Mapping[str, str], kind: str, failed: str
) -> None:
    """Both ways fail at the same step, for the same reason, in the same words."""
    host = clients.redis_host(deployment, service)
    told = {name: value.replace("HOST", host) for name, value in settings.items()}
    entered = tried(deployment, service, told)
    by_exec()
    assert entered == tried(deployment, service, told)
    assert entered[kind]["failed"] == failed


def test_an_application_without_python_is_tried_too(deployment: Deployment, by_exec: Switch) -> None:
    """From outside it does not matter what is in an image; from inside it does, and is said."""
    settings = ("DATABASE_", "CELERY_")
    told = {name: value for name, value in deployment.web.environment().items() if name.startswith(settings)}
    told |= {"DATABASE_PASSWORD_FILE": "", "DATABASE_PASSWORD": deployment.credentials.db_password}
    assert [each.get("failed") for each in tried(deployment, "probe-web", told).values()] == [None, None]
    by_exec()
    with pytest.raises(AssertionError, match="python: not found"):
        tried(deployment, "probe-web", told)


def test_what_only_the_application_can_tell_is_tried_inside(deployment: Deployment) -> None:
    """Whom it believes in TLS stands in its image; Redis, which speaks none here, does not understand."""
    host = clients.redis_host(deployment, "services")
    broker = tried(deployment, "services", {"CELERY_BROKER_URL": f"rediss://{host}:6379/0"})["broker"]
    assert (broker["failed"], broker["reached"]) == ("tls", ["url", "resolve", "connect"])
    assert "read there" not in broker["said"]


def test_a_name_that_nobody_knows_fares_alike(deployment: Deployment, by_exec: Switch) -> None:
    """But for the number: getent(1) does not say whether nobody knows a name or nobody could be asked."""
    entered = tried(deployment, "web", {"DATABASE_HOST": "nobody.invalid"})["database"]
    by_exec()
    executed = tried(deployment, "web", {"DATABASE_HOST": "nobody.invalid"})["database"]
    for key in ("reached", "failed", "host", "kind", "timed_out"):
        assert entered[key] == executed[key]
    assert (entered["failed"], entered["kind"]) == ("resolve", "gaierror")


def test_a_port_that_is_none_is_told(deployment: Deployment) -> None:
    """A thread that dials hands on whatever stops it."""
    database = tried(deployment, "web", {"DATABASE_PORT": "99999"})["database"]
    assert (database["failed"], database["kind"]) == ("connect", "OverflowError")


@pytest.mark.parametrize("target", ["REJECT --reject-with tcp-reset", "DROP"])
def test_an_application_that_is_cut_off_fares_alike(deployment: Deployment, by_exec: Switch, target: str) -> None:
    """What becomes of packets on their way through the tunnel both ways meet."""
    with ExitStack() as undo:
        mutations.insert_rule(undo, deployment.wireguard_services, "filter", "FORWARD", f"-p tcp -j {target}")
        entered = tried(deployment, "web")
        by_exec()
        executed = tried(deployment, "web")
    assert entered == executed
    assert {each["failed"] for each in entered.values()} == {"connect"}


def test_a_path_that_carries_nothing_large_fares_alike(deployment: Deployment, by_exec: Switch) -> None:
    """Logins pass, also by the image's OpenSSL, whose first packet is large by itself; large answers hang."""
    with ExitStack() as undo:
        large = "-p tcp -m length --length 1000:65535 -j DROP"
        mutations.insert_rule(undo, deployment.wireguard_services, "filter", "FORWARD", large)
        entered = tried(deployment, "web")
        by_exec()
        executed = tried(deployment, "web")
    assert entered == executed
    assert (entered["database"]["failed"], entered["broker"]["failed"]) == ("bulk down", "bulk up")


def test_a_connection_belongs_to_whom_the_process_belongs_to(deployment: Deployment) -> None:
    """A rule about owners is about the application's own connections, and is so about those that are dialled for it."""
    owner = deployment.wireguard_web.look("stat", "-c", "%u", "/proc/1")
    web = deployment.web.process()
    assert web is not None
    uid = web.stat().st_uid
    assert uid != int(owner), "else nothing would be told apart"
    rule = f"-p tcp --dport {MARIADB_PORT} -m owner --uid-owner {uid} -j REJECT --reject-with tcp-reset"
    with ExitStack() as undo:
        mutations.insert_rule(undo, deployment.wireguard_web, "filter", "OUTPUT", rule)
        with pytest.raises(ConnectionRefusedError):
            namespaces.dial(web, REMOTE, MARIADB_PORT, 1)
        gateway = deployment.wireguard_web.process()
        assert gateway is not None
        namespaces.dial(gateway, REMOTE, MARIADB_PORT, 1).close()


def tried(deployment: Deployment, service: str, told: Mapping[str, str] | None = None) -> dict[str, Any]:
    """How far an application comes with each backend, by its own settings or others; how long it took is left out."""
    known = deployment.node(service)
    node = Node(known.engine, service, known.name, dialect=Dialect(settings=told or {}))
    attributes = node.inspect()
    gateways = {each.service: described(each, each.inspect()) for each in deployment.gateways}
    container = replace(described(node, attributes), joined="wireguard-web" if service == "web" else None)
    piece = trying.backends(node, attributes, container, gateways)
    assert piece.missing is None, piece.missing
    found: dict[str, dict[str, Any]] = json.loads(piece.text)
    return {name: {key: value for key, value in each.items() if key != "seconds"} for name, each in found.items()}


def described(node: Node, attributes: Mapping[str, Any]) -> containers.Container:
    """A container, as the collector has it."""
    found = containers.inspected(attributes, "", {}, "")
    return replace(found, environment=node.environment(attributes))


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
