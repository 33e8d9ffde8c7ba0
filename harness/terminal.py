"""Standard output and standard error as they were given: of any encoding, closed, full, or with nobody who reads."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_HANDLER = "harness-plain"
_PLAIN = {"→": "->", "…": "..."}


def prepare() -> None:
    """Let everything be written: letters that the encoding lacks otherwise, what goes to a closed stream nowhere."""
    codecs.register_error(_HANDLER, _plainly)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (as long as we live)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in letters), error.end


def complain(line: str) -> None:
    """Write a line to standard error, as far as anybody can be told."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def abandon() -> None:
    """Give up what can no longer be written, so that the interpreter's end does not fail by it."""
    for stream in _broken():
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _broken() -> Iterator[TextIO]:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            yield stream
