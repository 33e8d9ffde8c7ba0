"""What the role's modules decide on a server, from what its `docker` answers; here a table answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .test_ansible import ansible as ansible  # noqa: PLC0414 (a fixture)
from .test_ansible import load

SERVICES: dict[str, dict[str, Any]] = {
    "wireguard-web": {"image": "gateway:1"},
    "web": {"image": "app:1", "network_mode": "service:wireguard-web", "secrets": [{"source": "db_password"}]},
    "nginx": {"image": "nginx:1"},
}
IMAGES = {"gateway:1": "sha256:g", "app:1": "sha256:a", "nginx:1": "sha256:n"}


class Server:
    """An Ansible module's view of a server: the directory of the site, and a `docker` that answers from tables."""

    def __init__(self, directory: Path) -> None:
        self.params: dict[str, Any] = {"directory": str(directory)}
        self.services = {name: dict(service) for name, service in SERVICES.items()}
        self.secrets = {"db_password": {"file": f"{directory}/secrets/db_password"}}
        self.images = dict(IMAGES)
        self.containers = [container(name, self.images[service["image"]]) for name, service in self.services.items()]
        self.check_mode = False
        self.without: set[str] = set()
        self.versions = ("28.0.4", "2.26.1")
        self.interface = ""
        self.asked: list[tuple[str, ...]] = []

    def get_bin_path(self, name: str) -> str | None:
        """As if the program were there, but for one that has yet to be installed."""
        return None if name in self.without else f"/usr/bin/{name}"

    def run_command(self, argv: list[str], **_options: object) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        self.asked.append(tuple(argv[1:]))
        match argv[1:]:
            case ["version", *_]:
                answer = self.versions[0]
            case ["compose", "version", *_]:
                answer = self.versions[1]
            case ["compose", *words, "config", "--format", "json"]:
                answer = json.dumps({"services": self.of_profiles(words), "secrets": self.secrets})
            case ["compose", *words, "config", "--hash", "*"]:
                answer = "".join(f"{name} hash-{name}\n" for name in self.of_profiles(words))
            case ["compose", *words] if "up" in words:
                answer = "up\n"
            case ["ps", *_]:
                answer = "\n".join(each["Id"] for each in self.containers)
            case ["inspect", *_]:
                answer = json.dumps(self.containers)
            case ["image", "inspect", *_, name]:
                answer = self.images.get(name, "")
            case ["exec", *_, "wg", "show", "wg0", "dump"]:
                answer = self.interface
            case _:
                raise AssertionError(argv)
        return (0, answer, "") if answer else (1, "", "no answer")

    def of_profiles(self, words: list[str]) -> dict[str, dict[str, Any]]:
        """The services that Compose sees with these words: those of every profile that is among them."""
        return {
            name: service
            for name, service in self.services.items()
            if not service.get("profiles") or set(service["profiles"]) & set(words)
        }


def container(service: str, image: str) -> dict[str, Any]:
    """A running container of a service, as `docker inspect` shows it."""
    return {
        "Id": f"id-{service}",
        "Name": f"/{service}",
        "Image": image,
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "State": {
            "Running": True,
            "Status": "running",
            "Health": {"Status": "healthy"},
            "StartedAt": "2026-11-24T06:23:23.5Z",
        },
    }


@pytest.fixture
def site_modules(ansible: None, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ARG001
    """Loads a module of ansible/library; Ansible's own half of one, its arguments and answers, is not here."""
    basic = ModuleType("ansible.module_utils.basic")
    basic.AnsibleModule = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, basic.__name__, basic)
    return lambda name: load(f"library/{name}.py")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db_password").write_text("one\n", encoding="ascii")
    (tmp_path / "docker-compose.prod.yml").write_text("{}\n", encoding="ascii")
    return Server(tmp_path)


@pytest.fixture
def deployed(site_modules: Any, server: Server) -> Any:
    """`site_up` on a server whose books say that everything was deployed as it is."""
    up = site_modules("site_up")
    site = up.SiteFiles(server.params["directory"])
    site.write_applied(up.record(docker_of(up, server), "then", site, ["secrets/db_password"]))
    return up


def docker_of(module: Any, server: Server) -> Any:
    return module.Docker(server, server.params["directory"], ["web"])


def differing(up: Any, server: Server, changed: list[str] | None = None) -> dict[str, str]:
    found: dict[str, str] = up.predict(
        docker_of(up, server), up.SiteFiles(server.params["directory"]), list(changed or [])
    )
    return found


# --- what differs --------------------------------------------------------------------------------


def test_what_is_as_it_was_deployed_is_left_alone(deployed: Any, server: Server) -> None:
    """Nothing is to be done where each container is the recorded one and has what it was made with."""
    assert differing(deployed, server) == {}


def test_a_changed_secret_names_the_one_service_that_has_it(deployed: Any, server: Server) -> None:
    """Its container saw another file; in check mode it is enough that the file would change."""
    assert differing(deployed, server, ["secrets/db_password"]) == {"web": "files"}
    Path(server.params["directory"], "secrets", "db_password").write_text("two\n", encoding="ascii")
    assert differing(deployed, server) == {"web": "files"}


def test_an_image_of_the_same_name_is_another_image(deployed: Any, server: Server) -> None:
    """The gateway's image was replaced under its name: web, which lives in its namespace, follows it."""
    server.images["gateway:1"] = "sha256:other"
    assert differing(deployed, server) == {"wireguard-web": "image", "web": "follows wireguard-web"}


def test_a_container_that_nobody_deployed_is_made_anew(deployed: Any, server: Server) -> None:
    """Another container of the service, one that is stopped and one that is gone are each told apart."""
    gateway, web, nginx = server.containers
    nginx["Id"] = "id-by-hand"
    web["State"]["Running"] = False
    assert differing(deployed, server) == {"nginx": "not made by a deployment that succeeded", "web": "stopped"}
    server.containers.remove(gateway)
    assert differing(deployed, server)["wireguard-web"] == "missing"
    assert differing(deployed, server)["web"] == "follows wireguard-web"


@pytest.mark.parametrize(
    ("gateway", "web", "left_behind"),
    [
        ("2026-11-24T06:23:24.1Z", "2026-11-24T06:23:23.9Z", True),
        ("2026-11-24T06:23:23.65Z", "2026-11-24T06:23:23.6Z", True),
        ("2026-11-24T06:23:23.6Z", "2026-11-24T06:23:23.65Z", False),
        ("2026-11-24T06:23:24Z", "2026-11-24T06:23:24.000000001Z", False),
    ],
)
def test_who_is_in_the_namespace_that_a_gateway_had_before_is_made_anew(
    deployed: Any, server: Server, gateway: str, web: str, *, left_behind: bool
) -> None:
    """A gateway that is started again has a new namespace; web runs on in the old one, where there is no tunnel."""
    server.containers[0]["State"]["StartedAt"], server.containers[1]["State"]["StartedAt"] = gateway, web
    assert differing(deployed, server) == ({"web": "left behind by wireguard-web"} if left_behind else {})


def test_what_follows_a_missing_gateway_is_made_with_it(deployed: Any, server: Server) -> None:
    """Web cannot be made in the namespace of a gateway that is not there yet: both are named to Compose at once."""
    server.containers.remove(server.containers[0])
    docker = docker_of(deployed, server)
    deployed.start(docker, deployed.reasons(docker, deployed.SiteFiles(server.params["directory"])))
    forced = next(words for words in server.asked if "--force-recreate" in words)
    assert set(forced[forced.index("--force-recreate") + 1 :]) == {"wireguard-web", "web"}


def test_what_was_run_once_is_no_service(deployed: Any, server: Server) -> None:
    """A container of `docker compose run` has the service's name, and is not it, whichever is older."""
    once = container("nginx", "sha256:n") | {"Id": "id-once", "Name": "/wireguard-prod-nginx-run-0123456789ab"}
    once["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    server.containers.append(once)
    assert docker_of(deployed, server).containers()["nginx"]["Id"] == "id-nginx"
    assert differing(deployed, server) == {}


def test_half_made_containers_are_no_containers(deployed: Any, server: Server) -> None:
    """What Compose left when it was cut off is not taken for the service, and is known for removal."""
    server.containers.append(container("nginx", "sha256:n") | {"Id": "id-left", "Name": "/0123456789ab_nginx"})
    docker = docker_of(deployed, server)
    assert docker.containers()["nginx"]["Id"] == "id-nginx"
    assert docker.half_made == ["id-left"]


def test_nothing_installed_means_that_all_is_missing(deployed: Any, server: Server) -> None:
    """On an empty server check mode cannot ask Compose, and says that everything would be made."""
    Path(server.params["directory"], "docker-compose.prod.yml").unlink()
    assert differing(deployed, server) == {"all": "missing"}


def test_compose_is_asked_once_and_not_at_every_look(deployed: Any, server: Server) -> None:
    """While a start is waited for, only containers are looked at again: to ask Compose costs a tenth of a second."""
    docker = docker_of(deployed, server)
    server.containers[1]["State"]["Health"]["Status"] = "starting"
    server.asked.clear()
    assert deployed.await_ready(docker, [], 0.7) == {"web": "starting"}
    assert len([words for words in server.asked if words[0] == "compose"]) == 1
    assert len([words for words in server.asked if words[0] == "ps"]) > 1
    assert deployed.await_ready(docker, ["web"], 0) == {}


# --- who is refused ------------------------------------------------------------------------------


@pytest.fixture
def survey(site_modules: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = site_modules("site_survey")
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    return module


def test_a_server_with_its_own_profile_is_fit(survey: Any, server: Server) -> None:
    """Containers of the same profile are no obstacle, and none is changed by looking."""
    survey.refuse_unless_fit(docker_of(survey, server), "web", ["redis"])
    assert {words[0] for words in server.asked} <= {"version", "compose", "ps", "inspect"}


def test_a_server_of_the_other_profile_is_refused(survey: Any, server: Server) -> None:
    """What is there is named, and how it would be taken away."""
    with pytest.raises(
        survey.SiteError, match=r"\(nginx, web\).*services does not belong here.*docker rm -f nginx web"
    ):
        survey.refuse_unless_fit(docker_of(survey, server), "services", ["nginx", "web"])


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (("", "2.26.1"), "systemctl start docker"),
        (("24.0.9", "2.26.1"), r"engine is 24\.0\.9.*install Docker Engine 25"),
        (("28.0.4", "2.19.9"), r"Compose is 2\.19\.9.*install"),
    ],
    ids=["no engine", "an old engine", "an old Compose"],
)
def test_a_server_that_cannot_run_it_is_refused(
    survey: Any, server: Server, versions: tuple[str, str], words: str
) -> None:
    """An engine that is silent and a Compose that is too old are each said with what to do."""
    server.versions = versions
    with pytest.raises(survey.SiteError, match=words):
        survey.refuse_unless_fit(docker_of(survey, server), "web", [])


def test_who_is_not_root_is_told_so(survey: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked."""
    monkeypatch.setattr(survey.os, "geteuid", lambda: 1000)
    with pytest.raises(survey.SiteError, match="ansible_become"):
        survey.survey(docker_of(survey, server), options())
    assert server.asked == []


def test_a_server_without_docker_is_refused(survey: Any, server: Server) -> None:
    """Where nobody is going to install it, and where that has been done."""
    server.without = {"docker", "dockerd"}
    with pytest.raises(survey.SiteError, match="no docker command here: install"):
        survey.survey(docker_of(survey, server), options())


def test_a_server_to_which_docker_comes_is_told_apart(survey: Any, server: Server) -> None:
    """Nothing can be said of it yet, and nothing is wrong; a client without engine and Compose is no Docker either."""
    server.without = {"docker", "dockerd"}
    found = survey.survey(docker_of(survey, server), options(docker_comes=True))
    assert found == {"missing_images": [], "docker_missing": True}
    server.without, server.versions = {"dockerd"}, ("", "")
    found = survey.survey(docker_of(survey, server), options(docker_comes=True))
    assert found == {"missing_images": [], "docker_missing": True}
    server.without, server.versions = set(), ("28.0.4", "2.26.1")
    found = survey.survey(docker_of(survey, server), options(docker_comes=True))
    assert found == {"missing_images": ["app:9"], "docker_missing": False}


@pytest.mark.parametrize("docker_comes", [True, False])
def test_an_engine_without_compose_is_not_replaced(survey: Any, server: Server, *, docker_comes: bool) -> None:
    """Debian's packages would take the place of whatever engine is there: what is lacking is said, and where it is."""
    server.versions = ("28.0.4", "")
    refusal = "engine here has no Compose: .*docker-compose-plugin beside Docker's own docker-ce.*install_docker leaves"
    for without in (set(), {"dockerd"}):  # an engine that answers counts, wherever its program is
        server.without = without
        with pytest.raises(survey.SiteError, match=refusal):
            survey.survey(docker_of(survey, server), options(docker_comes=docker_comes))
    server.without, server.versions = set(), ("", "")
    with pytest.raises(survey.SiteError, match="systemctl start docker"):
        survey.survey(docker_of(survey, server), options(docker_comes=docker_comes))


def options(*, docker_comes: bool = False) -> dict[str, Any]:
    """As the role gives them for web, an image of which has yet to come."""
    return {
        "profile": "web",
        "foreign_services": ["redis"],
        "images": ["gateway:1", "app:9"],
        "images_from": "registry",
        "docker_comes": docker_comes,
    }


# --- going back ----------------------------------------------------------------------------------


@pytest.fixture
def changed(deployed: Any, site_modules: Any, server: Server) -> Any:
    """`site_previous` on a server that has had one change since."""
    site = deployed.SiteFiles(server.params["directory"])
    site.keep_previous("the change")
    return site_modules("site_previous")


def test_what_it_would_go_back_to_is_known(changed: Any, server: Server) -> None:
    """The last change's name, when the state before it was applied, what ran, and which images are others by now."""
    known = {"changed_by": "the change", "applied_at": "then", "profiles": ["web"], "replaced_images": []}
    assert changed.look(server) == known
    server.images["nginx:1"] = "sha256:other"
    assert changed.look(server)["replaced_images"] == ["nginx:1"]


def test_it_does_not_go_back_to_an_image_that_is_gone(changed: Any, server: Server) -> None:
    """Said before anything is changed."""
    del server.images["nginx:1"]
    with pytest.raises(changed.SiteError, match=r"gone from here: nginx:1\. Load them first"):
        changed.look(server)


def test_without_a_change_there_is_nothing_to_go_back_to(site_modules: Any, deployed: Any, server: Server) -> None:
    """The first deployment has nothing before it."""
    assert deployed
    assert site_modules("site_previous").look(server)["changed_by"] == ""


# --- files ---------------------------------------------------------------------------------------


def test_files_end_with_a_line_and_secrets_are_not_shown(site_modules: Any, server: Server) -> None:
    """--diff has whole texts of what is no secret; every file ends with one line's end, whatever the vault has."""
    module = site_modules("site_files")
    plain = {"path": ".env", "mode": "600", "content": "A=1\n\n"}
    secret = {"path": "secrets/db_password", "mode": "600", "owner": 999, "content": "two"}
    server.params |= {"files": [plain], "secrets": [secret]}
    files = module.wanted_files(server)
    assert [(file.path, file.content, file.mode, file.owner) for file in files] == [
        (".env", b"A=1\n", 0o600, 0),
        ("secrets/db_password", b"two\n", 0o600, 999),
    ]
    shown = module.differences(module.SiteFiles(server.params["directory"]), files, {".env"})
    assert [(entry["before"], entry["after"]) for entry in shown] == [("", "A=1\n")]
