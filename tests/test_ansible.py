"""What the playbooks judge and write, without a server: filters, key derivation, the site's files."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.keys import KeySet

ANSIBLE = Path(__file__).parents[1] / "ansible"


@pytest.fixture(scope="module")
def ansible() -> Iterator[None]:
    """Makes `ansible.module_utils` importable, as it is on a server: Ansible itself is in another environment."""
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ansible"}
    for name, path in (("ansible", ANSIBLE.parent / "none"), ("ansible.module_utils", ANSIBLE / "module_utils")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "ansible"]:
        del sys.modules[name]
    sys.modules.update(kept)


def load(path: str) -> Any:
    """A file below ansible/ as a module."""
    spec = importlib.util.spec_from_file_location("loaded_" + Path(path).stem, ANSIBLE / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS = load("filter_plugins/site_checks.py")
KEYS = load("module_utils/wireguard_keys.py")


def certificate() -> tuple[str, str]:
    """A certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode(), pem.decode()


def sound_vault() -> dict[str, str]:
    keys = KeySet.generate()
    pem, key = certificate()
    return {
        "vault_wg_web_private_key": keys.web.private,
        "vault_wg_web_public_key": keys.web.public,
        "vault_wg_services_private_key": keys.services.private,
        "vault_wg_services_public_key": keys.services.public,
        "vault_wg_preshared_key": keys.preshared,
        **{name: "a-password-" + name for name in CHECKS.PASSWORDS},
        "vault_tls_certificate": pem,
        "vault_tls_private_key": key,
    }


# --- keys ----------------------------------------------------------------------------------------


def test_a_public_key_derives_on_a_server_as_on_the_controller() -> None:
    for _ in range(20):
        keys = KeySet.generate()
        assert KEYS.derive_public(keys.web.private) == keys.web.public == CHECKS.public_key(keys.web.private)


@pytest.mark.parametrize("text", ["", "x" * 44, "A" * 43, "A" * 43 + "B", "=" * 44])
def test_what_is_no_key_is_not_derived_from(text: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        KEYS.derive_public(text)


# --- the vault -----------------------------------------------------------------------------------


def test_a_sound_vault_has_no_problem() -> None:
    assert CHECKS.vault_problems(sound_vault()) == []


@pytest.mark.parametrize("name", sorted(sound_vault()))
@pytest.mark.parametrize("value", [None, "", "  ", "REPLACE with something", 7])
def test_what_is_not_set_is_named(name: str, value: object) -> None:
    vault = {**sound_vault(), name: value}
    if value is None:
        del vault[name]
    problems = CHECKS.vault_problems(vault)
    assert len(problems) == 1
    assert problems[0].startswith(f"{name} is not set: ")


@pytest.mark.parametrize("side", ["web", "services"])
def test_a_public_key_that_was_generated_is_named(side: str) -> None:
    """The seed's own mistake: the public key does not derive from the private one."""
    other = KeySet.generate()
    vault = {**sound_vault(), f"vault_wg_{side}_public_key": other.web.public}
    (problem,) = CHECKS.wireguard_problems(vault)
    assert problem.startswith(f"vault_wg_{side}_public_key does not derive from vault_wg_{side}_private_key: derive it")


@pytest.mark.parametrize("value", ["short", "A" * 43 + "B", "A" * 45])
def test_what_is_no_key_is_named_and_not_shown(value: str) -> None:
    (problem,) = CHECKS.wireguard_problems({**sound_vault(), "vault_wg_preshared_key": value})
    assert problem.startswith("vault_wg_preshared_key is not a key")
    assert value not in problem


def test_one_key_for_two_purposes_is_refused() -> None:
    vault = sound_vault()
    vault["vault_wg_services_private_key"] = vault["vault_wg_web_private_key"]
    vault["vault_wg_services_public_key"] = vault["vault_wg_web_public_key"]
    problems = CHECKS.wireguard_problems(vault)
    assert len(problems) == 2
    assert all("one and the same key" in problem for problem in problems)


def test_no_problem_shows_a_secret() -> None:
    vault = sound_vault()
    keys = KeySet.generate()
    for name in sorted(vault):
        for wrong in (keys.web.private, "has a 'quote and\na line", keys.web.private[:-3]):
            for problem in CHECKS.vault_problems({**vault, name: wrong}):
                assert not [value for value in [*vault.values(), wrong] if value in problem]


@pytest.mark.parametrize("value", ["two words", "line\n", "quo'te", "back\\slash"])
def test_a_password_that_redis_would_misread_is_named(value: str) -> None:
    problems = CHECKS.password_problems({**sound_vault(), "vault_redis_password": value})
    assert problems
    assert all(problem.startswith("vault_redis_password ") for problem in problems)


def test_a_certificate_of_another_key_is_named() -> None:
    problems = CHECKS.tls_problems({**sound_vault(), "vault_tls_private_key": certificate()[1]})
    assert problems == [
        "vault_tls_certificate does not belong to vault_tls_private_key: put in the two that were made together."
    ]


# --- inventory and settings ----------------------------------------------------------------------

GROUPS = {"web_servers": ["one"], "services_servers": ["two"]}


@pytest.mark.parametrize(("name", "profile"), [("one", "web"), ("two", "services")])
def test_a_host_in_its_group_with_its_profile_is_right(name: str, profile: str) -> None:
    assert CHECKS.host_problems({"name": name, "profile": profile, "groups": GROUPS}) == []


@pytest.mark.parametrize(
    ("name", "profile", "groups", "words"),
    [
        ("two", "web", GROUPS, "is web, but the host is in services_servers"),
        ("one", "services", GROUPS, "is services, but the host is in web_servers"),
        ("one", "", GROUPS, "write web or services"),
        ("one", "all", GROUPS, "write web or services"),
        ("three", "web", GROUPS, "is in neither web_servers nor services_servers"),
        ("one", "web", {"web_servers": ["one"], "services_servers": ["one"]}, "is in both"),
        ("one", "web", {"web_servers": ["one", "two"], "services_servers": ["three"]}, "group web_servers has 2 hosts"),
        ("one", "web", {"web_servers": ["one"]}, "group services_servers has 0 hosts"),
    ],
)
def test_a_host_without_one_part_to_play_is_refused(name: str, profile: str, groups: Any, words: str) -> None:
    problems = CHECKS.host_problems({"name": name, "profile": profile, "groups": groups})
    assert len([problem for problem in problems if words in problem]) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WG_SERVICES_ENDPOINT", ":51820"),
        ("WG_SERVICES_ENDPOINT", "203.0.113.11"),
        ("WG_SERVICES_ENDPOINT", "203.0.113.11:0"),
        ("DATABASE_HOST", "database.example.org"),
        ("DATABASE_HOST", "10.101.0.256"),
        ("HTTPS_PORT", "https"),
        ("WG_MTU", 100),
        ("SERVER_NAME", "two names"),
        ("SERVER_NAME", "it's"),
        ("DB_NAME", ""),
        ("DB_NAME", "a\nb"),
    ],
)
def test_a_setting_without_its_form_is_named(name: str, value: object) -> None:
    (problem,) = CHECKS.environment_problems({name: value})
    assert problem.startswith(f"{name} in .env would ")


@pytest.mark.parametrize(("value", "words"), [("legacy", "NET_RAW"), ("ebtables", "auto or nft")])
def test_an_iptables_with_which_no_gateway_starts_is_named(value: str, words: str) -> None:
    """The compose file gives a gateway no more than NET_ADMIN, and iptables-legacy wants a raw socket."""
    (problem,) = CHECKS.environment_problems({"WG_IPTABLES": value})
    assert problem.startswith(f"WG_IPTABLES in .env would be '{value}'")
    assert words in problem
    compose = yaml.safe_load((ANSIBLE.parent / "compose/docker-compose.prod.yml").read_text(encoding="utf-8"))
    assert compose["x-gateway"]["cap_add"] == ["NET_ADMIN"]
    assert (
        CHECKS.environment_problems({"WG_IPTABLES": "nft"})
        == CHECKS.environment_problems({"WG_IPTABLES": "auto"})
        == []
    )


def test_the_environment_file_keeps_every_character() -> None:
    text = CHECKS.env_file({"A": "$x #y", "B": 5})
    assert text == "A='$x #y'\nB='5'\n"
    assert CHECKS.environment_problems({"A": "$x #y", "B": 5}) == []


def test_the_sources_of_images_are_known(tmp_path: Path) -> None:
    archive = tmp_path / "images.tar"
    archive.touch()
    assert CHECKS.images_problems({"from": "archive", "archive": str(archive)}) == []
    assert "no such file" in CHECKS.images_problems({"from": "archive", "archive": str(tmp_path)})[0]
    assert "write server, registry or archive" in CHECKS.images_problems({"from": "hub"})[0]


def test_the_profiles_have_the_services_of_the_deployment() -> None:
    compose = (ANSIBLE.parent / "compose/docker-compose.prod.yml").read_text(encoding="utf-8")
    assert CHECKS.services_of(compose, ["web"]) == ["nginx", "web", "wireguard-web"]
    services = ["celery", "flower", "redis", "services", "wireguard-services"]
    assert CHECKS.services_of(compose, ["services"]) == services


def test_every_variable_that_compose_asks_for_is_one_that_the_role_writes() -> None:
    """Otherwise a setting of the inventory would change nothing, without a word."""
    compose = (ANSIBLE.parent / "compose/docker-compose.prod.yml").read_text(encoding="utf-8")
    role = yaml.safe_load((ANSIBLE / "roles/site/vars/main.yml").read_text(encoding="utf-8"))
    written = set(role["site_common_environment"])
    written = written.union(*role["site_profile_environment"].values())
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", compose))
    assert written <= asked
    assert {"WG_SERVICES_ENDPOINT", "DATABASE_HOST", "SECRETS_UID", "SERVER_NAME"} <= written


# --- verdicts ------------------------------------------------------------------------------------


def host(name: str, **found: object) -> dict[str, object]:
    return {"inventory_hostname": name, "site_keys": found}


def test_a_host_that_was_not_seen_is_a_mismatch() -> None:
    report = CHECKS.keys_report(host("web", unreachable=True, msg="no route"))
    assert report["problems"] == ["web was not seen, so its keys are not known to be right: no route"]
    assert CHECKS.keys_report({"inventory_hostname": "web"})["problems"]


def test_a_host_that_was_not_deployed_is_none() -> None:
    assert CHECKS.keys_report(host("web", deployed=False, problems=[]))["problems"] == []


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"unreachable": True, "msg": "no route"}, "web was not reached: no route"),
        ({"deployed": True, "running": False}, "web has no running gateway"),
        ({"deployed": True, "running": True, "interface_problems": ["x"], "handshake_age": None}, "no handshake"),
        ({"deployed": True, "running": True, "interface_problems": ["x"], "handshake_age": 181}, "no handshake"),
    ],
)
def test_keys_are_not_rotated_on_half_a_tunnel(web: dict[str, object], words: str) -> None:
    services = host("services", deployed=True, running=True, interface_problems=["x"], handshake_age=5)
    problems = CHECKS.rotation_obstacles([host("web", **web), services], ["web", "services"])
    assert len(problems) == 1
    assert words in problems[0]


def test_a_rotation_that_was_cut_off_can_be_finished() -> None:
    done = host("web", deployed=True, running=True, interface_problems=[], handshake_age=None)
    due = host("services", deployed=True, running=True, interface_problems=["x"], handshake_age=None)
    assert CHECKS.rotation_obstacles([done, due], ["web", "services"]) == []
    assert "--limit" in CHECKS.rotation_obstacles([done, due], ["web"])[0]


@pytest.mark.parametrize("step", ["keep", "put_back"])
def test_what_a_rotation_leaves_undone_is_told(step: str) -> None:
    """The step after the switch may not reach a server, or fail there: neither is passed over."""
    lost = {"inventory_hostname": "web", "site_step_result": {"unreachable": True, "msg": "no route"}}
    failed = {"inventory_hostname": "web", "site_step_result": {"failed": True, "msg": "the disk is full"}}
    done = {"inventory_hostname": "web", "site_step_result": {"changed": True}}
    assert "(no route)" in CHECKS.rotation_leftover(lost, step)
    assert "(the disk is full)" in CHECKS.rotation_leftover(failed, step)
    assert not CHECKS.rotation_leftover(done, step)


# --- files on a server ---------------------------------------------------------------------------

OWNER = os.getuid()


@pytest.fixture
def files(ansible: None) -> Any:  # noqa: ARG001
    return importlib.import_module("ansible.module_utils.site_files")


def wanted(files: Any, text: str) -> list[Any]:
    return [files.File(".env", text.encode(), 0o600, OWNER), files.File("secrets/key", text.encode(), 0o600, OWNER)]


def applied(files: Any, site: Any, text: str, change: str) -> None:
    """A whole deployment of the files, without containers."""
    site.keep_previous(change)
    site.put(wanted(files, text))
    record = {path: site.checksum(path) for path in (".env", "secrets/key")}
    (Path(site.directory) / ".applied").write_text(json.dumps({"files": record, "applied_at": text}), encoding="utf-8")


def test_files_are_installed_with_their_modes_and_then_left_alone(files: Any, tmp_path: Path) -> None:
    site = files.SiteFiles(str(tmp_path / "site"))
    site.put(wanted(files, "a"))
    assert site.differing(wanted(files, "a")) == []
    assert (tmp_path / "site/secrets").stat().st_mode & 0o777 == 0o700
    (tmp_path / "site/secrets/key").chmod(0o644)
    assert [file.path for file in site.differing(wanted(files, "a"))] == ["secrets/key"]


def test_what_was_applied_before_a_change_is_kept(files: Any, tmp_path: Path) -> None:
    site = files.SiteFiles(str(tmp_path / "site"))
    applied(files, site, "a", "1")
    assert site.manifest() == {}
    applied(files, site, "b", "2")
    assert site.manifest()["changed_by"] == "2"
    assert [file.content for file in site.previous_files()] == [b"a", b"a"]
    assert (tmp_path / "site/previous").stat().st_mode & 0o777 == 0o700


def test_a_change_after_a_failed_one_keeps_what_worked(files: Any, tmp_path: Path) -> None:
    site = files.SiteFiles(str(tmp_path / "site"))
    applied(files, site, "a", "1")
    site.keep_previous("2")
    site.put(wanted(files, "broken"))
    site.keep_previous("3")
    site.put(wanted(files, "c"))
    assert site.manifest()["changed_by"] == "3"
    assert [file.content for file in site.previous_files()] == [b"a", b"a"]


def test_a_key_is_overwritten_in_the_file_that_a_container_has_mounted(files: Any, tmp_path: Path) -> None:
    site = files.SiteFiles(str(tmp_path / "site"))
    site.put(wanted(files, "old"))
    before = (tmp_path / "site/secrets/key").stat().st_ino
    site.overwrite(files.File("secrets/key", b"new", 0o600, OWNER))
    assert (tmp_path / "site/secrets/key").stat().st_ino == before
    assert (tmp_path / "site/secrets/key").read_bytes() == b"new"
    with pytest.raises(Exception, match="deploy again"):
        site.overwrite(files.File("secrets/key", b"longer", 0o600, OWNER))


def test_a_file_that_is_not_wanted_any_more_is_removed_and_no_other(files: Any, tmp_path: Path) -> None:
    site = files.SiteFiles(str(tmp_path / "site"))
    applied(files, site, "a", "1")
    (tmp_path / "site/secrets/own").touch()
    site.put(wanted(files, "a")[:1])
    assert sorted(path.name for path in (tmp_path / "site/secrets").iterdir()) == ["own"]
