"""What a deployment is held against when a test has failed: the same one, as it came up."""

from __future__ import annotations

from dataclasses import dataclass

from harness.deployment import Deployment
from harness.diagnosis.evidence import Snapshot
from harness.diagnosis.judgement import Diagnosis, judge
from harness.redaction import Sealer
from harness.snapshot import collect


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a deployment looked like when it was well, and the seal by which later looks can be compared with it."""

    snapshot: Snapshot
    diagnosis: Diagnosis
    seal: Sealer

    @classmethod
    def of(cls, deployment: Deployment) -> Baseline:
        """Look at a deployment that is well."""
        seal = Sealer()
        snapshot = collect(deployment, seal=seal)
        return cls(snapshot=snapshot, diagnosis=judge(snapshot), seal=seal)
