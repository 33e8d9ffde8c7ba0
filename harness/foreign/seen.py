"""Looking at such a deployment that runs: where its parts are, and with which keys and passwords."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Interface
from urllib.parse import unquote

from harness import jobs, keys
from harness.addresses import SERVICES_PORT, WEB_PORT, WIREGUARD_PORT
from harness.compose import RELAYED_MARIADB, RELAYED_REDIS, ComposeProject
from harness.credentials import Credentials
from harness.diagnosis.settings import PRESHARED_KEY_FILE, PRIVATE_KEY_FILE, backend_ports, broker_url
from harness.engine import COMPOSE_SERVICE, Engine
from harness.errors import DeploymentError
from harness.foreign.deployment import Foreign
from harness.foreign.plan import ForeignPlan, Places
from harness.nodes import Gateway, Node
from harness.ownership import Run


def see(engine: Engine, plan: ForeignPlan, run: Run, project: ComposeProject | None, compose_name: str) -> Foreign:
    """A deployment that runs, looked at: where its parts are, and with which keys and passwords.

    Its jobs are over, and are no part of it. Raises `DeploymentError` with what of that cannot be seen, and where.
    """
    there = engine.services(compose_name)
    over = jobs.awaited(there)
    containers = {service: str(each.name) for each in there if (service := each.labels[COMPOSE_SERVICE]) not in over}
    found = Foreign(
        engine=engine,
        plan=plan,
        run=run,
        project=project,
        compose_name=compose_name,
        containers=containers,
        credentials=NOTHING_KNOWN,
    )
    found.credentials = _credentials(found)
    found.plan = replace(plan, places=_places(found))
    return found


NOTHING_KNOWN = Credentials(
    keys=keys.KeySet(
        web=keys.KeyPair(private="", public=""), services=keys.KeyPair(private="", public=""), preshared=""
    ),
    db_password="",
    db_root_password="",
    django_secret_key="",
    redis_password="",
    flower_password="",
)
"""What is known of somebody else's secrets before one has looked."""


def _credentials(deployment: Foreign) -> Credentials:
    web, services = deployment.gateways
    told = deployment.services.environment()
    url = broker_url(told)
    pairs = []
    for gateway in (web, services):
        private, _ = _keys(gateway)
        try:
            pairs.append(keys.KeyPair(private=private, public=keys.derive_public(private)))
        except ValueError as error:
            message = f"the private key of {gateway.service} {error}: {_where(gateway)}"
            raise DeploymentError(message) from None
    return replace(
        NOTHING_KNOWN,
        keys=keys.KeySet(web=pairs[0], services=pairs[1], preshared=_keys(services)[1]),
        db_password=_password(deployment.services, told, "DATABASE_PASSWORD"),
        redis_password=unquote((url and url.password) or "") or _password(deployment.services, told, "REDIS_PASSWORD"),
    )


def _keys(gateway: Gateway) -> tuple[str, str]:
    """The private key and the preshared one of a gateway, empty where it has none."""
    if (told := gateway.dialect.quick(gateway.file)) is not None:
        return told.private_key, told.preshared_key
    environment = gateway.environment()
    paths = (environment.get(PRIVATE_KEY_FILE), environment.get(PRESHARED_KEY_FILE))
    private, preshared = (gateway.file(path).strip() if path else "" for path in paths)
    return private, preshared


def _where(gateway: Gateway) -> str:
    configuration = gateway.dialect.configuration
    return f"it is looked for in {configuration}" if configuration else f"{PRIVATE_KEY_FILE} names its file"


def _password(node: Node, told: Mapping[str, str], name: str) -> str:
    path = told.get(f"{name}_FILE")
    return node.file(path).rstrip("\r\n") if path else told.get(name, "")


def _places(deployment: Foreign) -> Places:
    web, services = deployment.gateways
    ends = {gateway.role: gateway.environment() for gateway in (web, services)}
    ports = backend_ports(deployment.services.environment())
    at = {
        node.role: _addresses(node)
        for node in (web, services, deployment.mariadb, deployment.redis, deployment.services)
    }
    inner = _shared(at, "wireguard-services", "mariadb")
    underlay = _shared(at, "wireguard-web", "wireguard-services")
    listen = ends["wireguard-services"].get("WG_LISTEN_PORT", "")
    return Places(
        tunnel_web=_tunnel(web, ends["wireguard-web"]),
        tunnel_services=_tunnel(services, ends["wireguard-services"]),
        wireguard_port=int(listen) if listen.isdecimal() else WIREGUARD_PORT,
        underlay=at["wireguard-services"][underlay].network,
        underlay_web=at["wireguard-web"][underlay].ip,
        underlay_services=at["wireguard-services"][underlay].ip,
        inner=at["wireguard-services"][inner].network,
        inner_gateway=at["wireguard-services"][inner].ip,
        mariadb=at["mariadb"][inner].ip,
        mariadb_port=ports["database"],
        redis=at["redis"][_shared(at, "wireguard-services", "redis")].ip,
        redis_port=ports["broker"],
        services=at["services"][_shared(at, "wireguard-services", "services")].ip,
        services_port=_other_forward(services, ports) or _target(deployment, "services") or SERVICES_PORT,
        web_port=_target(deployment, "web") or WEB_PORT,
        published=dict(_published(deployment)),
    )


def _addresses(node: Node) -> dict[str, IPv4Interface]:
    """A node's address on each of its Docker networks."""
    found = node.inspect()["NetworkSettings"]["Networks"] or {}
    return {
        name: IPv4Interface(f"{each['IPAddress']}/{each['IPPrefixLen']}")
        for name, each in found.items()
        if each.get("IPAddress")
    }


def _shared(at: Mapping[str, Mapping[str, IPv4Interface]], one: str, other: str) -> str:
    """The network that two parts are both on; raises `DeploymentError` where there is none."""
    common = [name for name in at[one] if name in at[other]]
    if not common:
        message = f"no network joins {one} and {other}: do both run?"
        raise DeploymentError(message)
    return common[0]


def _tunnel(gateway: Gateway, told: Mapping[str, str]) -> IPv4Interface:
    try:
        return IPv4Interface(told["WG_ADDRESS"])
    except (KeyError, ValueError):
        message = f"{gateway.name} was told no address in the tunnel: its map has to say where its wg0.conf lies"
        raise DeploymentError(message) from None


def _other_forward(gateway: Gateway, ports: Mapping[str, int]) -> int | None:
    """What is forwarded besides the backends: the services application."""
    return next((each.port for each in gateway.forwards() if each.port not in ports.values()), None)


def _bindings(deployment: Foreign, side: str) -> Iterator[tuple[int, int]]:
    """The ports of a side's application that the host holds: inside, and of the host. Those of the probes left out."""
    node = {"web": deployment.wireguard_web, "services": deployment.services}[side]
    for target, holders in (node.inspect()["NetworkSettings"]["Ports"] or {}).items():
        port, _, protocol = target.partition("/")
        if protocol == "tcp" and holders and int(port) not in (RELAYED_MARIADB, RELAYED_REDIS):
            yield int(port), int(holders[0]["HostPort"])


def _target(deployment: Foreign, side: str) -> int | None:
    return next((target for target, _ in _bindings(deployment, side)), None)


def _published(deployment: Foreign) -> Iterator[tuple[str, int]]:
    for side in ("web", "services"):
        for _, port in _bindings(deployment, side):
            yield side, port
            break
