"""The documented checks, run as they are printed, say what the documentation says they should.

Each docstring begins with the line of the documentation. On an address plan other than 0 the names and addresses in
it are moved to where that plan has them; nothing else is changed.
"""

from __future__ import annotations

import json
import re

import pytest

from harness.addresses import AddressPlan
from harness.deployment import Deployment
from harness.netfilter import parse_addresses

pytestmark = pytest.mark.ours("documentation")

DOCUMENTED = AddressPlan(index=0)
NOT_FOUND = 127  # what a shell says of a command that is not there (POSIX, 2.8.2)
BOTH_ENDS = pytest.mark.parametrize("end", ["wireguard-web", "wireguard-services"])


@BOTH_ENDS
def test_check_handshake(deployment: Deployment, end: str) -> None:
    """Check handshake (should show non-zero timestamp): wg show wg0 latest-handshakes."""
    printed = run(deployment, f"docker exec {end} wg show wg0 latest-handshakes")
    (line,) = printed.splitlines()
    _peer, timestamp = line.split("\t")
    assert int(timestamp) > 0


def test_check_data_transfer(deployment: Deployment) -> None:
    """Check data transfer (should show bytes received): wg show | grep "transfer:"."""
    printed = run(deployment, 'docker exec wireguard-web wg show | grep "transfer:"')
    found = re.fullmatch(r"transfer: ([\d.]+) [KMGT]?i?B received, ([\d.]+) [KMGT]?i?B sent", printed.strip())
    assert found, printed
    assert float(found[1]) > 0
    assert float(found[2]) > 0


@pytest.mark.parametrize(("source", "address"), [("web", "10.100.0.11"), ("services", "10.101.0.2")])
def test_check_database_connection(deployment: Deployment, source: str, address: str) -> None:
    """From web test the database via the tunnel, from services directly: connect_ex should return 0 (success)."""
    code = f"import socket; s = socket.socket(); print(s.connect_ex(('{address}', 3306)))"
    assert run(deployment, f'docker exec {source} python -c "{code}"').strip() == "0"


def test_check_port_forwarding(deployment: Deployment) -> None:
    """Check iptables rules on wireguard-services: iptables -t nat -L PREROUTING -n -v shows three DNAT rules."""
    chain, columns, *rules = run(
        deployment, "docker exec wireguard-services iptables -t nat -L PREROUTING -n -v"
    ).splitlines()

    assert chain.startswith("Chain PREROUTING (policy ACCEPT")
    assert columns.split() == ["pkts", "bytes", "target", "prot", "opt", "in", "out", "source", "destination"]
    # The first two columns count and differ each time.
    assert [" ".join(rule.split()[2:]) for rule in rules] == [
        moved(deployment, rule)
        for rule in (
            "DNAT tcp -- wg0 * 0.0.0.0/0 0.0.0.0/0 tcp dpt:3306 to:10.101.0.2:3306",
            "DNAT tcp -- wg0 * 0.0.0.0/0 0.0.0.0/0 tcp dpt:6379 to:10.101.0.4:6379",
            "DNAT tcp -- wg0 * 0.0.0.0/0 0.0.0.0/0 tcp dpt:8001 to:10.101.0.5:8001",
        )
    ]


@pytest.mark.parametrize("line", ["curl http://localhost:8000/health/", "curl http://localhost:8001/health/"])
def test_check_application_health(deployment: Deployment, line: str) -> None:
    """Web server health and Services API health: curl http://localhost:8000/health/ and :8001/health/."""
    assert json.loads(run(deployment, f"{line} --silent --show-error --fail"))["status"] == "ok"


@pytest.mark.parametrize(("end", "other"), [("web", "services"), ("services", "web")])
def test_generate_keys_correctly(deployment: Deployment, end: str, other: str) -> None:
    """Generate WireGuard keys correctly (private -> derive public): what wg pubkey prints is what the peer has."""
    derived = run(deployment, f'docker exec wireguard-{end} sh -c "cat /run/secrets/wg_private_key | wg pubkey"')
    given = run(deployment, f"docker exec wireguard-{other} cat /run/secrets/wg_peer_public_key")
    in_use = run(deployment, f"docker exec wireguard-{other} wg show wg0 peers")
    assert derived == given == in_use


def test_configure_forwards_with_destinations(deployment: Deployment) -> None:
    """Configure WG_FORWARD_PORTS with destination IPs: 3306, 6379 and 8001 to their static addresses."""
    printed = run(deployment, "docker exec wireguard-services printenv WG_FORWARD_PORTS")
    documented = "3306:tcp:10.101.0.2 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5"
    assert printed.strip() == moved(deployment, documented)


@pytest.mark.parametrize(
    ("service", "address"),
    [
        pytest.param("mariadb", "10.101.0.2", marks=pytest.mark.layouts("dev")),  # in production no container
        ("wireguard-services", "10.101.0.3"),
        ("redis", "10.101.0.4"),
        ("services", "10.101.0.5"),
    ],
)
def test_assign_static_addresses(deployment: Deployment, service: str, address: str) -> None:
    """Assign static IPs to services containers: each is configured and attached with the documented address."""
    networks = deployment.configuration()["services"][service]["networks"]
    attached = deployment.node(service).inspect()["NetworkSettings"]["Networks"]
    assert moved(deployment, address) in {network["ipv4_address"] for network in networks.values()}
    assert moved(deployment, address) in {network["IPAddress"] for network in attached.values()}


@pytest.mark.parametrize(
    ("service", "host"), [("web", "10.100.0.11"), ("services", "10.101.0.2"), ("celery", "10.101.0.2")]
)
def test_set_database_variables(deployment: Deployment, service: str, host: str) -> None:
    """Set DATABASE_* environment variables (not DB_*): web has the tunnel's address, services the database's own."""
    given = deployment.node(service).environment()
    assert given.keys() >= {"DATABASE_NAME", "DATABASE_USER"}
    assert given["DATABASE_HOST"] == moved(deployment, host)
    assert given["DATABASE_PORT"] == "3306"
    assert given["DATABASE_PASSWORD_FILE"] == "/run/secrets/db_password"  # noqa: S105 (a file's name)
    assert not [name for name in given if name.startswith("DB_")]


def test_subnets_do_not_conflict(deployment: Deployment, layout: str) -> None:
    """Ensure services-net uses 10.101.0.0/24, tunnel uses 10.100.0.0/24: no two networks share an address."""
    printed = run(deployment, "docker exec wireguard-services ip -j -4 address show")
    subnets = {found.address.network for found in parse_addresses(printed) if not found.address.network.is_loopback}
    documented = {
        "dev": ("10.100.0.0/24", "10.101.0.0/24", "172.20.0.0/24"),
        "prod": ("10.100.0.0/24", "10.101.0.0/24"),
    }
    assert {str(subnet) for subnet in subnets} == {moved(deployment, subnet) for subnet in documented[layout]}
    assert not [(one, other) for one in subnets for other in subnets if one != other and one.overlaps(other)]


def run(deployment: Deployment, line: str) -> str:
    """What a documented command prints, in a shell as it would be typed."""
    result, program = deployment.typed(moved(deployment, line)), line.split(maxsplit=1)[0]
    if result.exit_status == NOT_FOUND and not deployment.typed(f"command -v {program}").ok:
        pytest.skip(f"there is no {program} on the machine on which it would be typed")
    assert result.ok, result
    return result.stdout


def moved(deployment: Deployment, text: str) -> str:
    """A documented text with its names, addresses and ports where the deployment's plan has them."""
    plan = deployment.plan
    pairs = {
        "docker exec ": f"docker exec {plan.container_prefix}",
        f"localhost:{DOCUMENTED.web_port}/": f"localhost:{plan.web_port}/",
        f"localhost:{DOCUMENTED.services_port}/": f"localhost:{plan.services_port}/",
        str(DOCUMENTED.services_net)[: -len("0/24")]: str(plan.services_net)[: -len("0/24")],
        str(DOCUMENTED.tunnel_net)[: -len("0/24")]: str(plan.tunnel_net)[: -len("0/24")],
    }
    for documented, own in pairs.items():
        text = text.replace(documented, own)
    return text
