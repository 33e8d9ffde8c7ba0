"""A large answer from MariaDB: packets as large as the path is said to carry, which a login has none of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pymysql

from harness import clients
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Observation, Outcome

_SIZE = 64 * 1024  # bytes: dozens of full segments, milliseconds through a tunnel in user space


@dataclass(frozen=True, slots=True)
class BulkRead:
    """Log in from `side` and read one value of 64 KiB."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once; who can log in and is then sent nothing has TIMED_OUT."""
        try:
            connection = clients.mariadb(deployment, self.side)
        except (pymysql.MySQLError, HarnessError) as error:
            return self._observation(deployment, Outcome.INCONCLUSIVE, f"cannot log in: {error}")
        with connection, connection.cursor() as cursor:
            try:
                cursor.execute("SELECT REPEAT('x', %s)", (_SIZE,))
                row = cursor.fetchone()
            except pymysql.MySQLError as error:
                return self._observation(deployment, Outcome.TIMED_OUT, str(error))
        whole = row == ("x" * _SIZE,)
        return self._observation(deployment, Outcome.CONNECTED if whole else Outcome.WRONG_SERVICE, "")

    def _observation(self, deployment: Deployment, outcome: Outcome, detail: str) -> Observation:
        return Observation(
            probe=f"MariaDB answer of {_SIZE} bytes",
            source=self.side,
            destination=f"{clients.mariadb_host(deployment, self.side)}:{deployment.plan.mariadb_port}",
            outcome=outcome,
            detail=detail,
            observed_at=datetime.now(tz=UTC),
        )
