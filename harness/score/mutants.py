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
from typing import Any

from docker.errors import ImageNotFound

from harness import images, recreation
from harness.deployment import SERVICES, Deployment
from harness.errors import DeploymentError
from harness.faults import Fault

_APPS = ("services", "celery", "web")
_GATEWAYS = ("wireguard-services", "wireguard-web")

_CARELESS_GATEWAY = """
cd /usr/local/lib/gateway/lib
printf '%s\\n' 'refuse() { :; }' 'require() { :; }' 'refuse_unknown_names() { :; }' >>settings.sh
printf '%s\\n' 'check_capability() { :; }' >>surroundings.sh
"""
_CARELESS_APP = """
cd /opt/app/src/website
sed -i 's/raise \\(.*\\) from None/_ = \\1/; s/raise /_ = /' environment.py
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
        name="an application that accepts any setting", services=_APPS, variable="SERVICES_IMAGE", script=_CARELESS_APP
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
