"""What became of each leg, night after night, and which tests cannot be relied on.

A night is a line of JSON. Tests that passed are counted; those that failed are named with their root cause, and so are
those that failed first and passed when their leg was run again: that is shown, and never taken for a pass like others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.errors import ParseError
from harness.forms import wrong_with
from harness.nights.legs import Ends

KEPT = 60  # nights; two months show what happens once in a while
_SHORT = 10  # characters of a commit
_SKIPPED = 0.1  # of a leg's tests at most: of a whole run a few say that this machine cannot have what they are about


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a leg ended: of `tests` that ran, those that failed, and those that failed before they passed.

    `skipped` tells how many there were besides; nights of before it was counted have them among `tests`.
    """

    tests: int
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    retried: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, attempts: Sequence[Ends]) -> Outcome:
        """What several attempts at a leg come to, first ones first: the last says how a test ended."""
        last, earlier = Ends(), dict[str, str]()
        for attempt in attempts:
            earlier = last.failed | earlier
            last = last.then(attempt)
        retried = {test: cause for test, cause in earlier.items() if test in last.passed}
        return cls(tests=last.ran, skipped=len(last.skipped), failed=last.failed, retried=retried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night: `run` names it, so that the same run, merged again, is not a second one."""

    run: str
    date: str
    commit: str
    legs: dict[str, Outcome]

    def to_json(self) -> str:
        """The night as a line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Night:
        """The night of a line; raises `ValueError`, `KeyError` or `TypeError` for any other."""
        document = json.loads(line)
        legs = {name: Outcome(**outcome) for name, outcome in document.pop("legs").items()}
        return cls(**document, legs=legs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaky:
    """A test of a leg that ended now one way, now another. `cause` is what the doctor said the last time."""

    test: str
    leg: str
    nights: int
    failed: int
    retried: int
    last: str
    cause: str


def read(file: Path) -> list[Night]:
    """All nights, oldest first; raises `ParseError` with the line that is none."""
    nights = []
    for number, line in enumerate(file.read_bytes().splitlines() if file.is_file() else (), start=1):
        try:
            nights.append(Night.from_json(line.decode()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{file} line {number} is no night ({wrong_with(error)}): remove the line"
            raise ParseError(message) from error
    return nights


def add(file: Path, night: Night) -> list[Night]:
    """Add a night to a file, in the place of an earlier merge of the same run; returns all that are kept."""
    nights = [*(each for each in read(file) if each.run != night.run), night][-KEPT:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{each.to_json()}\n" for each in nights), encoding="utf-8")
    return nights


def flaky(nights: Sequence[Night]) -> list[Flaky]:
    """Tests that passed on retry, or failed in a night and not in another of the same commit or before and after.

    What began to fail and failed ever since, or failed until it was mended once and for all, is not among them.
    """
    found = [_judged(leg, test, nights) for leg, test in sorted(set(_suspects(nights)))]
    return sorted((each for each in found if each), key=lambda each: (-each.failed - each.retried, each.test, each.leg))


def _suspects(nights: Iterable[Night]) -> Iterator[tuple[str, str]]:
    for night in nights:
        for leg, outcome in night.legs.items():
            yield from ((leg, test) for test in (*outcome.failed, *outcome.retried))


def _judged(leg: str, test: str, nights: Sequence[Night]) -> Flaky | None:
    ran = [(night, night.legs[leg]) for night in nights if leg in night.legs]
    fails = [test in outcome.failed for _, outcome in ran]
    retried = [night for night, outcome in ran if test in outcome.retried]
    by_commit: dict[str, set[bool]] = {}
    for (night, _), fail in zip(ran, fails, strict=True):
        by_commit.setdefault(night.commit, set()).add(fail)
    first, last = (fails.index(True), len(fails) - fails[::-1].index(True)) if any(fails) else (0, 0)
    in_between = not all(fails[first:last])
    if not retried and not in_between and all(len(ends) == 1 for ends in by_commit.values()):
        return None
    noted = [(night, {**outcome.retried, **outcome.failed}) for night, outcome in ran]
    latest, causes = next((night, all_) for night, all_ in reversed(noted) if test in all_)
    return Flaky(
        test=test,
        leg=leg,
        nights=len(ran),
        failed=sum(fails),
        retried=len(retried),
        last=f"{latest.date} {latest.commit[:_SHORT]}",
        cause=causes[test],
    )


def text(tests: Sequence[Flaky], nights: int) -> str:
    """The table for a terminal."""
    if not tests:
        return f"no flaky test in {nights} nights\n"
    lines = [f"{len(tests)} flaky in {nights} nights", "", f"{'failed':>8}{'retried':>9}{'nights':>8}  test"]
    for each in tests:
        lines.append(f"{each.failed:>8}{each.retried:>9}{each.nights:>8}  {each.test} [{each.leg}]")
        lines.append(f"{'':27}last {each.last}: {each.cause or 'no root cause was named'}")
    return "\n".join(lines) + "\n"


def complaints(night: Night, missing: Mapping[str, str], minimum: Mapping[str, int]) -> list[str]:
    """Why a night does not pass: a sentence each. `minimum` is how many tests a leg has at least, 1 where it is not.

    A leg that is not there may be of a few chosen tests, of which any but one may be skipped.
    """
    said = [f"leg {leg}: {why}" for leg, why in missing.items()]
    for leg, outcome in night.legs.items():
        least = minimum.get(leg, 1)  # the matrix need not know a leg, as with `make scenarios LEG=mine`
        ended = outcome.tests + outcome.skipped
        if leg not in missing and ended < least:
            said.append(f"leg {leg}: only {ended} tests have ended, and {least} are expected at least")
        elif ended and outcome.skipped > (ended * _SKIPPED if leg in minimum else ended - 1):
            said.append(f"leg {leg}: {outcome.skipped} of {ended} tests were skipped: the report has each one's reason")
        said += [f"leg {leg}: {test} failed{f': {cause}' if cause else ''}" for test, cause in outcome.failed.items()]
    return said
