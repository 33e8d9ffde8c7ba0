"""A query to MariaDB with PyMySQL, as web (through the tunnel) or as services (directly) makes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pymysql
from pymysql.constants import CR, ER

from harness import clients
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Observation, Outcome
from harness.probes.tcp import unanswered

_DENIED = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR}
_NO_ANSWER = {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}


@dataclass(frozen=True, slots=True)
class MariaDBQuery:
    """Log in from `side` and read one value; `password` replaces the right one."""

    side: str
    password: str | None = None

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        try:
            with (
                clients.mariadb(deployment, self.side, password=self.password) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SELECT 1")
                row = cursor.fetchone()
        except pymysql.MySQLError as error:
            return self._failure(deployment, error)
        except HarnessError as error:
            return self._observation(deployment, Outcome.INCONCLUSIVE, str(error))
        outcome = Outcome.CONNECTED if row == (1,) else Outcome.WRONG_SERVICE
        return self._observation(deployment, outcome, "" if row == (1,) else f"SELECT 1 gave {row!r}")

    def _failure(self, deployment: Deployment, error: pymysql.MySQLError) -> Observation:
        code, text = (*error.args, "", "")[:2]
        if code in _DENIED:
            return self._observation(deployment, Outcome.DENIED, text)
        if code not in _NO_ANSWER:
            return self._observation(deployment, Outcome.WRONG_SERVICE, f"{code} {text}")
        host = clients.mariadb_host(deployment, self.side)
        return self._observation(
            deployment, *unanswered(deployment, self.side, host, deployment.plan.mariadb_port, error)
        )

    def _observation(self, deployment: Deployment, outcome: Outcome, detail: str) -> Observation:
        return Observation(
            probe="MariaDB query",
            source=self.side,
            destination=f"{clients.mariadb_host(deployment, self.side)}:{deployment.plan.mariadb_port}",
            outcome=outcome,
            detail=detail,
            observed_at=datetime.now(tz=UTC),
        )
