"""A bare TCP connection, made by Python inside a node's network namespace."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.budgets import CONNECT_TIMEOUT
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import CommandResult, Observation, Outcome

_CODE = """
import json, os, socket
try:
    address = socket.gethostbyname(os.environ["PROBE_HOST"])
except OSError as error:
    print(json.dumps({"error": None, "detail": str(error)}))
else:
    with socket.socket() as client:
        client.settimeout(float(os.environ["PROBE_TIMEOUT"]))
        error = client.connect_ex((address, int(os.environ["PROBE_PORT"])))
        print(json.dumps({"error": error, "detail": os.strerror(error) if error else ""}))
"""

_OUTCOMES = {
    0: Outcome.CONNECTED,
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.EAGAIN: Outcome.TIMED_OUT,  # what connect_ex returns when its own time-out passes
    errno.ETIMEDOUT: Outcome.TIMED_OUT,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.UNREACHABLE,
    errno.EINVAL: Outcome.UNREACHABLE,  # a blackhole route (ip-route(8))
    errno.ENOKEY: Outcome.UNREACHABLE,  # WireGuard: no peer has the address among its allowed IPs
    errno.EDESTADDRREQ: Outcome.UNREACHABLE,  # WireGuard: the peer's endpoint is not known
}


@dataclass(frozen=True, slots=True)
class TcpConnect:
    """Connect from the container of service `source` to `host`:`port`, and close."""

    source: str
    host: str
    port: int

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        try:
            result = deployment.node(self.source).python(
                _CODE,
                environment={
                    "PROBE_HOST": self.host,
                    "PROBE_PORT": str(self.port),
                    "PROBE_TIMEOUT": str(CONNECT_TIMEOUT),
                    # resolv.conf(5): an unknown name is asked for once, not for 10 s where no name server answers.
                    "RES_OPTIONS": "timeout:1 attempts:1",
                },
            )
        except HarnessError as error:
            return self._observation(Outcome.INCONCLUSIVE, str(error))
        try:
            answer = json.loads(result.stdout)
        except json.JSONDecodeError:
            return self._observation(Outcome.INCONCLUSIVE, f"the probe failed: {result}", result)
        if answer["error"] is None:
            return self._observation(Outcome.UNRESOLVED, answer["detail"], result)
        outcome = _OUTCOMES.get(answer["error"], Outcome.INCONCLUSIVE)
        return self._observation(outcome, answer["detail"], result)

    def _observation(self, outcome: Outcome, detail: str, *commands: CommandResult) -> Observation:
        return Observation(
            probe="TCP connection",
            source=self.source,
            destination=f"{self.host}:{self.port}",
            outcome=outcome,
            detail=detail,
            commands=commands,
            observed_at=datetime.now(tz=UTC),
        )
