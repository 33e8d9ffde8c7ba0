from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.addresses import AddressPlan, ProdPlan
from harness.engine import Engine, PublishedPort
from harness.errors import ConfigurationError
from harness.machine import Machine
from harness.preflight import _port_lines, require_sound, routes, user_lines

from .conftest import Render


def networks(**subnets: str | None) -> dict[str, Any]:
    return {
        "networks": {
            name: {"ipam": {"config": [{"subnet": subnet}]} if subnet else {}} for name, subnet in subnets.items()
        }
    }


def test_the_deployment_is_sound(render: Render) -> None:
    """The file as it stands passes, on every plan."""
    for index in range(100):
        require_sound(render(AddressPlan(index=index).environment()))


def test_networks_without_fixed_subnets_are_sound() -> None:
    """A network to which Docker gives a subnet, an external one, or none at all is no reason to stop."""
    require_sound({})
    require_sound(networks(default=None, other=None))
    require_sound({"networks": {"external": {"external": True, "name": "theirs", "ipam": None}}})


def test_ipv6_subnets_do_not_meet_the_tunnel() -> None:
    """An IPv6 subnet beside an IPv4 one is looked over."""
    configuration = networks(**{"services-net": "10.101.0.0/24"})
    configuration["networks"]["services-net"]["ipam"]["config"].append({"subnet": "fd00:1::/64"})
    require_sound(configuration)


@pytest.mark.parametrize("subnet", ["10.100.0.0/24", "10.100.0.0/16", "10.100.0.8/29", "10.0.0.0/8"])
def test_a_network_on_the_tunnels_subnet_is_refused(subnet: str) -> None:
    """services-net on the tunnel's subnet, the root cause of the page, is refused with both names and the mend."""
    with pytest.raises(ConfigurationError) as caught:
        require_sound(networks(**{"tunnel-net": "172.20.0.0/24", "services-net": subnet}))
    said = str(caught.value)
    assert f"network services-net ({subnet}) overlaps the tunnel (10.100.0.0/24)" in said
    assert "services-net is 10.101.0.0/24" in said
    assert "tunnel-net" not in said


def test_a_subnet_that_is_given_by_an_address_in_it_is_understood() -> None:
    """Compose takes 10.100.0.1/24 as it stands, and so did engines before 25."""
    with pytest.raises(ConfigurationError, match="overlaps the tunnel"):
        require_sound(networks(**{"services-net": "10.100.0.1/24"}))


def test_two_networks_that_overlap_are_refused() -> None:
    """Two Docker networks on one range are refused with the names and subnets of both."""
    with pytest.raises(ConfigurationError, match="overlaps") as caught:
        require_sound(networks(**{"services-net": "10.101.0.0/24", "tunnel-net": "10.101.0.128/25"}))
    assert "network services-net (10.101.0.0/24)" in str(caught.value)
    assert "network tunnel-net (10.101.0.128/25)" in str(caught.value)


def test_neighbours_do_not_overlap() -> None:
    """Subnets that touch are sound."""
    require_sound(networks(**{"services-net": "10.100.1.0/24", "tunnel-net": "10.99.255.0/24"}))


ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010010AC\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t001010AC\t00000000\t0001\t0\t0\t100\t00F0FFFF\t0\t0\t0
tun0\t0000650A\t01000A0A\t0003\t0\t0\t50\t0000FFFF\t0\t0\t0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the sample was taken on a machine of that byte order")
def test_routes_are_read_as_the_kernel_writes_them() -> None:
    """Each with its interface and its subnet; the default route leads everywhere, and says nothing."""
    assert [(interface, str(target)) for interface, target in routes(ROUTES)] == [
        ("eth0", "172.16.16.0/20"),
        ("tun0", "10.101.0.0/16"),
    ]


@pytest.mark.parametrize(
    ("plan", "uid", "system", "lines"),
    [
        (ProdPlan(index=0), 1000, "Linux", 1),
        (ProdPlan(index=0), 0, "Linux", 0),
        (AddressPlan(index=0), 1000, "Linux", 0),
        (ProdPlan(index=0), 1000, "Darwin", 0),
    ],
)
def test_production_wants_root(
    monkeypatch: pytest.MonkeyPatch, plan: AddressPlan, uid: int, system: str, lines: int
) -> None:
    """What its playbooks write on servers is root's on this machine too; elsewhere such folders are whose they are."""
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr("platform.system", lambda: system)
    assert len(user_lines([plan])) == lines


@pytest.mark.parametrize(
    ("address", "protocol", "taken"),
    [
        ("127.0.0.1", "tcp", True),
        ("0.0.0.0", "tcp", True),
        ("0.0.0.0", "udp", False),
        ("192.168.1.5", "tcp", False),
        ("::", "tcp", False),
    ],
)
def test_only_a_port_of_tcp_on_loopback_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch, address: str, protocol: str, *, taken: bool
) -> None:
    """What is published on another address, or for UDP, and has the same number, can stay where it is."""
    held = PublishedPort(container="theirs", address=address, port=8000, protocol=protocol)
    monkeypatch.setattr("harness.preflight._bindable", lambda _port: True)
    engine = cast("Engine", SimpleNamespace(published_ports=lambda: (held,), machine=Machine()))
    lines = ["port 8000 is published by container theirs: docker stop theirs"] if taken else []
    assert _port_lines(engine, AddressPlan()) == lines
