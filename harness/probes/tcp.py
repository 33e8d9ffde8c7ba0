"""A bare TCP connection from inside a node's network namespace.

An address is dialled from a socket opened in the namespace where that can be done. A name is resolved, and everything
is dialled where it cannot, by Python in the container itself, or by bash where there is none.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from harness import namespaces, witness
from harness.addresses import is_address
from harness.budgets import CONNECT_TIMEOUT
from harness.clients import NotConnected
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import CommandResult, Observation, Outcome
from harness.nodes import ASKED_ONCE, Node

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
        print(json.dumps({"error": error}))
"""

# bash has no time-out of its own; it says what connect(2) does, a line for itself and one for the redirection.
_SHELL = 'LC_ALL=C timeout "$PROBE_TIMEOUT" bash -c \'exec 3<>"/dev/tcp/$PROBE_HOST/$PROBE_PORT"\''
_OUT_OF_TIME = 124  # timeout(1)
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_WITHOUT_PYTHON = ("wireguard-", "probe-")

_OUTCOMES = {
    0: Outcome.CONNECTED,
    errno.ECONNREFUSED: Outcome.REFUSED,
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
        node = deployment.node(self.source)
        try:
            process = node.process() if is_address(self.host) else None
            if process is not None:
                namespaces.dial(process, self.host, self.port, CONNECT_TIMEOUT).close()
                return self._judged(0)
        except HarnessError as error:
            return self._observation(Outcome.INCONCLUSIVE, str(error))
        except OSError as error:
            return self._judged(error.errno or errno.EIO)
        return self._observe_by_exec(node)

    def _observe_by_exec(self, node: Node) -> Observation:
        environment = {
            "PROBE_HOST": self.host,
            "PROBE_PORT": str(self.port),
            "PROBE_TIMEOUT": str(CONNECT_TIMEOUT),
            **ASKED_ONCE,
        }
        try:
            if self.source.startswith(_WITHOUT_PYTHON):
                return self._said_by_shell(node.run("bash", "-c", _SHELL, environment=environment))
            result = node.python(_CODE, environment=environment)
        except HarnessError as error:
            return self._observation(Outcome.INCONCLUSIVE, str(error))
        try:
            answer = json.loads(result.stdout)
        except json.JSONDecodeError:
            return self._observation(Outcome.INCONCLUSIVE, f"the probe failed: {result}", result)
        if answer["error"] is None:
            return self._observation(Outcome.UNRESOLVED, answer["detail"], result)
        return self._judged(answer["error"], result)

    def _said_by_shell(self, result: CommandResult) -> Observation:
        if result.ok:
            return self._judged(0, result)
        said = result.stderr.strip().rpartition(": ")[2]
        error = errno.ETIMEDOUT if result.exit_status == _OUT_OF_TIME else _NUMBERS.get(said)
        if error is None:
            return self._observation(Outcome.INCONCLUSIVE, f"the probe failed: {result}", result)
        return self._judged(error, result)

    def _judged(self, number: int, *commands: CommandResult) -> Observation:
        return self._observation(*outcome_of(number), *commands)

    def _observation(self, outcome: Outcome, detail: str, *commands: CommandResult) -> Observation:
        seen = Observation(
            probe="TCP connection",
            source=self.source,
            destination=f"{self.host}:{self.port}",
            outcome=outcome,
            detail=detail,
            commands=commands,
            observed_at=datetime.now(tz=UTC),
        )
        witness.tell(f"{self.source}: connect to {self.host}:{self.port}", seen)
        return seen


def outcome_of(number: int) -> tuple[Outcome, str]:
    """What an error's number of connect(2) is called, 0 for none, and what it says."""
    number = errno.ETIMEDOUT if number == errno.EAGAIN else number  # what connect_ex says of its own time-out
    return _OUTCOMES.get(number, Outcome.INCONCLUSIVE), os.strerror(number) if number else ""


def unanswered(deployment: Deployment, side: str, host: str, port: int, error: Exception) -> tuple[Outcome, str]:
    """How a backend failed that gave a client no answer, with what the client said.

    Where a client is connected and hears nothing, or a relay has accepted for the backend, a connection from the
    same namespace tells; one that is made there is to a backend that listens and is silent.
    """
    if isinstance(error, NotConnected):
        return outcome_of(error.number)[0], str(error)
    below = TcpConnect(f"probe-{side}", host, port).observe(deployment)
    outcome = Outcome.TIMED_OUT if below.outcome is Outcome.CONNECTED else below.outcome
    return outcome, f"{error}; {below}"
