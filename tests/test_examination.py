from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnosis.evidence import Snapshot
from harness.examination import examined, steady
from harness.model import Budget

from .evidence_samples import MARIADB, WEB, Sample
from .test_rules_paths import a_dnat_rule_was_deleted

BRIEFLY = Budget(seconds=5, reason="nothing is real here")
NO_TIME = Budget(seconds=0, reason="nothing is real here")


class Looks:
    """Looks that were taken one after the other; the last one again and again."""

    def __init__(self, *samples: Sample) -> None:
        self._samples = samples
        self.count = 0

    def __call__(self) -> Snapshot:
        """Look."""
        self.count += 1
        return self._samples[min(self.count, len(self._samples)) - 1].snapshot()


def hanging(step: str = "connect", backend: str = "database") -> Sample:
    """Web's try of a backend has timed out, and nothing says why."""
    sample = Sample()
    sample.fail(WEB, backend, step)
    return sample


def faulty() -> Sample:
    sample = Sample()
    a_dnat_rule_was_deleted(sample)
    return sample


def test_what_failed_once_for_no_known_reason_is_no_fault() -> None:
    """The second look counts, and what the first one saw is said."""
    looks = Looks(hanging("login"), Sample())
    found = examined(looks)
    assert looks.count == 2
    assert (found.diagnosis.status, found.diagnosis.findings) == ("healthy", ())
    assert found.first is not None
    assert found.first.to_json() == hanging("login").snapshot().to_json()
    (passed,) = found.passed
    assert passed.startswith("web→database: 10.100.0.11:3306 fails at `login`")


def test_what_fails_twice_for_no_known_reason_is_undiagnosed() -> None:
    """It is there, whatever it is."""
    looks = Looks(hanging("login"))
    found = examined(looks)
    assert looks.count == 2
    assert found.diagnosis.roots == {"undiagnosed"}
    assert found.passed == ()


def test_what_only_the_second_look_explains_has_not_passed() -> None:
    """A cause that is seen late is a cause."""
    found = examined(Looks(hanging("login"), faulty()))
    assert found.diagnosis.roots == {"forward-rule-missing"}
    assert found.passed == ()


@pytest.mark.parametrize("sample", [Sample, faulty], ids=["healthy", "explained"])
def test_what_is_explained_is_looked_at_once(sample: Callable[[], Sample]) -> None:
    """A second look takes as long as the first."""
    looks = Looks(sample(), hanging())
    examined(looks)
    assert looks.count == 1


def _unseen() -> Sample:
    sample = Sample()
    sample.lose(MARIADB, "sockets")
    sample.lose("celery", "backends", "timed out")
    return sample


def _unseen_and_hanging() -> Sample:
    sample = hanging()
    sample.lose("celery", "backends", "timed out")
    return sample


@pytest.mark.parametrize(
    ("samples", "count"),
    [
        ([Sample()], 1),
        ([_unseen()], 1),
        ([hanging(), Sample()], 2),
        ([_unseen_and_hanging(), Sample()], 2),
        ([hanging(), hanging()], 2),
        ([hanging(), hanging(backend="broker"), Sample()], 3),
    ],
    ids=["well", "unseen", "once", "once, and unseen", "alike twice", "unlike"],
)
def test_what_is_to_be_compared_is_steady(samples: list[Sample], count: int) -> None:
    """Something timed out: another look, until nothing does or two in a row say the same."""
    looks = Looks(*samples)
    told: list[tuple[tuple[str, ...], Snapshot]] = []
    steady(looks, BRIEFLY, lambda late, seen: told.append((late, seen)))
    assert looks.count == len(told) + 1 == count
    for number, ((line,), seen) in enumerate(told):
        assert line.startswith("web→"), line
        assert " fails at `connect`" in line
        assert seen.to_json() == samples[number].snapshot().to_json()


def test_steadiness_is_not_waited_for_for_ever() -> None:
    """The last look is taken as it is when the time is up."""
    looks = Looks(hanging(), Sample())
    assert steady(looks, NO_TIME).to_json() == hanging().snapshot().to_json()
    assert looks.count == 1
