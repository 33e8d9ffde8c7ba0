"""Two servers and a database on bare metal: each may be gone for a while, and nobody comes in but by the front door."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest

from harness import credentials, mutations, pages, playbooks, provision, servers
from harness.addresses import WEB_PORT
from harness.budgets import FORWARDING, HEALTH_PAGE, REBOOT, RECOVERY, SYMPTOM
from harness.experiment import Experiment
from harness.model import Outcome
from harness.nodes import Node
from harness.overlays import SecretFile
from harness.pages import Page
from harness.probes.health import HealthVerdict
from harness.probes.mariadb import MariaDBQuery
from harness.production import HTTPS_PORT, Production
from harness.servers import SITE, Server
from harness.waiting import Deadline, wait_until
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.layouts("prod")

NO_WAY = (Outcome.TIMED_OUT, Outcome.UNREACHABLE)
ANSWERED_WITHIN = 3.0
"""Seconds within which the public site has to answer, whatever is broken behind it."""

NEEDED_BY_BOTH = {
    *("preshared.key", "web-public.key", "services-public.key"),
    *("db_password", "redis_password", "django_secret_key"),
}
NEEDED_BY = {
    "web": {"web-private.key", "tls.crt", "tls.key"},
    "services": {"services-private.key", "flower_password"},
}
"""The files of secrets that each server has."""

# Every TCP port of an address, one after the other: a closed one refuses at once. Prints those that accept.
SCAN = """
import json, socket, sys
found, silent = [], 0
for port in range(1, 65536):
    with socket.socket() as client:
        client.settimeout(0.5)
        try:
            client.connect((sys.argv[1], port))
            found.append(port)
        except TimeoutError:
            silent += 1
            if silent > 20:
                sys.exit("%s does not answer: port %d is the 20th to be silent" % (sys.argv[1], port))
        except ConnectionRefusedError:
            pass
print(json.dumps(found))
"""


# --- what goes and comes back -----------------------------------------------------------------------


# Web's is the one on which who shares a namespace can be lost, since Docker starts containers in no order.
@pytest.mark.parametrize("side", ["web", pytest.param("services", marks=pytest.mark.thorough)])
def test_a_rebooted_server_comes_back_by_itself(experiment: Experiment, production: Production, side: str) -> None:
    """All containers of a server stop, its engine starts again, and within 60 s the site answers 200, left alone."""
    with experiment.disturbance(f"{side}'s server is rebooted") as undo:
        undo.callback(provision.add_probes, production)  # they are no part of the site, and nobody starts them
        production.server(side).reboot()
        wait_until("the site to be well", lambda: public(production), lambda page: page.status == 200, within=REBOOT)


def test_the_database_goes_and_comes_back(experiment: Experiment, production: Production) -> None:
    """MariaDB's host is down: the site says 503 and why. It returns: so does the site, and nothing was restarted."""
    before = restarts(production)
    with experiment.disturbance("MariaDB's host is down") as undo:
        experiment.stop(undo, production.mariadb)
        page = wait_until(
            "the site to name the database",
            lambda: public(production),
            lambda seen: seen.status == 503 and seen.json()["database"]["status"] == "failing",
            within=HEALTH_PAGE,
        )
        assert page.json()["broker"]["status"] == "ok"
        assert page.json()["database"]["error"]
    wait_until("the site to be well", lambda: public(production), lambda seen: seen.status == 200, within=RECOVERY)
    assert restarts(production) == before


def test_the_services_server_moves_to_another_address(experiment: Experiment, production: Production) -> None:
    """It gets another address: the tunnel is cut. A deployment with that address in the inventory brings it back."""
    here, there = production.plan.underlay_services, production.plan.tunnel_net[77]

    with experiment.disturbance(f"the services server moves to {there}") as undo:
        undo.callback(redeployed, production, here)
        undo.callback(move, production, here)
        move(production, there)
        experiment.expect(MariaDBQuery("web")).becomes(*NO_WAY, within=FORWARDING)

        redeployed(production, there)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=FORWARDING)
        assert str(production.wireguard_web.peer().endpoint).startswith(f"{there}:")


def test_the_site_answers_while_the_tunnel_is_down(experiment: Experiment, production: Production) -> None:
    """Nginx answers 503 with both backends named within 3 s, and 200 again as soon as the tunnel is back."""
    gateway = production.wireguard_web
    with experiment.disturbance("wg0 of web's gateway is down") as undo:
        undo.callback(gateway.run, "ip", "link", "set", INTERFACE, "up")
        gateway.output("ip", "link", "set", INTERFACE, "down")
        took = Deadline(ANSWERED_WITHIN)
        page = public(production)
        assert took.elapsed < ANSWERED_WITHIN
        assert page.status == 503, page
        assert {page.json()[name]["status"] for name in ("database", "broker")} == {"failing"}
        gateway.output("ip", "link", "set", INTERFACE, "up")
        wait_until(
            "the site to be well", lambda: public(production), lambda seen: seen.status == 200, within=HEALTH_PAGE
        )


def test_the_site_answers_while_web_is_down(experiment: Experiment, production: Production) -> None:
    """Without the application nginx itself says 503, when to come back, and what is missing."""
    with experiment.disturbance("web is stopped") as undo:
        experiment.stop(undo, production.web)
        page = public(production)
    assert page.status == 503, page
    assert page.json()["error"] == "the web application does not answer"
    assert page.headers["retry-after"]


def test_a_password_of_redis_that_only_one_side_has(experiment: Experiment, production: Production) -> None:
    """Web has another Redis password than Redis: it is denied, says so, and the doctor names it. Services is well."""
    with experiment.disturbance("web holds another password of Redis") as undo:
        file = mutations.secret_file(production, undo, "web", "wrong_redis_password", "wrong", credentials.uid())
        experiment.redeploy(undo, SecretFile(credentials.REDIS_PASSWORD, file), "web")
        experiment.expect(HealthVerdict("web", "broker")).becomes(Outcome.DENIED, within=SYMPTOM)
        experiment.expect(HealthVerdict("services", "broker")).becomes(Outcome.CONNECTED, within=FORWARDING)
        assert experiment.diagnose().roots == {"credentials-rejected"}


# --- the front door ---------------------------------------------------------------------------------


def test_the_public_site_is_served_by_tls_alone(production: Production) -> None:
    """Nginx shows a certificate that holds, and has browsers come by TLS for a year."""
    page = public(production)
    assert (page.status, page.json()["status"]) == (200, "ok")
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert page.headers["server"] == "nginx"


@pytest.mark.parametrize("path", ["/admin/", "/flower/", "/flower", "/metrics"])
def test_what_the_site_is_operated_with_is_not_public(production: Production, path: str) -> None:
    """No page of administration, of Flower or of metrics is on the public site."""
    page = pages.get(production.url("public", path), trusted=playbooks.trusted(production))
    assert page.status == 404, page


def test_flower_wants_its_password(production: Production) -> None:
    """Flower is on its server's loopback alone, and shows nothing to who has no password or a wrong one."""
    assert pages.get(production.url("flower", "/")).status == 401
    assert ask_flower(production, "wrong").status == 401
    assert ask_flower(production, production.credentials.flower_password).status == 200


# --- what is open, and to whom ----------------------------------------------------------------------


def test_only_the_public_port_of_the_web_server_is_open(production: Production) -> None:
    """Of all 65,535 TCP ports the services server sees one of the web server. Its own loopback shows 8000 besides."""
    assert scanned(production.services_server, production.plan.underlay_web) == {HTTPS_PORT}
    assert {HTTPS_PORT, WEB_PORT} <= scanned(production.web_server, IPv4Address("127.0.0.1"))


def test_nothing_but_wireguard_joins_the_servers(production: Production) -> None:
    """Of the services server the web server sees no TCP port at all, and one of UDP is published: WireGuard's."""
    assert scanned(production.web_server, production.plan.underlay_services) == set()
    published = {
        (held.container, held.port, held.protocol)
        for held in production.wireguard_services.engine.published_ports()
        if not held.address.startswith("127.")
    }
    assert published == {("wireguard-services", 51820, "udp")}


def test_files_on_the_servers_are_for_their_owners_alone(production: Production) -> None:
    """Settings and secrets are 0600, their folder 0700, and each server has only what its own profile needs."""
    for server in production.servers:
        modes = modes_on(server)
        assert modes[f"{SITE}/.env"] == "600 0"
        assert modes[f"{SITE}/secrets"] == "700 0"
        secrets = {path.rpartition("/")[2]: mode for path, mode in modes.items() if path.startswith(f"{SITE}/secrets/")}
        assert {mode for name, mode in secrets.items() if "public" not in name} <= {"600 0", f"600 {credentials.uid()}"}
        assert secrets.keys() == NEEDED_BY_BOTH | NEEDED_BY[server.service]


# --- words ------------------------------------------------------------------------------------------


def public(production: Production) -> Page:
    """The health page as the public gets it."""
    return pages.get(production.url("public", "/health/"), trusted=playbooks.trusted(production))


def restarts(production: Production) -> dict[str, str]:
    """Since when each container of both servers runs."""
    return {node.service: str(node.inspect()["State"]["StartedAt"]) for node in production.observed}


def move(production: Production, address: IPv4Address) -> None:
    """Give the services server another address on the underlay."""
    server = production.services_server
    underlay = production.engine.client.networks.get(servers.network_name(production.plan, "underlay"))
    underlay.disconnect(server.name)
    underlay.connect(server.name, ipv4_address=str(address))


def redeployed(production: Production, address: IPv4Address) -> None:
    """Deploy the web server, which alone has to know it, the services server being at an address."""
    settings = {server.service: {"services_address": str(address)} for server in production.servers}
    playbooks.write_hosts(production, settings)
    playbooks.play(production, "deploy.yml", "--limit", "web")
    provision.add_probes(production)


def ask_flower(production: Production, password: str) -> Page:
    """Flower's page, with a password."""
    token = base64.b64encode(f"flower:{password}".encode()).decode()
    return pages.get(production.url("flower", "/"), headers={"Authorization": f"Basic {token}"})


def scanned(source: Node, address: IPv4Address) -> set[int]:
    """Which TCP ports of an address accept a connection."""
    return set(json.loads(source.output("python3", "-c", SCAN, str(address))))


def modes_on(server: Server) -> Mapping[str, str]:
    """Mode and owner of each file and folder of the site."""
    listed = server.output("find", str(SITE), "-exec", "stat", "-c", "%n %a %u", "{}", "+")
    return dict(line.split(" ", 1) for line in listed.splitlines())
