"""Evidence of what a deployment looked like at one moment, with every secret removed. Collecting it changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from harness import netfilter
from harness.deployment import Deployment, Gateway, Node
from harness.errors import HarnessError

REMOVED = "[removed]"
_LOG_LINES = 60
_PART = 8  # characters of a secret that nothing else begins or ends with by chance
_KEY = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvidence:
    """What was seen of one node: a text for each question, such as `addresses` or `log`."""

    node: str
    texts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was seen of all nodes."""

    nodes: tuple[NodeEvidence, ...]
    taken_at: datetime

    def __str__(self) -> str:
        parts = [f"taken at {self.taken_at.isoformat(timespec='seconds')}"]
        for evidence in self.nodes:
            parts += [f"===== {evidence.node}: {title}\n{text.rstrip()}" for title, text in evidence.texts.items()]
        return "\n\n".join(parts) + "\n"


def collect(deployment: Deployment) -> Snapshot:
    """Look at every node at the same time. What cannot be seen is said, with the reason."""
    redact = Redactor(deployment.credentials.secrets(), public_keys(deployment))
    with ThreadPoolExecutor(max_workers=len(deployment.nodes), thread_name_prefix="snapshot") as pool:
        nodes = tuple(pool.map(lambda node: _collect_node(node, redact), deployment.nodes))
    return Snapshot(nodes=nodes, taken_at=datetime.now(tz=UTC))


def public_keys(deployment: Deployment) -> tuple[str, ...]:
    """The keys that may be shown."""
    return deployment.credentials.keys.web.public, deployment.credentials.keys.services.public


class Redactor:
    """Removes secrets from text: those that are known, and whatever looks like a key and is not a known public one."""

    def __init__(self, secrets: Iterable[str], public: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._public = frozenset(public)

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        return _KEY.sub(lambda found: found[0] if found[0] in self._public else REMOVED, without(self._secrets, text))


def without(secrets: Iterable[str], text: str) -> str:
    """The text with these secrets removed, and nothing else.

    So are their beginnings and ends: a message that is shortened, as pytest's are, shows those of what it leaves out.
    """
    for secret in secrets:
        text = text.replace(secret, REMOVED)
        for part in (secret[:_PART], secret[-_PART:]):
            if len(secret) > _PART and part in text:
                text = _without_parts(secret, text)
    return text


def _without_parts(secret: str, text: str) -> str:
    for length in range(len(secret) - 1, _PART - 1, -1):
        text = text.replace(secret[:length], REMOVED).replace(secret[-length:], REMOVED)
    return text


def _collect_node(node: Node, redact: Redactor) -> NodeEvidence:
    questions: dict[str, Callable[[], str]] = {"state": lambda: _state(node), "log": lambda: node.logs(tail=_LOG_LINES)}
    if isinstance(node, Gateway):
        questions |= {
            "wg show": lambda: _command(node, "wg", "show"),
            "rules": lambda: _command(node, *netfilter.SAVE),
            "addresses": lambda: _command(node, "ip", "address", "show"),
            "routes": lambda: _command(node, "ip", "route", "show"),
            "sockets": lambda: _command(node, "ss", "-Htulpn"),
        }
    texts = {}
    for title, ask in questions.items():
        try:
            texts[title] = redact(ask())
        except HarnessError as error:
            texts[title] = redact(f"could not be seen: {error}")
    return NodeEvidence(node=node.name, texts=texts)


def _command(node: Node, *argv: str) -> str:
    return str(node.run(*argv))


def _state(node: Node) -> str:
    attributes = node.inspect()
    shown = {key: attributes["State"].get(key) for key in ("Status", "ExitCode", "OOMKilled", "Error", "StartedAt")}
    shown["Health"] = (attributes["State"].get("Health") or {}).get("Status")
    shown["RestartCount"] = attributes["RestartCount"]
    shown["NetworkMode"] = attributes["HostConfig"]["NetworkMode"]
    shown["Networks"] = {
        name: network.get("IPAddress") for name, network in attributes["NetworkSettings"]["Networks"].items()
    }
    return json.dumps(shown, indent=2)
