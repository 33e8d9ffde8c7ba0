"""Ways to break the healthy sample, each with the root causes that the doctor has to name, and harmless changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.diagnosis.judgement import HEALTHY
from harness.model import Severity

from .evidence_samples import Sample

Change = Callable[[Sample], None]


@dataclass(frozen=True)
class Case:
    """A change of the sample, and the roots that it makes; none of a harmless one. `about` is a rule that is near."""

    change: Change
    roots: frozenset[str]
    about: str

    def __str__(self) -> str:
        return f"{self.about}: {self.change.__name__}"

    def check(self) -> None:
        """Make the change; exactly its roots are named, each with what is filled in, or nothing is found at all."""
        sample = Sample()
        self.change(sample)
        diagnosis = sample.diagnosis
        said = {finding.rule: finding.evidence for finding in diagnosis.findings}
        assert diagnosis.roots == self.roots, said
        if not self.roots:
            assert (diagnosis.status, diagnosis.findings, diagnosis.unknown) == (HEALTHY, (), ())
            return
        warnings = all(finding.severity is Severity.WARNING for finding in diagnosis.findings)
        assert diagnosis.exit_code == (0 if warnings else 1)
        for finding in diagnosis.findings:
            assert finding.evidence, finding.rule
            assert "{" not in finding.cause.replace("${", "")
            assert finding.remedy


class Cases:
    """All the cases of one module of tests."""

    def __init__(self) -> None:
        self.broken: list[Case] = []
        self.well: list[Case] = []

    def makes(self, *roots: str) -> Callable[[Change], Change]:
        """A change that makes exactly these the roots."""
        return self._keep(self.broken, frozenset(roots), roots[0])

    def spares(self, rule: str) -> Callable[[Change], Change]:
        """A change that is near to what a rule finds, and leaves the deployment healthy."""
        return self._keep(self.well, frozenset(), rule)

    def _keep(self, where: list[Case], roots: frozenset[str], about: str) -> Callable[[Change], Change]:
        def keep(change: Change) -> Change:
            where.append(Case(change=change, roots=roots, about=about))
            return change

        return keep
