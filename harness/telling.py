"""How the services of a compose configuration are told their settings, read from the files that they would be given.

What `harness.attached` finds out of containers that run, of those that do not yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from harness import mounts, sealing, wgquick
from harness.diagnosis import containers
from harness.diagnosis.evidence import Piece
from harness.dialects import Dialect, Read
from harness.errors import ConfigurationError, HarnessError
from harness.rolemap import RoleMap
from harness.wgquick import CONFIGURATION, PACKED, PACKED_FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one service is told: `role` is its part, `words` where it is told what, `keys` those of its `wg0.conf`.

    `obscure` are the lines of its `wg0.conf` of which nobody can say here what they send on, `configuration` is its
    path, None where it has none. `unread` says, in the place of all that a gateway is, why that could not be read here.
    """

    role: str
    environment: Mapping[str, str]
    words: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)
    obscure: tuple[str, ...] = ()
    configuration: str | None = None
    unread: Piece | None = None


def told_by(configuration: Mapping[str, Any], mapped: RoleMap) -> dict[str, Told]:
    """What each service of a configuration is told."""
    services = configuration.get("services") or {}
    reads = {name: partial(mounts.read, name, configuration) for name in services}
    dialects = {name: _dialect(name, configuration, mapped) for name in services}
    ends = {name: end for name, dialect in dialects.items() if (end := _end(dialect, reads[name]))}
    return {
        name: _told(
            name,
            configuration,
            mapped.role(name),
            replace(dialect, others=tuple(end for other, end in ends.items() if other != name)),
        )
        for name, dialect in dialects.items()
    }


def _dialect(name: str, configuration: Mapping[str, Any], mapped: RoleMap) -> Dialect:
    dialect = mapped.dialect(mapped.role(name))
    if dialect.configuration is None:
        dialect = replace(dialect, configuration=_configuration(name, configuration))
    return dialect


def _configuration(name: str, configuration: Mapping[str, Any]) -> str | None:
    """Where a gateway that wg-quick sets up has its `wg0.conf`, which comes in by a mount; None for any other."""
    laid_over = mounts.over(name, configuration, CONFIGURATION)
    if laid_over and laid_over.target in (PurePosixPath(CONFIGURATION), PurePosixPath(CONFIGURATION).parent):
        return CONFIGURATION
    packed = mounts.over(name, configuration, PACKED)
    if packed is None or packed.target != PurePosixPath(PACKED_FOLDER):
        return None
    try:  # many a container of another kind has such a folder
        mounts.read(name, configuration, PACKED)
    except ConfigurationError:
        return None
    return PACKED


def _end(dialect: Dialect, read: Read) -> wgquick.End | None:
    if dialect.configuration is not None:
        with contextlib.suppress(HarnessError):
            return wgquick.end(read(dialect.configuration))
    return None


def _told(name: str, configuration: Mapping[str, Any], role: str, dialect: Dialect) -> Told:
    variables, path = containers.configured(name, configuration).environment, dialect.configuration
    read = partial(mounts.read, name, configuration)
    if path is None:
        return Told(role=role, environment=dialect.translate(variables, read), words=dialect.words(variables))
    try:
        quick = wgquick.parse(read(path), path, dialect.others)
        status = mounts.file(name, configuration, path).stat()
    except (HarnessError, OSError) as error:
        missing = Piece(missing=f"what it is told by {path} is not known: {error}")
        return Told(role=role, environment=variables, words={}, configuration=path, unread=missing)
    return Told(
        role=role,
        environment=dialect.translate(variables, read),
        words=dialect.words(variables),
        obscure=quick.obscure,
        keys=sealing.keys_of(path, quick, mode=status.st_mode & 0o7777, owner=status.st_uid),
        configuration=path,
    )
