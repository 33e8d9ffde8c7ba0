"""What is made anew as it was is what compose had made, to the last setting, and compose takes it for its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness import originals, recreation
from harness.budgets import RECOVERY
from harness.deployment import Deployment
from harness.errors import DeploymentError
from harness.overlays import Change, Overlay, SecretFile, Variables
from harness.waiting import wait_until

GROUPS = (("wireguard-web", "web", "probe-web"), ("wireguard-services",), ("services", "probe-services"), ("mariadb",))
# What an engine finds out or makes up for each container.
OWN_OF_ENDPOINT = ("EndpointID", "NetworkID", "Gateway", "IPAddress", "MacAddress", "DNSNames", "IPPrefixLen")


def said(attributes: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """All in `docker inspect` that is configuration, ids replaced by names."""
    short = attributes["Id"][:12]
    host = dict(attributes["HostConfig"])
    host["NetworkMode"] = names.get(host["NetworkMode"].removeprefix("container:"), host["NetworkMode"])
    networks = {
        name: {key: value for key, value in endpoint.items() if key not in OWN_OF_ENDPOINT}
        | {"Aliases": [alias for alias in endpoint["Aliases"] or () if alias != short]}
        for name, endpoint in attributes["NetworkSettings"]["Networks"].items()
    }
    mounts = sorted((mount["Destination"], mount["Source"], mount["Mode"]) for mount in attributes["Mounts"])
    configuration = {key: value for key, value in attributes["Config"].items() if key != "Hostname"}
    return {"Config": configuration, "HostConfig": host, "networks": networks, "mounts": mounts}


@pytest.mark.parametrize("services", GROUPS, ids=lambda services: services[0])
def test_a_container_is_made_anew_as_it_was(deployment: Deployment, services: tuple[str, ...]) -> None:
    """Every setting, network and mount of the new one is the old one's; its id is another, and it becomes well."""
    engine, project = deployment.engine, deployment.project_name
    before = {service: deployment.node(service).inspect() for service in services}
    were = originals.read(engine, project, services)
    assert were.keys() == set(services)

    originals.remove(engine, project, services, at_once=services != ("mariadb",))
    owner, *joined = services
    originals.make(engine, [were[owner]], {})
    moved = {before[owner]["Id"]: deployment.node(owner).inspect()["Id"]}
    originals.make(engine, [were[service] for service in joined], moved)
    if owner == "wireguard-services":
        recreation.shake_hands_after_absence(deployment)

    after = {service: deployment.node(service).inspect() for service in services}
    named = {attributes["Id"]: service for found in (before, after) for service, attributes in found.items()}
    for service in services:
        assert after[service]["Id"] != before[service]["Id"]
        assert said(after[service], named) == said(before[service], named)
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)


def test_compose_sees_nothing_to_do(deployment: Deployment) -> None:
    """`docker compose up` leaves what was made anew alone: to it, it is what it has made itself."""
    engine, project = deployment.engine, deployment.project_name
    were = originals.read(engine, project, ["redis"])
    originals.remove(engine, project, ["redis"], at_once=False)
    originals.make(engine, list(were.values()), {})
    made = deployment.redis.inspect()["Id"]
    deployment.project("redis").bring_up("--no-deps", "redis")
    assert deployment.redis.inspect()["Id"] == made
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)


def test_what_the_engine_refuses_is_one_sentence(deployment: Deployment) -> None:
    """An image that is gone: `DeploymentError` with the engine's words, and no traceback of a library's."""
    (was,) = originals.read(deployment.engine, deployment.project_name, ["redis"]).values()
    gone = originals.Original(id=was.id, name="gone", service="redis", body={**was.body, "Image": "not-there:1"})
    with pytest.raises(DeploymentError, match="No such image: not-there:1"):
        originals.make(deployment.engine, [gone], {})


def test_what_moved_meanwhile_is_followed(deployment: Deployment) -> None:
    """A changed web moves along with its gateway and stays changed; its undo finds the gateway as that is now."""
    logs = Variables({"web": {"LOG_FORMAT": "json"}})
    gateway = Variables({"wireguard-web": {"WG_MTU": "1400"}})
    with ExitStack() as outer:
        recreation.redeploy(deployment, outer, logs, "web")
        with ExitStack() as inner:
            recreation.redeploy(deployment, inner, gateway, "wireguard-web")
            assert deployment.wireguard_web.environment()["WG_MTU"] == "1400"
            assert deployment.web.environment()["LOG_FORMAT"] == "json"
        assert deployment.wireguard_web.environment()["WG_MTU"] == "1420"
        assert deployment.web.environment()["LOG_FORMAT"] == "json"
    assert deployment.web.environment()["LOG_FORMAT"] == "text"
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)


OF_COMPOSE = tuple(
    f"com.docker.compose.{name}" for name in ("config-hash", "project.config_files", "depends_on", "replace")
)
"""Labels that say from which files compose has made a container, and for whom it waited, by itself for nobody."""
CHANGES = {
    "another value": Variables({"wireguard-web": {"WG_MTU": "1400"}}),
    "a new one": Variables({"wireguard-web": {"WG_NOTE": 'a "$HOME" of $5 = {all}\\n'}}),
    "one less": Variables({"wireguard-web": {"WG_PRESHARED_KEY_FILE": None, "WG_MTU": None}}),
    "also of one that moves along": Variables({"wireguard-web": {"WG_MTU": "1400"}, "web": {"LOG_FORMAT": "json"}}),
    "a secret's file": SecretFile("web_private_key", "/etc/hostname"),
}


def lines(value: object, at: str) -> Iterator[str]:
    """Each setting that is not left to the engine, in a line: lists in any order, as variables and mounts have none."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from lines(each, f"{at} {name}") if name not in OF_COMPOSE else ()
    elif isinstance(value, list):
        for each in value:
            yield from lines(each, at)
    elif value:
        yield f"{at}: {value}"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_the_engine_changes_is_what_compose_would(deployment: Deployment, change: Change) -> None:
    """To the last setting, in those that move along too."""
    services = ("wireguard-web", "web", "probe-web")

    def seen() -> set[str]:
        found = {service: deployment.node(service).inspect() for service in services}
        names = {attributes["Id"]: service for service, attributes in found.items()}
        return {line for service, attributes in found.items() for line in lines(said(attributes, names), service)}

    def made(overlay: Overlay) -> set[str]:
        with ExitStack() as undo:
            recreation.redeploy(deployment, undo, overlay, "wireguard-web")
            return seen()

    before, by_compose, by_engine = seen(), made(str(change)), made(change)
    assert by_engine != before
    assert by_engine - by_compose == set()
    assert by_compose - by_engine == set()
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)


def test_compose_does_not_take_what_was_changed_for_its_own(deployment: Deployment) -> None:
    """`docker compose up` makes a changed container what the files say."""
    with ExitStack() as undo:
        recreation.redeploy(deployment, undo, Variables({"celery": {"LOG_FORMAT": "json"}}), "celery")
        assert deployment.celery.environment()["LOG_FORMAT"] == "json"
        deployment.project("celery").bring_up("--no-deps", "celery")
        assert deployment.celery.environment()["LOG_FORMAT"] == "text"
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)


def test_what_is_broken_keeps_no_other_from_being_made(deployment: Deployment) -> None:
    """Celery waits for services, by its file: not where both are made anew, and services never is healthy."""
    sick = {
        "services": {
            "services": {
                "healthcheck": {"test": ["CMD", "false"], "start_period": "0s", "interval": "1s", "retries": 1}
            }
        }
    }
    celery = deployment.celery.inspect()["Id"]
    with ExitStack() as undo:
        recreation.redeploy(deployment, undo, sick, "services", "celery")
        wait_until("services to be ill", deployment.services.state, lambda seen: seen.health == "unhealthy", RECOVERY)
        assert deployment.celery.inspect()["Id"] != celery
        assert deployment.celery.state().status == "running"
    wait_until("the deployment to be well", deployment.unwell, lambda unwell: not unwell, within=RECOVERY)
