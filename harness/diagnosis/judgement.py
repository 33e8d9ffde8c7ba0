"""The doctor's judgement of a snapshot: findings with their roots, and the way of each path hop by hop. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.diagnosis.evidence import Snapshot, UnreadError, UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.hops import HopStatus, Unseen, hops_of, order
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.diagnosis.restarts import is_restarting
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import STARTS_NOTHING, Case, Rule, rules
from harness.diagnosis.wording import own_words
from harness.model import Finding, Hop, Severity

HEALTHY, FAULTY, UNKNOWN = "healthy", "faulty", "unknown"
UNDIAGNOSED = "undiagnosed"
_EVIDENCE = "the evidence"
_ENDS = 2  # of a tunnel


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong. `unknown` lists what could not be judged and that nothing found explains.

    `static` says that it is of a configuration, of which nothing was tried.
    """

    status: str
    layout: str
    findings: tuple[Finding, ...]
    hops: tuple[HopStatus, ...]
    unknown: tuple[str, ...]
    static: bool = False

    @property
    def roots(self) -> frozenset[str]:
        """The rules that name a root cause."""
        return frozenset(finding.rule for finding in self.findings if finding.root)

    @property
    def errors(self) -> frozenset[str]:
        """The rules that found an error, roots or not."""
        return frozenset(finding.rule for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 faulty, 2 could not observe."""
        return {HEALTHY: 0, FAULTY: 1, UNKNOWN: 2}[self.status]

    def joined_by(self, findings: Iterable[Finding]) -> Diagnosis:
        """The same with what was found otherwise than by rules."""
        found = _ordered((*self.findings, *findings))
        faulty = any(finding.severity is Severity.ERROR for finding in found)
        return replace(self, findings=found, status=FAULTY if faulty else self.status)

    def to_json(self) -> str:
        """In the form that is documented for `doctor --json`."""
        findings = [
            {
                "rule": each.rule,
                "node": each.node,
                "severity": each.severity.value,
                "root": each.root,
                "cause": each.cause,
                "remedy": each.remedy,
                "evidence": list(each.evidence),
                "hop": each.hop.value,
                "paths": sorted(each.paths),
                "words": list(each.words),
            }
            for each in self.findings
        ]
        hops = [
            {"path": each.path, "hop": each.hop.value, "status": each.status, "evidence": each.evidence}
            for each in self.hops
        ]
        document: dict[str, Any] = {"status": self.status, "layout": self.layout, "findings": findings, "hops": hops}
        return json.dumps(document | {"unknown": list(self.unknown)}, indent=2, ensure_ascii=False)


def judge(snapshot: Snapshot) -> Diagnosis:
    """Judge a snapshot by every rule. Never raises: what cannot be judged is unknown."""
    facts = Facts(snapshot)
    found: list[Finding] = []
    unseen: list[Unseen] = []
    for rule in rules():
        _apply(rule, facts, found, unseen)
    findings = _with_roots(facts, _merged(found))
    findings += _undiagnosed(facts, findings)
    unknown = _unexplained(facts, findings, unseen)
    ordered = _ordered(findings)
    return Diagnosis(
        status=_status(findings, unknown, facts),
        layout=snapshot.layout,
        findings=ordered,
        hops=() if snapshot.static else tuple(hop for path in facts.paths for hop in hops_of(path, ordered, unseen)),
        unknown=unknown,
        static=snapshot.static,
    )


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Roots first, errors before warnings, in the order of the way."""
    return tuple(sorted(findings, key=lambda each: (not each.root, each.severity is Severity.WARNING, order(each.hop))))


def _apply(rule: Rule[Any], facts: Facts, found: list[Finding], unseen: list[Unseen]) -> None:
    try:
        for subject in rule.over(facts):
            try:
                found += [_finding(rule, facts, case) for case in rule.when(facts, subject)]
            except UnseenError as error:
                unseen.append((rule, error))
    except Exception as error:  # noqa: BLE001 (a rule that cannot read the evidence has seen nothing, and says so)
        what = f"something that {rule.id} judges by"
        unseen.append((rule, UnseenError(_EVIDENCE, what, f"{type(error).__name__} {error}")))


def _finding(rule: Rule[Any], facts: Facts, case: Case) -> Finding:
    node = facts.node(case.node)
    paths = case.paths if case.paths is not None else facts.paths_through(node) if node else frozenset()
    remedy = rule.remedy.format(node=case.node, container=node.evidence.name if node else case.node, **case.values)
    # Of two servers people have to know into which to type it.
    place = f"on the server {node.host}: " if node and node.host and facts.several_hosts else ""
    return Finding(
        rule=rule.id,
        node=case.node,
        severity=case.severity or rule.severity,
        root=True,
        cause=rule.cause.format(node=case.node, **case.values),
        remedy=f"{place}{remedy}",
        evidence=case.evidence,
        hop=rule.hop,
        paths=paths,
        words=own_words(facts.nodes, case.node, remedy),
    )


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """What one rule says of one node in the same words is one finding, with the evidence and the paths of all."""
    together: dict[tuple[object, ...], Finding] = {}
    for each in found:
        words = each.rule, each.node, each.severity, each.cause, each.remedy
        known = together.setdefault(words, each)
        evidence = tuple(dict.fromkeys((*known.evidence, *each.evidence)))
        together[words] = replace(known, evidence=evidence, paths=known.paths | each.paths)
    return list(together.values())


def _with_roots(facts: Facts, found: list[Finding]) -> list[Finding]:
    """Mark what another finding explains, be that itself explained or not."""
    reasons = {rule.id: rule.consequence_of for rule in rules()}
    local = {rule.id: rule.local for rule in rules()}

    def explains(other: Finding, finding: Finding) -> bool:
        if other.rule not in reasons[finding.rule]:
            return False
        near = other.node == finding.node or other.rule not in local[finding.rule]
        return near and _explains(facts, other, finding)

    return [
        replace(
            finding,
            root=not any(explains(other, finding) for other in found),
        )
        for finding in found
    ]


def _explains(facts: Facts, other: Finding, finding: Finding) -> bool:
    """Whether one finding lies where it can bring the other about.

    On the same node it can. Elsewhere only along a path that both break, and only towards the application: what is
    wrong with an application explains nothing about a gateway, and that nothing about a backend.
    """
    if other is finding or (other.rule in STARTS_NOTHING and _runs_all_the_same(facts, other.node)):
        return False
    if other.node == finding.node:
        return True
    depth, other_depth = _depth(facts.node(finding.node)), _depth(facts.node(other.node))
    both_ends = other_depth == depth == _DEPTHS[Role.GATEWAY]
    if both_ends and not facts.tunnelled:
        return True  # they have the tunnel in common, also where nobody was looked at who uses it
    return (other_depth > depth or both_ends) and bool(finding.paths & other.paths)


def _runs_all_the_same(facts: Facts, service: str) -> bool:
    """Whether a node lives with what it should not start with; an application does, and fails by it."""
    node = facts.node(service)
    if node is None or node.role is Role.APP:
        return False
    works = node.container.running and not is_restarting(facts, node)
    return works and not (isinstance(node, GatewayFacts) and _is_bare(node))


def _is_bare(gateway: GatewayFacts) -> bool:
    """Whether a gateway has no interface, or could not be asked for one, as one that ends under the look."""
    try:
        return gateway.interface is None
    except UnseenError:
        return True


_DEPTHS = {Role.APP: 0, Role.GATEWAY: 1, Role.BACKEND: 2, Role.BESIDE: 3}


def _depth(node: NodeFacts | None) -> int:
    return _DEPTHS[node.role if node else Role.BACKEND]  # what is outside is a backend


def _undiagnosed(facts: Facts, findings: Iterable[Finding]) -> list[Finding]:
    """A finding for each path that fails and each container that is unwell, where no other finding explains it."""
    explained = {path for finding in findings for path in finding.paths}
    nodes = {finding.node for finding in findings}
    found = []
    for path in facts.paths:
        if path.id in explained or path.app.configured_only or facts.silent_hosts:
            continue
        try:
            reach = path.reach
        except UnseenError:
            continue
        if reach.failed is not None and not _is_starting(path):
            found.append(_open_question(path.app, f"{path.id}: {reach}", frozenset({path.id})))
            explained.add(path.id)
    for node in facts.nodes:
        said, paths = _ailment(node), facts.paths_through(node)
        is_new = node.service not in nodes and not paths & explained and not (paths and facts.silent_hosts)
        if said and node.container.health == "unhealthy" and is_new:
            found.append(_open_question(node, f"its health check says: {said}", paths))
    return found


def _is_starting(path: Path) -> bool:
    """Whether a path's backend has only just been started, so that nothing can be said of it yet."""
    return path.backend is not None and path.backend.is_starting


def _ailment(node: NodeFacts) -> str:
    """What a node's health check says that fails even now; empty when it passes or there is none."""
    return node.evidence.text("health").strip() if node.evidence.has("health") else ""


def _open_question(node: NodeFacts, evidence: str, paths: frozenset[str]) -> Finding:
    return Finding(
        rule=UNDIAGNOSED,
        node=node.service,
        severity=Severity.ERROR,
        root=True,
        cause=f"{node.service} does not work, and no rule says why",
        remedy="look at the evidence (`python -m harness snapshot -o FILE`), and write a rule when the cause is found",
        evidence=(evidence, *node.complaints[-3:]),
        hop=Hop.GREETING,
        paths=paths,
    )


def _unexplained(facts: Facts, findings: Iterable[Finding], unseen: Iterable[Unseen]) -> tuple[str, ...]:
    """What could not be seen, in a sentence each, without what a container that is down explains."""
    if facts.snapshot.static:
        told = [error for _rule, error in unseen if error.node == _EVIDENCE or isinstance(error, UnreadError)]
        return (*dict.fromkeys(map(str, (*facts.unreadable.values(), *told))), *_unrecognised(facts))
    down = {node.service for node in facts.nodes if not node.container.running}
    broken = {path for finding in findings for path in finding.paths if finding.severity is Severity.ERROR}
    lines = {
        str(error): None
        for rule, error in unseen
        if error.node not in down and not (error.piece == "traffic" and (down or broken))
    }
    lines |= {str(error): None for error in facts.unreadable.values()}
    for path in facts.paths:
        if path.id not in broken and _is_starting(path) and _has_failed(path):
            lines[f"{path.id}: {path.reach}, and that has only just been started"] = None
    if facts.silent_hosts:
        failing = [path for path in facts.paths if path.id not in broken and _has_failed(path)]
        lines |= {f"{path.id}: {path.reach}, and a server on its way was not seen": None for path in failing}
    if len(facts.gateways) < _ENDS:
        seen = f"only {facts.gateways[0].service}" if facts.gateways else "neither"
        lines[f"the tunnel has two ends, and {seen} was looked at"] = None
    if not facts.apps:
        lines["no application was looked at, so no way to a backend was tried"] = None
    for node in facts.nodes:
        if node.is_starting and (said := _ailment(node)) and not broken:
            lines[f"{node.service} has only just been started, and is not ready yet: {said}"] = None
        if node.container.running and node.container.health == "unhealthy" and not node.evidence.has("health"):
            lines[str(UnseenError(node.service, "health", "Docker calls it unhealthy, and it was not asked why"))] = (
                None
            )
    return tuple(lines)


def _unrecognised(facts: Facts) -> Iterator[str]:
    """What no service of a configuration is known to be, without which there is nothing that could be well."""
    parts = {"gateway": bool(facts.gateways or facts.unreadable), "application": bool(facts.apps)}
    if lacking := [part for part, is_there in parts.items() if not is_there]:
        services = ", ".join(node.service for node in facts.nodes) or "there are none"
        yield (
            f"no {' and no '.join(lacking)} was recognised among the services ({services}): give them the documented "
            "names and settings, or say by --map which of them plays which part (docs/your-own.md)"
        )


def _status(findings: Iterable[Finding], unknown: tuple[str, ...], facts: Facts) -> str:
    if any(finding.severity is Severity.ERROR for finding in findings) or any(map(_fails, _judged(facts))):
        return FAULTY
    return UNKNOWN if unknown or not facts.nodes else HEALTHY


def _judged(facts: Facts) -> tuple[Path, ...]:
    """The paths whose failure is the deployment's: of a server that is not seen nobody knows."""
    return () if facts.silent_hosts else facts.paths


def _fails(path: Path) -> bool:
    return _has_failed(path) and not _is_starting(path)


def _has_failed(path: Path) -> bool:
    try:
        return path.reach.failed is not None
    except UnseenError:
        return False
