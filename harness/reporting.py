"""What reviewers see: labels, steps and attachments of the Allure report. The only place that knows Allure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import allure
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, TestResult

from harness.deployment import Deployment
from harness.diagnosis.judgement import judge
from harness.diagnosis.prescription import prescription, summary
from harness.redaction import without
from harness.snapshot import collect


def step(title: str) -> AbstractContextManager[object]:
    """A step of the test in the report."""
    found: AbstractContextManager[object] = allure.step(title)
    return found


def describe(*, epic: str, feature: str, story: str, layout: str, title: str, case: str | None) -> None:  # noqa: PLR0913
    """Say where a test stands in the report.

    `case` names one of several that share a function. Allure tells them apart by their parameters, of which it shows
    some by their type alone: two such would be taken for one test that was tried twice.
    """
    if case is not None:
        allure.dynamic.parameter("case", case)
    allure.dynamic.epic(epic)  # type: ignore[no-untyped-call]
    allure.dynamic.feature(feature)  # type: ignore[no-untyped-call]
    allure.dynamic.story(story)  # type: ignore[no-untyped-call]
    allure.dynamic.label("layout", layout)  # type: ignore[no-untyped-call]
    allure.dynamic.title(title)  # type: ignore[no-untyped-call]


def attach(name: str, text: str) -> None:
    """Attach a text to the test at hand."""
    allure.attach(text, name=name, attachment_type=allure.attachment_type.TEXT)


def add_page(results: Path, *, title: str, page: str, passed: bool, layout: str) -> None:
    """Add a page of HTML to a run's results, as a test of its own; call it once, when all tests are done."""
    name, moment = f"{uuid4()}-attachment.html", int(time.time() * 1000)
    (results / name).write_text(page, encoding="utf-8")
    labels = {"epic": f"{layout} layout", "feature": "Scores", "layout": layout}
    AllureFileLogger(str(results)).report_result(  # type: ignore[no-untyped-call]
        TestResult(
            uuid=str(uuid4()),
            historyId=title,
            testCaseId=title,
            fullName=title,
            name=title,
            status="passed" if passed else "failed",
            stage="finished",
            start=moment,
            stop=moment,
            labels=[Label(name=label, value=value) for label, value in labels.items()],
            attachments=[Attachment(name=title, source=name, type="text/html")],
        )
    )


def remove_secrets(results: Path, secrets: Iterable[str]) -> None:
    """Take secrets out of what Allure has written, such as a failed assertion's message that shows its operands."""
    known = sorted(secrets)
    for file in results.glob("*"):
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        if (clean := without(known, text)) != text:
            file.write_text(clean, encoding="utf-8", errors="surrogateescape")


def attach_evidence(deployment: Deployment) -> str:
    """Attach what the doctor finds now, and what every node looks like, a file for each, without keys and passwords.

    Returns the root causes in one line.
    """
    snapshot = collect(deployment)
    diagnosis = judge(snapshot)
    attach("what the doctor finds", prescription(diagnosis))
    for node in snapshot.nodes:
        texts = {name: piece.text if piece.missing is None else piece.missing for name, piece in node.pieces.items()}
        text = "\n\n".join(f"===== {title}\n{text.rstrip()}" for title, text in sorted(texts.items()))
        attach(f"{node.name}, {snapshot.taken_at:%H:%M:%S} UTC", f"{text}\n")
    return summary(diagnosis)
