"""What the role's modules remember of a server: what runs there goes by it, whatever has happened in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.keys import KeySet, write

from .test_ansible import ansible as ansible  # noqa: PLC0414 (a fixture)
from .test_ansible_modules import Server, container, docker_of
from .test_ansible_modules import deployed as deployed  # noqa: PLC0414
from .test_ansible_modules import server as server  # noqa: PLC0414
from .test_ansible_modules import site_modules as site_modules  # noqa: PLC0414

FOLLOWS = "follows wireguard-web"
EXPORTER = {"image": "exporter:1", "network_mode": "service:wireguard-web", "profiles": ["monitoring"]}
PLAIN = {"profiles": ["web"], "files": ["secrets/db_password"], "without_health": [], "budget": 5, "rolled_back": False}
KEY_FILES = {"web_private_key": "web-private.key", "services_public_key": "services-public.key"}


def reasons(up: Any, server: Server, *profiles: str) -> dict[str, str]:
    """What the next deployment would do, by these profiles."""
    docker = up.Docker(server, server.params["directory"], list(profiles))
    found: dict[str, str] = up.reasons(docker, up.SiteFiles(server.params["directory"]))
    return found


# --- new keys ------------------------------------------------------------------------------------


@pytest.fixture
def keys(server: Server) -> KeySet:
    """Keys that the gateway of the server has as files, and the profile `monitoring`, which is not deployed there."""
    old, folder = KeySet.generate(), Path(server.params["directory"], "secrets")
    write(folder, old)
    (folder / "services-private.key").unlink()
    server.secrets |= {name: {"file": f"{folder}/{file}"} for name, file in KEY_FILES.items()}
    server.services["wireguard-web"]["secrets"] = [{"source": name} for name in KEY_FILES]
    server.services["exporter-web"] = EXPORTER
    return old


@pytest.fixture
def rotated(keys: KeySet, site_modules: Any, deployed: Any, server: Server) -> Any:
    """`site_switch_keys` on a deployed server, whose running interface has been given new keys."""
    files = [f"secrets/{file}" for file in (*KEY_FILES.values(), "web-public.key", "preshared.key")]
    site = deployed.SiteFiles(server.params["directory"])
    site.write_applied(deployed.record(docker_of(deployed, server), "then", site, ["secrets/db_password", *files]))
    new = KeySet.generate()
    assert new != keys
    server.interface = f"{new.web.private}\t{new.web.public}\n{new.services.public}\t{new.preshared}\t-\t-\t1\n"
    server.params |= {
        "step": "keep",
        "change": "the rotation",
        "profiles": ["web", "monitoring"],
        "side": "web",
        "private_key": new.web.private,
        "public_key": new.web.public,
        "peer_public_key": new.services.public,
        "preshared_key": new.preshared,
    }
    return site_modules("site_switch_keys")


def test_new_keys_leave_a_deployment_nothing_to_do(rotated: Any, deployed: Any, server: Server) -> None:
    """But for a profile that the inventory has and that was never deployed: its services are missing as before."""
    assert rotated.perform(server) == {"changed": True}
    site = deployed.SiteFiles(server.params["directory"])
    assert site.is_applied()
    assert site.applied()["profiles"] == ["web"]
    assert reasons(deployed, server, "web") == {}
    assert reasons(deployed, server, "web", "monitoring") == {"exporter-web": "missing"}
    assert rotated.perform(server) == {"changed": False}


def test_new_keys_are_kept_where_a_container_was_removed(rotated: Any, deployed: Any, server: Server) -> None:
    """A deployment makes it again, and no other; nor do new keys vouch for a container that somebody has made."""
    _, web, nginx = server.containers
    server.containers.remove(web)
    nginx["Id"] = "id-by-hand"
    rotated.perform(server)
    found = reasons(deployed, server, "web")
    assert found == {"web": "missing", "nginx": "not made by a deployment that succeeded"}


@pytest.mark.parametrize("written", [0, 1, 3])
def test_keys_that_could_not_all_be_written_are_finished_by_the_next_run(
    rotated: Any, deployed: Any, server: Server, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """However many files had the new keys by then: in the end files and record agree, and nothing is made anew."""
    whole, left = rotated.SiteFiles.overwrite, iter(range(written))

    def overwrite(site: Any, file: Any) -> None:
        if next(left, None) is None:
            raise OSError(30, "Read-only file system", file.path)
        whole(site, file)

    with monkeypatch.context() as patch:
        patch.setattr(rotated.SiteFiles, "overwrite", overwrite)
        with pytest.raises(OSError, match="Read-only"):
            rotated.perform(server)
    assert reasons(deployed, server, "web") == ({"wireguard-web": "files", "web": FOLLOWS} if written else {})
    assert rotated.perform(server) == {"changed": True}
    assert deployed.SiteFiles(server.params["directory"]).is_applied()
    assert reasons(deployed, server, "web") == {}


def test_keys_that_a_record_has_not_are_finished_too(rotated: Any, deployed: Any, server: Server) -> None:
    """The run ended after the last of the files; what another file's deployment has left undone is not called done."""
    site = deployed.SiteFiles(server.params["directory"])
    before = site.applied()
    rotated.perform(server)
    site.write_applied(before)
    assert rotated.perform(server) == {"changed": True}
    assert site.is_applied()
    site.write_applied(before | {"files": before["files"] | {"secrets/db_password": "another"}})
    assert rotated.perform(server) == {"changed": False}
    assert not site.is_applied()


def test_what_cannot_be_asked_leaves_the_keys_as_they_were(
    rotated: Any, deployed: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has to be asked of Compose is asked before the first file is written."""

    def refused(_docker: Any) -> None:
        raise rotated.SiteError("Compose refuses the installed files")

    monkeypatch.setattr(rotated.Docker, "services", refused)
    with pytest.raises(rotated.SiteError, match="Compose refuses"):
        rotated.perform(server)
    assert deployed.SiteFiles(server.params["directory"]).is_applied()


# --- what is remembered of a success -------------------------------------------------------------


def test_a_service_without_a_container_is_not_recorded(deployed: Any, server: Server) -> None:
    """Neither itself nor its image, which a rollback would miss."""
    server.services["exporter-web"] = EXPORTER
    site = deployed.SiteFiles(server.params["directory"])
    docker = deployed.Docker(server, server.params["directory"], ["web", "monitoring"])
    made = deployed.record(docker, "now", site, [])
    assert set(made["containers"]) == {"wireguard-web", "web", "nginx"}
    assert set(made["images"]) == {"gateway:1", "app:1", "nginx:1"}


def test_a_profile_that_is_switched_off_is_forgotten(deployed: Any, server: Server) -> None:
    """Nothing is started for that, and no later rollback starts it again or asks for its image."""
    server.services["exporter-web"] = EXPORTER
    server.images["exporter:1"] = "sha256:e"
    server.containers.append(container("exporter-web", "sha256:e"))
    server.params |= PLAIN | {"profiles": ["web", "monitoring"]}
    deployed.perform(server)
    site = deployed.SiteFiles(server.params["directory"])
    assert "exporter:1" in site.applied()["images"]

    server.params["profiles"] = ["web"]
    assert deployed.perform(server) == {"changed": False, "services": {}}
    assert site.applied()["profiles"] == ["web"]
    assert "exporter:1" not in site.applied()["images"]
    site.keep_previous("a later change")
    assert site.manifest()["profiles"] == ["web"]


def test_a_deployment_that_changes_nothing_leaves_the_record_alone(deployed: Any, server: Server) -> None:
    """Whoever goes back to what runs is told when that was applied."""
    server.params |= PLAIN
    assert deployed.perform(server) == {"changed": False, "services": {}}
    assert deployed.SiteFiles(server.params["directory"]).applied()["applied_at"] == "then"


# --- files of a deployment that failed -----------------------------------------------------------


@pytest.fixture
def failed(deployed: Any, site_modules: Any, server: Server) -> Any:
    """`site_files` on a server to which a deployment has added a secret, and then did not start."""
    assert deployed
    Path(server.params["directory"], "secrets", "db_password").chmod(0o600)
    module = site_modules("site_files")
    server.params |= {"files": [], "boot_unit": None, "state": "present"}
    install(module, server, "db_password", "new")
    return module


def install(module: Any, server: Server, *names: str) -> list[str]:
    """Install these secrets and no others; returns which files are new, changed or removed."""
    entries = [{"path": f"secrets/{name}", "mode": "600", "content": "one", "owner": 0} for name in names]
    server.params |= {"change": " ".join(names), "secrets": entries}
    found: list[str] = module.perform(server)["files"]
    return found


def secrets(server: Server) -> list[str]:
    """The secrets that lie there."""
    return sorted(path.name for path in Path(server.params["directory"], "secrets").iterdir())


def test_a_rollback_removes_what_a_failed_deployment_has_added(failed: Any, server: Server) -> None:
    """It was no part of anything that worked, so that neither the record nor the previous state knows it."""
    assert secrets(server) == ["db_password", "new"]
    server.params |= {"state": "previous", "secrets": []}
    assert failed.perform(server)["files"] == ["secrets/new"]
    assert secrets(server) == ["db_password"]


def test_the_next_deployment_removes_what_a_failed_one_has_added(failed: Any, server: Server) -> None:
    """Once: a file that somebody puts there afterwards is his own, and so is one that never was the deployment's."""
    own = Path(server.params["directory"], "secrets", "own")
    own.touch()
    assert install(failed, server, "db_password") == ["secrets/new"]
    own.with_name("new").touch()
    assert install(failed, server, "db_password", "more") == ["secrets/more"]
    assert secrets(server) == ["db_password", "more", "new", "own"]


def test_what_was_cut_off_while_it_installed_is_removed_too(
    failed: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is going to lie there is known before the first of it does."""
    replace = failed.SiteFiles.replace

    def cut_off(site: Any, file: Any) -> None:
        if file.path == "secrets/last":
            raise KeyboardInterrupt
        replace(site, file)

    with monkeypatch.context() as patch:
        patch.setattr(failed.SiteFiles, "replace", cut_off)
        with pytest.raises(KeyboardInterrupt):
            install(failed, server, "db_password", "first", "last")
    assert secrets(server) == ["db_password", "first"]
    assert install(failed, server, "db_password") == ["secrets/first"]
