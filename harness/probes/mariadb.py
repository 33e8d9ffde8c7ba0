"""Statements to MariaDB with PyMySQL, as web (through the tunnel) or as services (directly) makes them."""

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

_DENIED = {
    *(ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR),
    ER.OPTION_PREVENTS_STATEMENT,  # such as `read_only`
}
_NO_ANSWER = {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}
# A statement that writes, and changes nothing: MariaDB refuses even that one where it is read-only.
_NO_TABLE = "DROP TABLE IF EXISTS wireguard_harness_wrote_nothing"


@dataclass(frozen=True, slots=True)
class MariaDBQuery:
    """Log in from `side` and read one value; `password` replaces the right one."""

    side: str
    password: str | None = None

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        return _observe(deployment, self.side, "MariaDB query", "SELECT 1", gives=(1,), password=self.password)


@dataclass(frozen=True, slots=True)
class MariaDBWrite:
    """Have MariaDB accept a statement that writes, from `side`; DENIED where it answers and takes none."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        return _observe(deployment, self.side, "MariaDB write", _NO_TABLE)


def _observe(  # noqa: PLR0913 (a login and a statement)
    deployment: Deployment,
    side: str,
    probe: str,
    statement: str,
    *,
    gives: tuple[int, ...] | None = None,
    password: str | None = None,
) -> Observation:
    try:
        with clients.mariadb(deployment, side, password=password) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        outcome, detail = Outcome.CONNECTED, ""
        if row != gives:
            outcome, detail = Outcome.WRONG_SERVICE, f"{statement} gave {row!r}"
    except pymysql.MySQLError as error:
        outcome, detail = _failure(deployment, side, error)
    except HarnessError as error:
        outcome, detail = Outcome.INCONCLUSIVE, str(error)
    return Observation(
        probe=probe,
        source=side,
        destination=f"{clients.mariadb_host(deployment, side)}:{deployment.plan.mariadb_port}",
        outcome=outcome,
        detail=detail,
        observed_at=datetime.now(tz=UTC),
    )


def _failure(deployment: Deployment, side: str, error: pymysql.MySQLError) -> tuple[Outcome, str]:
    code, text = (*error.args, "", "")[:2]
    if code in _DENIED:
        return Outcome.DENIED, text
    if code not in _NO_ANSWER:
        return Outcome.WRONG_SERVICE, f"{code} {text}"
    host = clients.mariadb_host(deployment, side)
    return unanswered(deployment, side, host, deployment.plan.mariadb_port, error)
