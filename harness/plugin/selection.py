"""Which tests are run, on which layout, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from harness import applicability
from harness.applicability import Allowance, Claim
from harness.plugin.invocation import LEFT_OUT, SCENARIOS
from harness.sharding import Shard


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where several layouts are tested, each scenario is run on every one that has what it promises."""
    layouts = metafunc.config.getoption("--layout")
    if len(layouts) > 1 and "layout" in metafunc.fixturenames:
        metafunc.parametrize("layout", _of(metafunc.definition, layouts), scope="session", indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what other layouts promise, and begin with what takes minutes of waiting.

    Other workers do the rest meanwhile. Then comes what wants containers that the playbooks have made: an experiment
    makes others, and the deployment would have to be deployed once more before it.

    With a fault in the deployment the order differs from fault to fault, and is the same each time: who stops after
    so many failures has then seen others fail with each. Experiments come last, since what they mend is mended.
    """
    if config.getoption("--compose"):
        config.stash[LEFT_OUT] += [reason for item in items if (reason := _inapplicable(config, item))]
    shard = Shard.parse(config.getoption("--shard") or "1/1")
    elsewhere = [
        item
        for item in items
        if not _of(item, [layout_of(item)]) or _is_left_out(config, item) or not shard.holds(item.nodeid)
    ]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
    if (name := config.getoption("--with-fault")) is not None:
        random.Random(name).shuffle(items)  # noqa: S311 (an order, no secret)
        items.sort(key=lambda item: "experiment" in getattr(item, "fixturenames", ()))
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("slow", "playbooks")])


def _of(node: pytest.Item | pytest.Function, layouts: Sequence[str]) -> list[str]:
    """Those of some layouts that have what a scenario promises: all, where it names none by its marker."""
    marker = node.get_closest_marker("layouts")
    return [layout for layout in layouts if marker is None or layout in marker.args]


def _inapplicable(config: pytest.Config, item: pytest.Item) -> str | None:
    """Why a test is not for somebody's own deployment, or None where it is or that is not what is tested."""
    if not config.getoption("--compose") or not item.path.is_relative_to(SCENARIOS):
        return None
    layouts, ours = item.get_closest_marker("layouts"), item.get_closest_marker("ours")
    claim = Claim(
        fixtures=getattr(item, "fixturenames", ()),
        layouts=layouts.args if layouts else None,
        ours=str(ours.args[0]) if ours else None,
    )
    return applicability.left_out(claim, Allowance(faults=config.getoption("--allow-faults"), writes=True))


def _is_left_out(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether a test takes long and others stand for it, on prod or but for a night, or is about another deployment."""
    if _inapplicable(config, item):
        return True
    if item.get_closest_marker("full") is not None and not config.getoption("--full"):
        return True
    thorough = item.get_closest_marker("thorough") is not None
    return thorough and layout_of(item) == "prod" and not config.getoption("--thorough")


def layout_of(item: pytest.Item) -> str:
    """The layout on which a test is run."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    layouts: tuple[str, ...] = item.config.getoption("--layout")
    chosen = parameters.get("layout")
    # The harness's own tests may have a parameter of that name too, which says nothing about a deployment.
    return chosen if chosen in layouts else layouts[0]
