"""The site's files on a server: installed whole, remembered when they work, put back when they do not.

DIRECTORY/                the files themselves, secrets in secrets/
DIRECTORY/.installed      JSON, written first: which files a deployment has put there, or is about to
DIRECTORY/.applied        JSON, written last: what the running containers were made with
DIRECTORY/previous/       what was applied before the last change, and manifest.json about it
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from typing import Any

from ansible.module_utils.site_docker import SiteError

INSTALLED = ".installed"
APPLIED = ".applied"
PREVIOUS = "previous"
MANIFEST = "manifest.json"

LOCK = "/run/wireguard-site.lock"
_LOCK_SECONDS = 180  # longer than a start may take

_SECRET_DIRECTORY = 0o700
_DIRECTORY = 0o755


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One change at a time: what a killed run of Ansible has started here goes on by itself, and is waited for."""
    deadline = time.monotonic() + _LOCK_SECONDS
    with open(LOCK, "w", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise SiteError(
                        "another deployment is still at work here: wait for it, then deploy again"
                    ) from error
            time.sleep(0.2)
        yield


class File:
    """One file as it should be: its path below the site's directory, content, permission bits and owner's uid."""

    def __init__(self, path: str, content: bytes, mode: int, owner: int) -> None:
        self.path = path
        self.content = content
        self.mode = mode
        self.owner = owner


class SiteFiles:
    """The directory of the site on this server."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def absolute(self, path: str) -> str:
        """The whole path of one of the site's files."""
        return os.path.join(self.directory, path)

    def read(self, path: str) -> bytes | None:
        """A file's content, None if there is no such file."""
        try:
            with open(self.absolute(path), "rb") as handle:
                return handle.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SiteError(
                self.absolute(path) + ": " + str(error.strerror) + "; put a file there or remove it"
            ) from error

    def checksum(self, path: str) -> str | None:
        """SHA-256 of a file's content, None if there is no such file."""
        content = self.read(path)
        return None if content is None else hashlib.sha256(content).hexdigest()

    # --- what was applied ------------------------------------------------------------------------

    def applied(self) -> dict[str, Any]:
        """What the running containers were made with: `files` and `containers`; empty before the first success."""
        return self._read_json(APPLIED)

    def is_applied(self, besides: Collection[str] = ()) -> bool:
        """Whether the files that lie here are those that the containers were last started with, or all but some."""
        files = self.applied().get("files")
        return bool(files) and all(
            self.checksum(path) == checksum for path, checksum in files.items() if path not in besides
        )

    def write_applied(self, record: dict[str, Any]) -> None:
        """Remember a success. Nothing that follows may fail."""
        self.replace(File(APPLIED, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(), 0o600, 0))

    def manifest(self) -> dict[str, Any]:
        """What is known of the previous state: `files`, `applied_at`, `changed_by`; empty where there is none."""
        return self._read_json(os.path.join(PREVIOUS, MANIFEST))

    def _read_json(self, path: str) -> dict[str, Any]:
        content = self.read(path)
        if content is None:
            return {}
        try:
            return dict(json.loads(content))
        except ValueError as error:
            raise SiteError(self.absolute(path) + " is no JSON: remove it, then deploy again") from error

    # --- comparing and changing ------------------------------------------------------------------

    def differing(self, files: list[File]) -> list[File]:
        """Those whose content, mode or owner is not as it should be."""
        return [file for file in files if not self._is_as_wanted(file)]

    def _is_as_wanted(self, file: File) -> bool:
        if self.read(file.path) != file.content:
            return False
        status = os.stat(self.absolute(file.path))
        return (stat.S_IMODE(status.st_mode), status.st_uid) == (file.mode, file.owner)

    def superfluous(self, files: list[File]) -> list[str]:
        """Files that a deployment once put here, also one that failed, and that are not wanted any more."""
        wanted = {file.path for file in files}
        # Before the first list there was the record of what succeeded alone.
        known = (self._read_json(INSTALLED) or self.applied()).get("files", [])
        return sorted(path for path in known if path not in wanted and self.read(path) is not None)

    def replace(self, file: File) -> None:
        """Put a file in place at once: whoever looks sees the old one or the new one, never a part."""
        target = self.absolute(file.path)
        self._make_parents(file.path)
        partial = os.path.join(os.path.dirname(target), "." + os.path.basename(target) + ".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            os.fchown(handle.fileno(), file.owner, file.owner)
            os.fchmod(handle.fileno(), file.mode)
            handle.write(file.content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(partial, target)

    def overwrite(self, file: File) -> None:
        """Change a file of one length in place: a container that has it mounted sees the new content, in one write."""
        with open(self.absolute(file.path), "r+b") as handle:
            if os.fstat(handle.fileno()).st_size != len(file.content):
                raise SiteError(
                    self.absolute(file.path) + " has not the length of a key and a line's end: deploy again"
                )
            handle.write(file.content)
            handle.flush()
            os.fsync(handle.fileno())

    def _make_parents(self, path: str) -> None:
        os.makedirs(self.directory, _DIRECTORY, exist_ok=True)
        here = self.directory
        for part in os.path.dirname(path).split("/"):
            if part:
                here = os.path.join(here, part)
                if not os.path.isdir(here):
                    os.mkdir(here)
                os.chmod(here, _SECRET_DIRECTORY if part in ("secrets", PREVIOUS) else _DIRECTORY)

    # --- the previous state ----------------------------------------------------------------------

    def keep_previous(self, change: str) -> None:
        """Before a change: keep what is applied. A change that follows a failed one keeps what worked before both."""
        manifest = self.manifest()
        if self.is_applied():
            record = self.applied()
            manifest = {
                "files": {},
                "applied_at": record["applied_at"],
                "images": record.get("images", {}),
                "profiles": record.get("profiles", []),
            }
            partial = self.absolute("." + PREVIOUS + ".new")
            shutil.rmtree(partial, ignore_errors=True)
            copies = SiteFiles(partial)
            for path in record["files"]:
                status = os.stat(self.absolute(path))
                mode = stat.S_IMODE(status.st_mode)
                manifest["files"][path] = {"mode": mode, "owner": status.st_uid}
                copies.replace(File(path, self.read(path) or b"", mode, status.st_uid))
            os.chmod(partial, _SECRET_DIRECTORY)
            SiteFiles(partial).write_manifest("", manifest | {"changed_by": change})
            self.forget_previous()
            os.rename(partial, self.absolute(PREVIOUS))
        elif manifest:
            self.write_manifest(PREVIOUS, manifest | {"changed_by": change})

    def write_manifest(self, directory: str, manifest: dict[str, Any]) -> None:
        """Write down what a kept state is."""
        text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        self.replace(File(os.path.join(directory, MANIFEST), text.encode(), 0o600, 0))

    def previous_files(self) -> list[File]:
        """The files of the previous state."""
        files = []
        for path, facts in self.manifest().get("files", {}).items():
            content = self.read(os.path.join(PREVIOUS, path))
            if content is None:
                raise SiteError(
                    self.absolute(PREVIOUS) + " lacks " + path + ": it cannot be gone back to; deploy what you want"
                )
            files.append(File(path, content, facts["mode"], facts["owner"]))
        return files

    def forget_previous(self) -> None:
        """There is no previous state any more."""
        shutil.rmtree(self.absolute(PREVIOUS), ignore_errors=True)

    def put(self, files: list[File]) -> None:
        """Make the directory hold exactly these files of the site."""
        superfluous, wanted = self.superfluous(files), [file.path for file in files]
        self._write_installed(wanted + superfluous)
        for path in superfluous:
            os.remove(self.absolute(path))
        for file in self.differing(files):
            self.replace(file)
        if superfluous:
            self._write_installed(wanted)  # what anybody puts there from now on is not the deployment's

    def _write_installed(self, paths: list[str]) -> None:
        text = json.dumps({"files": sorted(paths)}, indent=1) + "\n"
        self.replace(File(INSTALLED, text.encode(), 0o600, 0))
