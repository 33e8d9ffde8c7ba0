"""The secrets of somebody's deployment are known before anything of it is started, and so is nothing shown of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as NoAnswerError

from harness import rolemap
from harness.bringup import Starter
from harness.engines import Engines
from harness.errors import BringUpError, HarnessError
from harness.foreign.plan import ForeignPlan, planned
from harness.redaction import REMOVED, without_unknown
from harness.stage import Stage

from .warehouse import DEPOT, EXAMPLE, PASSWORD, PRESHARED, SHOP, merged

MORE = """
services:
  stock:
    build: {args: {PIP_TOKEN: of-the-index}}
    environment:
      SECRET_KEY: of-django
      SECRETS_DIR: /run/secrets
      SENTRY_DSN: https://him:of-sentry@sentry.example.com/1
      API_TOKEN_FILE: /run/token
    env_file: [FOLDER/stock.env]
    volumes: [FOLDER/token:/run/token:ro]
    secrets: [ledger_password, tls, broker, given, declared]
  cache: {command: [valkey-server, --requirepass, of-the-cache]}
secrets:
  tls: {file: FOLDER/tls.key}
  broker: {file: FOLDER/broker}
  given: {environment: GIVEN}
  declared: {environment: DECLARED}
"""
FILES = {
    "stock.env": "SMTP_PASSWORD=of-the-mail\nDEBUG=certainly\n",
    "token": "of-the-api\n",
    "tls.key": "-----BEGIN PRIVATE KEY-----\nMIIByzCCAXGgAwIBAgIUlines\n-----END PRIVATE KEY-----\n",
    "broker": "redis://:of-the-broker@cache:6380/0\n",
}


@pytest.fixture
def plan(
    compose_cli: None,  # noqa: ARG001 (skips without it)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ForeignPlan:
    """That of the example, with secrets in every place where one can be."""
    monkeypatch.setenv("GIVEN", "of-the-shell")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    configuration: dict[str, Any] = merged(tmp_path, MORE.replace("FOLDER", str(tmp_path)))
    environment = tmp_path / "its.env"
    with environment.open("a", encoding="utf-8") as more:
        more.write('DECLARED="of the declaration"\nOTHER_PASSWORD=of-nobody\n')
    mapped = rolemap.read([str(EXAMPLE / "harness.toml")])
    return planned(configuration, (EXAMPLE / "compose.yml",), environment, mapped)


SECRETS = {
    *(PASSWORD, SHOP.private, DEPOT.private, PRESHARED),
    *("of-the-index", "of-django", "of-sentry", "of-the-mail", "of-the-api", "MIIByzCCAXGgAwIBAgIUlines"),
    *("of-the-broker", "of-the-shell", "of the declaration", "of-nobody", "of-the-cache"),
}


def test_a_secret_is_learnt_wherever_it_is_said(plan: ForeignPlan) -> None:
    """By names of variables, in URLs, environment files, mounted files, keys, options; and no plan shows it."""
    assert plan.secrets >= SECRETS
    assert not [secret for secret in SECRETS if secret in repr(plan)]


def test_what_is_no_secret_stays_readable(plan: ForeignPlan, tmp_path: Path) -> None:
    """Else a report would say nothing: names, public keys, and where secrets lie."""
    assert f"SECRETS={tmp_path}\n" in (tmp_path / "its.env").read_text(encoding="utf-8")
    assert not {str(tmp_path), "/run/secrets"} & plan.secrets
    assert not {"certainly", "warehouse", "clerk", "redis://", SHOP.public, DEPOT.public} & plan.secrets
    assert not [secret for secret in plan.secrets if "-----" in secret or secret.startswith("redis:")]


class Once:
    """A bring-up that fails, and counts how often it was tried."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tried = 0

    def __call__(self, *_arguments: object, **_options: object) -> object:
        """Fail."""
        self.tried += 1
        raise self.error


def failing(
    plan: ForeignPlan, error: Exception, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> tuple[Stage, Once]:
    """A stage whose deployment does not come up."""
    once = Once(error)
    monkeypatch.setattr("harness.lifecycle.deployed", once)
    monkeypatch.setattr(Engines, "current", lambda _self: None)
    return Stage(plans=(plan,), keep=False, reuse=False, say=said.append), once


@pytest.mark.parametrize(
    "error",
    [BringUpError("stock: of-django"), APIError("of-django"), NoAnswerError("of-django"), KeyError("of-django")],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_bring_up_shows_none_and_is_not_tried_again(
    plan: ForeignPlan, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whoever raised it: the next test is told in a line, without what the first one's report erases."""
    stage, once = failing(plan, error, monkeypatch, [])
    with pytest.raises(type(error) if isinstance(error, HarnessError | KeyError) else BringUpError) as first:
        stage.deployment()
    assert stage.erased(str(first.value)) != str(first.value)
    with pytest.raises(HarnessError, match=r"^no deployment could be brought up: ") as second:
        stage.deployment()
    assert "of-django" not in str(second.value)
    assert once.tried == 1


def test_no_progress_shows_a_secret(plan: ForeignPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a deployment is made anew is said in the terminal, and told to JUnit."""
    said: list[str] = []
    stage, _ = failing(plan, BringUpError("no"), monkeypatch, said)
    stage.mark_broken("stock has logged of-django")
    with pytest.raises(BringUpError):
        stage.deployment()
    assert said == [f"recreating the deployment: stock has logged {REMOVED}"]
    assert stage.recreations == [f"stock has logged {REMOVED}"]


def test_a_password_that_nobody_was_told_is_not_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that MariaDB made for itself, or that stands in a URL."""
    log = "[Entrypoint]: GENERATED ROOT PASSWORD: xyzzy\nno answer from redis://:plugh@cache:6380/0"
    clean = f"[Entrypoint]: GENERATED ROOT PASSWORD: {REMOVED}\nno answer from redis://:{REMOVED}@cache:6380/0"
    assert without_unknown(log) == clean
    monkeypatch.setattr("harness.bringup.Node", lambda *_arguments: SimpleNamespace(logs=lambda tail: log))  # noqa: ARG005
    way: Any = SimpleNamespace(service="ledger", container=SimpleNamespace(name="ledger"))
    starter: Any = SimpleNamespace(_engine=None)
    shown = Starter._log(starter, way)
    assert clean.splitlines()[1] in shown
    assert "xyzzy" not in shown
