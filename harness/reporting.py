"""What reviewers see: labels, steps and attachments of the Allure report. The only place that knows Allure."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import allure
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, TestResult

from harness import capture, packets, witness
from harness.baseline import Baseline
from harness.capture import Capture
from harness.deployment import Deployment
from harness.diagnosis.comparison import differences, portrait
from harness.diagnosis.evidence import NodeEvidence
from harness.diagnosis.judgement import judge
from harness.diagnosis.prescription import prescription, summary
from harness.drawings import sheet, timeline, topology
from harness.errors import HarnessError
from harness.experiment import Experiment
from harness.narration import Narrator
from harness.redaction import Eraser
from harness.snapshot import collect

ROOT_CAUSE = "rootCause"
"""The label by which failed tests are put into categories (reports/allurerc.mjs)."""

_SVG = "image/svg+xml"

REPORTS = Path(__file__).resolve().parent.parent / "reports"


def _tell(asked: str, answered: str) -> None:
    with allure.step(asked):
        attach("what was asked, and the answer", answered)


_narrator = Narrator(_tell)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """A step of the test in the report, with everything that is asked and answered in it folded under it."""
    _narrator.flush()
    with allure.step(title):
        try:
            yield
        finally:
            _narrator.flush()


@contextlib.contextmanager
def narrated() -> Iterator[None]:
    """Tell the report what is asked of the deployment while the block runs, and what it answers."""
    _narrator.begin()
    try:
        with witness.listening(_narrator.hear):
            yield
    finally:
        _narrator.flush()


def describe(*, epic: str, feature: str, promise: str, layout: str, title: str, case: str | None) -> None:  # noqa: PLR0913
    """Say where a test stands in the report, and what it promises: the docstring, of which the first line is the story.

    `case` names one of several that share a function. Allure tells them apart by their parameters, of which it shows
    some by their type alone: two such would be taken for one test that was tried twice.
    """
    if case is not None:
        allure.dynamic.parameter("case", case)
    allure.dynamic.epic(epic)  # type: ignore[no-untyped-call]
    allure.dynamic.feature(feature)  # type: ignore[no-untyped-call]
    allure.dynamic.story(promise.splitlines()[0].rstrip("."))  # type: ignore[no-untyped-call]
    allure.dynamic.description(promise)  # type: ignore[no-untyped-call]
    allure.dynamic.label("layout", layout)  # type: ignore[no-untyped-call]
    allure.dynamic.title(title)  # type: ignore[no-untyped-call]


def attach(name: str, text: str) -> None:
    """Attach a text to the test at hand, or to its step."""
    allure.attach(text, name=name, attachment_type=allure.attachment_type.TEXT)


def attach_picture(name: str, svg: str) -> None:
    """Attach a picture."""
    allure.attach(svg, name=name, attachment_type=_SVG, extension="svg")


def blame(cause: str) -> None:
    """Put the failed test at hand into the category of this root cause; say so once."""
    allure.dynamic.label(ROOT_CAUSE, cause)  # type: ignore[no-untyped-call]


def attach_experiment(experiment: Experiment, baseline: Baseline | None) -> None:
    """Attach what happened in an experiment, as a timeline and in words, and what the deployment looked like.

    Where nobody looked while something was put in, the deployment is drawn as it was when it was healthy.
    """
    chronicle = experiment.chronicle
    if not chronicle.marks:
        return
    attach_picture("timeline", timeline.draw(chronicle))
    attach("observations over time", str(chronicle))
    if experiment.evidence is not None:
        attach_picture("topology while it was in", topology.draw(*experiment.evidence))
    elif baseline is not None:
        attach_picture("topology of the healthy deployment", topology.draw(baseline.snapshot, baseline.diagnosis))


def attach_evidence(deployment: Deployment, promise: str, baseline: Baseline | None) -> str:
    """Attach what the doctor finds now, what differs from when all was well, logs, captures, and all that was seen.

    In this order, without keys and passwords. What was found also stands above everything else, below the test's
    `promise`, and is the test's category. Returns the root causes in one line.
    """
    healthy = baseline.snapshot if baseline else None
    snapshot = collect(deployment, seal=baseline.seal if baseline else None)
    diagnosis = judge(snapshot)
    said = "".join(
        f"\n\n**Root cause: {each.rule}**, {each.node}. {each.cause}" for each in diagnosis.findings if each.root
    )
    allure.dynamic.description(promise + (said or f"\n\n**{summary(diagnosis)}**"))  # type: ignore[no-untyped-call]
    blame(" and ".join(sorted(diagnosis.roots)) or f"none found: {diagnosis.status}")
    with step(f"what the doctor finds: {summary(diagnosis)}"):
        attach("what the doctor finds", prescription(diagnosis))
        attach_picture("topology", topology.draw(snapshot, diagnosis))
    if healthy is not None:
        changes = differences(portrait(healthy, lasting=False), portrait(snapshot, lasting=False))
        with step(f"what differs from when all was well: {len(changes)} lines"):
            attach(f"healthy at {healthy.taken_at:%H:%M:%S} UTC (-) and now (+)", "\n".join(changes) or "nothing\n")
    with step("logs"):
        for node in snapshot.nodes:
            attach(f"log of {node.name}", _text(node, "log"))
    for number, taken in enumerate(capture.taken(), start=1):
        _attach_capture(f"capture {number}, of {taken.what}", taken)
    with step(f"all that was seen at {snapshot.taken_at:%H:%M:%S} UTC"):
        for node in snapshot.nodes:
            text = "\n\n".join(f"===== {name}\n{_text(node, name).rstrip()}" for name in sorted(node.pieces))
            attach(node.name, f"{text}\n")
        bundle = "snapshot.json, for `python -m harness doctor --snapshot FILE`"
        allure.attach(snapshot.to_json(), name=bundle, attachment_type=allure.attachment_type.JSON)
    return summary(diagnosis)


def _text(node: NodeEvidence, name: str) -> str:
    piece = node.pieces.get(name)
    return "it was not collected" if piece is None else piece.missing or piece.text or "(nothing)"


def _attach_capture(name: str, taken: Capture) -> None:
    with step(name):
        try:
            raw = taken.raw()
        except HarnessError as error:
            attach("it cannot be read any more", str(error))
            return
        attach("in words", packets.summary(raw))
        allure.attach(raw, name=f"{name}.pcap", attachment_type=allure.attachment_type.PCAP)


def add_page(results: Path, *, title: str, body: str, passed: bool, layout: str) -> None:
    """Add a page to a run's results, as a test of its own; call it once, when all tests are done.

    It stands in the test's description, and as a file of its own in its attachments.
    """
    name, moment = f"{uuid4()}-attachment.html", int(time.time() * 1000)
    (results / name).write_text(sheet.document(title, body), encoding="utf-8")
    labels = {"epic": f"{layout} layout", "feature": "Figures", "layout": layout.partition(" ")[0]}
    AllureFileLogger(str(results)).report_result(  # type: ignore[no-untyped-call]
        TestResult(
            uuid=str(uuid4()),
            historyId=title,
            testCaseId=title,
            fullName=title,
            name=title,
            descriptionHtml=sheet.fragment(body),
            status="passed" if passed else "failed",
            stage="finished",
            start=moment,
            stop=moment,
            labels=[Label(name=label, value=value) for label, value in labels.items()],
            attachments=[Attachment(name=title, source=name, type="text/html")],
        )
    )


def tidy(results: Path) -> None:
    """Take out what Allure notes of fixtures in which nothing was done; call it once, when all tests are done."""
    for file in results.glob("*-container.json"):
        try:
            noted = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue  # a worker that was killed leaves half a file
        fixtures = [*noted.get("befores", ()), *noted.get("afters", ())]
        if not any(each.get("steps") or each.get("attachments") or each.get("statusDetails") for each in fixtures):
            file.unlink()


def written(results: str | None, junit: str | None) -> dict[str, str]:
    """What a run leaves for readers and where, for its last lines."""
    found = {"page": f"`make report` makes {REPORTS.name}/report.html of {_shown(results)}"} if results else {}
    return found | ({"JUnit": _shown(junit)} if junit else {})


def _shown(path: str) -> str:
    """A path as people type it from the project's folder."""
    whole = Path(path).resolve()
    return str(whole.relative_to(REPORTS.parent) if whole.is_relative_to(REPORTS.parent) else whole)


def remove_secrets(results: Path, secrets: Iterable[str]) -> None:
    """Take secrets out of what Allure has written, such as a failed assertion's message that shows its operands."""
    erase = Eraser(secrets)
    for file in results.glob("*"):
        before = file.read_bytes() if file.is_file() else b""
        if (after := erase.from_bytes(before, keep_length=file.suffix == ".pcap")) != before:
            file.write_bytes(after)
