from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import Render

SERVICES = ("wireguard-services", "wireguard-web", "mariadb", "redis", "services", "celery", "web")
GATEWAYS = ("wireguard-services", "wireguard-web")
APPS = ("services", "celery", "web")


@pytest.fixture(scope="module")
def services(render: Render) -> dict[str, Any]:
    found: dict[str, Any] = render()["services"]
    return found


def test_the_deployment_is_these_services(services: dict[str, Any]) -> None:
    """The services of the deployment's page are there, each under its documented container name, and no other."""
    assert {name: service["container_name"] for name, service in services.items()} == {name: name for name in SERVICES}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_kept_well(services: dict[str, Any], name: str) -> None:
    """Each is restarted, reaped by an init, bounded in memory and log, stopped within seconds, and checked."""
    service = services[name]
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert re.fullmatch(r"\d+m", service["mem_limit"])
    assert service["stop_grace_period"] == "5s"
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert len(check["test"]) > 1
    assert check["start_interval"].endswith("ms")
    assert 10 <= int(check["interval"].removesuffix("s")) <= 30  # cheap when idle, and noticed within a minute or two


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_the_least_privilege(services: dict[str, Any], name: str) -> None:
    """Each drops all capabilities, on a read-only root; only the gateways may change the network."""
    service = services[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service.get("cap_add", []) == (["NET_ADMIN"] if name in GATEWAYS else [])
    assert service.get("devices", []) == (["/dev/net/tun"] if name in GATEWAYS else [])
    assert "privileged" not in service
    assert "pid" not in service
    if name not in GATEWAYS:
        assert service["user"] == "999:999"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_an_environment(services: dict[str, Any], name: str) -> None:
    """Keys and passwords arrive as files: whatever an environment says of them is a path under /run/secrets."""
    for variable, value in services[name].get("environment", {}).items():
        if re.search("KEY|PASSWORD|SECRET", variable):
            assert variable.endswith("_FILE"), variable
            assert value.startswith("/run/secrets/"), variable


def test_each_gateway_holds_only_its_own_private_key(services: dict[str, Any]) -> None:
    """A gateway gets its private key, the peer's public one and the preshared one; no other service gets any."""

    def sources(name: str) -> dict[str, str]:
        return {secret["target"]: secret["source"] for secret in services[name]["secrets"]}

    assert sources("wireguard-web") == {
        "wg_private_key": "web_private_key",
        "wg_peer_public_key": "services_public_key",
        "wg_preshared_key": "preshared_key",
    }
    assert sources("wireguard-services") == {
        "wg_private_key": "services_private_key",
        "wg_peer_public_key": "web_public_key",
        "wg_preshared_key": "preshared_key",
    }
    for name in set(SERVICES) - set(GATEWAYS):
        assert {"db_password", "db_root_password", "django_secret_key"}.issuperset(services[name].get("secrets", []))
    assert [name for name in SERVICES if "db_root_password" in services[name].get("secrets", [])] == ["mariadb"]


def test_every_secret_is_a_file_of_the_secrets_directory(render: Render) -> None:
    """`SECRETS_DIR` moves all secrets at once, and every one that is declared is used."""
    configuration = render({"SECRETS_DIR": "/elsewhere"})
    secrets = configuration["secrets"]
    assert all(secret["file"].startswith("/elsewhere/") for secret in secrets.values())
    used = {
        secret["source"] if isinstance(secret, dict) else secret
        for service in configuration["services"].values()
        for secret in service.get("secrets", [])
    }
    assert used == set(secrets)


def test_only_the_applications_are_published_and_only_here(services: dict[str, Any]) -> None:
    """8000 and 8001 are published on 127.0.0.1; MariaDB, Redis and the WireGuard port are not published at all."""
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert published == {"wireguard-web": ["127.0.0.1:8000:8000"], "services": ["127.0.0.1:8001:8001"]}


def test_web_lives_in_its_gateways_namespace(services: dict[str, Any]) -> None:
    """The web container has no network of its own, starts after the tunnel, and follows a gateway created anew."""
    assert services["web"]["network_mode"] == "service:wireguard-web"
    assert "networks" not in services["web"]
    assert services["web"]["depends_on"]["wireguard-web"] == {"condition": "service_healthy", "restart": True}
    assert [name for name in SERVICES if "network_mode" in services[name]] == ["web"]


def test_web_knows_no_address_behind_the_tunnel(services: dict[str, Any]) -> None:
    """The web container and its gateway are given 10.100.0.11, never an address or a name of services-net."""
    for name in ("web", "wireguard-web"):
        values = " ".join(map(str, services[name]["environment"].values()))
        assert "10.101." not in values
        assert not re.search(r"mariadb|@?redis:", values.replace("redis://", ""))
    assert set(services["wireguard-web"]["networks"]) == {"tunnel-net"}


def test_backends_are_on_services_net_only(services: dict[str, Any]) -> None:
    """Nothing but the two gateways is on the underlay, and only the services gateway is on both networks."""
    assert {name: set(services[name]["networks"]) for name in SERVICES if name != "web"} == {
        "wireguard-services": {"services-net", "tunnel-net"},
        "wireguard-web": {"tunnel-net"},
        "mariadb": {"services-net"},
        "redis": {"services-net"},
        "services": {"services-net"},
        "celery": {"services-net"},
    }


def test_static_addresses_are_outside_the_dynamic_range(render: Render) -> None:
    """Docker hands out addresses from .128 on, and all fixed ones are below, so that none is taken twice."""
    configuration = render()
    for network in configuration["networks"].values():
        (pool,) = network["ipam"]["config"]
        assert pool["ip_range"].endswith(".128/25")
    fixed = [
        network["ipv4_address"]
        for service in configuration["services"].values()
        for network in service.get("networks", {}).values()
    ]
    assert len(set(fixed)) == len(fixed) == 7
    assert all(int(address.rpartition(".")[2]) < 128 for address in fixed)


@pytest.mark.parametrize("name", APPS)
def test_the_database_is_named_by_the_standard_variables(services: dict[str, Any], name: str) -> None:
    """The applications get DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD_FILE, and no DB_ variable."""
    environment = services[name]["environment"]
    assert {variable for variable in environment if variable.startswith("DATABASE_")} == {
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_NAME",
        "DATABASE_USER",
        "DATABASE_PASSWORD_FILE",
    }
    assert not [variable for variable in environment if variable.startswith("DB_")]
    assert environment["DATABASE_PORT"] == "3306"
    assert environment["DATABASE_PASSWORD_FILE"] == "/run/secrets/db_password"


def test_the_database_settings_agree_with_the_database(render: Render) -> None:
    """`DB_NAME` and `DB_USER` reach MariaDB and all three applications alike."""
    services = render({"DB_NAME": "shop", "DB_USER": "clerk"})["services"]
    assert services["mariadb"]["environment"]["MARIADB_DATABASE"] == "shop"
    assert services["mariadb"]["environment"]["MARIADB_USER"] == "clerk"
    for name in APPS:
        assert services[name]["environment"]["DATABASE_NAME"] == "shop"
        assert services[name]["environment"]["DATABASE_USER"] == "clerk"


def test_exactly_one_side_initiates(services: dict[str, Any]) -> None:
    """Only web's gateway has an endpoint and a keepalive; were both to initiate, handshakes could cross."""
    initiators = [name for name in GATEWAYS if "WG_PEER_ENDPOINT" in services[name]["environment"]]
    keepalives = [name for name in GATEWAYS if "WG_PERSISTENT_KEEPALIVE" in services[name]["environment"]]
    assert initiators == keepalives == ["wireguard-web"]


def test_each_gateway_lets_in_exactly_the_other(services: dict[str, Any]) -> None:
    """The allowed IPs of each end are the other end's address, and nothing wider."""
    web, other = services["wireguard-web"]["environment"], services["wireguard-services"]["environment"]
    assert web["WG_PEER_ALLOWED_IPS"] == "10.100.0.11/32"
    assert other["WG_PEER_ALLOWED_IPS"] == "10.100.0.10/32"
    assert "WG_FORWARD_PORTS" not in web
    assert services["wireguard-services"]["sysctls"] == {"net.ipv4.ip_forward": 1}
    assert "sysctls" not in services["wireguard-web"]


@pytest.mark.parametrize(
    ("variable", "users"),
    [
        ("WIREGUARD_IMAGE", {"wireguard-services", "wireguard-web"}),
        ("MARIADB_IMAGE", {"mariadb"}),
        ("REDIS_IMAGE", {"redis"}),
        ("WEB_IMAGE", {"web"}),
        ("SERVICES_IMAGE", {"services", "celery"}),
    ],
)
def test_any_image_can_be_replaced(render: Render, variable: str, users: set[str]) -> None:
    """Each image variable replaces the image of its services and of no other."""
    services = render({variable: "example/own:1"})["services"]
    assert {name for name in services if services[name]["image"] == "example/own:1"} == users


def test_every_default_image_is_built_here(services: dict[str, Any]) -> None:
    """Without a variable no image comes from a registry."""
    assert all(re.fullmatch(r"wireguard-harness/\w+:local", service["image"]) for service in services.values())
