"""What a service of a compose configuration finds at its paths, before anything runs: which file of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import ConfigurationError

SECRETS = PurePosixPath("/run/secrets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What is laid over a path of a service, and is not empty.

    `source` is where it lies on this machine, None where it does not.
    """

    target: PurePosixPath
    source: Path | None


def over(service: str, configuration: Mapping[str, Any], path: str) -> Mount | None:
    """What is laid over a path, or over a folder that it is in, the innermost; None where the image alone has it."""
    wanted = PurePosixPath(path)
    covering = [each for each in _mounts(service, configuration) if wanted.is_relative_to(each.target)]
    return max(covering, key=lambda each: len(each.target.parts), default=None)


def file(service: str, configuration: Mapping[str, Any], path: str) -> Path:
    """The file of this machine that a service has at a path; raises `ConfigurationError` where that is none of it."""
    found = over(service, configuration, path)
    if found is None or found.source is None:
        message = f"{path} is no file of this machine"
        raise ConfigurationError(message)
    return found.source / PurePosixPath(path).relative_to(found.target)


def read(service: str, configuration: Mapping[str, Any], path: str) -> str:
    """What a service reads at a path; raises `ConfigurationError` with what keeps it from being read here."""
    found = file(service, configuration, path)
    try:
        return found.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        message = f"{found} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error


def secret_target(entry: Mapping[str, Any]) -> PurePosixPath:
    """Where a secret lies in its service: beside the others, unless it is told a whole path."""
    return SECRETS / str(entry.get("target") or entry["source"])


def _mounts(service: str, configuration: Mapping[str, Any]) -> Iterator[Mount]:
    definition = configuration["services"][service]
    for entry in definition.get("volumes") or []:
        if entry.get("type") == "tmpfs":
            continue  # nothing is in it
        is_here = entry.get("type") == "bind"
        yield Mount(target=PurePosixPath(entry["target"]), source=Path(entry["source"]) if is_here else None)
    for entry in definition.get("secrets") or []:
        yield Mount(target=secret_target(entry), source=_source("secrets", entry, configuration))
    for entry in definition.get("configs") or []:
        target = PurePosixPath("/") / str(entry.get("target") or entry["source"])
        yield Mount(target=target, source=_source("configs", entry, configuration))


def _source(kind: str, entry: Mapping[str, Any], configuration: Mapping[str, Any]) -> Path | None:
    known = (configuration.get(kind) or {}).get(entry["source"]) or {}
    return Path(known["file"]) if "file" in known else None
