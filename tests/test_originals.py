"""What is read of a container is what it can be created with again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness import originals
from harness.engine import Listed
from harness.originals import Original

ID = "4f2a" * 16
OWNER = "9c1b" * 16


def inspected(mode: str = "site_default", **changes: Any) -> dict[str, Any]:
    """What the engine says of a container, as far as it matters."""
    attributes: dict[str, Any] = {
        "Id": ID,
        "Name": "/web",
        "Config": {
            "Hostname": ID[:12],
            "Image": "app:1",
            "Env": ["A=1"],
            "ExposedPorts": {"8000/tcp": {}},
            "Labels": {"com.docker.compose.service": "web"},
        },
        "HostConfig": {"NetworkMode": mode, "IpcMode": "private", "PidMode": "", "Binds": None, "Mounts": None},
        "Mounts": [],
        "NetworkSettings": {
            "Networks": {
                "site_default": {
                    "IPAMConfig": {"IPv4Address": "10.101.0.5"},
                    "Aliases": ["web", ID[:12]],
                    "Links": None,
                    "IPAddress": "10.101.0.5",
                    "EndpointID": "e",
                }
            }
        },
    }
    return attributes | changes


def test_what_the_engine_made_up_is_left_out() -> None:
    """Its name and alias by its own id, and what came of an endpoint, belong to the old container alone."""
    original = Original.of(inspected())
    assert (original.name, original.service) == ("web", "web")
    assert "Hostname" not in original.body
    assert original.body["Env"] == ["A=1"]
    assert original.body["NetworkingConfig"] == {
        "EndpointsConfig": {"site_default": {"IPAMConfig": {"IPv4Address": "10.101.0.5"}, "Aliases": ["web"]}}
    }


def test_a_name_that_was_given_stays() -> None:
    """A hostname of somebody's choice is part of how the container was created."""
    attributes = inspected()
    attributes["Config"]["Hostname"] = "shop"
    assert Original.of(attributes).body["Hostname"] == "shop"


def test_one_in_anothers_namespace_names_no_port_and_no_host() -> None:
    """The engine refuses both for such a container, though it reports the image's ports and its owner's name."""
    attributes = inspected(f"container:{OWNER}", NetworkSettings={"Networks": {}})
    attributes["Config"]["Hostname"] = "owner"
    body = Original.of(attributes).body
    assert "Hostname" not in body
    assert "ExposedPorts" not in body


class Inspecting:
    """An engine that has these containers, and tells of them."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self._containers = {each["Id"]: each for each in containers}
        self.client = self.api = self

    def listed(self, *_labels: str) -> tuple[Listed, ...]:
        """All of them."""
        found = self._containers.values()
        return tuple(Listed(id=each["Id"], name=each["Name"], labels=each["Config"]["Labels"]) for each in found)

    def inspect_container(self, identity: str) -> dict[str, Any]:
        """One of them."""
        return self._containers[identity]


def read(*containers: dict[str, Any]) -> set[str]:
    """The services of which the engine tells all."""
    return {*originals.read(cast("Any", Inspecting(*containers)), "site", {"web"})}


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ({"Mounts": None, "Binds": None}, False),
        ({"Mounts": [{"Type": "volume", "Target": "/data"}], "Binds": None}, False),
        ({"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}], "Binds": None}, True),
        ({"Mounts": None, "Binds": ["data:/data:rw"]}, True),
    ],
    ids=["of the image", "of the compose file", "mounted", "bound"],
)
def test_one_with_a_volume_of_its_own_is_left_to_compose(host: dict[str, Any], *, told: bool) -> None:
    """What is in it would be lost; one that has a name is found again by that."""
    attributes = inspected(Mounts=[{"Type": "volume", "Name": "data", "Destination": "/data"}])
    attributes["HostConfig"] |= host
    assert read(attributes) == ({"web"} if told else set())


def test_one_of_several_is_left_to_compose() -> None:
    """A service with two containers is not brought back as one."""
    assert read(inspected()) == {"web"}
    assert read(inspected(), inspected(Id=OWNER, Name="/web-2")) == set()
