"""A diagnosis for people: roots first, each with its cause, the very lines that show it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.diagnosis.hops import HopStatus
from harness.diagnosis.judgement import FAULTY, HEALTHY, Diagnosis
from harness.model import Finding, Severity

_MARKS = {"pass": "ok", "fail": "FAILS", "unknown": "?"}


def prescription(diagnosis: Diagnosis) -> str:
    """The whole of it, as `python -m harness doctor` prints it."""
    lines = [_headline(diagnosis), ""]
    roots = [finding for finding in diagnosis.findings if finding.root]
    for finding in roots:
        lines += [*_root(finding), ""]
    if consequences := [finding for finding in diagnosis.findings if not finding.root]:
        lines += ["what follows from it:", *(f"  {each.rule} ({each.node}): {each.cause}" for each in consequences), ""]
    if diagnosis.unknown:
        lines += ["what could not be seen:", *(f"  {line}" for line in diagnosis.unknown), ""]
    lines += ["this is the configuration alone: nothing of it was tried"] if diagnosis.static else _ways(diagnosis.hops)
    return "\n".join(lines).rstrip() + "\n"


def summary(diagnosis: Diagnosis) -> str:
    """One line: the root causes."""
    roots = [f"{each.rule}: {each.cause}" for each in diagnosis.findings if each.root]
    if roots:
        return "; ".join(roots)
    if diagnosis.status == HEALTHY:
        return "the doctor finds nothing wrong"
    return f"the doctor could not observe: {'; '.join(diagnosis.unknown[:2])}"


def _headline(diagnosis: Diagnosis) -> str:
    roots = sorted(diagnosis.roots)
    if diagnosis.status == HEALTHY:
        return f"healthy, with warnings: {', '.join(roots)}" if roots else "healthy"
    if diagnosis.status == FAULTY:
        return f"faulty: {', '.join(roots)}"
    return "unknown: not everything could be seen"


def _root(finding: Finding) -> Iterator[str]:
    warning = " (a warning)" if finding.severity is Severity.WARNING else ""
    yield f"{finding.rule}, {finding.node}{warning}"
    yield from _labelled("cause", [finding.cause])
    yield from _labelled("evidence", finding.evidence)
    yield from _labelled("remedy", [finding.remedy])
    yield from _labelled("where", finding.words)


def _labelled(label: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {label:<10}{line}"
        label = ""


def _ways(hops: Iterable[HopStatus]) -> Iterator[str]:
    """A line for each path that is whole, and one for each hop of those that are not."""
    paths: dict[str, list[HopStatus]] = {}
    for hop in hops:
        paths.setdefault(hop.path, []).append(hop)
    for path, ways in paths.items():
        if all(hop.status == "pass" for hop in ways):
            yield f"{path}: ok"
            continue
        yield f"{path}:"
        for hop in ways:
            said = f"  {hop.evidence}" if hop.status != "pass" else ""
            yield f"  {_MARKS[hop.status]:<5} {hop.hop.value}{said}"
