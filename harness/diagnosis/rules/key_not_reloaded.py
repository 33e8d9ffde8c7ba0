"""A running gateway uses another key than its file has: one of them was changed, and the other not."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.model import Hop

_PAIR = "its key pair"
_NONE = "(none)"  # what `wg show` says of a key that is not loaded, which is no old one


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    gateway = end.gateway
    if gateway.interface is None:
        return
    for meaning, in_file, in_use, lines in _compared(end):
        if in_file and in_file != in_use and not (in_use == _NONE and meaning == _PAIR):
            evidence = (f"{gateway.service}: {meaning} in the file is {in_file}", *lines)
            dead = None if facts.is_dead(end) else frozenset[str]()
            yield Case(node=gateway.service, evidence=evidence, paths=dead, values={"meaning": meaning})


def _compared(end: End) -> Iterator[tuple[str, str | None, str, tuple[str, ...]]]:
    """Each key by its meaning: as the file has it, as it is in use, and where the latter is seen."""
    gateway = end.gateway
    interface = gateway.interface
    assert interface is not None  # noqa: S101 (looked at by the caller)
    own = gateway.private_key_file
    yield (
        _PAIR,
        own.public if own else None,
        interface.public_key,
        (gateway.dump_line(interface.public_key),),
    )
    peers = {peer.public_key for peer in interface.peers}
    public = gateway.secret_file(PEER_PUBLIC_KEY_FILE)
    told = public.content if public and not public.fault else None
    if told and peers and told not in peers:
        shown = tuple(map(gateway.dump_line, sorted(peers)))
        yield "its peer's public key", told, "another", shown
    preshared = gateway.preshared_key_file
    if told in peers and preshared and not preshared.fault:
        yield "its preshared key", preshared.seal, gateway.preshared_seal(str(told)), (gateway.dump_line(str(told)),)


RULES = (
    Rule(
        id="key-not-reloaded",
        title="The key in use is not the one in the file",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause=(
            "{meaning} in the file of {node} is not the one in use: the file was changed and not loaded since, or the "
            "interface by hand"
        ),
        remedy="docker compose up -d --force-recreate {node}, together with whatever shares its namespace",
    ),
)
