"""Every setting that the gateways and the applications read, and which of them they cannot do without."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from harness.addresses import MARIADB_PORT, REDIS_PORT
from harness.diagnosis.roles import Role
from harness.redaction import REMOVED
from harness.vocabulary import (
    APP_REQUIRED,
    APP_SETTINGS,
    DATABASE_URL,
    GATEWAY_REQUIRED,
    GATEWAY_SETTINGS,
    URL_PARTS,
)

PRIVATE_KEY_FILE = "WG_PRIVATE_KEY_FILE"
PRESHARED_KEY_FILE = "WG_PRESHARED_KEY_FILE"
PEER_PUBLIC_KEY_FILE = "WG_PEER_PUBLIC_KEY_FILE"

_EITHER = {
    Role.GATEWAY: (("WG_PEER_PUBLIC_KEY_FILE", "WG_PEER_PUBLIC_KEY"),),
    Role.APP: (("DATABASE_PASSWORD_FILE", "DATABASE_PASSWORD"), ("CELERY_BROKER_URL", "REDIS_URL")),
}
_REQUIRED = {Role.GATEWAY: GATEWAY_REQUIRED, Role.APP: APP_REQUIRED}
_KNOWN = {Role.GATEWAY: GATEWAY_SETTINGS, Role.APP: APP_SETTINGS}
_ALIKE = 0.8  # how alike two names have to be to be one that was misspelt (difflib's ratio)
_ENDS_ALIKE = 0.6  # the same of what follows their first word, of which there is less


def backend_ports(environment: Mapping[str, str]) -> dict[str, int]:
    """At which port an application was told that its `database` and its `broker` are; their own where it was not."""
    text = environment.get("DATABASE_PORT") or ""
    url = broker_url(environment)
    return {
        "database": int(text) if text.isdecimal() else MARIADB_PORT,
        "broker": (url and url.port) or REDIS_PORT,
    }


def broker_url(environment: Mapping[str, str]) -> SplitResult | None:
    """Where an application was told that Redis is; None when it was not told, or not so that it can be read."""
    url = environment.get("CELERY_BROKER_URL") or environment.get("REDIS_URL") or ""
    url = url.replace(REMOVED, "removed")  # brackets mean an IPv6 address in a URL
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def is_of_redis(url: SplitResult) -> bool:
    """Whether the application made here takes it for a URL of Redis (compose/app/website/environment.py)."""
    database = unquote(url.path).removeprefix("/")
    is_redis = url.scheme in {"redis", "rediss"} and url.port != 0 and not url.fragment
    return is_redis and (not database or database.isdecimal())


def is_of_wg_quick(environment: Mapping[str, str]) -> bool:
    """Whether a gateway was told by a `wg0.conf`, which wg-quick(8) wants to be called so: its key is in it too."""
    return environment.get(PRIVATE_KEY_FILE, "").endswith(".conf")


def missing(role: Role, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The settings that are not there, or empty; of those that can replace each other the first is named."""
    names = [name for name in _REQUIRED.get(role, ()) if not environment.get(name)]
    names += [group[0] for group in _EITHER.get(role, ()) if not any(environment.get(name) for name in group)]
    return tuple(names)


def amount_to(names: Iterable[str]) -> frozenset[str]:
    """The settings that those with these names say: a secret by its file, all of a database by its URL."""
    said = set(names)
    if DATABASE_URL in said:
        said.update(URL_PARTS)
    return frozenset(said | {f"{name}_FILE" for name in said})


def misnamed(role: Role, environment: Mapping[str, str]) -> dict[str, str]:
    """Names that nobody reads, with the name that must be meant: DB_ for DATABASE_, and misspellings."""
    known = _KNOWN.get(role, ())
    found = {}
    for name in environment:
        if name in (*known, DATABASE_URL):
            continue
        meant = "DATABASE_" + name.removeprefix("DB_")
        if role is Role.APP and name.startswith("DB_") and meant in known and not environment.get(meant):
            found[name] = meant
        elif role is Role.GATEWAY and name.startswith("WG_"):
            found[name] = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0)))
        elif role is Role.APP and (near := _near(name, known, environment)):
            found[name] = near
    return found


def _near(name: str, known: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """A setting that a name is a misspelling of; one that is there under its right name is not meant."""
    absent = [each for each in known if not environment.get(each)]
    if "DATABASE_HOST" in absent:  # else whatever is called alike has another purpose
        absent.append(DATABASE_URL)
    near = difflib.get_close_matches(name, absent, n=1, cutoff=_ALIKE)
    return near[0] if near and _ends_alike(name, near[0]) else None


def _ends_alike(name: str, other: str) -> bool:
    """Whether two names are alike in more than what they begin with: a DATABASE_POOL is no DATABASE_PORT."""
    (begin, _, end), (other_begin, _, other_end) = name.partition("_"), other.partition("_")
    return begin != other_begin or difflib.SequenceMatcher(None, end, other_end).ratio() >= _ENDS_ALIKE
