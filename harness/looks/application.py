"""Takes each backend that an application is told of step by step, as the application does; says how far it came.

Reads only; a connection to MariaDB is always carried through its handshake, so that it never counts as an error.
Run as a program, inside the application's container, it prints that of its own `Place`: so it needs nothing but Python
and PyMySQL, and imports little, as each import is paid for by every application at every look. Where the application's
namespaces can be entered, whoever imports it has a `Place` that reaches into them (`harness.trying`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import sys
import time
from threading import Thread
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

TYPE_CHECKING = False  # as typing has it, which need not be imported for it
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from io import BufferedReader
    from typing import Any

BULK = 4000  # bytes: more than fits into one packet of any tunnel
_ATTEMPTS = 3  # at a connection, one after the other while none is answered
DEFAULT_DATABASE_PORT, DEFAULT_BROKER_PORT = 3306, 6379

PASSWORD_PLACE = "${REDIS_PASSWORD}"  # noqa: S105 (where the application puts the password)

Report = dict[str, "Any"]


class Place:
    """Where an application lives: its variables, files, names and network; here those of this very process.

    Its variables have two more: `PROBE_CONNECT_TIMEOUT` and `PROBE_ANSWER_TIMEOUT`, in seconds.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.connect_timeout, self.answer_timeout = (
            float(environment[f"PROBE_{each}_TIMEOUT"]) for each in ("CONNECT", "ANSWER")
        )

    def read(self, path: str) -> str:
        """What is in a text file; raises `OSError`."""
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib is one of those imports)
            return file.read()

    def address(self, host: str) -> str:
        """The IPv4 address of a host; raises `OSError`, as getaddrinfo(3) does, where it has none."""
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])

    def connect(self, address: str, port: int) -> socket.socket:
        """A TCP connection; raises `OSError`."""
        return connection(address, port, self.connect_timeout)

    def trust(self, authorities: str | None) -> ssl.SSLContext:
        """TLS with whoever proves itself by the authorities in a file, or by those that are believed here."""
        import ssl  # noqa: PLC0415 (most applications need none, and it takes a while)

        return ssl.create_default_context(cafile=authorities)


def connection(address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection by several attempts, of which the first that is answered counts; raises `OSError`.

    So a path that loses some packets is soon told from one that loses all: a first packet that is lost is sent again
    only after a second (RFC 6298). `timeout` is in seconds, for all attempts together.
    """
    answered = select.poll()
    attempts: dict[int, socket.socket] = {}
    try:
        while len(attempts) < _ATTEMPTS:
            attempt = socket.socket()
            attempts[attempt.fileno()] = attempt
            attempt.settimeout(0)
            _raise(attempt.connect_ex((address, port)), but=errno.EINPROGRESS)
            answered.register(attempt, select.POLLOUT)
            for number, _ in answered.poll(timeout / _ATTEMPTS * 1000)[:1]:
                _raise(attempts[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                return attempts.pop(number)
    finally:
        for attempt in attempts.values():
            attempt.close()
    raise TimeoutError("timed out")


def _raise(code: int, *, but: int = 0) -> None:
    if code not in (0, but):
        raise OSError(code, os.strerror(code))


def unproven() -> ssl.SSLContext:
    """TLS with whoever answers, by a first packet that is small whichever OpenSSL this is.

    From 3.5 on it offers a key of 1,216 bytes besides (X25519MLKEM768), so that a path that carries nothing large would
    fail at the login already, and nobody could tell which it is.
    """
    import ssl  # noqa: PLC0415 (as above)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ecdh_curve("prime256v1")
    return context


class StepError(Exception):
    """A step that failed; the cause says how."""


def run(steps: Callable[[Report], None]) -> Report:
    """Take the steps; `reached` lists those that were passed, `failed` is the one that was not."""
    report: Report = {"reached": []}
    started = time.monotonic()
    try:
        steps(report)
    except StepError as error:
        cause = error.__cause__
        number = next((link.errno for link in chain(cause) if isinstance(link, OSError) and link.errno), None)
        code = cause.args[0] if cause is not None and cause.args and isinstance(cause.args[0], int) else None
        timed_out = any(isinstance(link, TimeoutError) for link in chain(cause))
        report |= {"failed": str(error), "errno": number, "code": code, "timed_out": timed_out, "said": str(cause)}
        report["kind"] = type(cause).__name__
    report["seconds"] = round(time.monotonic() - started, 3)
    return report


def chain(error: BaseException | None) -> list[BaseException]:
    """An exception and what brought it about."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def step(report: Report, name: str, action: Callable[[], Any]) -> Any:  # noqa: ANN401 (whatever the step gives)
    """Take one step."""
    try:
        result = action()
    except Exception as error:
        raise StepError(name) from error
    report["reached"].append(name)
    return result


def dialled(place: Place, report: Report, host: str, port: int) -> socket.socket:
    """Resolve and connect."""
    report |= {"host": host, "port": port}
    address = report["address"] = step(report, "resolve", lambda: place.address(host))
    connection: socket.socket = step(report, "connect", lambda: place.connect(address, port))
    connection.settimeout(place.answer_timeout)
    return connection


def setting(place: Place, report: Report, name: str) -> str:
    """A variable that has to be there."""
    value = place.environment.get(name, "").strip()
    if not value:
        report["setting"] = name
        raise StepError("setting")
    return value


def password(place: Place, name: str) -> str:
    """A password, from the file that `name`_FILE names, or from the environment."""
    path = place.environment.get(f"{name}_FILE")
    return place.read(path).rstrip("\r\n") if path else place.environment.get(name, "")


def database(place: Place, report: Report) -> None:
    """Log in to MariaDB, have it answer, carry more than one packet both ways, and list what is granted."""
    import pymysql  # noqa: PLC0415 (an image without it is told apart from one in which nothing works)

    class Connection(pymysql.Connection):
        # PyMySQL asks for no proof unless it is told to, and reads all authorities for each connection even so.
        def _create_ssl_ctx(self, _options: object) -> ssl.SSLContext:
            return unproven()

    host, name, user = (setting(place, report, f"DATABASE_{each}") for each in ("HOST", "NAME", "USER"))
    secret = step(report, "password", lambda: password(place, "DATABASE_PASSWORD"))
    port = step(report, "port", lambda: int(place.environment.get("DATABASE_PORT") or DEFAULT_DATABASE_PORT))
    transport = dialled(place, report, host, port)
    connection = Connection(
        user=user,
        password=secret,
        database=name,
        defer_connect=True,
        connect_timeout=place.answer_timeout,
        read_timeout=place.answer_timeout,
        write_timeout=place.answer_timeout,
    )
    try:
        step(report, "login", lambda: connection.connect(transport))
        with connection.cursor() as cursor:

            def ask(query: str, *values: object) -> Any:  # noqa: ANN401 (rows)
                cursor.execute(query, values or None)
                return cursor.fetchall()

            step(report, "answer", lambda: ask("SELECT 1"))
            if int(ask("SELECT @@global.read_only")[0][0]):
                report["read_only"] = "@@global.read_only is 1"
            # What follows IDENTIFIED is the password's hash.
            report["grants"] = [
                row[0].partition(" IDENTIFIED")[0] for row in step(report, "grants", lambda: ask("SHOW GRANTS"))
            ]
            step(report, "bulk down", lambda: ask("SELECT REPEAT('x', %s)", BULK))
            step(report, "bulk up", lambda: ask("SELECT LENGTH(%s)", "x" * BULK))
    finally:
        if connection.open:
            connection.close()
        transport.close()


class RedisReplyError(Exception):
    """What Redis answers instead of a result, in its own words: first comes its code, such as WRONGPASS."""


class Redis:
    """The few commands of a look, in Redis's own protocol (RESP).

    To import the client library takes longer than all else here together, for each application and each look.
    """

    def __init__(self, transport: socket.socket, answers: BufferedReader) -> None:
        self._transport = transport
        self._answers = answers

    def ask(self, *words: str) -> str:
        """Send a command; returns its answer, or raises `RedisReplyError`."""
        encoded = [word.encode() for word in words]
        arguments = b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in encoded)
        self._transport.sendall(b"*%d\r\n%b" % (len(encoded), arguments))
        return self._answer()

    def setting(self, name: str) -> str:
        """What Redis is told by its configuration; empty where it does not say."""
        count = int(self.ask("CONFIG", "GET", name))
        return [self._answer() for _ in range(count)][-1] if count else ""

    def _answer(self) -> str:
        line = self._answers.readline()
        kind, rest = line[:1], line[1:].decode(errors="replace").strip()
        match kind:
            case b"+" | b":" | b"*":
                return rest  # of a list its length
            case b"-":
                raise RedisReplyError(rest)
            case b"$":
                return self._answers.read(int(rest) + len("\r\n")).decode().removesuffix("\r\n")
            case b"":
                message = "the connection was closed"
                raise ConnectionError(message)
        message = f"this is no answer of Redis: {line[:40]!r}"
        raise ValueError(message)


def secured(place: Place, transport: socket.socket, parts: SplitResult) -> socket.socket:
    """The connection in TLS, as the options of a `rediss://` URL want it."""
    asked = dict(parse_qsl(parts.query))
    blind = asked.get("ssl_cert_reqs", "").lower() in {"none", "cert_none"}
    context = unproven() if blind else place.trust(asked.get("ssl_ca_certs"))
    return context.wrap_socket(transport, server_hostname=parts.hostname)


def broker(place: Place, report: Report) -> None:
    """Have Redis answer a PING, after the login that the URL asks for, and an ECHO of more than one packet."""
    url = place.environment.get("CELERY_BROKER_URL") or setting(place, report, "REDIS_URL")
    if PASSWORD_PLACE in url:  # where the application puts in what a file holds
        secret = step(report, "password", lambda: password(place, "REDIS_PASSWORD"))
        url = url.replace(PASSWORD_PLACE, quote(secret, safe=""))
    parts = step(report, "url", lambda: urlsplit(url))
    transport = dialled(place, report, parts.hostname or "", parts.port or DEFAULT_BROKER_PORT)
    try:
        if parts.scheme == "rediss":
            transport = step(report, "tls", lambda: secured(place, transport, parts))
        with transport.makefile("rb") as answers:
            redis = Redis(transport, answers)
            step(report, "answer", lambda: greet(redis, parts))
            # The steps tell who may not ask, and who is silent.
            with contextlib.suppress(RedisReplyError, OSError, ValueError):
                report["read_only"] = read_only(redis)
            step(report, "bulk up", lambda: redis.ask("ECHO", "x" * BULK))
    finally:
        transport.close()


def read_only(redis: Redis) -> str:
    """Why Redis takes no writes, in its own words; empty when it does."""
    lines = (line.partition(":") for line in redis.ask("INFO").splitlines())
    info = {name: value for name, _, value in lines}
    if info.get("role") == "slave":
        return "INFO says role:slave"
    used, limit, policy = (info.get(name, "") for name in ("used_memory", "maxmemory", "maxmemory_policy"))
    if policy == "noeviction" and 0 < int(limit) <= int(used):
        return f"INFO says used_memory:{used} maxmemory:{limit} maxmemory_policy:{policy}"
    if info.get("aof_enabled") == "1" and info.get("aof_last_write_status") == "err":
        return "INFO says aof_last_write_status:err"
    if info.get("rdb_last_bgsave_status") == "err" and refuses_after_failed_save(redis):
        return "INFO says rdb_last_bgsave_status:err, with stop-writes-on-bgsave-error"
    return ""


def refuses_after_failed_save(redis: Redis) -> bool:
    """Whether Redis is told to take no writes when it could not save itself to its disk."""
    return all(redis.setting(name) not in {"", "no"} for name in ("stop-writes-on-bgsave-error", "save"))


def greet(redis: Redis, parts: SplitResult) -> str:
    """Log in where the URL has a password, choose its database, and have a PING answered."""
    if parts.password:
        redis.ask("AUTH", *(unquote(word) for word in (parts.username, parts.password) if word))
    if number := parts.path.strip("/"):
        redis.ask("SELECT", number)
    return redis.ask("PING")


def forward(target: str) -> Callable[[Place, Report], None]:
    """Connect to a port that the gateway forwards and no setting names."""
    host, _, port = target.partition(":")
    return lambda place, report: dialled(place, report, host, int(port)).close()


def tried(place: Place) -> dict[str, Report]:
    """Try everything at once."""
    steps: dict[str, Callable[[Place, Report], None]] = {"database": database, "broker": broker}
    steps |= {target: forward(target) for target in place.environment.get("PROBE_FORWARDS", "").split()}
    found: dict[str, Report] = {}

    def keep(name: str) -> None:
        try:
            found[name] = run(lambda report: steps[name](place, report))
        except Exception as error:  # noqa: BLE001 (whatever stops a probe is reported too)
            found[name] = {"reached": [], "failed": "probe", "said": f"{type(error).__name__}: {error}"}

    threads = [Thread(target=keep, args=(name,)) for name in steps]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return {name: found[name] for name in steps}


if __name__ == "__main__":
    json.dump(tried(Place(os.environ)), sys.stdout)
