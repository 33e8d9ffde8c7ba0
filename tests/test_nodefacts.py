from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import Listener, NodeFacts

from .evidence_samples import APPS, BACK, FRONT, MARIADB, REDIS, WEB, Sample, listens


def node(sample: Sample, service: str) -> NodeFacts:
    """The facts of any node."""
    found = Facts(sample.snapshot()).node(service)
    assert found is not None
    return found


def test_who_listens_is_read_from_the_kernel() -> None:
    """Addresses in the kernel's byte order, IPv6 that takes IPv4 too, and nothing that does not listen."""
    sample = Sample()
    established = "   3: 0200650A:0CEA 0500650A:9C40 01 00000000:00000000 00:00000000 00000000   999        0 1 1\n"
    for line in (listens("0200650A", 3307), listens("0" * 32, 3308), established):
        sample.pieces[MARIADB]["sockets"] += line
    mapped = "0000000000000000FFFF0000" + "0200650A"
    sample.pieces[MARIADB]["sockets"] += listens(mapped, 3309)
    assert node(sample, MARIADB).listeners == (
        Listener(address=IPv4Address("127.0.0.11"), port=32987),
        Listener(address=IPv4Address(0), port=3306),
        Listener(address=IPv4Address("10.101.0.2"), port=3307),
        Listener(address=None, port=3308),
        Listener(address=IPv4Address("10.101.0.2"), port=3309),
    )
    here, elsewhere = IPv4Address("10.101.0.2"), IPv4Address("10.101.0.3")
    serving = [(each.serves(here), each.serves(elsewhere)) for each in node(sample, MARIADB).listeners]
    assert serving == [(False, False), (True, True), (True, False), (True, True), (True, False)]


def test_the_kernels_routes_are_read() -> None:
    """/proc/net/route: networks and routers."""
    assert node(Sample(), REDIS).kernel_routes == (
        (IPv4Network("0.0.0.0/0"), IPv4Address("10.101.0.1")),
        (IPv4Network("10.101.0.0/24"), IPv4Address(0)),
    )


DAMAGED: list[tuple[str, str, str, Callable[[NodeFacts], object]]] = [
    (MARIADB, "sockets", listens("XYZ", 1), lambda each: each.listeners),
    (MARIADB, "sockets", "   1: 00000000:XX 0:0 0A\n", lambda each: each.listeners),
    (MARIADB, "kernel-routes", "eth0\tzz\tzz\t3\t0\t0\t0\tzz\t0\t0\t0\n", lambda each: each.kernel_routes),
    (MARIADB, "kernel-routes", "eth0\t00\t00\t3\t0\t0\t0\t00\t0\t0\t0\n", lambda each: each.kernel_routes),
    (WEB, "netns", "mnt:[1]", lambda each: each.netns),
    (WEB, "secret-files", "]", lambda each: each.secret_files),
]


@pytest.mark.parametrize(("service", "piece", "more", "ask"), DAMAGED)
def test_what_cannot_be_read_is_unseen(service: str, piece: str, more: str, ask: Callable[[NodeFacts], object]) -> None:
    """A line that the kernel never prints makes the piece unseen: nothing is left out in silence, nothing raises."""
    sample = Sample()
    ask(node(sample, service))
    sample.pieces[service][piece] += more
    with pytest.raises(UnseenError, match=f"{piece} of {service}"):
        ask(node(sample, service))


def test_the_ends_of_the_tunnel_are_told_apart_by_what_they_are_told() -> None:
    """The gateway that forwards is the one behind; names are looked at only where that says nothing."""
    facts = Facts(Sample().snapshot())
    assert (facts.front and facts.front.service, facts.back and facts.back.service) == (FRONT, BACK)
    sample = Sample()
    sample.rename(FRONT, "a")
    sample.rename(BACK, "b")
    facts = Facts(sample.snapshot())
    assert (facts.front and facts.front.service, facts.back and facts.back.service) == ("a", "b")


def test_every_path_is_known() -> None:
    """Each application to each backend, and web to each other port that is forwarded; with who should answer."""
    facts = Facts(Sample().snapshot())
    found = {path.id: (path.backend.service if path.backend else None, path.tunnelled) for path in facts.paths}
    assert found == {
        **{f"{app}→database": (MARIADB, app == WEB) for app in APPS},
        **{f"{app}→broker": (REDIS, app == WEB) for app in APPS},
        "web→8001": ("services", True),
    }


def test_the_most_specific_route_is_taken() -> None:
    """The longest prefix, of equals the lowest metric, as the kernel does."""
    sample = Sample()
    facts = Facts(sample.snapshot())
    assert facts.front is not None
    route = facts.front.route_to(IPv4Address("10.100.0.11"))
    assert route is not None
    assert (route.kind, route.device) == ("unicast", "wg0")
    under = facts.front.route_to(IPv4Address("10.100.0.11"), without="wg0")
    assert under is not None
    assert under.kind == "blackhole"
    assert facts.front.leads_to(IPv4Address("192.0.2.1")) == "eth0"


def test_a_setting_of_the_kernel_that_is_not_there_is_unseen() -> None:
    """That a line is missing is not the value 0."""
    sample = Sample()
    sample.without_lines(BACK, "sysctls", "ip_forward")
    back = Facts(sample.snapshot()).back
    assert back is not None
    assert back.sysctl("conf/wg0/rp_filter") == "0"
    with pytest.raises(
        UnseenError, match="sysctls of wireguard-services could not be seen: it does not say ip_forward"
    ):
        back.sysctl("ip_forward")
