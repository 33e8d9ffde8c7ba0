"""`deploy.yml` on two ordinary Debian servers over SSH, as docs/deploy-steps.md has it, from bare to rebooted.

They are virtual machines with systemd, the kernel's own WireGuard, and MariaDB from Debian's package. The tests are one
story, in this order: what one has deployed the next one breaks.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import command, images, places, playbooks
from harness.certificates import Authority, Certificate
from harness.credentials import Credentials
from harness.engine import Engine
from harness.keys import KeySet
from harness.model import CommandResult
from harness.playbooks import Play
from harness.waiting import wait_until

from . import disk, virtual
from .virtual import VirtualServer

pytestmark = pytest.mark.timeout(5400)

SITE = "www.example.org"
DEPLOYMENT = virtual.budget(240, "Docker is installed, four images are loaded, and the database is migrated")
HANDSHAKE = virtual.budget(5, "what the playbook itself allows; a handshake takes milliseconds")
LOOK = virtual.budget(30, "a look at two servers over SSH takes seconds")
RETURN = virtual.budget(90, "after a boot the engine starts its containers, and web begins a handshake")
FORWARD = "PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination {database}:3306"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The two servers, and the operator's machine: an inventory, and a way to reach them."""

    servers: Mapping[str, VirtualServer]
    inventory: Path
    environment: Mapping[str, str]
    credentials: Credentials
    certificate: Certificate

    def play(self, playbook: str, *arguments: str, check: bool = True) -> Play:
        """Run a playbook on both servers."""
        return playbooks.play_on(
            self.inventory, playbook, *arguments, timeout=DEPLOYMENT.seconds, check=check, say=print
        )

    def doctor(self) -> CommandResult:
        """What the doctor says of both servers' engines."""
        engines = [word for name in self.servers for word in ("--engine", f"ssh://root@{name}")]
        argv = [sys.executable, "-m", "harness", "doctor", *engines]
        return command.run(argv, timeout=LOOK.seconds, cwd=places.ROOT, env=self.environment, check=False)

    def health(self) -> str:
        """The status with which the site answers on the web server's public port; 000 where it does not."""
        ask = f"curl -sk -o /dev/null -w '%{{http_code}}' -m 20 --resolve {SITE}:443:127.0.0.1 https://{SITE}/health/"
        return self.servers["web"].run(ask, check=False).stdout.strip()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, VirtualServer]]:
    """Both servers, bare but for MariaDB."""
    with virtual.booted(disk.make(), tmp_path_factory.mktemp("machines")) as found:
        yield found


@pytest.fixture(scope="module")
def site(servers: Mapping[str, VirtualServer], engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An inventory of the servers with its vault, the images in an archive, and the database; nothing is deployed."""
    images.ensure(engine, "prod", print)
    folder = tmp_path_factory.mktemp("operator")
    credentials, certificate = Credentials.generate(), Authority().issue(SITE)
    playbooks.begin(folder / "inventory", credentials, certificate)
    chosen = {f"{name}_image": images.chosen()[f"{name.upper()}_IMAGE"] for name in _IMAGES}
    archive = folder / "images.tar"
    command.run(["docker", "save", "--output", str(archive), *sorted(set(chosen.values()))], timeout=300)
    settings = {
        "ansible_user": "root",
        "ansible_ssh_common_args": f"-F {servers['web'].settings}",
        "install_docker": True,
        "images_from": "archive",
        "images_archive": str(archive),
        "services_address": virtual.UNDERLAY["services"],
        "database_host": virtual.UNDERLAY["services"],
        "server_name": SITE,
        "start_budget": int(DEPLOYMENT.seconds),
        "health_budget": int(DEPLOYMENT.seconds),
        "rotation_budget": int(HANDSHAKE.seconds),
        **chosen,
    }
    playbooks.list_hosts(folder / "inventory", {name: {"ansible_host": name} | settings for name in servers})
    servers["services"].run(_database(credentials.db_password), timeout=LOOK.seconds)
    return Site(
        servers=servers,
        inventory=folder / "inventory",
        environment=virtual.environment(servers["web"], folder),
        credentials=credentials,
        certificate=certificate,
    )


_IMAGES = ("wireguard", "nginx", "redis", "web", "services")


def _database(password: str) -> str:
    statements = (
        "CREATE DATABASE app CHARACTER SET utf8mb4; "
        f"CREATE USER app@'%' IDENTIFIED BY '{password}'; GRANT ALL ON app.* TO app@'%'"
    )
    return f"systemctl start mariadb && systemctl enable mariadb && mariadb --execute={shlex.quote(statements)}"


def test_a_check_of_bare_servers_goes_as_far_as_it_can_see(site: Site) -> None:
    """Inventory and vault are judged; it says that it sees no further before Docker is there; nothing changes."""
    played = site.play("deploy.yml", "--check")
    assert "web has no Docker yet" in played.said, played.said
    assert "services has no Docker yet" in played.said, played.said
    for server in site.servers.values():
        assert not server.run("command -v docker", check=False).ok
        assert not server.run("test -e /opt/site", check=False).ok


def test_bare_servers_are_deployed(site: Site) -> None:
    """Docker comes from Debian's packages, the images from the archive; the site is well, on the kernel's WireGuard."""
    site.play("deploy.yml")
    assert site.health() == "200"
    for name, server in site.servers.items():
        link = server.run(f"docker exec wireguard-{name} ip -details -json link show wg0").stdout
        assert '"info_kind":"wireguard"' in link.replace(" ", ""), link
        assert not server.run("ls /var/tmp/site-images.tar", check=False).ok


def test_a_second_deployment_changes_nothing(site: Site) -> None:
    """Nothing is installed, copied or started anew."""
    before = _started(site)
    assert site.play("deploy.yml").changed == 0
    assert _started(site) == before


def test_the_doctor_calls_it_healthy(site: Site) -> None:
    """Looked at over SSH from the operator's machine, whose engine has nothing to do with it."""
    found = site.doctor()
    assert (found.exit_status, found.stdout.splitlines()[0]) == (0, "healthy"), found.stdout + found.stderr


def test_what_the_doctor_prescribes_mends_it(site: Site) -> None:
    """Typed on the server that it names, word for word, with Compose called as it says."""
    rule = FORWARD.format(database=virtual.UNDERLAY["services"])
    services = site.servers["services"]
    services.run(f"docker exec wireguard-services iptables -t nat -D {rule}")
    said = site.doctor().stdout
    assert said.startswith("faulty: forward-rule-missing\n"), said
    remedy = re.search(r"remedy +on the server services: .*, then: (docker compose [^\n]*)", said)
    called = re.search(r"where +docker compose is (docker compose [^\n]*)", said)
    assert remedy is not None, said
    assert called is not None, said
    services.run(remedy[1].replace("docker compose", called[1], 1))
    assert wait_until("the doctor's word", site.doctor, lambda found: found.ok, RETURN).stdout.startswith("healthy")


def test_keys_are_rotated(site: Site) -> None:
    """New keys from the vault, on both ends, proved by traffic; the verification finds them everywhere."""
    fresh = replace(site.credentials, keys=KeySet.generate())
    playbooks.begin(site.inventory, fresh, site.certificate)
    assert not site.play("verify-wireguard-keys.yml", check=False).ok
    assert "Both ends have the new keys" in site.play("rotate-keys.yml").said
    assert site.play("verify-wireguard-keys.yml").ok


def test_everything_returns_after_a_reboot_of_both(site: Site) -> None:
    """As a power cut is survived: nobody touches anything, and the site is well again."""
    ended = {server: server.reboot() for server in site.servers.values()}
    for server, boot in ended.items():
        server.wait_for_boot(other_than=boot)
    wait_until("the site's health", site.health, lambda status: status == "200", RETURN)
    found = wait_until("the doctor's word", site.doctor, lambda found: found.ok, RETURN)
    assert found.stdout.startswith("healthy"), found.stdout
    for server in site.servers.values():
        assert not server.run("systemctl --failed --no-legend").stdout.strip()


def _started(site: Site) -> dict[str, str]:
    ask = "docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps --quiet)"
    return {name: server.run(ask).stdout for name, server in site.servers.items()}
