"""The secret files of one deployment: WireGuard keys, database passwords, Django's key.

Each file is 0600 and owned by the one user that reads it inside the containers: root for the gateways, `SECRETS_UID`
for MariaDB and the applications. A compose secret is a bind mount, so the owner on the host is the owner inside.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import keys
from harness.errors import KeyFileError

DB_PASSWORD = "db_password"  # noqa: S105 (a file's name)
DB_ROOT_PASSWORD = "db_root_password"  # noqa: S105
DJANGO_SECRET_KEY = "django_secret_key"  # noqa: S105
REDIS_PASSWORD = "redis_password"  # noqa: S105
FLOWER_PASSWORD = "flower_password"  # noqa: S105
PASSWORD_FILES = (DB_PASSWORD, DB_ROOT_PASSWORD, DJANGO_SECRET_KEY, REDIS_PASSWORD, FLOWER_PASSWORD)
LATER_FILES = frozenset({REDIS_PASSWORD, FLOWER_PASSWORD})
"""What came with the prod layout: folders from before it lack them, and nothing that runs has been made with them."""

_DEFAULT_UID = 999  # what Debian's and the official images of MariaDB and Redis give their user
_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The values, as the harness itself needs them; their representation shows none."""

    keys: keys.KeySet
    db_password: str
    db_root_password: str
    django_secret_key: str
    redis_password: str
    flower_password: str

    @classmethod
    def generate(cls) -> Credentials:
        """Make everything anew."""
        return cls(
            keys=keys.KeySet.generate(),
            db_password=secrets.token_urlsafe(_PASSWORD_BYTES),
            db_root_password=secrets.token_urlsafe(_PASSWORD_BYTES),
            django_secret_key=secrets.token_urlsafe(2 * _PASSWORD_BYTES),
            redis_password=secrets.token_urlsafe(_PASSWORD_BYTES),
            flower_password=secrets.token_urlsafe(_PASSWORD_BYTES),
        )

    def __repr__(self) -> str:
        return f"Credentials(keys={self.keys!r})"

    def secrets(self) -> tuple[str, ...]:
        """Every value that must never be shown; nothing where it is not known."""
        return tuple(filter(None, (*self.keys.secrets(), *self.passwords().values())))

    def passwords(self) -> dict[str, str]:
        """Each password by the name of its file."""
        return {
            DB_PASSWORD: self.db_password,
            DB_ROOT_PASSWORD: self.db_root_password,
            DJANGO_SECRET_KEY: self.django_secret_key,
            REDIS_PASSWORD: self.redis_password,
            FLOWER_PASSWORD: self.flower_password,
        }


def uid() -> int:
    """The user that MariaDB and the applications run as, from `SECRETS_UID`."""
    value = os.environ.get("SECRETS_UID") or str(_DEFAULT_UID)
    if not value.isdecimal():
        message = f"SECRETS_UID is {value!r}, which is not a user's number: unset it or give one such as {_DEFAULT_UID}"
        raise KeyFileError(message)
    return int(value)


def owners() -> dict[str, int]:
    """The user that reads each secret file inside the containers."""
    return dict.fromkeys(PASSWORD_FILES, uid()) | dict.fromkeys(keys.FILES, 0)


def write(directory: Path, credentials: Credentials, hand_over: Callable[[Path, dict[str, int]], None]) -> None:
    """Write every secret file, replacing old ones, and hand each to its reader.

    `hand_over` gives the files of a directory to user ids. It is called only when this process may not do so itself.
    """
    keys.write(directory, credentials.keys, overwrite=True)
    _write(directory, credentials.passwords(), dict.fromkeys(keys.FILES, 0), hand_over)


def add(directory: Path, names: Collection[str], hand_over: Callable[[Path, dict[str, int]], None]) -> None:
    """Make the password files of these names anew, and leave all others as they are. `hand_over` as in `write`."""
    made = Credentials.generate().passwords()
    _write(directory, {name: made[name] for name in names}, {}, hand_over)


def _write(
    directory: Path,
    values: Mapping[str, str],
    others: Mapping[str, int],
    hand_over: Callable[[Path, dict[str, int]], None],
) -> None:
    """Write passwords, and give them and `others` to who reads them."""
    try:
        for name, value in values.items():
            keys.write_file(directory / name, value, mode=0o600)
        readers = {**dict.fromkeys(values, uid()), **others}
        if os.geteuid() == 0:
            for name, owner in readers.items():
                os.chown(directory / name, owner, owner)
        else:
            hand_over(directory, readers)
    except OSError as error:
        message = f"cannot write secrets to {directory}: {error.strerror}: {error.filename}"
        raise KeyFileError(message) from error


def missing(directory: Path) -> list[str]:
    """The names of the secret files that are not there."""
    return [name for name in (*keys.FILES, *PASSWORD_FILES) if not (directory / name).exists()]


def read(directory: Path) -> Credentials:
    """The credentials of a directory; raises `KeyFileError` when a file is missing or may not be read."""
    try:
        values = {name: (directory / name).read_text(encoding="ascii").strip() for name in PASSWORD_FILES}
    except OSError as error:
        message = f"cannot read {error.filename}: {error.strerror}"
        raise KeyFileError(message) from error
    except UnicodeDecodeError as error:
        message = f"a password file in {directory} is not text: prepare it anew"
        raise KeyFileError(message) from error
    return Credentials(
        keys=keys.read(directory),
        **values,
    )
