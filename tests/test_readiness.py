from __future__ import annotations

from pathlib import Path

import pytest

from harness.readiness import is_promising

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS_MARIADB = "   0: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1\n"
LISTENS_ELSEWHERE = "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1\n"
CONNECTS_MARIADB = "   1: 0500650A:0CEA 0200650A:9C40 01 00000000:00000000 00:00000000 00000000   999        0 1 1\n"
CONNECTED_REDIS = "   1: 0600650A:9C40 0400650A:18EB 01 00000000:00000000 00:00000000 00000000   999        0 1 1\n"


@pytest.fixture
def process(tmp_path: Path) -> Path:
    """A process's directory under /proc, of a container in which nothing has begun yet."""
    net = tmp_path / "net"
    net.mkdir()
    for name in ("tcp", "tcp6"):
        (net / name).write_text(HEAD, encoding="ascii")
    (net / "dev").write_text("Inter-|   Receive\n    lo:     0\n  eth0:     0\n", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("service", "file", "line", "promising"),
    [
        ("mariadb", "tcp", LISTENS_MARIADB, True),
        ("mariadb", "tcp6", LISTENS_MARIADB, True),
        ("mariadb", "tcp", LISTENS_ELSEWHERE, False),
        ("mariadb", "tcp", CONNECTS_MARIADB, False),
        ("celery", "tcp", CONNECTED_REDIS, True),
        ("celery", "tcp", LISTENS_MARIADB, False),
        ("web", "tcp", LISTENS_ELSEWHERE, True),
        ("wireguard-web", "dev", "   wg0:     0\n", True),
        ("wireguard-web", "dev", "  wg01:     0\n", False),
    ],
)
def test_a_check_is_worth_making_when_its_socket_or_interface_is_there(
    process: Path, service: str, file: str, line: str, *, promising: bool
) -> None:
    assert not is_promising(service, process)
    with (process / "net" / file).open("a", encoding="ascii") as table:
        table.write(line)
    assert is_promising(service, process) is promising


def test_where_nothing_can_be_seen_the_check_decides(tmp_path: Path) -> None:
    """A remote engine, or a service that nobody knows: asked each time. One that has ended has nothing to ask."""
    assert is_promising("mariadb", None)
    assert is_promising("something", tmp_path)
    assert not is_promising("mariadb", tmp_path / "ended")
