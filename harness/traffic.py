"""A steady load of real queries through the tunnel, of which each is counted, and each that fails.

Four clients ask as web does: one that keeps its connection and one that makes a new one for each query, of MariaDB and
of Redis. A packet that is lost on a connection that is open is sent again after 0.2 s and delays its query; a lost
SYN is sent again only after 1 s, when the client has given up. So the clients that keep a connection tell whether
connections survive, and the others whether anything was lost at all.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pymysql
import redis as redis_client

from harness import clients
from harness.deployment import Deployment
from harness.errors import DeploymentError, HarnessError, WaitTimeoutError
from harness.model import Budget
from harness.nodes import Node
from harness.waiting import pause, wait_until

_PACE = 0.02  # seconds between an answer and the next query of the same client
_FAILURES = (*clients.FAILURES, HarnessError, OSError)
_ROUND = Budget(seconds=20, reason="a client that is cut off learns it within 2.5 s, and asks again at once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query: who asked, when (seconds since the load began), and what went wrong, None for nothing."""

    client: str
    began: float
    ended: float
    error: str | None

    def __str__(self) -> str:
        return f"{self.client}, from {self.began:.2f} to {self.ended:.2f} s: {self.error or 'answered'}"


class Load:
    """The queries of a load that runs or has ended."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._started = time.monotonic()
        self._names = names
        self._queries: list[Query] = []
        self._over = threading.Event()
        self._ended: float | None = None

    def __str__(self) -> str:
        lost = Counter(query.client for query in self.failed())
        by_client = ", ".join(f"{name} {lost[name]}" for name in self._names if lost[name])
        return (
            f"{len(self.queries())} queries, of which {lost.total()} failed{by_client and f' ({by_client})'}; "
            f"longest without an answer {self.longest_silence():.2f} s"
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._started

    def queries(self) -> tuple[Query, ...]:
        """All queries that have ended, in that order."""
        return tuple(self._queries)

    def failed(self) -> tuple[Query, ...]:
        """All queries that have failed."""
        return tuple(query for query in self.queries() if query.error is not None)

    def longest_silence(self) -> float:
        """The longest that any client has been without an answer, in seconds: up to now, or to the end of the load."""
        longest, end = 0.0, self.elapsed if self._ended is None else self._ended
        for name in self._names:
            answers = [query.ended for query in self.queries() if query.client == name and query.error is None]
            longest = max([longest, *(later - earlier for earlier, later in itertools.pairwise([*answers, end]))])
        return longest

    def everyone_asks(self) -> None:
        """Wait until each client has asked once more from now on, and has had its answer or has failed."""
        self._wait("no client to be without another try", lambda _query: True, _ROUND)

    def everyone_is_answered(self, *, within: Budget) -> None:
        """Wait until each client has had an answer to something it asks from now on."""
        self._wait("no client to be without an answer", lambda query: query.error is None, within)

    def _wait(self, wanted: str, counts: Callable[[Query], bool], within: Budget) -> None:
        now = self.elapsed

        def without() -> set[str]:
            return set(self._names) - {query.client for query in self.queries() if query.began > now and counts(query)}

        try:
            wait_until(wanted, without, lambda still: not still, within)
        except WaitTimeoutError as error:
            message = f"{error}\nso far: {self}"
            raise WaitTimeoutError(message) from error

    def _ask(self, name: str, client: _Client) -> None:
        """Ask until the load is over; whatever happens is one query's failure."""
        with contextlib.closing(client):
            while not self._over.is_set():
                began, error = self.elapsed, None
                try:
                    client.ask()
                except _FAILURES as failure:
                    error = f"{type(failure).__name__}: {failure}"
                    client.close()
                self._queries.append(Query(client=name, began=began, ended=self.elapsed, error=error))
                pause(_PACE)

    @contextlib.contextmanager
    def _running(self, made: dict[str, _Client]) -> Iterator[None]:
        with ThreadPoolExecutor(max_workers=len(made), thread_name_prefix="load") as pool:
            asking: list[Future[None]] = []
            try:
                asking += [pool.submit(self._ask, name, client) for name, client in made.items()]
                yield
            finally:
                self._over.set()
                self._ended = self.elapsed
                for ended in asking:
                    ended.result()


class _Client:
    """Keeps a connection or makes one for each query; a connection that has failed is never used again."""

    def __init__(self, deployment: Deployment, *, keep: bool) -> None:
        self._deployment = deployment
        self._keep = keep
        self._asked = 0

    def ask(self) -> None:
        """Ask for what only the answer to this query can be; raises what the client raises, or `DeploymentError`."""
        self._asked += 1
        answer = self._answer(self._asked)
        if answer != self._asked:
            message = f"the answer to {self._asked} is {answer!r}"
            raise DeploymentError(message)
        if not self._keep:
            self.close()

    def close(self) -> None:
        """End the connection, if there is one."""
        raise NotImplementedError

    def _answer(self, number: int) -> object:
        raise NotImplementedError


class _MariaDB(_Client):
    _connection: pymysql.Connection[pymysql.cursors.Cursor] | None = None

    def _answer(self, number: int) -> object:
        if self._connection is None:
            self._connection = clients.mariadb(self._deployment, "web")
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            (row,) = cursor.fetchall()
        return row[0]

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*_FAILURES):
                connection.close()


class _Redis(_Client):
    _connection: redis_client.Redis | None = None

    def _answer(self, number: int) -> object:
        if self._connection is None:
            self._connection = clients.redis(self._deployment, "web", single=True)
        return int(self._connection.echo(str(number)))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*_FAILURES):
                connection.close()


class Pings:
    """Echo requests that are sent every 10 ms, each packet on its own: nothing is ever sent again."""

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self._log = f"/tmp/{name}.log"  # noqa: S108 (inside the container)

    def answered(self) -> set[int]:
        """The numbers of those that have been answered."""
        seen = self._node.run("cat", self._log, user="0").stdout
        return {int(number) for number in re.findall(r"bytes from .* icmp_seq=(\d+) ", seen)}

    def lost(self) -> set[int]:
        """The numbers of those that have not, though a later one has."""
        answered = self.answered()
        return set(range(1, max(answered, default=0))) - answered

    def __str__(self) -> str:
        return f"{len(self.lost())} of {max(self.answered(), default=0)} packets lost"


@contextlib.contextmanager
def pings(deployment: Deployment) -> Iterator[Pings]:
    """Send packets from web's namespace through the tunnel while the block runs, for 30 s at most.

    When the block starts, the first has been answered, and when it has ended, the last. Raises `WaitTimeoutError` when
    they are not.
    """
    node, name = deployment.probe_web, f"pings-{secrets.token_hex(8)}"
    sending = f"ping -n -i 0.01 -c 3000 {deployment.plan.tunnel_services.ip}"
    script = f"echo $$ > /tmp/{name}.pid; exec {sending} > /tmp/{name}.log"
    running = Pings(node, name)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pings") as pool:
        ended = pool.submit(node.run, "sh", "-c", script, user="0")
        try:
            wait_until("the first ping to be answered", running.answered, bool, _ROUND)
            yield running
            already = max(running.answered())
            wait_until("a last ping to be answered", lambda: max(running.answered()), lambda now: now > already, _ROUND)
        finally:
            node.run("sh", "-c", f"kill -INT $(cat /tmp/{name}.pid)", user="0")
            ended.result()


@contextlib.contextmanager
def load(deployment: Deployment, *, fresh: bool = True) -> Iterator[Load]:
    """Ask through the tunnel while the block runs, by clients that keep a connection and, if `fresh`, others too.

    When the block starts, each client has been answered. Raises `WaitTimeoutError` when one is not.
    """
    made: dict[str, _Client] = {
        "MariaDB on one connection": _MariaDB(deployment, keep=True),
        "Redis on one connection": _Redis(deployment, keep=True),
    }
    if fresh:
        made |= {
            "MariaDB on a new connection": _MariaDB(deployment, keep=False),
            "Redis on a new connection": _Redis(deployment, keep=False),
        }
    running = Load(tuple(made))
    with running._running(made):  # noqa: SLF001 (the one who starts it)
        running.everyone_is_answered(within=_ROUND)
        yield running
