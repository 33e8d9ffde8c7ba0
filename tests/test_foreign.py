from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import applicability, configured, foreign_bringup, rolemap
from harness.applicability import Allowance, Claim
from harness.errors import ConfigurationError, DeploymentError
from harness.foreign.plan import ForeignPlan, planned

from .warehouse import EXAMPLE, merged


@pytest.fixture
def configuration(compose_cli: None, tmp_path: Path) -> dict[str, Any]:  # noqa: ARG001 (skips without it)
    """The example's files, as compose merges them."""
    return merged(tmp_path)


def plan(configuration: dict[str, Any]) -> ForeignPlan:
    """What the example takes of its host."""
    files = (EXAMPLE / "compose.yml",)
    return planned(configuration, files, None, rolemap.read([str(EXAMPLE / "harness.toml")]))


def test_a_plan_is_what_the_files_say(configuration: dict[str, Any]) -> None:
    """Subnets and ports are the files' own; the project is another one than the real deployment's."""
    found = plan(configuration)
    assert found.project == "warehouse-under-test"
    assert {name: str(subnet) for name, subnet in found.networks.items()} == {
        "depot": "10.44.5.0/24",
        "transit": "192.168.77.0/24",
    }
    assert found.host_ports == (8800,)
    assert found.index > 99, "no plan of this project's own layouts"
    assert found.index == plan(configuration).index, "two runs of one deployment meet at one lease"


def test_a_subnet_may_be_said_in_other_words(configuration: dict[str, Any]) -> None:
    """Any address of a network names it, and so does a mask in place of a length."""
    for subnet in ("10.44.5.9/24", "10.44.5.0/255.255.255.0"):
        configuration["networks"]["depot"]["ipam"]["config"] = [{"subnet": subnet}]
        assert str(plan(configuration).networks["depot"]) == "10.44.5.0/24"


def test_a_subnet_that_is_none_is_refused(configuration: dict[str, Any]) -> None:
    """The run is refused in one sentence, as the doctor refuses the same files."""
    configuration["networks"]["depot"]["ipam"]["config"] = [{"subnet": "10.44.5.0/99"}]
    with pytest.raises(ConfigurationError, match="network depot has a subnet that is none"):
        plan(configuration)


def test_nobody_knows_where_anything_is_before_it_runs(configuration: dict[str, Any]) -> None:
    """An address is read from what runs, and from nothing else."""
    with pytest.raises(DeploymentError, match="warehouse does not run yet"):
        _ = plan(configuration).mariadb


@pytest.mark.parametrize(
    ("kind", "definition"),
    [
        ("volumes", {"name": "production-data"}),
        ("volumes", {"external": True, "name": "x"}),
        ("networks", {"name": "n"}),
    ],
)
def test_what_the_real_deployment_uses_is_not_touched(
    configuration: dict[str, Any], kind: str, definition: dict[str, Any]
) -> None:
    """A volume or network with a name of its own would be the real one's: the run is refused before it begins."""
    name = "ledger" if kind == "volumes" else "depot"
    configuration[kind][name] = configuration[kind][name] | definition
    with pytest.raises(ConfigurationError, match=f"{kind[:-1]} {name} is .* outside of the project"):
        plan(configuration)


@pytest.mark.parametrize(
    ("kind", "definition"),
    [
        ("services", {"volumes": [{"type": "bind", "source": "/srv/data", "target": "/var/lib/mysql"}]}),
        ("volumes", {"driver_opts": {"type": "none", "o": "bind", "device": "/srv/data"}}),
    ],
)
def test_a_folder_that_the_real_deployment_may_use_is_not_written_to(
    configuration: dict[str, Any], kind: str, definition: dict[str, Any]
) -> None:
    """A copy would share it: who writes to it is named, and the folder."""
    name = "ledger"
    configuration[kind][name] = configuration[kind][name] | definition
    with pytest.raises(ConfigurationError, match=f"{name} writes to /srv/data"):
        plan(configuration)


def test_a_folder_that_is_only_read_may_be_shared(configuration: dict[str, Any]) -> None:
    """The example's own gateways have their configuration that way."""
    mounts = [mount for each in configuration["services"].values() for mount in each.get("volumes", [])]
    assert any(mount["type"] == "bind" and mount.get("read_only") for mount in mounts)
    assert plan(configuration).name


def test_a_job_plays_no_part(configuration: dict[str, Any]) -> None:
    """What comes to its end cannot be tested: which it is, who waits for it, and the part are said before it begins."""
    assert plan(configuration).name, "a job besides the parts is none's business"
    configuration["services"]["shop"]["depends_on"]["stock"] = {"condition": "service_completed_successfully"}
    with pytest.raises(ConfigurationError, match=r"stock is a job .* for which shop waits, .* the part of services"):
        plan(configuration)


def test_a_part_that_nobody_plays_is_named(configuration: dict[str, Any]) -> None:
    """Without a map no service has the documented names."""
    with pytest.raises(ConfigurationError, match="--map wireguard-services=SERVICE, services are: cache, ledger"):
        planned(configuration, (Path("compose.yml"),), None, rolemap.read([]))


def test_a_part_in_a_profile_that_is_off_is_named(
    compose_cli: None,  # noqa: ARG001 (skips without it)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compose would start all but that one; with its profile on it is a part like any other."""
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    merged(tmp_path)
    own = tmp_path / "own.yml"
    own.write_text("services: {stock: {profiles: [remote]}, extra: {image: x, profiles: [more]}}", encoding="utf-8")
    whole = [EXAMPLE / "compose.yml", own]
    environment, mapped = tmp_path / "its.env", rolemap.read([str(EXAMPLE / "harness.toml")])
    with pytest.raises(ConfigurationError, match=r"stock, which plays the part of services, .* remote, .* COMPOSE_PR"):
        configured.started(whole, environment, mapped)
    monkeypatch.setenv("COMPOSE_PROFILES", "remote")
    services = configured.started(whole, environment, mapped)["services"]
    assert "stock" in services
    assert "extra" not in services, "what is not started is not planned for either"


@pytest.mark.parametrize("setting", ["DATABASE_USER", "DATABASE_NAME"])
def test_an_application_that_is_not_told_how_to_log_in_is_named(configuration: dict[str, Any], setting: str) -> None:
    """The clients log in as it does; what its image says counts as much as what the files say."""
    environment = configuration["services"]["stock"]["environment"]
    del environment["LEDGER_URL"]
    environment |= {"LEDGER_HOST": "ledger", "LEDGER_LOGIN": "clerk", "LEDGER_SCHEMA": "warehouse"}
    given = {"DATABASE_USER": "LEDGER_LOGIN", "DATABASE_NAME": "LEDGER_SCHEMA"}[setting]
    value = environment.pop(given)
    found = plan(configuration)
    with pytest.raises(ConfigurationError, match=rf"^stock is not told .* \[settings\] has to give {setting}$"):
        foreign_bringup.require_told(engine_with(None), found, configuration)
    foreign_bringup.require_told(engine_with([f"{given}={value}"]), found, configuration)


def engine_with(variables: list[str] | None) -> Any:
    """An engine whose images have these variables; Docker says null for none."""
    image = SimpleNamespace(attrs={"Config": {"Env": variables}})
    return SimpleNamespace(client=SimpleNamespace(images=SimpleNamespace(get=lambda _reference: image)))


@pytest.mark.parametrize(
    ("claim", "allowed", "reason"),
    [
        (Claim(fixtures=("deployment",), layouts=None, ours=None), Allowance(faults=False, writes=False), None),
        (Claim(fixtures=(), layouts=("dev",), ours=None), Allowance(faults=True, writes=True), "own layouts"),
        (Claim(fixtures=(), layouts=("dev", "yours"), ours=None), Allowance(faults=False, writes=False), None),
        (Claim(fixtures=(), layouts=None, ours="application"), Allowance(faults=True, writes=True), "has: application"),
        (
            Claim(fixtures=("experiment",), layouts=None, ours=None),
            Allowance(faults=False, writes=True),
            "--allow-faults",
        ),
        (Claim(fixtures=("experiment",), layouts=None, ours=None), Allowance(faults=True, writes=True), None),
        (
            Claim(fixtures=("scratch",), layouts=None, ours=None),
            Allowance(faults=False, writes=False),
            "in a copy alone",
        ),
        (Claim(fixtures=("scratch",), layouts=None, ours=None), Allowance(faults=False, writes=True), None),
    ],
)
def test_a_scenario_is_left_out_for_a_reason(claim: Claim, allowed: Allowance, reason: str | None) -> None:
    """What only this project has, what breaks things, and what writes: each is left out where it is not wanted."""
    found = applicability.left_out(claim, allowed)
    assert found is None if reason is None else reason in str(found)


def test_what_was_left_out_is_counted() -> None:
    """A line for each reason."""
    assert list(applicability.summary(["b", "a", "b"])) == ["1 left out: a", "2 left out: b"]
