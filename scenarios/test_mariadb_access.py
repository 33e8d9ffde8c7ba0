"""MariaDB serves web through the tunnel exactly as it serves services next to it.

Every test is made on both routes with PyMySQL: `web` dials 10.100.0.11:3306, which the gateways forward, and
`services` dials MariaDB itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import uuid4

import pymysql
import pytest
from pymysql.constants import ER

from harness import clients
from harness.budgets import CLIENT_LISTED
from harness.clients import TRANSFER_TIMEOUT
from harness.deployment import Deployment
from harness.waiting import wait_until

OTHER = {"web": "services", "services": "web"}

CONNECTIONS = 50
WRONG_LOGINS = 5
LARGE_ROW = 8 * 1024 * 1024
LONG_RESULT = 50_000

TEXTS = {
    "emoji": "🚇 👩‍🔧 🇳🇱",
    "CJK": "隧道连接正常 トンネル 터널",
    "combining characters": "e\u0301 o\u0308 n\u0303 \u1100\u1161",
    "right to left": "נתיב مسار \u202babc\u202c",
    "beyond the basic plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈",
    "nothing": "",
}

AWKWARD = {
    "quotes": """ ' " ` '' \\' """,
    "a statement": "'; DROP TABLE jobs; -- ",
    "backslashes": "C:\\temp\\n\\0 \\",
    "placeholders": "%s %d %% {} ? :name",
    "control characters": "\0\x1a\r\n\t\x08",
    "comments": "/* */ -- # /*! SELECT 1 */",
}

Connection: TypeAlias = "pymysql.Connection[Any]"
Connect: TypeAlias = Callable[..., "Connection"]


@pytest.fixture(params=["web", "services"], ids=["through-the-tunnel", "directly"])
def side(request: pytest.FixtureRequest) -> str:
    """Whose route to MariaDB is taken."""
    return str(request.param)


@pytest.fixture
def scratch(deployment: Deployment) -> Iterator[str]:
    """The name of a table that the test alone uses; whatever the test did with it, it is gone at the end."""
    table = f"scratch_{uuid4().hex}"
    yield table
    with clients.mariadb(deployment, "services", timeout=TRANSFER_TIMEOUT) as cleaner:
        ask(cleaner, f"DROP TABLE IF EXISTS {table}")


@pytest.fixture
def connect(deployment: Deployment, scratch: str) -> Iterator[Connect]:  # noqa: ARG001 (it outlives the connections)
    """Log in from a side, each time with a new connection; all are closed at the end.

    That is before the scratch table is dropped, which a transaction left open would hold up.
    """
    with ExitStack() as closing:

        def connected(side: str, **options: Any) -> Connection:
            connection = clients.mariadb(deployment, side, **options)
            closing.callback(leave, connection)
            return connection

        yield connected


@pytest.fixture
def connection(connect: Connect, side: str) -> Connection:
    """A connection on the route under test; each statement is a transaction of its own."""
    return connect(side, autocommit=True)


@pytest.fixture
def other(connect: Connect, side: str) -> Connection:
    """A connection on the other route; each statement is a transaction of its own."""
    return connect(OTHER[side], autocommit=True)


def leave(connection: Connection) -> None:
    """Close a connection that may be closed already."""
    if connection.open:
        connection.close()


def ask(connection: Connection, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
    """Run one statement and return all its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return tuple(cursor.fetchall())


def test_the_server_greets_and_accepts_the_login(
    deployment: Deployment, connection: Connection, other: Connection
) -> None:
    """MariaDB greets with its version, accepts the application's login, and puts it into its database."""
    environment = deployment.services.environment()

    greeting = connection.get_server_info()  # type: ignore[no-untyped-call]
    (version, database, user), *_ = ask(connection, "SELECT VERSION(), DATABASE(), SUBSTRING_INDEX(USER(), '@', 1)")

    assert "MariaDB" in greeting
    assert greeting.removeprefix("5.5.5-") == version  # what MariaDB once put before it for old replicas
    assert greeting == other.get_server_info()  # type: ignore[no-untyped-call]
    assert (database, user) == (environment["DATABASE_NAME"], environment["DATABASE_USER"])


def test_each_route_is_the_one_it_claims_to_be(deployment: Deployment, connect: Connect) -> None:
    """MariaDB sees web's clients come from the services gateway and services' own from services."""
    came_from = {side: ask(connect(side), "SELECT SUBSTRING_INDEX(USER(), '@', -1)") for side in OTHER}

    assert came_from == {side: ((str(deployment.plan.seen_by_mariadb(side)),),) for side in OTHER}


def test_both_routes_end_at_the_same_mariadb(deployment: Deployment, connect: Connect) -> None:
    """Both routes lead to one and the same server, that of the MariaDB container."""
    hosts = {side: ask(connect(side), "SELECT @@hostname, @@server_uid") for side in OTHER}

    assert hosts["web"] == hosts["services"]
    assert hosts["web"][0][0] == deployment.mariadb.inspect()["Config"]["Hostname"]


def test_a_table_is_created_altered_and_dropped(connection: Connection, other: Connection, scratch: str) -> None:
    """The application may create, alter and drop tables, and the other route sees each step."""
    with pytest.raises(pymysql.ProgrammingError) as missing:
        ask(other, f"SELECT * FROM {scratch}")
    assert missing.value.args[0] == ER.NO_SUCH_TABLE

    ask(connection, f"CREATE TABLE {scratch} (id INT PRIMARY KEY)")
    assert columns(other, scratch) == {"id": "int(11)"}

    ask(connection, f"ALTER TABLE {scratch} ADD COLUMN note VARCHAR(40) NOT NULL DEFAULT 'none', ADD INDEX (note)")
    assert columns(other, scratch) == {"id": "int(11)", "note": "varchar(40)"}

    ask(connection, f"DROP TABLE {scratch}")
    with pytest.raises(pymysql.ProgrammingError) as dropped:
        ask(other, f"SELECT * FROM {scratch}")
    assert dropped.value.args[0] == ER.NO_SUCH_TABLE


def columns(connection: Connection, table: str) -> dict[str, str]:
    """Each column of a table with its type."""
    return {name: kind for name, kind, *_ in ask(connection, f"SHOW COLUMNS FROM {table}")}


def test_a_commit_is_seen_from_the_other_route(connect: Connect, other: Connection, side: str, scratch: str) -> None:
    """What a transaction writes is invisible to the other route until it commits, and visible from then on."""
    ask(other, f"CREATE TABLE {scratch} (id INT PRIMARY KEY, amount INT NOT NULL)")
    writer = connect(side, autocommit=False)

    ask(writer, f"INSERT INTO {scratch} VALUES (1, 10), (2, 20)")
    ask(writer, f"UPDATE {scratch} SET amount = amount + 1 WHERE id = 2")
    assert rows(other, scratch) == ()

    writer.commit()

    assert rows(other, scratch) == ((1, 10), (2, 21))


def test_a_rollback_leaves_nothing(connect: Connect, other: Connection, side: str, scratch: str) -> None:
    """What a transaction wrote before its rollback is gone for both routes, and what was there before is as it was."""
    ask(other, f"CREATE TABLE {scratch} (id INT PRIMARY KEY, amount INT NOT NULL)")
    ask(other, f"INSERT INTO {scratch} VALUES (1, 10)")
    writer = connect(side, autocommit=False)

    ask(writer, f"INSERT INTO {scratch} VALUES (2, 20)")
    ask(writer, f"UPDATE {scratch} SET amount = 0 WHERE id = 1")
    assert rows(writer, scratch) == ((1, 0), (2, 20))

    writer.rollback()

    assert rows(writer, scratch) == rows(other, scratch) == ((1, 10),)


def test_a_connection_that_ends_in_a_transaction_leaves_nothing(
    connect: Connect, other: Connection, side: str, scratch: str
) -> None:
    """A connection that closes without a commit leaves neither rows nor locks behind."""
    ask(other, f"CREATE TABLE {scratch} (id INT PRIMARY KEY, amount INT NOT NULL)")
    writer = connect(side, autocommit=False)
    ask(writer, f"INSERT INTO {scratch} VALUES (1, 10)")

    ask(other, "SET SESSION innodb_lock_wait_timeout = 0")
    with pytest.raises(pymysql.OperationalError) as locked:
        ask(other, f"INSERT INTO {scratch} VALUES (1, 99)")
    assert locked.value.args[0] == ER.LOCK_WAIT_TIMEOUT

    identity = writer.thread_id()  # type: ignore[no-untyped-call]
    writer.close()
    wait_until("the connection to be gone", lambda: alive(other, identity), lambda left: not left, within=CLIENT_LISTED)

    ask(other, f"INSERT INTO {scratch} VALUES (1, 99)")
    assert rows(other, scratch) == ((1, 99),)


def rows(connection: Connection, table: str) -> tuple[tuple[Any, ...], ...]:
    """All rows of a table, by its first column."""
    return ask(connection, f"SELECT * FROM {table} ORDER BY 1")


def alive(connection: Connection, *identities: int) -> set[int]:
    """Which of these connections the server still has."""
    return {identity for (identity,) in ask(connection, "SELECT ID FROM information_schema.PROCESSLIST")} & {
        *identities
    }


def test_text_comes_back_character_for_character(connection: Connection, other: Connection, scratch: str) -> None:
    """Text of any script is stored as utf8mb4 and comes back unchanged on the same route and on the other."""
    ask(connection, f"CREATE TABLE {scratch} (kind VARCHAR(40) PRIMARY KEY, content VARCHAR(200) NOT NULL)")

    for kind, text in TEXTS.items():
        ask(connection, f"INSERT INTO {scratch} VALUES (%s, %s)", kind, text)

    assert dict(rows(connection, scratch)) == dict(rows(other, scratch)) == TEXTS
    stored = ask(other, f"SELECT kind, HEX(content), CHAR_LENGTH(content) FROM {scratch}")
    assert sorted(stored) == sorted((kind, text.encode().hex().upper(), len(text)) for kind, text in TEXTS.items())


def test_a_parameter_is_only_ever_a_value(connection: Connection, other: Connection, scratch: str) -> None:
    """A value never becomes a part of the statement that it is given to, as a parameter or to a prepared one."""
    ask(
        connection,
        f"CREATE TABLE {scratch} (kind VARCHAR(40) PRIMARY KEY, content VARCHAR(200), prepared VARCHAR(200))",
    )
    ask(connection, f"PREPARE prepared FROM 'UPDATE {scratch} SET prepared = ? WHERE kind = ?'")

    for kind, text in AWKWARD.items():
        ask(connection, f"INSERT INTO {scratch} (kind, content) VALUES (%s, %s)", kind, text)
        ask(connection, "SET @kind = %s, @text = %s", kind, text)
        ask(connection, "EXECUTE prepared USING @text, @kind")
        assert ask(connection, f"SELECT kind FROM {scratch} WHERE content = %s", text) == ((kind,),)

    expected = sorted((kind, text, text) for kind, text in AWKWARD.items())
    assert sorted(rows(connection, scratch)) == sorted(rows(other, scratch)) == expected


def test_a_row_of_8_mib_comes_back_byte_for_byte(connect: Connect, side: str, scratch: str) -> None:
    """A row of 8 MiB is stored and read back unchanged, on the same route and on the other."""
    content = random.Random(side).randbytes(LARGE_ROW)  # noqa: S311 (nothing secret: the same bytes in every run)
    digest = sha256(content).hexdigest()
    writer, reader = (connect(each, timeout=TRANSFER_TIMEOUT, autocommit=True) for each in (side, OTHER[side]))
    ask(writer, f"CREATE TABLE {scratch} (content LONGBLOB NOT NULL)")

    ask(writer, f"INSERT INTO {scratch} VALUES (%s)", content)

    stored = ask(writer, f"SELECT LENGTH(content), SHA2(content, 256) FROM {scratch}")
    assert stored == ((LARGE_ROW, digest),)
    for each in (writer, reader):
        ((returned,),) = rows(each, scratch)
        assert sha256(returned).hexdigest() == digest


def test_a_long_result_arrives_complete_and_in_order(connect: Connect, side: str) -> None:
    """A result of 50,000 rows arrives complete, in order and unchanged."""
    connection = connect(side, timeout=TRANSFER_TIMEOUT)

    result = ask(
        connection,
        f"SELECT seq, SHA2(seq, 256), NULLIF(seq % 7, 0) FROM seq_1_to_{LONG_RESULT} ORDER BY seq DESC",
    )

    assert result == tuple(
        (number, sha256(str(number).encode()).hexdigest(), number % 7 or None) for number in range(LONG_RESULT, 0, -1)
    )


def test_values_keep_their_types(connection: Connection, other: Connection, scratch: str) -> None:
    """NULL, numbers to their limits, exact decimals, times to the microsecond and bytes come back as they were."""
    values = {
        "INT NULL": None,
        "BIGINT": -(2**63),
        "BIGINT UNSIGNED": 2**64 - 1,
        "DECIMAL(30, 10)": Decimal("12345678901234567890.0123456789"),
        "DOUBLE": 0.1 + 0.2,
        "BOOLEAN": 1,
        "DATE": date(9999, 12, 31),
        "DATETIME(6)": datetime(2025, 10, 4, 23, 59, 59, 999999),  # noqa: DTZ001 (the column's type knows no zone)
        "TIME(6)": -timedelta(hours=838, minutes=59, seconds=58, microseconds=1),
        "VARBINARY(256)": bytes(range(256)),
        "CHAR(3)": "a",
    }
    ask(connection, f"CREATE TABLE {scratch} ({', '.join(f'c{i} {kind}' for i, kind in enumerate(values))})")

    ask(connection, f"INSERT INTO {scratch} VALUES ({', '.join(['%s'] * len(values))})", *values.values())

    assert rows(connection, scratch) == rows(other, scratch) == (tuple(values.values()),)
    returned = rows(other, scratch)[0]
    assert [type(value) for value in returned] == [type(value) for value in values.values()]


def test_fifty_connections_are_served_at_once(connect: Connect, side: str) -> None:
    """50 connections are held at the same time, each gets its own answer, and none lingers once it is closed."""
    watcher = connect("services")
    with ThreadPoolExecutor(max_workers=CONNECTIONS) as pool:
        crowd = list(pool.map(lambda _: connect(side, timeout=TRANSFER_TIMEOUT), range(CONNECTIONS)))
        identities = [each.thread_id() for each in crowd]  # type: ignore[no-untyped-call]
        assert len(alive(watcher, *identities)) == CONNECTIONS

        answers = list(pool.map(lambda each: ask(each, "SELECT CONNECTION_ID(), %s", id(each)), crowd))

        assert answers == [((identity, id(each)),) for identity, each in zip(identities, crowd, strict=True)]
    for each in crowd:
        each.close()
    wait_until(
        "MariaDB to see all 50 leave", lambda: alive(watcher, *identities), lambda left: not left, within=CLIENT_LISTED
    )


@pytest.mark.parametrize("password", ["wrong", ""], ids=["wrong", "empty"])
def test_a_wrong_password_is_denied(connect: Connect, side: str, password: str) -> None:
    """A login with a wrong password is denied, time after time, and does not lock the account or the host."""
    connect(side)

    for _ in range(WRONG_LOGINS):
        with pytest.raises(pymysql.OperationalError) as denied:
            connect(side, password=password)
        assert denied.value.args[0] == ER.ACCESS_DENIED_ERROR

    assert ask(connect(side), "SELECT 1") == ((1,),)


@pytest.mark.parametrize("database", ["no_such_database", "mysql"], ids=["unknown", "the-server's-own"])
def test_a_foreign_database_is_refused(connection: Connection, database: str) -> None:
    """A database that is unknown, or not the application's, is refused, and the connection is of use afterwards."""
    with pytest.raises(pymysql.OperationalError) as refused:
        connection.select_db(database)
    # Whoever may see nothing but its own database is not even told whether another one exists.
    assert refused.value.args[0] == ER.DBACCESS_DENIED_ERROR

    assert ask(connection, "SELECT 1") == ((1,),)


def test_both_routes_give_equal_results(connect: Connect, scratch: str) -> None:
    """The same statements have the same results on both routes: rows, column names and types, and errors."""
    writer = connect("services", autocommit=True)
    ask(writer, f"CREATE TABLE {scratch} (id INT PRIMARY KEY, amount DECIMAL(9, 3), name VARCHAR(40), at DATETIME(3))")
    ask(writer, f"INSERT INTO {scratch} VALUES (1, 0.1, 'Zoë 🚇', NOW(3)), (2, NULL, NULL, NULL), (3, -5, '', 0)")

    results = {side: _session(connect(side), scratch) for side in OTHER}

    assert results["web"] == results["services"]
    assert results["web"][0][1] == 3  # the rows were seen at all
    assert [first for first, *_ in results["web"]].count("error") == 3


def _session(connection: Connection, table: str) -> list[tuple[object, ...]]:
    """Run a fixed session and return for each statement its columns, row count and rows, or its error."""
    statements = [
        f"SELECT * FROM {table} ORDER BY id",
        f"SELECT COUNT(*), SUM(amount), AVG(amount), MAX(at), GROUP_CONCAT(name) FROM {table}",
        f"SELECT a.id, b.id FROM {table} a LEFT JOIN {table} b ON b.id = a.id + 1 ORDER BY a.id",
        f"SELECT id FROM {table} WHERE name = 'zoe 🚇'",
        f"SHOW CREATE TABLE {table}",
        "SELECT @@character_set_client, @@collation_connection, @@sql_mode, @@time_zone, @@tx_isolation",
        "SELECT 1/3, 1e300 * 10, 0xff, 9223372036854775807, TRUE, NULL",
        "SHOW DATABASES",
        "SHOW GRANTS",
        f"SELECT absent FROM {table}",
        f"INSERT INTO {table} (id) VALUES (1)",
        "SELEKT 1",
    ]
    results: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for statement in statements:
            try:
                count = cursor.execute(statement)
                results.append((cursor.description, count, cursor.fetchall()))
            except pymysql.MySQLError as error:
                results.append(("error", *error.args))
    return results
