"""Bringing up a deployment that is not this project's own, under a project name of its own, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from harness import command, compose, images
from harness.bringup import BRING_UP, Starter
from harness.compose import ComposeProject
from harness.diagnosis import containers
from harness.diagnosis.settings import backend_ports, broker_url
from harness.engine import Engine
from harness.errors import CommandError, ConfigurationError, HarnessError, ImageError
from harness.foreign.deployment import Foreign
from harness.foreign.plan import ForeignPlan
from harness.foreign.seen import see
from harness.ownership import LABEL, Run
from harness.rolemap import RoleMap
from harness.timeline import Timeline
from harness.waiting import wait_until

Say = Callable[[str], None]

_BUILD_TIMEOUT = 1800  # seconds; bounded by the network, this only ends one that hangs


def prepare(engine: Engine, plan: ForeignPlan, say: Say) -> None:
    """See that every image is there: the harness's own hands, and those of the files, built or pulled as they say.

    Raises `ImageError`, and `ConfigurationError` for an application that is not told what it needs.
    """
    images.ensure_these(engine, {"WIREGUARD_IMAGE": "wireguard"}, ("probe",), say)
    files = project(plan)
    configuration = files.configuration()
    services = configuration["services"]
    if any("build" in each for each in services.values()):
        say(f"{plan.name}: building what its files build")
        base = images.base(engine, say)
        environment = {"BASE_IMAGE": base, "CA_BUNDLE": images.ca_bundle(), "BUILDKIT_PROGRESS": "plain"}
        _compose(files, environment, "build")
    missing = [name for name, each in services.items() if "image" in each and not engine.has_image(each["image"])]
    if missing:
        say(f"{plan.name}: pulling the images of {', '.join(missing)}")
        _compose(files, {}, "pull", *missing)
    require_told(engine, plan, configuration)


def require_told(engine: Engine, plan: ForeignPlan, configuration: Mapping[str, Any]) -> None:
    """Check that clients can do as the applications do, whose images are there.

    Raises `ConfigurationError` with the setting that nothing gives.
    """
    for side in ("web", "services"):
        _dialled(configuration, plan.mapped, side)
    service = plan.mapped.service("services")
    image = configuration["services"][service].get("image") or f"{plan.project}-{service}"
    variables = _of_image(engine, image) | dict(containers.configured(service, configuration).environment)
    told = plan.mapped.dialect("services").translate(variables, _unread)
    for setting in ("DATABASE_USER", "DATABASE_NAME"):
        if not told.get(setting):
            message = f"{service} is not told how it logs in to MariaDB: the map's [settings] has to give {setting}"
            raise ConfigurationError(message)


def _of_image(engine: Engine, image: str) -> dict[str, str]:
    """The variables that an image gives to its containers."""
    try:
        entries = engine.client.images.get(image).attrs["Config"].get("Env") or []
    except NotFound:  # whoever creates the container says so
        return {}
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _compose(files: ComposeProject, environment: Mapping[str, str], *words: str) -> None:
    argv = [*files.compose_command_property, *words]
    try:
        command.run(argv, timeout=_BUILD_TIMEOUT, cwd=Path(files.context), env=environment)
    except CommandError as error:
        message = f"compose cannot {words[0]} the images of {files.project}: {error}"
        raise ImageError(message) from error


def bring_up(  # noqa: PLR0913, PLR0917 (what a deployment is made of)
    engine: Engine, plan: ForeignPlan, run: Run, configuration: Mapping[str, Any], say: Say, timeline: Timeline
) -> Foreign:
    """Create and start everything with a probe on each side, and wait until both backends answer web.

    Raises `BringUpError`, `WaitTimeoutError` or what a look at it raises; cleaning up is the caller's.
    """
    overlay = run.state / "override.json"
    added = _override(configuration, plan, run.labels())
    compose.write_override(overlay, added)
    whole = project(plan, (overlay,))
    starter = Starter(engine, compose.merged(configuration, added), f"{LABEL}={run.id}", {}, timeline)
    starter.run(whole.create, lambda line: say(f"{plan.project}: {line}"))
    deployment = see(engine, plan, run, whole, plan.project)
    # Whoever began a handshake before the other end was there tries again only after 5 s.
    deployment.wireguard_web.renew_peer()
    with timeline.phase("backends through the tunnel"):
        wait_until("both backends to answer web", lambda: _silent(deployment), lambda silent: not silent, BRING_UP)
    return deployment


def view(engine: Engine, plan: ForeignPlan, run: Run) -> Foreign:
    """The deployment of a run that is up."""
    return see(engine, plan, run, project(plan, (run.state / "override.json",)), plan.project)


def _silent(deployment: Foreign) -> str:
    """Why web is not served; empty where it is."""
    from harness import clients  # noqa: PLC0415 (only this kind of deployment pays for the import)

    try:
        with clients.mariadb(deployment, "web"), clients.redis(deployment, "web") as client:
            client.ping()
    except (*clients.FAILURES, HarnessError, OSError) as error:
        return str(error)
    return ""


def project(plan: ForeignPlan, overlays: tuple[Path, ...] = ()) -> ComposeProject:
    """The compose project of a plan's files, with more laid over them."""
    return ComposeProject(
        context=plan.files[0].parent,
        compose_file_name=[str(file) for file in (*plan.files, *overlays)],
        deployed=len(plan.files),
        project=plan.project,
        directory=str(plan.files[0].parent),
        env_file=[str(plan.environment_file)] if plan.environment_file else None,
        wait=False,
    )


def _override(configuration: Mapping[str, Any], plan: ForeignPlan, labels: Mapping[str, str]) -> dict[str, Any]:
    """Labels everywhere, and a probe where web's gateway and where services is, which relays to what they dial."""
    added: dict[str, Any] = {
        kind: {name: {"labels": dict(labels)} for name in configuration.get(kind) or {}}
        for kind in ("services", "networks", "volumes")
    }
    owners = {"web": plan.mapped.service("wireguard-web"), "services": plan.mapped.service("services")}
    for side, owner in owners.items():
        published = added["services"][owner].setdefault("ports", [])
        published += [f"127.0.0.1::{port}" for port in (compose.RELAYED_MARIADB, compose.RELAYED_REDIS)]
        relays = _dialled(configuration, plan.mapped, side)
        added["services"][f"probe-{side}"] = compose.sidecar(
            f"{plan.container_prefix}probe-{side}", owner, relays, labels
        )
    return added


def _dialled(configuration: Mapping[str, Any], mapped: RoleMap, side: str) -> tuple[str, str]:
    """Where an application was told that MariaDB and Redis are, each as HOST:PORT."""
    service = mapped.service(side)
    told = mapped.dialect(side).translate(containers.configured(service, configuration).environment, _unread)
    url, ports = broker_url(told), backend_ports(told)
    found = {"DATABASE_HOST": told.get("DATABASE_HOST"), "REDIS_URL": url.hostname if url else None}
    for setting, host in found.items():
        if not host:
            message = f"{service} is not told where its backend is: the map's [settings] has to give {setting}"
            raise ConfigurationError(message)
    return f"{found['DATABASE_HOST']}:{ports['database']}", f"{found['REDIS_URL']}:{ports['broker']}"


def _unread(path: str) -> str:
    message = f"{path} cannot be read before anything runs"
    raise ConfigurationError(message)
