"""What restarts comes back by itself, within a stated time, and what is lost meanwhile is counted.

The load goes on throughout. An end that lost its session and knows where the other is, web's, shakes hands at once.
Services' end does not know, so web has to find out, which WireGuard does after 15 s without an answer (paper, 6.5).
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pymysql
import pytest
import redis as redis_client

from harness import clients, traffic
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES
from harness.budgets import BROKEN_CONNECTION, CLIENT_LISTED, FORWARDING, HANDSHAKE, LOST_SESSION, RECOVERY, RESTARTED
from harness.clients import TRANSFER_TIMEOUT
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.model import Budget, Outcome
from harness.nodes import Gateway, Node
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.probes.tcp import TcpConnect
from harness.traffic import Load
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.ours("gateway")

THROUGH_THE_TUNNEL = TcpConnect("web", str(TUNNEL_SERVICES.ip), MARIADB_PORT)

STOP_GRACE = 5  # seconds, as in the compose file


@pytest.mark.thorough  # on prod a whole server that is rebooted stands for it
def test_services_gateway_restarts_under_load(experiment: Experiment) -> None:
    """Services' gateway restarts: web, left alone, is answered again within 30 s, and then nothing is lost any more."""
    deployment = experiment.deployment
    services = deployment.wireguard_services
    before = rules_of(services), started(deployment.web), services.forwards()

    with experiment.disturbance("wireguard-services restarts"):
        with traffic.load(deployment) as load:
            services.container.restart(timeout=STOP_GRACE)
            load.everyone_is_answered(within=LOST_SESSION)
            expect_nothing_more_lost(load)
        with experiment.step(str(load)):
            assert load.longest_silence() < LOST_SESSION.seconds

    assert (rules_of(services), started(deployment.web), services.forwards()) == before


@pytest.mark.thorough  # on prod a whole server that is rebooted stands for it
def test_webs_gateway_restarts_under_load(experiment: Experiment) -> None:
    """Web's gateway restarts: web is left in a dead namespace, and once it restarts too, is answered within 30 s."""
    deployment = experiment.deployment
    gateway = deployment.wireguard_web

    with experiment.disturbance("wireguard-web restarts") as undo:
        undo.callback(rejoin, deployment)
        with traffic.load(deployment) as load:
            gateway.container.restart(timeout=STOP_GRACE)
            wait_until("the new tunnel", lambda: gateway.run("gateway-health").ok, bool, HANDSHAKE)
            experiment.expect(THROUGH_THE_TUNNEL).becomes(Outcome.UNREACHABLE, within=FORWARDING)
            rejoin(deployment)
            load.everyone_is_answered(within=RESTARTED)
            expect_nothing_more_lost(load)
        with experiment.step(str(load)):
            assert load.longest_silence() < RESTARTED.seconds
        experiment.expect(THROUGH_THE_TUNNEL).becomes(Outcome.CONNECTED, within=FORWARDING)


@pytest.mark.thorough  # on prod whole servers that restart stand for it; the time-outs are WireGuard's own
@pytest.mark.parametrize(("end", "within"), [("web", HANDSHAKE), ("services", LOST_SESSION)], ids=["web", "services"])
def test_wg0_is_lost_under_load(experiment: Experiment, end: str, within: Budget) -> None:
    """An end loses wg0, and wireguard-go with it where that is at work: the gateway, not restarted, makes it anew.

    Web's end shakes hands at once, and is answered within 10 s; services' end waits for web to ask, within 30 s.
    """
    deployment = experiment.deployment
    gateway = {"web": deployment.wireguard_web, "services": deployment.wireguard_services}[end]
    before = rules_of(gateway), gateway.addresses(), gateway.routes(), started(gateway), started(deployment.web)

    with experiment.disturbance(f"wg0 of {gateway.service} is lost"):
        with traffic.load(deployment) as load:
            index = interface_index(gateway)
            gateway.output("bash", "-c", LOSE_WG0)
            load.everyone_is_answered(within=within)
            expect_nothing_more_lost(load)
        with experiment.step(str(load)):
            assert interface_index(gateway) != index, "it is the wg0 that was"
            assert load.longest_silence() < within.seconds

    assert (
        rules_of(gateway),
        gateway.addresses(),
        gateway.routes(),
        started(gateway),
        started(deployment.web),
    ) == before


@pytest.mark.layouts("dev")  # prod's gateways are of the same image
def test_wireguard_go_that_ends_at_its_start_is_started_again(experiment: Experiment) -> None:
    """Whoever runs `wg` too early ends wireguard-go: the gateway, not restarted, starts it again and says so."""
    services = experiment.deployment.wireguard_services

    with experiment.disturbance("wireguard-go ends at its first start") as undo:
        start_wireguard_go_by(ENDS_FIRST, experiment, undo)
        experiment.expect(RedisPing("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)
        assert "wireguard-go ended before it had made wg0 (exit status 1); starting it again" in services.logs()
        assert services.state().restarts == 0


@pytest.mark.layouts("dev")  # prod's gateways are of the same image
def test_a_control_socket_that_does_not_listen_yet_is_waited_for(experiment: Experiment) -> None:
    """The gateway asks nothing of wg0 before wireguard-go listens: `wg` takes such a socket for one left behind."""
    services = experiment.deployment.wireguard_services

    with experiment.disturbance("wireguard-go takes its time between making its socket and listening") as undo:
        start_wireguard_go_by(LISTENS_LATE, experiment, undo)
        experiment.expect(RedisPing("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)
        assert "ended" not in services.logs()
        assert services.state().restarts == 0


@pytest.mark.layouts("dev")  # production's is on bare metal
def test_mariadb_is_created_anew_under_open_connections(experiment: Experiment) -> None:
    """Connections to a MariaDB that is replaced end with an error, in a query and idle; none hangs; new ones work."""
    deployment = experiment.deployment
    before = identity(deployment.mariadb), deployment.wireguard_services.forwards()

    with contextlib.ExitStack() as open_connections:
        asking, idle = (
            open_connections.enter_context(clients.mariadb(deployment, "web", timeout=TRANSFER_TIMEOUT))
            for _ in range(2)
        )
        with experiment.disturbance("mariadb is created anew"), ThreadPoolExecutor(max_workers=2) as pool:
            asked = pool.submit(query, asking, f"SELECT SLEEP({TRANSFER_TIMEOUT})")
            wait_until("the query to be under way", lambda: sleeping(deployment), bool, CLIENT_LISTED)
            deployment.project("mariadb").recreate("mariadb")

            expect_lost(asked, pymysql.MySQLError)
            expect_lost(pool.submit(query, idle, "SELECT 1"), pymysql.MySQLError)
            experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=RECOVERY)

    expect_replaced_in_place(before, (identity(deployment.mariadb), deployment.wireguard_services.forwards()))


def test_redis_is_created_anew_under_open_connections(experiment: Experiment) -> None:
    """A client that waits for a Redis that is replaced gets an error, and one that was idle is simply answered."""
    deployment = experiment.deployment
    before = identity(deployment.redis), deployment.wireguard_services.forwards()

    with (
        clients.redis(deployment, "web", timeout=TRANSFER_TIMEOUT) as waiting,
        clients.redis(deployment, "web", timeout=TRANSFER_TIMEOUT) as idle,
    ):
        assert idle.ping()
        with experiment.disturbance("redis is created anew"), ThreadPoolExecutor(max_workers=1) as pool:
            asked = pool.submit(waiting.blpop, "a list that nobody pushes to")
            wait_until("the client to wait", lambda: blocked(deployment), bool, CLIENT_LISTED)
            deployment.project("redis").recreate("redis")

            expect_lost(asked, redis_client.ConnectionError)
            experiment.expect(RedisPing("web")).becomes(Outcome.CONNECTED, within=RECOVERY)
            assert pool.submit(idle.ping).result(BROKEN_CONNECTION.seconds)

    expect_replaced_in_place(before, (identity(deployment.redis), deployment.wireguard_services.forwards()))


# --- how it is done --------------------------------------------------------------------------------


LOSE_WG0 = """
set -euo pipefail
if [[ $(</run/gateway/implementation) == kernel ]]; then
  ip link delete wg0
else
  for process in /proc/[0-9]*; do
    [[ $(cat "$process/comm" 2>/dev/null) != wireguard-go ]] || kill -KILL "${process#/proc/}"
  done
fi
"""


ENDS_FIRST = """#!/bin/sh
if [ ! -e /run/gateway/ended ]; then
  : >/run/gateway/ended
  exit 1
fi
exec /usr/bin/wireguard-go "$@"
"""
"""A wireguard-go that ends when it is started for the first time."""

LISTENS_LATE = """#!/bin/sh
mkdir -p /var/run/wireguard
ip tuntap add dev wg0 mode tun
perl -MSocket -e '
  socket(my $control, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
  bind($control, sockaddr_un("/var/run/wireguard/wg0.sock")) or die "bind: $!";
  select(undef, undef, undef, 0.5);'
ip tuntap del dev wg0 mode tun
exec /usr/bin/wireguard-go "$@"
"""
"""A wireguard-go for whose first half second there is a wg0 and a control socket at which nobody listens."""


def start_wireguard_go_by(program: str, experiment: Experiment, undo: contextlib.ExitStack) -> None:
    """Make services' gateway anew, with a program of this text in the place of wireguard-go."""
    deployment = experiment.deployment
    if not deployment.engine.is_local:
        pytest.skip("the program in wireguard-go's place is a file of this machine, and the engine is on another")
    services = deployment.wireguard_services.service
    file = deployment.run.state / "wireguard-go"
    undo.callback(file.unlink)
    file.write_text(program, encoding="utf-8")
    file.chmod(0o755)
    mounted = {"volumes": [f"{file}:/usr/local/sbin/wireguard-go:ro"]}
    overlay = {"services": {services: mounted | {"environment": {"WG_IMPLEMENTATION": "userspace"}}}}
    experiment.redeploy(undo, overlay, services)


def expect_nothing_more_lost(load: Load) -> None:
    """Each client asks once more, and no query that began after the recovery fails."""
    recovered = load.elapsed
    load.everyone_asks()
    assert [query for query in load.failed() if query.began > recovered] == []


def rejoin(deployment: Deployment) -> None:
    """Restart what is not in the network namespace of web's gateway, and should be."""
    for node in (deployment.probe_web, deployment.web):
        if namespace_of(node) != namespace_of(deployment.wireguard_web):
            node.container.restart(timeout=STOP_GRACE)


def namespace_of(node: Node) -> str:
    """The network namespace of a container's processes."""
    return node.output("readlink", "/proc/self/ns/net").strip()


def started(node: Node) -> str:
    """Since when a container has been running."""
    return str(node.inspect()["State"]["StartedAt"])


def rules_of(gateway: Gateway) -> list[str]:
    """Every rule of a gateway's own, in its place and without counters; Docker's name server has some that vary."""
    return [
        f"{rule.table} {rule.chain} {rule.specification}"
        for rule in gateway.rules()
        if not rule.chain.startswith("DOCKER_") and "127.0.0.11" not in rule.specification
    ]


def interface_index(gateway: Gateway) -> str:
    """The number that the kernel gives an interface when it is made, and to no other."""
    return gateway.output("cat", f"/sys/class/net/{INTERFACE}/ifindex").strip()


def query(connection: pymysql.Connection[pymysql.cursors.Cursor], statement: str) -> object:
    """Ask on an open connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def sleeping(deployment: Deployment) -> bool:
    """Whether MariaDB has a query that sleeps."""
    with clients.mariadb(deployment, "services") as connection:
        listed = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(%'"
        return bool(query(connection, listed))


def blocked(deployment: Deployment) -> bool:
    """Whether Redis has a client that waits for a push to a list, other than the Celery worker, which uses BRPOP."""
    with clients.redis(deployment, "services") as client:
        return any(listed["cmd"] == "blpop" for listed in client.client_list())


def expect_lost(asked: Future[Any], error: type[Exception]) -> None:
    """The one who asked gets an error, long before it would have given up by itself."""
    wait_until("the connection to fail", asked.done, bool, BROKEN_CONNECTION)
    assert isinstance(asked.exception(), error), asked.exception() or asked.result()


def identity(node: Node) -> tuple[str, list[str]]:
    """A container, and its addresses."""
    attached = node.inspect()["NetworkSettings"]["Networks"].values()
    return str(node.container.id), [network["IPAddress"] for network in attached]


def expect_replaced_in_place(before: tuple[Any, Any], after: tuple[Any, Any]) -> None:
    """It is another container, at the same address, and the same is forwarded there."""
    (old, old_addresses), old_forwards = before
    (new, new_addresses), new_forwards = after
    assert new != old
    assert (new_addresses, new_forwards) == (old_addresses, old_forwards)
