"""Filters that judge the vault and the settings on the controller, before any server is touched.

Each returns sentences that name the variable, what is wrong with it and what to do, and never show a value.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

# 32 bytes in base64: 43 characters, the last of which carries four bits, and the padding.
KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

WIREGUARD = (
    "vault_wg_web_private_key",
    "vault_wg_web_public_key",
    "vault_wg_services_private_key",
    "vault_wg_services_public_key",
    "vault_wg_preshared_key",
)
PAIRS = (WIREGUARD[0:2], WIREGUARD[2:4])
PASSWORDS = ("vault_db_password", "vault_redis_password", "vault_django_secret_key", "vault_flower_password")
TLS = ("vault_tls_certificate", "vault_tls_private_key")

PLACEHOLDER = "REPLACE"  # what vault.example.yml has in place of each value
HOW_TO_MAKE = {
    **dict.fromkeys(WIREGUARD[0:4:2], "make it with wg genkey"),
    WIREGUARD[1]: "derive it: wg pubkey < web-private.key",
    WIREGUARD[3]: "derive it: wg pubkey < services-private.key",
    WIREGUARD[4]: "make it with wg genpsk",
}


def public_key(private: str) -> str:
    """What `wg pubkey` prints for a private key in base64."""
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def _is_missing(value: object) -> bool:
    return not isinstance(value, str) or not value.strip() or value.startswith(PLACEHOLDER)


def wireguard_problems(vault: Mapping[str, Any]) -> list[str]:
    """What is wrong with the five keys: form, derivation, one used twice."""
    problems = []
    for name in WIREGUARD:
        value = vault.get(name)
        if _is_missing(value):
            problems.append(f"{name} is not set: {HOW_TO_MAKE[name]}, and put it into group_vars/vault.yml.")
        elif not KEY.fullmatch(str(value).strip()):
            problems.append(
                f"{name} is not a key: it has {len(str(value).strip())} characters, and a key is 32 bytes in base64, "
                f"44 characters; {HOW_TO_MAKE[name]}."
            )
    good = {name: str(vault[name]).strip() for name in WIREGUARD if not any(p.startswith(name + " ") for p in problems)}
    for private, public in PAIRS:
        if private in good and public in good and public_key(good[private]) != good[public]:
            problems.append(f"{public} does not derive from {private}: {HOW_TO_MAKE[public]}.")
    names = sorted(good)
    for index, name in enumerate(names):
        problems += [
            f"{name} and {other} are one and the same key: make each for itself."
            for other in names[index + 1 :]
            if good[name] == good[other]
        ]
    return problems


def password_problems(vault: Mapping[str, Any]) -> list[str]:
    """What is wrong with the passwords."""
    problems = []
    for name in PASSWORDS:
        value = vault.get(name)
        if _is_missing(value):
            problems.append(
                f"{name} is not set: make one with openssl rand -hex 32, and put it into group_vars/vault.yml."
            )
        elif not value.isprintable() or value.strip() != value:
            problems.append(f"{name} has a line's end or spaces around it: a password is one line.")
        elif name == "vault_redis_password" and re.search(r"[\s\"'\\]", value):
            problems.append(f"{name} has a space, a quote or a backslash, which Redis takes for its own: leave it out.")
    return problems


def tls_problems(vault: Mapping[str, Any]) -> list[str]:
    """What is wrong with the certificate and its key."""
    missing = [name for name in TLS if _is_missing(vault.get(name))]
    if missing:
        return [f"{name} is not set: put it, in PEM, into group_vars/vault.yml." for name in missing]
    try:
        certificate = x509.load_pem_x509_certificates(str(vault[TLS[0]]).encode())[0]
    except ValueError:
        return [f"{TLS[0]} is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----, the site's own first."]
    try:
        key = load_pem_private_key(str(vault[TLS[1]]).encode(), None)
    except (ValueError, TypeError):
        return [f"{TLS[1]} is no private key in PEM, or it has a passphrase: nginx needs one without."]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return [f"{TLS[0]} does not belong to {TLS[1]}: put in the two that were made together."]
    return []


def vault_problems(vault: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with the vault."""
    return wireguard_problems(vault) + password_problems(vault) + tls_problems(vault)


# --- settings ------------------------------------------------------------------------------------


def host_problems(host: Mapping[str, Any]) -> list[str]:
    """Whether a host has one part to play, from `name`, `profile`, `groups` (group to hosts)."""
    name, profile, groups = host["name"], host.get("profile"), host["groups"]
    problems = [
        f"group {group} has {len(groups.get(group, []))} hosts and needs one: each end of the tunnel has its own key."
        for group in ("web_servers", "services_servers")
        if len(groups.get(group, [])) != 1
    ]
    parts = [part for part in ("web", "services") if name in groups.get(f"{part}_servers", [])]
    if len(parts) != 1:
        where = "both web_servers and services_servers" if parts else "neither web_servers nor services_servers"
        problems.append(f"host {name} is in {where}: put it into one of the two groups.")
    if profile not in ("web", "services"):
        problems.append(f"docker_compose_profile of {name} is {profile!r}: write web or services.")
    elif len(parts) == 1 and profile != parts[0]:
        problems.append(
            f"docker_compose_profile of {name} is {profile}, but the host is in {parts[0]}_servers: "
            f"correct the one or the other."
        )
    return problems


def _is_address(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_number(low: int, high: int) -> Callable[[str], bool]:
    return lambda value: value.isdecimal() and low <= int(value) <= high


def _is_one_of(*words: str) -> Callable[[str], bool]:
    return lambda value: value in words


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

_ENDPOINT = re.compile(_NAME.pattern + r":\d+")

# Each setting of .env that has a form: whether a value has it, and the form in words.
FORMS: dict[str, tuple[Callable[[str], bool], str]] = {
    "WG_SERVICES_ENDPOINT": (
        lambda value: bool(_ENDPOINT.fullmatch(value)) and _is_number(1, 65535)(value.rpartition(":")[2]),
        "ADDRESS:PORT of the services server as the web server reaches it, such as 203.0.113.11:51820",
    ),
    "DATABASE_HOST": (_is_address, "MariaDB's IPv4 address (it is forwarded to, so that a name would not do)"),
    "DATABASE_PORT": (_is_number(1, 65535), "a port"),
    "HTTPS_PORT": (_is_number(1, 65535), "a port"),
    "WG_PORT": (_is_number(1, 65535), "a port"),
    "WG_MTU": (_is_number(576, 9000), "a number from 576 to 9000"),
    "WG_IMPLEMENTATION": (_is_one_of("auto", "kernel", "userspace"), "auto, kernel or userspace"),
    "WG_IPTABLES": (
        _is_one_of("auto", "nft"),
        "auto or nft (legacy takes the capability NET_RAW, which docker-compose.prod.yml does not give)",
    ),
    "WG_PERSISTENT_KEEPALIVE": (_is_number(1, 65535), "seconds, from 1 (without it the tunnel falls asleep)"),
    "SERVER_NAME": (lambda value: bool(_NAME.fullmatch(value)), "the site's name, such as www.example.org"),
    "SERVICES_BIND_ADDRESS": (_is_address, "an IPv4 address of the server, 127.0.0.1 unless there is a reason"),
    "SECRETS_UID": (_is_number(1, 65535), "the uid that the images run as, 999"),
}  # fmt: skip


def environment_problems(environment: Mapping[str, Any]) -> list[str]:
    """What is wrong with what is to stand in .env."""
    problems = []
    for name, raw in environment.items():
        value = str(raw)
        fits, form = FORMS.get(name, (bool, "a value"))
        if re.search(r"['\n\r]", value):
            problems.append(
                f"{name} in .env would hold a quote or a line's end: leave it out of the variable that it comes from."
            )
        elif not fits(value):
            problems.append(f"{name} in .env would be {value!r}: it has to be {form}; see group_vars/all/vars.yml.")
    return problems


def images_problems(images: Mapping[str, Any]) -> list[str]:
    """What is wrong with `images_from` and `images_archive`."""
    source, archive = images.get("from"), images.get("archive") or ""
    if source not in ("server", "registry", "archive"):
        return [f"images_from is {source!r}: write server, registry or archive."]
    if source == "archive" and not os.path.isfile(archive):
        return [
            f"images_archive is {archive!r}, and there is no such file here: make it with docker save -o FILE IMAGE..."
        ]
    return []


# --- what the servers say -------------------------------------------------------------------------


def keys_report(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What `site_keys` saw on one host: `problems`, sentences that name it, and `well`, a line where there are none."""
    name, found = variables["inventory_hostname"], variables.get("site_keys", {})
    if found.get("unreachable") or "deployed" not in found:
        reason = found.get("msg", "it was not asked")
        return {"problems": [f"{name} was not seen, so its keys are not known to be right: {reason}"], "well": ""}
    if not found["deployed"]:
        return {"problems": [], "well": f"{name}: not deployed yet, so there is nothing to compare."}
    problems = [f"{name}: {problem}" for problem in found["problems"]]
    return {
        "problems": problems,
        "well": "" if problems else f"{name}: files and running interface have the vault's keys.",
    }


# A tunnel with keepalive shakes hands every two minutes; after three it is down.
OLDEST_HANDSHAKE = 180


def rotation_obstacles(hosts: Sequence[Mapping[str, Any]], present: Sequence[str]) -> list[str]:
    """Why both ends of the tunnel cannot be given new keys while it runs."""
    problems = []
    for variables in hosts:
        name, found = variables["inventory_hostname"], variables.get("site_keys", {})
        if name not in present:
            problems.append(f"{name} is not part of this run: keys are rotated on both ends, leave --limit out.")
        elif found.get("unreachable") or "deployed" not in found:
            problems.append(f"{name} was not reached: {found.get('msg', 'it did not answer')}")
        elif not found["running"]:
            problems.append(
                f"{name} has no running gateway: start the site first, playbooks/deploy.yml; it also takes new keys."
            )
    if problems:
        return problems
    # Where an end has the new keys already, an earlier run was cut off, and the tunnel is down until both have them.
    if any(not variables["site_keys"]["interface_problems"] for variables in hosts):
        return []
    return [
        f"{variables['inventory_hostname']} has seen no handshake within {OLDEST_HANDSHAKE} s, so that nothing would "
        "prove the new keys: mend the tunnel first, or give it the new keys with playbooks/deploy.yml."
        for variables in hosts
        if (age := variables["site_keys"]["handshake_age"]) is None or age > OLDEST_HANDSHAKE
    ]


def rotation_report(variables: Mapping[str, Any]) -> str:
    """Why one end did not switch; empty if it did."""
    name, result = variables["inventory_hostname"], variables.get("site_step_result", {})
    if result.get("switched"):
        return ""
    return f"{name} did not switch: {result.get('reason') or result.get('msg') or 'it was not reached'}."


def rotation_leftover(variables: Mapping[str, Any], step: str) -> str:
    """What the step after the switch has left undone on one server; empty if nothing."""
    name, result = variables["inventory_hostname"], variables.get("site_step_result", {})
    if not (result.get("unreachable") or result.get("failed")):
        return ""
    state = {
        "keep": "its gateway has the new keys, and its files may have the old ones, which a restart would bring back",
        "put_back": "its gateway may still have the new keys",
    }[step]
    return f"{name}: {state}; run this again ({result.get('msg') or 'it was not reached'})."


# --- files ---------------------------------------------------------------------------------------


def services_of(compose: str, profiles: Sequence[str]) -> list[str]:
    """The services that the text of a compose file has in one of these profiles."""
    # Not by Ansible's own from_yaml, which takes an override of a merged key for a duplicate and warns.
    services = yaml.safe_load(compose)["services"]
    return sorted(name for name, service in services.items() if set(service.get("profiles", [])) & set(profiles))


def env_file(environment: Mapping[str, Any]) -> str:
    """The text of .env: in single quotes, so that Compose takes every value as it stands."""
    return "".join(f"{name}='{value}'\n" for name, value in environment.items())


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "wireguard_public_key": public_key,
            "site_wireguard_problems": wireguard_problems,
            "site_vault_problems": vault_problems,
            "site_host_problems": host_problems,
            "site_environment_problems": environment_problems,
            "site_images_problems": images_problems,
            "site_keys_report": keys_report,
            "site_rotation_obstacles": rotation_obstacles,
            "site_rotation_report": rotation_report,
            "site_rotation_leftover": rotation_leftover,
            "site_services_of": services_of,
            "site_env_file": env_file,
        }
