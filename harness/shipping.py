"""Files of this machine where an engine that cannot see them finds them: in volumes of its own.

What is mounted there is not the volume but its files, by their paths on the engine's machine, so that the compose
files say the same on every engine. A volume bears its run's labels, and goes with it.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from harness.engine import Engine
from harness.errors import DeploymentError
from harness.images import PROBE
from harness.ownership import Run

_PUT_WITHIN = 30  # seconds; a container that copies a few small files ends in one

# In place, since a container has the file itself mounted, and would not see another one of the same name.
_TAKE = """
set -eu
umask 077
while [ $# -gt 1 ]; do
  if [ -e "/incoming/$1" ]; then
    cat "/incoming/$1" >"/volume/$1"
    chmod --reference="/incoming/$1" "/volume/$1"
    [ -z "$2" ] || chown "$2:$2" "/volume/$1"
  else
    rm -f "/volume/$1"
  fi
  shift 2
done
"""


class Shipment:
    """A folder of files on an engine's machine, that of one run and one purpose."""

    def __init__(self, engine: Engine, run: Run, purpose: str) -> None:
        self._engine = engine
        self._run = run
        self._name = f"wireguard-harness-{purpose}-{run.id}"

    def place(self) -> Path:
        """Where the folder is on the engine's machine; made where it is not there yet."""
        made = self._engine.client.volumes.create(self._name, labels=self._run.labels())
        return Path(PurePosixPath(made.attrs["Mountpoint"]))

    def put(self, files: Mapping[Path, int | None]) -> None:
        """Give files the content and mode that they have here, and each its owner; None leaves that to who has it.

        One that is not here any more is removed there. Raises `DeploymentError` when the engine does not take them.
        """
        self.place()
        argv = [word for path, owner in files.items() for word in (path.name, "" if owner is None else str(owner))]
        try:
            with self._carrier(argv) as carrier:
                carrier.put_archive("/", _archive(files))
                carrier.start()
                status = carrier.wait(timeout=_PUT_WITHIN)["StatusCode"]
                said = carrier.logs().decode(errors="replace").strip()
        except (DockerException, RequestException) as error:
            said, status = str(error), -1
        if status != 0:
            names = ", ".join(path.name for path in files)
            message = f"{names} could not be put on the engine's machine: {said}"
            raise DeploymentError(message)

    @contextlib.contextmanager
    def _carrier(self, argv: list[str]) -> Iterator[Container]:
        carrier = self._engine.client.containers.create(
            PROBE,
            entrypoint=["sh", "-c", _TAKE, "sh"],
            command=argv,
            user="0",
            network_mode="none",
            labels=self._run.labels(),
            volumes={self._name: {"bind": "/volume", "mode": "rw"}},
        )
        try:
            yield carrier
        finally:
            with contextlib.suppress(NotFound, APIError):
                carrier.remove(force=True, v=False)


def of_secrets(engine: Engine, run: Run) -> Shipment | None:
    """Where a run's secret files go; None where the engine sees those of this machine."""
    return None if engine.machine.here else Shipment(engine, run, "secrets")


def _archive(files: Mapping[Path, int | None]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folder = tarfile.TarInfo("incoming")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for path in files:
            if path.exists():
                content = path.read_bytes()
                entry = tarfile.TarInfo(f"incoming/{path.name}")
                entry.mode, entry.size = path.stat().st_mode & 0o777, len(content)
                archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
