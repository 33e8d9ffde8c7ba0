from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from harness import compose, images, makeup
from harness.addresses import AddressPlan
from harness.engine import Engine
from harness.makeup import Changes
from harness.ownership import Run

CONFIGURATION: dict[str, Any] = {
    "name": "wireguard-dev",
    "x-app": {"user": "10001"},
    "networks": {"tunnel-net": {"ipam": {"config": [{"subnet": "172.20.0.0/16"}]}}},
    "services": {
        "web": {"image": "app:local", "environment": {"DATABASE_HOST": "10.100.0.11"}, "command": ["web"]},
        "redis": {"image": "redis:local", "environment": {}},
    },
}


class Images:
    """An engine as far as its images go."""

    def __init__(self) -> None:
        self.ids = {"app:local": "sha256:1", "redis:local": "sha256:2", images.PROBE: "sha256:3"}

    def image_ids(self, references: Iterable[str]) -> dict[str, str]:
        """The ids of those that are there."""
        return {name: self.ids[name] for name in references if name in self.ids}


@pytest.fixture
def held() -> Images:
    return Images()


@pytest.fixture
def engine(held: Images) -> Engine:
    return cast("Engine", held)


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Run:
    """A run whose deployment was made of the configuration above."""
    made = Run.start(0, tmp_path)
    made.state.mkdir()
    makeup.note(engine, made, files(made), CONFIGURATION)
    return made


def files(run: Run) -> compose.ComposeProject:
    return compose.project(AddressPlan(index=0), run.state)


def changed(**services: Any) -> dict[str, Any]:
    """The configuration with some services' definitions changed."""
    new = copy.deepcopy(CONFIGURATION)
    for name, definition in services.items():
        new["services"][name] |= definition
    return new


def test_nothing_has_changed(engine: Engine, run: Run) -> None:
    assert makeup.is_current(engine, run, files(run))
    assert makeup.changes(engine, run, CONFIGURATION) == Changes()


def test_a_service_is_named_with_what_of_it_has_changed(engine: Engine, run: Run) -> None:
    now = changed(web={"environment": {"DATABASE_HOST": "mariadb"}, "user": "0"})
    assert makeup.changes(engine, run, now) == Changes(services={"web": "environment, user"})


def test_what_is_no_longer_said_of_a_service_is_a_change(engine: Engine, run: Run) -> None:
    now = changed()
    del now["services"]["web"]["command"]
    assert makeup.changes(engine, run, now) == Changes(services={"web": "command"})


def test_a_template_is_no_change_of_its_own(engine: Engine, run: Run) -> None:
    now = changed(web={"user": "0"}) | {"x-app": {"user": "0"}}
    assert makeup.changes(engine, run, now) == Changes(services={"web": "user"})


def test_another_image_by_the_same_name_is_a_change(engine: Engine, held: Images, run: Run) -> None:
    held.ids["redis:local"] = "sha256:9"
    assert makeup.changes(engine, run, CONFIGURATION) == Changes(services={"redis": "what is in its image"})


def test_another_probe_is_a_change_of_both(engine: Engine, held: Images, run: Run) -> None:
    held.ids[images.PROBE] = "sha256:9"
    assert not makeup.is_current(engine, run, files(run))
    assert makeup.changes(engine, run, CONFIGURATION).services.keys() == {"probe-web", "probe-services"}


def test_what_all_services_share_is_told_apart(engine: Engine, run: Run) -> None:
    now = changed()
    now["networks"]["tunnel-net"]["ipam"]["config"][0]["subnet"] = "172.21.0.0/16"
    assert makeup.changes(engine, run, now) == Changes(others=("networks",))


def test_a_service_more_or_less_is_not_one_that_changed(engine: Engine, run: Run) -> None:
    now = changed()
    now["services"]["celery"] = now["services"].pop("redis")
    assert makeup.changes(engine, run, now) == Changes(others=("services",))


@pytest.mark.parametrize("left", [None, '{"finger'], ids=["gone", "half written"])
def test_where_nothing_is_known_all_has_changed(engine: Engine, run: Run, left: str | None) -> None:
    file = run.state / "made-of.json"
    file.unlink()
    if left is not None:
        file.write_text(left, encoding="utf-8")
    assert not makeup.is_current(engine, run, files(run))
    assert makeup.changes(engine, run, CONFIGURATION).others == ("services", "name", "networks")
