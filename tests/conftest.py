"""What the harness's own tests share.

Those outside `engine/` and `machines/` need no Docker engine, and could not even find one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.configuration
import pytest
import yaml

from harness import command
from harness.addresses import AddressPlan
from harness.keys import FILES, KeySet, write

ROOT = Path(__file__).resolve().parent.parent
WITH_ENGINE = (ROOT / "tests" / "engine", ROOT / "tests" / "machines")

Render = Callable[..., dict[str, Any]]

# The same examples in every run, none kept on disk, and no time limit that a busy machine could miss.
hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
hypothesis.settings.register_profile("harness", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("harness")

# The part of compose's interpolation that the files use: $$, and ${NAME:-default} where the default may hold others.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^${}]*))?\}")
_DOLLAR = "\0"


@pytest.fixture(autouse=True)
def no_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to reach an engine fails at once, on every machine; no setting of the user's leaks in."""
    if any(map(request.path.is_relative_to, WITH_ENGINE)):
        return
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    files = (ROOT / "compose").glob("docker-compose*.yml")
    for name in _variables("\n".join(file.read_text(encoding="utf-8") for file in files)) | {"BASE_IMAGE"}:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def render() -> Render:
    """Read the dev compose file as compose does: YAML first, then interpolation, then the profiles that are on."""
    source = yaml.safe_load((ROOT / "compose" / "docker-compose.yml").read_text(encoding="utf-8"))

    def rendered(environment: Mapping[str, str] | None = None, profiles: Collection[str] = ()) -> dict[str, Any]:
        loaded = _interpolated(source, environment or {})
        assert isinstance(loaded, dict)
        active = {
            name: service
            for name, service in loaded["services"].items()
            if not service.get("profiles") or set(profiles).intersection(service["profiles"])
        }
        return loaded | {"services": active}

    return rendered


@pytest.fixture(scope="session")
def compose_cli() -> None:
    """Skip where there is no Compose v2; its `config` needs no engine."""
    if shutil.which("docker") is None or not command.run(["docker", "compose", "version"], timeout=20, check=False).ok:
        pytest.skip("needs the docker command with Compose v2, whose `config` is asked")


@pytest.fixture
def key_directory(tmp_path: Path) -> Path:
    """A directory with a sound key set, as `keys generate` leaves it."""
    directory = tmp_path / "keys"
    write(directory, KeySet.generate())
    assert {path.name for path in directory.iterdir()} == set(FILES)
    return directory


@pytest.fixture
def plan() -> AddressPlan:
    """The documented deployment."""
    return AddressPlan()


def _variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)", text))


def _interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    match value:
        case str():
            text = value.replace("$$", _DOLLAR)
            while (inner := _VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", text)) != text:
                text = inner
            return text.replace(_DOLLAR, "$")
        case list():
            return [_interpolated(entry, environment) for entry in value]
        case dict():
            return {key: _interpolated(entry, environment) for key, entry in value.items()}
    return value
