"""What a copy of a deployment would share with the real one, by names, folders and namespaces: it is refused."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError

_OWN_MODES = ("", "none", "bridge", "default")
"""What `network_mode` may say besides whose namespace is shared; any other word is a network from elsewhere."""

_OWN_DRIVERS = ("", "default", "bridge")
"""By any other driver a network may be joined to those that the real deployment is on."""

_NAMESPACES = ("network_mode", "pid", "ipc", "uts")
# Not `userns_mode` or `cgroup`: they give rights on the machine, and nothing of another container's.


def refuse(configuration: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for the first thing that would be the real deployment's as well."""
    _refuse_named(configuration)
    _refuse_drivers(configuration)
    for name, definition in (configuration.get("volumes") or {}).items():
        if device := ((definition or {}).get("driver_opts") or {}).get("device"):
            _refuse_folder(f"volume {name}", device)
    services: Mapping[str, Any] = configuration.get("services") or {}
    ours = {str(each["container_name"]) for each in services.values() if each.get("container_name")}
    for service, definition in services.items():
        _refuse_mounts(service, definition)
        for what in _borrowed(definition, ours):
            message = (
                f"{service} has {what}, which is not of these files and may be the real deployment's: lay a file over "
                f"that takes it out, or names a service in its place"
            )
            raise ConfigurationError(message)


def _refuse_named(configuration: Mapping[str, Any]) -> None:
    """What has a name of its own, or is from elsewhere."""
    project = str(configuration.get("name"))
    for kind in ("volumes", "networks"):
        for name, definition in (configuration.get(kind) or {}).items():
            given = (definition or {}).get("name") or f"{project}_{name}"
            if (definition or {}).get("external") or given != f"{project}_{name}":
                message = (
                    f"{kind[:-1]} {name} is `{given}` outside of the project, which the test would share with whatever "
                    f"else uses it: lay a file over that gives the test one of its own"
                )
                raise ConfigurationError(message)


def _refuse_drivers(configuration: Mapping[str, Any]) -> None:
    for name, definition in (configuration.get("networks") or {}).items():
        driver = str((definition or {}).get("driver") or "")
        if driver not in _OWN_DRIVERS:
            message = (
                f"network {name} is of the driver {driver}, which may join the test to a network that the real "
                f"deployment is on: lay a file over that makes it a bridge"
            )
            raise ConfigurationError(message)


def _refuse_mounts(service: str, definition: Mapping[str, Any]) -> None:
    for mount in definition.get("volumes") or []:
        if mount.get("type") != "bind":
            continue
        if not mount.get("read_only"):
            _refuse_folder(service, mount.get("source"))
        if _is_socket(str(mount.get("source") or "")):
            message = (
                f"{service} speaks to {mount['source']} of this machine, by which it can change what is not its own, "
                f"also where that is mounted read-only: lay a file over that takes it out"
            )
            raise ConfigurationError(message)


def _refuse_folder(what: str, path: object) -> None:
    message = (
        f"{what} writes to {path} of this machine, which the real deployment may be using: lay a file over that gives "
        f"the test a volume of its own there, or has it mounted read-only"
    )
    raise ConfigurationError(message)


def _is_socket(path: str) -> bool:
    """Whether it is one, or is called so where nobody can look: the engine may be on another machine."""
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return path.endswith(".sock")


def _borrowed(definition: Mapping[str, Any], ours: set[str]) -> Iterator[str]:
    """What a service has of the machine, or of containers that are none of the files'."""
    for setting in _NAMESPACES:
        told = str(definition.get(setting) or "")
        if _is_borrowed(told, ours) or (setting == "network_mode" and _is_network(told)):
            yield f"{setting}: {told}"
    for told in map(str, definition.get("volumes_from") or []):
        form, _, rest = told.partition(":")
        if form == "container" and rest.partition(":")[0] not in ours:
            yield f"volumes_from: {told}"
    for told in map(str, definition.get("external_links") or []):
        if told.partition(":")[0] not in ours:
            yield f"external_links: {told}"


def _is_borrowed(told: str, ours: set[str]) -> bool:
    form, _, name = told.partition(":")
    return told == "host" or (form == "container" and name not in ours)


def _is_network(mode: str) -> bool:
    return mode not in _OWN_MODES and mode.partition(":")[0] not in ("service", "container")
