"""`python -m harness doctor --compose`: what is wrong before anything was started, by the real compose file."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli, configured, keys
from harness.diagnosis.evidence import load
from harness.diagnosis.judgement import HEALTHY, judge
from harness.errors import ConfigurationError

from .conftest import ROOT

COMPOSE = ROOT / "compose" / "docker-compose.yml"
WEB_ENVIRONMENT = "DATABASE_HOST: 10.100.0.11\n"

Judge = Callable[..., tuple[int, dict[str, Any]]]
Edit = tuple[str, str]


@pytest.fixture
def environment(tmp_path: Path, key_directory: Path) -> Path:
    """An environment file that names a directory with sound keys; passwords are not there yet."""
    path = tmp_path / "deployment.env"
    path.write_text(f"SECRETS_DIR={key_directory}\n", encoding="utf-8")
    return path


@pytest.fixture
def doctor(
    compose_cli: None,  # noqa: ARG001 (skips without it)
    tmp_path: Path,
    environment: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Judge:
    """Judge a copy of the compose file in which texts were replaced, each of which has to be there."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def judged(*edits: Edit, files: tuple[Path, ...] = (), words: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        text = COMPOSE.read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text, f"the compose file has no {old!r}"
            text = text.replace(old, new, 1)
        copy = tmp_path / "docker-compose.yml"
        copy.write_text(text, encoding="utf-8")
        named = [each for word in words for each in ("--map", word)]
        status = cli.main(
            ["doctor", "--compose", str(copy), *map(str, files), "--env-file", str(environment), *named, "--json"]
        )
        captured = capsys.readouterr()
        assert captured.err == ""
        document: dict[str, Any] = json.loads(captured.out)
        return status, document

    return judged


def roots(document: dict[str, Any]) -> set[str]:
    """The rules that name a root cause."""
    return {finding["rule"] for finding in document["findings"] if finding["root"]}


def test_the_real_compose_file_is_healthy(doctor: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is committed: exit 0, nothing found, and no hop judged, for nothing was tried; people are told so too."""
    status, document = doctor()
    assert (status, document["status"]) == (0, "healthy")
    assert (document["findings"], document["hops"], document["unknown"]) == ([], [], [])
    assert document["layout"] == "configuration"
    assert cli.main(["doctor", "--compose", str(COMPOSE)]) == 0
    assert capsys.readouterr().out == "healthy\n\nthis is the configuration alone: nothing of it was tried\n"


@pytest.mark.usefixtures("compose_cli")
def test_every_plan_is_healthy(tmp_path: Path) -> None:
    """Shifted networks fit together as plan 0's do."""
    path = tmp_path / "plan.env"
    for plan in (1, 99):
        path.write_text(f"PLAN={plan}\nCONTAINER_PREFIX=plan{plan}-\n", encoding="utf-8")
        diagnosis = judge(configured.snapshot(configured.read([COMPOSE], path)))
        assert (diagnosis.status, diagnosis.findings) == (HEALTHY, ())


_FORWARDS = '"3306:tcp:10.101.${PLAN:-0}.2 6379:tcp:10.101.${PLAN:-0}.4 8001:tcp:10.101.${PLAN:-0}.5"'
_SERVICES_NET = (
    '{subnet: "10.101.${PLAN:-0}.0/24", ip_range: "10.101.${PLAN:-0}.128/25", gateway: "10.101.${PLAN:-0}.1"}'
)
_MARIADB_NET = '      services-net: {ipv4_address: "10.101.${PLAN:-0}.2"}\n'
_ALIASED = _MARIADB_NET.replace("}\n", ", aliases: [db]}\n", 1)
_SERVICES_NETWORKS = '    networks:\n      services-net: {ipv4_address: "10.101.${PLAN:-0}.5"}\n'
_SESSIONS_NETWORK = "tunnel-net: {ipv4_address: 172.20.0.9}\n"
_BACK_KEYS = "      - {source: preshared_key, target: wg_preshared_key}\n    networks:\n      services-net"
_WEB_NAMESPACE = '    network_mode: "service:wireguard-web"\n'
_WEB_GATEWAY_NETWORK = '      tunnel-net: {ipv4_address: "172.20.${PLAN:-0}.2"}\n'

_EXPORTER_LOG = "service_started, restart: true}\n    environment:\n      LOG_FORMAT: ${LOG_FORMAT:-text}\n"

ONE_CHANGE: dict[str, tuple[str, list[Edit]]] = {
    "services-net has the tunnel's subnet": (
        "subnet-overlap",
        [(_SERVICES_NET, '{subnet: "10.100.0.0/24"}')],
    ),
    "web has a network of its own": (
        "app-outside-gateway",
        [(_WEB_NAMESPACE, "    networks: [tunnel-net]\n")],
    ),
    "services shares its gateway's namespace": (
        "app-inside-gateway",
        [
            ('    ports: ["127.0.0.1:${SERVICES_PORT:-8001}:8001"]\n', ""),
            (_SERVICES_NETWORKS, '    network_mode: "service:wireguard-services"\n'),
        ],
    ),
    "services shares its gateway's namespace by the name of the container": (
        "app-inside-gateway",
        [
            ("container_name: ${CONTAINER_PREFIX:-}wireguard-services", "container_name: vpn-back"),
            ('    ports: ["127.0.0.1:${SERVICES_PORT:-8001}:8001"]\n', ""),
            (_SERVICES_NETWORKS, '    network_mode: "container:vpn-back"\n'),
        ],
    ),
    "web shares the other gateway's namespace": (
        "app-outside-gateway",
        [(_WEB_NAMESPACE, '    network_mode: "service:wireguard-services"\n')],
    ),
    "web shares a backend's namespace": (
        "app-outside-gateway",
        [(_WEB_NAMESPACE, '    network_mode: "service:mariadb"\n')],
    ),
    "services' gateway is not on services-net": (
        "network-missing",
        [('      services-net: {ipv4_address: "10.101.${PLAN:-0}.3"}\n', "")],
    ),
    "services' gateway is not on tunnel-net": (
        "network-missing",
        [('      tunnel-net: {ipv4_address: "172.20.${PLAN:-0}.3"}\n', "")],
    ),
    "services is on tunnel-net alone": ("network-missing", [(_SERVICES_NETWORKS, "    networks: [tunnel-net]\n")]),
    "services' gateway is not given the preshared key": (
        "secret-unreadable",
        [(_BACK_KEYS, _BACK_KEYS.replace("      - {source: preshared_key, target: wg_preshared_key}\n", ""))],
    ),
    "services' gateway is not given its private key": (
        "secret-unreadable",
        [("      - {source: services_private_key, target: wg_private_key}\n", "")],
    ),
    "web is not given the database's password": (
        "secret-unreadable",
        [("  web:\n    <<: *app\n", "  web:\n    <<: *app\n    secrets: [django_secret_key]\n")],
    ),
    "MariaDB's port is not forwarded": ("forward-rule-missing", [("3306:tcp:10.101.${PLAN:-0}.2 ", "")]),
    "nothing is forwarded": ("forward-rule-missing", [(f"WG_FORWARD_PORTS: {_FORWARDS}", 'WG_FORWARD_PORTS: ""')]),
    "MariaDB's port leads to nobody": (
        "forward-rule-wrong-destination",
        [("3306:tcp:10.101.${PLAN:-0}.2", "3306:tcp:10.101.0.9")],
    ),
    "MariaDB's port leads to Redis": (
        "forward-rule-wrong-destination",
        [("3306:tcp:10.101.${PLAN:-0}.2", "3306:tcp:10.101.0.4")],
    ),
    "MariaDB's port is forwarded for udp": ("forward-rule-wrong-protocol", [("3306:tcp:", "3306:udp:")]),
    "an entry has dashes": ("forward-setting-malformed", [("3306:tcp:", "3306-tcp-")]),
    "an entry has a name": ("forward-setting-malformed", [("6379:tcp:10.101.${PLAN:-0}.4", "6379:tcp:redis")]),
    "a port is declared twice": ("forward-setting-malformed", [("8001:tcp:", "3306:tcp:10.101.0.2 8001:tcp:")]),
    "MariaDB is published": ("port-exposed", [(_MARIADB_NET, _MARIADB_NET + '    ports: ["3306:3306"]\n')]),
    "Redis is published for all IPv6": (
        "port-exposed",
        [
            (
                '      services-net: {ipv4_address: "10.101.${PLAN:-0}.4"}\n',
                '      services-net: {ipv4_address: "10.101.${PLAN:-0}.4"}\n    ports: ["[::]:6379:6379"]\n',
            )
        ],
    ),
    "web is told DB_HOST": ("setting-misnamed", [(WEB_ENVIRONMENT, "DB_HOST: 10.100.0.11\n")]),
    "WG_FORWARD_PORT": ("setting-misnamed", [("WG_FORWARD_PORTS:", "WG_FORWARD_PORT:")]),
    "WG_PEER_ALLOWED_IP": ("setting-misnamed", [("WG_PEER_ALLOWED_IPS:", "WG_PEER_ALLOWED_IP:")]),
    "web is not told the database's host": ("setting-missing", [(f"      {WEB_ENVIRONMENT}", "")]),
    "services' gateway is not told its address": ("setting-missing", [("      WG_ADDRESS: 10.100.0.11/24\n", "")]),
    "the database's port has a letter": ("setting-malformed", [("${DATABASE_PORT:-3306}", "33O6")]),
    "a tunnel address has no prefix length": ("setting-malformed", [("10.100.0.11/24", "10.100.0.11")]),
    "the database's host has a port": (
        "setting-malformed",
        [(WEB_ENVIRONMENT, "DATABASE_HOST: 10.100.0.11:3306\n")],
    ),
    "the database's host is a URL": ("setting-malformed", [(WEB_ENVIRONMENT, "DATABASE_HOST: http://10.100.0.11\n")]),
    "the broker is another program": (
        "setting-malformed",
        [("redis://10.100.0.11:6379/0", "amqp://10.100.0.11:6379/0")],
    ),
    "the broker's database has a name": (
        "setting-malformed",
        [("redis://10.100.0.11:6379/0", "redis://10.100.0.11:6379/abc")],
    ),
    "a log format that there is not": ("setting-malformed", [("${LOG_FORMAT:-text}", "xml")]),
    "an exporter has a log format that there is not": (
        "setting-malformed",
        [
            (_EXPORTER_LOG, _EXPORTER_LOG.replace("${LOG_FORMAT:-text}", "xml")),
        ],
    ),
    "web looks for the database in its own namespace": (
        "setting-contradicted",
        [(WEB_ENVIRONMENT, "DATABASE_HOST: localhost\n")],
    ),
    "web looks for the database at its gateway": (
        "setting-contradicted",
        [(WEB_ENVIRONMENT, "DATABASE_HOST: wireguard-web\n")],
    ),
    "web looks for the database at IPv6's loopback": (
        "setting-contradicted",
        [(WEB_ENVIRONMENT, 'DATABASE_HOST: "::1"\n')],
    ),
    "services and celery look for the database in themselves": (
        "setting-contradicted",
        [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "localhost")],
    ),
    "services and celery look for the database in services": (
        "setting-contradicted",
        [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "services")],
    ),
    "celery looks for the broker in itself": (
        "setting-contradicted",
        [("redis://10.101.${PLAN:-0}.4:6379/0", "redis://localhost:6379/0")],
    ),
    "a broker's URL has no host": ("setting-malformed", [("redis://10.100.0.11:6379/0", "redis://:6379/0")]),
    "web is told the backend's own address": (
        "setting-contradicted",
        [(WEB_ENVIRONMENT, "DATABASE_HOST: 10.101.0.2\n")],
    ),
    "services and celery are told what web is": (
        "setting-contradicted",
        [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "10.100.0.11")],
    ),
    "web is told a port that is not forwarded": (
        "setting-contradicted",
        [(WEB_ENVIRONMENT, f'{WEB_ENVIRONMENT}      DATABASE_PORT: "3307"\n')],
    ),
    "web is told a backend's name": ("name-unresolvable", [(WEB_ENVIRONMENT, "DATABASE_HOST: mariadb\n")]),
    "web is told an alias that a backend has on another network": (
        "name-unresolvable",
        [(WEB_ENVIRONMENT, "DATABASE_HOST: db\n"), (_MARIADB_NET, _ALIASED)],
    ),
    "web is told the name of a backend's container": (
        "name-unresolvable",
        [
            (WEB_ENVIRONMENT, "DATABASE_HOST: shop-mariadb\n"),
            ("container_name: ${CONTAINER_PREFIX:-}mariadb", "container_name: shop-mariadb"),
        ],
    ),
    "services is told a name that nobody has": (
        "name-unresolvable",
        [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "mariasql")],
    ),
    "the endpoint is a name that nobody has": (
        "name-unresolvable",
        [("172.20.${PLAN:-0}.3:51820", "wireguard-service:51820")],
    ),
    "the endpoint is the gateway's own name": (
        "endpoint-wrong",
        [("172.20.${PLAN:-0}.3:51820", "wireguard-web:51820")],
    ),
    "the broker is told by its name": ("name-unresolvable", [("redis://10.100.0.11:6379/0", "redis://redis:6379/0")]),
    "the endpoint is nobody's address": ("endpoint-wrong", [("172.20.${PLAN:-0}.3:51820", "172.20.0.9:51820")]),
    "the endpoint has another port": ("endpoint-wrong", [("172.20.${PLAN:-0}.3:51820", "172.20.0.3:51821")]),
    "web allows another address": (
        "allowed-ips-missing",
        [("WG_PEER_ALLOWED_IPS: 10.100.0.11/32", "WG_PEER_ALLOWED_IPS: 10.100.0.12/32")],
    ),
    "services allows another network": (
        "allowed-ips-missing",
        [("WG_PEER_ALLOWED_IPS: 10.100.0.10/32", "WG_PEER_ALLOWED_IPS: 10.1.0.0/16")],
    ),
    "both ends have one address": (
        "address-duplicated",
        [("WG_ADDRESS: 10.100.0.11/24", "WG_ADDRESS: 10.100.0.10/24")],
    ),
    "Redis has MariaDB's address": (
        "address-duplicated",
        [('services-net: {ipv4_address: "10.101.${PLAN:-0}.4"}', 'services-net: {ipv4_address: "10.101.0.2"}')],
    ),
    "gateways lack NET_ADMIN": ("capability-missing", [("  cap_add: [NET_ADMIN]\n", "")]),
    "web's gateway is on services-net": (
        "tunnel-bypassed",
        [(_WEB_GATEWAY_NETWORK, f"{_WEB_GATEWAY_NETWORK}      services-net: {{}}\n")],
    ),
    "forwarding is switched off": ("forwarding-disabled", [("net.ipv4.ip_forward: 1", "net.ipv4.ip_forward: 0")]),
}


@pytest.mark.parametrize("change", ONE_CHANGE)
def test_one_change_is_named_before_anything_starts(doctor: Judge, change: str) -> None:
    """One thing changed in the compose file: its rule is the only root, with lines of evidence, and the exit is 1."""
    rule, edits = ONE_CHANGE[change]
    status, document = doctor(*edits)
    assert roots(document) == {rule}, document["findings"]
    assert (status, document["status"]) == (1, "faulty")
    assert all(finding["evidence"] and finding["remedy"] for finding in document["findings"])


FINE: dict[str, list[Edit]] = {
    "the endpoint is a name": [("172.20.${PLAN:-0}.3:51820", "wireguard-services:51820")],
    "web shares its gateway's namespace by the name of the container": [
        ("container_name: ${CONTAINER_PREFIX:-}wireguard-web", "container_name: vpn-front"),
        (_WEB_NAMESPACE, '    network_mode: "container:vpn-front"\n'),
    ],
    "web has its password by a volume": [
        (
            "  web:\n    <<: *app\n",
            "  web:\n    <<: *app\n    secrets: [django_secret_key]\n    volumes: ['/srv/keys:/run/secrets:ro']\n",
        )
    ],
    "services finds MariaDB by its name": [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "mariadb")],
    "services finds MariaDB by an alias": [("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "db"), (_MARIADB_NET, _ALIASED)],
    "services finds MariaDB by the name of its container, however it is written": [
        ("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "Shop-MariaDB"),
        ("container_name: ${CONTAINER_PREFIX:-}mariadb", "container_name: shop-mariadb"),
    ],
    "services was told where the database is": [
        ("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "ledger"),
        (_SERVICES_NETWORKS, f'{_SERVICES_NETWORKS}    extra_hosts: ["ledger:10.101.0.2"]\n'),
        ("    command: [celery]\n", '    command: [celery]\n    extra_hosts: ["ledger=10.101.0.2"]\n'),
    ],
    "others are asked for names": [
        ("${DATABASE_HOST:-10.101.${PLAN:-0}.2}", "ledger"),
        (_SERVICES_NETWORKS, f"{_SERVICES_NETWORKS}    dns: [10.101.0.53]\n"),
        ("    command: [celery]\n", "    command: [celery]\n    dns_search: [shop.example]\n"),
    ],
    "a proxy beside web leads on": [
        (WEB_ENVIRONMENT, "DATABASE_HOST: localhost\n"),
        (
            "  redis:\n    <<: *service\n",
            f"  proxy:\n    image: proxysql\n{_WEB_NAMESPACE}  redis:\n    <<: *service\n",
        ),
    ],
    "another image has log formats and brokers of its own": [
        ("${WEB_IMAGE:-wireguard-harness/app:local}", "shop/web"),
        (WEB_ENVIRONMENT, f"{WEB_ENVIRONMENT}      LOG_FORMAT: logfmt\n"),
        ("redis://10.100.0.11:6379/0", "redis+socket://10.100.0.11:6379/shop"),
    ],
    "the endpoint is a name with a dot": [("172.20.${PLAN:-0}.3:51820", "vpn.example.org:51820")],
    "a port more is forwarded": [("8001:tcp:", "9000:udp:10.101.0.9 8001:tcp:")],
    "MariaDB is published on loopback": [(_MARIADB_NET, _MARIADB_NET + '    ports: ["127.0.0.1:3306:3306"]\n')],
    "a wider network is allowed": [
        ("WG_PEER_ALLOWED_IPS: 10.100.0.10/32", 'WG_PEER_ALLOWED_IPS: "10.100.0.0/24, 10.9.0.0/16"')
    ],
    "web has settings of its own": [(WEB_ENVIRONMENT, f"{WEB_ENVIRONMENT}      DEBUG: '1'\n")],
    "web's broker is a Redis beside it": [
        ("redis://10.100.0.11:6379/0", "redis://172.20.0.9:6379/0"),
        (
            "  redis:\n    <<: *service\n",
            f"  sessions:\n    image: redis:7\n    networks:\n      {_SESSIONS_NETWORK}  redis:\n    <<: *service\n",
        ),
    ],
    "NET_ADMIN is written in small letters": [("cap_add: [NET_ADMIN]", "cap_add: [net_admin]")],
    "wireguard-go is left out where the kernel has WireGuard": [("  devices: [/dev/net/tun]\n", "")],
}


@pytest.mark.parametrize("change", FINE)
def test_a_change_that_is_none_of_that_is_healthy(doctor: Judge, change: str) -> None:
    """The nearest neighbours of the faults above."""
    status, document = doctor(*FINE[change])
    assert (status, document["findings"], document["unknown"]) == (0, [], [])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ((WEB_ENVIRONMENT, 'DATABASE_HOST: "fd00::1"\n'), "DATABASE_HOST of web could not be seen: fd00::1 is an"),
        (
            ("redis://10.100.0.11:6379/0", "redis://[fd00::1]/0"),
            "CELERY_BROKER_URL of web could not be seen: fd00::1 is",
        ),
        (
            ("WG_PEER_ENDPOINT: 172.20.${PLAN:-0}.3:51820", 'WG_PEER_ENDPOINT: "[fd00::3]:51820"'),
            "WG_PEER_ENDPOINT of wireguard-web could not be seen: [fd00::3]:51820 is an address of IPv6",
        ),
    ],
    ids=["the database's host", "the broker's host", "the endpoint"],
)
def test_an_address_of_ipv6_is_unknown(doctor: Judge, edit: Edit, said: str) -> None:
    """It may well be right, and nobody judges ways of IPv6."""
    status, document = doctor(edit)
    assert (status, document["findings"]) == (2, [])
    assert document["unknown"][0].startswith(said)
    port = [(old, new.replace("51820", "51821")) for old, new in [edit]]
    if "51820" in edit[1]:
        assert roots(doctor(*port)[1]) == {"endpoint-wrong"}


def test_what_only_a_profile_starts_is_judged_too(doctor: Judge) -> None:
    """Profiles part a deployment over servers: both sides have to agree, whichever is started here."""
    profiled = "    profiles: [elsewhere]\n"
    edits = [("  mariadb:\n", f"  mariadb:\n{profiled}"), ("      mariadb: {condition: service_healthy}\n", "")]
    assert doctor(*edits)[0] == 0
    _, document = doctor(*edits, (_MARIADB_NET, f'{_MARIADB_NET}    ports: ["3306:3306"]\n'))
    assert roots(document) == {"port-exposed"}


@pytest.mark.parametrize("told", ["DB_HOST: 10.100.0.11\n", "DATABSE_HOST: 10.100.0.11\n"])
def test_a_misspelt_setting_of_a_mapped_service_is_missing(doctor: Judge, told: str) -> None:
    """What its own names mean nobody knows; that it is not told where the database is all the same."""
    renamed = [("  web:\n    <<: *app\n", "  shop:\n    <<: *app\n"), (WEB_ENVIRONMENT, told)]
    status, document = doctor(*renamed, words=("web=shop",))
    assert (status, roots(document)) == (1, {"setting-missing"})
    (finding,) = document["findings"]
    assert "or say by --map what it is called there" in finding["remedy"]


# --- keys and passwords


def test_sound_keys_are_healthy_and_stay_secret(doctor: Judge, key_directory: Path) -> None:
    """Key files are looked at, and nothing of the secret ones is in what is printed."""
    secrets = keys.read(key_directory).secrets()
    _, document = doctor()
    assert document["status"] == "healthy"
    (key_directory / keys.SERVICES_PUBLIC).write_text(keys.KeyPair.generate().public, encoding="ascii")
    _, document = doctor()
    assert document["findings"]
    assert not [secret for secret in secrets if secret in json.dumps(document)]


def test_a_public_key_that_does_not_derive_is_named(doctor: Judge, key_directory: Path) -> None:
    """The classic: a public key that a second `wg genkey` made. Both keys are shown, for they are public."""
    other = keys.KeyPair.generate().public
    (key_directory / keys.SERVICES_PUBLIC).write_text(f"{other}\n", encoding="ascii")
    status, document = doctor()
    assert (status, roots(document)) == (1, {"peer-key-mismatch"})
    (finding,) = document["findings"]
    assert finding["node"] == "wireguard-web"
    assert other in finding["cause"]
    assert keys.read(key_directory).services.public == other
    assert keys.derive_public(keys.read(key_directory).services.private) in finding["cause"]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        (keys.SERVICES_PRIVATE, "", "private-key-invalid"),
        (keys.SERVICES_PRIVATE, "c2hvcnQ=", "private-key-invalid"),
        (keys.WEB_PRIVATE, "not a key at all", "private-key-invalid"),
        (keys.WEB_PUBLIC, "not a key at all", "key-file-invalid"),
        (keys.SERVICES_PUBLIC, "", "key-file-invalid"),
        (keys.PRESHARED, "c2hvcnQ=", "key-file-invalid"),
    ],
)
def test_a_key_that_is_none_is_named(doctor: Judge, key_directory: Path, name: str, content: str, rule: str) -> None:
    """Empty, too short, no base64: by the file's meaning, without its content."""
    (key_directory / name).write_text(content, encoding="ascii")
    status, document = doctor()
    assert (status, roots(document)) == (1, {rule}), document["findings"]
    assert "public" in name or not content or content not in json.dumps(document)


def test_one_key_pair_for_both_ends_is_named(doctor: Judge, key_directory: Path) -> None:
    """Both private keys are one, whatever the public ones are."""
    for kind in ("private", "public"):
        (key_directory / f"services-{kind}.key").write_bytes((key_directory / f"web-{kind}.key").read_bytes())
    status, document = doctor()
    assert (status, roots(document)) == (1, {"key-reused"})


def test_a_gateway_that_is_its_own_peer_is_named(doctor: Judge) -> None:
    """Services' gateway is given services' public key."""
    edit = (
        "{source: web_public_key, target: wg_peer_public_key}",
        "{source: services_public_key, target: wg_peer_public_key}",
    )
    status, document = doctor(edit)
    assert (status, roots(document)) == (1, {"peer-key-is-own"})


def test_a_preshared_key_on_one_side_only_is_named(doctor: Judge, tmp_path: Path) -> None:
    """One gateway is not told of it."""
    overlay = tmp_path / "overlay.yml"
    overlay.write_text(
        "services: {wireguard-web: {environment: {WG_PRESHARED_KEY_FILE: !reset null}}}\n", encoding="utf-8"
    )
    status, document = doctor(files=(overlay,))
    assert (status, roots(document)) == (1, {"preshared-key-mismatch"})


def test_keys_that_are_not_made_yet_are_no_fault(doctor: Judge, key_directory: Path) -> None:
    """Keys are made at deployment, by whoever has them: a configuration is judged without."""
    for path in key_directory.iterdir():
        path.unlink()
    assert doctor()[0] == 0


def test_no_secret_of_a_configuration_is_shown(doctor: Judge, tmp_path: Path, environment: Path) -> None:
    """Passwords in settings, URLs and commands are in neither the findings nor the evidence they are judged by.

    Nor is one of them where nobody looks for it, such as another service's ordinary setting.
    """
    edits = [
        ("MARIADB_ROOT_HOST: localhost", "MARIADB_ROOT_HOST: hunter2-hunter2"),
        (WEB_ENVIRONMENT, f"{WEB_ENVIRONMENT}      DATABASE_PASSWORD: hunter2-hunter2\n"),
        ("redis://10.100.0.11:6379/0", "redis://:broker-pass-word@redis:63x79/0"),
        ('--protected-mode, "no"', '--requirepass, server-pass-word, --protected-mode, "no"'),
    ]
    _, document = doctor(*edits)
    assert "setting-malformed" in roots(document)
    copy = tmp_path / "docker-compose.yml"
    bundle = configured.snapshot(configured.read([copy], environment)).to_json()
    for shown in (json.dumps(document), bundle):
        for secret in ("hunter2", "broker-pass-word", "server-pass-word"):
            assert secret not in shown
    path = tmp_path / "bundle.json"
    path.write_text(bundle, encoding="utf-8")
    assert judge(load(path)).roots == roots(document)


# --- what is no configuration


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: [", "compose cannot read"),
        ("", "compose cannot read"),
        ("services: {a: {image: 7, x: }}", "compose cannot read"),
    ],
)
@pytest.mark.usefixtures("compose_cli")
def test_a_file_that_is_no_compose_file_is_unknown(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    said: str,
) -> None:
    """What compose cannot read is exit 2 with what compose says, never health."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    path = tmp_path / "broken.yml"
    path.write_text(text, encoding="utf-8")
    assert cli.main(["doctor", "--compose", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.match(f"unknown: {said} {path}", captured.err)


def test_a_configuration_without_a_gateway_is_not_healthy() -> None:
    """Some other project's file, with nothing that this doctor knows: there is nothing that could be well."""
    others: tuple[dict[str, Any], ...] = ({}, {"services": {}}, {"services": {"shop": {"image": "shop"}}})
    for configuration in others:
        diagnosis = judge(configured.snapshot(configuration))
        assert diagnosis.exit_code == 2
        assert diagnosis.unknown[0].startswith("no gateway and no application was recognised among the services (")


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Before compose is asked, which would not say which; an empty variable names none."""
    with pytest.raises(ConfigurationError, match="has no name: is a variable empty"):
        configured.read([Path()], None)
    for files, environment in (([tmp_path / "none.yml"], None), ([COMPOSE], tmp_path / "none.env")):
        with pytest.raises(ConfigurationError, match=r"there is no file .*none"):
            configured.read(files, environment)


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody else's, of whose files not even the mode can be seen."""
    folder, stat = tmp_path / "closed", Path.stat

    def refused(path: Path, **how: bool) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", refused)
    return folder


def test_files_that_cannot_be_looked_at_are_named(closed: Path) -> None:
    """They may be there: what is wrong is that this user cannot tell."""
    with pytest.raises(ConfigurationError, match=r"closed/compose.yml cannot be looked at: Permission denied"):
        configured.read([closed / "compose.yml"], None)


def test_a_secret_that_cannot_be_looked_at_is_passed_over(closed: Path) -> None:
    """As is one that is not there: it says nothing against the deployment."""
    configuration = {
        "services": {"gw": {"secrets": [{"source": "key"}]}},
        "secrets": {"key": {"file": str(closed / "key")}},
    }
    (node,) = configured.snapshot(configuration).nodes
    assert json.loads(node.pieces["secret-files"].text) == []


def test_an_environment_without_compose_files_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--env-file` belongs to `--compose`: alone it would be passed over in silence."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    assert cli.main(["doctor", "--env-file", "x"]) == 2
    assert "--compose" in capsys.readouterr().err


@pytest.mark.parametrize("plugin", ["unknown shorthand flag: 'f' in -f", "docker: 'compose' is not a docker command."])
def test_without_the_docker_command_or_its_plugin_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: str
) -> None:
    """No engine is needed, and yet something is."""
    file = tmp_path / "compose.yml"
    file.write_text("services: {web: {image: web}}", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot run docker.*; install the docker command \(docker-cli\)"):
        configured.read([file], None)
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "{plugin}" >&2\nexit 125\n', encoding="utf-8")
    docker.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"; install the docker command \(docker-cli\)"):
        configured.read([file], None)
