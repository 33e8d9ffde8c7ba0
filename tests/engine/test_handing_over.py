"""Who is not root gives secret files to those who read them through a container, and can still read a copy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness import credentials, keys, layouts
from harness.compose import secrets_directory
from harness.credentials import Credentials
from harness.engine import Engine
from harness.errors import DeploymentError
from harness.ownership import Run
from harness.stage import Stage


@pytest.fixture(name="run")
def _run(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of a user who is not root, whose files are nobody else's."""
    monkeypatch.setattr("harness.places.STATE", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "chown", _refused)
    return Run.start(stage.plan.index, tmp_path)


def _refused(path: Path, *_owner: int) -> None:
    raise PermissionError(f"only root may give {path} away")


def test_each_file_belongs_to_who_reads_it(engine: Engine, run: Run) -> None:
    """Keys are root's, passwords the applications'; what the harness itself reads stays its own."""
    secrets = Credentials.generate()
    layouts.write_secrets(engine, run, secrets)
    for name, reader in credentials.owners().items():
        status = (secrets_directory(run.state) / name).stat()
        assert (status.st_uid, status.st_gid) == (reader, reader), name
        assert stat.S_IMODE(status.st_mode) == (0o600 if name not in keys.FILES or name in keys.SECRET_FILES else 0o644)
    (own,) = (folder for folder in run.state.iterdir() if folder != secrets_directory(run.state))
    assert {file.stat().st_uid for file in own.iterdir()} == {os.getuid()}
    assert credentials.read(own) == secrets
    assert set(secrets.secrets()) <= layouts.every_secret()


def test_what_cannot_be_handed_over_is_one_sentence(engine: Engine, run: Run, tmp_path: Path) -> None:
    """With what chown said: nothing is started with files that nobody could read."""
    give = layouts.hand_over(engine, run.labels())
    with pytest.raises(DeploymentError, match=r"cannot be given to who reads them: .*not-there"):
        give(tmp_path, {"not-there": 0})
