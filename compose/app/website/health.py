"""`/health/`: whether this application can use its database and its broker, right now."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql
import redis
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from website.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable

# A page never takes longer, whatever its checks do.
ANSWER_WITHIN = 2.6
# A check as young as this is shared, so that many requests at once cost one connection ...
SHARED_FOR = 0.5
# ... and of one backend no more than this many run, however many requests wait.
RUNNING_LIMIT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check found."""

    status: str
    latency_ms: float
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as `/health/` prints it."""
        answer: dict[str, Any] = {"status": self.status, "latency_ms": self.latency_ms}
        return answer if self.error is None else answer | {"error": self.error}


@dataclass(slots=True)
class Check:
    """Runs one probe in a thread of its own, on a fresh connection each time."""

    probe: Callable[[], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0
    _newest: Future[Verdict] = field(default_factory=Future)
    _started: float = float("-inf")

    def start(self) -> Future[Verdict]:
        """Return the verdict to come of a check that starts now, or has only just started."""
        now = time.monotonic()
        with self._lock:
            if self._running and (now - self._started < SHARED_FOR or self._running >= RUNNING_LIMIT):
                return self._newest
            self._newest, self._started = Future(), now
            self._running += 1
            # A daemon, because a check that hangs must not hold up the end of the process.
            threading.Thread(target=self._run, args=(self._newest,), daemon=True).start()
            return self._newest

    def _run(self, future: Future[Verdict]) -> None:
        started = time.monotonic()
        error = None
        try:
            self.probe()
        except Exception as failure:  # noqa: BLE001 - a check that crashes is a check that fails
            error = reason(failure)
        verdict = Verdict(status="failing" if error else "ok", latency_ms=_since(started), error=error)
        with self._lock:
            self._running -= 1
        future.set_result(verdict)


def check_database() -> None:
    """Log in to MariaDB as the application does, and have it answer a query."""
    database = settings.ENVIRONMENT.database
    connection = pymysql.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.name,
        connect_timeout=settings.CONNECT_TIMEOUT,
        read_timeout=settings.READ_TIMEOUT,
        write_timeout=settings.READ_TIMEOUT,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    finally:
        connection.close()


def check_broker() -> None:
    """Have Redis answer a PING, after the login that the broker's URL asks for."""
    client = redis.Redis.from_url(
        settings.ENVIRONMENT.broker.url,
        socket_connect_timeout=settings.CONNECT_TIMEOUT,
        socket_timeout=settings.READ_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    try:
        client.ping()
    finally:
        client.close()


CHECKS = {"database": Check(check_database), "broker": Check(check_broker)}


@never_cache
@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if every check is ok, else 503, and say which failed and why."""
    started = time.monotonic()
    running = {name: check.start() for name, check in CHECKS.items()}
    verdicts = {name: _verdict(future, started) for name, future in running.items()}
    well = all(verdict.status == "ok" for verdict in verdicts.values())
    answer = {"status": "ok" if well else "failing"} | {name: each.as_json() for name, each in verdicts.items()}
    return JsonResponse(answer, status=200 if well else 503)


def _verdict(future: Future[Verdict], started: float) -> Verdict:
    try:
        return future.result(timeout=max(0.0, started + ANSWER_WITHIN - time.monotonic()))
    except TimeoutError:
        return Verdict(status="failing", latency_ms=_since(started), error="timed out")


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
