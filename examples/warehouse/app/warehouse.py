"""A page that counts its visits in Valkey and asks the ledger for its time: `warehouse.py PORT`."""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pymysql
import redis

PATIENCE = 3  # seconds


def ledger_time() -> str:
    """The time by the ledger's clock."""
    connection = pymysql.connect(
        host=os.environ["LEDGER_HOST"],
        user=os.environ["LEDGER_LOGIN"],
        password=Path(os.environ["LEDGER_PASSWORD_FILE"]).read_text(encoding="utf-8").strip(),
        database=os.environ["LEDGER_SCHEMA"],
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT NOW()")
        (now,) = cursor.fetchone()
    return str(now)


def visits() -> int:
    """How often anybody has asked, this time included."""
    with redis.Redis.from_url(os.environ["CACHE_URL"], socket_timeout=PATIENCE) as client:
        return int(client.incr("visits"))


class Page(BaseHTTPRequestHandler):
    """One page, whatever the path."""

    def do_GET(self) -> None:
        """Answer 200, or 503 with the reason."""
        try:
            status, text = HTTPStatus.OK, f"visit {visits()} at {ledger_time()}\n"
        except (pymysql.MySQLError, redis.RedisError) as error:
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Page).serve_forever()
