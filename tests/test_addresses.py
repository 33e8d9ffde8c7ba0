from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from harness import compose
from harness.addresses import (
    MARIADB_PORT,
    REDIS_PORT,
    SERVICES_PORT,
    TUNNEL_SERVICES,
    TUNNEL_WEB,
    WEB_PORT,
    AddressPlan,
)
from harness.model import Forward

from .conftest import Render

PLANS = [AddressPlan(index=index) for index in range(100)]


def test_plan_0_is_the_documented_deployment(plan: AddressPlan) -> None:
    """Every subnet, address and port of the deployment's page, to the letter, and no prefix before a name."""
    assert {name: str(subnet) for name, subnet in plan.networks.items()} == {
        "services-net": "10.101.0.0/24",
        "tunnel-net": "172.20.0.0/24",
    }
    assert str(plan.mariadb) == "10.101.0.2"
    assert str(plan.wireguard_services) == "10.101.0.3"
    assert str(plan.redis) == "10.101.0.4"
    assert str(plan.services) == "10.101.0.5"
    assert str(TUNNEL_WEB) == "10.100.0.10/24"
    assert str(TUNNEL_SERVICES) == "10.100.0.11/24"
    assert (MARIADB_PORT, REDIS_PORT, WEB_PORT, SERVICES_PORT) == (3306, 6379, 8000, 8001)
    assert (plan.web_port, plan.services_port) == (8000, 8001)
    assert plan.container_prefix == ""


@pytest.mark.parametrize("index", [-1, 100, 256])
def test_there_are_a_hundred_plans(index: int) -> None:
    """An index outside 0 to 99 is refused by its number."""
    with pytest.raises(ValueError, match=f"no address plan {index}: plans are 0 to 99"):
        AddressPlan(index=index)


def test_no_two_plans_share_anything() -> None:
    """All hundred plans are pairwise apart in subnets, published ports, container names and project names."""
    for one, other in itertools.combinations(PLANS, 2):
        assert not one.services_net.overlaps(other.services_net)
        assert not one.tunnel_net.overlaps(other.tunnel_net)
        assert {one.web_port, one.services_port}.isdisjoint({other.web_port, other.services_port})
        assert one.container_prefix != other.container_prefix
        assert one.project != other.project
    # A name of one plan is never a name of another: plan1-web, plan11-web.
    names = [f"{plan.container_prefix}{name}" for plan in PLANS for name in ("web", "services", "wireguard-web")]
    assert len(set(names)) == len(names)


def test_a_plan_is_sound_in_itself() -> None:
    """Each plan's networks are apart from each other and from the tunnel, and hold its addresses."""
    for plan in PLANS:
        for one, other in itertools.combinations([*plan.networks.values(), TUNNEL_WEB.network], 2):
            assert not one.overlaps(other)
        for address in (plan.mariadb, plan.wireguard_services, plan.redis, plan.services):
            assert address in plan.services_net
        for address in (plan.underlay_web, plan.underlay_services):
            assert address in plan.tunnel_net
        assert 1024 < plan.web_port < plan.services_port < 32768  # below what Linux hands out by itself


def holds_plan(configuration: Mapping[str, Any], plan: AddressPlan) -> None:
    """Assert that a configuration, rendered from the file, is the plan and nothing else."""
    services = configuration["services"]

    def address(service: str, network: str) -> str:
        return str(services[service]["networks"][network]["ipv4_address"])

    subnets = {name: network["ipam"]["config"][0]["subnet"] for name, network in configuration["networks"].items()}
    assert subnets == {name: str(subnet) for name, subnet in plan.networks.items()}
    for service in ("mariadb", "redis", "services"):
        assert address(service, "services-net") == str(getattr(plan, service))
    assert address("wireguard-services", "services-net") == str(plan.wireguard_services)
    assert address("wireguard-services", "tunnel-net") == str(plan.underlay_services)
    assert address("wireguard-web", "tunnel-net") == str(plan.underlay_web)

    forwards = Forward.parse_all(services["wireguard-services"]["environment"]["WG_FORWARD_PORTS"])
    assert forwards == Forward.parse_all(f"3306:tcp:{plan.mariadb} 6379:tcp:{plan.redis} 8001:tcp:{plan.services}")
    endpoint = services["wireguard-web"]["environment"]["WG_PEER_ENDPOINT"]
    assert endpoint == f"{plan.underlay_services}:51820"
    for service in ("services", "celery"):
        assert services[service]["environment"]["DATABASE_HOST"] == str(plan.mariadb)
        assert services[service]["environment"]["CELERY_BROKER_URL"] == f"redis://{plan.redis}:6379/0"
    # The tunnel's own addresses never move.
    assert services["web"]["environment"]["DATABASE_HOST"] == "10.100.0.11"
    assert services["web"]["environment"]["CELERY_BROKER_URL"] == "redis://10.100.0.11:6379/0"
    assert services["wireguard-web"]["environment"]["WG_ADDRESS"] == "10.100.0.10/24"
    assert services["wireguard-services"]["environment"]["WG_ADDRESS"] == "10.100.0.11/24"

    assert {name: service["container_name"] for name, service in services.items()} == {
        name: f"{plan.container_prefix}{name}" for name in services
    }
    for gateway, fixed in (("services-net", plan.services_net), ("tunnel-net", plan.tunnel_net)):
        assert configuration["networks"][gateway]["ipam"]["config"][0]["gateway"] == str(fixed[1])


def test_the_compose_file_takes_a_plan_whole(render: Render) -> None:
    """Under a plan's variables the file's networks, addresses, forwards, names and ports are that plan's exactly."""
    for plan in PLANS:
        configuration = render(plan.environment())
        holds_plan(configuration, plan)
        assert configuration["services"]["wireguard-web"]["ports"] == [f"127.0.0.1:{plan.web_port}:8000"]
        assert configuration["services"]["services"]["ports"] == [f"127.0.0.1:{plan.services_port}:8001"]
        # Nothing of plan 0 stays behind.
        text = json.dumps(configuration)
        assert plan.index == 0 or not re.search(r"10\.101\.0\.|172\.20\.0\.", text)


def test_the_compose_file_alone_is_plan_0(render: Render, plan: AddressPlan) -> None:
    """A bare `docker compose up`, without any variable, deploys what the page documents."""
    assert render() == render(plan.environment())
    assert render()["name"] == plan.project


@pytest.mark.usefixtures("compose_cli")
@pytest.mark.parametrize("index", [0, 7, 99])
def test_compose_itself_reads_the_file_so(tmp_path: Path, index: int) -> None:
    """`docker compose config`, through the harness's own project, gives the same plan."""
    plan = AddressPlan(index=index)
    configuration = compose.project(plan, tmp_path).configuration()
    holds_plan(configuration, plan)
    assert configuration["name"] == plan.project
    published = {
        (port["host_ip"], port["published"], port["target"])
        for service in configuration["services"].values()
        for port in service.get("ports", [])
    }
    assert published == {("127.0.0.1", str(plan.web_port), 8000), ("127.0.0.1", str(plan.services_port), 8001)}


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("chosen", ["dev", "prod"])
def test_workers_choose_among_plans_of_their_own(chosen: str, workers: int) -> None:
    """The first begins with the documented plan; no two may take the same one, nor the mirror image of any."""
    choices = [AddressPlan.choices(chosen, worker, workers) for worker in range(workers)]
    assert choices[0][0].index == 0
    assert all(plan.layout == chosen for own in choices for plan in own)
    indices = [plan.index for own in choices for plan in own]
    assert sorted(indices) == sorted(set(indices))
    assert set(indices).isdisjoint({99 - index for index in indices})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends(AddressPlan):
    first: str
    second: str

    @property
    def tunnel_web(self) -> IPv4Interface:
        """Web's end."""
        return IPv4Interface(self.first)

    @property
    def tunnel_services(self) -> IPv4Interface:
        """Services' end."""
        return IPv4Interface(self.second)


@pytest.mark.parametrize(
    ("web", "services", "tunnel"),
    [
        ("10.66.0.1/29", "10.66.0.2/29", "10.66.0.0/29"),
        ("10.66.0.1/30", "10.66.0.2/32", "10.66.0.0/30"),
        ("10.66.0.1/32", "10.66.0.2/24", "10.66.0.0/30"),
        ("10.66.0.1/32", "10.66.1.2/32", "10.66.0.0/23"),
    ],
)
def test_the_tunnel_has_both_ends(web: str, services: str, tunnel: str) -> None:
    """Its subnet is that of web's end, or has to be guessed where that stands for itself alone."""
    assert str(_Ends(first=web, second=services).tunnel) == tunnel


def test_the_tunnel_of_a_plan_is_the_documented_one() -> None:
    """It never moves."""
    assert str(AddressPlan(index=3).tunnel) == "10.100.0.0/24"


def test_a_worker_that_replaces_another_has_choices_too() -> None:
    """Workers that replace crashed ones are numbered onward: also the hundredth finds plans to choose from."""
    assert AddressPlan.choices("dev", 100, 2)[0].index == 0
    assert len(AddressPlan.choices("dev", 149, 2)) == 1
