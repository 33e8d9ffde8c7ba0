"""Where things are in the project's own folder."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".harness"
"""Where each run keeps its files, in a folder of its own."""
