"""The example in `examples/warehouse`, with keys such as its `make-secrets` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import configured, keys
from harness.keys import KeyPair

from .conftest import ROOT

EXAMPLE = ROOT / "examples" / "warehouse"
SHOP, DEPOT, NOTEBOOK = KeyPair.generate(), KeyPair.generate(), KeyPair.generate()
PRESHARED = keys.generate_preshared()
PASSWORD = "a ledger's password"

CONFIGURATIONS = {
    "vpn-shop.conf": f"""
[Interface]
Address = 10.66.0.1
PrivateKey = {SHOP.private}
[Peer]
PublicKey = {DEPOT.public}
PresharedKey = {PRESHARED}
Endpoint = 192.168.77.20:41194
AllowedIPs = 10.66.0.2/32
PersistentKeepalive = 20
""",
    "vpn-depot.conf": f"""
[Interface]
Address = 10.66.0.2/29
ListenPort = 41194
PrivateKey = {DEPOT.private}
PostUp = iptables -t nat -A PREROUTING -i %i -p tcp --dport 3306 -j DNAT --to-destination 10.44.5.10
PostUp = iptables -t nat -A PREROUTING -i %i -p tcp --dport 6380 -j DNAT --to-destination 10.44.5.11
PostUp = iptables -t nat -A PREROUTING -i %i -p tcp --dport 8081 -j DNAT --to-destination 10.44.5.12
[Peer]
PublicKey = {SHOP.public}
PresharedKey = {PRESHARED}
AllowedIPs = 10.66.0.1/32
""",
}


def merged(folder: Path, *more: str) -> dict[str, Any]:
    """The example as compose merges it, its secrets in a folder; each text of `more` is one more file over it."""
    for name, text in (CONFIGURATIONS | {"ledger_password": f"{PASSWORD}\n"}).items():
        (folder / name).write_text(text, encoding="utf-8")
    environment = folder / "its.env"
    environment.write_text(f"SECRETS={folder}\n", encoding="utf-8")
    files = [EXAMPLE / "compose.yml"]
    for number, text in enumerate(more):
        files.append(folder / f"more{number}.yml")
        files[-1].write_text(text, encoding="utf-8")
    return configured.read(files, environment)
