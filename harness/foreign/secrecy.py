"""What is secret in the files of a deployment, learnt before anything of it is started.

What does not come up is shown with its log, and an application that cannot log in may print with what it has tried.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import mounts, sealing, wgquick
from harness.diagnosis import containers
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.errors import ConfigurationError
from harness.redaction import is_secret, secrets_in
from harness.telling import Told

_LARGEST = 1 << 16  # characters of a file: what is larger is neither a password nor a key
_ASSIGNED = re.compile(
    r"""(?P<name>[\w.-]+)["']?[ \t]*[:=][ \t]*(?:"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s"',;]+))"""
)
"""`NAME=VALUE` as in an environment file, `name: value` as in YAML and JSON, `Name = value` as in a `wg0.conf`."""
_PRIVATE_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<lines>.*?)-----END", re.DOTALL)
_FILE = "_FILE"


def learnt(configuration: Mapping[str, Any], environment: Path, told: Mapping[str, Told]) -> frozenset[str]:
    """Every secret of a merged configuration, and of the files of this machine that it names.

    `environment` is the file of variables that it was read with, which need not be there; `told` is what its services
    amount to. What cannot be read here tells nothing.
    """
    variables = _text(environment)
    found = set(_assigned(variables))
    for name, each in told.items():
        found.update(_of_service(name, configuration, each))
    for definition in (configuration.get("secrets") or {}).values():
        found.update(_whole(_content(definition or {}, variables)))
    found -= {line for name in told for line in _public(name, configuration)}
    found -= {
        path for name in told for path in _folders(containers.configured(name, configuration).environment.items())
    }
    found -= set(_folders(_assignments(variables)))
    return frozenset(secret for secret in found if not _is_here(environment.parent, secret))


def _of_service(name: str, configuration: Mapping[str, Any], told: Told) -> Iterator[str]:
    definition = configuration["services"][name]
    container = containers.configured(name, configuration)
    yield from sealing.secrets_of(container)
    yield from secrets_in(told.environment.items())
    arguments = (definition.get("build") or {}).get("args") or {}
    if isinstance(arguments, dict):
        yield from secrets_in((key, str(value)) for key, value in arguments.items())
    for path in {told.configuration, wgquick.CONFIGURATION, wgquick.PACKED} - {None}:
        yield from _assigned(_read(name, configuration, str(path)))
    for setting, path in {**container.environment, **told.environment}.items():
        if setting.endswith(_FILE) and is_secret(setting.removesuffix(_FILE)):
            yield from _whole(_read(name, configuration, path))


def _public(name: str, configuration: Mapping[str, Any]) -> Iterator[str]:
    """A key that may be shown although it lies where secrets do."""
    path = containers.configured(name, configuration).environment.get(PEER_PUBLIC_KEY_FILE)
    if path:
        yield _read(name, configuration, path).strip()


def _folders(variables: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Where secrets lie, which is none: it stands in half of what is said of them."""
    return (value for name, value in variables if "/" in value and name.upper().endswith(("_DIR", "_PATH")))


def _is_here(folder: Path, word: str) -> bool:
    """Whether it is a path of this machine, whatever the variable is called, such as SECRETS."""
    try:
        return "/" in word and (folder / word).exists()
    except (OSError, ValueError):  # longer than a path can be, or none at all
        return False


def _content(definition: Mapping[str, Any], variables: str) -> str:
    """What is in one of the configuration's secrets: of a file, of a variable, or written where it is declared."""
    if "file" in definition:
        return _text(Path(definition["file"]))
    if "environment" in definition:
        return _variable(str(definition["environment"]), variables)
    return str(definition.get("content") or "")


def _variable(name: str, variables: str) -> str:
    return os.environ.get(name) or next((value for each, value in _assignments(variables) if each == name), "")


def _whole(text: str) -> Iterator[str]:
    """The secrets in a file that is one: what is assigned in it by name, a key's block, or else each of its lines."""
    if assigned := [*_assigned(text), *_blocks(text)]:
        yield from assigned
    elif "-----BEGIN" not in text:  # a certificate is shown to whoever asks
        yield from (line.strip() for line in text.splitlines() if line.strip())


def _assigned(text: str) -> Iterator[str]:
    """The secrets among what a text assigns to names, and the passwords in its URLs."""
    yield from secrets_in(_assignments(text))
    yield from secrets_in([("", text)])


def _blocks(text: str) -> Iterator[str]:
    for block in _PRIVATE_BLOCK.finditer(text):
        yield from (line.strip() for line in block["lines"].splitlines() if line.strip())


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for each in _ASSIGNED.finditer(text):
        yield each["name"], next((value for value in each.group("double", "single", "bare") if value is not None), "")


def _read(service: str, configuration: Mapping[str, Any], path: str) -> str:
    try:
        return _text(mounts.file(service, configuration, path))
    except ConfigurationError:
        return ""


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError:
        return ""
    return text if len(text) <= _LARGEST else ""
