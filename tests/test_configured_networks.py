"""Subnets of a compose file, of which Compose itself takes no notice."""

from __future__ import annotations

import json

import pytest

from harness import configured
from harness.diagnosis import containers
from harness.diagnosis.containers import Container
from harness.errors import ConfigurationError


@pytest.mark.parametrize("subnet", ["nonsense", "172.20.0.0", "172.20.0.0/99", "172.20.0.0/x", ""])
def test_a_subnet_that_is_none_is_refused(subnet: str) -> None:
    """No network can be made of it: that is one sentence with its name, never a traceback and never health."""
    services = {"a": {"networks": {"inside": {"ipv4_address": "172.20.0.2"}}}}
    networks = {"inside": {"ipam": {"config": [{"subnet": subnet}]}}}
    with pytest.raises(ConfigurationError, match="network inside"):
        configured.snapshot({"services": services, "networks": networks})


def test_a_subnet_that_is_one_is_taken() -> None:
    """The twin: of IPv4 and IPv6, or none at all."""
    networks = {
        "inside": {"ipam": {"config": [{"subnet": "172.20.0.0/24"}, {"subnet": "fd00::/64"}]}},
        "default": None,
        "managed": {"ipam": {"config": [{"gateway": "10.0.0.1"}]}},
    }
    services = {"a": {"networks": {"inside": {"ipv4_address": "172.20.0.2"}}}}
    found = configured.snapshot({"services": services, "networks": networks})
    assert [each.subnets for each in found.networks] == [("172.20.0.0/24", "fd00::/64"), (), ()]


@pytest.mark.parametrize("subnet", ["172.20.0.0/255.255.255.0", "172.20.0.5/24"])
def test_a_subnet_in_other_words_is_the_same_one(subnet: str) -> None:
    """A mask in place of a length, and an address in place of the network's own, say what a prefix does."""
    networks = {"inside": {"ipam": {"config": [{"subnet": subnet}]}}}
    services = {"a": {"networks": {"inside": {"ipv4_address": "172.20.0.2"}}}}
    found = configured.snapshot({"services": services, "networks": networks})
    described = Container.from_json(json.loads(found.nodes[0].pieces["container"].text))
    assert [str(each.interface) for each in described.attachments] == ["172.20.0.2/24"]


@pytest.mark.parametrize(
    "subnets",
    [
        ("fd00::/64", "172.20.0.0/24"),
        ("172.20.0.0/24", "fd00::/64"),
        ("10.0.0.0/8", "fd00::/64", "172.20.0.0/24"),
    ],
)
def test_an_address_is_from_the_subnet_that_holds_it(subnets: tuple[str, ...]) -> None:
    """The order in which a file names a network's subnets decides nothing, and one of IPv6 holds no such address."""
    networks = {"inside": {"ipam": {"config": [{"subnet": subnet} for subnet in subnets]}}}
    services = {"a": {"networks": {"inside": {"ipv4_address": "172.20.0.2"}}}}
    described = containers.configured("a", {"services": services, "networks": networks})
    assert [str(each.interface) for each in described.attachments] == ["172.20.0.2/24"]


def test_an_address_that_is_not_fixed_is_from_the_first_subnet_of_its_kind() -> None:
    """Docker takes it from there; what is no address is other rules' business."""
    networks = {"inside": {"ipam": {"config": [{"subnet": "fd00::/64"}, {"subnet": "172.20.0.0/24"}]}}}
    for wanted in ({}, {"ipv4_address": "here"}):
        services = {"a": {"networks": {"inside": wanted}}}
        described = containers.configured("a", {"services": services, "networks": networks})
        assert [each.prefix for each in described.attachments] == [24]
