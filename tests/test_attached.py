"""Which containers are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

from harness import attached
from harness.engine import COMPOSE_DEPENDS_ON, COMPOSE_SERVICE, File
from harness.errors import DeploymentError
from harness.keys import KeyPair
from harness.nodes import Node
from harness.wgquick import CONFIGURATION


def node(service: str, name: str, role: str = "") -> Node:
    """A node of which nothing is asked."""
    return Node(cast("Any", None), service, name, role=role, foreign=True)


def test_two_of_one_service_are_told_apart() -> None:
    """Two compose projects may each have a `db`: both are looked at, by their containers' names, as what they are."""
    nodes = [node("db", "shop-db-1", "mariadb"), node("db", "depot-db-1", "redis"), node("web", "shop-web-1")]
    found = attached.told_apart(nodes)
    assert [(each.service, each.name, each.role, each.foreign) for each in found] == [
        ("shop-db-1", "shop-db-1", "mariadb", True),
        ("depot-db-1", "depot-db-1", "redis", True),
        ("web", "shop-web-1", "web", True),
    ]


class FakeEngine:
    """An engine with the containers of one project, and the files that it hands out of them."""

    name = ""

    def __init__(self, *containers: Any, files: Mapping[str, str] = MappingProxyType({})) -> None:
        self._containers = list(containers)
        self._files = files

    def services(self, _project: str) -> list[Any]:
        """The project's containers."""
        return self._containers

    def file(self, container: str, path: str) -> File:
        """A file."""
        if f"{container}:{path}" not in self._files:
            message = f"{path} is not there"
            raise DeploymentError(message)
        return File(content=self._files[f"{container}:{path}"].encode(), mode=0o600, owner=0)


def container(service: str, *mounts: str, status: str = "running", exit_code: int = 0, waits: str = "") -> Any:
    """A container of a compose project."""
    labels = {COMPOSE_SERVICE: service} | ({COMPOSE_DEPENDS_ON: waits} if waits else {})
    state = {"Status": status, "ExitCode": exit_code}
    attrs = {"State": state, "Mounts": [{"Destination": each} for each in mounts]}
    return SimpleNamespace(name=service, labels=labels, attrs=attrs)


def found(engine: FakeEngine) -> dict[str, str | None]:
    """The services that are looked at, each with where its `wg0.conf` is."""
    nodes = attached.named(cast("Any", engine), ["shop"]).nodes
    return {each.service: each.dialect.configuration for each in nodes}


def test_a_gateway_of_wg_quick_is_known_by_its_mount() -> None:
    """In wg-quick's own folder, and in that of the image that most people take; the folder alone says nothing."""
    packed = "/config/wg_confs/wg0.conf"
    engine = FakeEngine(
        container("file", "/etc/wireguard/wg0.conf"),
        container("folder", "/etc/wireguard"),
        container("packed", "/config"),
        container("other", "/config"),
        container("bare"),
        files={f"packed:{packed}": "[Interface]\n"},
    )
    own = "/etc/wireguard/wg0.conf"
    assert found(engine) == {"file": own, "folder": own, "packed": packed, "other": None, "bare": None}


def test_gateways_know_each_other() -> None:
    """Of several peers in one's file the one that is looked at besides is meant; the twin: alone it knows nobody."""
    pairs = {name: KeyPair.generate() for name in ("shop", "depot", "notebook")}
    peers = "".join(f"[Peer]\nPublicKey = {pairs[name].public}\n" for name in ("notebook", "shop"))
    gateways = [container(name, CONFIGURATION) for name in ("depot", "shop")]
    files = {
        f"{name}:{CONFIGURATION}": f"[Interface]\nPrivateKey = {pairs[name].private}\n{said}"
        for name, said in {"depot": peers, "shop": ""}.items()
    }
    for present, peer in ((gateways, pairs["shop"].public), (gateways[:1], None)):
        engine = cast("Any", FakeEngine(*present, files=files))
        depot = next(node for node in attached.named(engine, ["shop"]).nodes if node.service == "depot")
        told = depot.dialect.quick(depot.file)
        assert (told.settings["WG_PEER_PUBLIC_KEY"] if told else None) == peer


def test_only_a_job_that_has_succeeded_is_passed_over() -> None:
    """One that failed, one that still runs and one for which nobody waited are looked at."""
    waits = "db:service_healthy:false,done:service_completed_successfully:false,failed:service_completed_successfully"
    engine = FakeEngine(
        container("app", waits=f"{waits},running:service_completed_successfully:false"),
        container("db"),
        container("done", status="exited"),
        container("failed", status="exited", exit_code=1),
        container("running"),
        container("stopped", status="exited"),
    )
    assert set(found(engine)) == {"app", "db", "failed", "running", "stopped"}
