"""What several faults do to containers, settings and the underlay, each change with its exact undo."""

from __future__ import annotations

from contextlib import ExitStack

from harness import clients, mutations, recreation
from harness.budgets import RECOVERY
from harness.deployment import REDIS_CLI, Deployment
from harness.errors import CommandError
from harness.model import Budget
from harness.nodes import Gateway, Node
from harness.overlays import Overlay
from harness.waiting import wait_until

BACKENDS = ("mariadb", "redis")

_ENDED = Budget(
    seconds=20,
    reason="what cannot start ends within a second, on a loaded machine within a few, and is started again at once",
)

# Statements come in the environment: what they hold is shown by no list of processes and in no report.
# The official image's root has a password and no login by socket alone; in ours the password is as good as the socket.
_MARIADB = r"""
set -euo pipefail
for name in "$@"; do
  file=${name}_FILE
  export MYSQL_PWD=${!name-}
  [[ -z ${!file-} ]] || MYSQL_PWD=$(cat "${!file}")
  [[ -z $MYSQL_PWD ]] || break
done
printf %s "$SQL" | mariadb --user=root --skip-column-names --batch --raw
"""
_ROOT_PASSWORDS = ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")  # or the file that one of them with _FILE names
_CONFIG_SET = f'printf "%s" "$VALUE" | {REDIS_CLI} -p "$PORT" -x CONFIG SET "$1" | grep -qx OK'


def down_rule(service: str) -> str:
    """The rule by which a container that does not run is named."""
    return "backend-down" if service in BACKENDS else "container-down"


# --- containers ------------------------------------------------------------------------------------


def pause(undo: ExitStack, node: Node) -> None:
    """Freeze a container; the undo lets it go on, where it is frozen."""

    def resume() -> None:
        if node.state().status == "paused":
            node.container.unpause()

    undo.callback(resume)
    node.container.pause()


def redeploy_to_fail(deployment: Deployment, undo: ExitStack, overlay: Overlay, service: str) -> None:
    """Create a service anew so that it cannot start, and see it end once: before that it looks like any that starts.

    Raises `WaitTimeoutError` when it starts after all.
    """
    recreation.redeploy(deployment, undo, overlay, service)
    node = deployment.node(service)
    wait_until(f"{node.name} to end", node.state, lambda seen: seen.restarts > 0, within=_ENDED)


def settle(node: Node) -> None:
    """Wait until a container that was started is well: what is broken is something else."""
    wait_until(f"{node.name} to be well", node.ailment, lambda ailment: ailment is None, within=RECOVERY)


# --- backends --------------------------------------------------------------------------------------


def sql(deployment: Deployment, statements: str) -> str:
    """Run statements as MariaDB's root, by the password that its container was given, and return what is printed.

    Without one root logs in by the socket, as which only root may. Raises `CommandError` when MariaDB refuses one.
    """
    mariadb = deployment.mariadb
    told = {name.removesuffix("_FILE") for name in mariadb.environment()}
    user = "0" if told.isdisjoint(_ROOT_PASSWORDS) else ""
    result = mariadb.run("bash", "-c", _MARIADB, "bash", *_ROOT_PASSWORDS, user=user, environment={"SQL": statements})
    if not result.ok:
        # MariaDB may repeat the statement, and a password with it.
        raise CommandError(f"{mariadb.name} has refused a statement of root's (exit status {result.exit_status})")
    return result.stdout


def rootless(deployment: Deployment) -> str | None:
    """Why nothing can be done as MariaDB's root, or None when it can."""
    try:
        sql(deployment, "SELECT 1")
    except CommandError as error:
        return f"nobody can log in as root: {error}"
    return None


def database_account(deployment: Deployment) -> str:
    """The applications' user of MariaDB, as statements name it: the one that MariaDB takes services for."""
    with clients.mariadb(deployment, "services") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        ((account,),) = cursor.fetchall()
    user, _, host = account.rpartition("@")
    return f"'{user}'@'{host}'"


def set_redis(deployment: Deployment, undo: ExitStack, name: str, value: str) -> None:
    """Change a setting of the running Redis; the undo gives it its old value, also when a password is asked for."""
    redis, own = deployment.redis, deployment.redis_password
    password = value if name == "requirepass" else own
    _, _, old = deployment.redis_cli("--raw", "CONFIG", "GET", name).partition("\n")
    port = deployment.plan.redis_port
    undo.callback(_config_set, redis, port, name, old.removesuffix("\n"), password=password)
    _config_set(redis, port, name, value, password=own)


def _config_set(redis: Node, port: int, name: str, value: str, *, password: str | None) -> None:
    environment = {"VALUE": value, "PORT": str(port)} | ({"REDISCLI_AUTH": password} if password else {})
    result = redis.run("bash", "-o", "pipefail", "-c", _CONFIG_SET, "bash", name, environment=environment)
    if not result.ok:
        raise CommandError(f"{redis.name} does not take another {name} (exit status {result.exit_status})")


# --- the underlay ----------------------------------------------------------------------------------


def obstruct(deployment: Deployment, undo: ExitStack, match: str = "") -> None:
    """Let each gateway lose what comes to it from the other on the underlay and matches, before anybody sees it.

    Lost on arrival, and not when it is sent: then the sender would be told. The undo takes exactly these rules away
    and has the gateways shake hands at once.
    """
    web, services = deployment.gateways
    undo.callback(shake_hands_anew, deployment)
    for gateway, source in ((web, deployment.plan.underlay_services), (services, deployment.plan.underlay_web)):
        mutations.insert_rule(undo, gateway, "filter", "INPUT", f"-s {source}/32 {match}".rstrip() + " -j DROP")


def drop_on_machine(  # noqa: PLR0913, PLR0917 (what a rule has, and where)
    deployment: Deployment, undo: ExitStack, service: str, table: str, chain: str, specification: str
) -> None:
    """Insert a rule on the machine on which a service is; the undo deletes that one."""
    machine = Gateway(deployment.engine, service, deployment.machine(service))
    mutations.insert_rule(undo, machine, table, chain, specification)


def shake_hands_anew(deployment: Deployment) -> None:
    """End whatever handshake an end still waits for, up to 5 s, and have web begin one now.

    Services' end forgets first: were it to try as well, the two handshakes could cross.
    """
    deployment.wireguard_services.renew_peer()
    deployment.wireguard_web.renew_peer()
