"""`doctor --compose FILE --like FILE`: what two layouts say differently, by the real files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import cli, configured
from harness.diagnosis import deliberate, drift
from harness.diagnosis.judgement import judge
from harness.model import Finding, Severity

from .conftest import ROOT

DEV = ROOT / "compose" / "docker-compose.yml"
PROD = ROOT / "compose" / "docker-compose.prod.yml"

Services = dict[str, Any]
Edit = Callable[[Services], object]

pytestmark = pytest.mark.usefixtures("compose_cli")


def drifted(edit: Edit = lambda _services: None) -> tuple[Finding, ...]:
    """What prod has drifted from dev in, after a change of prod's services."""
    configuration = copy.deepcopy(_read(PROD))
    edit(configuration["services"])
    return drift.findings(configured.side("prod", configuration), configured.side("dev", _read(DEV)))


@cache
def _read(file: Path) -> dict[str, Any]:
    return configured.read([file], None)


def setting(service: str, name: str, value: str) -> Edit:
    """A setting with this value."""
    return lambda services: services[service]["environment"].update({name: value})


def without(service: str, *names: str) -> Edit:
    """Settings that are gone."""
    return lambda services: [services[service]["environment"].pop(name) for name in names]


def told(service: str, key: str, value: object) -> Edit:
    """A key of a service with this value."""
    return lambda services: services[service].update({key: value})


def key_file(services: Services) -> None:
    """The services gateway's private key is made of another file."""
    services["wireguard-services"]["secrets"][0]["source"] = "web_private_key"


FORWARDS = "WG_FORWARD_PORTS"
REACH: dict[str, tuple[str, Edit, str]] = {
    "a port less is forwarded": (
        "wireguard-services",
        setting("wireguard-services", FORWARDS, "3306:tcp:10.101.0.2 6379:tcp:10.101.0.4"),
        "the forwards",
    ),
    "a port more is forwarded": (
        "wireguard-services",
        lambda services: services["wireguard-services"]["environment"].update(
            {FORWARDS: services["wireguard-services"]["environment"][FORWARDS] + " 22:tcp:10.101.0.4"}
        ),
        "the forwards",
    ),
    "another protocol": (
        "wireguard-services",
        setting("wireguard-services", FORWARDS, "3306:udp:10.101.0.2 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5"),
        "the forwards",
    ),
    "Redis's port leads to services": (
        "wireguard-services",
        setting("wireguard-services", FORWARDS, "3306:tcp:10.101.0.2 6379:tcp:10.101.0.5 8001:tcp:10.101.0.5"),
        "the forwards",
    ),
    "an entry is malformed": (
        "wireguard-services",
        setting("wireguard-services", FORWARDS, "3306 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5"),
        "the forwards",
    ),
    "no forwards at all": (
        "wireguard-services",
        without("wireguard-services", FORWARDS),
        "the setting WG_FORWARD_PORTS",
    ),
    "another tunnel address": ("wireguard-web", setting("wireguard-web", "WG_ADDRESS", "10.100.0.12/24"), "WG_ADDRESS"),
    "more is allowed": (
        "wireguard-web",
        setting("wireguard-web", "WG_PEER_ALLOWED_IPS", "10.100.0.0/24"),
        "WG_PEER_ALLOWED_IPS",
    ),
    "no endpoint": ("wireguard-web", without("wireguard-web", "WG_PEER_ENDPOINT"), "the setting WG_PEER_ENDPOINT"),
    "no database host": ("celery", without("celery", "DATABASE_HOST"), "the setting DATABASE_HOST"),
    "no broker": ("celery", without("celery", "REDIS_URL"), "the setting CELERY_BROKER_URL"),
    "web dials another address": (
        "web",
        setting("web", "DATABASE_HOST", "10.100.0.12"),
        "the way to the database",
    ),
    "another port": ("services", setting("services", "DATABASE_PORT", "3307"), "the way to the database"),
    "another database": (
        "web",
        setting("web", "REDIS_URL", "redis://10.100.0.11:6379/1"),
        "the way to the broker",
    ),
    "the broker past its name": (
        "services",
        setting("services", "REDIS_URL", "redis://10.101.0.6:6379/0"),
        "the way to the broker",
    ),
    "web out of its gateway": (
        "web",
        lambda services: services["web"].update(network_mode=None, networks={"wireguard": None}),
        "the network namespace",
    ),
    "forwarding is off": (
        "wireguard-services",
        told("wireguard-services", "sysctls", {"net.ipv4.ip_forward": "0"}),
        "the sysctls",
    ),
    "no celery": ("celery", lambda services: services.pop("celery"), "the existence"),
    "a second database": (
        "postgres",
        lambda services: services.update(postgres={"image": "postgres:17"}),
        "the existence",
    ),
    "another key file": ("wireguard-services", key_file, "the secret wg_private_key"),
}
LOOKS: dict[str, tuple[str, Edit, str]] = {
    "a setting less": ("web", without("web", "DATABASE_NAME"), "the setting DATABASE_NAME"),
    "a setting more": ("celery", setting("celery", "CELERY_PREFETCH", "1"), "the setting CELERY_PREFETCH"),
    "a secret elsewhere": (
        "web",
        setting("web", "DATABASE_PASSWORD_FILE", "/run/secrets/password"),
        "DATABASE_PASSWORD_FILE",
    ),
    "another MTU": ("wireguard-web", setting("wireguard-web", "WG_MTU", "1280"), "WG_MTU"),
    "another image": ("celery", told("celery", "image", "registry.example/site/worker:1"), "the image"),
    "writable": ("redis", told("redis", "read_only", value=False), "read_only"),
    "capabilities kept": ("web", told("web", "cap_drop", []), "cap_drop"),
    "a capability more": ("wireguard-web", told("wireguard-web", "cap_add", ["NET_ADMIN", "NET_RAW"]), "cap_add"),
    "privileged": ("wireguard-web", told("wireguard-web", "privileged", value=True), "privileged"),
    "new privileges": ("services", told("services", "security_opt", None), "security_opt"),
    "root": ("services", told("services", "user", "0:0"), "user"),
    "more memory": ("redis", told("redis", "mem_limit", "536870912"), "mem_limit"),
    "no restart": ("celery", told("celery", "restart", "no"), "restart"),
    "no init": ("celery", told("celery", "init", None), "init"),
    "unbounded logs": ("celery", told("celery", "logging", None), "logging"),
    "no health check": ("web", told("web", "healthcheck", None), "the health check"),
    "a health check that is off": ("web", told("web", "healthcheck", {"disable": True}), "the health check"),
    "another health check": (
        "web",
        lambda services: services["web"]["healthcheck"].update(test=["CMD", "true"]),
        "the health check's test",
    ),
    "a patient health check": (
        "redis",
        lambda services: services["redis"]["healthcheck"].update(interval="1h"),
        "the health check's interval",
    ),
    "no secret": ("celery", told("celery", "secrets", []), "the secret"),
    "no exporter": ("exporter-web", lambda services: services.pop("exporter-web"), "the existence"),
}


@pytest.mark.parametrize("change", REACH)
def test_what_changes_what_is_reached_is_an_error(change: str) -> None:
    """Forwards, ways, namespaces, the tunnel's addresses and keys: an error, with what each file says."""
    service, edit, what = REACH[change]
    errors = [finding for finding in drifted(edit) if finding.severity is Severity.ERROR]
    assert {finding.node for finding in errors} == {service}
    assert any(what in finding.cause for finding in errors), errors
    assert all([line.partition(":")[0] for line in finding.evidence] == ["prod", "dev"] for finding in errors)


@pytest.mark.parametrize("change", LOOKS)
def test_whatever_else_differs_is_a_warning(change: str) -> None:
    """Names, images, hardening, health checks, secrets' files: named, and nothing is called broken."""
    service, edit, what = LOOKS[change]
    found = drifted(edit)
    assert {(finding.node, finding.severity) for finding in found} == {(service, Severity.WARNING)}
    assert all(what in finding.cause for finding in found)


FINE: dict[str, Edit] = {
    "nothing": lambda _services: None,
    "the database is elsewhere": lambda services: [
        services["wireguard-services"]["environment"].update(
            {FORWARDS: "3306:tcp:192.0.2.7 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5"}
        ),
        *(services[name]["environment"].update(DATABASE_HOST="192.0.2.7") for name in ("services", "celery")),
    ],
    "images from elsewhere": lambda services: [
        services[name].update(image="registry.example:5000/site/app:2026.11@sha256:0") for name in ("web", "celery")
    ],
    "the forwards in another order": setting(
        "wireguard-services", FORWARDS, "8001:tcp:10.101.0.5 6379:tcp:10.101.0.4 3306:tcp:10.101.0.2"
    ),
    "the broker by its other name": lambda services: services["web"]["environment"].update(
        CELERY_BROKER_URL=services["web"]["environment"].pop("REDIS_URL")
    ),
    "the broker by its address": setting("celery", "REDIS_URL", "redis://10.101.0.4:6379"),
    "a published port": told("web", "ports", [{"target": 8000, "published": "8000", "host_ip": "127.0.0.1"}]),
}


@pytest.mark.parametrize("change", FINE)
def test_what_is_each_deployments_own_is_no_drift(change: str) -> None:
    """As they are committed the layouts agree; addresses, registries and versions are their own."""
    assert drifted(FINE[change]) == ()


@pytest.mark.parametrize("table", ["SERVICES", "SETTINGS", "SECRETS", "HEALTH_CHECKS", "SAME_SETTING"])
def test_nothing_is_passed_over_that_does_not_differ(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry of the tables has something to excuse, and says why: without it there is drift."""
    entries: dict[str, str] = getattr(deliberate, table)
    for name, reason in entries.items():
        assert reason.strip()
        monkeypatch.setattr(deliberate, table, {key: value for key, value in entries.items() if key != name})
        assert drifted(), f"{table} has {name}, in which the layouts do not differ"


def test_either_file_may_be_the_one_that_is_judged() -> None:
    """What prod has and dev has not is found from both sides."""
    configuration = copy.deepcopy(_read(DEV))
    del configuration["services"]["celery"]["environment"]["DATABASE_HOST"]
    found = drift.findings(configured.side("dev", configuration), configured.side("prod", _read(PROD)))
    assert [(finding.node, finding.severity) for finding in found] == [("celery", Severity.ERROR)]


def test_no_secret_is_shown() -> None:
    """A password in a URL or a setting differs, and is not in what is said of it."""
    for edit in (
        setting("web", "REDIS_URL", "redis://:hunter2-hunter2@10.100.0.11:6380/0"),
        setting("web", "DATABASE_PASSWORD", "hunter2-hunter2"),
    ):
        found = drifted(edit)
        assert found
        assert "hunter2" not in repr(found)


# --- the command


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    status = cli.main(["doctor", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line leaves the signals of this process alone."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)


@pytest.mark.usefixtures("command")
def test_the_committed_layouts_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """The documented command, on the files as they are: healthy, exit 0."""
    status, said, _ = doctor(capsys, "--compose", str(PROD), "--like", str(DEV))
    assert (status, said.splitlines()[0]) == (0, "healthy")


@pytest.mark.usefixtures("command")
def test_drift_is_named_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error makes the deployment faulty, exit 1; a warning alone leaves it healthy, exit 0, and is said."""
    file = tmp_path / "docker-compose.prod.yml"
    text = PROD.read_text(encoding="utf-8")
    file.write_text(text.replace("8001:tcp:10.101.0.5", "8001:udp:10.101.0.5", 1), encoding="utf-8")
    status, said, _ = doctor(capsys, "--compose", str(file), "--like", str(DEV), "--json")
    (finding,) = [each for each in json.loads(said)["findings"] if each["rule"] == drift.RULE]
    assert (status, finding["severity"], finding["node"]) == (1, "error", "wireguard-services")
    assert "8001:udp" in finding["evidence"][0]

    file.write_text(text.replace("restart: unless-stopped", "restart: always", 1), encoding="utf-8")
    status, said, _ = doctor(capsys, "--compose", str(file), "--like", str(DEV))
    assert (status, said.splitlines()[0]) == (0, "healthy, with warnings: configuration-drift")


@pytest.mark.usefixtures("command")
def test_a_file_to_compare_with_that_cannot_be_read_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a sentence, never health; and there has to be something to compare."""
    status, _, said = doctor(capsys, "--compose", str(PROD), "--like", "nothing.yml")
    assert (status, said) == (2, "unknown: there is no file nothing.yml\n")
    status, _, said = doctor(capsys, "--like", str(DEV))
    assert status == 2
    assert "--compose" in said


# --- profiles part a deployment over servers


def judged(monkeypatch: pytest.MonkeyPatch, edit: Edit = lambda _services: None, **variables: str) -> set[str]:
    """The roots of the prod layout alone."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configuration = configured.read([PROD], None)
    edit(configuration["services"])
    return set(judge(configured.snapshot(configuration)).roots)


PLACE = "203.0.113.5:51820"


def test_two_servers_share_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both call a network by one name, on which one address may be twice; it is none that joins them."""
    assert judged(monkeypatch, WG_SERVICES_ENDPOINT=PLACE) == set()
    twice = told("wireguard-web", "networks", {"wireguard": {"ipv4_address": "10.101.0.4"}})
    assert judged(monkeypatch, twice) == set()


def test_one_server_is_judged_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twins: one address twice on one server, and both sides started by one profile."""
    twice = told("celery", "networks", {"wireguard": {"ipv4_address": "10.101.0.4"}})
    assert judged(monkeypatch, twice) == {"address-duplicated"}

    def together(services: Services) -> None:
        for service in services.values():
            service["profiles"] = ["all"]

    assert judged(monkeypatch, together, WG_SERVICES_ENDPOINT="10.101.0.3:51820") == {"tunnel-bypassed"}


def test_a_name_resolves_on_its_own_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis's name is known to services; to web, on the other server, it is not."""
    by_name = setting("web", "REDIS_URL", "redis://redis:6379/0")
    assert judged(monkeypatch, by_name) == {"name-unresolvable"}


def test_the_endpoint_is_the_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an address on the server's own network, and the port as it is published there."""
    assert judged(monkeypatch, WG_SERVICES_ENDPOINT="10.101.0.3:51820") == {"endpoint-wrong"}
    assert judged(monkeypatch, WG_SERVICES_ENDPOINT=PLACE, WG_PORT="51999") == {"endpoint-wrong"}
    assert judged(monkeypatch, WG_SERVICES_ENDPOINT="203.0.113.5:51999", WG_PORT="51999") == set()


def test_a_service_without_a_profile_is_on_both_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that every server starts is beside web's gateway too."""
    assert judged(monkeypatch, lambda services: services["redis"].pop("profiles")) == {"tunnel-bypassed"}
