from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness import credentials, keys
from harness.credentials import Credentials
from harness.errors import KeyFileError

ALL = {*keys.FILES, "db_password", "db_root_password", "django_secret_key", "redis_password", "flower_password"}


def refuse(_directory: Path, _owners: dict[str, int]) -> None:
    pytest.fail("nothing is to be handed over by anybody else when root writes")


def test_every_deployment_has_secrets_of_its_own() -> None:
    """Eight secrets, none like another, and none of them in a second set."""
    one, other = Credentials.generate().secrets(), Credentials.generate().secrets()
    assert len(set(one) | set(other)) == 16
    assert min(map(len, one)) >= 32


def test_no_representation_shows_a_secret() -> None:
    """Neither `repr` nor `str` holds a password or a key that is secret."""
    made = Credentials.generate()
    shown = f"{made!r} {made} {[made]}"
    assert made.keys.web.public in shown
    assert not [secret for secret in made.secrets() if secret in shown]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_gives_each_file_to_its_one_reader(tmp_path: Path) -> None:
    """Passwords belong to the user of MariaDB and the applications, keys to root; nobody else may read a secret."""
    made = Credentials.generate()
    credentials.write(tmp_path / "secrets", made, refuse)
    found = {path.name: path.stat() for path in (tmp_path / "secrets").iterdir()}
    assert set(found) == ALL
    assert {name: entry.st_uid for name, entry in found.items()} == dict.fromkeys(keys.FILES, 0) | dict.fromkeys(
        credentials.PASSWORD_FILES, 999
    )
    secret = ALL - {keys.WEB_PUBLIC, keys.SERVICES_PUBLIC}
    assert {stat.S_IMODE(found[name].st_mode) for name in secret} == {0o600}
    assert credentials.read(tmp_path / "secrets") == made
    assert credentials.missing(tmp_path / "secrets") == []


def test_without_root_the_files_are_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not give files away has it done, once, for every file, with the user that reads it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("SECRETS_UID", "1234")
    handed: list[tuple[Path, dict[str, int]]] = []
    credentials.write(tmp_path, Credentials.generate(), lambda *given: handed.append(given))
    owners = dict.fromkeys(keys.FILES, 0) | dict.fromkeys(credentials.PASSWORD_FILES, 1234)
    assert handed == [(tmp_path, owners)]


@pytest.mark.parametrize("value", ["root", "-1", "1.5", " 9"])
def test_a_user_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """`SECRETS_UID` that is not a number is refused with its value."""
    monkeypatch.setenv("SECRETS_UID", value)
    with pytest.raises(KeyFileError, match=f"SECRETS_UID is {value!r}"):
        credentials.uid()


def test_the_default_user_is_the_compose_files() -> None:
    """Without a setting the files belong to 999, which the compose file runs the readers as."""
    assert credentials.uid() == 999


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    """An empty directory lacks all, and one that lacks a file names that one."""
    assert set(credentials.missing(tmp_path)) == ALL
    for name in ALL - {"db_password"}:
        (tmp_path / name).touch()
    assert credentials.missing(tmp_path) == ["db_password"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_came_later_is_added_and_all_else_left(tmp_path: Path) -> None:
    """A folder from before the prod layout is given the passwords that it lacks; no other file is touched."""
    made = Credentials.generate()
    credentials.write(tmp_path, made, refuse)
    for name in credentials.LATER_FILES:
        (tmp_path / name).unlink()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    credentials.add(tmp_path, credentials.missing(tmp_path), refuse)
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert {name: seen for name, seen in after.items() if name not in credentials.LATER_FILES} == before
    assert credentials.missing(tmp_path) == []
    for name in credentials.LATER_FILES:
        entry = (tmp_path / name).stat()
        assert (stat.S_IMODE(entry.st_mode), entry.st_uid) == (0o600, 999)
    assert credentials.read(tmp_path).redis_password != made.redis_password


def test_reading_names_a_missing_password(tmp_path: Path) -> None:
    """A missing file is named with its path and the reason."""
    with pytest.raises(KeyFileError, match=r"cannot read .*/db_password: No such file"):
        credentials.read(tmp_path)
