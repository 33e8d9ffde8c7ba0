"""What is asked of a deployment and what it answers, told to whoever listens, such as the report; else to nobody.

Only what the listening thread itself does is told: looks in a pool of threads have one result, which is shown as such.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

Listener = Callable[[str, str], None]
"""Takes what was asked, in a line, and what was answered."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Tell it everything while the block runs; None: nobody."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(asked: str, answered: object) -> None:
    """Tell what was asked and what came of it; `answered` is made a text only where somebody listens."""
    if (listener := _listener.get()) is not None:
        listener(asked, str(answered))
