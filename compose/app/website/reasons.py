"""Why a backend could not be used, in a few words that hold nothing secret."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pymysql
import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

# MariaDB's error codes that have a remedy of their own.
MARIADB = {
    1040: "too many connections",
    1044: "access to the database denied",
    1045: "login denied",
    1049: "unknown database",
    1129: "this host is blocked",
    1130: "this host is not allowed to connect",
    1142: "access to the table denied",
    1146: "table missing: not migrated yet",
    1698: "login denied",
}

UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EINVAL, errno.EACCES, errno.EPERM}


def reason(error: BaseException) -> str:
    """Return the first cause in the chain of an exception that can be put into words."""
    chain = list(_chain(error))
    for link in chain:
        if words := _words(link):
            return words
    return type(chain[0]).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _words(error: BaseException) -> str | None:  # noqa: PLR0911 - one line for each cause
    match error:
        case TimeoutError() | redis.TimeoutError():
            return "timed out"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case socket.gaierror():
            return "name cannot be resolved"
        case OSError(errno=number) if number in UNREACHABLE:
            return "network unreachable"
        case redis.AuthenticationError():
            return "password rejected"
        case redis.BusyLoadingError():
            return "loading"
        case pymysql.MySQLError(args=(int(code), *_)) if code in MARIADB:
            return MARIADB[code]
        case EOFError() | pymysql.InterfaceError():
            return "connection closed"
    return None
