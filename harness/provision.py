"""Making the prod layout from nothing: servers, the database's host, and what the playbooks put on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness import compose, credentials, images, playbooks, production, servers, stock
from harness.addresses import MARIADB_PORT, ProdPlan
from harness.credentials import Credentials
from harness.engine import Engine
from harness.model import Budget
from harness.ownership import Run
from harness.production import Production, override_of, specifications
from harness.servers import SITE
from harness.waiting import Deadline, wait_until

Say = Callable[[str], None]

# As in the dev layout: the application's own login over TCP.
_DATABASE_CHECK = (
    'MYSQL_PWD="$(cat "$MARIADB_PASSWORD_FILE")" mariadb --protocol=tcp --host=127.0.0.1 '
    f'--port={MARIADB_PORT} --user="$MARIADB_USER" --execute="SELECT 1" "$MARIADB_DATABASE"'
)
_WELL = Budget(seconds=120, poll=0.25, reason="the playbook has waited for most of it; the probes start in a second")


def provide(engine: Engine, plan: ProdPlan, run: Run, secrets: Credentials, say: Say) -> Production:
    """Servers, a database and what the playbooks deploy; returns when all is well. Raises `BringUpError` and others."""
    took = Deadline(0)
    deployment = provide_servers(engine, plan, run, secrets)
    say(f"{plan.project}: both servers up ({took.elapsed:.1f} s)")
    playbooks.write_inventory(deployment)
    deploy(deployment, say=lambda line: say(f"{plan.project}: {line}"))
    say(f"{plan.project}: deployed ({took.elapsed:.1f} s)")
    return deployment


def provide_servers(engine: Engine, plan: ProdPlan, run: Run, secrets: Credentials) -> Production:
    """Two bare servers and the database's host."""
    servers.make_networks(engine, plan, run)
    _start_database(engine, plan, run)
    booted = servers.boot(
        engine, plan, run, specifications(plan), stock=stock.found(engine, production.server_images(plan))
    )
    for side in (server.service for server in booted):
        probe = compose.probe(side, plan, run.labels()) | {"profiles": [side]}
        compose.write_override(override_of(run, side), {"services": {f"probe-{side}": probe}})
    return Production(engine=engine, plan=plan, run=run, credentials=secrets)


def deploy(deployment: Production, *, say: Say | None = None) -> None:
    """Deploy both servers by the inventory as it is, and put the probes where they belong."""
    playbooks.play(deployment, "deploy.yml", say=say)
    add_probes(deployment)


def settle(deployment: Production) -> None:
    """Deploy once more where containers are not those that a deployment has made.

    What an experiment creates anew is as it was, but not in the playbook's books: the next deployment makes it again.
    """
    own = {node.service: node for node in deployment.observed}
    for server in deployment.servers:
        books = json.loads(server.output("cat", str(SITE / ".applied")))["containers"]
        if any(own[name].container.id != made["id"] for name, made in books.items() if name in own):
            deploy(deployment)
            return


def add_probes(deployment: Production) -> None:
    """Put a probe on each server, anew where what it belongs to has been created anew; wait until all is well."""
    probes = [probe.service for probe in (deployment.probe_web, deployment.probe_services)]
    with ThreadPoolExecutor(max_workers=len(probes), thread_name_prefix="probe") as pool:
        list(pool.map(lambda service: deployment.project(service).recreate(service), probes))
    wait_until("all containers to be well", deployment.unwell, lambda found: not found, within=_WELL)


def _start_database(engine: Engine, plan: ProdPlan, run: Run) -> None:
    """Start the bare-metal MariaDB: a container of this machine's engine, which no compose file knows."""
    secrets, network = compose.secrets_directory(run.state), servers.network_name(plan, "database")
    uid = credentials.uid()
    container = engine.client.containers.create(
        images.chosen()["MARIADB_IMAGE"],
        command=["mariadbd", "--skip-name-resolve", "--character-set-server=utf8mb4", "--max-allowed-packet=64M"],
        name=f"{plan.project}-mariadb",
        hostname="mariadb",
        labels=run.labels(),
        network=network,
        networking_config={network: engine.client.api.create_endpoint_config(ipv4_address=str(plan.database_host))},
        user=f"{uid}:{uid}",
        environment={
            "MARIADB_DATABASE": "app",
            "MARIADB_USER": "app",
            "MARIADB_PASSWORD_FILE": "/run/secrets/db_password",
            "MARIADB_ROOT_PASSWORD_FILE": "/run/secrets/db_root_password",
            "MARIADB_ROOT_HOST": "localhost",
        },
        volumes={
            str(secrets / name): {"bind": f"/run/secrets/{name}", "mode": "ro"}
            for name in (credentials.DB_PASSWORD, credentials.DB_ROOT_PASSWORD)
        },
        tmpfs={"/tmp": "", "/run/mysqld": ""},  # noqa: S108 (inside the container)
        restart_policy={"Name": "unless-stopped", "MaximumRetryCount": 0},  # type: ignore[arg-type] # the stub knows fewer
        init=True,
        mem_limit="512m",
        healthcheck=_database_health(),
    )
    container.start()


def _database_health() -> dict[str, Any]:
    nanoseconds = 1_000_000_000
    return {
        "test": ["CMD-SHELL", _DATABASE_CHECK],
        "interval": 25 * nanoseconds,
        "timeout": 6 * nanoseconds,
        "retries": 3,
        "start_period": 60 * nanoseconds,
        "start_interval": nanoseconds // 2,
    }
