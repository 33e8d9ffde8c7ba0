"""Evidence of a configuration alone, of which nothing runs: what compose files say, in the form of a snapshot."""

from __future__ import annotations

import json
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from harness import command, mounts, sealing
from harness.addresses import SERVICES, check_subnets, subnets_of
from harness.diagnosis import containers
from harness.diagnosis.drift import Side
from harness.diagnosis.evidence import NetworkEvidence, NodeEvidence, Piece, Snapshot
from harness.diagnosis.facts import Facts
from harness.diagnosis.roles import Role, role_of
from harness.errors import CommandError, ConfigurationError
from harness.redaction import Sealer
from harness.rolemap import DOCUMENTED, OPTIONAL, RoleMap
from harness.telling import Told, told_by

_WITHOUT_DOCKER = "; install the docker command (docker-cli) and its Compose plugin"
_NO_PLUGIN = re.compile("unknown shorthand flag: 'f' in -f|'compose' is not a docker command")
_TIMEOUT = 30  # seconds; `docker compose config` only reads files
_SEVERAL = 2  # gateways that make a tunnel


def read(files: Sequence[Path], environment: Path | None) -> dict[str, Any]:
    """The merged and interpolated configuration of compose files, of every profile; needs docker, but no engine.

    Raises `ConfigurationError` with what compose says of them.
    """
    # Profiles part a deployment over servers; judged together, both sides have to agree.
    loaded = _merged(files, environment, "--profile", "*")
    if not loaded.get("services"):
        message = f"{', '.join(map(str, files))} describes no service, so that there is nothing to judge"
        raise ConfigurationError(message)
    return loaded


def started(files: Sequence[Path], environment: Path | None, mapped: RoleMap) -> dict[str, Any]:
    """The configuration of what `docker compose up` would start: of profiles those that COMPOSE_PROFILES names.

    Raises `ConfigurationError` as `read` does, and for a part whose service is in a profile that is off.
    """
    whole = read(files, environment)
    if not any(each.get("profiles") for each in whole["services"].values()):
        return whole
    loaded = _merged(files, environment)
    off = whole["services"].keys() - (loaded.get("services") or {})
    for role in SERVICES:
        service = mapped.service(role)
        if service in off and (role not in OPTIONAL or role in mapped.roles):
            profile = whole["services"][service]["profiles"][0]
            message = (
                f"{service}, which plays the part of {role}, is in the profile {profile}, which is off: set "
                f"COMPOSE_PROFILES so that it names it"
            )
            raise ConfigurationError(message)
    return loaded


def _merged(files: Sequence[Path], environment: Path | None, *options: str) -> dict[str, Any]:
    for file in (*files, *([environment] if environment else [])):
        _require_file(file)
    named = ", ".join(map(str, files))
    argv = ["docker", "compose", *(word for file in files for word in ("-f", str(file)))]
    argv += ["--env-file", str(environment)] if environment else []
    try:
        result = command.run([*argv, *options, "config", "--format", "json"], timeout=_TIMEOUT, check=False)
    except CommandError as error:
        message = f"compose cannot be asked about {named}: {error}{'' if shutil.which('docker') else _WITHOUT_DOCKER}"
        raise ConfigurationError(message) from error
    if not result.ok:
        said = " ".join(result.stderr.split()) or "it does not say why"
        message = f"compose cannot read {named}: {said}{_WITHOUT_DOCKER if _NO_PLUGIN.search(said) else ''}"
        raise ConfigurationError(message)
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def _require_file(file: Path) -> None:
    if file == Path():  # as an empty word is, too
        message = "a compose or environment file has no name: is a variable empty? Name a file"
        raise ConfigurationError(message)
    # Not by `Path.is_file()`: from Python 3.14 on it says of what cannot be looked at that it is not there.
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        message = f"there is no file {file}"
    except OSError as error:  # in a folder of somebody else's
        message = f"{file} cannot be looked at: {error.strerror}"
    else:
        if stat.S_ISREG(mode):
            return
        message = f"{file} is a folder: name a file in it" if stat.S_ISDIR(mode) else f"{file} is no ordinary file"
    raise ConfigurationError(message)


def snapshot(configuration: Mapping[str, Any], mapped: RoleMap = DOCUMENTED) -> Snapshot:
    """A configuration as evidence. Secret files that can be read here are looked at, and sealed.

    `mapped` says which parts its services play and how they are told their settings. Raises `ConfigurationError` for a
    service of it that is not there, and for a subnet that is none, of which Compose takes no notice.
    """
    check_subnets(configuration)
    mapped.require_named(configuration.get("services") or {})
    vault = sealing.Vault((), Sealer())
    told = told_by(configuration, mapped)
    engines = _engines(configuration, told)
    described = {
        name: replace(containers.configured(name, configuration, engines[name]), environment=each.environment)
        for name, each in told.items()
    }
    raw = {name: _secret_pieces(name, configuration) for name in described}
    for name, pieces in raw.items():
        for piece, text in told[name].keys.items():
            pieces[piece] = Piece(text=f"{pieces[piece].text}\n{text}".strip())
        vault.learn(pieces, described[name])
    nodes = tuple(
        NodeEvidence(
            service=name,
            name=str(configuration["services"][name].get("container_name") or name),
            role=told[name].role if told[name].role != name else "",
            pieces=vault.seal(raw[name], container.environment)
            | ({"words": Piece(text=json.dumps(told[name].words))} if told[name].words else {})
            | ({"obscure": Piece(text=json.dumps(told[name].obscure))} if told[name].obscure else {})
            | _names(name, configuration, engines[name])
            | _unmounted(name, configuration, container.environment)
            | {"container": told[name].unread or vault.describe(container)},
        )
        for name, container in described.items()
    )
    networks = tuple(
        NetworkEvidence(
            name=containers.placed(name, engine),
            subnets=subnets_of(network),
            project=configuration.get("name"),
            ours=True,
            host=engine,
        )
        for engine in dict.fromkeys(engine for each in engines.values() for engine in each)
        for name, network in (configuration.get("networks") or {}).items()
    )
    return Snapshot(
        layout="configuration",
        project=str(configuration.get("name") or ""),
        taken_at=datetime.now(tz=UTC),
        nodes=nodes,
        networks=networks,
        static=True,
    )


def side(name: str, configuration: Mapping[str, Any], mapped: RoleMap = DOCUMENTED) -> Side:
    """A configuration as one of two that are compared; `name` is what people know it by."""
    return Side(name=name, configuration=configuration, facts=Facts(snapshot(configuration, mapped)))


def _engines(configuration: Mapping[str, Any], told: Mapping[str, Told]) -> dict[str, tuple[str, ...]]:
    """The servers that each service is meant for, by the profile that each server starts; one without a name is all.

    Gateways of which no profile starts two are on servers of their own: what one server calls a network is not the
    network that another one calls so.
    """
    services: Mapping[str, Any] = configuration.get("services") or {}
    gateways = {
        name: frozenset(definition.get("profiles") or ())
        for name, definition in services.items()
        if role_of(told[name].role, told[name].environment) is Role.GATEWAY
    }
    together = any(one & other or not (one and other) for one, other in combinations(gateways.values(), 2))
    if together or len(gateways) < _SEVERAL:
        return dict.fromkeys(services, ("",))
    servers = tuple(min(profiles) for profiles in gateways.values())
    return {name: _own_servers(name, services, servers) for name in services}


def _own_servers(name: str, services: Mapping[str, Any], servers: tuple[str, ...]) -> tuple[str, ...]:
    """A service is where its profile is, or the one whose namespace it shares; all start one without any such."""
    owner = containers.configured(name, {"services": services}).joined
    profiles = services.get(owner or name, services[name]).get("profiles") or ()
    return tuple(server for server in servers if server in profiles) or servers


def _names(service: str, configuration: Mapping[str, Any], engines: Sequence[str]) -> dict[str, Piece]:
    """What a service is called beside its names, which names it was told, and whether others are asked for them."""
    definition = configuration["services"][service]
    networks: Mapping[str, Any] = definition.get("networks") or {}
    known = configuration.get("networks") or {}
    hostname = [str(definition["hostname"])] if "hostname" in definition else []
    aliases = {
        containers.placed(name, engine): [*((each or {}).get("aliases") or []), *hostname]
        for name, each in networks.items()
        for engine in engines
    }
    is_outside = any((known.get(name) or {}).get("external") for name in networks)
    asks = [definition.get(each) for each in ("dns", "dns_search", "external_links")]
    told = [re.split("[:=]", str(each))[0] for each in definition.get("extra_hosts") or []]
    told += [str(each).rpartition(":")[2] for each in definition.get("links") or []]
    is_elsewhere = is_outside or any(asks) or definition.get("network_mode") in ("host", "bridge")
    return {"names": Piece(text=json.dumps({"aliases": aliases, "known": told, "elsewhere": is_elsewhere}))}


def _unmounted(service: str, configuration: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Piece]:
    """The settings that name a file where secrets lie, and none that anything puts there."""
    named = {setting: path for setting, path in environment.items() if path.startswith(f"{mounts.SECRETS}/")}
    found = {setting: path for setting, path in named.items() if not mounts.over(service, configuration, path)}
    return {"unmounted": Piece(text=json.dumps(found))} if found else {}


def _secret_pieces(service: str, configuration: Mapping[str, Any]) -> dict[str, Piece]:
    """The secret files of a service as they lie on this host, under the paths that they are mounted at."""
    listing, contents = [], []
    for entry in configuration["services"][service].get("secrets") or []:
        source = (configuration.get("secrets") or {}).get(entry["source"]) or {}
        file = Path(str(source.get("file") or ""))
        try:
            status = file.stat()
        except OSError:
            continue  # made at deployment, by whoever has it, or in a folder of somebody else's
        if not stat.S_ISREG(status.st_mode):
            continue
        path = str(mounts.secret_target(entry))
        listing.append(f"{path} {status.st_mode & 0o7777:o} {status.st_uid}")
        try:
            contents.append(sealing.packed(path, file.read_bytes()))
        except OSError:
            continue  # somebody else's: its mode can be seen, and that is all
    return {"secret-files": Piece(text="\n".join(listing)), "secret-contents": Piece(text="\n".join(contents))}
