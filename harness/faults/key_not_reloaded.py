"""Web's key pair was rotated, and services' gateway was not told to read the new key."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import keys, mutations
from harness.deployment import Deployment
from harness.disruptions import shake_hands_anew
from harness.faults import Fault, Symptom
from harness.keys import KeyPair
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery

_TAKE_KEY = 'wg set wg0 private-key "$WG_PRIVATE_KEY_FILE"'


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNotReloaded(Fault):
    """Both files and web have the new key; services' running gateway has the old one."""

    name = "key file changed but not reloaded"
    seen = "since web's key was changed the tunnel no longer shakes hands, though every file is right"
    roots = frozenset({"key-not-reloaded"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nothing passes the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def unavailable(self, deployment: Deployment) -> str | None:
        """The key files are changed where they are."""
        return mutations.unwritable(deployment, keys.WEB_PRIVATE, keys.WEB_PUBLIC)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Change web's two files, and have web alone take its new key."""
        new = KeyPair.generate()
        mutations.keep_tunnel(deployment, undo)
        mutations.rewrite(deployment, undo, keys.WEB_PRIVATE, new.private)
        mutations.rewrite(deployment, undo, keys.WEB_PUBLIC, new.public)
        deployment.wireguard_web.act("sh", "-c", _TAKE_KEY)
        # The old session would go on for up to 3 minutes.
        shake_hands_anew(deployment)


CASES: tuple[Fault, ...] = (KeyNotReloaded(),)
