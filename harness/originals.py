"""Containers made anew by the engine itself, as they were: created with what `docker inspect` says of them.

It repeats what compose once said and decides nothing, in a fraction of the time that compose takes to say it again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from harness.engine import COMPOSE_HASH, COMPOSE_PROJECT, COMPOSE_SERVICE, Engine
from harness.errors import DeploymentError

_AT_ONCE = 4  # a namespace has few who live in it
_JOINING = "container:"
_NO_HASH = "changed"
_SHORT_ID = 12  # characters; an engine names a container so, to itself and to others, where nobody gave it a name
_SPACES = ("NetworkMode", "IpcMode", "PidMode")
"""What a container can share with another, which it knows by its id."""

# What an endpoint was given; all else in `docker inspect` is what came of it.
_ENDPOINT = ("IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A container as it was created: `body` is what Engine API's `/containers/create` takes."""

    id: str
    name: str
    service: str
    body: Mapping[str, Any]

    @property
    def joins(self) -> str:
        """The id of the container in whose network namespace it lives; empty for one that has its own."""
        mode = str(self.body["HostConfig"]["NetworkMode"])
        return mode.removeprefix(_JOINING) if mode.startswith(_JOINING) else ""

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Original:
        """Read `docker inspect`, which has the engine's own words for all that a container is created with."""
        identity, host = str(attributes["Id"]), dict(attributes["HostConfig"])
        short = identity[:_SHORT_ID]
        configuration = dict(attributes["Config"])
        joins = str(host["NetworkMode"]).startswith(_JOINING)
        if joins or configuration.get("Hostname") == short:
            configuration.pop("Hostname", None)
        if joins:  # the ports are the image's; to name any for such a container is refused
            configuration.pop("ExposedPorts", None)
        return cls(
            id=identity,
            name=str(attributes["Name"]).lstrip("/"),
            service=_service(attributes),
            body={
                **configuration,
                "HostConfig": host,
                "NetworkingConfig": {"EndpointsConfig": _endpoints(attributes, short)},
            },
        )

    def with_variables(self, changes: Mapping[str, str | None]) -> Original:
        """The same with other variables; of one that is taken away, None, what the image says of it holds again."""
        kept = [each for each in self.body.get("Env") or () if each.partition("=")[0] not in changes]
        given = [f"{name}={value}" for name, value in changes.items() if value is not None]
        return self._changed(Env=[*kept, *given])

    def with_mounted(self, target: str, file: str) -> Original | None:
        """The same with another file mounted at a place where one is; None where none is."""
        host = self.body["HostConfig"]
        mounts = [
            {**mount, "Source": file} if mount["Target"] == target else mount for mount in host.get("Mounts") or ()
        ]
        changed = any(mount["Target"] == target for mount in mounts)
        return self._changed(HostConfig={**host, "Mounts": mounts}) if changed else None

    def _changed(self, **parts: object) -> Original:
        """It is no longer what the files say; compose passes by what has no hash, and makes anew what has another."""
        return replace(self, body={**self.body, "Labels": {**self.body["Labels"], COMPOSE_HASH: _NO_HASH}, **parts})

    def create(self, engine: Engine, moved: Mapping[str, str]) -> str:
        """Create the container, without starting it, and return its id.

        `moved` has the new id, by the old one, of each container in whose namespaces this one may live.
        """
        host = dict(self.body["HostConfig"])
        for space in _SPACES:
            owner = str(host.get(space) or "").removeprefix(_JOINING)
            if owner in moved:
                host[space] = f"{_JOINING}{moved[owner]}"
        body = {**self.body, "HostConfig": host}
        made = engine.client.api.create_container_from_config(body, name=self.name)  # type: ignore[no-untyped-call]
        return str(made["Id"])


def read(engine: Engine, project: str, services: Collection[str]) -> dict[str, Original]:
    """What a compose project's containers are now, by service, where the engine tells all of it.

    It does not of a service with several containers, nor of one with a volume that has no name, whose content a new
    container would not find again.
    """
    with _each() as pool:
        found = [
            each for each in pool.map(lambda each: _inspected(engine, each), _ids(engine, project, services)) if each
        ]
    originals = [Original.of(each) for each in found if not _has_anonymous(each)]
    count = Counter(_service(each) for each in found)
    return {original.service: original for original in originals if count[original.service] == 1}


def remove(engine: Engine, project: str, services: Collection[str], *, at_once: bool) -> None:
    """Remove services' containers, their volumes not; `at_once`: they are given no time to end by themselves."""

    def end(identity: str) -> None:
        with contextlib.suppress(NotFound):
            container = engine.client.containers.get(identity)
            if not at_once:
                container.stop()
            container.remove(force=True)

    with _refused("remove"), _each() as pool:
        list(pool.map(end, _ids(engine, project, services)))


def make(engine: Engine, wanted: Sequence[Original], moved: Mapping[str, str]) -> None:
    """Create and start containers.

    `moved` has the new id, by the old one, of each in whose namespaces they may live. Raises `DeploymentError` where
    the engine refuses.
    """
    with _refused("make"), _each() as pool:
        list(pool.map(engine.client.api.start, list(pool.map(lambda each: each.create(engine, moved), wanted))))


def _service(attributes: Mapping[str, Any]) -> str:
    return str(attributes["Config"]["Labels"].get(COMPOSE_SERVICE, ""))


def _has_anonymous(attributes: Mapping[str, Any]) -> bool:
    """Whether it has a volume that was made for it alone, as its image or its compose file asks for."""
    host = attributes["HostConfig"]
    named = {str(mount["Target"]) for mount in host.get("Mounts") or () if mount.get("Source")}
    named |= {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    return any(mount["Type"] == "volume" and mount["Destination"] not in named for mount in attributes["Mounts"])


def _endpoints(attributes: Mapping[str, Any], short: str) -> dict[str, Any]:
    networks: Mapping[str, Mapping[str, Any]] = attributes["NetworkSettings"]["Networks"]
    return {
        name: {
            key: [alias for alias in value if alias != short] if key == "Aliases" else value
            for key in _ENDPOINT
            if (value := endpoint.get(key)) is not None
        }
        for name, endpoint in networks.items()
    }


def _ids(engine: Engine, project: str, services: Collection[str]) -> list[str]:
    found = engine.listed(f"{COMPOSE_PROJECT}={project}")
    return [each.id for each in found if each.labels.get(COMPOSE_SERVICE) in services and not each.one_off]


def _inspected(engine: Engine, identity: str) -> dict[str, Any] | None:
    try:
        attributes: dict[str, Any] = engine.client.api.inspect_container(identity)
    except NotFound:  # gone since it was listed
        return None
    return attributes


def _each() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="originals")


@contextlib.contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except (DockerException, RequestException) as error:
        raise DeploymentError(f"the engine does not {what} a container as it was: {error}") from error
