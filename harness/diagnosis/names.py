"""Which names a configuration gives to whom: those of services and containers, aliases, and extra_hosts; pure."""

from __future__ import annotations

from ipaddress import IPv4Address

from harness.addresses import is_address
from harness.diagnosis.containers import UNSEEN
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.roles import is_documented

_LOOPBACK = ("localhost", "::1")


def is_own(facts: Facts, asker: NodeFacts, host: str) -> bool:
    """Whether a host is the asker itself: by loopback, or by a name of its own that nobody else has."""
    if host.lower() in _LOOPBACK or (is_address(host) and IPv4Address(host).is_loopback):
        return True
    owner = facts.owner_of(asker)
    return [node for node in facts.nodes if node.naming.networks_of(host)] == [owner]


def may_have_company(facts: Facts, asker: NodeFacts) -> bool:
    """Whether in an asker's namespace there may be somebody to whom loopback leads: a backend, a proxy, the machine."""
    owner = facts.owner_of(asker)
    if asker.container.joined == UNSEEN or owner.container.network_mode == "host":
        return True
    strangers = [node for node in facts.beside if not is_documented(node.documented)]
    return any(node in (*facts.backends, *strangers) for node in facts.household(owner))


def unknown(facts: Facts, asker: NodeFacts, name: str) -> str | None:
    """Why nobody answers to a name that one asks for; None where somebody does, or may, as to any with a dot."""
    owner = facts.owner_of(asker)
    own = owner.naming
    if "." in name or ":" in name or own.elsewhere or asker.container.joined == UNSEEN:
        return None
    if name.lower() in (*_LOOPBACK, *own.known):
        return None
    networks = {each.network for each in owner.container.attachments}
    called = {node: node.naming.networks_of(name) for node in facts.nodes if node.naming.has(name)}
    if not called:
        return None if facts.unreadable else f"nothing in the configuration is called {name}"
    if any(networks & theirs for theirs in called.values()):
        return None
    return f"{asker.service} and {next(iter(called)).service} share no network on which it is called {name}"
