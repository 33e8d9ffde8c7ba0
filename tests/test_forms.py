"""A file that is none of ours is refused in words that say what is wrong with the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.errors import HarnessError
from harness.forms import wrong_with
from harness.nights import commands, history, legs
from harness.score import record

READERS: dict[str, Callable[[Path], object]] = {
    "workflow": legs.of_workflow,
    "merged night": commands._read,
    "history": history.read,
    "trials": lambda file: record._trials(file.parent),
}
JUNK = {
    "empty": b"{}\n",
    "a number": b"7\n",
    "a list": b"[]\n",
    "nothing": b"null\n",
    "binary": b"\xff\xfe\n",
    "half": b'{"night": \n',
    "half a matrix": b"jobs: {\n\n\n",
    "other entries": b'{"night": {"legs": 7}, "missing": {}, "layouts": {}, "legs": [7], "jobs": 7, "expected": 7}\n',
}
PYTHONS_OWN = ("object", "NoneType", "subscriptable", "attribute", "argument", "codec", "Traceback", "char 0", "{", "<")


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_junk_is_refused_in_plain_words(tmp_path: Path, read: Callable[[Path], object], junk: bytes) -> None:
    """One line with the file, and none of the words that Python has for it."""
    file = tmp_path / "junk.jsonl"
    file.write_bytes(junk)
    with pytest.raises((HarnessError, ValueError)) as refused:
        read(file)
    said = str(refused.value)
    assert said.startswith(str(file))
    assert "\n" not in said
    assert not [word for word in PYTHONS_OWN if word in said.removeprefix(str(file))]


@pytest.mark.parametrize(
    ("take_apart", "said"),
    [
        (lambda: dict[str, int]()["jobs"], "it lacks jobs"),
        (lambda: json.loads("["), "it is no JSON"),
        (b"\xff".decode, "it is no UTF-8 text"),
        (lambda: yaml.safe_load("a: 1\nb: [\n"), "it is no YAML at line 3"),
        (lambda: yaml.safe_load("\0"), "it is no YAML"),
        (lambda: len(None), "it is empty, or of another form"),  # type: ignore[arg-type]
        (lambda: int("x\ny"), "invalid literal for int() with base 10: 'x\\ny'"),
    ],
)
def test_what_is_wrong_is_one_line(take_apart: Callable[[], object], said: str) -> None:
    """Each kind of error has its sentence; one of our own has the words that it was given."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 (any)
        take_apart()
    assert wrong_with(raised.value) == said
