"""What the tests that need an engine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.engine import Engine
from harness.stage import Stage

from . import bystanders


@pytest.fixture(scope="module")
def somebody_elses(engine: Engine, stage: Stage) -> Iterator[bystanders.Bystanders]:
    """A container, a network and a volume that are not the harness's."""
    with bystanders.present(engine, stage.plan.index) as found:
        yield found
