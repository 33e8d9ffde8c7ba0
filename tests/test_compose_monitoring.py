from __future__ import annotations

import os
from typing import Any

import pytest

from harness import command

from .conftest import ROOT, Render

EXPORTERS = {"exporter-web": "wireguard-web", "exporter-services": "wireguard-services"}
ENDPOINT = "192.0.2.1:51820"


def production(profiles: str, endpoint: str) -> tuple[set[str], str]:
    """The services that compose would run of the production file, and what it complains of."""
    argv = ["docker", "compose", "-f", "docker-compose.prod.yml", "config", "--services"]
    environment = {"COMPOSE_PROFILES": profiles, "WG_SERVICES_ENDPOINT": endpoint}
    result = command.run(argv, timeout=30, cwd=ROOT / "compose", env=environment, check=False)
    return set(result.stdout.split()), result.stderr


def test_without_the_profile_there_is_no_monitoring(render: Render) -> None:
    """The profile adds the exporters and Prometheus, and changes nothing of what is there without it."""
    without, with_it = render()["services"], render(profiles={"monitoring"})["services"]
    assert set(with_it) - set(without) == {*EXPORTERS, "prometheus"}
    assert {name: with_it[name] for name in without} == without


@pytest.mark.parametrize("name", [*EXPORTERS, "prometheus"])
def test_monitoring_has_the_least_privilege(render: Render, name: str) -> None:
    """No capability, secret, device or volume of anybody; a user without rights on a read-only root, bounded memory."""
    service = render(profiles={"monitoring"})["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["user"] == "999:999"
    assert service["mem_limit"].endswith("m")
    assert service["healthcheck"]["start_interval"].endswith("ms")
    assert not {"cap_add", "devices", "privileged", "secrets", "pid", "volumes_from"}.intersection(service)
    sources = [mount["source"] for mount in service.get("volumes", [])]
    assert sources == ([] if name in EXPORTERS else ["../monitoring/prometheus.yml", "../monitoring/alerts.yml"])
    assert all(mount["read_only"] for mount in service.get("volumes", []))


@pytest.mark.parametrize(("name", "gateway"), EXPORTERS.items())
def test_an_exporter_lives_with_its_gateway(render: Render, name: str, gateway: str) -> None:
    """It shares the gateway's namespace, follows it when it is created anew, and publishes nothing."""
    service: dict[str, Any] = render(profiles={"monitoring"})["services"][name]
    assert service["network_mode"] == f"service:{gateway}"
    assert service["depends_on"] == {gateway: {"condition": "service_started", "restart": True}}
    assert "ports" not in service


def test_prometheus_is_for_this_machine_alone(render: Render) -> None:
    assert render(profiles={"monitoring"})["services"]["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]


@pytest.mark.usefixtures("compose_cli")
@pytest.mark.parametrize(("side", "endpoint"), [("web", ENDPOINT), ("services", "")])
def test_each_server_gets_its_own_exporter(side: str, endpoint: str) -> None:
    """In production the profile adds the exporter of the gateway that the server has, and that alone."""
    without, _ = production(side, endpoint)
    with_it, said = production(f"{side},monitoring", endpoint)
    assert without, said
    assert f"wireguard-{side}" in without
    assert with_it - without == {f"exporter-{side}"}, said
    assert without - with_it == set()


@pytest.mark.usefixtures("compose_cli")
@pytest.mark.parametrize(("side", "endpoint", "other"), [("web", "", "services"), ("services", ENDPOINT, "web")])
def test_a_server_that_cannot_be_told_is_refused(side: str, endpoint: str, other: str) -> None:
    """Where WG_SERVICES_ENDPOINT is missing on web's server, or set on the other, compose names the wrong exporter."""
    found, said = production(f"{side},monitoring", endpoint)
    assert not found
    assert f'service "exporter-{other}" depends on undefined service "wireguard-{other}"' in said


@pytest.mark.usefixtures("compose_cli")
@pytest.mark.parametrize(("side", "endpoint"), [("web", ENDPOINT), ("services", "")])
def test_the_port_can_be_published(side: str, endpoint: str) -> None:
    """The overlay for a Prometheus elsewhere adds one port to the server's gateway, on the address that was chosen."""
    argv = ["docker", "compose", "-f", "docker-compose.prod.yml", "-f", "monitoring-ports.yml", "config"]
    environment = {
        "COMPOSE_PROFILES": f"{side},monitoring",
        "WG_SERVICES_ENDPOINT": endpoint,
        "METRICS_ADDRESS": "192.0.2.7",
    }
    result = command.run(argv, timeout=30, cwd=ROOT / "compose", env={**os.environ, **environment})
    assert result.stdout.count("host_ip: 192.0.2.7") == 1
    assert 'published: "9586"' in result.stdout
