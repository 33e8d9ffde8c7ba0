"""A Docker engine, through the docker SDK: what compose cannot do, and what it cannot tell."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import struct
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

import docker
from docker.context import Context, ContextAPI
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.tls import TLSConfig
from requests import Response
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from harness import witness
from harness.errors import CommandError, DeploymentError, EngineUnavailableError, HarnessError
from harness.machine import Machine
from harness.model import CommandResult
from harness.namespaces import PROC

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_HASH = "com.docker.compose.config-hash"
"""By which compose knows a container that is what the files say."""
COMPOSE_DEPENDS_ON = "com.docker.compose.depends_on"
_ONE_OFF = "com.docker.compose.oneoff"
COMPOSE_NUMBER = "com.docker.compose.container-number"
COMPOSE_NETWORK = "com.docker.compose.network"

# The engine answers at once; what may be silent for long is a command run by `exec`, which bounds itself.
_TIMEOUT = 120
# What an engine prints in a command's place where runc's own first process, which would become the command, was gone
# before it was told which: nothing was begun, so to begin it once more repeats nothing. Seen now and then under load.
_UNBEGUN = re.compile(rb"OCI runtime exec failed: .*: (read|write) init-p: ")

_API = "1.44"  # of Engine 25; said outright where an engine may be silent, since the SDK would ask it
_TOO_OLD = "is too new"  # what such an engine says of our version of the API
_PATIENCE = 8  # seconds; a ping is answered in milliseconds, on a loaded machine within seconds

# Each piece of output has a head: the stream's number, three zeros, and its length (Engine API, "Stream format").
_FRAME = struct.Struct(">BxxxL")
_STDOUT, _STDERR = 1, 2
_PIECE = 1 << 20  # bytes
_LARGEST_FILE = 1 << 20  # bytes of an archive of one; what is read so is a configuration or a key


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfo:
    """A Docker network, and the compose project that it belongs to, if any."""

    id: str
    name: str
    project: str | None
    labels: Mapping[str, str]
    subnets: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A container as a list of them shows it, which costs the engine one question for all."""

    id: str
    name: str
    labels: Mapping[str, str]

    @property
    def one_off(self) -> bool:
        """Whether `docker compose run` made it, so that it is no service's."""
        return _is_one_off(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a container; `mode` is its permissions, `owner` a user's number inside."""

    content: bytes
    mode: int
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of the host that a container holds; `protocol` is tcp, udp or sctp."""

    container: str
    address: str
    port: int
    protocol: str


class Engine:
    """A connection to one engine."""

    def __init__(  # noqa: PLR0913 (what can be known of an engine)
        self,
        client: docker.DockerClient,
        procfs: Callable[[], Path] | None = None,
        *,
        name: str = "",
        addresses: Callable[[], tuple[str, ...]] | None = None,
        machine: Machine | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.client = client
        self.name = name
        """What tells it from the deployment's other engines; empty where it is the only one."""
        self.machine = machine or Machine()
        self.environment = dict(environment or {})
        """The variables by which the docker command finds this engine; none where it does so by itself."""
        self.supplier: Engine | None = None
        """The engine whose images are handed on to this one; None for one that has its own."""
        self._procfs = procfs
        self._addresses = addresses

    @property
    def procfs(self) -> Path:
        """The /proc in which the numbers of this engine's processes mean something, as it is seen from here."""
        return self._procfs() if self._procfs else PROC

    def machine_addresses(self) -> tuple[str, ...]:
        """The IPv4 addresses of the engine's machine, each with its prefix length; none where nobody can tell."""
        try:
            return self._addresses() if self._addresses else ()
        except HarnessError:
            return ()

    def now(self) -> float:
        """Seconds since 1970 by the engine's own clock; also one that is reached by a socket here may be elsewhere."""
        return datetime.fromisoformat(str(self.client.info()["SystemTime"])).timestamp()

    def silence(self) -> str | None:
        """Why nothing can be asked of the engine: it does not answer within seconds, or is too old; None where it can.

        It is asked in the API's version in which everything is: an engine that does not speak that refuses the first
        question already.
        """
        try:
            self._asked("/_ping")
        except (DockerException, RequestException, OSError) as error:
            reason = _reason(error)
            return f"it is too old, Docker Engine 25 or newer is needed: {reason}" if _TOO_OLD in reason else reason
        return None

    def _asked(self, path: str, params: Mapping[str, str | int] | None = None) -> Response:
        """What the engine answers, which it has to do within seconds; raises what its client does."""
        api = self.client.api
        answer = api.get(f"{api.base_url}/v{api.api_version}{path}", params=params, timeout=_PATIENCE)
        if not answer.ok:
            raise APIError(f"status {answer.status_code}", explanation=_said(answer))
        return answer

    def events(self, container: str, kinds: Sequence[str], *, since: float) -> list[dict[str, Any]]:
        """What the engine remembers of a container's last `since` seconds; raises what its client does.

        Not by the SDK's `events`, which waits without a limit for an engine that hangs.
        """
        now = int(self.now())
        filters = json.dumps({"container": [container], "event": list(kinds)})
        answer = self._asked("/events", {"since": now - int(since), "until": now + 1, "filters": filters})
        return [json.loads(line) for line in answer.text.splitlines() if line.strip()]

    @classmethod
    def connect(cls) -> Engine:
        """Connect to `DOCKER_HOST`, or to the current docker context; raises `EngineUnavailableError`."""
        try:
            client = _negotiated(_chosen())
        except (DockerException, RequestException, OSError) as error:
            message = (
                f"no Docker engine answers ({_reason(error)}): start it, or set DOCKER_HOST; "
                "`make scenarios` starts one on Debian when run as root"
            )
            raise EngineUnavailableError(message) from error
        return cls(client)

    def version(self) -> tuple[int, ...]:
        """The engine's version, such as (26, 1)."""
        text = str(self.client.version()["Version"])
        return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())

    def networks(self) -> tuple[NetworkInfo, ...]:
        """Every network with its IPv4 subnets."""
        return tuple(_network(attributes) for attributes in self.client.api.networks())

    def published_ports(self) -> tuple[PublishedPort, ...]:
        """Every port of the host that a running container holds."""
        return tuple(
            PublishedPort(
                container=_name(entry), address=port.get("IP", ""), port=port["PublicPort"], protocol=port["Type"]
            )
            for entry in self.client.api.containers()
            for port in entry.get("Ports", [])
            if "PublicPort" in port
        )

    @property
    def is_local(self) -> bool:
        """Whether it is reached by a socket of this machine; on some, such as Docker Desktop's, it runs in another."""
        return self.machine.here and bool(self.client.api.base_url.startswith("http+docker://"))

    @cached_property
    def identity(self) -> str:
        """The engine's own id, by which it is told from every other one."""
        return str(self.client.info()["ID"])

    def labelled(self, label: str) -> list[tuple[str, str, dict[str, str]]]:
        """Every container, network and volume that bears a label: its kind, its name, and its labels."""
        api, filters = self.client.api, {"label": label}
        found = [("container", _name(entry), entry["Labels"]) for entry in self._entries(label)]
        found += [("network", entry["Name"], entry["Labels"]) for entry in api.networks(filters=filters)]
        found += [("volume", entry["Name"], entry["Labels"]) for entry in api.volumes(filters=filters)["Volumes"] or ()]
        return found

    def containers(self, *labels: str) -> list[Container]:
        """Every container, running or not, that bears all of `labels` (`NAME` or `NAME=VALUE`)."""
        return list(self.client.containers.list(all=True, filters={"label": list(labels)}, ignore_removed=True))

    def services(self, project: str) -> list[Container]:
        """A compose project's containers, running or not; those of `docker compose run` are no service's."""
        found = self.containers(f"{COMPOSE_PROJECT}={project}")
        return [each for each in found if not _is_one_off(each.labels)]

    def listed(self, *labels: str) -> tuple[Listed, ...]:
        """The same as `containers`, without asking for the details of each."""
        return tuple(
            Listed(id=str(entry["Id"]), name=_name(entry), labels=entry.get("Labels") or {})
            for entry in self._entries(*labels)
        )

    def ghosts(self, project: str) -> tuple[str, ...]:
        """The ids of a compose project's containers that are listed and not there.

        An engine that notes the state of a container which it has just removed lists it as dead, without a name, until
        it is started anew itself; asked for it, it knows of none.
        """
        listed = self._entries(f"{COMPOSE_PROJECT}={project}", named=False)
        return tuple(str(entry["Id"]) for entry in listed if not self._has_container(str(entry["Id"])))

    def _has_container(self, identity: str) -> bool:
        try:
            self.client.api.inspect_container(identity)
        except NotFound:
            return False
        return True

    def _entries(self, *labels: str, named: bool = True) -> list[dict[str, Any]]:
        """The containers as a list has them; those without a name are being removed, or `ghosts`."""
        entries = self.client.api.containers(all=True, filters={"label": list(labels)})
        return [entry for entry in entries if bool(entry.get("Names")) is named]

    def container(self, name: str) -> Container:
        """The container of that name or id; raises `DeploymentError` when there is none."""
        try:
            return self.client.containers.get(name)
        except NotFound as error:
            message = f"there is no container {name}: was the deployment brought up?"
            raise DeploymentError(message) from error

    def file(self, container: str, path: str) -> File:
        """A file of a container, running or not.

        Raises `DeploymentError` when it is not there, is no file, is larger than a configuration can be, or the engine
        does not hand it out.
        """
        try:
            chunks, _stat = self.client.api.get_archive(container, path)
            packed = b"".join(chunks)
        except (DockerException, RequestException) as error:
            message = f"the engine does not hand out {path} of {container}: {_reason(error)}"
            raise DeploymentError(message) from error
        if len(packed) <= _LARGEST_FILE:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                for entry in archive:
                    if entry.isfile() and (file := archive.extractfile(entry)) is not None:
                        return File(content=file.read(), mode=entry.mode & 0o7777, owner=entry.uid)
        message = f"{path} of {container} is no file of at most {_LARGEST_FILE} bytes"
        raise DeploymentError(message)

    def has_image(self, reference: str) -> bool:
        """Whether the engine holds an image of that name."""
        return self._image_id(reference) is not None

    def image_ids(self, references: Iterable[str]) -> dict[str, str]:
        """The id of each image that the engine holds by that name, in the order of the names."""
        listed = {tag: str(each["Id"]) for each in self.client.api.images() for tag in each["RepoTags"] or ()}
        wanted = sorted(references)
        named = {name: listed.get(name) or self._image_id(name) for name in wanted}
        return {name: identity for name, identity in named.items() if identity}

    def _image_id(self, reference: str) -> str | None:
        try:
            return str(self.client.images.get(reference).id)
        except NotFound:
            return None

    @contextlib.contextmanager
    def saved_images(self, references: Sequence[str]) -> Iterator[Iterator[bytes]]:
        """An archive of images, as `docker save` makes it, in pieces; layers that they share are in it once."""
        api = self.client.api
        answer = api.get(
            f"{api.base_url}/v{api.api_version}/images/get",
            params={"names": list(references)},
            stream=True,
            timeout=_TIMEOUT,
        )
        with contextlib.closing(answer):
            answer.raise_for_status()
            yield answer.iter_content(_PIECE)

    def load_images(self, archive: Iterator[bytes]) -> None:
        """Take in the images of an archive; raises `DeploymentError` when the engine refuses it, or falls silent."""
        try:
            answers = self.client.api.load_image(archive) or ()  # type: ignore[no-untyped-call]
            refused = next((said["error"] for said in answers if "error" in said), None)
        except HTTPError as error:
            refused = _reason(error)
        if refused is not None:
            message = f"the engine does not take the images: {refused}"
            raise DeploymentError(message)

    def execute(
        self, container: str, argv: Sequence[str], *, user: str = "", environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        """Run a command in a container and wait for it; the caller bounds what may take long.

        Raises `CommandError` when it could not be run at all (container gone, stopped or paused).
        """
        started = time.monotonic()
        try:
            status, stdout, stderr = self._executed(container, argv, user, dict(environment or {}))
            if _UNBEGUN.match(stdout):
                status, stdout, stderr = self._executed(container, argv, user, dict(environment or {}))
        except (APIError, RequestException, HTTPError) as error:  # the last where the engine falls silent in the middle
            message = f"cannot run {' '.join(argv)} in {container}: {_reason(error)}"
            raise CommandError(message) from error
        result = CommandResult(
            argv=("docker", "exec", container, *argv),
            exit_status=-1 if status is None else status,
            stdout=stdout.decode(errors="replace"),
            stderr=stderr.decode(errors="replace"),
            duration=time.monotonic() - started,
        )
        witness.tell(f"{container}: {' '.join(argv)}", result)
        return result

    def _executed(
        self, container: str, argv: Sequence[str], user: str, environment: dict[str, str]
    ) -> tuple[int | None, bytes, bytes]:
        api = self.client.api
        created = api.exec_create(container, list(argv), user=user, environment=environment)
        stdout, stderr = self._start(created["Id"])
        status: int | None = api.exec_inspect(created["Id"])["ExitCode"]
        return status, stdout, stderr

    def _start(self, identity: str) -> tuple[bytes, bytes]:
        """Start an exec and return what it wrote to standard output and standard error.

        Not by the SDK's `exec_start`: that reads from the bare socket, past the buffer of the HTTP answer, and what a
        quick command had written before the answer's head was read is lost with that buffer.
        """
        api = self.client.api
        answer = api.post(
            f"{api.base_url}/v{api.api_version}/exec/{identity}/start",
            json={"Detach": False, "Tty": False},
            stream=True,
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        outputs = {_STDOUT: b"", _STDERR: b""}
        while len(head := answer.raw.read(_FRAME.size)) == _FRAME.size:
            number, size = _FRAME.unpack(head)
            outputs[number] = outputs.get(number, b"") + answer.raw.read(size)
        return outputs[_STDOUT], outputs[_STDERR]


def client_at(url: str, certificates: Path | None = None) -> docker.DockerClient:
    """A client of the engine at an address, which need not answer yet.

    With TLS where there are `certificates`, a folder of files named as the docker command has them. Raises
    `DockerException` or `OSError` where those cannot be used.
    """
    trusted: TLSConfig | bool = False
    if certificates:
        own = (str(certificates / "cert.pem"), str(certificates / "key.pem"))
        trusted = TLSConfig(client_cert=own, ca_cert=str(certificates / "ca.pem"), verify=True)
    return _deaf(partial(docker.DockerClient, base_url=url, tls=trusted), _API)


def _chosen() -> Callable[..., docker.DockerClient]:
    """What makes a client of the engine that the variables name, or the docker context."""
    if os.environ.get("DOCKER_HOST"):
        return docker.from_env
    # `DOCKER_CONTEXT` chooses one, which the library by itself does not look at.
    name = os.environ.get("DOCKER_CONTEXT")
    context: Context | None = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    if context is None:  # the library would go on with the default one, and compose with none
        message = f"there is no docker context {name!r}: docker context ls shows them"
        raise DockerException(message)
    if not context.Host:
        return docker.from_env
    return partial(docker.DockerClient, base_url=str(context.Host), tls=context.TLSConfig)


def _negotiated(make: Callable[..., docker.DockerClient]) -> docker.DockerClient:
    """A client that speaks the newest API of its engine, which answers.

    The SDK would ask for that while it still listens to the environment. No proxy stands before an engine, and looking
    for one takes longer than asking it something; nor is whom it trusts what REQUESTS_CA_BUNDLE says.
    """
    first = _deaf(make, _API)
    try:
        version = str(first.api.version(api_version=False)["ApiVersion"])
    except BaseException:
        first.close()
        raise
    if version == _API:
        return first
    first.close()
    return _deaf(make, version)


def _deaf(make: Callable[..., docker.DockerClient], version: str) -> docker.DockerClient:
    client = make(version=version, timeout=_TIMEOUT)
    client.api.trust_env = False
    return client


def _network(attributes: Mapping[str, object]) -> NetworkInfo:
    labels = attributes.get("Labels") or {}
    ipam = attributes.get("IPAM") or {}
    configs = (ipam.get("Config") if isinstance(ipam, dict) else None) or []
    # Before Engine 25 a subnet could be given by an address in it, and is shown so ever since.
    subnets = [ip_network(entry["Subnet"], strict=False) for entry in configs if entry.get("Subnet")]
    assert isinstance(labels, dict)  # noqa: S101 (the engine API's type)
    return NetworkInfo(
        id=str(attributes["Id"]),
        name=str(attributes["Name"]),
        project=labels.get(COMPOSE_PROJECT),
        labels=labels,
        subnets=tuple(subnet for subnet in subnets if isinstance(subnet, IPv4Network)),
    )


def _is_one_off(labels: Mapping[str, str]) -> bool:
    return labels.get(_ONE_OFF) == "True"


def _name(entry: Mapping[str, list[str]]) -> str:
    return entry["Names"][0].lstrip("/")


def _said(answer: Response) -> str:
    """What an engine says when it refuses (Engine API, ErrorResponse)."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()


def _reason(error: Exception) -> str:
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation)
    text = str(error)
    if "paramiko" in text:
        return "DOCKER_HOST with ssh:// is not understood: let `ssh -nNT -L` forward the socket and name that"
    for known in ("No such file or directory", "Connection refused", "Permission denied", "timed out"):
        if known in text:
            return known
    return text
