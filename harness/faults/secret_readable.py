"""A private key's file on the host can be read by everybody there."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import keys
from harness.deployment import Deployment
from harness.faults import Fault

_READABLE = 0o644  # what an editor or a copy makes of it under the usual umask


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReadable(Fault):
    """The mode of a secret file is wider than its owner."""

    file: str = keys.WEB_PRIVATE

    name = "private key readable by all"
    seen = "all is well; `ls -l` shows that anybody on the host may read the key"
    roots = frozenset({"secret-permissions"})

    def unavailable(self, deployment: Deployment) -> str | None:
        """Only its owner and root may change a file's mode."""
        if os.geteuid() not in (0, self._path(deployment).stat().st_uid):
            return "the secret files belong to root, and this process may not change their mode"
        return None

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Widen the file's mode; the undo gives it the one that it had."""
        path = self._path(deployment)
        undo.callback(self._set_mode, deployment, stat.S_IMODE(path.stat().st_mode))
        self._set_mode(deployment, _READABLE)

    def _set_mode(self, deployment: Deployment, mode: int) -> None:
        self._path(deployment).chmod(mode)
        deployment.host("wireguard-web").publish(self.file)

    def _path(self, deployment: Deployment) -> Path:
        return deployment.host("wireguard-web").secrets / self.file


CASES: tuple[Fault, ...] = (SecretReadable(),)
