"""No secret leaves the vault."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from harness import keys
from harness.credentials import Credentials
from harness.diagnosis import containers
from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import Piece
from harness.redaction import REMOVED, Sealer
from harness.sealing import Vault, packed

MADE = Credentials.generate()
WEB, SERVICES, PRESHARED = MADE.keys.web, MADE.keys.services, MADE.keys.preshared
IN_URL = "p@ss/wörd 1"
IN_VARIABLE, IN_OPTION, IN_FILE = "from-a-variable", "from-an-option", "from-a-file"
SECRETS = (
    *(WEB.private, SERVICES.private, PRESHARED, MADE.db_password, MADE.django_secret_key),
    *(IN_URL, quote(IN_URL, safe=""), IN_VARIABLE, IN_OPTION, IN_FILE),
)

GATEWAY = {
    "WG_PRIVATE_KEY_FILE": "/run/secrets/private",
    "WG_PEER_PUBLIC_KEY_FILE": "/run/secrets/public",
    "WG_PRESHARED_KEY_FILE": "/run/secrets/preshared",
}
APP = {
    "CELERY_BROKER_URL": f"redis://:{quote(IN_URL, safe='')}@10.101.0.4:6379/0",
    "DATABASE_PASSWORD": IN_VARIABLE,
    "DATABASE_PASSWORD_FILE": "/run/secrets/password",
    "SENTRY_TOKEN": MADE.db_password,
    "DJANGO_SECRET_KEY": MADE.django_secret_key,
    "DATABASE_HOST": "10.100.0.11",
}


def _container(environment: dict[str, str], *command: str, error: str = "") -> Container:
    return replace(containers.absent(), environment=environment, command=command, error=error)


def _files(**contents: str) -> dict[str, Piece]:
    """What a node's look at its secret files gives."""
    listing = "\n".join(f"/run/secrets/{name} 600 0" for name in contents)
    packs = "\n".join(packed(f"/run/secrets/{name}", f"{content}\n".encode()) for name, content in contents.items())
    return {"secret-files": Piece(text=listing), "secret-contents": Piece(text=packs)}


def _dump(own: keys.KeyPair, peer: str, preshared: str = PRESHARED) -> Piece:
    return Piece(
        text=f"wg0\t{own.private}\t{own.public}\t51820\toff\n"
        f"wg0\t{peer}\t{preshared}\t172.20.0.3:51820\t10.100.0.11/32\t1\t2\t3\t25\n"
    )


FRONT = _files(private=WEB.private, public=SERVICES.public, preshared=PRESHARED) | {"dump": _dump(WEB, SERVICES.public)}
BACK = _files(private=SERVICES.private, public=WEB.public, preshared=PRESHARED) | {
    "dump": _dump(SERVICES, WEB.public),
    "dump-before": _dump(SERVICES, WEB.public),
}
SHOP = _files(password=IN_FILE)
SPILT = " | ".join((*SECRETS, json.dumps(IN_URL), WEB.public, f"redis://u:{quote(IN_URL, safe='')}@h/0"))
NODES = (
    (FRONT, _container(GATEWAY)),
    (BACK, _container(GATEWAY, "redis-server", "--requirepass", IN_OPTION, f"--password={IN_OPTION}")),
    (SHOP, _container(APP, "run", "--broker", APP["CELERY_BROKER_URL"], error=f"cannot start: {SPILT}")),
)


@pytest.fixture
def vault() -> Vault:
    """One that has learnt from all nodes."""
    vault = Vault((), Sealer())
    for pieces, container in NODES:
        vault.learn(pieces, container)
    return vault


@pytest.mark.parametrize(("pieces", "container"), NODES, ids=["front", "back", "shop"])
def test_no_secret_is_in_any_piece(vault: Vault, pieces: dict[str, Piece], container: Container) -> None:
    """Whatever a container said or printed, in a text or in the reason why there is none: every secret is gone."""
    spilt = {
        "log": Piece(text=SPILT),
        "backends": Piece(text=json.dumps({"said": SPILT})),
        "rules": Piece(missing=SPILT),
    }
    spilt["sockets"] = Piece(text=f"\t{WEB.private}\tx")
    sealed = vault.seal(pieces | spilt, container.environment) | {"container": vault.describe(container)}
    shown = "\n".join(piece.text + (piece.missing or "") for piece in sealed.values())
    for secret in SECRETS:
        assert secret not in shown
        assert base64.b64encode(f"{secret}\n".encode()).decode() not in shown
    assert "secret-contents" not in sealed
    assert WEB.public in sealed["log"].text
    assert REMOVED in sealed["log"].text


def test_every_secret_is_tried() -> None:
    """What the test above looks for is in what it hands over: it would see a secret that stayed."""
    for secret in SECRETS:
        assert secret in SPILT


def test_equal_secrets_have_equal_seals(vault: Vault) -> None:
    """Both ends' preshared keys can be compared, in the dump and in the files; the private keys differ."""
    front, back = vault.seal(FRONT, GATEWAY), vault.seal(BACK, GATEWAY)
    rows = [piece.text.splitlines() for piece in (front["dump"], back["dump"], back["dump-before"])]
    seals = [row[1].split("\t")[2] for row in rows]
    files = {each["path"]: each for each in json.loads(front["secret-files"].text)}
    assert {*seals} == {files["/run/secrets/preshared"]["seal"]}
    assert rows[0][0].split("\t")[1] == files["/run/secrets/private"]["seal"] != rows[1][0].split("\t")[1]
    assert rows[0][0].split("\t")[2:] == [WEB.public, "51820", "off"]


def test_another_snapshot_has_other_seals() -> None:
    """What was sealed twice cannot be recognized."""
    dumps = []
    for _ in range(2):
        vault = Vault((), Sealer())
        vault.learn(FRONT, _container(GATEWAY))
        dumps.append(vault.seal(FRONT, GATEWAY)["dump"].text)
    assert dumps[0] != dumps[1]


def test_no_preshared_key_is_no_seal(vault: Vault) -> None:
    """That there is none can be told from there being one."""
    sealed = vault.seal({"dump": _dump(WEB, SERVICES.public, "(none)")}, GATEWAY)
    assert sealed["dump"].text.splitlines()[1].split("\t")[2] == "(none)"


def test_secret_files_are_described(vault: Vault) -> None:
    """Mode, owner, and what is wrong with a key; a private key by the public one, and only that is shown whole."""
    files = _files(private=WEB.private, public=SERVICES.public, preshared="c2hvcnQ=", empty="")
    files["secret-files"] = Piece(text=files["secret-files"].text + "\n/run/secrets/unreadable 640 999")
    described = {
        each["path"].rpartition("/")[2]: each for each in json.loads(vault.seal(files, GATEWAY)["secret-files"].text)
    }
    private, public, preshared = (described[name] for name in ("private", "public", "preshared"))
    assert (private["public"], private["fault"], private["mode"], private["owner"]) == (WEB.public, None, "600", 0)
    assert "content" not in private
    assert public["content"] == SERVICES.public
    assert "32" in preshared["fault"]
    assert described["empty"]["empty"] is True
    assert (described["unreadable"]["readable"], described["unreadable"]["mode"]) == (False, "640")
    assert "seal" not in described["unreadable"]


def test_a_private_key_in_a_public_keys_place_is_not_shown(vault: Vault) -> None:
    """Who mixes up the files is not betrayed: a key that is known as private stays sealed."""
    mixed = _files(private=WEB.private, public=WEB.private)
    vault.learn(mixed, _container(GATEWAY))
    assert WEB.private not in vault.seal(mixed, GATEWAY)["secret-files"].text


@pytest.mark.parametrize("line", ["stat: cannot statx '/run/secrets/a': No such file", "/run/secrets/a", "x 600 0", ""])
def test_a_listing_that_is_none_is_missing(vault: Vault, line: str) -> None:
    """What `stat` printed instead of a file's mode makes the piece unseen, not a traceback and not an empty list."""
    sealed = vault.seal({"secret-files": Piece(text=f"/run/secrets/b 600 0\n{line}\n")}, GATEWAY)["secret-files"]
    assert sealed.missing is not None
    assert repr(line) in sealed.missing


def test_contents_that_are_no_base64_are_not_learnt() -> None:
    """A line that was cut off says nothing, and stops nothing."""
    vault = Vault((), Sealer())
    vault.learn({"secret-contents": Piece(text="/run/secrets/a ===\n/run/secrets/b \u00e4\n\n")}, _container({}))
    assert vault.redact("plain") == "plain"


def test_settings_that_are_no_secret_are_shown(vault: Vault) -> None:
    """Of an application's settings only the secrets go: where it looks for its backends is evidence."""
    described = Container.from_json(json.loads(vault.describe(NODES[2][1]).text))
    assert described.environment["DATABASE_HOST"] == "10.100.0.11"
    assert described.environment["CELERY_BROKER_URL"] == f"redis://:{REMOVED}@10.101.0.4:6379/0"
    assert described.environment["DATABASE_PASSWORD_FILE"] == "/run/secrets/password"
    assert {described.environment[name] for name in ("DATABASE_PASSWORD", "SENTRY_TOKEN", "DJANGO_SECRET_KEY")} == {
        REMOVED
    }
    command = Container.from_json(json.loads(vault.describe(NODES[1][1]).text)).command
    assert command == ("redis-server", "--requirepass", REMOVED, f"--password={REMOVED}")


def test_short_options_are_hidden_too(vault: Vault) -> None:
    """A password too short to be looked for everywhere is still not shown as a variable or an option."""
    short = _container({"REDIS_PASSWORD": "abc"}, "redis-server", "--requirepass", "abc", "--port", "6379")
    shown = Container.from_json(json.loads(vault.describe(short).text))
    assert shown.environment == {"REDIS_PASSWORD": REMOVED}
    assert shown.command == ("redis-server", "--requirepass", REMOVED, "--port", "6379")


@pytest.mark.parametrize(
    "script",
    [
        "exec redis-server --requirepass {} --port 6379",
        "redis-server --requirepass='{}'; sleep 1",
        "redis-server --requirepass {};",
        "REDISCLI_AUTH={} redis-cli ping",
        'sh -c "exec redis-server --requirepass {}"',
    ],
)
def test_an_option_in_a_script_is_learnt(script: str) -> None:
    """A shell is handed all of its words as one: what is secret in it goes from there and from everywhere else."""
    vault = Vault((), Sealer())
    container = _container({}, "sh", "-c", script.format(IN_OPTION))
    vault.learn({}, container)
    assert IN_OPTION not in vault.describe(container).text
    assert vault.redact(f"wrong password: {IN_OPTION}") == f"wrong password: {REMOVED}"


@pytest.mark.parametrize(
    "script",
    [
        'exec redis-server --requirepass "$REDIS_PASSWORD"',
        'exec redis-server --requirepass "$(cat /run/secrets/redis)"',
        "echo it's --requirepass of no shell",
    ],
)
def test_a_script_that_holds_no_secret_is_shown(script: str) -> None:
    """Where it takes a password from is evidence; what is no script is one word."""
    vault = Vault((), Sealer())
    container = _container({}, "sh", "-c", script)
    vault.learn({}, container)
    assert Container.from_json(json.loads(vault.describe(container).text)).command == ("sh", "-c", script)
