"""What is looked at on this machine at the end of a session, where an engine may be anything, and `ip` be BusyBox's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from harness import residue
from harness.engine import Engine, client_at

LEFT = '[{"ifname": "br-0123456789ab", "addr_info": [{"local": "10.101.7.1", "prefixlen": 24}]}]'
RULE = "-A POSTROUTING -s 10.101.7.0/24 ! -o br-0123456789ab -j MASQUERADE"

Program = Callable[[str, str], None]


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A way to make programs, which are found first; those that there are otherwise find nothing."""

    def make(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(residue, "_daemons", lambda: [7])
    make("ip", "echo '[]'")
    make("iptables-save", "true")
    return make


def looked() -> tuple[list[str], list[str]]:
    """What is found, and what is said of what cannot be seen; the engine has no network."""
    unseen: list[str] = []
    engine = cast("Engine", SimpleNamespace(networks=list))
    return list(residue._on_this_machine(engine, unseen.append)), unseen


def test_what_an_engine_left_is_told(program: Program) -> None:
    """A bridge and a rule of a network that is gone, each with the command that removes it."""
    program("ip", f"case $* in *master*) echo '[]' ;; *) echo '{LEFT}' ;; esac")
    program("iptables-save", f"echo '*nat'; echo '{RULE}'")
    found, unseen = looked()
    assert [line.partition(": ")[2] for line in found] == [
        "ip link delete br-0123456789ab",
        f"iptables -t nat {RULE.replace('-A', '-D')}",
    ]
    assert unseen == []


def test_what_cannot_be_seen_is_said_and_nothing_is_left(program: Program) -> None:
    """BusyBox's `ip` knows no JSON, and iptables-save refuses tables that nft has made: each is a sentence."""
    program("ip", "echo 'ip: unrecognized option: json' >&2; echo 'BusyBox v1.36 multi-call binary.' >&2; exit 1")
    program("iptables-save", "echo 'table nat is incompatible' >&2; exit 1")
    found, unseen = looked()
    assert found == []
    asked = "ip -json -4 address show type bridge"
    assert unseen == [
        f"whether bridges are left cannot be told: `{asked}` fails (ip: unrecognized option: json)",
        "whether iptables rules are left cannot be told: `iptables-save` fails (table nat is incompatible)",
    ]


@pytest.mark.parametrize(
    "printed", ["1: br0: <UP>", '{"ifname": 3}', '[{"ifname": "br-0123456789ab", "addr_info": [{}]}]']
)
def test_what_is_no_list_of_interfaces_is_said(program: Program, printed: str) -> None:
    """An `ip` that takes the option and prints something else all the same."""
    program("ip", f"echo '{printed}'")
    found, unseen = looked()
    assert found == []
    assert len(unseen) == 1
    assert unseen[0].startswith("whether bridges are left cannot be told: ")


def test_another_engines_bridge_is_nobodys_to_delete(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two engines on one machine neither knows the other's networks, in which deployments may be alive."""
    monkeypatch.setattr(residue, "_daemons", lambda: [7, 8])
    program("ip", f"echo '{LEFT}'")
    program("iptables-save", f"echo '*nat'; echo '{RULE}'")
    found, unseen = looked()
    assert found == []
    assert unseen == [
        "bridges and iptables rules were not looked at: of several Docker engines here (7, 8) any has its own"
    ]


@pytest.mark.parametrize("handed_on", [False, True], ids=["the engine's own", "handed on"])
def test_a_socket_that_is_handed_on_is_no_engine_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed_on: object
) -> None:
    """By `ssh -nNT -L` an engine is reached as one here is; its interfaces are elsewhere, and those here another's."""
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(residue, "_has_net_admin", lambda: True)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(residue, "_daemons", lambda: [] if handed_on else [os.getpid()])
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        client = client_at(f"unix://{path}")
        assert residue._listener(Engine(client)) == os.getpid()
        assert residue._is_here(Engine(client)) is not handed_on
        client.close()


def test_an_engine_is_known_by_its_name_and_its_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of simulated servers are on this machine, too, and have networks of their own."""
    for number, name, network in (
        ("1", "init", "a"),
        ("20", "dockerd", "a"),
        ("30", "dockerd", "b"),
        ("self", "x", "a"),
    ):
        (tmp_path / number / "ns").mkdir(parents=True)
        (tmp_path / number / "comm").write_text(f"{name}\n", encoding="ascii")
        (tmp_path / f"network-{network}").touch()
        (tmp_path / number / "ns" / "net").symlink_to(tmp_path / f"network-{network}")
    monkeypatch.setattr(residue, "_PROC", tmp_path)
    assert residue._daemons() == [20]


def test_what_cannot_be_seen_is_said_once_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it was looked while something was on its way out."""
    looks = iter((["volume x is left"], []))

    def look(_engine: Engine, unseen: Callable[[str], object]) -> list[str]:
        unseen("whether bridges are left cannot be told: why")
        return next(looks)

    monkeypatch.setattr("harness.engine.Engine.connect", lambda: None)
    monkeypatch.setattr("harness.lifecycle.sweep", lambda *_, **__: 0)
    monkeypatch.setattr(residue, "look", look)
    said: list[str] = []
    assert residue.settle(say=said.append) == []
    assert said == ["whether bridges are left cannot be told: why"]
