"""The images: found, pulled, or built from `compose/`, and built again only when what they are made of has changed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from harness import command, orphans
from harness.engine import Engine
from harness.errors import CommandError, DeploymentError, ImageError
from harness.turns import turn

COMPOSE = Path(__file__).resolve().parent.parent / "compose"

PROBE = "wireguard-harness/probe:local"
# Each variable that replaces an image, and the image that stands there otherwise.
REPLACEABLE = {
    "WIREGUARD_IMAGE": "wireguard",
    "MARIADB_IMAGE": "mariadb",
    "REDIS_IMAGE": "redis",
    "NGINX_IMAGE": "nginx",
    "WEB_IMAGE": "app",
    "SERVICES_IMAGE": "app",
}
MONITORING = {"EXPORTER_IMAGE": "exporter", "PROMETHEUS_IMAGE": "prometheus"}
"""The same for what only the profile `monitoring` uses; made when it is first wanted."""

_PROD_ONLY = ("nginx",)
_OFFICIAL_BASE = "debian:trixie-slim"
_MADE_BASE = "wireguard-harness/base:trixie"
_SOURCE_LABEL = "wireguard-harness.source"
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

# Seconds. A pull or a build is bounded by the network, not by us: these only end one that hangs.
_PULL_TIMEOUT = 600
_BUILD_TIMEOUT = 1800
_BOOTSTRAP_TIMEOUT = 600

_BUILD_STEP = re.compile(r"#\d+ \[(?P<step>[^\]]+\d/\d[^\]]*)\] (?P<what>.*)")
_STEP_WIDTH = 100

Say = Callable[[str], None]


def local(name: str) -> str:
    """The reference of an image that is built here."""
    return f"wireguard-harness/{name}:local"


def chosen(replaceable: Mapping[str, str] = REPLACEABLE) -> dict[str, str]:
    """The image that each variable stands for now."""
    return {variable: os.environ.get(variable) or local(name) for variable, name in replaceable.items()}


def made_here(engine: Engine) -> list[str]:
    """The references of all images on the engine that were built here, and of the base that they are built on."""
    names = {*REPLACEABLE.values(), *MONITORING.values(), "probe", "server"}
    wanted = [*map(local, sorted(names)), _MADE_BASE, _OFFICIAL_BASE]
    return [reference for reference in wanted if engine.has_image(reference)]


def ensure(engine: Engine, layout: str, say: Say) -> None:
    """See that every image of a layout is there; say what is being done. Raises `ImageError`."""
    needed = {variable: name for variable, name in REPLACEABLE.items() if layout == "prod" or name not in _PROD_ONLY}
    ensure_these(engine, needed, ("probe", "server") if layout == "prod" else ("probe",), say)


def ensure_these(engine: Engine, replaceable: Mapping[str, str], others: Iterable[str], say: Say) -> None:
    """See that these images are there, `others` being such as nobody replaces. Raises `ImageError`."""
    if engine.supplier:
        ensure_these(engine.supplier, replaceable, others, say)
        with turn("images", say):
            _hand_on(engine.supplier, engine, {*chosen(replaceable).values(), *map(local, others)}, say)
        return
    for variable in replaceable:
        if reference := os.environ.get(variable):
            _ensure_foreign(engine, variable, reference, say)
    ours = {name for variable, name in replaceable.items() if not os.environ.get(variable)} | set(others)
    if ours:
        with turn("images", say):  # two that began at once would each make a base, and build on its own
            _ensure_ours(engine, ours, say)


def _ensure_ours(engine: Engine, ours: set[str], say: Say) -> None:
    built_on = base(engine, say)
    sources = {name: _source_hash(name, _image_id(engine, built_on)) for name in sorted(ours)}
    stale = [name for name, source in sources.items() if _built_from(engine, name) != source]
    if not stale:
        say(f"images: up to date ({', '.join(sorted(ours))})")
        return
    _build(engine, stale, built_on, sources, say)
    if wrong := [name for name in stale if _built_from(engine, name) != sources[name]]:
        message = f"the build said it succeeded, but the engine does not hold {', '.join(map(local, wrong))}"
        raise ImageError(message)


def _hand_on(supplier: Engine, engine: Engine, references: Iterable[str], say: Say) -> None:
    """Give an engine those images of another one that it does not hold as they are there."""
    stale = [each for each in sorted(references) if _content(engine, each) != _content(supplier, each)]
    where = engine.machine.name
    if not stale:
        say(f"images: {where} has them, as they are here")
        return
    say(f"images: handing on to {where}: {', '.join(stale)}")
    try:
        with supplier.saved_images(stale) as archive:
            engine.load_images(archive)
    except (DeploymentError, DockerException, RequestException) as error:
        message = f"{where} does not take the images {', '.join(stale)}: {error}"
        raise ImageError(message) from error


def _content(engine: Engine, reference: str) -> str | None:
    """What tells an image: what it was built from, or its id where it is not ours; None where it is not there."""
    if not engine.has_image(reference):
        return None
    image = engine.client.images.get(reference)
    return (image.labels or {}).get(_SOURCE_LABEL) or str(image.id)


def _ensure_foreign(engine: Engine, variable: str, reference: str, say: Say) -> None:
    try:
        if engine.has_image(reference):
            return
    except APIError as error:
        message = f"{variable} is {reference!r}, which is no image's name: {error.explanation}"
        raise ImageError(message) from error
    say(f"images: pulling {reference} ({variable})")
    try:
        command.run(["docker", "pull", "--quiet", reference], timeout=_PULL_TIMEOUT, env=engine.environment)
    except CommandError as error:
        message = f"{variable} is {reference}, which is neither on this engine nor can be pulled: {error}"
        raise ImageError(message) from error


def base(engine: Engine, say: Say) -> str:
    """The image that all others are built on: one that is there, pulled, or made. Raises `ImageError`."""
    if wanted := os.environ.get("BASE_IMAGE"):
        _ensure_foreign(engine, "BASE_IMAGE", wanted, say)
        return wanted
    for reference in (_OFFICIAL_BASE, _MADE_BASE):
        if engine.has_image(reference):
            return reference
    say(f"images: pulling {_OFFICIAL_BASE}")
    argv = ["docker", "pull", "--quiet", _OFFICIAL_BASE]
    pulled = command.run(argv, timeout=_PULL_TIMEOUT, check=False, env=engine.environment)
    if pulled.ok:
        return _OFFICIAL_BASE
    return _bootstrap(engine, pulled.stderr.strip().splitlines()[-1:], say)


def _bootstrap(engine: Engine, pull_failure: list[str], say: Say) -> str:
    if shutil.which("mmdebstrap") is None:
        message = (
            f"{_OFFICIAL_BASE} cannot be pulled ({' '.join(pull_failure) or 'no reason given'}) and mmdebstrap, "
            "which could make a base image, is not installed: load an image of Debian 13 and set BASE_IMAGE"
        )
        raise ImageError(message)
    say("images: no registry answers; making a Debian 13 base image with mmdebstrap (about 15 s)")
    with orphans.scratch() as folder:
        archive = folder / "base.tar"
        argv = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(archive)]
        try:
            command.run(argv, timeout=_BOOTSTRAP_TIMEOUT)
            repository, _, tag = _MADE_BASE.partition(":")
            engine.client.api.import_image_from_file(
                str(archive), repository=repository, tag=tag, changes=['CMD ["bash"]']
            )
        except (CommandError, DockerException) as error:
            message = f"no base image could be made: {error}"
            raise ImageError(message) from error
    return _MADE_BASE


def _build(engine: Engine, names: Iterable[str], base: str, sources: dict[str, str], say: Say) -> None:
    names = list(names)
    say(f"images: building {', '.join(names)} on {base}")

    def follow(line: str) -> None:
        if step := _BUILD_STEP.match(line):
            say(f"images: [{step['step']}] {step['what']}"[:_STEP_WIDTH])

    environment = {"BASE_IMAGE": base, "CA_BUNDLE": ca_bundle(), "BUILDKIT_PROGRESS": "plain"} | engine.environment
    environment |= {f"{name.upper()}_SOURCE": source for name, source in sources.items()}
    argv = ["docker", "compose", "-f", str(COMPOSE / "images.yml"), "build", *names]
    try:
        command.stream(argv, timeout=_BUILD_TIMEOUT, env=environment, on_line=follow)
    except CommandError as error:
        message = f"an image could not be built: {error}"
        raise ImageError(message) from error


def ca_bundle() -> str:
    """The file with the certificates that builds trust; raises `ImageError` where there is none."""
    candidates = [os.environ.get("CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"), *_CA_BUNDLES]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return candidate
    message = "no CA bundle was found for the image builds: install ca-certificates, or set CA_BUNDLE to one"
    raise ImageError(message)


def _source_hash(name: str, base_id: str) -> str:
    digest = hashlib.sha256(base_id.encode())
    digest.update((COMPOSE / "images.yml").read_bytes())
    for path in sorted((COMPOSE / name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(COMPOSE)} {path.stat().st_mode & 0o111:o}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _image_id(engine: Engine, reference: str) -> str:
    return str(engine.client.images.get(reference).id)


def _built_from(engine: Engine, name: str) -> str | None:
    if not engine.has_image(local(name)):
        return None
    labels = engine.client.images.get(local(name)).labels
    return labels.get(_SOURCE_LABEL) if labels else None
