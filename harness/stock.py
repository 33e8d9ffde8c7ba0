"""The images of the simulated servers, loaded once: a volume that every server has, and none can change.

To load them costs each new engine seconds of a core. One whose books name the layers in the stock has them at once, and
this machine's memory holds each of their files once for all servers. The stock outlives its run, as images do, until
the images are others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import Mount

from harness import command, images
from harness.engine import Engine
from harness.errors import DeploymentError, HarnessError
from harness.interrupts import held_back
from harness.model import Budget
from harness.ownership import Run
from harness.waiting import Deadline, wait_until

STOCK = "wireguard-harness.stock"
"""The label of the volume; its value says which images it is for."""

FILLS = "wireguard-harness.fills"
"""The label of the container that fills a volume, whose name it is. While it is there, the volume is not whole."""

INSIDE = "/var/stock"
"""Where a server has it."""

_DISK = "/var/lib/docker"
_CONFLICT = 409
_ANSWERS = Budget(
    seconds=60, poll=0.1, reason="an engine on an empty disk is there after 2 s, on a loaded machine 10 s"
)
_FILLED = Budget(seconds=300, poll=0.5, reason="another run fills it, which takes 10 s, on a loaded machine 60")
_LOADING = 300  # seconds, as above
_GRACE = 30  # seconds in which the engine that has filled it has to end

_LOAD = 'docker save "$@" | docker exec --interactive "$0" docker load --quiet'

Say = Callable[[str], None]


def ensure(engine: Engine, references: Sequence[str], run: Run, say: Say) -> None:
    """See that there is a stock of these images, and remove the stocks of others; `run` is whoever has to fill it.

    Raises `DeploymentError` when it cannot be filled. Then, and after an interruption, nothing of it stays.
    """
    name = _name(engine, references)
    took = Deadline(0)
    while not _is_whole(engine, name):
        with ExitStack() as undo:
            with held_back(say):  # a Ctrl-C while the engine makes it finds it registered
                filler = _begin(engine, name, run)
                if filler:
                    undo.callback(_abandon, engine, filler, say)
            if not filler:
                say("images: another run loads them for the servers; waiting for it")
                _await_other(engine, name)
                continue
            _fill(engine, filler, references)
            with held_back(say):
                undo.pop_all()
                filler.remove(v=True)  # from now on it is whole
        say(f"images: loaded for the servers ({took.elapsed:.1f} s)")
    _remove_others(engine, name)


def found(engine: Engine, references: Sequence[str]) -> str | None:
    """The volume that is a stock of these images, or None where there is none."""
    name = _name(engine, references)
    return name if _is_whole(engine, name) else None


def forget_unfilled(engine: Engine, labels: Mapping[str, str]) -> None:
    """Remove the volume that a container with these labels, which is gone, was to fill; others were to fill none."""
    if name := labels.get(FILLS):
        _remove(engine, name)


def _name(engine: Engine, references: Sequence[str]) -> str:
    """Of the images' ids, and of the server's: its engine has written what is in the volume."""
    made_of = {name: engine.client.images.get(name).id for name in {*references, images.local("server")}}
    text = " ".join(f"{name}={identity}" for name, identity in sorted(made_of.items()))
    return f"wireguard-harness-stock-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _is_whole(engine: Engine, name: str) -> bool:
    try:
        engine.client.volumes.get(name)
    except NotFound:
        return False
    return not _filler(engine, name)


def _filler(engine: Engine, name: str) -> list[Container]:
    return engine.containers(f"{FILLS}={name}")


def _begin(engine: Engine, name: str, run: Run) -> Container | None:
    """Volume and container in one step: at no time is there a volume that looks whole. None where another has begun."""
    try:
        return engine.client.containers.create(
            images.local("server"),
            name=f"{name}-filler",
            labels=run.labels() | {FILLS: name},
            privileged=True,  # a Docker engine in a container needs it
            network_mode="none",
            mounts=[Mount(_DISK, name, type="volume", labels={STOCK: name})],
        )
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise
        return None


def _await_other(engine: Engine, name: str) -> None:
    wait_until(f"{name} to be filled", lambda: _filler(engine, name), lambda fillers: not fillers, within=_FILLED)


def _abandon(engine: Engine, filler: Container, say: Say) -> None:
    with held_back(say):
        filler.remove(force=True, v=True)
        forget_unfilled(engine, filler.labels)


def _fill(engine: Engine, filler: Container, references: Sequence[str]) -> None:
    filler.start()
    name = str(filler.name)
    try:
        wait_until("its engine", lambda: engine.execute(name, ["docker", "version"]).ok, bool, within=_ANSWERS)
        command.run(["sh", "-c", _LOAD, name, *references], timeout=_LOADING)
    except HarnessError as error:
        log = filler.logs(tail=15).decode(errors="replace")
        message = f"the images cannot be loaded for the servers: {error}\nthe last lines of the log:\n{log}"
        raise DeploymentError(message) from error
    filler.stop(timeout=_GRACE)


def _remove_others(engine: Engine, name: str) -> None:
    for volume in engine.client.volumes.list(filters={"label": STOCK}):
        if volume.name != name and not _filler(engine, volume.name):
            _remove(engine, volume.name)


def _remove(engine: Engine, name: str) -> None:
    """Remove a volume, unless servers still have it; then whoever comes later does."""
    try:
        engine.client.volumes.get(name).remove()
    except NotFound:
        return
    except APIError as error:
        if error.status_code != _CONFLICT:
            raise
