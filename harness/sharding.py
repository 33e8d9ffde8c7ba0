"""One suite parted over machines that know nothing of each other: each test is in exactly one shard, by its name alone.

A test's shard hangs on its own name and on nothing else, not on which other tests there are: two machines that do not
collect the same can run a test twice, but never lose one between them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_WORDS = re.compile(r"(?P<number>[1-9][0-9]?)/(?P<count>[1-9][0-9]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The part `number` of `count`, from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that `1/2` names; raises `ValueError` that says what one looks like."""
        if (found := _WORDS.fullmatch(text)) and int(found["number"]) <= int(found["count"]):
            return cls(number=int(found["number"]), count=int(found["count"]))
        message = f"{text!r} is no shard: write which of how many, such as 1/2"
        raise ValueError(message)

    def holds(self, test: str) -> bool:
        """Whether the test of this name belongs to this shard."""
        digest = hashlib.blake2b(test.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
