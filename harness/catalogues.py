"""`python -m harness catalogue`: the pages of `docs/` that list every fault and every rule, made from the code."""

from __future__ import annotations

import argparse
import dataclasses
import re
import string
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.addresses import LAYOUTS
from harness.diagnosis.rules import BREAKS_A_PATH, KILLS_A_TUNNEL, STOPS_A_CONTAINER, Rule, rules
from harness.faults import Fault, catalogue
from harness.model import Hop, Severity

DOCS = Path(__file__).resolve().parent.parent / "docs"

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]

_MADE = "<!-- Made from the code by `make catalogue`; a test holds that it is current. Do not edit. -->"
_SPECIAL = re.compile(r"([\\*<>|\[\]])")
# From the largest to the smallest: the largest that fits says the most in the fewest words.
_GROUPS = (
    ("what breaks a path", BREAKS_A_PATH),
    ("what lets nothing through the tunnel", KILLS_A_TUNNEL),
    ("what a container cannot start with", STOPS_A_CONTAINER),
)


def add_to(add: Add) -> None:
    """Add the command to the command line."""
    command = add("catalogue", _catalogue, "Print the catalogue of faults or of rules, or write both into docs/.")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--faults", action="store_true", help="print docs/faults.md: what can be broken")
    what.add_argument("--rules", action="store_true", help="print docs/rules.md: what the doctor names")
    what.add_argument("--write", action="store_true", help="write both")


def pages() -> dict[Path, str]:
    """Each page that is made from the code, by its file."""
    return {DOCS / "faults.md": _page(_faults()), DOCS / "rules.md": _page(_rules())}


def _catalogue(options: argparse.Namespace) -> int:
    for file, page in pages().items():
        if options.write:
            file.write_text(page, encoding="utf-8")
            sys.stdout.write(f"{file.relative_to(DOCS.parent)}: {len(page.splitlines())} lines\n")
        elif getattr(options, file.stem):
            sys.stdout.write(page)
    return 0


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _faults() -> Iterator[str]:
    everything = catalogue()
    faults = [fault for fault in everything if not fault.benign]
    known = {rule.id: rule for rule in rules()}
    yield from ("# What can be broken", "", _MADE, "")
    yield from (
        f"{len(faults)} faults and {len(everything) - len(faults)} benign changes. Each is put into the running",
        "deployment for real by `scenarios/test_diagnosis.py`, seen to take, named by the doctor, and taken out again",
        "exactly. *Before up* means that containers are created anew with it; all others change what runs.",
        "A fault is a file in `harness/faults/`; what the doctor's names mean is in [rules.md](rules.md).",
        "",
        'One alone: `pytest "scenarios/test_diagnosis.py::test_a_fault_is_named[NAME]"`. Any scenario on a deployment',
        'that has it all the time: `pytest scenarios/ --with-fault "NAME"`.',
    )
    for hop in Hop:
        if found := [fault for fault in faults if _hop(fault, known) is hop]:
            yield from ("", f"## {hop.value[0].upper()}{hop.value[1:]}", "")
            yield from _fault_table(found)
    yield from ("", "## Benign changes", "", "A healthy deployment bears them: no error may be found.", "")
    yield from _fault_table([fault for fault in everything if fault.benign])


def _hop(fault: Fault, known: Mapping[str, Rule[Any]]) -> Hop:
    """Where on the way a fault stops packets: at its first root's hop."""
    return min((known[root].hop for root in fault.roots), key=list(Hop).index)


def _fault_table(faults: Iterable[Fault]) -> Iterator[str]:
    yield "| fault | what is done | what a user sees | the doctor names |"
    yield "|---|---|---|---|"
    for fault in faults:
        names = ", ".join(map(_rule_link, sorted(fault.roots))) or "nothing"
        if fault.tolerated:
            names += f"; may warn of {', '.join(map(_rule_link, sorted(fault.tolerated)))}"
        cells = (_plain(fault.name), _what_is_done(fault), f"{_plain(fault.seen)}.", names)
        yield f"| {' | '.join(cells)} |"


def _what_is_done(fault: Fault) -> str:
    told = _first_line(type(fault).__doc__)
    case: Any = fault  # a dataclass, whose fields tell one case of a fault from another
    for field in dataclasses.fields(case):
        told = told.replace(f"`{field.name}`", str(getattr(fault, field.name)))
    words = [_plain(told)]
    if fault.stage.value == "before up":
        words.append("*Before up.*")
    if fault.layouts != LAYOUTS:
        words.append(f"*Only {' and '.join(fault.layouts)}.*")
    return " ".join(words)


def _rules() -> Iterator[str]:
    everything = rules()
    faults = catalogue()
    yield from ("# What the doctor can name", "", _MADE, "")
    yield from (
        f"{len(everything)} rules, in the order in which a packet meets what they judge. A rule is a file in",
        "`harness/diagnosis/rules/`. Words in capitals in a cause or remedy are filled in with what was seen: NODE is",
        "the service, CONTAINER its container. Where a rule finds something and one that *explains* it does so too, on",
        "the same node or path, only the latter is a root cause. A failure that no rule explains is `undiagnosed`;",
        "what could not be seen is unknown, and never taken for good.",
        "",
        "Three groups explain much, and are named as a whole below:",
        "",
    )
    yield from (f"- {_phrase(name)}: {', '.join(_members(name, group))}" for name, group in reversed(_GROUPS))
    for hop in Hop:
        if found := [rule for rule in everything if rule.hop is hop]:
            yield from ("", f"## {hop.value[0].upper()}{hop.value[1:]}")
            for rule in found:
                yield from _section(rule, [fault for fault in faults if rule.id in fault.roots])


def _section(rule: Rule[Any], put_in_by: list[Fault]) -> Iterator[str]:
    warning = " A warning: it breaks nothing yet." if rule.severity is Severity.WARNING else ""
    yield from ("", f"### {rule.id}", "", f"{_plain(rule.title)}.{warning}", "")
    yield f"- **cause**: {_template(rule.cause)}"
    yield f"- **remedy**: {_template(rule.remedy)}"
    if rule.consequence_of:
        yield f"- **explained by**: {', '.join(_explained_by(rule))}"
    if put_in_by:
        yield f"- **put in by**: {'; '.join(_plain(fault.name) for fault in put_in_by)}"
    else:
        yield "- **put in by**: no fault of the catalogue; it is tested on written evidence"


def _explained_by(rule: Rule[Any]) -> Iterator[str]:
    """The causes, those of a whole group by the group's name; of a group but for the rule itself likewise."""
    left = rule.consequence_of
    for name, group in _GROUPS:
        if group - {rule.id} <= left:
            yield _phrase(name)
            left -= group
    for each in sorted(left):
        yield _rule_link(each) + (" (on the same node)" if each in rule.local else "")


def _members(name: str, group: frozenset[str]) -> Iterator[str]:
    """A group's members, those that are a smaller group by that one's name."""
    left = group
    for other, smaller in _GROUPS:
        if other != name and smaller < left:
            yield _phrase(other)
            left -= smaller
    yield from map(_rule_link, sorted(left))


def _phrase(name: str) -> str:
    return f"*{name}*"


def _rule_link(rule: str) -> str:
    return f"[{rule}](rules.md#{rule})"


def _template(text: str) -> str:
    """A rule's words with its placeholders in capitals."""
    parts = string.Formatter().parse(text)
    return _plain("".join(said + (name or "").upper().replace("_", "-") for said, name, _format, _convert in parts))


def _plain(text: str) -> str:
    """Text as Markdown: what stands in backticks stays code, and nothing else is taken for more than it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n\n")[0]
