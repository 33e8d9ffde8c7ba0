"""What a run leaves for its report, after a worker was killed too."""

from __future__ import annotations

import json
from pathlib import Path

from harness import reporting


def test_only_fixtures_in_which_something_was_done_are_kept(tmp_path: Path) -> None:
    """What a killed worker has half written says nothing, and stops nothing: the others are still looked at."""
    idle, busy, half = (tmp_path / f"{name}-container.json" for name in ("idle", "busy", "half"))
    idle.write_text(json.dumps({"befores": [{"name": "idle"}]}), encoding="utf-8")
    busy.write_text(json.dumps({"befores": [{"steps": [{"name": "asked"}]}]}), encoding="utf-8")
    half.write_bytes('{"befores": [{"name": "ü'.encode()[:-1])
    reporting.tidy(tmp_path)
    assert set(tmp_path.iterdir()) == {busy, half}
