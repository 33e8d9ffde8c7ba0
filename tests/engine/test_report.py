"""The report of a real run, with one injected failure and secrets shown on purpose: in a browser, and searched.

The run is made in a copy of this clone, so that its results, history and score are its own.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from harness import command, places
from harness.model import CommandResult
from harness.redaction import REMOVED
from harness.stage import Stage

if TYPE_CHECKING:
    from tools import browser
else:
    browser = pytest.importorskip("tools.browser", reason="Playwright is not installed: `make test` installs it")

TIMEOUT = 240.0
"""Seconds for one run: a bring-up and a few scenarios, on a machine that is busy with others."""

FAULT = "MariaDB's DNAT rule is deleted"
EXPERIMENT = f"test_a_fault_is_named[{FAULT}]"
READING = (
    "scenarios/test_tunnel.py::test_handshake_is_recent",
    "scenarios/test_mariadb_access.py::test_both_routes_end_at_the_same_mariadb",
)
"""Of these the fault makes the second fail."""
COPIED = ("harness", "scenarios", "compose", "ansible", "conftest.py", "pytest.ini")
TOKEN = "canary-Tk3nQ9xZrVb7LmPw"  # what no list knows of: its name alone says that it is secret

CANARY = '''\
"""Secrets that are shown on purpose."""

import base64
import json
import os
from pathlib import Path
from urllib.parse import quote

from harness import capture, clients
from harness.overlays import Variables


def test_shows_what_it_must_not(deployment, experiment):
    """It fails, and shows every secret in every way on its way there."""
    secrets = sorted(deployment.credentials.secrets())
    Path(os.environ["CANARIES"]).write_text(json.dumps(secrets))
    for secret in secrets:
        raw = secret.encode()
        shown = [secret, quote(secret, safe=""), raw.hex(), base64.b64encode(b"app:" + raw).decode()]
        if secret.endswith("=") and len(secret) == 44:
            shown.append(base64.b64decode(secret).hex())
        print("canary printed", *shown)
        deployment.web.run("sh", "-c", "echo canary logged $* >/proc/1/fd/1", "sh", *shown)
        deployment.web.run("env", environment={"DATABASE_PASSWORD": secret})
    token = Variables({"web": {"API_TOKEN": os.environ["CANARY_TOKEN"]}})
    with experiment.disturbance("a token in the environment") as undo:
        experiment.redeploy(undo, token, "web")
        with capture.tunnel(deployment), clients.redis(deployment, "web") as client:
            for secret in secrets:
                client.echo(secret)
        assert " ".join(secrets) == "canary compared"
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the runs left: the clone that they were made in, its page, what they printed, and the secrets shown."""

    clone: Path
    page: Path
    printed: str
    secrets: tuple[str, ...]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The tests as Allure's reader gets them."""
        found = (self.clone / "reports" / "results").glob("*-result.json")
        return [json.loads(file.read_text(encoding="utf-8")) for file in found]


@pytest.fixture(scope="module")
def made(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Two runs on one deployment: an experiment and secrets that are shown, then some that a fault makes fail."""
    clone = tmp_path_factory.mktemp("report") / "clone"
    unwanted = shutil.ignore_patterns("__pycache__", ".venv", "secrets")
    for name in COPIED:
        source, target = places.ROOT / name, clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=unwanted)
        else:
            shutil.copy(source, target)
    (clone / "scenarios" / "test_canary.py").write_text(CANARY, encoding="utf-8")
    plan = ("--plan", str(stage.plan.index + 2))
    canaries = clone.parent / "canaries.json"
    options = ("-p", "no:cacheprovider", *plan, "--alluredir", "reports/results")
    environment = {"PYTEST_ADDOPTS": "", "CANARIES": str(canaries), "CANARY_TOKEN": TOKEN}

    def run(*argv: str) -> CommandResult:
        return command.run([sys.executable, *argv], timeout=TIMEOUT, cwd=clone, env=environment, check=False)

    try:
        experiment = f"scenarios/test_diagnosis.py::{EXPERIMENT}"
        first = run("-m", "pytest", "scenarios/test_canary.py", experiment, *options, "--keep")
        broken = ("--reuse", "--with-fault", FAULT, "--examine", "--junitxml", "reports/junit-2.xml")
        second = run("-m", "pytest", *READING, *options, *broken)
        # The history has a trend from the second time on.
        built = [report_on(clone) for _ in range(2)]
        assert all(each.ok for each in built), built
        assert canaries.exists(), first
        yield Made(
            clone=clone,
            page=clone / "reports" / "report.html",
            printed=f"{first}{second}{built[0]}{built[1]}",
            secrets=tuple(json.loads(canaries.read_text(encoding="utf-8"))),
        )
    finally:
        run("-m", "harness", "down", *plan)


def report_on(clone: Path, *options: str) -> CommandResult:
    """Have this clone's report builder, which is installed, make a page of the other's results."""
    reports = clone / "reports"
    names = {"RESULTS": "results", "PAGE": "report.html", "HISTORY": "history/history.jsonl"}
    environment = {name: str(reports / place) for name, place in names.items()} | {"LAYOUT": "dev"}
    argv = [str(places.ROOT / "tools" / "report.sh"), *options]
    return command.run(argv, timeout=TIMEOUT, env=environment, check=False)


# --- what is in it


def test_a_failed_test_is_sorted_by_its_root_cause(made: Made) -> None:
    """The doctor's word is the category, stands above everything else, and comes before all other evidence."""
    (failed,) = [each for each in made.results if label(each, "rootCause") == "forward-rule-missing"]
    assert "Root cause: forward-rule-missing" in failed["description"]
    steps = [each["name"] for each in failed["steps"]]
    (first,) = [number for number, name in enumerate(steps) if name.startswith("what the doctor finds")]
    assert steps[first + 1].startswith("what differs from when all was well")
    assert steps[first + 2] == "logs"
    named = {each["name"] for step in failed["steps"][first : first + 2] for each in step["attachments"]}
    assert {"what the doctor finds", "topology"} <= named
    categories = [json.loads(each) for each in browser.contents(made.page) if b'"forward-rule-missing"' in each]
    assert categories, "the page has no such category"


def test_what_differs_is_the_fault_itself(made: Made) -> None:
    """Between the healthy beginning and the failure one DNAT rule went, and that is what the report shows."""
    (failed,) = [each for each in made.results if label(each, "rootCause") == "forward-rule-missing"]
    (step,) = [each for each in failed["steps"] if each["name"].startswith("what differs")]
    text = attached(made, step["attachments"][0])
    assert re.search(r"^-wireguard-services: rule \d+ nat PREROUTING .*--dport 3306", text, re.MULTILINE), text


def test_a_step_has_what_was_asked_and_answered(made: Made) -> None:
    """Under the steps of a test that only reads stand the commands, and what they printed."""
    passed = [each for each in made.results if each["status"] == "passed" and "test_tunnel" in each["fullName"]]
    asked = [step for each in passed for step in each["steps"] if step["name"].startswith("plan")]
    assert asked
    assert "$ docker exec" in attached(made, asked[0]["attachments"][0])


def test_a_capture_comes_with_a_summary(made: Made) -> None:
    """Of the test that failed with a capture the file is there, and beside it what is in it."""
    (failed,) = [each for each in made.results if "test_shows" in each["fullName"]]
    steps = [step for outer in failed["steps"] for step in [outer, *outer.get("steps", ())]]
    (step,) = [each for each in steps if each["name"].startswith("capture 1")]
    words, file = step["attachments"]
    assert "TCP 10.100.0.10:" in attached(made, words)
    assert file["source"].endswith(".pcap")


def test_the_page_says_what_it_ran_on(made: Made) -> None:
    """Engine, compose, WireGuard, iptables, images and commit stand beside the layout's results."""
    (variables,) = [
        json.loads(each) for each in browser.contents(made.page) if each.startswith(b"{") and b'"Compose"' in each
    ]
    assert {"commit", "Docker Engine", "Compose", "WireGuard of wireguard-web", "image mariadb"} <= set(variables)
    assert not [name for name, value in variables.items() if "unknown" in value and name != "commit"], variables


def test_the_history_shows_a_trend(made: Made) -> None:
    """The second page knows of the first."""
    runs = (made.clone / "reports" / "history" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(runs) == 2
    points = [
        each for each in browser.contents(made.page) if b'"testResults"' in each and b'"knownTestCaseIds"' in each
    ]
    assert points


def test_the_gate_does_not_let_it_through(made: Made) -> None:
    """A failed test, and fewer of them than there should be, end it with 1, and each is said."""
    result = report_on(made.clone, "--gate")
    assert result.exit_status == 1, result
    assert "failed tests" in result.stdout + result.stderr
    assert "total number of tests" in result.stdout + result.stderr


# --- in a browser


@pytest.fixture(scope="module")
def _chromium() -> None:
    if browser.chromium() is None:
        pytest.skip("there is no Chromium: install it (Debian: apt-get install chromium), or use `make test` as root")


VIEWS = {"light": ("light", 1280), "dark": ("dark", 1280), "on a phone": ("light", 390)}


@pytest.mark.usefixtures("_chromium")
@pytest.mark.parametrize("view", VIEWS)
def test_the_page_opens_from_a_file_and_asks_nobody(made: Made, view: str) -> None:
    """No request leaves it, the console is silent, the timeline, the topology and the matrix can be seen."""
    scheme, width = VIEWS[view]
    with browser.opened(made.page, scheme=scheme, width=width) as report:
        report.open(EXPERIMENT)
        for name in ("timeline", "topology while it was in"):
            report.unfold(name)
        shown = report.pictures()
        assert len(shown) == 2
        for picture in shown:
            assert picture["own"] > 0, "the browser cannot draw it"
            assert 200 < picture["width"] <= width
            assert picture["right"] <= width
        assert report.overflow() <= 0
        report.open("The doctor's score")
        matrix = report.page.frame_locator("iframe").locator("table.matrix")
        matrix.wait_for()
        assert matrix.locator("td.right").count() == 1
        assert report.requests == []
        assert report.complaints == []


@pytest.mark.usefixtures("_chromium")
def test_the_browser_would_notice(made: Made, tmp_path: Path) -> None:
    """A page that loads something from elsewhere, and has a fault in a script, is seen to do so."""
    page = tmp_path / "report.html"
    text = made.page.read_text(encoding="utf-8").replace('http-equiv="Content-Security-Policy"', 'name="none"')
    bad = "<img src='http://192.0.2.1/counted.png'><script>throw new Error('on purpose')</script>"
    page.write_text(text.replace("<body>", f"<body>{bad}", 1), encoding="utf-8")
    with browser.opened(page) as report:
        assert report.requests == ["http://192.0.2.1/counted.png"]
        assert any("on purpose" in each for each in report.complaints)


# --- no secret in it


def test_no_secret_is_anywhere(made: Made) -> None:
    """In no result, attachment, capture, page, JUnit file, log or line of the terminal, in whatever spelling."""
    assert len(made.secrets) >= 6
    haystacks = dict(written(made))
    found = {
        f"{place}: secret {number}, {spelling}"
        for place, content in haystacks.items()
        for number, secret in enumerate(made.secrets)
        for spelling, form in spellings(secret).items()
        if form in content or form in content.translate(None, b"\r\n")  # base64 has lines
    }
    assert not found
    assert not [place for place, content in haystacks.items() if TOKEN.encode() in content]


def test_secrets_were_shown(made: Made) -> None:
    """Where they stood something was removed: in what was printed, logged, asked, compared and captured."""
    (failed,) = [each for each in made.results if "test_shows" in each["fullName"]]
    texts = {each.name: each.read_bytes() for each in (made.clone / "reports" / "results").iterdir()}
    removed = REMOVED.encode()
    assert REMOVED in failed["statusDetails"]["message"]
    for words in (b"canary printed ", b"canary logged ", b"DATABASE_PASSWORD=", b"API_TOKEN"):
        assert any(words in text and removed in text for text in texts.values()), words
    assert any(name.endswith(".pcap") and b"****************" in text for name, text in texts.items())
    assert REMOVED in (made.clone / "reports" / "junit.xml").read_text(encoding="utf-8")


def written(made: Made) -> Iterator[tuple[str, bytes]]:
    """Everything that the runs have left for people to read."""
    yield "the terminal", made.printed.encode()
    for folder in ("reports", ".harness"):
        for file in (made.clone / folder).rglob("*"):
            # The one that is up still has its own secrets, from which they are mounted.
            if file.is_file() and not file.is_symlink() and "node_modules" not in file.parts and not _is_state(file):
                yield str(file.relative_to(made.clone)), file.read_bytes()
    for number, content in enumerate(browser.contents(made.page)):
        yield f"the page's item {number}", content


def _is_state(file: Path) -> bool:
    return ".harness" in file.parts and not {"secrets", "own-secrets"}.isdisjoint(file.parts)


def spellings(secret: str) -> dict[str, bytes]:
    """How a secret may be written, made here anew; of base64 the part that does not depend on what is around it."""
    raw = secret.encode()
    found = {"plain": raw, "in a URL": quote(secret, safe="").encode(), "in hexadecimal": raw.hex().encode()}
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + raw + b"xxx")
        found[f"in base64 after {before}"] = encoded[4 : 4 + (len(raw) - 3) // 3 * 4]
    if len(secret) == 44 and secret.endswith("="):
        found["the key in hexadecimal"] = base64.b64decode(secret).hex().encode()
    return found


def label(result: dict[str, Any], name: str) -> str | None:
    """A label of a test."""
    return next((str(each["value"]) for each in result["labels"] if each["name"] == name), None)


def attached(made: Made, attachment: dict[str, Any]) -> str:
    """The text of an attachment."""
    file: Path = made.clone / "reports" / "results" / str(attachment["source"])
    return file.read_text(encoding="utf-8")
