"""A name does not resolve where it is asked for: a backend's of an application, the other end's of a gateway."""

from __future__ import annotations

from collections.abc import Iterator

from harness.addresses import is_address
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.names import unknown
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_KINDS = ("database", "broker")


def _subjects(facts: Facts) -> Iterator[Path | GatewayFacts]:
    yield from _over(facts)
    yield from (gateway for gateway in facts.gateways if facts.snapshot.static and gateway.initiates)


def _judge(facts: Facts, subject: Path | GatewayFacts) -> Iterator[Case]:
    return _when(facts, subject) if isinstance(subject, Path) else _when_endpoint(facts, subject)


def _when_endpoint(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    host = gateway.environment["WG_PEER_ENDPOINT"].rpartition(":")[0]
    evidence = unknown(facts, gateway, host) if host else None  # without a port there is no host, as another rule says
    if evidence:
        values = {
            "what": "the other end",
            "host": host,
            "setting": "WG_PEER_ENDPOINT",
            "instead": "the other end's name or address",
        }
        yield Case(node=gateway.service, evidence=(evidence,), values=values)


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.host and path.kind in _KINDS and not is_address(path.host)]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if facts.snapshot.static:
        evidence = unknown(facts, path.app, path.host or "")
        if evidence is None:
            return
    elif path.reach.failed == "resolve":
        evidence = f"{path.id}: {path.reach}"
    else:
        return
    instead = facts.back.wanted_address.ip if path.tunnelled and facts.back and facts.back.wanted_address else None
    values = {
        "what": "a backend",
        "host": path.host,
        "setting": "DATABASE_HOST" if path.kind == "database" else path.app.broker_setting,
        "instead": f"the address {instead}" if instead else "the backend's address",
    }
    yield Case(node=path.app.service, evidence=(evidence,), paths=frozenset({path.id}), values=values)


RULES = (
    Rule(
        id="name-unresolvable",
        title="A backend's name, or the other end's, does not resolve",
        hop=Hop.SETTING,
        over=_subjects,
        when=_judge,
        cause="{node} is told to find {what} as {host}, a name that does not resolve there",
        remedy="have {setting} of {node} give {instead} instead of {host}, then: docker compose up -d {node}",
        consequence_of=frozenset({"setting-malformed", "app-outside-gateway", "namespace-orphaned", "backend-down"}),
    ),
)
