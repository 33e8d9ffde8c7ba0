"""The playbooks, run as an operator runs them: an inventory and an encrypted vault of this run's own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import command, images, keys, witness
from harness.certificates import Authority, Certificate
from harness.credentials import Credentials
from harness.errors import CommandError, DeploymentError
from harness.model import CommandResult
from harness.production import Production

ANSIBLE = Path(__file__).resolve().parent.parent / "ansible"
_BIN = ANSIBLE / ".venv" / "bin"
_COMMITTED = ANSIBLE / "inventories" / "production" / "group_vars"

_VAULT = Path("group_vars") / "vault.yml"
_PASSWORD_FILE = "vault-password"  # noqa: S105 (where it is, not what it is)
_HOSTS = "hosts.yml"

_TIMEOUT = 300  # seconds; a deployment of both servers takes 30, its own budgets are below this
_VAULT_TIMEOUT = 60  # seconds; it encrypts a page
_RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=.*)$", re.MULTILINE)
_STEP = re.compile(r"^(?:PLAY|TASK) \[(?P<what>.*?)\] \*+$")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What a playbook did. `counts` are Ansible's own, by server: `ok`, `changed`, `failed`, `unreachable` ..."""

    command: CommandResult
    counts: Mapping[str, Mapping[str, int]]

    @property
    def ok(self) -> bool:
        """Whether it came to its end."""
        return self.command.ok

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all servers."""
        return sum(counts["changed"] for counts in self.counts.values())

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.command.stdout


def inventory(deployment: Production) -> Path:
    """Where the inventory of this run is."""
    return deployment.run.state / "inventory"


def vault_file(deployment: Production) -> Path:
    """Where the vault is."""
    return inventory(deployment) / _VAULT


def trusted(deployment: Production) -> Path:
    """The certificate of the authority that vouches for the site's."""
    return inventory(deployment) / "ca.pem"


def write_inventory(deployment: Production) -> None:
    """Write the inventory: the committed variables, this run's servers, and a vault that only this run can open."""
    authority = Authority()
    begin(inventory(deployment), deployment.credentials, authority.issue("localhost", "127.0.0.1"))
    trusted(deployment).write_text(authority.certificate, encoding="ascii")
    write_hosts(deployment)


def begin(directory: Path, kept: Credentials, certificate: Certificate) -> None:
    """Write an inventory to which only its servers are lacking: the committed variables, and a vault.

    The vault's password is a new one. Raises `CommandError` when the vault cannot be made.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(
        _COMMITTED, directory / "group_vars", dirs_exist_ok=True, ignore=shutil.ignore_patterns("vault*.yml")
    )
    keys.write_file(directory / _PASSWORD_FILE, secrets.token_urlsafe(24), mode=0o600)
    encrypt(
        directory,
        {
            **in_vault(kept.keys),
            "vault_db_password": kept.db_password,
            "vault_redis_password": kept.redis_password,
            "vault_django_secret_key": kept.django_secret_key,
            "vault_flower_password": kept.flower_password,
            "vault_tls_certificate": certificate.certificate,
            "vault_tls_private_key": certificate.key,
        },
    )


def write_hosts(deployment: Production, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Write which servers there are and how they are reached; `settings` are further variables, by server."""
    chosen, own = images.chosen(), settings or {}
    variables = {
        "ansible_connection": "community.docker.docker",
        "ansible_user": "root",
        "services_address": str(deployment.plan.underlay_services),
        "server_name": "localhost",
        "wireguard_image": chosen["WIREGUARD_IMAGE"],
        "nginx_image": chosen["NGINX_IMAGE"],
        "redis_image": chosen["REDIS_IMAGE"],
        "web_image": chosen["WEB_IMAGE"],
        "services_image": chosen["SERVICES_IMAGE"],
        "wireguard_implementation": os.environ.get("WG_IMPLEMENTATION") or "auto",
        "exporter_image": images.chosen(images.MONITORING)["EXPORTER_IMAGE"],
    }
    # The servers' own, because those of a group in this file are weaker than group_vars. JSON is YAML.
    list_hosts(
        inventory(deployment),
        {
            server.service: {"ansible_host": server.name} | variables | dict(own.get(server.service, {}))
            for server in deployment.servers
        },
    )


def list_hosts(directory: Path, variables: Mapping[str, Mapping[str, Any]]) -> None:
    """Write which servers an inventory has: web, services, or both, with the variables of each."""
    groups = {f"{name}_servers": {"hosts": {name: dict(each)}} for name, each in variables.items()}
    document = {"vault": {"children": groups}}
    (directory / _HOSTS).write_text(json.dumps(document, indent=2), encoding="utf-8")


def in_vault(held: keys.KeySet) -> dict[str, str]:
    """Keys by the names that they have in the vault."""
    return {
        "vault_wg_web_private_key": held.web.private,
        "vault_wg_web_public_key": held.web.public,
        "vault_wg_services_private_key": held.services.private,
        "vault_wg_services_public_key": held.services.public,
        "vault_wg_preshared_key": held.preshared,
    }


def write_vault(deployment: Production, values: Mapping[str, str]) -> None:
    """Encrypt a vault with these values; raises `CommandError` when it cannot be done."""
    encrypt(inventory(deployment), values)


def encrypt(directory: Path, values: Mapping[str, str]) -> None:
    """Put an encrypted vault with these values into an inventory; raises `CommandError` when it cannot be done."""
    keys.write_file(directory / _VAULT, json.dumps(values), mode=0o600)
    _ansible("ansible-vault", "encrypt", *_password(directory), str(directory / _VAULT), timeout=_VAULT_TIMEOUT)


def keep_vault(deployment: Production, undo: ExitStack) -> None:
    """Have the vault be again, byte for byte, what it is now."""
    vault = vault_file(deployment)
    undo.callback(vault.write_bytes, vault.read_bytes())


def read_vault(deployment: Production) -> dict[str, str]:
    """What is in the vault, told to nobody else; raises `CommandError` when it cannot be opened."""
    vault = vault_file(deployment)
    with witness.listening(None):
        password = _password(inventory(deployment))
        result = _ansible("ansible-vault", "view", *password, str(vault), timeout=_VAULT_TIMEOUT)
    found: dict[str, str] = json.loads(result.stdout)
    return found


def play(deployment: Production, playbook: str, *arguments: str, check: bool = True, say: Say | None = None) -> Play:
    """Run a playbook with further arguments, such as `--limit web`; each step is handed to `say`.

    Raises `CommandError` when it fails, unless `check` is False.
    """
    return play_on(inventory(deployment), playbook, *arguments, check=check, say=say)


def play_on(
    directory: Path,
    playbook: str,
    *arguments: str,
    timeout: float = _TIMEOUT,
    check: bool = True,
    say: Say | None = None,
) -> Play:
    """Run a playbook on an inventory's servers as `play` does; `timeout` is in seconds."""

    def follow(line: str) -> None:
        if say and (step := _STEP.match(line)):
            say(step["what"])

    argv = ("ansible-playbook", "--inventory", str(directory / _HOSTS), *_password(directory))
    result = _ansible(*argv, f"playbooks/{playbook}", *arguments, timeout=timeout, check=False, on_line=follow)
    played = Play(command=result, counts=_counts(result.stdout))
    if check and not result.ok:
        message = f"{playbook} failed:\n{result.stdout[-3000:]}"
        raise CommandError(message)
    return played


def _password(directory: Path) -> tuple[str, str]:
    return "--vault-password-file", str(directory / _PASSWORD_FILE)


def _ansible(
    program: str,
    *arguments: str,
    timeout: float,
    check: bool = True,
    on_line: Callable[[str], None] = lambda _line: None,
) -> CommandResult:
    path = _BIN / program
    if not path.exists():
        message = f"{path} is missing: `make setup LAYOUT=prod` makes Ansible's environment"
        raise DeploymentError(message)
    environment = {
        # A terminal's colours would be taken for words.
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        # It is installed as source. Whoever keeps Python from writing bytecode pays for it again at each start: 1 s.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    return command.stream(
        [str(path), *arguments], timeout=timeout, cwd=ANSIBLE, env=environment, check=check, on_line=on_line
    )


def _counts(text: str) -> dict[str, dict[str, int]]:
    return {
        recap["host"]: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap["counts"])}
        for recap in _RECAP.finditer(text)
    }
