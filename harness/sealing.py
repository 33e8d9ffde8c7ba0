"""Evidence made fit to be shown: secrets are learnt from where they lie, then sealed or removed everywhere.

So a deployment that the harness did not bring up, whose secrets it was never told, is not betrayed either.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import shlex
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from harness import keys, mounts
from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import Piece
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE, PRIVATE_KEY_FILE
from harness.engine import Engine
from harness.errors import DeploymentError
from harness.nodes import Node
from harness.redaction import REMOVED, Redactor, Sealer, is_secret, secrets_in
from harness.wgquick import PRESHARED_KEY, Configuration

_SECRETS = str(mounts.SECRETS)
_LISTED = re.compile(r"(?P<path>/.*) (?P<mode>[0-7]+) (?P<owner>\d+)")
_EXPANDED = re.compile(r"\$(?:[A-Z_][A-Z0-9_]*|[({].*)", re.DOTALL)  # what a shell puts a value in the place of
_DUMPS = ("dump", "dump-before")
_INTERFACE_FIELDS = 5
_PEER_FIELDS = 9
_LARGEST = 1 << 20  # bytes of an archive of secrets; they are keys and passwords


class Vault:
    """Knows all secrets of one snapshot, and gives none away."""

    def __init__(self, secrets: Iterable[str], seal: Sealer) -> None:
        self._secrets = set(secrets)
        self._public: set[str] = set()
        self._seal = seal

    @property
    def redact(self) -> Redactor:
        """Removes all secrets that have been learnt so far."""
        return Redactor(self._secrets, self._public - self._secrets)

    def learn(self, pieces: Mapping[str, Piece], container: Container) -> None:
        """Note the secrets, and the keys that may be shown, of one node: its raw pieces, its settings and command."""
        environment = container.environment
        self._secrets |= secrets_of(container)
        public_path = environment.get(PEER_PUBLIC_KEY_FILE, "")
        self._public.add(environment.get("WG_PEER_PUBLIC_KEY", ""))
        for path, content in _contents(pieces):
            (self._public if path == public_path else self._secrets).add(content.strip())
        for name in _DUMPS:
            for fields in _rows(pieces.get(name)):
                if len(fields) == _INTERFACE_FIELDS:
                    self._secrets.add(fields[1])
                    self._public.add(fields[2])
                elif len(fields) == _PEER_FIELDS:
                    self._public.add(fields[1])
                    self._secrets.add(fields[2])
        self._secrets -= {"", "(none)", "(hidden)"}

    def seal(self, pieces: Mapping[str, Piece], environment: Mapping[str, str]) -> dict[str, Piece]:
        """One node's pieces without secrets: keys in dumps are sealed, secret files described, the rest redacted."""
        redact = self.redact
        sealed: dict[str, Piece] = {}
        for name, piece in pieces.items():
            if name == "secret-contents":
                continue
            if piece.missing is not None:
                sealed[name] = Piece(missing=redact(piece.missing))
            elif name in _DUMPS:
                sealed[name] = Piece(text="\n".join("\t".join(self._row(each)) for each in _rows(piece)))
            elif name == "secret-files":
                sealed[name] = self._described(piece.text, dict(_contents(pieces)), environment)
            else:
                sealed[name] = Piece(text=redact(piece.text))
        return sealed

    def describe(self, container: Container) -> Piece:
        """A container as a piece of evidence, its environment and words without secrets."""
        environment = {name: self.redact.variable(name, value) for name, value in container.environment.items()}
        command = tuple(_without_options(container.command, self.redact))
        shown = replace(container, environment=environment, command=command, error=self.redact(container.error))
        return Piece(text=shown.to_json())

    def _row(self, fields: list[str]) -> list[str]:
        secret = {_INTERFACE_FIELDS: 1, _PEER_FIELDS: 2}.get(len(fields))
        if secret is None:
            return [self.redact("\t".join(fields))]
        return [self._seal(field) if number == secret else field for number, field in enumerate(fields)]

    def _described(self, listing: str, contents: Mapping[str, str], environment: Mapping[str, str]) -> Piece:
        described = []
        for line in dict.fromkeys(listing.splitlines()):
            found = _LISTED.fullmatch(line)
            if found is None:
                return Piece(missing=f"instead of a path, a mode and an owner there is {self.redact(line)!r}")
            path, content = found["path"], contents.get(found["path"])
            entry: dict[str, Any] = {
                "path": path,
                "mode": found["mode"],
                "owner": int(found["owner"]),
                "readable": content is not None,
            }
            if content is not None:
                text = content.strip()
                entry |= {"empty": not text, "seal": self._seal(text), "fault": _key_fault(text)}
                if path == environment.get(PRIVATE_KEY_FILE) and not entry["fault"]:
                    entry["public"] = keys.derive_public(text)
                if path == environment.get(PEER_PUBLIC_KEY_FILE) and text not in self._secrets:
                    entry["content"] = text
            described.append(entry)
        return Piece(text=json.dumps(described, indent=1))


def secrets_of(container: Container) -> set[str]:
    """The secrets among a container's variables and the options of its command."""
    return set(secrets_in((*container.environment.items(), *_options(container.command))))


def read_archived(engine: Engine, container: str) -> tuple[str, str]:
    """The secret files of a container that need not run, in the form of `looks/common.sh`: listing and contents.

    Raises `DeploymentError` when the engine does not hand them out.
    """
    try:
        chunks, _stat = engine.client.api.get_archive(container, _SECRETS)
        archived = b"".join(chunks)
    except NotFound:
        return "", ""
    except (APIError, DockerException, RequestException) as error:
        message = f"the engine does not hand out {_SECRETS}: {error}"
        raise DeploymentError(message) from error
    if len(archived) > _LARGEST:
        message = f"{_SECRETS} holds {len(archived)} bytes, more than keys and passwords take"
        raise DeploymentError(message)
    listing, contents = [], []
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            if file is None:
                continue
            path = f"{_SECRETS}/{entry.name.partition('/')[2]}"
            listing.append(f"{path} {entry.mode & 0o7777:o} {entry.uid}")
            contents.append(packed(path, file.read()))
    return "\n".join(listing), "\n".join(contents)


def of_configuration(node: Node) -> dict[str, str]:
    """The keys in a node's `wg0.conf` as pieces such as `looks/common.sh` prints: listing and contents.

    Nothing where the node has no such file, or one that cannot be read.
    """
    path = node.dialect.configuration
    told = node.dialect.quick(node.file)
    if path is None or told is None:
        return {}
    file = node.engine.file(node.name, path)
    return keys_of(path, told, mode=file.mode, owner=file.owner)


def keys_of(path: str, told: Configuration, *, mode: int, owner: int) -> dict[str, str]:
    """The same of a `wg0.conf` that was read, whose file has this mode and owner."""
    keys_in_it = {path: told.private_key, f"{path}{PRESHARED_KEY}": told.preshared_key}
    found = {where: key for where, key in keys_in_it.items() if key}
    return {
        "secret-files": "\n".join(f"{where} {mode:o} {owner}" for where in found),
        "secret-contents": "\n".join(packed(where, key.encode()) for where, key in found.items()),
    }


def packed(path: str, content: bytes) -> str:
    """A line of the contents that a vault learns from: a path, and what is in the file."""
    return f"{path} {base64.b64encode(content).decode()}"


def _contents(pieces: Mapping[str, Piece]) -> Iterator[tuple[str, str]]:
    piece = pieces.get("secret-contents")
    for line in (piece.text if piece else "").splitlines():
        path, _, content = line.partition(" ")
        try:
            yield path, base64.b64decode(content).decode(errors="replace")
        except ValueError:
            continue


def _options(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options of a command with their values: `--name=value`, and `--name value`, in a shell's script too."""
    for word, following in itertools.pairwise((*command, "")):
        name, equals, value = word.partition("=")
        yield name, value if equals else following
        if len(inside := _inside(word)) > 1:
            yield from ((name, value) for name, value in _options(inside) if not _EXPANDED.fullmatch(value))


def _inside(word: str) -> list[str]:
    """The words of which one consists, as that of `sh -c` does."""
    script = shlex.shlex(word, posix=True, punctuation_chars=True)
    script.whitespace_split, script.commenters = True, ""
    try:
        return list(script)
    except ValueError:  # a quote that does not end: it is no script
        return [word]


def _without_options(command: Sequence[str], redact: Callable[[str], str]) -> Iterator[str]:
    """A command without the values of those of its options that are secret."""
    before = ""
    for word in command:
        name, equals, _ = word.partition("=")
        if before.startswith("-") and "=" not in before and is_secret(before) and not word.startswith("-"):
            yield REMOVED
        else:
            yield f"{name}={REMOVED}" if equals and is_secret(name) else redact(word)
        before = word


def _rows(piece: Piece | None) -> list[list[str]]:
    return [line.split("\t") for line in (piece.text if piece else "").splitlines()]


def _key_fault(text: str) -> str | None:
    try:
        keys.decode(text)
    except ValueError as error:
        return str(error)
    return None
