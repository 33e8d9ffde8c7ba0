"""Which service of somebody's deployment plays which documented part, and how it is told its settings.

    [roles]                               # the part, and the service that plays it
    wireguard-services = "vpn-depot"
    mariadb = "ledger"

    [settings]                            # of all applications: the documented name, and what it is there
    DATABASE_HOST = "${LEDGER_HOST}"

    [settings.services]                   # of one part alone
    DATABASE_HOST = "${LEDGER_HOST_DIRECT}"

    [wg-quick]                            # the parts whose gateways have a wg0.conf, and where it lies
    wireguard-services = "/etc/wireguard/wg0.conf"

A part that is not named is played by the service of the same name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.addresses import SERVICES
from harness.dialects import Dialect
from harness.errors import ConfigurationError
from harness.vocabulary import APP_SETTINGS, DATABASE_URL, GATEWAY_SETTINGS

GATEWAYS = ("wireguard-web", "wireguard-services")
APPLICATIONS = ("web", "services", "celery")
OPTIONAL = ("celery",)
"""What a deployment of this kind can do without."""

_TABLES = ("roles", "settings", "wg-quick")
_OF_APPLICATIONS = (*APP_SETTINGS, DATABASE_URL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMap:
    """What was said of a deployment. `roles` gives the service of a part, `settings` the templates of one."""

    roles: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    configurations: Mapping[str, str] = field(default_factory=dict)

    def service(self, role: str) -> str:
        """The service that plays a part."""
        return self.roles.get(role, role)

    def role(self, service: str) -> str:
        """The part that a service plays; its own name where it plays none."""
        named = next((role for role, own in self.roles.items() if own == service), None)
        return named or next((role for role in SERVICES if self.service(role) == service), service)

    def dialect(self, role: str) -> Dialect:
        """How the service of a part is told its settings."""
        return Dialect(settings=self.settings.get(role, {}), configuration=self.configurations.get(role))

    def require(self, services: Iterable[str]) -> None:
        """Check that all parts are played by services that there are; raises `ConfigurationError`."""
        known = set(services)
        for role in SERVICES:
            if role not in OPTIONAL or role in self.roles:
                self._require(role, known)

    def require_named(self, services: Iterable[str]) -> None:
        """Check that the services that were named are there; raises `ConfigurationError`."""
        known = set(services)
        for role in self.roles:
            self._require(role, known)

    def _require(self, role: str, known: Collection[str]) -> None:
        if self.service(role) not in known:
            message = (
                f"nothing plays the part of {role}: there is no service {self.service(role)}; name one by --map "
                f"{role}=SERVICE, services are: {', '.join(sorted(known)) or 'none'}"
            )
            raise ConfigurationError(message)


DOCUMENTED = RoleMap()
"""That of a deployment whose services have the documented names and settings."""


def read(words: Sequence[str]) -> RoleMap:
    """The map of a command line's words, each `ROLE=SERVICE` or a TOML file; later ones win.

    Raises `ConfigurationError` with the word, or the entry of the file, that is wrong.
    """
    roles: dict[str, str] = {}
    settings: dict[str, dict[str, str]] = {}
    configurations: dict[str, str] = {}
    for word in words:
        role, equals, service = word.partition("=")
        if equals and role in SERVICES:
            roles[role] = service
            _require_service(word, role, service)
            continue
        if equals:
            message = f"--map {word}: {role!r} is no part of the deployment; parts are {', '.join(SERVICES)}"
            raise ConfigurationError(message)
        loaded = _load(Path(word))
        named = _texts(word, "roles", loaded.get("roles", {}), SERVICES)
        for role, service in named.items():
            _require_service(word, role, service)
        roles |= named
        configurations |= _texts(word, "wg-quick", loaded.get("wg-quick", {}), GATEWAYS)
        for name, given in _settings(word, loaded.get("settings", {})).items():
            settings.setdefault(name, {}).update(given)
    mapped = RoleMap(roles=roles, settings=settings, configurations=configurations)
    _require_one_part_each(mapped)
    return mapped


def _require_service(word: str, role: str, service: str) -> None:
    if not service.strip():
        message = f"--map {word}: it names no service for {role}; write {role}=SERVICE, or leave it out"
        raise ConfigurationError(message)


def _require_one_part_each(mapped: RoleMap) -> None:
    """A part that was not named is played by the service of its name, which can play no other one."""
    for service in mapped.roles.values():
        played = [
            role
            for role in SERVICES
            if mapped.service(role) == service and (role in mapped.roles or role not in OPTIONAL)
        ]
        if len(played) > 1:
            unnamed = next((f"; name one for {role}" for role in played if role not in mapped.roles), "")
            message = f"the service {service} cannot play several parts: {', '.join(played)}{unnamed}"
            raise ConfigurationError(message)


def _load(file: Path) -> dict[str, Any]:
    if file == Path():  # as an empty word is, too
        message = "--map names no file: is a variable empty? A map is a TOML file, or ROLE=SERVICE"
        raise ConfigurationError(message)
    try:
        loaded = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"--map {file}: {error.strerror}; a map is a TOML file, or ROLE=SERVICE"
        raise ConfigurationError(message) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"--map {file}: it is not TOML ({error})"
        raise ConfigurationError(message) from error
    if unknown := [name for name in loaded if name not in _TABLES]:
        message = f"--map {file}: there is no table [{unknown[0]}]; tables are {', '.join(_TABLES)}"
        raise ConfigurationError(message)
    return loaded


def _settings(file: str, table: object) -> dict[str, dict[str, str]]:
    """The templates of each application: those of all, and its own, which win."""
    if not isinstance(table, dict):
        message = f"--map {file}: settings is no table"
        raise ConfigurationError(message)
    own = {name: entry for name, entry in table.items() if isinstance(entry, dict)}
    if unknown := [name for name in own if name not in SERVICES]:
        message = f"--map {file}: [settings.{unknown[0]}] is of no part; parts are {', '.join(SERVICES)}"
        raise ConfigurationError(message)
    shared = _named(
        file, "settings", {name: entry for name, entry in table.items() if name not in own}, _OF_APPLICATIONS
    )
    parts = dict.fromkeys((*APPLICATIONS, *own))
    return {
        name: (shared if name in APPLICATIONS else {})
        | _named(file, f"settings.{name}", own.get(name, {}), _known_to(name))
        for name in parts
    }


def _known_to(role: str) -> Sequence[str] | None:
    """The settings that there are for a part; None for a backend, whose settings are whatever its image reads."""
    if role in GATEWAYS:
        return GATEWAY_SETTINGS
    return _OF_APPLICATIONS if role in APPLICATIONS else None


def _named(file: str, table: str, entries: object, known: Sequence[str] | None) -> dict[str, str]:
    """Templates by the names of settings: one that is misspelt would be read by nobody, and missed by nobody."""
    texts = _texts(file, table, entries)
    if known is not None and (unknown := [name for name in texts if name not in known]):
        message = f"--map {file}: [{table}] names {unknown[0]}, which is no setting; settings are {', '.join(known)}"
        raise ConfigurationError(message)
    return texts


def _texts(file: str, table: str, entries: object, known: Sequence[str] | None = None) -> dict[str, str]:
    if not isinstance(entries, dict):
        message = f"--map {file}: {table} is no table"
        raise ConfigurationError(message)
    for name, value in entries.items():
        if known is not None and name not in known:
            message = f"--map {file}: [{table}] names {name}, which is no part of it; parts are {', '.join(known)}"
            raise ConfigurationError(message)
        if not isinstance(value, str):
            message = f"--map {file}: {name} in [{table}] is {value!r}, and has to be a text"
            raise ConfigurationError(message)
    return dict(entries)
