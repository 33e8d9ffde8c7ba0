"""What the evidence says of an application, typed; see `harness.diagnosis.containerfacts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import SplitResult

from harness.diagnosis import settings
from harness.diagnosis.containerfacts import NodeFacts
from harness.diagnosis.evidence import UnseenError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an application came with one backend: the steps `reached`, and the one that `failed`, if any.

    `address` is what the name `host` was resolved to. `code` is MariaDB's error number, `kind` the client library's
    name for the error; `read_only` is why the backend takes no writes, in its own words, empty where it does.
    """

    reached: tuple[str, ...]
    failed: str | None
    errno: int | None
    code: int | None
    timed_out: bool
    kind: str
    said: str
    host: str | None
    address: str | None
    port: int | None
    setting: str | None
    grants: tuple[str, ...]
    read_only: str

    @property
    def connected(self) -> bool:
        """Whether the TCP connection was made."""
        return "connect" in self.reached

    def __str__(self) -> str:
        target = f"{self.host}:{self.port} " if self.host else ""
        if self.failed is None:
            return f"{target}answers"
        came = f"after {', '.join(self.reached)}: " if self.reached else ""
        return f"{target}fails at `{self.failed}`, {came}{self.said}"


class AppFacts(NodeFacts):
    """An application."""

    @cached_property
    def reaches(self) -> Mapping[str, Reach]:
        """How far it came with each backend: `database`, `broker`, and each other forward as ADDRESS:PORT."""
        loaded = self.evidence.json("backends")
        try:
            return {name: _reach(entry) for name, entry in loaded.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnseenError(self.service, "backends", f"it is damaged ({error})") from error

    @property
    def broker_setting(self) -> str:
        """The setting by which it was told where Redis is."""
        has_other = "CELERY_BROKER_URL" not in self.environment and "REDIS_URL" in self.environment
        return "REDIS_URL" if has_other else "CELERY_BROKER_URL"

    @property
    def broker_url(self) -> SplitResult | None:
        """Where it was told that Redis is; None when it was not told, or not so that it can be read."""
        return settings.broker_url(self.environment)


def _reach(entry: Mapping[str, Any]) -> Reach:
    reached, failed = tuple(map(str, entry["reached"])), entry.get("failed")
    if not isinstance(failed, str) and (failed is not None or "connect" not in reached):
        raise ValueError("an entry has neither failed nor connected")
    return Reach(
        reached=reached,
        failed=failed,
        errno=entry.get("errno"),
        code=entry.get("code"),
        timed_out=bool(entry.get("timed_out")),
        kind=str(entry.get("kind", "")),
        said=str(entry.get("said", "")),
        host=entry.get("host"),
        address=entry.get("address"),
        port=entry.get("port"),
        setting=entry.get("setting"),
        grants=tuple(map(str, entry.get("grants", ()))),
        read_only=str(entry.get("read_only", "")),
    )
