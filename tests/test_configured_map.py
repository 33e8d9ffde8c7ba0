"""`python -m harness doctor --compose FILE --map FILE`: somebody else's deployment, judged before it is started."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli, configured, rolemap
from harness.diagnosis.judgement import judge
from harness.errors import ConfigurationError

from .warehouse import CONFIGURATIONS, DEPOT, EXAMPLE, NOTEBOOK, PRESHARED, SHOP

Judge = Callable[..., tuple[int, dict[str, Any]]]
Edit = tuple[str, str]


@pytest.fixture
def doctor(
    compose_cli: None,  # noqa: ARG001 (skips without it)
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Judge:
    """Judge the example with sound keys, in whose files texts were replaced, each of which has to be there."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def judged(*edits: Edit, words: tuple[str, ...] = (f"{EXAMPLE}/harness.toml",)) -> tuple[int, dict[str, Any]]:
        texts = CONFIGURATIONS | {"compose.yml": (EXAMPLE / "compose.yml").read_text(encoding="utf-8")}
        for old, new in edits:
            assert any(old in text for text in texts.values()), f"nothing has {old!r}"
            texts = {name: text.replace(old, new, 1) for name, text in texts.items()}
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / "its.env").write_text(f"SECRETS={tmp_path}\n", encoding="utf-8")
        files = ["--compose", f"{tmp_path}/compose.yml", "--env-file", f"{tmp_path}/its.env"]
        status = cli.main(["doctor", *files, *(each for word in words for each in ("--map", word)), "--json"])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return status, document

    return judged


def roots(document: dict[str, Any]) -> set[str]:
    """The rules that name a root cause."""
    return {finding["rule"] for finding in document["findings"] if finding["root"]}


def test_the_example_is_healthy_by_its_map(doctor: Judge) -> None:
    """What its gateways are told stands in their wg0.conf, and the settings have the names that the map gives."""
    status, document = doctor()
    assert (status, document["findings"], document["unknown"]) == (0, [], [])


_FORWARD_GONE = ("PostUp = iptables -t nat -A PREROUTING -i %i -p tcp --dport 3306", "#")
_OWN_ADDRESS = ("LEDGER_HOST: 10.66.0.2", "LEDGER_HOST: 10.44.5.10")
_PRESHARED = (f"PresharedKey = {PRESHARED}\nAllowedIPs", "AllowedIPs")
_OWN_NETWORK = ('network_mode: "service:vpn-shop"', "networks: [transit]")

ONE_CHANGE: dict[str, tuple[str, Edit]] = {
    "a forward is gone": ("forward-rule-missing", _FORWARD_GONE),
    "a forward is of another interface": (
        "forward-rule-missing",
        ("%i -p tcp --dport 6380", "eth0 -p tcp --dport 6380"),
    ),
    "a forward leads to nobody": ("forward-rule-wrong-destination", ("10.44.5.11\n", "10.44.5.77\n")),
    "a peer may use another subnet": ("allowed-ips-missing", ("10.66.0.1/32", "10.67.0.0/29")),
    "the endpoint is nobody's": ("endpoint-wrong", ("192.168.77.20:41194", "192.168.77.21:41194")),
    "the peer's key is another one": ("peer-key-mismatch", (DEPOT.public, NOTEBOOK.public)),
    "an address has a mask that there is not": ("setting-malformed", ("10.66.0.2/29", "10.66.0.2/33")),
    "an address has a letter": ("setting-malformed", ("10.66.0.2/29", "10.66.0.2/29x, 10.66.0.3/29")),
    "no end has an endpoint": ("endpoint-missing", ("Endpoint = 192.168.77.20:41194\n", "")),
    "one end has no preshared key": ("preshared-key-mismatch", _PRESHARED),
    "shop is told the depot's own address": ("setting-contradicted", _OWN_ADDRESS),
    "shop has a network of its own": ("app-outside-gateway", _OWN_NETWORK),
    "forwarding is off": ("forwarding-disabled", ("net.ipv4.ip_forward: 1", "net.ipv4.ip_forward: 0")),
}


@pytest.mark.parametrize("change", ONE_CHANGE)
def test_one_change_is_named_before_anything_starts(doctor: Judge, change: str) -> None:
    """The same rules as of the documented deployment, and no key is shown."""
    rule, edit = ONE_CHANGE[change]
    status, document = doctor(edit)
    assert (status, roots(document)) == (1, {rule}), document["findings"]
    assert not [key for key in (SHOP.private, DEPOT.private, PRESHARED) if key in json.dumps(document)]


def test_an_address_of_ipv6_alone_is_unknown(doctor: Judge) -> None:
    """It is set, and sound, and nothing of IPv6 is judged; one beside an address of IPv4 changes nothing."""
    status, document = doctor(("10.66.0.2/29", "fd00::2/64"))
    assert (status, document["findings"]) == (2, [])
    assert document["unknown"][0].startswith("WG_ADDRESS of vpn-depot could not be seen: it is an address of IPv6")
    assert doctor(("10.66.0.2/29", "fd00::2/64, 10.66.0.2/29"))[0] == 0


def test_a_peers_key_that_is_missing_is_told_in_the_words_of_its_file(doctor: Judge) -> None:
    """There is no variable that could be set."""
    _, document = doctor((f"PublicKey = {DEPOT.public}\n", ""))
    (finding,) = document["findings"]
    assert finding["rule"] == "setting-missing"
    assert "WG_PEER_PUBLIC_KEY_FILE of vpn-shop is PublicKey in /etc/wireguard/wg0.conf" in finding["words"]


def test_an_endpoint_without_a_port_has_no_name_that_could_not_be_resolved(doctor: Judge) -> None:
    """It is malformed, and that is the root."""
    _, document = doctor(("192.168.77.20:41194", "192.168.77.20"))
    assert roots(document) == {"setting-malformed"}
    assert "name-unresolvable" not in {finding["rule"] for finding in document["findings"]}


_LEDGER = "PostUp = iptables -t nat -A PREROUTING -i %i -p tcp --dport 3306 -j DNAT --to-destination 10.44.5.10"


@pytest.mark.parametrize(
    "command",
    ["/etc/wireguard/up.sh", "nft -f /etc/rules.nft", "iptables -t nat -A PREROUTING -i %i -j WAYS"],
)
def test_a_forward_that_may_be_in_what_cannot_be_read_is_unknown(doctor: Judge, command: str) -> None:
    """Neither missing nor well, with the line to look at; where all are seen elsewhere it hides nothing."""
    status, document = doctor((_LEDGER, f"PostUp = {command}"))
    assert (status, document["findings"]) == (2, [])
    (said,) = document["unknown"]
    assert said.startswith(
        "WG_FORWARD_PORTS of vpn-depot could not be seen: PostUp number 1 of its wg0.conf may send on"
    )
    assert doctor((_LEDGER, f"PostUp = {command}\n{_LEDGER}"))[0] == 0


def test_a_forward_for_another_protocol_beside_what_cannot_be_read_is_unknown(doctor: Judge) -> None:
    """The right one may well be in there, and so may the port that an application dials instead."""
    script = "PostUp = /etc/wireguard/up.sh\n"
    assert doctor((_LEDGER, script + _LEDGER.replace("tcp", "udp")))[0] == 2
    assert doctor((_LEDGER, script + _LEDGER.replace("3306", "3307")))[0] == 2


_SEVERAL_PORTS = "-m multiport --dports 3306,3307"
_OTHER_PORT = ('REDIS_URL = "${CACHE_URL}"', 'REDIS_URL = "${CACHE_URL}"\n[settings.web]\nDATABASE_PORT = "13306"')


def _remapped(target: int) -> Edit:
    return _LEDGER, f"{_LEDGER.replace('3306', '13306')}:{target}"


def test_a_forward_of_several_ports_and_one_to_another_port_are_read(doctor: Judge, tmp_path: Path) -> None:
    """Web may dial another port than MariaDB listens at, where the gateway leads from one to the other."""
    assert doctor((_LEDGER, _LEDGER.replace("--dport 3306", _SEVERAL_PORTS)))[0] == 0
    mapped = tmp_path / "harness.toml"
    text = (EXAMPLE / "harness.toml").read_text(encoding="utf-8")
    mapped.write_text(text.replace(*_OTHER_PORT), encoding="utf-8")
    status, document = doctor(_remapped(3306), words=(str(mapped),))
    assert (status, document["findings"]) == (0, [])
    status, document = doctor(_remapped(3307), words=(str(mapped),))
    assert (status, roots(document)) == (1, {"forward-rule-wrong-destination"})
    assert "contains 13306:tcp:10.44.5.10:3306," in document["findings"][0]["remedy"]


def test_what_a_setting_is_called_there_stands_below_its_remedy(doctor: Judge) -> None:
    """As where the doctor looks at what runs."""
    _, document = doctor(_OWN_ADDRESS)
    (finding,) = document["findings"]
    assert "DATABASE_HOST of shop is LEDGER_HOST" in finding["words"]


def test_of_several_peers_the_other_gateway_is_meant(doctor: Judge) -> None:
    """A notebook beside it changes nothing, and hides nothing."""
    notebook = f"[Peer]\nPublicKey = {NOTEBOOK.public}\nAllowedIPs = 10.66.0.5/32\n[Peer]\nPublicKey = {SHOP.public}"
    edit = (f"[Peer]\nPublicKey = {SHOP.public}", notebook)
    assert doctor(edit)[0] == 0
    assert roots(doctor(edit, _FORWARD_GONE)[1]) == {"forward-rule-missing"}


def test_without_its_map_its_applications_are_not_recognised(doctor: Judge) -> None:
    """That is unknown, with what to do, never health. Its gateways are known by where their wg0.conf lies."""
    status, document = doctor(words=())
    assert (status, document["status"], document["findings"]) == (2, "unknown", [])
    (said,) = document["unknown"]
    assert said.startswith("no application was recognised among the services (")
    assert "--map" in said


def test_a_file_that_is_not_there_leaves_its_gateway_unknown(doctor: Judge, tmp_path: Path) -> None:
    """A wg0.conf is made at deployment, by whoever has the keys: what is in it is not known, and no fault."""
    status, document = doctor(("vpn-depot.conf:/etc", "vpn-none.conf:/etc"))
    assert (status, document["findings"]) == (2, [])
    (said,) = document["unknown"]
    assert said.startswith("container of vpn-depot could not be seen")
    assert f"{tmp_path}/vpn-none.conf cannot be read" in said


def test_a_service_that_is_named_and_not_there_is_refused(doctor: Judge, tmp_path: Path) -> None:
    """One sentence with the services that there are, also where a configuration is compared with another."""
    status, document = doctor(words=("web=nobody",))
    assert status == 2
    assert "there is no service nobody" in document["unknown"][0]
    mapped = rolemap.read(["web=nobody"])
    with pytest.raises(ConfigurationError, match="nothing plays the part of web"):
        configured.side("it", configured.read([tmp_path / "compose.yml"], tmp_path / "its.env"), mapped)


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--snapshot", "x"], ["snapshot", "-o", "x"]])
def test_a_map_of_nothing_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what else is looked at nobody asks it: it would be passed over in silence."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    assert cli.main([*arguments, "--map", "web=shop"]) == 2
    assert "--map says who is who" in capsys.readouterr().err


# --- what a service is told by files


def _told(tmp_path: Path, volume: dict[str, Any], *, file: str = "wg0.conf") -> set[str]:
    """The settings that a service named `vpn` amounts to with a volume, in whose folder its configuration is."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIGURATIONS["vpn-depot.conf"], encoding="utf-8")
    found = configured.snapshot({"services": {"vpn": {"volumes": [volume]}}})
    piece = found.nodes[0].pieces["container"]
    return set() if piece.missing else set(json.loads(piece.text)["environment"])


@pytest.mark.parametrize(
    ("target", "file"),
    [("/etc/wireguard", "wg0.conf"), ("/config", "wg_confs/wg0.conf")],
    ids=["wg-quick's own folder", "linuxserver's"],
)
def test_a_gateway_is_known_by_its_configuration(tmp_path: Path, target: str, file: str) -> None:
    """Without a map, where it lies in a folder in which such an image looks for it."""
    assert "WG_ADDRESS" in _told(tmp_path, {"type": "bind", "source": str(tmp_path), "target": target}, file=file)


def test_a_folder_of_another_kind_is_none(tmp_path: Path) -> None:
    """Many an image has a /config; and what is in a volume is seen only where it runs."""
    assert not _told(tmp_path, {"type": "bind", "source": str(tmp_path), "target": "/config"})
    assert not _told(tmp_path, {"type": "bind", "source": str(tmp_path), "target": "/srv"})
    volume = {"services": {"vpn": {"volumes": [{"type": "volume", "source": "keys", "target": "/etc/wireguard"}]}}}
    (said,) = judge(configured.snapshot(volume)).unknown[:1]
    assert "is no file of this machine" in said
