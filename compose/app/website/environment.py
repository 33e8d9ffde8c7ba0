"""What the environment says, checked once and before anything starts.

Every fault is one line that names the variable and what to do about it. No line repeats the content
of a secret, or of a URL that may hold one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DATABASE_PORT = 3306
DEFAULT_BROKER_PORT = 6379
DEFAULT_FLOWER_USER = "flower"
DEFAULT_ALLOWED_HOSTS = "localhost,web,services"
LAST_PORT = 65535
LARGEST_COUNT = 1000

PASSWORD_PLACE = "${REDIS_PASSWORD}"  # noqa: S105 - where the password goes
BROKER_FORM = "redis://[:PASSWORD@]HOST[:PORT][/DB]"


class SettingError(Exception):
    """A variable is missing, misnamed or malformed; the message says which, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where MariaDB is and who we are there."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where Redis is; the URL as Celery takes it, its parts as a health check takes them."""

    url: str = field(repr=False)
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything that this application reads from its environment."""

    database: Database
    broker: Broker
    secret_key: str = field(repr=False)
    allowed_hosts: tuple[str, ...]
    web_workers: int
    web_threads: int
    celery_concurrency: int


def load(environ: Mapping[str, str]) -> Environment:
    """Return the checked environment, or raise a SettingError for the first fault in it."""
    return Environment(
        database=Database(
            host=_required(environ, "DATABASE_HOST", "the address of MariaDB"),
            port=_port(environ, "DATABASE_PORT", DEFAULT_DATABASE_PORT),
            name=_required(environ, "DATABASE_NAME", "the name of the database"),
            user=_required(environ, "DATABASE_USER", "the database user"),
            password=_secret(environ, "DATABASE_PASSWORD", "the database password"),
        ),
        broker=load_broker(environ),
        secret_key=_secret(environ, "DJANGO_SECRET_KEY", "a long random string"),
        allowed_hosts=tuple(
            host.strip()
            for host in (environ.get("DJANGO_ALLOWED_HOSTS") or DEFAULT_ALLOWED_HOSTS).split(",")
            if host.strip()
        ),
        web_workers=_count(environ, "WEB_CONCURRENCY", 1),
        # A page that waits for a silent backend holds its thread for up to 3 s: with these, 32
        # clients can wait at once before the next one has to queue.
        web_threads=_count(environ, "WEB_THREADS", 32),
        celery_concurrency=_count(environ, "CELERY_CONCURRENCY", 2),
    )


def check_log_format(environ: Mapping[str, str]) -> None:
    """Raise a SettingError for a LOG_FORMAT that there is not."""
    value = environ.get("LOG_FORMAT", "").strip()
    if value not in {"", "text", "json"}:
        message = f"LOG_FORMAT is {value!r}: set it to text or json"
        raise SettingError(message)


def load_flower(environ: Mapping[str, str]) -> str:
    """Return who may look at Flower, as it takes it: USER:PASSWORD.

    Flower shows every job and can stop workers, so without a password it does not start.
    """
    user = environ.get("FLOWER_USER", "").strip() or DEFAULT_FLOWER_USER
    if ":" in user:
        message = f"FLOWER_USER is {user!r}: a user's name has no colon"
        raise SettingError(message)
    return f"{user}:{_secret(environ, 'FLOWER_PASSWORD', 'the password for Flower')}"


def load_broker(environ: Mapping[str, str]) -> Broker:
    """Return the broker of CELERY_BROKER_URL or, in its absence, of REDIS_URL.

    `${REDIS_PASSWORD}` in the URL stands for what REDIS_PASSWORD or REDIS_PASSWORD_FILE holds, so that the
    password need not be in the environment, where everybody who may inspect the container reads it.
    """
    name = "REDIS_URL" if environ.get("REDIS_URL") and not environ.get("CELERY_BROKER_URL") else "CELERY_BROKER_URL"
    url = environ.get(name)
    if not url:
        message = f"CELERY_BROKER_URL is {_absence(environ, name)}: set it to {BROKER_FORM}"
        raise SettingError(message)
    if PASSWORD_PLACE in url:
        url = url.replace(PASSWORD_PLACE, quote(_secret(environ, "REDIS_PASSWORD", "the password of Redis"), safe=""))
    # The parser's own message may quote a part of the password: a '/' in it ends the host part early.
    malformed = SettingError(f"{name} is not {BROKER_FORM}: percent-encode special characters in the password")
    try:
        parts = urlsplit(url)
        port = DEFAULT_BROKER_PORT if parts.port is None else parts.port
    except ValueError:
        raise malformed from None
    database = unquote(parts.path).removeprefix("/")
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not port:
        raise malformed
    if parts.fragment or (database and not database.isdecimal()):
        raise malformed
    return Broker(url=url, host=parts.hostname, port=port)


def _absence(environ: Mapping[str, str], name: str) -> str:
    """Say in what way a variable that holds nothing is absent."""
    return "empty" if name in environ else "not set"


def _absent(environ: Mapping[str, str], name: str, meaning: str) -> SettingError:
    """Return the fault of an absent variable, which may only have the wrong name."""
    if name.startswith("DATABASE_"):
        for suffix in ("", "_FILE"):
            wrong = "DB_" + name.removeprefix("DATABASE_") + suffix
            if wrong in environ:
                return SettingError(f"{wrong} is set, but this application reads {name}{suffix}: rename it")
    return SettingError(f"{name} is {_absence(environ, name)}: set it to {meaning}")


def _required(environ: Mapping[str, str], name: str, meaning: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise _absent(environ, name, meaning)
    return value


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip()
    if not value:
        misnamed = "DB_" + name.removeprefix("DATABASE_")
        if environ.get(misnamed):
            message = f"{misnamed} is set, but this application reads {name}: rename it"
            raise SettingError(message)
        return default
    # isdecimal alone would take digits of other scripts.
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= LAST_PORT):
        message = f"{name} is {value!r}: set it to a port number from 1 to {LAST_PORT}"
        raise SettingError(message)
    return int(value)


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= LARGEST_COUNT):
        message = f"{name} is {value!r}: set it to a number from 1 to {LARGEST_COUNT}"
        raise SettingError(message)
    return int(value)


def _secret(environ: Mapping[str, str], name: str, meaning: str) -> str:
    """Return NAME's value or, preferably, the content of the file that NAME_FILE names."""
    file_name = f"{name}_FILE"
    path = environ.get(file_name)
    if not path:
        if value := environ.get(name):
            return value
        fault = _absent(environ, name, meaning)
        if name not in environ and str(fault).startswith(name):
            fault = SettingError(f"{file_name} is {_absence(environ, file_name)}: set it to a file with {meaning}")
        raise fault
    try:
        value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        fix = "mount the secret there, readable by this user"
        message = f"{file_name} is {path!r}, which cannot be read ({error.strerror}): {fix}"
        raise SettingError(message) from None
    except UnicodeDecodeError:
        message = f"{file_name} is {path!r}, which is not UTF-8 text: write the secret as text"
        raise SettingError(message) from None
    if not value:
        message = f"{file_name} is {path!r}, which is empty: put {meaning} into it"
        raise SettingError(message)
    return value
