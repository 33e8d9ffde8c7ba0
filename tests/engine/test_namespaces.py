"""Entering a container's namespaces and `docker exec` are two ways to the same evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import namespaces
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES, TUNNEL_WEB, WEB_PORT
from harness.deployment import Deployment
from harness.errors import CommandError
from harness.model import Outcome
from harness.probes.tcp import TcpConnect

REMOTE = str(TUNNEL_SERVICES.ip)
Switch = Callable[[], None]


@pytest.fixture
def by_exec(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Called, it makes everything go by `docker exec` from then on, as on a remote engine."""
    if deployment.web.process() is None:
        pytest.skip("namespaces can be entered only by root, with nsenter, on the engine's own machine")
    return lambda: monkeypatch.setattr(namespaces, "process_of", lambda _attributes, _procfs=None: None)


@pytest.mark.parametrize(
    ("source", "address", "port", "outcome"),
    [
        ("web", REMOTE, MARIADB_PORT, Outcome.CONNECTED),
        ("web", REMOTE, 22, Outcome.REFUSED),
        ("services", "nobody", 22, Outcome.TIMED_OUT),
        ("probe-web", "127.0.0.1", WEB_PORT, Outcome.CONNECTED),
        ("wireguard-services", str(TUNNEL_WEB.ip), 22, Outcome.REFUSED),
        ("wireguard-services", "nobody", 22, Outcome.TIMED_OUT),
    ],
    ids=[
        "open",
        "refused",
        "silent",
        "open, no Python",
        "refused, no Python",
        "silent, no Python",
    ],
)
def test_a_connection_fares_alike(  # noqa: PLR0913, PLR0917
    deployment: Deployment, by_exec: Switch, source: str, address: str, port: int, outcome: Outcome
) -> None:
    """Opened, refused or unanswered: both ways meet the same outcome and say the same of it."""
    probe = TcpConnect(source, address.replace("nobody", str(deployment.plan.services_net[77])), port)
    entered = probe.observe(deployment)
    by_exec()
    executed = probe.observe(deployment)
    assert (entered.outcome, entered.detail) == (executed.outcome, executed.detail)
    assert entered.outcome is outcome
    assert not entered.commands
    assert executed.commands


def test_evidence_is_alike(deployment: Deployment, by_exec: Switch) -> None:
    """Addresses, routes, rules and peers read the same either way, from the container and no other."""
    entered = evidence(deployment)
    by_exec()
    assert evidence(deployment) == entered
    assert len({str(addresses) for addresses, *_rest in entered}) == len(entered), "each gateway has its own"


def test_a_command_that_fails_says_why(deployment: Deployment, by_exec: Switch) -> None:
    """Either way a failing command is an error that names the container and shows what the command said."""
    message = r"(?s)wireguard-web.*nonsense"
    with pytest.raises(CommandError, match=message):
        deployment.wireguard_web.look("ip", "nonsense")
    by_exec()
    with pytest.raises(CommandError, match=message):
        deployment.wireguard_web.look("ip", "nonsense")


def test_a_foreign_process_is_never_entered(deployment: Deployment) -> None:
    """A number that is not that container's process, as a remote engine's are, is not taken for it."""
    attributes = deployment.web.inspect()
    foreign = {**attributes, "State": {**attributes["State"], "Pid": 1}}
    assert namespaces.process_of(foreign) is None


def evidence(deployment: Deployment) -> list[tuple[object, ...]]:
    """What can be seen of each gateway, counters left out."""
    return [
        (
            gateway.addresses(),
            gateway.routes(),
            [(rule.table, rule.chain, rule.specification) for rule in gateway.rules()],
            [(peer.public_key, peer.endpoint, peer.allowed_ips) for peer in gateway.interface().peers],
            gateway.implementation(),
        )
        for gateway in deployment.gateways
    ]
