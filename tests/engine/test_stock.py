"""The images of the simulated servers are loaded once, and of a stock that was never finished nothing stays."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import command, images, layouts, lifecycle, places, stock
from harness.addresses import ProdPlan
from harness.engine import Engine
from harness.images import PROBE
from harness.model import Budget
from harness.ownership import Run
from harness.production import server_images
from harness.stage import Stage
from harness.waiting import wait_until

from .runs import HEEDING

COMMAND_TIMEOUT = 120.0
"""Seconds: an engine that starts on a machine that is busy with others."""
MOMENT = Budget(seconds=60, poll=0.02, reason="an engine starts in 2 s; a busy machine takes longer")

# A stock of one image, which no deployment uses: it takes the place of none that is needed.
FILL = f"""
import sys
from harness import interrupts, lifecycle, stock
from harness.engine import Engine
from harness.ownership import Run

interrupts.as_keyboard_interrupt(print)
stock.ensure(Engine.connect(), [{PROBE!r}], Run.start(int(sys.argv[1])), print)
"""


@pytest.fixture
def plan(stage: Stage) -> ProdPlan:
    """A plan that no worker's own deployment uses."""
    return ProdPlan(index=stage.plan.index + 5)


@pytest.fixture(autouse=True)
def _images(engine: Engine) -> None:
    images.ensure(engine, "prod", lambda _line: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_an_unfinished_stock_is_never_used_and_does_not_stay(
    engine: Engine, plan: ProdPlan, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C while it is filled takes it away at once; after `kill -9` nobody uses it, and `sweep` takes it away."""
    argv = [sys.executable, "-c", FILL, str(plan.index)]
    with command.background([*HEEDING, *argv], log=tmp_path / "log", cwd=places.ROOT) as run:
        wait_until("the stock to be begun", lambda: is_there(engine), bool, within=MOMENT)
        run.send(number)
        ended = run.wait(timeout=COMMAND_TIMEOUT)
    if number == signal.SIGKILL:
        assert stock.found(engine, [PROBE]) is None
        lifecycle.sweep(engine, say=lambda _line: None)
    assert not is_there(engine), ended


def test_a_server_has_the_images_of_the_stock_and_cannot_change_it(engine: Engine, server: str) -> None:
    """A bare server knows each image by the id it has here, and runs one; what that writes is not in the stock."""
    for reference in server_images(ProdPlan()):
        seen = engine.execute(server, ["docker", "image", "inspect", "--format", "{{.Id}}", reference])
        assert seen.stdout.strip() == engine.client.images.get(reference).id, seen
    run = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", PROBE]
    assert engine.execute(server, [*run, "-c", "echo x >/usr/x && cat /usr/x"]).stdout == "x\n"
    assert not engine.execute(server, ["sh", "-c", "ls /var/stock/overlay2/*/diff/usr/x"]).ok
    assert not engine.execute(server, ["touch", "/var/stock/x"]).ok


@pytest.fixture
def server(engine: Engine, plan: ProdPlan) -> Iterator[str]:
    """A server that nobody has given any image, its engine answering; by its container's name."""
    layouts.ensure_images(engine, plan, say=lambda _line: None)
    volume = stock.found(engine, server_images(plan))
    assert volume
    container = engine.client.containers.create(
        images.local("server"),
        labels=Run.start(plan.index).labels(),
        privileged=True,
        network_mode="none",
        volumes={volume: {"bind": stock.INSIDE, "mode": "ro"}},
    )
    name = str(container.name)
    try:
        container.start()
        wait_until("its engine", lambda: engine.execute(name, ["docker", "version"]).ok, bool, within=MOMENT)
        yield name
    finally:
        container.remove(force=True, v=True)


def is_there(engine: Engine) -> bool:
    """Whether there is a stock of that one image, whole or not, or what fills it; others may come and go."""
    name = stock._name(engine, [PROBE])
    volumes = engine.client.volumes.list(filters={"label": f"{stock.STOCK}={name}"})
    return bool(volumes or engine.containers(f"{stock.FILLS}={name}"))
