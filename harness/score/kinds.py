"""The kinds of change that mutants are: a fault each, with an exact undo, that no path need notice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import ImageNotFound

from harness import disruptions, images, monitoring, preflight, recreation
from harness.compose import ComposeProject
from harness.deployment import Deployment
from harness.errors import DeploymentError
from harness.faults import Fault
from harness.overlays import Overlay


class Mutant(Fault):
    """A change that the doctor need not name."""

    roots = frozenset[str]()

    @property
    def modules(self) -> tuple[str, ...]:
        """The scenarios that meet it, where that is not all of them."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaid(Mutant):
    """Services created anew with a compose overlay."""

    name: str
    services: tuple[str, ...]
    overlay: Callable[[Deployment], Overlay]

    seen = "nothing; whoever looks at what was deployed sees it"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create them."""
        recreation.redeploy(deployment, undo, self.overlay(deployment), *self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherImage(Mutant):
    """Services on an image in which a script has changed something; `variable` chooses the image.

    Without services it is the image of what is only started later, such as an exporter.
    """

    name: str
    services: tuple[str, ...]
    variable: str
    script: str
    modules: tuple[str, ...] = ()

    seen = "nothing, until something is set wrong"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Make the image, and create the services anew on it; the undo removes it."""
        if self.variable in images.MONITORING:
            monitoring.make_images(deployment, self.variable)
        chosen = images.chosen(images.REPLACEABLE | images.MONITORING)[self.variable]
        image = _altered(deployment, undo, chosen, self.script)
        before = os.environ.get(self.variable)
        undo.callback(_restore, self.variable, before)
        os.environ[self.variable] = image
        if self.services:
            overlay = {"services": {service: {"image": image} for service in self.services}}
            recreation.redeploy(deployment, undo, overlay, *self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand(Mutant):
    """Somebody has typed a command in gateways; `back` is the one that undoes it."""

    name: str
    gateways: tuple[str, ...]
    command: str
    back: str

    seen = "nothing; whoever looks at the gateway sees it"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Type it."""
        for gateway in self.gateways:
            node = deployment.node(gateway)
            undo.callback(node.run, "sh", "-c", self.back)
            node.output("sh", "-c", self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class BySql(Mutant):
    """MariaDB's root has given statements, in which {account} is the applications'; `back` undoes them."""

    name: str
    statements: str
    back: str

    seen = "nothing, until an application does what it seldom does"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Give them."""
        account = disruptions.database_account(deployment)
        undo.callback(disruptions.sql, deployment, self.back.format(account=account))
        disruptions.sql(deployment, self.statements.format(account=account))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherFile(Mutant):
    """A compose file that says something else than what was deployed from it."""

    name: str
    before: str
    after: str

    seen = "nothing, until it is deployed again"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Put an edited copy in its place."""
        for host in deployment.hosts:
            if host.project is None:
                continue
            original = Path(host.project.files[0])
            text = original.read_text(encoding="utf-8")
            if self.before not in text:
                raise DeploymentError(f"{original} does not say {self.before!r}")
            copy = deployment.run.state / "edited.yml"
            copy.write_text(text.replace(self.before, self.after), encoding="utf-8")
            undo.callback(_use, host.project, original, host.project.directory)
            _use(host.project, copy, str(original.parent))


def _use(project: ComposeProject, file: Path, directory: str | None) -> None:
    """Have the project be that of another first file, whose relative paths begin in a directory."""
    project.files[0] = str(file)
    project.directory = directory
    project.__dict__.pop("compose_command_property", None)  # which names the files, and is made once


@dataclass(frozen=True, slots=True, kw_only=True)
class CarelessHarness(Mutant):
    """The harness itself starts what it should have refused."""

    name = "a harness that does not look at subnets"
    seen = "nothing, until a network lies on the tunnel"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:  # noqa: ARG002 (it is not the deployment's)
        """Leave the check out."""
        undo.callback(setattr, preflight, "require_sound", preflight.require_sound)
        preflight.require_sound = _any  # type: ignore[assignment] # the name of its argument


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowAlerts(Mutant):
    """Alert rules and their tests have drifted apart; the tests are what is edited, which comes to the same."""

    name = "alert rules that are slower than their tests say"
    seen = "nothing, until the tunnel is gone and nobody is told"

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Have them expect the alert of an old handshake a minute sooner."""
        edited = deployment.run.state / monitoring.ALERT_TESTS.name
        text = monitoring.ALERT_TESTS.read_text(encoding="utf-8")
        edited.write_text(text.replace("eval_time: 3m15s", "eval_time: 2m15s"), encoding="utf-8")
        undo.callback(setattr, monitoring, "ALERT_TESTS", monitoring.ALERT_TESTS)
        monitoring.ALERT_TESTS = edited


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
