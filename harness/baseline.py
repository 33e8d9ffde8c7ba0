"""What a deployment is held against when a test has failed: the same one, as it came up."""

from __future__ import annotations

from dataclasses import dataclass

from harness.deployment import Deployment
from harness.diagnosis.evidence import Snapshot
from harness.diagnosis.judgement import Diagnosis
from harness.examination import examined
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
        found = examined(lambda: collect(deployment, seal=seal))
        return cls(snapshot=found.snapshot, diagnosis=found.diagnosis, seal=seal)
