"""Real clients in the test process: PyMySQL and redis-py, from either side of the tunnel.

They connect to a port of the host's loopback, which a probe relays from inside the namespace of web's gateway to
10.100.0.11, or from inside services' namespace to the backend itself.
"""

from __future__ import annotations

import functools
import reprlib
from typing import Any

import pymysql
import redis as redis_client
from pymysql.cursors import Cursor
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness import witness
from harness.budgets import ANSWER_TIMEOUT
from harness.deployment import Deployment

TRANSFER_TIMEOUT = 60.0
"""Seconds for one answer when values of many megabytes cross a tunnel in user space."""


_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = _BRIEFLY.maxother = 200  # characters: what is sent may be megabytes


class _Cursor(Cursor):
    """A cursor that tells what it was asked and what was answered."""

    def __init__(self, side: str, connection: pymysql.Connection[Any]) -> None:
        super().__init__(connection)
        self._side = side

    def execute(self, query: str, args: object = None) -> int:
        """Send a statement, as PyMySQL's own cursor does."""
        asked = f"MariaDB from {self._side}: {_BRIEFLY.repr(query)}"
        try:
            count: int = super().execute(query, args)
        except pymysql.MySQLError as error:
            witness.tell(asked, error)
            raise
        witness.tell(asked, f"{count} rows: {_BRIEFLY.repr(getattr(self, '_rows', None))}")
        return count


class _Redis(redis_client.Redis):
    """A client that tells what it was asked and what was answered."""

    def __init__(self, side: str, **options: Any) -> None:
        super().__init__(**options)
        self._side = side

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 (whatever Redis answers)
        """Send a command, as redis-py's own client does."""
        asked = f"Redis from {self._side}: {' '.join(map(_BRIEFLY.repr, args))}"
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis_client.RedisError as error:
            witness.tell(asked, error)
            raise
        witness.tell(asked, _BRIEFLY.repr(answer))
        return answer


def mariadb_host(deployment: Deployment, side: str) -> str:
    """The address by which a side knows MariaDB."""
    return str({"web": deployment.plan.tunnel_services.ip, "services": deployment.plan.mariadb}[side])


def redis_host(deployment: Deployment, side: str) -> str:
    """The address by which a side knows Redis."""
    return str({"web": deployment.plan.tunnel_services.ip, "services": deployment.plan.redis}[side])


def mariadb(
    deployment: Deployment, side: str, *, password: str | None = None, timeout: float = ANSWER_TIMEOUT, **options: Any
) -> pymysql.Connection[Any]:
    """A new connection, logged in as the application; `timeout` bounds each answer in seconds.

    Raises `pymysql.MySQLError` as PyMySQL does.
    """
    environment = deployment.services.environment()
    endpoint = deployment.access(side).mariadb
    return pymysql.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=environment["DATABASE_USER"],
        password=deployment.credentials.db_password if password is None else password,
        database=environment["DATABASE_NAME"],
        charset="utf8mb4",
        connect_timeout=ANSWER_TIMEOUT,
        read_timeout=timeout,
        write_timeout=timeout,
        **{"cursorclass": functools.partial(_Cursor, side)} | options,
    )


def redis(deployment: Deployment, side: str, *, timeout: float = ANSWER_TIMEOUT, **options: Any) -> redis_client.Redis:
    """A new client with a fresh connection and no retries; `timeout` bounds each answer in seconds."""
    endpoint = deployment.access(side).redis
    return _Redis(
        side,
        host=endpoint.host,
        port=endpoint.port,
        password=deployment.redis_password,
        socket_connect_timeout=ANSWER_TIMEOUT,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
