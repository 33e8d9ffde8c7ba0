"""Redis serves web through the tunnel exactly as it serves services next to it.

Every test is made on both routes with redis-py: `web` dials 10.100.0.11:6379, which the gateways forward, and
`services` dials Redis itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
import redis

from harness import clients
from harness.budgets import ANSWER_TIMEOUT, CLIENT_LISTED, EXPIRY
from harness.clients import TRANSFER_TIMEOUT
from harness.deployment import Deployment
from harness.waiting import wait_until

OTHER = {"web": "services", "services": "web"}

CLIENTS = 50
COMMANDS = 10_000
MESSAGES = 500
LARGE_VALUE = 16 * 1024 * 1024
BLPOP_SECONDS = 15.0
"""What ends a BLPOP that is never served."""

BINARY = {
    "every byte": bytes(range(256)),
    "nothing": b"",
    "the protocol's own line ends": b"\r\n$5\r\n*2\r\n\r\n",
    "null bytes": b"\0\0a\0",
    "no UTF-8": b"\xff\xfe\xc3\x28",
    "UTF-8": "Grüße, 世界 🚇".encode(),
}

Connect = Callable[..., redis.Redis]


@pytest.fixture(params=["web", "services"], ids=["through-the-tunnel", "directly"])
def side(request: pytest.FixtureRequest) -> str:
    """Whose route to Redis is taken."""
    return str(request.param)


@pytest.fixture
def prefix(deployment: Deployment) -> Iterator[str]:
    """What each key of the test begins with; such keys, and no others, are removed at the end."""
    mark = f"scenario:{uuid4().hex}:"
    yield mark
    with clients.redis(deployment, "services", timeout=TRANSFER_TIMEOUT) as cleaner:
        if left := list(cleaner.scan_iter(match=f"{mark}*", count=1000)):
            cleaner.unlink(*left)


@pytest.fixture
def connect(deployment: Deployment, prefix: str) -> Iterator[Connect]:  # noqa: ARG001 (it outlives the clients)
    """Make clients of a side, each with a connection of its own; all are closed at the end, before keys are removed."""
    with ExitStack() as closing:

        def connected(side: str, **options: Any) -> redis.Redis:
            client = clients.redis(deployment, side, **options)
            closing.callback(client.close)
            return client

        yield connected


@pytest.fixture
def client(connect: Connect, side: str) -> redis.Redis:
    """A client on the route under test."""
    return connect(side)


def test_redis_answers_ping(client: redis.Redis) -> None:
    """Redis answers PING with PONG, and an ECHO with what it was sent."""
    assert client.ping() is True
    assert client.echo("through and back") == b"through and back"


def test_each_route_is_the_one_it_claims_to_be(deployment: Deployment, connect: Connect) -> None:
    """Redis sees web's clients come from the services gateway and services' own from services."""
    came_from = {side: str(connect(side).client_info()["addr"]).partition(":")[0] for side in OTHER}

    assert came_from == {side: str(deployment.plan.seen_by_redis(side)) for side in OTHER}


def test_both_routes_end_at_the_same_redis(deployment: Deployment, connect: Connect) -> None:
    """Both routes lead to one and the same server process, that of the Redis container."""
    servers = {side: connect(side).info("server") for side in OTHER}
    own = deployment.redis_cli("INFO", "server")

    assert servers["web"]["run_id"] == servers["services"]["run_id"]
    assert f"run_id:{servers['web']['run_id']}" in own.split()


@pytest.mark.parametrize("value", BINARY.values(), ids=BINARY.keys())
def test_a_value_comes_back_byte_for_byte(
    connect: Connect, client: redis.Redis, side: str, prefix: str, value: bytes
) -> None:
    """What SET stores GET returns unchanged, whatever bytes it is made of, on the same route and on the other."""
    key = f"{prefix}value".encode() + value  # keys are binary-safe as well
    assert client.get(key) is None

    assert client.set(key, value) is True

    assert client.get(key) == value
    assert connect(OTHER[side]).get(key) == value


def test_a_key_expires(connect: Connect, prefix: str) -> None:
    """A key that is set with a time to live is there until then, and gone afterwards for the other route too."""
    sides = {side: connect(side) for side in OTHER}
    for side, client in sides.items():
        client.set(f"{prefix}{side}:lasting", "stays")
        client.set(f"{prefix}{side}", "goes", px=1500)
        assert client.get(f"{prefix}{side}") == b"goes"
        assert 0 < client.pttl(f"{prefix}{side}") <= 1500

    for side, client in sides.items():
        wait_until(
            f"the key that {OTHER[side]} set to expire",
            lambda client=client, side=side: client.exists(f"{prefix}{OTHER[side]}"),  # type: ignore[misc]
            lambda found: found == 0,
            within=EXPIRY,
        )
        assert client.get(f"{prefix}{OTHER[side]}") is None
        assert client.get(f"{prefix}{OTHER[side]}:lasting") == b"stays"


def test_a_pipeline_of_ten_thousand_commands_is_answered_in_order(connect: Connect, side: str, prefix: str) -> None:
    """10,000 commands in one pipeline get 10,000 answers, each to its own command."""
    client = connect(side, timeout=TRANSFER_TIMEOUT)
    pipeline = client.pipeline(transaction=False)
    for number in range(COMMANDS // 2):
        pipeline.set(f"{prefix}{number}", f"value {number}")
        pipeline.get(f"{prefix}{number}")
    assert len(pipeline) == COMMANDS

    answers = pipeline.execute()

    assert answers[0::2] == [True] * (COMMANDS // 2)
    assert answers[1::2] == [f"value {number}".encode() for number in range(COMMANDS // 2)]


def test_a_transaction_is_all_or_nothing(connect: Connect, client: redis.Redis, side: str, prefix: str) -> None:
    """A watched key that the other route has changed makes the transaction fail, and nothing of it is done."""
    watched, written = f"{prefix}watched", f"{prefix}written"
    client.set(watched, "before")

    with client.pipeline(transaction=True) as transaction:
        transaction.watch(watched)  # type: ignore[no-untyped-call]
        connect(OTHER[side]).set(watched, "changed meanwhile")
        transaction.multi()
        transaction.set(written, "never")
        with pytest.raises(redis.WatchError):
            transaction.execute()

    assert client.exists(written) == 0
    assert client.get(watched) == b"changed meanwhile"


def test_messages_are_delivered_to_the_other_side_in_order(connect: Connect, side: str, prefix: str) -> None:
    """What one side publishes reaches the other side's subscriber complete and in order."""
    publisher, channel = connect(side), f"{prefix}channel"
    expected = [f"message {number}".encode() for number in range(MESSAGES)]

    with connect(OTHER[side]).pubsub() as subscription:  # type: ignore[no-untyped-call]
        assert publisher.publish(channel, "nobody listens yet") == 0
        subscription.subscribe(channel)
        confirmed = subscription.get_message(timeout=ANSWER_TIMEOUT)
        assert confirmed is not None
        assert confirmed["type"] == "subscribe"

        assert [publisher.publish(channel, message) for message in expected] == [1] * MESSAGES

        received = [subscription.get_message(timeout=ANSWER_TIMEOUT) for _ in expected]
    assert [message and message["data"] for message in received] == expected


def test_blpop_waits_for_a_push_from_the_other_side(connect: Connect, side: str, prefix: str) -> None:
    """BLPOP blocks on an empty list until the other side pushes, and returns just that."""
    queue, name = f"{prefix}queue", f"{prefix}waiting"
    waiting = connect(side, client_name=name, timeout=TRANSFER_TIMEOUT)
    pusher = connect(OTHER[side])

    with ThreadPoolExecutor(max_workers=1) as pool:
        popped = pool.submit(waiting.blpop, [queue], timeout=BLPOP_SECONDS)
        wait_until(
            "Redis to list the client as blocked",
            lambda: [(each["cmd"], each["flags"]) for each in pusher.client_list() if each["name"] == name],
            lambda found: found == [("blpop", "b")],
            within=CLIENT_LISTED,
        )
        assert not popped.done()

        assert pusher.rpush(queue, "work") == 1

        assert popped.result(timeout=BLPOP_SECONDS) == (queue.encode(), b"work")
    assert pusher.exists(queue) == 0


def test_blpop_of_a_list_that_stays_empty_gives_up(client: redis.Redis, prefix: str) -> None:
    """BLPOP with a time-out returns nothing when nobody pushes, and its connection is of use afterwards."""
    assert client.blpop([f"{prefix}never"], timeout=0.5) is None
    assert client.ping() is True


def test_a_value_of_16_mib_comes_back_byte_for_byte(connect: Connect, side: str, prefix: str) -> None:
    """A value of 16 MiB is stored and read back unchanged, on the same route and on the other."""
    value = random.Random(side).randbytes(LARGE_VALUE)  # noqa: S311 (nothing secret: the same bytes in every run)
    client, other = (connect(each, timeout=TRANSFER_TIMEOUT) for each in (side, OTHER[side]))
    key = f"{prefix}large"

    assert client.set(key, value) is True

    assert client.strlen(key) == LARGE_VALUE
    for reader in (client, other):
        returned = reader.get(key)
        assert isinstance(returned, bytes)
        assert sha256(returned).hexdigest() == sha256(value).hexdigest()


def test_fifty_clients_are_served_at_once(connect: Connect, side: str, prefix: str) -> None:
    """50 clients hold a connection each at the same time, all are answered, and none lingers once it is closed."""
    name, counter, watcher = f"{prefix}crowd", f"{prefix}counter", connect("services")
    crowd = [connect(side, client_name=name, timeout=TRANSFER_TIMEOUT) for _ in range(CLIENTS)]

    def present() -> int:
        return sum(each["name"] == name for each in watcher.client_list())

    with ThreadPoolExecutor(max_workers=CLIENTS) as pool:
        places = list(pool.map(lambda client: client.incr(counter), crowd))
        assert present() == CLIENTS
        again = list(pool.map(lambda client: client.get(counter), crowd))

    assert sorted(places) == list(range(1, CLIENTS + 1))
    assert again == [str(CLIENTS).encode()] * CLIENTS
    for client in crowd:
        client.close()
    wait_until("Redis to see all 50 leave", present, lambda count: count == 0, within=CLIENT_LISTED)


def test_both_routes_give_equal_answers(connect: Connect, prefix: str) -> None:
    """The same commands have the same answers on both routes: values, types, nothing, and errors to the letter."""
    answers = {side: _session(connect(side), prefix, own=f"{prefix}{side}:") for side in OTHER}

    assert answers["web"] == answers["services"]
    assert any(isinstance(answer, str) and answer.startswith("error: ") for answer in answers["web"])


def _session(client: redis.Redis, prefix: str, *, own: str) -> list[object]:
    """Run a fixed session on keys that begin with `own`, and return every answer, errors as text."""
    commands: list[tuple[str | bytes | int | float, ...]] = [
        ("SET", f"{own}text", BINARY["every byte"]),
        ("GET", f"{own}text"),
        ("GETRANGE", f"{own}text", 10, 20),
        ("GET", f"{own}absent"),
        ("INCRBYFLOAT", f"{own}number", "10.125"),
        ("TYPE", f"{own}number"),
        ("RPUSH", f"{own}list", "a", "b", "c"),
        ("LRANGE", f"{own}list", 0, -1),
        ("HSET", f"{own}hash", "field", "value", "empty", ""),
        ("HMGET", f"{own}hash", "field", "empty", "absent"),
        ("ZADD", f"{own}scores", "1.5", "low", "2.5", "high"),
        ("ZRANGE", f"{own}scores", 0, -1, "WITHSCORES"),
        ("XADD", f"{own}stream", "1-1", "field", "value"),
        ("XRANGE", f"{own}stream", "-", "+"),
        ("LPUSH", f"{own}text", "not a list"),
        ("INCR", f"{own}text"),
        ("GET",),
        ("NO-SUCH-COMMAND", "a"),
        ("EVAL", "return {1, 'two', {3, false}}", 0),
        ("PTTL", f"{own}text"),
        ("DEL", f"{own}text", f"{own}absent"),
        ("CONFIG", "GET", "proto-max-bulk-len"),
    ]
    answers: list[object] = []
    for command in commands:
        try:
            answers.append(client.execute_command(*command))  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            answers.append(f"error: {error}".replace(own, prefix))
    return answers
