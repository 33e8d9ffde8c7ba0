"""Makes the harness known to pytest: its options, fixtures and hooks are in `harness/plugin/`."""

from __future__ import annotations

import os

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # cleaning up is ours, and survives a killed run

pytest_plugins = [
    "harness.plugin.options",
    "harness.plugin.selection",
    "harness.plugin.session",
    "harness.plugin.failures",
    "harness.plugin.fixtures",
]
