"""The application works across the tunnel, says what is wrong when a backend fails, and recovers by itself.

A job goes web → tunnel → Redis → celery → MariaDB → tunnel → web.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from harness import clients, pages, throwaway
from harness.addresses import MARIADB_PORT, REDIS_PORT, TUNNEL_SERVICES
from harness.budgets import HEALTH_PAGE, JOB, JOB_AFTER_OUTAGE, RECOVERY, SETTLE
from harness.clients import TRANSFER_TIMEOUT
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.model import Budget, CommandResult
from harness.nodes import Node
from harness.pages import Page
from harness.stage import Stage
from harness.waiting import Deadline, holds_for, wait_until

pytestmark = pytest.mark.ours("application")

SIDES = ("web", "services")
JOBS = 20
MISCONFIGURED = 78  # EX_CONFIG of sysexits.h

# What the application cannot start without; the values lead nowhere.
COMPLETE = {
    "DATABASE_HOST": "192.0.2.1",
    "DATABASE_PORT": "3306",
    "DATABASE_NAME": "sample",
    "DATABASE_USER": "sample",
    "DATABASE_PASSWORD": "sample-password",
    "DJANGO_SECRET_KEY": "sample-key",
    "CELERY_BROKER_URL": "redis://192.0.2.1:6379/0",
}

BAD_JOBS: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"text=hello", "not JSON"),
    "cut short": (b'{"text": "hel', "not JSON"),
    "no UTF-8": (b'{"text": "\xff"}', "not JSON"),
    "empty": (b"", "not JSON"),
    "nested without end": (b"[" * 100_000, "not JSON"),
    "a list": (b'["text"]', "text is missing"),
    "no text": (b"{}", "text is missing"),
    "an empty text": (b'{"text": ""}', "text is missing"),
    "a number": (b'{"text": 5}', "text is missing"),
    "a long text": (b'{"text": "%s"}' % (b"x" * 10_001), "10001 characters"),
    "a body without measure": (b'{"text": "%s"}' % (b"x" * 300_000), "too large"),
    "half a character": (b'{"text": "\\ud800"}', "surrogate"),
}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    """Whose pages are asked."""
    return str(request.param)


def health(deployment: Deployment, side: str) -> Page:
    """The health page of a side."""
    return pages.get(deployment.url(side, "/health/"))


def queue(deployment: Deployment, side: str, text: str) -> str:
    """Have a side queue a job; returns its identifier."""
    page = pages.post(deployment.url(side, "/jobs/"), {"text": text})
    assert page.status == 202, str(page)
    return str(page.json()["id"])


def job(deployment: Deployment, side: str, identifier: str) -> Page:
    """The page of a job."""
    return pages.get(deployment.url(side, f"/jobs/{identifier}/"))


def done(deployment: Deployment, side: str, identifier: str, within: Budget = JOB) -> dict[str, Any]:
    """Wait for a job to be done and return what its page says."""
    return wait_until(
        f"job {identifier} to be done",
        lambda: job(deployment, side, identifier),
        lambda page: page.status == 200,
        within=within,
    ).json()


def digest(text: str) -> str:
    """What a job is to compute."""
    return sha256(text.encode()).hexdigest()


def statuses(page: Page) -> dict[str, str]:
    """The status of each backend on a health page."""
    return {name: entry["status"] for name, entry in page.json().items() if isinstance(entry, dict)}


def expect_named(deployment: Deployment, *failing: str) -> None:
    """Within 5 s of now both health pages are 503 and say that these backends fail, no other, and why."""
    wanted = {backend: "failing" if backend in failing else "ok" for backend in ("database", "broker")}

    def named(side: str) -> Page:
        given = Deadline(HEALTH_PAGE.seconds)
        page = wait_until(
            f"{side}'s /health/ to name {', '.join(failing)}",
            lambda: health(deployment, side),
            lambda page: page.status == 503 and statuses(page) == wanted,
            within=HEALTH_PAGE,
        )
        assert not given.passed, f"only after {given.elapsed:.1f} s: {page}"
        return page

    with ThreadPoolExecutor(max_workers=len(SIDES)) as pool:
        for page in pool.map(named, SIDES):
            assert page.json()["status"] == "failing"
            assert all(page.json()[backend]["error"] for backend in failing)


def expect_well(deployment: Deployment) -> None:
    """Both health pages are well again."""
    for side in SIDES:
        wait_until(
            f"{side}'s /health/ to be 200",
            lambda side=side: health(deployment, side),  # type: ignore[misc]
            lambda page: page.status == 200,
            within=RECOVERY,
        )


def test_the_health_page_reports_both_backends(deployment: Deployment, side: str) -> None:
    """/health/ is 200 and gives for database and broker the status and the latency."""
    page = health(deployment, side)

    assert page.status == 200
    assert page.json()["status"] == "ok"
    assert statuses(page) == {"database": "ok", "broker": "ok"}
    for backend in ("database", "broker"):
        assert isinstance(page.json()[backend]["latency_ms"], float)
        assert 0 < page.json()[backend]["latency_ms"] < HEALTH_PAGE.seconds * 1000


def test_a_job_makes_the_whole_round(deployment: Deployment, side: str) -> None:
    """A posted job is computed by the celery worker and read back, with its result, from either side."""
    text = f"Grüße durch den Tunnel 🚇 {uuid4()}"

    identifier = queue(deployment, side, text)
    found = done(deployment, side, identifier)

    assert found["id"] == identifier
    assert found["status"] == "done"
    assert found["result"] == digest(text)
    assert found["worker"] == f"celery@{deployment.celery.inspect()['Config']['Hostname']}"
    assert found["created"] <= found["finished"]
    assert [job(deployment, each, identifier).json() for each in SIDES] == [found, found]
    assert stored(deployment, identifier) == ((text, digest(text)),)


def stored(deployment: Deployment, identifier: str) -> tuple[tuple[Any, ...], ...]:
    """The rows of a job in MariaDB: text and result."""
    return ask(deployment, "SELECT text, result FROM jobs WHERE id = %s", identifier)


def ask(deployment: Deployment, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
    """Run one statement as services, and return its rows."""
    with (
        clients.mariadb(deployment, "services", timeout=TRANSFER_TIMEOUT, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, values or None)
        return tuple(cursor.fetchall())


def test_many_jobs_are_all_done_and_all_cross_the_tunnel(deployment: Deployment) -> None:
    """20 jobs posted to web are all done, each with its own result, each over a forwarded connection both ways."""
    forwarded = {port: deployment.wireguard_services.dnat(port).packets for port in (MARIADB_PORT, REDIS_PORT)}
    texts = [f"job {number} {uuid4()}" for number in range(JOBS)]

    identifiers = [queue(deployment, "web", text) for text in texts]
    results = [done(deployment, "web", identifier)["result"] for identifier in identifiers]

    assert len(set(identifiers)) == JOBS
    assert results == [digest(text) for text in texts]
    for port, before in forwarded.items():
        # The rule counts connections, and web makes a new one for each job that it queues or reads.
        assert deployment.wireguard_services.dnat(port).packets >= before + JOBS


@pytest.mark.parametrize(("body", "reason"), BAD_JOBS.values(), ids=BAD_JOBS.keys())
def test_a_bad_job_is_refused_in_one_sentence(deployment: Deployment, body: bytes, reason: str) -> None:
    """What is no job is answered with 400 and one sentence that says why."""
    page = pages.post_bytes(deployment.url("web", "/jobs/"), body)

    assert page.status == 400, str(page)
    assert list(page.json()) == ["error"]
    sentence = page.json()["error"]
    assert reason in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_text_of_the_greatest_length_is_a_job(deployment: Deployment) -> None:
    """A text of 10,000 characters, of four bytes each, is taken and computed."""
    text = "🚇" * 10_000

    assert done(deployment, "web", queue(deployment, "web", text))["result"] == digest(text)


def test_an_unknown_job_is_not_found(deployment: Deployment, side: str) -> None:
    """A job that nobody has posted is 404, and so is what cannot be a job's identifier."""
    unknown = str(uuid4())

    page = job(deployment, side, unknown)

    assert page.status == 404
    assert page.json() == {"id": unknown, "status": "unknown or not yet done"}
    assert job(deployment, side, "no-such-job").status == 404


def test_a_stopped_redis_is_named_and_nothing_else(experiment: Experiment) -> None:
    """With Redis stopped both health pages name the broker within 5 s and jobs are 503; with Redis back all is well."""
    deployment = experiment.deployment
    earlier = queue(deployment, "web", "before the outage")
    done(deployment, "web", earlier)

    with experiment.disturbance("Redis is stopped") as undo:
        experiment.stop(undo, deployment.redis)
        expect_named(deployment, "broker")

        refused = pages.post(deployment.url("web", "/jobs/"), {"text": "nobody can take it"})
        assert refused.status == 503
        assert refused.json()["error"].startswith("broker: ")
        assert job(deployment, "web", earlier).status == 200  # reading needs the database only

    expect_well(deployment)
    assert done(deployment, "web", queue(deployment, "web", "after"), JOB_AFTER_OUTAGE)["result"] == digest("after")


def test_a_stopped_mariadb_is_named_and_nothing_else(experiment: Experiment) -> None:
    """With MariaDB stopped both pages name the database within 5 s; jobs are still taken, and done when it is back."""
    deployment = experiment.deployment
    earlier = queue(deployment, "web", "before the outage")
    done(deployment, "web", earlier)

    with experiment.disturbance("MariaDB is stopped") as undo:
        experiment.stop(undo, deployment.mariadb)
        expect_named(deployment, "database")

        unread = job(deployment, "web", earlier)
        assert unread.status == 503
        assert unread.json()["error"].startswith("database: ")
        meanwhile = queue(deployment, "web", "posted without a database")

    expect_well(deployment)
    found = done(deployment, "web", meanwhile, JOB_AFTER_OUTAGE)
    assert found["result"] == digest("posted without a database")
    assert done(deployment, "web", earlier)["result"] == digest("before the outage")


def test_backends_that_hang_do_not_hang_the_health_pages(experiment: Experiment) -> None:
    """A backend that accepts and never answers is named within 5 s, on both sides; all is well when it goes on."""
    deployment = experiment.deployment

    with experiment.disturbance("Redis hangs, then MariaDB too") as undo:
        pause(undo, deployment.redis)
        expect_named(deployment, "broker")
        pause(undo, deployment.mariadb)
        expect_named(deployment, "broker", "database")

    expect_well(deployment)
    assert done(deployment, "web", queue(deployment, "web", "after"), JOB_AFTER_OUTAGE)["result"] == digest("after")


def pause(undo: ExitStack, node: Node) -> None:
    """Freeze a node's processes: the kernel goes on accepting for them; the undo lets them go on."""

    def go_on() -> None:
        if node.state().status == "paused":
            node.container.unpause()

    undo.callback(go_on)
    node.container.pause()


def test_a_worker_takes_up_what_was_queued_while_it_was_away(experiment: Experiment) -> None:
    """Jobs posted while the worker is down wait in Redis, and are done once it is back."""
    deployment = experiment.deployment
    texts = [f"queued {number}" for number in range(3)]

    with experiment.disturbance("celery is stopped") as undo:
        experiment.stop(undo, deployment.celery)
        identifiers = [queue(deployment, "web", text) for text in texts]
        waits, seen, _ = holds_for(
            lambda: [job(deployment, "web", identifier).status for identifier in identifiers],
            lambda found: found == [404] * len(texts),
            SETTLE,
        )
        assert waits, f"somebody did them: {seen}"
        assert health(deployment, "web").status == 200  # the backends are well; nobody is at work

    results = [done(deployment, "web", identifier, JOB_AFTER_OUTAGE)["result"] for identifier in identifiers]
    assert results == [digest(text) for text in texts]


def test_web_knows_its_backends_only_by_the_tunnel(deployment: Deployment) -> None:
    """The web application was given the tunnel's far end as its database and broker, and uses just that."""
    given = deployment.web.environment()

    assert given["DATABASE_HOST"] == str(TUNNEL_SERVICES.ip)
    assert broker_of(given) == str(TUNNEL_SERVICES.ip)
    assert str(deployment.plan.services_net.network_address).rpartition(".")[0] not in " ".join(given.values())
    used = deployment.web.python("from website.settings import DATABASES as d; print(d['default']['HOST'])")
    assert used.stdout.strip() == str(TUNNEL_SERVICES.ip)


def test_services_and_celery_know_their_backends_directly(deployment: Deployment) -> None:
    """The services side was given the backends' own addresses, or Redis' own name."""
    for node in (deployment.services, deployment.celery):
        given = node.environment()
        assert given["DATABASE_HOST"] == str(deployment.plan.mariadb)
        assert broker_of(given) in (str(deployment.plan.redis), "redis")


def broker_of(given: Mapping[str, str]) -> str | None:
    """The host of the broker that an application was given."""
    url = given["CELERY_BROKER_URL"] if "CELERY_BROKER_URL" in given else given["REDIS_URL"]
    host: str | None = urlsplit(url).hostname
    return host


def test_settings_are_named_database_and_hold_no_password(deployment: Deployment) -> None:
    """All applications are configured by DATABASE_*, none by DB_*, and passwords are in files, never in variables."""
    for node in (deployment.web, deployment.services, deployment.celery):
        given = node.environment()
        required = {"DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD_FILE"}
        assert required <= given.keys()
        assert [name for name in given if name.startswith("DB_")] == []
        assert not [secret for secret in deployment.credentials.secrets() if secret in given.values()]
        read = node.output("cat", given["DATABASE_PASSWORD_FILE"])
        assert read.strip() == deployment.credentials.db_password


@pytest.fixture(scope="module")
def idle(stage: Stage) -> Iterator[Node]:
    """A container of web's image in which nothing runs, with no settings and no network."""
    deployment = stage.deployment()
    with throwaway.idle(deployment, deployment.web) as node:
        yield node


def test_the_container_of_a_misconfigured_application_ends(deployment: Deployment) -> None:
    """A container that is given DB_HOST for DATABASE_HOST ends by itself as misconfigured, after one line."""
    result = throwaway.run(deployment, deployment.web, environment=without("DATABASE_HOST") | {"DB_HOST": "192.0.2.1"})

    assert one_line(result) == "web: DB_HOST is set, but this application reads DATABASE_HOST: rename it"


def test_a_complete_environment_is_accepted(idle: Node) -> None:
    """The environment that the refusals below each lack something of is accepted when it is whole."""
    result = idle.run("app", "check", environment=COMPLETE)

    assert result.ok, str(result)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("web", "DATABASE_HOST"),
        ("services", "DATABASE_HOST"),
        ("celery", "DATABASE_HOST"),
        ("web", "DATABASE_NAME"),
        ("web", "DATABASE_USER"),
        ("web", "DATABASE_PASSWORD"),
    ],
)
def test_a_misnamed_variable_stops_the_application(idle: Node, role: str, name: str) -> None:
    """DB_* where DATABASE_* is expected ends the start with one line that names both and says to rename it."""
    wrong = name.replace("DATABASE_", "DB_")

    line = one_line(idle.run("app", role, environment=without(name) | {wrong: COMPLETE[name]}))

    assert line == f"{role}: {wrong} is set, but this application reads {name}: rename it"


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("DATABASE_HOST", "DATABASE_HOST"),
        ("DATABASE_NAME", "DATABASE_NAME"),
        ("DATABASE_USER", "DATABASE_USER"),
        ("DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE"),
        ("DJANGO_SECRET_KEY", "DJANGO_SECRET_KEY_FILE"),
        ("CELERY_BROKER_URL", "CELERY_BROKER_URL"),
    ],
)
def test_a_missing_variable_stops_the_application(idle: Node, missing: str, named: str) -> None:
    """Without a variable that it needs the application does not start, and one line names that variable."""
    line = one_line(idle.run("app", "web", environment=without(missing)))

    assert line.startswith(f"web: {named} is not set: set it to ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_PORT", "33o6"),
        ("DATABASE_PORT", "65536"),
        ("DATABASE_PASSWORD_FILE", "/nowhere/password"),
        ("CELERY_BROKER_URL", "http://192.0.2.1:6379/0"),
        ("CELERY_BROKER_URL", "redis://:never/shown@192.0.2.1:6379/0"),
    ],
)
def test_a_malformed_variable_stops_the_application(idle: Node, name: str, value: str) -> None:
    """With a variable that cannot be right the application does not start; the line names it, and shows no password."""
    line = one_line(idle.run("app", "web", environment=COMPLETE | {name: value}))

    assert line.startswith(f"web: {name} is ")
    assert "never" not in line
    assert "shown" not in line


def without(name: str) -> dict[str, str]:
    """The complete environment without one variable."""
    return {key: value for key, value in COMPLETE.items() if key != name}


def one_line(result: CommandResult) -> str:
    """The one line with which an application refused to start, as misconfigured, and without the password."""
    assert result.exit_status == MISCONFIGURED, str(result)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert COMPLETE["DATABASE_PASSWORD"] not in line
    return line


def test_each_migration_is_applied_once(deployment: Deployment) -> None:
    """Every migration of the application is on record, and none of them twice."""
    applied = [(app, name) for app, name, _ in migrations(deployment)]

    assert ("jobs", "0001_initial") in applied
    assert len(applied) == len(set(applied))
    for node in (deployment.web, deployment.services):
        assert node.run("django-admin", "migrate", "--check", "--skip-checks").ok  # nothing is left to apply


def migrations(deployment: Deployment) -> tuple[tuple[Any, ...], ...]:
    """The migrations on record, in the order in which they were applied."""
    return ask(deployment, "SELECT app, name, applied FROM django_migrations ORDER BY id")


@pytest.mark.thorough  # on prod dev stands for it: it is the application's own promise
def test_only_services_migrates(experiment: Experiment) -> None:
    """Where the jobs' table is missing, web starts without making it; services makes it when it starts."""
    deployment = experiment.deployment
    identifier = queue(deployment, "web", "kept")
    done(deployment, "web", identifier)
    before = migrations(deployment)

    with experiment.disturbance("the jobs' table and the record of it are set aside") as undo:
        aside = f"jobs_aside_{uuid4().hex}"
        undo.callback(put_back, deployment, aside, before)
        ask(deployment, f"RENAME TABLE jobs TO {aside}")
        ask(deployment, "DELETE FROM django_migrations WHERE app = 'jobs'")

        restart(deployment.web)
        assert job(deployment, "web", identifier).json()["error"] == "database: table missing: not migrated yet"
        assert [app for app, *_ in migrations(deployment) if app == "jobs"] == []

        restart_services(deployment)
        assert job(deployment, "web", identifier).status == 404
        assert [row[:2] for row in migrations(deployment)] == [row[:2] for row in before]

    assert migrations(deployment) == before
    assert done(deployment, "web", identifier)["result"] == digest("kept")


def restart(node: Node) -> None:
    """Restart a node and wait until it is well."""
    node.container.restart(timeout=5)
    wait_until(f"{node.name} to be well", node.state, lambda state: state.well, within=RECOVERY)


def restart_services(deployment: Deployment) -> None:
    """Restart services, and the probe after it, which lives in the namespace that a restart makes anew."""
    restart(deployment.services)
    restart(deployment.probe_services)


def put_back(deployment: Deployment, aside: str, rows: tuple[tuple[Any, ...], ...]) -> None:
    """Put the jobs' table back where it was, and the record of migrations as it was."""
    if ask(deployment, "SHOW TABLES LIKE %s", aside):
        ask(deployment, "DROP TABLE IF EXISTS jobs")
        ask(deployment, f"RENAME TABLE {aside} TO jobs")
    ask(deployment, "DELETE FROM django_migrations WHERE app = 'jobs'")
    for app, name, applied in rows:
        if app == "jobs":
            record = "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)"
            ask(deployment, record, app, name, applied)
