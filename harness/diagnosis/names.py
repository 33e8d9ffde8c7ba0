"""Which names a configuration gives to whom: those of services and containers, aliases, and extra_hosts; pure."""

from __future__ import annotations

from harness.diagnosis.containers import UNSEEN
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts


def unknown(facts: Facts, asker: NodeFacts, name: str) -> str | None:
    """Why nobody answers to a name that one asks for; None where somebody does, or may, as to any with a dot."""
    owner = facts.node(asker.container.joined) or asker
    own = owner.naming
    if "." in name or ":" in name or own.elsewhere or asker.container.joined == UNSEEN:
        return None
    if name.lower() in ("localhost", *own.known):
        return None
    networks = {each.network for each in owner.container.attachments}
    called = {node: node.naming.networks_of(name) for node in facts.nodes if node.naming.has(name)}
    if not called:
        return None if facts.unreadable else f"nothing in the configuration is called {name}"
    if any(networks & theirs for theirs in called.values()):
        return None
    return f"{asker.service} and {next(iter(called)).service} share no network on which it is called {name}"
