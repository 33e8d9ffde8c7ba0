"""Pages of the applications, fetched over ports that are published on the host's loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from harness import witness
from harness.model import Outcome

# Fresh connections, no retries: a retry would hide exactly what is to be seen.
_POOL = urllib3.PoolManager(retries=False)

_TIMEOUT = 8.0  # seconds; /health/ must answer within 5 s even when a backend does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer. `status` is 0 when there was none, with the reason as `body`, and as an outcome in `failed`."""

    status: int
    body: str
    failed: Outcome | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case."""

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises `ValueError` that shows it when it is none."""
        try:
            loaded = json.loads(self.body)
        except json.JSONDecodeError as error:
            message = f"not JSON (HTTP {self.status}): {self.body[:300]!r}"
            raise ValueError(message) from error
        if not isinstance(loaded, dict):
            message = f"not a JSON object (HTTP {self.status}): {self.body[:300]!r}"
            raise ValueError(message)  # noqa: TRY004 (the value is at fault, whatever its type)
        return loaded

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.body[:500]}" if self.status else f"no answer: {self.body}"


def get(url: str, *, trusted: Path | None = None, headers: dict[str, str] | None = None) -> Page:
    """GET a page; of a site with TLS only if its certificate is one that `trusted`, a file of PEM, vouches for."""
    return _request("GET", url, headers=headers, trusted=trusted)


def post(url: str, content: object) -> Page:
    """POST an object as JSON."""
    return post_bytes(url, json.dumps(content).encode())


def post_bytes(url: str, body: bytes) -> Page:
    """POST a body as it is, said to be JSON."""
    return _request("POST", url, body, {"Content-Type": "application/json"})


def _request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    trusted: Path | None = None,
) -> Page:
    pool = urllib3.PoolManager(retries=False, ca_certs=str(trusted)) if trusted else _POOL
    try:
        response = pool.request(
            method, url, body=body, headers={"Connection": "close", **(headers or {})}, timeout=_TIMEOUT
        )
    except urllib3.exceptions.HTTPError as error:
        page = Page(status=0, body=str(error), failed=_outcome(error))
    else:
        answered = {name.lower(): value for name, value in response.headers.items()}
        page = Page(status=response.status, body=response.data.decode(errors="replace"), headers=answered)
    witness.tell(f"{method} {url}", page)
    return page


def _outcome(error: urllib3.exceptions.HTTPError) -> Outcome:
    """What a client met.

    Docker's own proxy on loopback accepts for whomever a port leads to, and hangs up when it is turned away there.
    """
    match error:
        case urllib3.exceptions.TimeoutError():
            return Outcome.TIMED_OUT
        case urllib3.exceptions.NewConnectionError() | urllib3.exceptions.ProtocolError():
            return Outcome.REFUSED
        case _:
            return Outcome.INCONCLUSIVE
