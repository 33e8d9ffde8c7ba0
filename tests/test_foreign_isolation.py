"""A copy of somebody's deployment reaches nothing of the real one: what would is refused before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import configured, rolemap
from harness.errors import ConfigurationError
from harness.foreign.plan import ForeignPlan, planned

from .conftest import ROOT
from .warehouse import EXAMPLE, merged

Plan = Callable[..., ForeignPlan]

TEMPLATE = """
[settings.wireguard-web]
WG_PEER_ENDPOINT = "{}"
"""


@pytest.fixture
def plan(compose_cli: None, tmp_path: Path) -> Plan:  # noqa: ARG001 (skips without it)
    """The plan of the example with files over it, or with a text in one of its own that is another one."""

    def made(*more: str, edit: tuple[str, str, str] | None = None, said: str | None = None) -> ForeignPlan:
        configuration: dict[str, Any] = merged(tmp_path, *more)
        if edit is not None:
            file, old, new = edit
            text = (tmp_path / file).read_text(encoding="utf-8")
            assert old in text
            (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        words = [str(EXAMPLE / "harness.toml")]
        if said is not None:
            words.append(str(tmp_path / "more.toml"))
            (tmp_path / "more.toml").write_text(TEMPLATE.format(said), encoding="utf-8")
        return planned(configuration, (EXAMPLE / "compose.yml",), None, rolemap.read(words))

    return made


def in_service(service: str, text: str) -> str:
    """A compose file that says one thing more of a service."""
    return f"services:\n  {service}:\n    {text}\n"


SHARED = {
    "network_mode: host": in_service("prepare", "{networks: !reset null, network_mode: host}"),
    "network_mode: container:real": in_service("shop", 'network_mode: "container:real"'),
    "network_mode: real_depot": in_service("prepare", "{networks: !reset null, network_mode: real_depot}"),
    "pid: host": in_service("stock", "pid: host"),
    "pid: container:real": in_service("stock", 'pid: "container:real"'),
    "ipc: host": in_service("stock", "ipc: host"),
    "uts: host": in_service("stock", "uts: host"),
    "volumes_from: container:real-ledger:ro": in_service("stock", 'volumes_from: ["container:real-ledger:ro"]'),
    "external_links: real-ledger:ledger": in_service("stock", 'external_links: ["real-ledger:ledger"]'),
}


@pytest.mark.parametrize("what", SHARED)
def test_what_is_the_machines_or_anothers_is_not_shared(plan: Plan, what: str) -> None:
    """Its service and what it has are named, and what to do."""
    service = SHARED[what].split()[1].strip(":")
    with pytest.raises(ConfigurationError, match=f"^{service} has {what}, which is not of these files .* lay a file"):
        plan(SHARED[what])


@pytest.mark.parametrize(
    "text",
    [
        "services: {ledger: {container_name: books}, prepare: {volumes_from: ['container:books']}}",
        "services: {stock: {pid: 'service:ledger', ipc: shareable}}",
        "services: {vpn-shop: {container_name: its-vpn}, shop: {network_mode: 'container:its-vpn'}}",
    ],
)
def test_what_is_of_the_files_may_be_shared_among_them(plan: Plan, text: str) -> None:
    """The copy has it as well."""
    assert plan(text).name == "warehouse"


def test_a_socket_is_spoken_to_also_where_it_is_read_only(plan: Plan, tmp_path: Path) -> None:
    """What is mounted read-only can still be asked to change whatever there is, such as by the engine's."""
    named = in_service("cache", 'volumes: ["/nowhere/docker.sock:/var/run/docker.sock:ro"]')
    with pytest.raises(ConfigurationError, match=r"cache speaks to /nowhere/docker.sock of this machine"):
        plan(named)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "engine"))
        with pytest.raises(ConfigurationError, match=r"cache speaks to .*/engine of this machine"):
            plan(in_service("cache", f'volumes: ["{tmp_path}/engine:/engine:ro"]'))


def test_a_network_of_the_machines_own_is_refused(plan: Plan) -> None:
    """The copy would have the real deployment's addresses on the real one's network."""
    with pytest.raises(ConfigurationError, match="network transit is of the driver macvlan"):
        plan("networks: {transit: {driver: macvlan}}")


ENDPOINTS = {
    "an address": "203.0.113.7:41194",
    "an address of IPv6": "[2001:db8::7]:41194",
    "a name": "vpn.example.com:41194",
    "the machine": "host.docker.internal:41194",
    "whoever relays": "127.0.0.1:41194",
    "somebody on another network": "ledger:41194",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_a_gateway_that_dials_out_of_the_copy_is_refused(plan: Plan, endpoint: str) -> None:
    """It has the real one's keys: its peer would send to the copy from then on, and what it writes be real."""
    with pytest.raises(ConfigurationError, match=r"^vpn-shop dials .* shares a network with: .* leads to vpn-depot$"):
        plan(edit=("vpn-shop.conf", "192.168.77.20:41194", endpoint))


def test_each_peer_of_a_gateway_counts(plan: Plan) -> None:
    """One besides the other gateway is dialled as well; the one who answers, too."""
    another = "[Peer]\nPublicKey = x\nEndpoint = 203.0.113.7:51820\n[Peer]"
    for service in ("vpn-shop", "vpn-depot"):
        with pytest.raises(ConfigurationError, match=f"^{service} dials 203.0.113.7, "):
            plan(edit=(f"{service}.conf", "[Peer]", another))


@pytest.mark.parametrize(
    "endpoint", ["vpn-depot:41194", "VPN-Depot:41194", "far:41194", "told:41194", "192.168.77.21:41194"]
)
def test_a_gateway_may_dial_whoever_is_on_its_networks(plan: Plan, endpoint: str) -> None:
    """By a name of a service, an alias or `extra_hosts`; an address there that nobody has is none of the real one's."""
    names = """
services:
  vpn-shop: {extra_hosts: ["told:192.168.77.20"]}
  vpn-depot: {networks: {transit: {aliases: [far]}}}
"""
    assert plan(names, edit=("vpn-shop.conf", "192.168.77.20:41194", endpoint)).name == "warehouse"


def test_a_name_leads_where_the_file_says(plan: Plan) -> None:
    """Also where that is out of the copy."""
    elsewhere = in_service("vpn-shop", 'extra_hosts: ["far:203.0.113.7"]')
    with pytest.raises(ConfigurationError, match=r"^vpn-shop dials far, "):
        plan(elsewhere, edit=("vpn-shop.conf", "192.168.77.20", "far"))


def test_whom_nobody_knows_a_gateway_to_dial_is_said_by_the_map(plan: Plan, tmp_path: Path) -> None:
    """A wg0.conf that cannot be read here may dial the real peer: unknown is not taken for well."""
    hidden = in_service("vpn-shop", f'volumes: ["{tmp_path}/none.conf:/etc/wireguard/wg0.conf:ro"]')
    with pytest.raises(
        ConfigurationError, match=r"^whom vpn-shop dials is not known .*none.conf cannot be read: .* \[settings.wiregu"
    ):
        plan(hidden)
    assert plan(hidden, said="vpn-depot:41194").name == "warehouse"
    assert plan(hidden, said="").name == "warehouse"
    with pytest.raises(ConfigurationError, match=r"^vpn-shop dials 203.0.113.7, "):
        plan(hidden, said="203.0.113.7:41194")


@pytest.mark.usefixtures("compose_cli")
def test_a_gateway_told_by_variables_is_judged_alike() -> None:
    """This project's own development deployment is one such: as it is it is fine, dialling elsewhere it is not."""
    file = ROOT / "compose" / "docker-compose.yml"
    configuration = configured.read([file], None)
    assert planned(configuration, (file,), None, rolemap.DOCUMENTED).name
    configuration["services"]["wireguard-web"]["environment"]["WG_PEER_ENDPOINT"] = "203.0.113.7:51820"
    with pytest.raises(ConfigurationError, match=r"^wireguard-web dials 203.0.113.7, .* a WG_PEER_ENDPOINT that leads"):
        planned(configuration, (file,), None, rolemap.DOCUMENTED)


def test_a_forward_that_leads_out_of_the_copy_is_refused(plan: Plan) -> None:
    """What asks through the tunnel would ask the real backend, to whichever port it is led."""
    for place in ("192.168.1.5", "192.168.1.5:3307"):
        with pytest.raises(ConfigurationError, match=r"^vpn-depot sends on port 3306 to 192.168.1.5, which is on"):
            plan(edit=("vpn-depot.conf", "10.44.5.10", place))


@pytest.mark.parametrize(
    ("service", "text", "said"),
    [
        ("stock", "LEDGER_URL: mysql://clerk@db.example.com/warehouse", "stock has its MariaDB at db.example.com, "),
        ("stock", "CACHE_URL: redis://192.168.1.6:6380/3", "stock has its Redis at 192.168.1.6, "),
        ("shop", "LEDGER_HOST: 10.99.0.2", "shop has its MariaDB at 10.99.0.2, "),
    ],
)
def test_an_application_whose_backend_is_no_copy_is_refused(plan: Plan, service: str, text: str, said: str) -> None:
    """The scenarios write where it does."""
    with pytest.raises(ConfigurationError, match=f"^{said}which is nobody in these files"):
        plan(in_service(service, f"environment: {{{text}}}"))


@pytest.mark.parametrize("host", ["ledger", "localhost", "10.44.5.10"])
def test_an_application_may_have_its_backend_in_the_copy(plan: Plan, host: str) -> None:
    """By a name, by an address, or by whoever relays in its own namespace."""
    assert plan(in_service("stock", f"environment: {{LEDGER_URL: mysql://clerk@{host}/warehouse}}")).name == "warehouse"
