from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from harness.diagnosis.containers import (
    ABSENT,
    CONFIGURED,
    UNSEEN,
    Attachment,
    Container,
    PublishedPort,
    absent,
    configured,
    inspected,
)

INSPECTED: dict[str, Any] = {
    "Id": "abc",
    "Name": "/plan1-web",
    "RestartCount": 2,
    "State": {
        "Status": "restarting",
        "ExitCode": 137,
        "OOMKilled": True,
        "Error": "no such network",
        "StartedAt": "2026-01-02T03:04:05Z",
        "Health": {"Status": "unhealthy"},
    },
    "Config": {
        "Image": "harness/app:local",
        "Env": ["A=1", "URL=redis://h/0?x=y", "EMPTY=", "BARE"],
        "Cmd": ["web"],
        "Labels": {"com.docker.compose.service": "web"},
    },
    "HostConfig": {
        "NetworkMode": "p_services-net",
        "PortBindings": {
            "3306/tcp": [{"HostIp": "", "HostPort": "3306"}, {"HostIp": "::1", "HostPort": ""}],
            "53/udp": None,
        },
        "CapAdd": ["CAP_NET_ADMIN"],
        "Privileged": False,
        "Devices": [{"PathInContainer": "/dev/net/tun"}],
        "Sysctls": {"net.ipv4.ip_forward": "1"},
    },
    "NetworkSettings": {
        "Networks": {
            "p_services-net": {
                "IPAddress": "10.101.0.2",
                "IPPrefixLen": 24,
                "IPAMConfig": {"IPv4Address": "10.101.0.2"},
            },
            "other": {"IPAddress": "", "IPPrefixLen": 0, "IPAMConfig": None},
            "none": {},
        }
    },
}


def test_an_inspected_container_is_read() -> None:
    """State, environment, networks without the project's name, ports, capabilities, devices: as Docker has them."""
    found = inspected(INSPECTED, "p", {})
    assert found.environment == {"A": "1", "URL": "redis://h/0?x=y", "EMPTY": "", "BARE": ""}
    assert found.attachments == (
        Attachment(network="services-net", address="10.101.0.2", prefix=24, wanted="10.101.0.2"),
        Attachment(network="other", address=None, prefix=32, wanted=None),
    )
    assert found.addresses == (IPv4Address("10.101.0.2"),)
    assert found.attachments[0].interface == IPv4Interface("10.101.0.2/24")
    assert found.published == (
        PublishedPort(port=3306, protocol="tcp", host="0.0.0.0", host_port="3306"),
        PublishedPort(port=3306, protocol="tcp", host="::1", host_port="any"),
    )
    assert (found.capabilities, found.devices) == (("NET_ADMIN",), ("/dev/net/tun",))
    assert not found.running
    words = "restarting (exit status 137), killed for want of memory, restarted 2 times: no such network"
    assert found.describe() == words


@pytest.mark.parametrize(
    ("mode", "joined"),
    [("service:gw", "gw"), ("container:vpn", "gw"), ("container:gw", "gw"), ("container:x", UNSEEN), ("host", None)],
)
def test_whose_namespace_a_service_is_to_share_is_known(mode: str, joined: str | None) -> None:
    """By its name, or by that of its container, whose ever that is."""
    services = {"gw": {"container_name": "vpn"}, "web": {"network_mode": mode}}
    assert configured("web", {"services": services}).joined == joined


@pytest.mark.parametrize(
    ("mode", "joined"),
    [("container:def", "wireguard-web"), ("container:old", "gone"), ("bridge", None), ("host", None)],
)
def test_whose_namespace_a_container_shares_is_known(mode: str, joined: str | None) -> None:
    """By the id of the other container; one that is no longer the deployment's is gone."""
    attributes = INSPECTED | {"HostConfig": INSPECTED["HostConfig"] | {"NetworkMode": mode}}
    assert inspected(attributes, "p", {"def": "wireguard-web"}).joined == joined


@pytest.mark.parametrize("container", [inspected(INSPECTED, "p", {}), absent()], ids=["inspected", "absent"])
def test_a_container_round_trips(container: Container) -> None:
    """As a piece of evidence and back it is the same."""
    assert Container.from_json(json.loads(container.to_json())) == container


WRONG: tuple[object, ...] = (None, 7, 1.5, True, "text", [], ["text"], [None], {})


def test_an_older_snapshot_does_not_say_who_starts_a_container_again() -> None:
    """It can be read, and what ended in it is no job."""
    ended = INSPECTED | {"State": INSPECTED["State"] | {"Status": "exited", "ExitCode": 0}}
    loaded = json.loads(inspected(ended, "p", {}).to_json())
    assert Container.from_json(loaded).ended_well
    del loaded["restart"]
    assert not Container.from_json(loaded).ended_well


@pytest.mark.parametrize(
    ("policy", "expected"),
    [({"Name": "unless-stopped", "MaximumRetryCount": 0}, "unless-stopped"), ({"Name": ""}, "no"), (None, "no")],
)
def test_who_starts_a_container_again_is_read(policy: object, expected: str) -> None:
    """An engine that says nothing of it starts none again, nor does compose."""
    attributes = INSPECTED | {"HostConfig": INSPECTED["HostConfig"] | {"RestartPolicy": policy}}
    assert inspected(attributes, "p", {}).restart == expected
    definition = {"restart": expected} if expected != "no" else {}
    assert configured("a", {"services": {"a": definition}}).restart == expected


@pytest.mark.parametrize("name", Container.__dataclass_fields__)
def test_a_container_that_is_damaged_is_none(name: str) -> None:
    """Every field has to be there and of its type: nothing that could pass for a healthy container is made up."""
    loaded = json.loads(inspected(INSPECTED, "p", {}).to_json())
    if name != "restart":
        with pytest.raises(KeyError):
            Container.from_json({key: value for key, value in loaded.items() if key != name})
    refused = 0
    for wrong in WRONG:
        try:
            Container.from_json(loaded | {name: wrong})
        except (KeyError, TypeError, AttributeError):
            refused += 1
        else:
            assert (
                type(wrong) is type(loaded[name])
                or (wrong in (None, "text") and name in ("health", "joined"))
                or (wrong is True and isinstance(loaded[name], int))
            )
    assert refused >= len(WRONG) - 3


def test_what_is_on_a_network_has_to_be_whole_too() -> None:
    """An attachment or a port with another type in it is damaged as well."""
    loaded = json.loads(inspected(INSPECTED, "p", {}).to_json())
    for name, key, wrong in (
        ("attachments", "prefix", "24"),
        ("attachments", "network", None),
        ("published", "host", 1),
    ):
        entries = [loaded[name][0] | {key: wrong}]
        with pytest.raises(TypeError, match=key):
            Container.from_json(loaded | {name: entries})


CONFIGURATION: dict[str, Any] = {
    "services": {
        "web": {"image": "app", "network_mode": "service:gw", "environment": ["A=1", "B"], "command": "web --fast"},
        "gw": {
            "image": "gw",
            "cap_add": ["NET_ADMIN"],
            "devices": ["/dev/net/tun:/dev/net/tun", {"source": "/dev/a", "target": "/dev/b"}],
            "sysctls": {"net.ipv4.ip_forward": 1},
            "environment": {"WG_MTU": 1420, "UNSET": None},
            "ports": [{"target": 8000, "published": "8000", "host_ip": "127.0.0.1"}, {"target": 53, "protocol": "udp"}],
            "networks": {"inside": {"ipv4_address": "10.101.0.3"}, "floating": None},
        },
    },
    "networks": {"inside": {"ipam": {"config": [{"subnet": "10.101.0.0/24"}]}}, "floating": {"ipam": {}}},
}


def test_a_configured_service_says_the_same_in_the_same_words() -> None:
    """What compose would make of a service is described as Docker describes a container."""
    gateway, web = configured("gw", CONFIGURATION), configured("web", CONFIGURATION)
    assert (gateway.status, gateway.running, web.joined) == (CONFIGURED, False, "gw")
    assert web.environment == {"A": "1", "B": ""}
    assert web.command == ("web", "--fast")
    assert gateway.environment == {"WG_MTU": "1420", "UNSET": ""}
    assert gateway.devices == ("/dev/net/tun", "/dev/b")
    assert gateway.attachments == (
        Attachment(network="inside", address=None, prefix=24, wanted="10.101.0.3"),
        Attachment(network="floating", address=None, prefix=32, wanted=None),
    )
    assert gateway.addresses == (IPv4Address("10.101.0.3"),)
    assert list(map(str, gateway.published)) == ["127.0.0.1:8000 -> 8000/tcp", "0.0.0.0:any -> 53/udp"]
    assert Container.from_json(json.loads(gateway.to_json())) == gateway


def test_what_is_absent_is_no_container() -> None:
    """It does not run, has no address and says so."""
    assert (absent().status, absent().running, absent().addresses, absent().describe()) == (ABSENT, False, (), "absent")
