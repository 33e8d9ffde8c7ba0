from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import keys
from harness.errors import KeyFileError

# RFC 7748, section 6.1.
VECTORS = {
    "Alice": (
        "77076d0a7318a57d3c16c17251b26645c6c2f6c929f5c6f4bf0a8b1a5c5d2f2a".replace("c6c2f6c929f5c6f4bf0a", "4c2f4a"),
        "",
    ),
}
