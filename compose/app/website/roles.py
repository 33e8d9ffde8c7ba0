"""`app ROLE`: check the environment, then become the role's server.

web       gunicorn on :8000, at once: its `/health/` says what is missing
services  waits for the database, migrates it once, then gunicorn on :8001
celery    the worker
flower    Celery's dashboard on :5555, which needs the broker only
check     nothing but the check of the environment
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from website import environment, logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pymysql

    from website.environment import Database

# Exit codes, as sysexits.h has them.
USAGE, UNAVAILABLE, DENIED, MISCONFIGURED = 64, 69, 77, 78

# The database may start later than we do: on another machine it has no order with us.
DATABASE_WITHIN = 60.0
DATABASE_POLL = 0.2
# Two services that start together: the second waits for the first one's migrations.
MIGRATED_WITHIN = 60
# One statement of a migration: MariaDB cannot take back half of one that a client has given up, and no later start can
# go on after it. A slow disk takes seconds for a table.
MIGRATION_TIMEOUT = 300
# A login that is not answered, as by a server that is paused, is tried again.
LOGIN_TIMEOUT = 2
# What repeating cannot mend: the login, or the right to the database, was refused.
REFUSALS = {1044, 1045, 1049, 1130, 1698}


class RoleError(Exception):
    """The role cannot start; carries the exit code."""

    def __init__(self, message: str, code: int) -> None:
        """Keep the exit code next to the message."""
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str]) -> int:
    """Become the role, or say in one line why not."""
    name = arguments[0] if len(arguments) == 1 else ""
    role = ROLES.get(name)
    os.environ[logs.ROLE] = name or "app"
    if role is None:
        sys.stderr.write(f"app: usage: app {'|'.join(ROLES)}\n")
        return USAGE
    try:
        environment.check_log_format(os.environ)
        role()
    except environment.SettingError as error:
        logs.complain(str(error))
        return MISCONFIGURED
    except RoleError as error:
        logs.complain(str(error))
        return error.code
    return 0


def check() -> None:
    """Check the environment."""
    environment.load(os.environ)


def web() -> None:
    """Serve the pages next to the tunnel."""
    check()
    _serve(8000)


def services() -> None:
    """Bring the database up to date and serve the pages next to it."""
    database = environment.load(os.environ).database
    with closing(_await_database(database)) as connection:
        _migrate(connection)
    _serve(8001)


def celery() -> None:
    """Work off the jobs.

    Not by Celery's command line: that imports every command there is, Flower's server with it, and has Django check
    itself for each start of the worker, which together take longer than all that the worker itself needs.
    """
    concurrency = environment.load(os.environ).celery_concurrency
    os.environ["CELERY_SKIP_CHECKS"] = "true"
    from website.broker import app  # noqa: PLC0415 - only this role pays for the import

    alone = {"without_gossip": True, "without_mingle": True}
    worker = app.Worker(loglevel="INFO", pool_cls="threads", concurrency=concurrency, quiet=True, **alone)
    worker.start()
    sys.exit(worker.exitcode)


def flower() -> None:
    """Show what the workers do."""
    environment.load_broker(os.environ)
    environment.load_flower(os.environ)
    # Celery would set Django up too, for which Flower has no database.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    configuration = Path(__file__).with_name("dashboard.py")
    _become(
        "celery", "--app=website.dashboard", "flower", f"--conf={configuration}", "--address=0.0.0.0", "--port=5555"
    )


ROLES: dict[str, Callable[[], None]] = {
    "web": web,
    "services": services,
    "celery": celery,
    "flower": flower,
    "check": check,
}


def _serve(port: int) -> NoReturn:
    """Become gunicorn in this very process: what it has imported, the process that serves has too."""
    from gunicorn.app import wsgiapp  # noqa: PLC0415 - only these roles pay for the import

    sys.argv = ["gunicorn", "--config=python:website.serving", f"--bind=0.0.0.0:{port}"]
    sys.exit(wsgiapp.run())


def _become(*argv: str) -> NoReturn:
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


def _await_database(database: Database) -> pymysql.connections.Connection:
    """Log in, again and again while nobody answers, and never after a refusal.

    The connection that is returned waits for as long as whoever migrates may take.
    """
    import pymysql  # noqa: PLC0415 - only this role pays for the imports

    from website.reasons import reason  # noqa: PLC0415

    deadline = time.monotonic() + DATABASE_WITHIN
    while True:
        try:
            _log_in(database, patience=LOGIN_TIMEOUT).close()
            return _log_in(database, patience=MIGRATED_WITHIN + LOGIN_TIMEOUT)
        except pymysql.MySQLError as error:
            where = f"{database.user}@{database.host}:{database.port}/{database.name}"
            if error.args and error.args[0] in REFUSALS:
                message = f"MariaDB refused {where} ({reason(error)}): check DATABASE_USER, its password and its grants"
                raise RoleError(message, DENIED) from None
            if time.monotonic() > deadline:
                message = (
                    f"no MariaDB for {where} within {DATABASE_WITHIN:.0f} s ({reason(error)}): check DATABASE_HOST"
                )
                raise RoleError(message, UNAVAILABLE) from None
        time.sleep(DATABASE_POLL)


def _log_in(database: Database, *, patience: int) -> pymysql.connections.Connection:
    import pymysql  # noqa: PLC0415 - as above

    return pymysql.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.name,
        connect_timeout=LOGIN_TIMEOUT,
        read_timeout=patience,
        write_timeout=patience,
    )


def _migrate(connection: pymysql.connections.Connection) -> None:
    """Migrate once, holding a lock that ends with the connection."""
    import django  # noqa: PLC0415 - only this role pays for the import
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import OperationalError, connections  # noqa: PLC0415

    from website.reasons import reason  # noqa: PLC0415

    with connection.cursor() as cursor:
        # Locks are the server's, so the name has to be the database's own.
        cursor.execute("SELECT GET_LOCK(CONCAT('migrate:', DATABASE()), %s)", [MIGRATED_WITHIN])
        row = cursor.fetchone()
    if row is None or row[0] != 1:
        message = f"another process has been migrating for {MIGRATED_WITHIN} s: look for it, or for a lock it left"
        raise RoleError(message, UNAVAILABLE)
    django.setup()
    options = connections["default"].settings_dict["OPTIONS"]
    hasty = dict(options)  # as requests want it, which this very process serves afterwards
    options |= {"read_timeout": MIGRATION_TIMEOUT, "write_timeout": MIGRATION_TIMEOUT}
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        message = f"the migration was not carried through ({reason(error)}): look into MariaDB's log"
        raise RoleError(message, UNAVAILABLE) from None
    finally:
        connections.close_all()
        options.update(hasty)
