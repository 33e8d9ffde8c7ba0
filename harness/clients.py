"""Real clients in the test process: PyMySQL and redis-py, from either side of the tunnel.

They dial from inside the namespace that a probe shares with web's gateway, to 10.100.0.11, or from inside services'
own, to the backend itself. Where a namespace cannot be entered (a remote engine, another user) they connect to a port
of the host's loopback, from which the probe relays inside.
"""

from __future__ import annotations

import errno
import functools
import reprlib
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pymysql
import redis as redis_client
from pymysql.constants import CR
from pymysql.cursors import Cursor
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness import namespaces, witness
from harness.budgets import ANSWER_TIMEOUT, CONNECT_TIMEOUT
from harness.deployment import Deployment, Endpoint
from harness.looks.application import unproven

TRANSFER_TIMEOUT = 60.0
"""Seconds for one answer when values of many megabytes cross a tunnel in user space."""

FAILURES = (pymysql.MySQLError, redis_client.RedisError)
"""What the libraries raise of a backend that is not well."""

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


class NotConnected(Exception):  # noqa: N818 (what each client calls an error is its other base)
    """A client could not connect from where it dialled; the cause is what connect(2) said."""

    @property
    def number(self) -> int:
        """The cause's number (errno(3))."""
        return (self.__cause__.errno if isinstance(self.__cause__, OSError) else None) or errno.EIO


class MariaDBNotConnected(NotConnected, pymysql.OperationalError):
    """PyMySQL's own error for it."""


class RedisNotConnected(NotConnected, redis_client.ConnectionError):
    """redis-py's own error for it."""


Dial = Callable[[str, int], socket.socket]
"""Connects to an address and a port, or raises `OSError`."""


class _MariaDBConnection(pymysql.Connection):
    """A connection that is dialled by a function, where there is one, also when it is made anew."""

    def __init__(self, dial: Dial | None, **options: Any) -> None:
        self._dial = dial
        super().__init__(**options)

    def connect(self, sock: socket.socket | None = None) -> None:
        """Connect and log in, as PyMySQL's own connection does."""
        if sock is None and self._dial is not None:
            try:
                sock = self._dial(self.host, self.port)
            except OSError as error:
                said = f"Can't connect to MySQL server on {self.host!r} ({error})"
                raise MariaDBNotConnected(CR.CR_CONN_HOST_ERROR, said) from error
        super().connect(sock)

    def _create_ssl_ctx(self, options: Mapping[str, object]) -> ssl.SSLContext:
        # Where no proof is asked for, PyMySQL reads all authorities for each connection even so: 30 ms of a core.
        context: ssl.SSLContext = super()._create_ssl_ctx(options) if options else unproven()  # type: ignore[misc]
        return context


class _RedisConnection(redis_client.Connection):
    """A connection that is dialled by a function, where there is one."""

    def __init__(self, dial: Dial | None, **options: Any) -> None:
        self._dial = dial
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        if self._dial is None:
            relayed: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
            return relayed
        try:
            dialled = self._dial(self.host, self.port)
        except OSError as error:
            raise RedisNotConnected(f"Error connecting to {self.host}:{self.port}. {error}") from error
        dialled.settimeout(self.socket_timeout)
        return dialled


class _Redis(redis_client.Redis):
    """A client that tells what it was asked and what was answered."""

    def __init__(self, side: str, pool: redis_client.ConnectionPool, *, single: bool) -> None:
        super().__init__(connection_pool=pool, single_connection_client=single)
        self.auto_close_connection_pool = True
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

    Raises `pymysql.MySQLError` as PyMySQL does, and of those `MariaDBNotConnected` where no relay is between.
    """
    environment = deployment.services.environment()
    dial = _dial(deployment, side)
    direct = Endpoint(host=mariadb_host(deployment, side), port=deployment.plan.mariadb_port)
    endpoint = direct if dial else deployment.relays(side).mariadb
    return _MariaDBConnection(
        dial,
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


def redis(
    deployment: Deployment, side: str, *, timeout: float = ANSWER_TIMEOUT, single: bool = False, **options: Any
) -> redis_client.Redis:
    """A new client with a fresh connection and no retries; `timeout` bounds each answer in seconds.

    `single`: it keeps to one connection, made at once. What a command cannot connect to raises as redis-py does, and
    `RedisNotConnected` where no relay is between.
    """
    dial = _dial(deployment, side)
    direct = Endpoint(host=redis_host(deployment, side), port=deployment.plan.redis_port)
    endpoint = direct if dial else deployment.relays(side).redis
    pool = redis_client.ConnectionPool(
        connection_class=_RedisConnection,
        dial=dial,
        host=endpoint.host,
        port=endpoint.port,
        password=deployment.redis_password,
        socket_connect_timeout=ANSWER_TIMEOUT,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    return _Redis(side, pool, single=single)


def _dial(deployment: Deployment, side: str) -> Dial | None:
    process = deployment.inside(side)
    return functools.partial(_connected, process) if process else None


def _connected(process: Path, address: str, port: int) -> socket.socket:
    connection = namespaces.dial(process, address, port, CONNECT_TIMEOUT)
    # As both clients have it where they dial themselves.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection
