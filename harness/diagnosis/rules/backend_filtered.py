"""A backend listens, and nothing comes through to it, not even from beside it."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import BREAKS_A_PATH, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    return [] if facts.snapshot.static else [each for each in facts.backends if each.container.running]


def _when(facts: Facts, backend: NodeFacts) -> Iterator[Case]:
    paths = [path for path in facts.paths if path.backend is backend and path.reach.failed == "connect"]
    beside = [path for path in facts.paths if path.backend is backend and not path.tunnelled]
    if backend.is_starting or not beside or not all(_is_kept_out(path, backend) for path in beside):
        return
    address = ", ".join(map(str, backend.container.addresses))
    listening = ", ".join(sorted({f"{each.address}:{each.port}" for each in backend.listeners}))
    yield Case(
        node=backend.service,
        evidence=(
            *(f"{path.id}: {path.reach}" for path in paths),
            f"{backend.service}: listens {listening}; its address is {address}",
        ),
        paths=frozenset(path.id for path in paths),
        values={"beside": beside[0].app.service, "port": beside[0].port},
    )


def _is_kept_out(path: Path, backend: NodeFacts) -> bool:
    """Whether an application beside a backend gets no connection though the backend listens where it dials.

    Where no host has the address or no route leads there the kernel says so otherwise.
    """
    reach = path.reach
    if reach.failed != "connect" or not (reach.timed_out or reach.errno == errno.ECONNREFUSED):
        return False
    dialled = [each for each in backend.container.addresses if str(each) in (path.host, reach.address)]
    serving = [each for each in backend.listeners if each.port == path.port]
    return any(each.serves(address) for each in serving for address in dialled)


RULES = (
    Rule(
        id="backend-filtered",
        title="A backend listens, and something lets nothing through to it",
        hop=Hop.BACKEND,
        over=_over,
        when=_when,
        cause=(
            "{node} listens on port {port}, and {beside}, which dials it on a network that both are on, does not come "
            "through: a firewall is in between, in the namespace of {node} or on the machine of its engine"
        ),
        remedy=(
            "list the rules of both: nsenter -t PID -n iptables-save, PID as docker inspect {container} says "
            "(State.Pid); and, on the machine itself, iptables-save (DOCKER-USER, and what firewalld or ufw made)"
        ),
        consequence_of=BREAKS_A_PATH,
    ),
)
