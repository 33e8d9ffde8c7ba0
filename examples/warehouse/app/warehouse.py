"""A page that counts its visits in Valkey and writes them into the ledger: `warehouse.py PORT`.

`warehouse.py prepare` makes the ledger's table, once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import redis
from pymysql.cursors import Cursor

PATIENCE = 3  # seconds


@contextmanager
def ledger() -> Iterator[Cursor]:
    """A connection to the ledger; what is done in the block is kept.

    Where it is comes in three variables, or as one URL.
    """
    url = urlsplit(os.environ.get("LEDGER_URL", ""))
    connection = pymysql.connect(
        host=url.hostname or os.environ["LEDGER_HOST"],
        user=url.username or os.environ["LEDGER_LOGIN"],
        password=Path(os.environ["LEDGER_PASSWORD_FILE"]).read_text(encoding="utf-8").strip(),
        database=url.path.strip("/") or os.environ["LEDGER_SCHEMA"],
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor


def prepare() -> None:
    """Make the table, where there is none yet."""
    with ledger() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visits (at TIMESTAMP(6) NOT NULL)")


def written() -> str:
    """Write a visit down; returns when the first one was."""
    with ledger() as cursor:
        cursor.execute("INSERT INTO visits VALUES (NOW(6))")
        cursor.execute("SELECT MIN(at) FROM visits")
        (first,) = cursor.fetchone()
    return str(first)


def visits() -> int:
    """How often anybody has asked, this time included."""
    with redis.Redis.from_url(os.environ["CACHE_URL"], socket_timeout=PATIENCE) as client:
        return int(client.incr("visits"))


class Page(BaseHTTPRequestHandler):
    """One page, whatever the path."""

    def do_GET(self) -> None:
        """Answer 200, or 503 with the reason."""
        try:
            status, text = HTTPStatus.OK, f"visit {visits()}, the first was at {written()}\n"
        except (pymysql.MySQLError, redis.RedisError) as error:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare()
    else:
        ThreadingHTTPServer(("", int(sys.argv[1])), Page).serve_forever()
