"""What an application's own look says of Redis, in Redis's own protocol: the very program that runs in its container.

The real Redis is behind the scenarios; here are the answers that it gives on bad days, and what is no Redis at all.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from harness import command
from harness.certificates import Authority
from harness.looks import application

from .conftest import ROOT

LOOK = ROOT / "harness" / "looks" / "application.py"
FULL = "used_memory:2000\nmaxmemory:1000\nmaxmemory_policy:noeviction"
Commands = list[list[str]]
Answer = Callable[[list[str]], bytes]


def test_all_steps_are_taken() -> None:
    """With a password, a user and a database of its own: it logs in, asks, and carries more than one packet."""
    with redis_that(healthy) as (port, commands):
        seen = look(f"redis://celery:w%2Frd@127.0.0.1:{port}/3")
    assert seen["reached"] == ["url", "resolve", "connect", "answer", "bulk up"]
    assert "failed" not in seen
    assert commands[:3] == [["AUTH", "celery", "w/rd"], ["SELECT", "3"], ["PING"]]
    assert commands[3:] == [["INFO"], ["ECHO", "x" * 4000]]
    assert seen["read_only"] == ""


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("role:slave", "INFO says role:slave"),
        (FULL, "INFO says used_memory:2000 maxmemory:1000 maxmemory_policy:noeviction"),
        (f"{FULL}\nused_memory:999", ""),
        (f"{FULL}\nmaxmemory:0", ""),
        (f"{FULL}\nmaxmemory_policy:allkeys-lru", ""),
        ("aof_enabled:1\naof_last_write_status:err", "INFO says aof_last_write_status:err"),
        ("aof_enabled:0\naof_last_write_status:err", ""),
        ("rdb_last_bgsave_status:err", "INFO says rdb_last_bgsave_status:err, with stop-writes-on-bgsave-error"),
        ("maxmemory:?\nmaxmemory_policy:noeviction", None),
    ],
)
def test_why_no_writes_are_taken_is_told(info: str, said: str | None) -> None:
    """A replica, one whose memory is full, one that cannot write to its disk; and none that can help itself."""
    with redis_that(lambda words: bulk(info.replace("\n", "\r\n")) if words[0] == "INFO" else healthy(words)) as (
        port,
        _commands,
    ):
        seen = look(f"redis://127.0.0.1:{port}")
    assert seen["reached"][-1] == "bulk up"
    assert seen.get("read_only") == said


@pytest.mark.parametrize(("setting", "value"), [("stop-writes-on-bgsave-error", "no"), ("save", "")])
def test_a_failed_save_alone_is_no_reason(setting: str, value: str) -> None:
    """Redis that does not save, or takes writes all the same, takes them."""

    def answer(words: list[str]) -> bytes:
        if words[0] == "INFO":
            return bulk("rdb_last_bgsave_status:err")
        return b"*2\r\n" + bulk(setting) + bulk(value) if words[-1] == setting else healthy(words)

    with redis_that(answer) as (port, _commands):
        assert look(f"redis://127.0.0.1:{port}")["read_only"] == ""


@pytest.mark.parametrize(
    "said",
    [
        "NOAUTH Authentication required.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOPERM this user has no permissions to run the 'ping' command",
        "LOADING Redis is loading the dataset in memory",
        "ERR max number of clients reached",
    ],
)
def test_a_refusal_is_told_in_its_own_words(said: str) -> None:
    """The rules go by Redis's own code, which comes first."""
    with redis_that(lambda _words: f"-{said}\r\n".encode()) as (port, _commands):
        seen = look(f"redis://127.0.0.1:{port}")
    assert (seen["failed"], seen["said"], seen["kind"]) == ("answer", said, "RedisReplyError")


def test_who_may_not_ask_for_the_role_is_not_ill() -> None:
    """An account without the right to INFO answers all the rest."""
    with redis_that(lambda words: b"-NOPERM no\r\n" if words[0] == "INFO" else healthy(words)) as (port, _commands):
        assert look(f"redis://127.0.0.1:{port}")["reached"][-1] == "bulk up"


@pytest.mark.parametrize(
    ("answer", "kind"), [(b"", "ConnectionError"), (b"5.5.5-MariaDB\n", "ValueError")], ids=["hangs up", "another"]
)
def test_what_is_no_redis_is_told(answer: bytes, kind: str) -> None:
    """Another service, or one that hangs up, is no answer."""
    with redis_that(lambda _words: answer) as (port, _commands):
        seen = look(f"redis://127.0.0.1:{port}")
    assert (seen["failed"], seen["kind"], seen["timed_out"]) == ("answer", kind, False)


def test_silence_is_a_time_out() -> None:
    """What accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seen = look(f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert (seen["failed"], seen["timed_out"]) == ("answer", True)


def test_tls_is_spoken_where_the_url_asks_for_it(tmp_path: Path) -> None:
    """By `rediss://`, with the authority that the URL names, or with none where it wants no proof."""
    authority = Authority()
    issued = authority.issue("127.0.0.1")
    ours, theirs = tmp_path / "ca.pem", tmp_path / "redis.pem"
    ours.write_text(authority.certificate, encoding="ascii")
    theirs.write_text(issued.certificate + issued.key, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs)
    steps = ["url", "resolve", "connect", "tls", "answer", "bulk up"]
    seen = [look_in_tls(context, query) for query in (f"ssl_ca_certs={ours}", "ssl_cert_reqs=none", "")]
    assert [each["reached"] for each in seen] == [steps, steps, steps[:3]]
    assert (seen[-1]["failed"], seen[-1]["kind"]) == ("tls", "SSLCertVerificationError")


def test_a_lost_first_packet_is_not_waited_for() -> None:
    """A further attempt joins in long before the kernel would send the first one's packet again, after a second."""
    with deaf_server() as (listening, port), ThreadPoolExecutor(max_workers=1) as pool:
        trying = pool.submit(application.connection, "127.0.0.1", port, 0.9)
        assert wait([trying], timeout=0.1).not_done  # the first packet has been lost
        listening.accept()[0].close()
        with trying.result() as connected:
            assert connected.getpeername() == ("127.0.0.1", port)


def test_silence_is_a_time_out_and_leaves_nothing_open() -> None:
    """All attempts together take no longer than was asked, and none of them stays."""
    with deaf_server() as (_listening, port):
        before, began = set(Path("/proc/self/fd").iterdir()), time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            application.connection("127.0.0.1", port, 0.3)
        assert time.monotonic() - began < 1
        assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_port_nobody_listens_on_refuses_at_once() -> None:
    """With connect(2)'s own error, as the doctor's rules know it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        application.connection("127.0.0.1", port, 30)


@contextlib.contextmanager
def deaf_server() -> Iterator[tuple[socket.socket, int]]:
    """A server whose queue is full, so that the kernel drops each further client's first packet; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield listening, port


def look_in_tls(context: ssl.SSLContext, query: str) -> dict[str, Any]:
    """What is printed of a server that speaks TLS only."""
    with redis_that(healthy, context) as (port, _commands):
        return look(f"rediss://127.0.0.1:{port}/0?{query}")


def look(url: str) -> dict[str, Any]:
    """What the program prints of the broker at a URL."""
    environment = {"PROBE_CONNECT_TIMEOUT": "1", "PROBE_ANSWER_TIMEOUT": "0.5", "CELERY_BROKER_URL": url}
    done = command.run([sys.executable, str(LOOK)], env=environment, timeout=30)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    assert found["database"]["failed"] == "setting"
    return found["broker"]


def bulk(text: str) -> bytes:
    """A text as Redis sends it."""
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())


def healthy(words: list[str]) -> bytes:
    """What a Redis that is well answers."""
    match words:
        case ["PING"]:
            return b"+PONG\r\n"
        case ["INFO"]:
            return bulk("# Memory\r\nmaxmemory:0\r\n\r\n# Replication\r\nrole:master\r\n")
        case ["CONFIG", "GET", name]:
            return b"*2\r\n" + bulk(name) + bulk("yes")
        case ["ECHO", text]:
            return bulk(text)
    return b"+OK\r\n"


@contextlib.contextmanager
def redis_that(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, Commands]]:
    """A server for one client that answers each command; an empty answer hangs up. Yields its port and what came."""
    commands: Commands = []

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as accepted:
            connection = context.wrap_socket(accepted, server_side=True) if context else accepted
            with connection, connection.makefile("rb") as incoming:
                while header := incoming.readline():
                    words = []
                    for _ in range(int(header[1:])):
                        size = int(incoming.readline()[1:])
                        words.append(incoming.read(size + 2)[:-2].decode())
                    commands.append(words)
                    if not (said := answer(words)):
                        return
                    connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1], commands
        finally:
            thread.join(timeout=10)
    assert not thread.is_alive()
