"""WireGuard's keys: made as `wg genkey`, `wg pubkey` and `wg genpsk` make them, and checked.

A key is 32 bytes, written as 44 characters of base64 (wg(8)). A private key is clamped as Curve25519 demands
(RFC 7748, section 5), and its public key derives from it: a public key that was *generated* belongs to nobody.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from harness.errors import KeyFileError

KEY_BYTES = 32  # WireGuard paper, section 5.4: Curve25519 points and symmetric keys alike

WEB_PRIVATE = "web-private.key"
WEB_PUBLIC = "web-public.key"
SERVICES_PRIVATE = "services-private.key"
SERVICES_PUBLIC = "services-public.key"
PRESHARED = "preshared.key"
FILES = (WEB_PRIVATE, WEB_PUBLIC, SERVICES_PRIVATE, SERVICES_PUBLIC, PRESHARED)
SECRET_FILES = (WEB_PRIVATE, SERVICES_PRIVATE, PRESHARED)

_OWNER_ONLY = 0o600
_READABLE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A private key and the public key that derives from it."""

    private: str
    public: str

    @classmethod
    def generate(cls) -> KeyPair:
        """Make a new pair."""
        private = generate_private()
        return cls(private=private, public=derive_public(private))

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """All the keys of one deployment."""

    web: KeyPair
    services: KeyPair
    preshared: str

    @classmethod
    def generate(cls) -> KeySet:
        """Make two pairs and a preshared key."""
        return cls(web=KeyPair.generate(), services=KeyPair.generate(), preshared=generate_preshared())

    def __repr__(self) -> str:
        return f"KeySet(web={self.web!r}, services={self.services!r})"

    def files(self) -> dict[str, str]:
        """Each key by the name of its file."""
        return {
            WEB_PRIVATE: self.web.private,
            WEB_PUBLIC: self.web.public,
            SERVICES_PRIVATE: self.services.private,
            SERVICES_PUBLIC: self.services.public,
            PRESHARED: self.preshared,
        }

    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return (self.web.private, self.services.private, self.preshared)


def generate_private() -> str:
    """What `wg genkey` prints: 32 random bytes, clamped, in base64."""
    raw = bytearray(secrets.token_bytes(KEY_BYTES))
    raw[0] &= 248
    raw[31] = (raw[31] & 127) | 64
    return base64.b64encode(bytes(raw)).decode()


def generate_preshared() -> str:
    """What `wg genpsk` prints: 32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def decode(key: str) -> bytes:
    """The 32 bytes of a key; raises `ValueError` that says what is wrong, never showing the key."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        message = "is not base64"
        raise ValueError(message) from error
    if len(raw) != KEY_BYTES:
        message = f"has {len(raw)} bytes where a key has {KEY_BYTES}"
        raise ValueError(message)
    if base64.b64encode(raw).decode() != key:  # bits beyond the 32 bytes: wg(8) refuses it
        message = "has its last character changed"
        raise ValueError(message)
    return raw


def derive_public(private: str) -> str:
    """What `wg pubkey` prints for a private key; raises `ValueError` as `decode` does."""
    public = X25519PrivateKey.from_private_bytes(decode(private)).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()


def write(directory: Path, keys: KeySet, *, overwrite: bool = False) -> None:
    """Write each key to its file: private and preshared ones with mode 0600, public ones with 0644.

    Raises `KeyFileError` when a file is there already and `overwrite` is False; then nothing was written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        existing = [name for name in FILES if os.path.lexists(directory / name)]
        if existing and not overwrite:
            message = (
                f"{directory} already holds {', '.join(existing)}: "
                "choose another directory, or give --force to replace them"
            )
            raise KeyFileError(message)
        for name, key in keys.files().items():
            write_file(directory / name, key, mode=_OWNER_ONLY if name in SECRET_FILES else _READABLE)
    except OSError as error:
        where = f": {error.filename}" if error.filename and Path(error.filename) != directory else ""
        reason = "it is a file; name a folder" if directory.is_file() else f"{error.strerror}{where}"
        message = f"cannot write keys to {directory}: {reason}"
        raise KeyFileError(message) from error


def write_file(path: Path, text: str, *, mode: int) -> None:
    """Put `text` and a newline in a file that never, not even for a moment, has a wider mode.

    An old file of that name is replaced as a whole or not at all.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), mode)  # past the umask
            file.write(f"{text}\n")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read(directory: Path) -> KeySet:
    """The key set of a directory, as it stands; raises `KeyFileError` when a file is missing or unreadable."""
    values = {name: _read_file(directory / name) for name in FILES}
    return KeySet(
        web=KeyPair(private=values[WEB_PRIVATE], public=values[WEB_PUBLIC]),
        services=KeyPair(private=values[SERVICES_PRIVATE], public=values[SERVICES_PUBLIC]),
        preshared=values[PRESHARED],
    )


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError as error:
        message = f"cannot read {path}: it is not text"
        raise KeyFileError(message) from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise KeyFileError(message) from error


def verify(directory: Path) -> list[str]:
    """Check a key directory and return a line for each fault, none when all is well.

    Checked: every file is there and is one key of 32 bytes; secret files are readable by their owner only; each
    public key derives from its private one; no key is used twice. Lines never show a private or preshared key.
    """
    faults: list[str] = []
    keys: dict[str, str] = {}
    for name in FILES:
        path = directory / name
        try:
            key = _read_file(path)
        except KeyFileError as error:
            faults.append(str(error))
            continue
        try:
            decode(key)
        except ValueError as error:
            faults.append(f"{path}: the key {error}; make it anew with `keys generate`" if key else f"{path} is empty")
            continue
        keys[name] = key
        if name in SECRET_FILES:
            faults.extend(_mode_faults(path))
    for side, private, public in (("web", WEB_PRIVATE, WEB_PUBLIC), ("services", SERVICES_PRIVATE, SERVICES_PUBLIC)):
        if private in keys and public in keys and derive_public(keys[private]) != keys[public]:
            faults.append(
                f"{directory / public} does not derive from {private}: "
                f"the public key of {side} is {derive_public(keys[private])} (wg pubkey < {private} > {public})"
            )
    faults.extend(_reuse_faults(directory, keys))
    return faults


def _mode_faults(path: Path) -> list[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return [f"{path} has mode {mode:04o} and can be read by others: chmod 600 {path}"]
    return []


def _reuse_faults(directory: Path, keys: dict[str, str]) -> list[str]:
    seen: dict[str, str] = {}
    faults = []
    for name, key in keys.items():
        if key in seen:
            faults.append(f"{directory}: {seen[key]} and {name} hold the same key; every key is used once")
        seen.setdefault(key, name)
    return faults
