from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import compose, images, witness
from harness.addresses import AddressPlan
from harness.ownership import Run

from .conftest import Render

IMAGES = {"wireguard-harness/app:local": "sha256:1", "wireguard-harness/redis:local": "sha256:2"}


@pytest.fixture
def labels() -> dict[str, str]:
    return Run.start(0, Path("/state")).labels()


@pytest.mark.parametrize("index", [0, 3])
def test_everything_bears_the_runs_labels(render: Render, labels: dict[str, str], index: int) -> None:
    """Every service, network and volume of the file, and every probe that is added, can be found by the run's label."""
    plan = AddressPlan(index=index)
    configuration = render(plan.environment())
    added = compose.override(configuration, plan, labels)
    assert set(added["services"]) == {*configuration["services"], "probe-web", "probe-services"}
    for kind in ("networks", "volumes"):
        assert set(added[kind]) == set(configuration[kind]) != set()
    for kind in ("services", "networks", "volumes"):
        assert all(definition["labels"] == labels for definition in added[kind].values())


def test_probes_stand_where_web_and_services_stand(render: Render, labels: dict[str, str]) -> None:
    """One probe is in the namespace of web's gateway and relays through the tunnel, the other in services' directly."""
    plan = AddressPlan(index=3)
    added = compose.override(render(plan.environment()), plan, labels)["services"]
    assert added["probe-web"]["network_mode"] == "service:wireguard-web"
    assert added["probe-services"]["network_mode"] == "service:services"
    assert added["probe-web"]["environment"]["RELAYS"] == "13306:10.100.0.11:3306 16379:10.100.0.11:6379"
    assert added["probe-services"]["environment"]["RELAYS"] == "13306:10.101.3.2:3306 16379:10.101.3.4:6379"
    assert added["probe-web"]["container_name"] == "plan3-probe-web"


def test_relays_are_published_on_loopback_only(render: Render, plan: AddressPlan, labels: dict[str, str]) -> None:
    """The probes' ports get free ports of 127.0.0.1, on the containers that own the namespaces, and nowhere else."""
    added = compose.override(render(), plan, labels)["services"]
    ports = {name: service["ports"] for name, service in added.items() if "ports" in service}
    assert ports == {name: ["127.0.0.1::13306", "127.0.0.1::16379"] for name in ("wireguard-web", "services")}


def test_probes_are_as_confined_as_the_rest(render: Render, plan: AddressPlan, labels: dict[str, str]) -> None:
    """A probe may capture packets, and beyond that no more than any other service."""
    added = compose.override(render(), plan, labels)["services"]
    for name in ("probe-web", "probe-services"):
        assert added[name]["cap_drop"] == ["ALL"]
        assert added[name]["cap_add"] == ["NET_RAW"]
        assert added[name]["read_only"] is True
        assert added[name]["init"] is True
        assert added[name]["healthcheck"]["test"]


def test_the_override_adds_nothing_to_the_deployment_itself(
    render: Render, plan: AddressPlan, labels: dict[str, str]
) -> None:
    """What is tested is what is deployed: to the file's own services only labels and relay ports are added.

    And they are said to be looked at later for the first time, because the harness looks by itself until then.
    """
    configuration = render()
    added = compose.override(configuration, plan, labels)
    for name in configuration["services"]:
        assert set(added["services"][name]) <= {"labels", "ports", "healthcheck"}
        assert added["services"][name]["healthcheck"] == {"start_interval": "3s"}
    for kind in ("networks", "volumes"):
        assert all(set(definition) == {"labels"} for definition in added[kind].values())


@pytest.mark.usefixtures("compose_cli")
def test_compose_accepts_the_override(tmp_path: Path, plan: AddressPlan, labels: dict[str, str]) -> None:
    """The override that is written is laid over the files by compose itself: labels, probes and both sorts of ports."""
    configuration = compose.project(plan, tmp_path).configuration()
    overlay = tmp_path / "override.json"
    compose.write_override(overlay, compose.override(configuration, plan, labels))
    merged = compose.project(plan, tmp_path, overlays=(overlay,)).configuration()
    assert {name for name, service in merged["services"].items() if labels.items() <= service["labels"].items()} == {
        *configuration["services"],
        "probe-web",
        "probe-services",
    }
    ports = merged["services"]["wireguard-web"]["ports"]
    assert {(port["host_ip"], port["target"]) for port in ports} == {
        ("127.0.0.1", 8000),
        ("127.0.0.1", 13306),
        ("127.0.0.1", 16379),
    }
    assert merged["services"]["web"]["network_mode"] == "service:wireguard-web"


@pytest.mark.usefixtures("compose_cli")
def test_an_overlay_changes_only_its_own_project(tmp_path: Path, plan: AddressPlan) -> None:
    """An overlay laid over a project is seen in the new one; the one it came from stays as it was."""
    overlay = tmp_path / "overlay.json"
    compose.write_override(overlay, {"services": {"web": {"environment": {"DATABASE_HOST": "192.0.2.1"}}}})
    before = compose.project(plan, tmp_path)
    changed = before.with_overlay(overlay)
    hosts = [
        project.configuration()["services"]["web"]["environment"]["DATABASE_HOST"] for project in (changed, before)
    ]
    assert hosts == ["192.0.2.1", "10.100.0.11"]


@pytest.mark.usefixtures("compose_cli")
def test_secrets_are_taken_from_the_deployments_state(tmp_path: Path, plan: AddressPlan) -> None:
    """Each deployment's secrets are in its own state directory."""
    configuration = compose.project(plan, tmp_path).configuration()
    files = {Path(secret["file"]).parent for secret in configuration["secrets"].values()}
    assert files == {compose.secrets_directory(tmp_path)} == {tmp_path / "secrets"}


def made_of(plan: AddressPlan, state: Path, *overlays: Path) -> str:
    return compose.fingerprint(compose.project(plan, state, overlays=overlays), IMAGES)


def test_where_the_secrets_lie_does_not_change_the_fingerprint(
    tmp_path: Path, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of the same files have one fingerprint, although each has secrets and an environment of its own."""
    one = made_of(plan, tmp_path / "one")
    monkeypatch.setenv("NOT_IN_ANY_FILE", "1")
    assert made_of(plan, tmp_path / "two") == one


@pytest.mark.parametrize("name", ["WG_MTU", "WEB_IMAGE", "SECRETS_UID", "COMPOSE_PROFILES"])
def test_a_variable_that_a_file_names_changes_the_fingerprint(
    tmp_path: Path, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A deployment that is up is not taken for one with other settings."""
    monkeypatch.delenv(name, raising=False)
    before = made_of(plan, tmp_path)
    monkeypatch.setenv(name, "1380")
    assert made_of(plan, tmp_path) != before


def test_any_change_of_the_files_or_the_plan_changes_the_fingerprint(tmp_path: Path, plan: AddressPlan) -> None:
    """A deployment that is up is not taken for one made of other files, nor for another plan's."""
    overlay = tmp_path / "overlay.yml"
    overlay.write_text("services: {web: {mem_limit: 1g}}", encoding="utf-8")
    before = made_of(plan, tmp_path, overlay)
    overlay.write_text("services: {web: {mem_limit: 2g}}", encoding="utf-8")
    assert len({before, made_of(plan, tmp_path, overlay), made_of(plan, tmp_path)}) == 3
    assert made_of(AddressPlan(index=plan.index + 1), tmp_path, overlay) != made_of(plan, tmp_path, overlay)


def test_another_image_changes_the_fingerprint(tmp_path: Path, plan: AddressPlan) -> None:
    """The same reference with another image behind it is another deployment; the order of the images is none."""
    project = compose.project(plan, tmp_path)
    before = compose.fingerprint(project, IMAGES)
    assert compose.fingerprint(project, IMAGES | {"wireguard-harness/redis:local": "sha256:3"}) != before
    assert compose.fingerprint(project, dict(reversed(IMAGES.items()))) == before


def test_every_image_that_is_built_has_a_source() -> None:
    """`images.yml` builds what can be replaced, the probe and the server, each from a folder of its own."""
    built = yaml.safe_load((images.COMPOSE / "images.yml").read_text(encoding="utf-8"))["services"]
    assert set(built) == {*images.REPLACEABLE.values(), *images.MONITORING.values(), "probe", "server"}
    for name, definition in built.items():
        assert definition["image"] == images.local(name)
        assert (images.COMPOSE / definition["build"]["context"] / "Dockerfile").is_file()
        assert f"${{{name.upper()}_SOURCE" in json.dumps(definition["build"]["labels"])


def test_the_docker_command_is_told_the_project(plan: AddressPlan, tmp_path: Path) -> None:
    """Every compose command names the project, so that two plans never meet in one."""
    argv = compose.project(plan, tmp_path).compose_command_property
    assert argv[argv.index("--project-name") + 1] == "wireguard-dev"
    assert Path(argv[0]).name == Path(shutil.which("docker") or "docker").name


def test_what_is_handed_to_servers_beside_the_file_changes_the_fingerprint(plan: AddressPlan, tmp_path: Path) -> None:
    """A playbook or nginx's configuration is what a deployment is made of; what a run leaves beside it is not."""
    folder = tmp_path / "ansible"
    (folder / "roles").mkdir(parents=True)
    (folder / "roles" / "deploy.yml").write_text("- name: one\n", encoding="utf-8")
    project = replace(compose.project(plan, tmp_path), folders=(folder,))
    before = compose.fingerprint(project, {})
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "made.pyc").write_bytes(b"\0")
    assert compose.fingerprint(project, {}) == before
    (folder / "roles" / "deploy.yml").write_text("- name: two\n", encoding="utf-8")
    assert compose.fingerprint(project, {}) != before


def test_production_is_made_of_what_deploys_it_too(tmp_path: Path) -> None:
    """Nginx's configuration and the playbooks are no part of the compose file."""
    names = {folder.name for folder in compose.project(AddressPlan.of("prod", 0), tmp_path).folders}
    assert names == {"nginx", "ansible"}


@pytest.mark.skipif(shutil.which("docker") is None, reason="compose is not here")
def test_a_configuration_is_told_to_nobody(plan: AddressPlan, tmp_path: Path) -> None:
    """Somebody's own may have passwords in it, which no report knows of."""
    file = tmp_path / "compose.yml"
    file.write_text("services: {db: {image: a, environment: {PASSWORD: canary}}}\n", encoding="utf-8")
    project = replace(compose.project(plan, tmp_path), compose_file_name=[str(file)])
    heard: list[str] = []
    with witness.listening(lambda asked, answered: heard.append(f"{asked} {answered}")):
        assert project.configuration()["services"]["db"]["environment"] == {"PASSWORD": "canary"}
    assert heard == []


SECRET = {"source": "password", "target": "/run/secrets/password"}


def configured(**service: Any) -> dict[str, Any]:
    """A configuration, as `docker compose config` prints it, of one service that has a secret."""
    web = {"image": "app:1", "secrets": [SECRET], **service}
    return {"services": {"web": web}, "secrets": {"password": {"file": "/secrets/password"}}}


def test_a_service_is_the_same_with_the_same_secrets() -> None:
    """Neither another setting nor another file of a secret that it uses goes unnoticed; one of others' does."""
    one = configured()
    assert compose.is_same("web", one, configured())
    assert not compose.is_same("web", one, configured(image="app:2"))
    assert not compose.is_same("web", one, one | {"secrets": {"password": {"file": "/elsewhere"}}})
    assert compose.is_same("web", one, one | {"secrets": one["secrets"] | {"other": {"file": "/other"}}})


@pytest.mark.parametrize(
    ("configuration", "repeatable"),
    [
        (configured(), True),
        (configured(secrets=None), True),
        (configured() | {"secrets": {"password": {"environment": "PASSWORD"}}}, False),
        (configured(configs=[{"source": "page"}]) | {"configs": {"page": {"content": "text"}}}, False),
        (configured(post_start=[{"command": ["touch", "started"]}]), False),
        (configured(networks={"default": {"mac_address": "02:42:ac:11:00:02"}}), False),
        (configured(networks={"default": None}), True),
    ],
    ids=["files", "none", "secret of the environment", "configuration of text", "hook", "link address", "network"],
)
def test_what_compose_puts_into_a_container_the_engine_does_not_tell(
    configuration: dict[str, Any], plan: AddressPlan, tmp_path: Path, *, repeatable: bool
) -> None:
    """Such a container is made anew by compose; one of which the engine tells all needs no compose."""
    project = compose.project(plan, tmp_path)
    project.__dict__["base"] = configuration
    assert project.repeatable(["web"]) is repeatable
