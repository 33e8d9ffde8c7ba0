"""Making the prod layout from nothing: servers, the database's host, and what the playbooks put on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from harness import compose, credentials, images, playbooks, servers
from harness.addresses import MARIADB_PORT, ProdPlan
from harness.compose import PROBED
from harness.credentials import Credentials
from harness.engine import Engine
from harness.errors import BringUpError
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
    say(f"{plan.project}: both servers up, images loaded ({took.elapsed:.1f} s)")
    playbooks.write_inventory(deployment)
    playbooks.play(deployment, "deploy.yml", say=lambda line: say(f"{plan.project}: {line}"))
    say(f"{plan.project}: deployed ({took.elapsed:.1f} s)")
    add_probes(deployment)
    return deployment


def provide_servers(engine: Engine, plan: ProdPlan, run: Run, secrets: Credentials) -> Production:
    """Two bare servers and the database's host."""
    networks = servers.make_networks(engine, plan, run)
    _start_database(engine, plan, run, networks["database"])
    servers.boot(engine, plan, run, networks, specifications(plan))
    return Production(engine=engine, plan=plan, run=run, credentials=secrets)


def settle(deployment: Production) -> None:
    """Deploy once more where containers are not those that a deployment has made.

    What an experiment creates anew is as it was, but not in the playbook's books: the next deployment makes it again.
    """
    for server in deployment.servers:
        books = json.loads(server.output("cat", str(SITE / ".applied")))["containers"]
        own = {node.service: node for node in deployment.observed}
        if any(own[name].container.id != made["id"] for name, made in books.items() if name in own):
            playbooks.play(deployment, "deploy.yml")
            add_probes(deployment)
            return


def add_probes(deployment: Production) -> None:
    """Put a probe on each server, anew where what it belongs to has been created anew; wait until all is well."""
    for server in deployment.servers:
        side = server.service
        added = {"services": {f"probe-{side}": compose.probe(side, deployment.plan, deployment.run.labels())}}
        added["services"][f"probe-{side}"]["profiles"] = [side]
        compose.write_override(override_of(deployment.run, side), added)
        owner, probe = deployment.node(PROBED[side]), deployment.probe(side)
        deployment.project(probe.service).recreate(probe.service)
        assert owner.engine is probe.engine  # noqa: S101 (they share a network namespace)
    unwell = wait_until("all containers to be well", deployment.unwell, lambda found: not found, within=_WELL)
    if unwell:
        raise BringUpError(f"not all is well: {unwell}")


def _start_database(engine: Engine, plan: ProdPlan, run: Run, network: str) -> None:
    """Start the bare-metal MariaDB: a container of this machine's engine, which no compose file knows."""
    secrets = compose.secrets_directory(run.state)
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
        "test": [
            "CMD-SHELL",
            _DATABASE_CHECK,
        ],
        "interval": 15 * nanoseconds,
        "timeout": 6 * nanoseconds,
        "retries": 3,
        "start_period": 60 * nanoseconds,
        "start_interval": nanoseconds // 2,
    }
