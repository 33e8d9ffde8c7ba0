"""Web's key pair has been exchanged as it should be: in the files and in both running interfaces."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import keys, mutations
from harness.deployment import Deployment
from harness.faults import Fault
from harness.keys import KeyPair

_FILES = (keys.WEB_PRIVATE, keys.WEB_PUBLIC)

_TAKE_KEY = 'set -euo pipefail; wg set wg0 private-key "$WG_PRIVATE_KEY_FILE"'

# The new peer takes the address from the old one, and with a keepalive it shakes hands at once.
_EXCHANGE_PEER = """
set -euo pipefail
old=$1 new=$2 allowed=$3 endpoint=$4 keepalive=$5
settings=(preshared-key "$WG_PRESHARED_KEY_FILE" allowed-ips "$allowed" endpoint "$endpoint" persistent-keepalive 1)
wg set wg0 peer "$new" "${settings[@]}" peer "$old" remove
wg set wg0 peer "$new" persistent-keepalive "$keepalive"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(Fault):
    """The rotation of the runbook: the end that gets a new key first, then its peer, and not a query fails."""

    benign: ClassVar[bool] = True

    name = "a key pair rotated properly on both ends"
    seen = "nothing"
    roots = frozenset()

    def unavailable(self, deployment: Deployment) -> str | None:
        """The files of the keys have to be written."""
        return mutations.unwritable(deployment, *_FILES)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Exchange the pair; the undo has the files hold what they held, and exchanges it back."""
        private, public = (mutations.copies(deployment, name)[0].read_text("ascii").strip() for name in _FILES)
        old, new = KeyPair(private=private, public=public), KeyPair.generate()
        undo.callback(_exchange, deployment, new, old)
        for name, key in zip(_FILES, (new.private, new.public), strict=True):
            mutations.rewrite(deployment, undo, name, key)
        _exchange(deployment, old, new)


def _exchange(deployment: Deployment, old: KeyPair, new: KeyPair) -> None:
    web, services = deployment.gateways
    keepalive = services.environment().get("WG_PERSISTENT_KEEPALIVE", "0")
    endpoint = f"{deployment.plan.underlay_web}:{deployment.plan.wireguard_port}"
    web.act("bash", "-c", _TAKE_KEY)
    services.act(
        "bash",
        "-c",
        _EXCHANGE_PEER,
        "bash",
        old.public,
        new.public,
        f"{deployment.plan.tunnel_web.ip}/32",
        endpoint,
        keepalive,
    )


CASES: tuple[Fault, ...] = (KeyRotated(),)
