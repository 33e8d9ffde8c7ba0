from __future__ import annotations

import argparse
import errno
import gc
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as RequestsConnectionError

from harness import cli, consulting
from harness.diagnosis.judgement import Diagnosis, judge

from . import test_rules_paths as paths
from . import test_rules_tunnel as tunnel
from .conftest import ROOT
from .evidence_samples import REDIS, Sample
from .sample_cases import Change

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; exit status and both outputs."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def ran(*arguments: str) -> tuple[int, str, str]:
        # The docker SDK leaves a socket that could not be connected to the garbage collector, which remarks on it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                status = cli.main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
            gc.collect()
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ran


@pytest.mark.parametrize(
    ("change", "status", "headline"),
    [
        (lambda _sample: None, 0, "healthy"),
        (tunnel.nobody_keeps_the_way_open, 0, "healthy, with warnings: keepalive-missing"),
        (paths.a_dnat_rule_was_deleted, 1, "faulty: forward-rule-missing"),
        (lambda sample: sample.lose(REDIS, "sockets"), 2, "unknown: not everything could be seen"),
    ],
    ids=["healthy", "warning", "faulty", "unknown"],
)
def test_the_exit_status_says_what_the_headline_does(
    run: Run, tmp_path: Path, change: Change, status: int, headline: str
) -> None:
    """0 healthy, 1 faulty, 2 not seen; the same for people and as JSON."""
    sample = Sample()
    change(sample)
    path = tmp_path / "bundle.json"
    path.write_text(sample.snapshot().to_json(), encoding="utf-8")
    code, out, err = run("doctor", "--snapshot", str(path))
    assert (code, out.splitlines()[0], err) == (status, headline, "")
    assert run("doctor", "--snapshot", str(path), "--json")[0] == status


_TABLE = re.compile(r"^\| (?P<head>[^|]+) \| what it is \|\n\|---\|---\|\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE)
_FIRST = re.compile(r"^\| (.*?) \|", re.MULTILINE)


def test_the_fields_of_its_json_are_the_documented_ones(run: Run, tmp_path: Path) -> None:
    """No field more and none less, at every depth; docs/troubleshooting.md is what scripts go by."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    documented = {
        table["head"]: {name for cell in _FIRST.findall(table["rows"]) for name in re.findall(r"`(\w+)`", cell)}
        for table in _TABLE.finditer(text)
    }
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    path = tmp_path / "bundle.json"
    path.write_text(sample.snapshot().to_json(), encoding="utf-8")
    printed = json.loads(run("doctor", "--snapshot", str(path), "--json")[1])
    assert documented == {
        "field": set(printed),
        "field of `findings`": set(printed["findings"][0]),
        "field of `hops`": set(printed["hops"][0]),
    }
    assert printed["static"] is False


def test_a_verdict_on_files_alone_says_so(run: Run, tmp_path: Path) -> None:
    """Also where they could not be read: `static` is true, and no path was gone."""
    path = tmp_path / "bundle.json"
    path.write_text(Sample().snapshot(static=True).to_json(), encoding="utf-8")
    for words in (["--snapshot", str(path)], ["--compose", str(tmp_path / "none.yml")]):
        printed = json.loads(run("doctor", *words, "--json")[1])
        assert (printed["static"], printed["hops"]) == (True, [])


@pytest.mark.parametrize("arguments", [["--plan", "3"], ["--attach", "web"], ["--project", "shop"]])
def test_without_an_engine_nothing_is_known(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    """No engine answers: both commands exit with 2, say so, and leave no file behind."""
    output = tmp_path / "bundle.json"
    for command in (["doctor"], ["snapshot", "-o", str(output)]):
        status, out, err = run(*command, *arguments)
        assert (status, out) == (2, "")
        assert err.startswith("unknown: ")
    assert not output.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--snapshot", "a", "--compose", "b"],
        ["--snapshot", "a", "--attach", "b"],
        ["--plan", "100"],
        ["--env-file", "a"],
        ["--project", ""],
        ["--snapshot", "a", "--plan", "3"],
        ["--compose", "a", "--project", "b"],
        ["--attach", "a", "--plan", "0"],
        ["--attach", "a", "--project", "b"],
        ["--engine", "ssh://a", "--plan", "3"],
        ["--layout", "prod", "--project", "b"],
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, arguments: list[str]) -> None:
    """Two sources at once, a plan that does not exist, what would be passed over in silence: usage errors, exit 2."""
    status, out, err = run("doctor", *arguments)
    assert (status, out) == (2, "")
    assert err
    assert not err.startswith("unknown: ")


@pytest.mark.parametrize("arguments", [["--attach", "a", "--plan", "3"], ["--project", " "]])
def test_a_snapshot_takes_no_option_in_vain_either(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    """It has the doctor's options, without those that need nothing that runs."""
    status, _, err = run("snapshot", "-o", str(tmp_path / "bundle.json"), *arguments)
    assert status == 2
    assert not err.startswith("unknown: ")


@pytest.mark.parametrize("option", ["--compose", "--like", "--attach"])
def test_an_option_that_is_given_twice_means_both(run: Run, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """`--compose A --compose B` is `--compose A B`, as for pytest and docker compose; the first is not forgotten."""
    given: list[object] = []

    def note(options: argparse.Namespace) -> Diagnosis:
        given.extend(map(str, getattr(options, option.removeprefix("--"))))
        return judge(Sample().snapshot())

    monkeypatch.setattr(consulting, "_diagnosed", note)
    monkeypatch.setattr(consulting, "_compared", note)
    before = ["--compose", "base"] if option == "--like" else []
    assert run("doctor", *before, option, "one", "two", option, "three")[0] == 0
    assert given == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "web"), "--engine web is no engine's address"),
        (("--engine", "http://web"), "--engine http://web is no engine's address"),
        (("--engine", "ssh://"), "--engine ssh:// is no engine's address"),
        (("--engine", "tcp://web:docker"), "--engine tcp://web:docker is no engine's address"),
        (("--engine", "ssh://root@web", "--engine", "ssh://admin@web"), "--engine names web twice"),
        (("--engine", "tcp://127.0.0.1:1"), "no Docker engine answers (127.0.0.1:1: Connection refused)"),
        (("--engine", "unix:///nowhere/docker.sock"), "no Docker engine answers (this machine: "),
    ],
    ids=["no scheme", "unknown scheme", "no host", "no port", "twice", "nobody listens", "no socket"],
)
def test_an_engine_that_cannot_be_asked_is_one_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    """What, where and what to do, with exit status 2 and no traceback; and as JSON, unknown."""
    status, out, err = run("doctor", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    status, out, _ = run("doctor", "--json", *words)
    assert (status, json.loads(out)["status"]) == (2, "unknown")


@pytest.mark.parametrize("error", [APIError("half way"), RequestsConnectionError("reset")], ids=["refused", "gone"])
def test_an_engine_that_goes_away_while_it_is_asked_leaves_it_unknown(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    """That is no fault of the deployment: exit status 2, and JSON where it was asked for."""

    def gone(_options: object) -> None:
        raise error

    monkeypatch.setattr(consulting, "_look_at_engines", gone)
    status, out, _ = run("doctor", "--json")
    assert (status, json.loads(out)["status"]) == (2, "unknown")
    status, out, err = run("snapshot", "-o", str(tmp_path / "bundle.json"))
    assert (status, out) == (2, "")
    assert "stopped answering" in err


def test_a_file_that_cannot_be_looked_at_leaves_it_unknown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of this machine is refused on the way, it is no fault of the deployment."""

    def refuse(_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/etc/deployment/key")

    monkeypatch.setattr(consulting, "_look", refuse)
    status, out, err = run("doctor")
    assert (status, out) == (2, "")
    assert err == "unknown: [Errno 13] Permission denied: '/etc/deployment/key'\n"


def test_what_failed_once_is_said_beside_the_diagnosis(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look found nothing wrong: it is healthy, also for who reads JSON, and the first look is not hidden."""
    hiccup = Sample()
    hiccup.fail("web", "database", "login")
    for arguments in ([], ["--json"]):
        looks = iter([hiccup.snapshot(), Sample().snapshot()])
        monkeypatch.setattr(consulting, "_look", lambda _options, looks=looks: next(looks))
        status, out, err = run("doctor", *arguments)
        assert status == 0
        assert (json.loads(out)["status"] if arguments else out.splitlines()[0]) == "healthy"
        assert err.startswith("failed at a first look, and no more at a second: web→database: 10.100.0.11:3306 fails")


def test_engines_and_attached_containers_exclude_each_other(run: Run) -> None:
    """The one is on this machine's engine, the other on others."""
    assert run("doctor", "--engine", "ssh://root@web", "--attach", "redis")[0] == 2
