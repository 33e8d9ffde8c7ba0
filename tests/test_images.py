from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import NotFound

from harness import images
from harness.engine import Engine
from harness.errors import ImageError

BUILT_HERE = {"wireguard", "mariadb", "redis", "app", "probe"}

# Stands where the docker command stands: labels what it is told to build as compose would, and notes its arguments.
DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$STORE/calls"
[ "$1 $2 $3 $4" = "compose -f $STORE/compose/images.yml build" ] || exit 1
[ ! -e "$STORE/broken" ] || { echo 'ERROR: failed to solve: process "apt-get" did not complete'; exit 17; }
shift 4
for name in "$@"; do
  variable=$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')_SOURCE
  eval "source=\\$$variable"
  echo "#7 [$name 2/4] RUN apt-get install"
  [ -e "$STORE/forgetful" ] || printf '%s' "$source" > "$STORE/$name.source"
done
"""


class Shop:
    """A project copy, an engine that knows what the stand-in for docker built, and what was said."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.compose = store / "compose"
        self.present = {"base:1": "sha256:base"}
        self.said: list[str] = []
        client = SimpleNamespace(images=SimpleNamespace(get=self._get))
        self.engine = Engine(cast("Any", client))

    def _get(self, reference: str) -> SimpleNamespace:
        if reference in self.present:
            return SimpleNamespace(id=self.present[reference], labels={})
        source = self.store / f"{reference.removeprefix('wireguard-harness/').removesuffix(':local')}.source"
        if not source.exists():
            raise NotFound(reference)
        return SimpleNamespace(id=f"sha256:{source.name}", labels={"wireguard-harness.source": source.read_text()})

    def ensure(self, layout: str = "dev") -> set[str]:
        """Run, and return what was built."""
        calls = self.store / "calls"
        calls.unlink(missing_ok=True)
        self.said.clear()
        images.ensure(self.engine, layout, self.said.append)
        return set(calls.read_text().split()[4:]) if calls.exists() else set()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shutil.copytree(
        images.COMPOSE, tmp_path / "compose", ignore=shutil.ignore_patterns("secrets", "__pycache__"), symlinks=True
    )
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER, encoding="utf-8")
    program.chmod(0o755)
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STORE", str(tmp_path))
    monkeypatch.setenv("BASE_IMAGE", "base:1")
    monkeypatch.setenv("CA_BUNDLE", str(bundle))
    monkeypatch.setattr(images, "COMPOSE", tmp_path / "compose")
    return Shop(tmp_path)


def test_all_images_are_built_once(shop: Shop) -> None:
    """A fresh machine builds every image and shows each step; the next run builds nothing and says so."""
    assert shop.ensure() == BUILT_HERE
    assert any("[app 2/4] RUN apt-get install" in line for line in shop.said)
    assert shop.ensure() == set()
    assert shop.said == ["images: up to date (app, mariadb, probe, redis, wireguard)"]


def edited(compose: Path) -> None:
    with (compose / "redis" / "Dockerfile").open("a", encoding="utf-8") as file:
        file.write("# changed\n")


def made_executable(compose: Path) -> None:
    path = compose / "redis" / "Dockerfile"
    path.chmod(path.stat().st_mode ^ 0o111)


def added(compose: Path) -> None:
    (compose / "redis" / "more.conf").touch()


def renamed(compose: Path) -> None:
    (compose / "redis" / "Dockerfile").rename(compose / "redis" / "Dockerfile.old")


@pytest.mark.parametrize("change", [edited, made_executable, added, renamed])
def test_a_changed_source_builds_its_own_image_anew(shop: Shop, change: Callable[[Path], None]) -> None:
    """Another content, mode, name or file in an image's folder builds that image anew, and no other."""
    shop.ensure()
    change(shop.compose)
    assert shop.ensure() == {"redis"}
    assert shop.ensure() == set()


def test_what_python_leaves_behind_changes_nothing(shop: Shop) -> None:
    """Compiled files are no source."""
    shop.ensure()
    (shop.compose / "app" / "website" / "__pycache__").mkdir()
    (shop.compose / "app" / "website" / "__pycache__" / "x.pyc").write_bytes(b"\0")
    (shop.compose / "redis" / "Dockerfile").touch()
    assert shop.ensure() == set()


def test_another_base_builds_all_anew(shop: Shop) -> None:
    """A base image with security fixes, under the same name, reaches every image."""
    shop.ensure()
    shop.present["base:1"] = "sha256:newer"
    assert shop.ensure() == BUILT_HERE


def test_the_way_of_building_is_a_source_too(shop: Shop) -> None:
    """A change of `images.yml` builds everything anew."""
    shop.ensure()
    with (shop.compose / "images.yml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert shop.ensure() == BUILT_HERE


def test_a_teams_own_image_is_not_built(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image from the environment is used as it is; what nobody uses any more is not built."""
    monkeypatch.setenv("REDIS_IMAGE", "redis:8")
    monkeypatch.setenv("WEB_IMAGE", "team/web:3")
    shop.present |= {"redis:8": "sha256:r", "team/web:3": "sha256:w"}
    assert images.chosen()["REDIS_IMAGE"] == "redis:8"
    assert images.chosen()["SERVICES_IMAGE"] == "wireguard-harness/app:local"
    assert shop.ensure() == BUILT_HERE - {"redis"}


def test_a_teams_image_that_cannot_be_had_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is neither here nor can be pulled is an error with the variable and the reference."""
    monkeypatch.setenv("MARIADB_IMAGE", "mariadb:11")
    with pytest.raises(ImageError, match="MARIADB_IMAGE is mariadb:11, which is neither on this engine nor can be"):
        shop.ensure()
    assert (shop.store / "calls").read_text() == "pull --quiet mariadb:11\n"


def test_a_failed_build_shows_why(shop: Shop) -> None:
    """The end of the build's output is in the error."""
    (shop.store / "broken").touch()
    with pytest.raises(ImageError, match=r"(?s)could not be built.*exit status 17.*failed to solve"):
        shop.ensure()


def test_success_is_seen_not_believed(shop: Shop) -> None:
    """A build that exits with 0 and leaves no such image is an error that names it."""
    (shop.store / "forgetful").touch()
    with pytest.raises(ImageError, match="the engine does not hold wireguard-harness/app:local"):
        shop.ensure()


def test_a_missing_ca_bundle_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds that could not trust anybody do not begin."""
    monkeypatch.setenv("CA_BUNDLE", "/nonexistent")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(images, "_CA_BUNDLES", ())
    with pytest.raises(ImageError, match="no CA bundle was found"):
        shop.ensure()
    assert not (shop.store / "calls").exists()


def test_the_builder_gets_what_images_yml_asks_for() -> None:
    """Every variable that `images.yml` reads is one that a build is given."""
    text = (images.COMPOSE / "images.yml").read_text(encoding="utf-8")
    more = ("nginx", "server", *images.MONITORING.values())
    given = {"BASE_IMAGE", "CA_BUNDLE"} | {f"{name.upper()}_SOURCE" for name in (*BUILT_HERE, *more)}
    asked = {part.split(":-")[0] for part in text.split("${")[1:]}
    assert json.dumps(sorted(asked)) == json.dumps(sorted(given))


def test_the_prod_layout_needs_more(shop: Shop) -> None:
    """A server to stand in for a machine, and nginx, are built for it alone."""
    assert shop.ensure("dev") == BUILT_HERE
    assert shop.ensure("prod") == {"nginx", "server"}
    assert shop.ensure("prod") == set()


def test_monitoring_is_built_when_it_is_wanted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter and Prometheus are no part of a deployment; asked for, they are built, and others not again."""
    assert shop.ensure() == BUILT_HERE
    (shop.store / "calls").unlink()
    images.ensure_these(shop.engine, images.MONITORING, (), shop.said.append)
    assert set((shop.store / "calls").read_text().split()[4:]) == {"exporter", "prometheus"}
    monkeypatch.setenv("EXPORTER_IMAGE", images.local("exporter"))
    monkeypatch.setenv("PROMETHEUS_IMAGE", images.local("prometheus"))
    (shop.store / "calls").unlink()
    images.ensure_these(shop.engine, images.MONITORING, (), shop.said.append)
    assert not (shop.store / "calls").exists()
