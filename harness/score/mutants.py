"""Changes that no path notices, and that the doctor need not name: but a scenario has to.

With the faults they are what the mutation score puts in. Where the catalogue of faults asks whether the doctor is
right, these ask whether the scenarios can fail that look at limits, settings and refusals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import ImageNotFound

from harness import images, preflight, recreation
from harness.addresses import SERVICES
from harness.deployment import Deployment
from harness.errors import DeploymentError
from harness.faults import Fault

_APPS = ("services", "celery", "web")
_GATEWAYS = ("wireguard-services", "wireguard-web")

_CARELESS_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>settings.sh <<"END"
refuse() { :; }
require() { :; }
refuse_unknown_names() { :; }
END
cat >>surroundings.sh <<"END"
check_capability() { :; }
END
cat >>log.sh <<"END"
die() { (($1 == EX_CONFIG)) || exit "$1"; }
END
"""
_UNTIDY_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>firewall.sh <<"END"
undo() { :; }
add_rule() { local table=$1 chain=$2; shift 2; iptables -w -t "$table" -A "$chain" "$@"; }
END
"""
_SHORT_LIVED_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>tunnel.sh <<"END"
supervise() { sleep 0.2; exit 1; }
END
"""
_CARELESS_APP = """
cd /opt/app/src/website
sed -i 's/raise \\(.*\\) from None/_ = \\1/; s/raise /_ = /' environment.py
rm -rf __pycache__
"""


_STUBBORN_APP = """
cd /opt/app/src/website
cat >>environment.py <<"END"


def load(environ):
    raise SettingError("nothing is good enough")
END
rm -rf __pycache__
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaid(Fault):
    """Services created anew with a compose overlay."""

    name: str
    services: tuple[str, ...]
    overlay: Callable[[Deployment], Mapping[str, Any] | str]

    seen = "nothing; whoever looks at what was deployed sees it"
    roots = frozenset[str]()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create them."""
        recreation.redeploy(deployment, undo, self.overlay(deployment), *self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherImage(Fault):
    """Services on an image in which a script has changed something; `variable` chooses the image."""

    name: str
    services: tuple[str, ...]
    variable: str
    script: str

    seen = "nothing, until something is set wrong"
    roots = frozenset[str]()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Make the image, and create the services anew on it; the undo removes it."""
        image = _altered(deployment, undo, images.chosen()[self.variable], self.script)
        before = os.environ.get(self.variable)
        undo.callback(_restore, self.variable, before)
        os.environ[self.variable] = image
        overlay = {"services": {service: {"image": image} for service in self.services}}
        recreation.redeploy(deployment, undo, overlay, *self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand(Fault):
    """Somebody has typed a command in gateways; `back` is the one that undoes it."""

    name: str
    gateways: tuple[str, ...]
    command: str
    back: str

    seen = "nothing; whoever looks at the gateway sees it"
    roots = frozenset[str]()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Type it."""
        for gateway in self.gateways:
            node = deployment.node(gateway)
            undo.callback(node.run, "sh", "-c", self.back)
            node.output("sh", "-c", self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherFile(Fault):
    """A compose file that says something else than what was deployed from it."""

    name: str
    before: str
    after: str

    seen = "nothing, until it is deployed again"
    roots = frozenset[str]()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Put an edited copy in its place."""
        for host in deployment.hosts:
            files = host.project.compose_file_name if host.project else None
            if not isinstance(files, list):
                continue
            original = Path(files[0])
            text = original.read_text(encoding="utf-8")
            if self.before not in text:
                raise DeploymentError(f"{original} does not say {self.before!r}")
            copy = deployment.run.state / "edited.yml"
            copy.write_text(text.replace(self.before, self.after), encoding="utf-8")
            undo.callback(files.__setitem__, 0, str(original))
            files[0] = str(copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarelessHarness(Fault):
    """The harness itself starts what it should have refused."""

    name = "a harness that does not look at subnets"
    seen = "nothing, until a network lies on the tunnel"
    roots = frozenset[str]()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:  # noqa: ARG002 (it is not the deployment's)
        """Leave the check out."""
        undo.callback(setattr, preflight, "require_sound", preflight.require_sound)
        preflight.require_sound = _any  # type: ignore[assignment] # the name of its argument


def _any(_configuration: Mapping[str, Any]) -> None:
    """Any will do."""


def _restore(variable: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = before


def _altered(deployment: Deployment, undo: ExitStack, reference: str, script: str) -> str:
    """An image like another one, after root has run a script in it; the undo removes it."""
    client = deployment.engine.client
    repository, tag = "wireguard-harness/altered", f"plan-{deployment.plan.index}"
    config = client.images.get(reference).attrs["Config"]
    undo.callback(_remove_image, deployment, f"{repository}:{tag}")
    container = client.containers.create(
        reference,
        entrypoint=["sh", "-euc", script],
        command=[],
        user="0",
        network_mode="none",
        labels=deployment.run.labels(),
    )
    try:
        container.start()
        if (status := container.wait()["StatusCode"]) != 0:
            raise DeploymentError(
                f"{reference} could not be altered: {container.logs().decode(errors='replace')} ({status})"
            )
        changes = [f"ENTRYPOINT {json.dumps(config['Entrypoint'] or [])}", f"CMD {json.dumps(config['Cmd'] or [])}"]
        changes += [f"USER {config['User'] or '0'}"]
        container.commit(repository, tag, changes=changes)
    finally:
        container.remove(force=True)
    return f"{repository}:{tag}"


def _remove_image(deployment: Deployment, reference: str) -> None:
    try:
        deployment.engine.client.images.remove(reference, force=True)
    except ImageNotFound:
        return


def _environment(service: str, **settings: Callable[[Deployment], str]) -> Callable[[Deployment], Mapping[str, Any]]:
    def overlay(deployment: Deployment) -> Mapping[str, Any]:
        return {"services": {service: {"environment": {name: value(deployment) for name, value in settings.items()}}}}

    return overlay


def _unbounded(_deployment: Deployment) -> str:
    loose = "mem_limit: !reset null, read_only: false, init: false, restart: 'no', cap_drop: !reset [], "
    loose = f"{{{loose} cap_add: [NET_RAW], security_opt: !reset [], logging: !reset null}}"
    return f"services: {{{', '.join(f'{service}: {loose}' for service in SERVICES)}}}"


def _without_preshared_key(_deployment: Deployment) -> str:
    without = "{environment: {WG_PRESHARED_KEY_FILE: !reset null}}"
    return f"services: {{{', '.join(f'{gateway}: {without}' for gateway in _GATEWAYS)}}}"


def _of_both_gateways(**settings: str) -> Callable[[Deployment], Mapping[str, Any]]:
    return lambda _deployment: {"services": {each: {"environment": settings} for each in _GATEWAYS}}


MUTANTS: tuple[Fault, ...] = (
    AnotherImage(
        name="a gateway that refuses nothing", services=_GATEWAYS, variable="WIREGUARD_IMAGE", script=_CARELESS_GATEWAY
    ),
    AnotherImage(
        name="an application that refuses every setting",
        services=_APPS,
        variable="SERVICES_IMAGE",
        script=_STUBBORN_APP,
    ),
    AnotherImage(
        name="an application that accepts any setting", services=_APPS, variable="SERVICES_IMAGE", script=_CARELESS_APP
    ),
    AnotherImage(
        name="a gateway that leaves its rules behind",
        services=_GATEWAYS,
        variable="WIREGUARD_IMAGE",
        script=_UNTIDY_GATEWAY,
    ),
    AnotherImage(
        name="a gateway that does not stay", services=_GATEWAYS, variable="WIREGUARD_IMAGE", script=_SHORT_LIVED_GATEWAY
    ),
    CarelessHarness(),
    AnotherFile(
        name="a file that publishes MariaDB",
        before="    tmpfs: [/tmp, /run/mysqld]",
        after='    ports: ["3306:3306"]\n    tmpfs: [/tmp, /run/mysqld]',
    ),
    Overlaid(
        name="Redis without its fixed address",
        services=("redis",),
        overlay=lambda _deployment: "services: {redis: {networks: !override [services-net]}}",
    ),
    Overlaid(
        name="services' side uses names that are not documented",
        services=("services", "celery"),
        overlay=lambda _deployment: {
            "services": {each: {"environment": {"DATABASE_HOST": "mariadb"}} for each in ("services", "celery")}
        },
    ),
    ByHand(
        name="web's gateway forwards",
        gateways=("wireguard-web",),
        command="iptables -P FORWARD ACCEPT",
        back="iptables -P FORWARD DROP",
    ),
    ByHand(
        name="an MTU that nobody configured",
        gateways=_GATEWAYS,
        command="ip link set dev wg0 mtu 1300",
        back="ip link set dev wg0 mtu 1420",
    ),
    ByHand(
        name="another listen port",
        gateways=_GATEWAYS[1:],
        command="wg set wg0 listen-port 51821",
        back="wg set wg0 listen-port 51820",
    ),
    Overlaid(name="containers without bounds", services=SERVICES, overlay=_unbounded),
    Overlaid(
        name="a password in the environment",
        services=("web",),
        overlay=_environment("web", DATABASE_PASSWORD=lambda deployment: deployment.credentials.db_password),
    ),
    Overlaid(
        name="both ends initiate",
        services=("wireguard-services",),
        overlay=_environment(
            "wireguard-services",
            WG_PEER_ENDPOINT=lambda deployment: f"{deployment.plan.underlay_web}:51820",
            WG_PERSISTENT_KEEPALIVE=lambda _deployment: "20",
        ),
    ),
    Overlaid(name="no preshared key at all", services=_GATEWAYS, overlay=_without_preshared_key),
    Overlaid(
        name="a smaller MTU than documented, unsaid", services=_GATEWAYS, overlay=_of_both_gateways(WG_MTU="1280")
    ),
)
