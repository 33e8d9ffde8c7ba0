"""A backend runs and does not listen where it is looked for."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import shared_addresses
from harness.diagnosis.outside import Outside, outsiders
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.backend is not None]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    backend = path.backend
    if backend is None or facts.snapshot.static:
        return
    if not backend.container.running and backend.role is not Role.BACKEND:
        return  # an application that is down says so itself
    addresses = shared_addresses(facts.back, backend) if facts.back else backend.container.addresses
    port = path.port if path.kind == "forward" else _own_port(facts, path)
    listening = [each for each in backend.listeners if each.port == port]
    if not addresses or any(each.serves(address) for each in listening for address in addresses):
        return
    if path.works:
        return  # whom an application talks to listens, however it comes there
    if not listening and backend.is_starting:
        raise UnseenError(backend.service, "sockets", "it has only just been started, and does not listen yet")
    where = ", ".join(f"{each.address}:{each.port}" for each in listening) or f"nowhere on port {port}"
    yield Case(
        node=backend.service,
        evidence=(f"{backend.service}: listens {where}; its address is {', '.join(map(str, addresses))}",),
        paths=frozenset(each.id for each in facts.paths if each.backend is backend and each.port == path.port),
        values={
            "port": port,
            "where": where,
            "remedy": f"have {backend.service} listen on all its addresses (MariaDB: --bind-address=0.0.0.0, Redis: "
            f"--bind 0.0.0.0), then: docker compose up -d {backend.service}",
        },
    )


def _subjects(facts: Facts) -> Iterator[Path | Outside]:
    yield from _over(facts)
    yield from outsiders(facts)


def _judge(facts: Facts, subject: Path | Outside) -> Iterator[Case]:
    return _when_outside(subject) if isinstance(subject, Outside) else _when(facts, subject)


def _when_outside(outside: Outside) -> Iterator[Case]:
    if not outside.refuses:
        return
    yield Case(
        node=outside.node,
        evidence=outside.evidence,
        paths=outside.paths,
        values={
            "port": outside.port,
            "where": "elsewhere or nowhere, which cannot be seen, for it is outside; its machine refuses",
            "remedy": f"on {outside.host} itself: see that it runs, and that it listens on port {outside.port} of that "
            "address (MariaDB: bind-address), with no firewall that refuses",
        },
    )


def _own_port(facts: Facts, path: Path) -> int:
    """The port of the backend itself: what those dial who are beside it, else what the application dials."""
    beside = [each.port for each in facts.paths if each.backend is path.backend and not each.tunnelled]
    return beside[0] if beside else path.port


RULES = (
    Rule(
        id="backend-not-listening",
        title="A backend does not listen where it is looked for",
        hop=Hop.BACKEND,
        over=_subjects,
        when=_judge,
        cause="{node} does not listen on its own address at port {port}: it listens {where}",
        remedy="{remedy}",
        consequence_of=frozenset({"backend-down", "container-down", "out-of-memory", "app-inside-gateway"}),
    ),
)
