"""Production is deployed, checked, given new keys and taken back by its playbooks, as an operator runs them."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from harness import clients, keys, playbooks, provision, traffic
from harness.budgets import FORWARDING, ROTATION, SETTLE
from harness.experiment import Experiment
from harness.model import Outcome
from harness.nodes import container_state
from harness.pages import get
from harness.probes.mariadb import MariaDBQuery
from harness.production import Production
from harness.servers import SITE

pytestmark = [pytest.mark.layouts("prod"), pytest.mark.playbooks]
THOROUGH = pytest.mark.thorough

STOP_GRACE = 5  # seconds, as in the compose file
ANOTHER_PASSWORD = "another-password-of-flower"  # noqa: S105 (made up)


@pytest.fixture
def production(production: Production) -> Production:
    """The deployment as its playbook has made it."""
    provision.settle(production)
    return production


# --- deploying -------------------------------------------------------------------------------------


@pytest.mark.parametrize("connection", [pytest.param("docker", marks=THOROUGH), "ssh"])
def test_deploying_again_changes_nothing(production: Production, connection: str) -> None:
    """The same deployment once more, also over SSH: no task changes anything, nothing restarts, no query fails."""
    before = started(production)
    with ExitStack() as undo:
        if connection == "ssh":
            if shutil.which("ssh") is None:
                pytest.skip("there is no ssh on this machine")
            undo.callback(playbooks.write_hosts, production)
            playbooks.write_hosts(production, {each.service: each.ssh_variables() for each in production.servers})
        with traffic.load(production) as load:
            played = playbooks.play(production, "deploy.yml")
    assert played.changed == 0
    assert set(played.counts) == {"web", "services"}
    assert load.failed() == ()
    assert started(production) == before


@THOROUGH  # it takes one deployment more
def test_a_gateway_that_somebody_removed_is_made_anew(experiment: Experiment, production: Production) -> None:
    """Web's gateway is gone, and what lived in its namespace is left in a dead one: a deployment brings all back."""
    with experiment.disturbance("web's gateway is removed by hand") as undo:
        undo.callback(provision.settle, production)
        production.wireguard_web.container.remove(force=True)
        assert playbooks.play(production, "deploy.yml").changed > 0
        provision.add_probes(production)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=ROTATION)


def test_what_a_restarted_gateway_has_left_behind_is_made_anew(experiment: Experiment, production: Production) -> None:
    """Web's gateway was restarted alone, which no configuration shows: a deployment finds web in its old namespace."""
    with experiment.disturbance("web's gateway is restarted alone") as undo:
        undo.callback(provision.settle, production)
        production.wireguard_web.container.restart(timeout=STOP_GRACE)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.UNREACHABLE, within=FORWARDING)
        assert playbooks.play(production, "deploy.yml").changed > 0
        provision.add_probes(production)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=ROTATION)


def test_a_trial_run_says_what_would_change_and_changes_nothing(production: Production) -> None:
    """With --check a new setting is announced, no secret is shown, and neither files nor containers differ after it."""
    before = started(production), files(production)
    with ExitStack() as undo:
        undo.callback(playbooks.write_hosts, production)
        playbooks.write_hosts(production, {"services": {"flower_user": "somebody-else"}})
        playbooks.keep_vault(production, undo)
        change_vault(production, {"vault_flower_password": ANOTHER_PASSWORD})
        played = playbooks.play(production, "deploy.yml", "--check", "--diff")
    assert "somebody-else" in played.said
    assert ANOTHER_PASSWORD not in played.said
    assert played.counts["services"]["changed"] > 0
    assert played.counts["web"]["changed"] == 0
    assert not [secret for secret in production.credentials.secrets() if secret in played.said]
    assert (started(production), files(production)) == before


def test_a_changed_secret_renews_what_uses_it_and_rollback_takes_it_back(
    experiment: Experiment, production: Production
) -> None:
    """A new password for Flower: Flower alone is created anew. rollback.yml brings the old one, and its container.

    A profile more, here one that no service has, is taken back with it, from what starts the site after a boot as well.
    """
    with experiment.disturbance("Flower has another password, and its server a profile more") as undo:
        unfinished = undo.enter_context(ExitStack())
        unfinished.callback(provision.deploy, production)
        undo.callback(playbooks.write_hosts, production)
        playbooks.keep_vault(production, undo)
        before = started(production)
        playbooks.write_hosts(production, {"services": {"docker_compose_extra_profiles": ["reports"]}})
        change_vault(production, {"vault_flower_password": "another-password"})
        playbooks.play(production, "deploy.yml", "--limit", "services")
        assert differing(before, started(production)) == {"flower"}
        assert secret(production, "services", "flower_password") == "another-password"
        assert started_at_boot(production, "services") == ["services", "reports"]

        playbooks.play(production, "rollback.yml")
        assert secret(production, "services", "flower_password") == production.credentials.flower_password
        assert started_at_boot(production, "services") == ["services"]
        provision.add_probes(production)  # which no playbook knows, and `--remove-orphans` takes away
        unfinished.pop_all()  # the rollback is the undo
        again = playbooks.play(production, "rollback.yml", check=False)
        assert not again.ok
        assert "nothing to go back to" in again.said


@pytest.mark.parametrize("first", ["web", pytest.param("services", marks=THOROUGH)])
def test_servers_are_deployed_from_nothing_in_either_order(
    experiment: Experiment, production: Production, first: str
) -> None:
    """Each server can be the first: it comes up by itself, and with the other one the tunnel stands."""
    with experiment.disturbance(f"both servers are empty, and {first} is deployed first") as undo:
        unfinished = undo.enter_context(ExitStack())
        unfinished.callback(provision.deploy, production)
        for server in production.servers:
            server.output("sh", "-c", "docker rm -f $(docker ps -aq) && docker network prune -f && rm -rf /opt/site/*")
            server.output("sh", "-c", "rm -rf /opt/site/.env /opt/site/.installed /opt/site/.applied")

        alone = playbooks.play(production, "deploy.yml", "--limit", first)
        assert "the tunnel has not been seen" in alone.said
        if first == "web":
            page = get(production.url("public", "/health/"), trusted=playbooks.trusted(production))
            assert (page.status, page.json()["status"]) == (503, "failing")
        second = playbooks.play(production, "deploy.yml", "--limit", {"web": "services", "services": "web"}[first])
        assert second.changed > 0
        provision.add_probes(production)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=ROTATION)
        unfinished.pop_all()  # both are deployed


# --- refusals --------------------------------------------------------------------------------------

Wrong = Callable[[Production], None]


def wrong_public_key(production: Production) -> None:
    """As the deployment once had it: a public key that was generated and not derived."""
    change_vault(production, {"vault_wg_web_public_key": keys.generate_private()})


def no_preshared_key(production: Production) -> None:
    """A vault that was not filled in."""
    change_vault(production, {"vault_wg_preshared_key": ""})


def profile_of_the_other_server(production: Production) -> None:
    """The services server with web's profile."""
    playbooks.write_hosts(production, {"services": {"docker_compose_profile": "web"}})


def servers_exchanged(production: Production) -> None:
    """Each server where the other one should be."""
    web, services = production.servers
    playbooks.write_hosts(production, {"web": {"ansible_host": services.name}, "services": {"ansible_host": web.name}})


REFUSED: Mapping[str, tuple[Wrong, str]] = {
    "a public key that was not derived": (wrong_public_key, "vault_wg_web_public_key"),
    "no preshared key": (no_preshared_key, "vault_wg_preshared_key"),
    "the other server's profile": (profile_of_the_other_server, "docker_compose_profile"),
    "servers exchanged": (servers_exchanged, "wireguard-services"),
}
STOOD_FOR = ("no preshared key", "the other server's profile")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [pytest.param(*case, id=name, marks=THOROUGH if name in STOOD_FOR else ()) for name, case in REFUSED.items()],
)
def test_what_is_wrong_is_refused_before_anything_is_touched(production: Production, wrong: Wrong, named: str) -> None:
    """deploy.yml ends with a sentence that names what is wrong, and both servers are as they were."""
    before = started(production), files(production)
    with ExitStack() as undo:
        undo.callback(playbooks.write_hosts, production)
        playbooks.keep_vault(production, undo)
        wrong(production)
        played = playbooks.play(production, "deploy.yml", check=False)
    assert not played.ok
    assert named in played.said
    assert played.changed == 0
    assert not [secret for secret in production.credentials.secrets() if secret in played.said]
    assert (started(production), files(production)) == before


def test_an_archive_that_cannot_be_loaded_is_not_left_behind(production: Production, tmp_path: Path) -> None:
    """Half an archive, as a full disk leaves it: the deployment says so, no file stays, and nothing runs anew."""
    archive, copied = tmp_path / "images.tar", "/var/tmp/site-images.tar"  # noqa: S108 (the server's)
    archive.write_bytes(b"half an archive")
    before = started(production), files(production)
    with ExitStack() as undo:
        undo.callback(production.web_server.run, "rm", "--force", copied)
        undo.callback(playbooks.write_hosts, production)
        settings = {"images_from": "archive", "images_archive": str(archive), "nginx_image": "example/nginx:absent"}
        playbooks.write_hosts(production, {"web": settings})
        played = playbooks.play(production, "deploy.yml", "--limit", "web", check=False)
        assert not played.ok
        assert "docker load" in played.said
        assert not production.web_server.run("test", "-e", copied).ok
    assert (started(production), files(production)) == before


# --- keys ------------------------------------------------------------------------------------------


def test_the_vault_is_ciphertext(production: Production) -> None:
    """The file in which all secrets are is Ansible Vault's and shows none of them; opened, it has those in use."""
    text = playbooks.vault_file(production).read_text(encoding="ascii")
    secrets = {*production.credentials.secrets()} - {production.credentials.db_root_password}  # no playbook needs that
    assert text.startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert not [secret for secret in secrets if secret in text]
    assert secrets <= set(playbooks.read_vault(production).values())


def test_verification_agrees_with_the_running_tunnel(production: Production) -> None:
    """verify-wireguard-keys.yml finds vault, files and interfaces in agreement, and changes nothing."""
    played = playbooks.play(production, "verify-wireguard-keys.yml")
    assert played.changed == 0
    assert "The five keys of the vault are right." in played.said


def test_verification_names_each_mismatch(experiment: Experiment, production: Production) -> None:
    """A key in the vault, one in a file and one in a running interface that are wrong are all named at once."""
    stranger = keys.KeyPair.generate()
    with experiment.disturbance("three keys are wrong") as undo:
        playbooks.keep_vault(production, undo)
        gateway = production.wireguard_web
        undo.callback(gateway.output, "wg", "set", "wg0", "peer", stranger.public, "remove")
        file = production.web_server.site / "secrets" / keys.SERVICES_PUBLIC
        undo.callback(file.write_text, file.read_text())

        change_vault(production, {"vault_wg_web_public_key": keys.generate_private()})
        file.write_text(f"{stranger.public}\n")
        gateway.output("wg", "set", "wg0", "peer", stranger.public, "allowed-ips", "10.100.0.12/32")
        before = gateway.interface().peers
        played = playbooks.play(production, "verify-wireguard-keys.yml", check=False)
        assert {peer.public_key for peer in gateway.interface().peers} == {peer.public_key for peer in before}

    assert not played.ok
    strange_peer = "wg0 of wireguard-web has a peer that the vault does not know"
    for named in ("vault_wg_web_public_key", keys.SERVICES_PUBLIC, strange_peer):
        assert named in played.said, named
    assert played.changed == 0
    assert not [secret for secret in production.credentials.secrets() if secret in played.said]


def test_keys_are_rotated_under_traffic(experiment: Experiment, production: Production) -> None:
    """New keys on both ends: connections live on, a fresh one waits less than 4 s, and deploying changes nothing."""
    old, new = production.credentials.keys, keys.KeySet.generate()
    with experiment.disturbance("all keys are exchanged") as undo:
        undo.callback(playbooks.play, production, "rotate-keys.yml")
        undo.callback(change_vault, production, playbooks.in_vault(old))
        change_vault(production, playbooks.in_vault(new))
        with open_connections(production) as identities, traffic.load(production) as load:
            before = identities()
            playbooks.play(production, "rotate-keys.yml")
            load.everyone_is_answered(within=ROTATION)
            assert identities() == before, "an open connection was replaced by another"
        with experiment.step(str(load)):
            assert load.longest_silence() < ROTATION.seconds
        assert production.wireguard_web.interface().public_key == new.web.public
        assert production.wireguard_web.peer().public_key == new.services.public
        assert playbooks.play(production, "deploy.yml").changed == 0


@THOROUGH  # it takes three rotations
def test_a_rotation_that_one_server_cannot_keep_is_finished_by_the_next(
    experiment: Experiment, production: Production
) -> None:
    """A server's key files cannot be written: the run fails and names it, the tunnel lives, the next makes it last."""
    old, new = production.credentials.keys, keys.KeySet.generate()
    server, folder = production.services_server, f"{SITE}/secrets"
    with experiment.disturbance("services' keys are on a disk that cannot be written to") as undo:
        undo.callback(playbooks.play, production, "rotate-keys.yml")
        undo.callback(change_vault, production, playbooks.in_vault(old))
        undo.callback(server.run, "umount", folder)
        server.output("mount", "--bind", folder, folder)
        server.output("mount", "--options", "remount,bind,ro", folder)
        change_vault(production, playbooks.in_vault(new))

        unfinished = playbooks.play(production, "rotate-keys.yml", check=False)
        assert not unfinished.ok
        assert "services: its gateway has the new keys, and its files may have the old ones" in unfinished.said
        experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)

        server.output("umount", folder)
        playbooks.play(production, "rotate-keys.yml")
        experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)
        assert keys.derive_public(secret(production, "services", keys.SERVICES_PRIVATE)) == new.services.public


# --- words -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_connections(production: Production) -> Iterator[Callable[[], tuple[int, int]]]:
    """A connection of web's to each backend, kept open; asked, they say by what number the backend knows them."""
    patience = clients.TRANSFER_TIMEOUT
    with (
        clients.redis(production, "web", timeout=patience, single=True) as redis,
        clients.mariadb(production, "web", timeout=patience) as mariadb,
        mariadb.cursor() as cursor,
    ):

        def identities() -> tuple[int, int]:
            cursor.execute("SELECT CONNECTION_ID()")
            (number,) = cursor.fetchone()
            return redis.client_id(), number

        yield identities


def change_vault(production: Production, values: Mapping[str, str]) -> None:
    """Change values of the vault."""
    playbooks.write_vault(production, playbooks.read_vault(production) | dict(values))


def started(production: Production) -> dict[str, tuple[str, str]]:
    """Each container of both servers: which it is, and since when it runs. The probes are left out."""
    found = {}
    for node in production.observed:
        attributes = node.inspect()
        assert container_state(attributes).status == "running", node
        found[node.service] = str(attributes["Id"]), str(attributes["State"]["StartedAt"])
    return found


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """The names under which there is something else now."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def files(production: Production) -> dict[str, str]:
    """Every file of the site on each server, with its mode, owner and checksum."""
    listing = f"cd {SITE} && find . -type f -exec stat -c '%n %a %u' {{}} + -exec sha256sum {{}} + | sort"
    return {server.service: server.output("sh", "-c", listing) for server in production.servers}


def started_at_boot(production: Production, side: str) -> list[str]:
    """The profiles that a server's unit starts after a boot."""
    words = production.server(side).output("cat", "/etc/systemd/system/wireguard-site.service").split()
    return [profile for word, profile in pairwise(words) if word == "--profile"]


def secret(production: Production, side: str, name: str) -> str:
    """What a server has in a secret file."""
    return json.dumps(production.server(side).output("cat", f"{SITE}/secrets/{name}").strip())[1:-1]
