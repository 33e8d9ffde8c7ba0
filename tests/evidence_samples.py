"""A healthy deployment as `harness.snapshot` sees it, in its own words, to be broken by tests before it is judged.

Addresses are those of plan 0. Whatever is changed has to be there: a change that changes nothing is an error, so that
no test is about a snapshot that is still healthy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from harness.diagnosis.evidence import HostEvidence, NetworkEvidence, NodeEvidence, Piece, Snapshot
from harness.diagnosis.judgement import Diagnosis, judge

FRONT, BACK, MARIADB, REDIS = "wireguard-web", "wireguard-services", "mariadb", "redis"
SERVICES, CELERY, WEB = "services", "celery", "web"
GATEWAYS, APPS, BACKENDS = (FRONT, BACK), (SERVICES, CELERY, WEB), (MARIADB, REDIS)

WEB_KEY = "qjrWQSwSLtnJ9h6ZIT78Ylyj0YOYgD4ylH8EFFsEIHA="
SERVICES_KEY = "5wtejeFzTgDFxFav02957gHYU5/KPzbKHzwvaHUJj0o="
OTHER_KEY = "Zm9yIHRlc3RzOiBub2JvZHkgaGFzIHRoaXMga2V5ISE="
PSK_SEAL, WEB_SEAL, SERVICES_SEAL, OTHER_SEAL = (f"sealed:{digit * 12}" for digit in "5fab")

NOW = 1795502235
HANDSHAKE = NOW - 108
CUT_OFF = {"errno": None, "code": None, "timed_out": True, "said": "timed out"}
REFUSED = {"errno": 111, "code": None, "timed_out": False, "said": "[Errno 111] Connection refused"}

_INSIDE = "services-net"
_UNDERLAY = "tunnel-net"
_OUR_NAT = """\
[0:0] -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
[0:0] -A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
[0:0] -A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:57224
[0:0] -A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 57224 -j SNAT --to-source :53
"""
_INPUT = """\
[1320:302858] -A INPUT -i wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[0:0] -A INPUT -i wg0 -p icmp -m icmp --icmp-type 8 -j ACCEPT
[0:0] -A INPUT -i wg0 -p tcp -j REJECT --reject-with tcp-reset
[425:89372] -A INPUT -i wg0 -j REJECT --reject-with icmp-port-unreachable
"""
_CHAINS = {
    "filter": ":INPUT ACCEPT [2493:584328]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n",
    "nat": ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
    ":DOCKER_OUTPUT - [0:0]\n:DOCKER_POSTROUTING - [0:0]\n",
    "mangle": ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    ":POSTROUTING ACCEPT [0:0]\n",
}
FORWARDS = {3306: "10.101.0.2", 6379: "10.101.0.4", 8001: "10.101.0.5"}

_SOCKETS = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0B00007F:80DB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 64063 1\n"
)
_GRANTS = ["GRANT USAGE ON *.* TO `app`@`%`", "GRANT ALL PRIVILEGES ON `app`.* TO `app`@`%`"]
_DATABASE = ["password", "port", "resolve", "connect", "login", "answer", "grants", "bulk down", "bulk up"]
_BROKER = ["url", "resolve", "connect", "answer", "bulk up"]


class Sample:
    """A deployment's evidence, to be changed; `diagnosis` is what the doctor makes of it."""

    def __init__(self) -> None:
        self.pieces: dict[str, dict[str, str]] = {
            FRONT: _gateway(
                "10.100.0.10",
                {"eth0": "172.20.0.2"},
                WEB_KEY,
                WEB_SEAL,
                SERVICES_KEY,
                listening=listens("00000000", 8000),
            ),
            BACK: _gateway(
                "10.100.0.11", {"eth1": "172.20.0.3", "eth0": "10.101.0.3"}, SERVICES_KEY, SERVICES_SEAL, WEB_KEY
            ),
            MARIADB: _container("net:[4026532676]", listens("00000000", 3306), ("db_password", "db_root_password")),
            REDIS: _container("net:[4026532806]", listens("00000000", 6379), ()),
            SERVICES: _application("net:[4026532950]", 8001, "10.101.0.2", "10.101.0.4"),
            CELERY: _application("net:[4026533045]", None, "10.101.0.2", "10.101.0.4"),
            WEB: _application("net:[4026532881]", 8000, "10.100.0.11", "10.100.0.11"),
        }
        self.containers: dict[str, dict[str, Any]] = _containers()
        self.missing: dict[str, dict[str, str]] = {service: {} for service in self.pieces}
        self.traffic: dict[str, dict[str, tuple[int, int]]] = {
            f"{FRONT}>{BACK}": {"small": (8000, 8000), "large": (14060, 16888)},
            f"{BACK}>{FRONT}": {"small": (8000, 8000), "large": (16552, 16552)},
        }
        self.networks = [
            NetworkEvidence(name="bridge", subnets=("172.17.0.0/16",), project=None, ours=False),
            NetworkEvidence(name=_INSIDE, subnets=("10.101.0.0/24",), project="wireguard-dev", ours=True),
            NetworkEvidence(name=_UNDERLAY, subnets=("172.20.0.0/24",), project="wireguard-dev", ours=True),
            NetworkEvidence(name="wireguard-dev-7_services-net", subnets=("10.101.7.0/24",), project="x", ours=False),
            NetworkEvidence(name="with-ipv6", subnets=("fd00:7::/64", "10.7.0.0/24"), project=None, ours=False),
        ]
        self.problems: list[str] = []
        self.hosts: list[HostEvidence] = []
        self.machines: dict[str, str] = {}
        self._change(BACK, "netns", "net:[4026532881]", "net:[4026532661]")

    # --- changing it

    def environment(self, service: str) -> dict[str, str]:
        """What a container was told."""
        found: dict[str, str] = self.containers[service]["environment"]
        return found

    def tell(self, service: str, **settings: str | None) -> None:
        """Give a container other settings; None takes one away."""
        environment = self.environment(service)
        for name, value in settings.items():
            assert environment.get(name) != value, f"{name} of {service} is that already"
            if value is None:
                del environment[name]
            else:
                environment[name] = value

    def change(self, service: str, piece: str, old: str, new: str) -> None:
        """Replace a text in a piece, wherever it stands; `rules` and `dump` are changed as they were before, too."""
        for name in (piece, f"{piece}-before"):
            if name in self.pieces[service]:
                self._change(service, name, old, new)

    def _change(self, service: str, piece: str, old: str, new: str) -> None:
        text = self.pieces[service][piece]
        assert old in text, f"{piece} of {service} has no {old}"
        self.pieces[service][piece] = text.replace(old, new)

    @contextmanager
    def edited(self, service: str, piece: str) -> Iterator[Any]:
        """A piece that is JSON, loaded, and written back."""
        before = self.pieces[service][piece]
        loaded = json.loads(before)
        yield loaded
        self.pieces[service][piece] = json.dumps(loaded)
        assert loaded != json.loads(before), f"{piece} of {service} was not changed"

    def without_lines(self, service: str, piece: str, *words: str) -> None:
        """Take the lines out of a piece in which all the words stand."""
        lines = [
            line for line in self.pieces[service][piece].splitlines(keepends=True) if all(w in line for w in words)
        ]
        assert lines, f"{piece} of {service} has no line with {words}"
        for line in lines:
            self.change(service, piece, line, "")

    def lose(self, service: str, piece: str, reason: str = "exit status 1: it said nothing") -> None:
        """Have a piece not be seen."""
        assert piece in self.pieces[service] or piece == "container"
        self.missing[service][piece] = reason

    def fail(self, app: str, backend: str, step: str, **said: object) -> None:
        """Have an application come no further with a backend than to a step; what already failed before that stays."""
        reaches = json.loads(self.pieces[app]["backends"])
        entry = reaches[backend]
        reached = entry["reached"]
        assert step in reached or step == "setting" or "failed" in entry
        if "failed" in entry and step not in reached:
            return
        entry["reached"] = reached[: reached.index(step)] if step in reached else []
        entry.pop("grants", None)
        reaches[backend] = entry | {"failed": step} | (said or CUT_OFF)
        self.pieces[app]["backends"] = json.dumps(reaches)

    def fail_tunnel(self, **said: object) -> None:
        """Have web reach nothing through the tunnel."""
        for backend in ("database", "broker", "10.100.0.11:8001"):
            self.fail(WEB, backend, "connect", **said)

    def kill_tunnel(self, *, handshake: int = 0) -> None:
        """Have nothing pass between the gateways: no handshake (or an old one), nothing that arrives, web cut off."""
        for service in GATEWAYS:
            if handshake != HANDSHAKE and f"\t{HANDSHAKE}\t" in self.pieces[service]["dump"]:
                self.change(service, "dump", f"\t{HANDSHAKE}\t", f"\t{handshake}\t")
        for sizes in self.traffic.values():
            sizes |= {"small": (0, 0), "large": (0, 0)}
        self.traffic[f"{FRONT}>{BACK}"] = {"small": (3000, 0), "large": (1480, 0)}
        self.fail_tunnel()

    def stop(self, service: str, status: str = "exited", *, exit_code: int = 1, log: str = "") -> None:
        """End a container: nothing is seen inside any more, except the secret files."""
        self.containers[service] |= {"status": status, "exit_code": exit_code, "health": None}
        self.pieces[service]["log"] += log
        for piece in self.pieces[service]:
            if piece not in ("log", "secret-files", "container"):
                self.missing[service][piece] = f"the container is {status}"

    def drop(self, service: str) -> None:
        """Take a node out altogether."""
        for each in (self.pieces, self.containers, self.missing):
            del each[service]

    def rename(self, old: str, new: str) -> None:
        """Give a service another name."""
        for each in (self.pieces, self.containers, self.missing):
            each[new] = each.pop(old)
        if old in self.machines:
            self.machines[new] = self.machines.pop(old)
        for container in self.containers.values():
            if container["joined"] == old:
                container["joined"] = new
        self.traffic = {
            ">".join(new if end == old else end for end in way.split(">")): sizes for way, sizes in self.traffic.items()
        }

    # --- what becomes of it

    def snapshot(self, *, static: bool = False) -> Snapshot:
        """As the collector hands it over."""
        return Snapshot(
            layout="dev",
            project="wireguard-dev",
            taken_at=datetime.fromtimestamp(NOW, tz=UTC),
            nodes=tuple(
                NodeEvidence(
                    service=service, name=service, pieces=self._node(service), host=self.machines.get(service, "")
                )
                for service in self.pieces
            ),
            networks=tuple(self.networks),
            traffic=self.traffic,
            problems=tuple(self.problems),
            hosts=tuple(self.hosts),
            static=static,
        )

    def _node(self, service: str) -> dict[str, Piece]:
        texts = self.pieces[service] | {"container": json.dumps(self.containers[service])}
        seen = {name: Piece(text=text) for name, text in texts.items()}
        return seen | {name: Piece(missing=reason) for name, reason in self.missing[service].items()}

    @property
    def diagnosis(self) -> Diagnosis:
        """What the doctor says."""
        return judge(self.snapshot())


def forward_rules(port: int, address: str, *, protocol: str = "tcp", device: str = "eth0") -> tuple[str, str, str]:
    """The DNAT, MASQUERADE and FORWARD rules of a declared port, with counters."""
    matched = f"-p {protocol} -m {protocol} --dport {port}"
    return (
        f"[62:3720] -A PREROUTING -i wg0 {matched} -j DNAT --to-destination {address}:{port}\n",
        f"[62:3720] -A POSTROUTING -d {address}/32 -o {device} {matched} -j MASQUERADE\n",
        f"[935:197165] -A FORWARD -d {address}/32 -i wg0 -o {device} {matched} -m conntrack --ctstate DNAT -j ACCEPT\n",
    )


def listens(address: str, port: int) -> str:
    """A line of /proc/net/tcp; the address is as the kernel prints it."""
    return (
        f"   1: {address}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 66849 1\n"
    )


def _table(name: str, rules: str) -> str:
    return f"*{name}\n{_CHAINS[name]}{rules}COMMIT\n"


def _rules(*, back: bool) -> str:
    said = "# Generated by iptables-save v1.8.11 (nf_tables) on Tue Nov 24 06:37:15 2026\n"
    if not back:
        return said + _table("filter", _INPUT) + _table("nat", _OUR_NAT)
    mss = "".join(
        f"[136:8160] -A FORWARD {way} wg0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"
        for way in ("-i", "-o")
    )
    dnat, masquerade, accept = zip(*(forward_rules(port, address) for port, address in FORWARDS.items()), strict=True)
    answers = "[1339:314840] -A FORWARD -o wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    return (
        said
        + _table("mangle", mss)
        + _table("filter", _INPUT + answers + "".join(accept))
        + _table("nat", "".join(dnat) + _OUR_NAT + "".join(masquerade))
    )


def _gateway(  # noqa: PLR0913 (what differs)
    tunnel: str, underlay: dict[str, str], key: str, seal: str, peer: str, *, listening: str = ""
) -> dict[str, str]:
    back = len(underlay) > 1
    links = {"lo": "127.0.0.1/8", "wg0": f"{tunnel}/24"} | {name: f"{each}/24" for name, each in underlay.items()}
    entries = [
        {
            "ifindex": number,
            "ifname": name,
            "flags": ["UP", "LOWER_UP"],
            "mtu": {"lo": 65536, "wg0": 1420}.get(name, 1500),
            "link_type": {"lo": "loopback", "wg0": "none"}.get(name, "ether"),
        }
        for number, name in enumerate(links, start=1)
    ]
    routes: list[dict[str, object]] = [
        {"dst": "default", "gateway": "172.20.0.1", "dev": next(iter(underlay)), "flags": []},
        {"dst": "10.100.0.0/24", "dev": "wg0", "protocol": "kernel", "scope": "link", "prefsrc": tunnel, "flags": []},
        {"type": "blackhole", "dst": "10.100.0.0/24", "metric": 9999, "flags": []},
    ]
    routes += [
        {"dst": f"{each.rpartition('.')[0]}.0/24", "dev": name, "protocol": "kernel", "scope": "link", "flags": []}
        for name, each in underlay.items()
    ]
    routes.append({"type": "local", "dst": tunnel, "dev": "wg0", "table": "local", "scope": "host", "flags": []})
    endpoint, allowed, keepalive = (
        ("172.20.0.2:51820", "10.100.0.10/32", "off") if back else ("172.20.0.3:51820", "10.100.0.11/32", "25")
    )
    dump = (
        f"wg0\t{seal}\t{key}\t51820\toff\n"
        f"wg0\t{peer}\t{PSK_SEAL}\t{endpoint}\t{allowed}\t{HANDSHAKE}\t477620\t446516\t{keepalive}\n"
    )
    rules = _rules(back=back)
    return {
        "rules-before": rules,
        "dump-before": dump,
        "log": f"gateway: this end is {key}, using wireguard-go and iptables-nft\n",
        "netns": "net:[4026532881]\n",
        "secret-files": json.dumps(
            [
                _file("wg_peer_public_key", "sealed:0123456789ab", mode="644", owner=0, fault=None, content=peer),
                _file("wg_preshared_key", PSK_SEAL, owner=0, fault=None),
                _file("wg_private_key", seal, owner=0, fault=None, public=key),
            ]
        ),
        "clock": f"{NOW}\n",
        "sockets": _SOCKETS + listening,  # of all that share its namespace
        "udp": "  sl  local_address\n 6115: 00000000:CA6C 00000000:0000 07\n",
        "addresses": json.dumps(
            [
                entry | {"addr_info": [{"family": "inet", "local": local, "prefixlen": int(length)}]}
                for entry, (local, _, length) in zip(
                    entries, (each.partition("/") for each in links.values()), strict=True
                )
            ]
        ),
        "links": json.dumps([entry | {"stats64": {}} for entry in entries]),
        "routes": json.dumps(routes),
        "routing-policy": '[{"priority":0,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"}]',
        "neighbours": '[{"dst":"172.20.0.3","dev":"eth0","lladdr":"02:42:ac:14:00:03","state":["REACHABLE"]}]',
        "sysctls": f"/proc/sys/net/ipv4/ip_forward:{int(back)}\n"
        + "".join(f"/proc/sys/net/ipv4/conf/{name}/rp_filter:0\n" for name in ("all", "default", *links)),
        "implementation": "wireguard-go\n",
        "rules": rules,
        "dump": dump,
    }


def _file(name: str, seal: str, *, mode: str = "600", owner: int = 999, **more: object) -> dict[str, object]:
    more.setdefault("fault", "is not base64")
    path = f"/run/secrets/{name}"
    return {"path": path, "mode": mode, "owner": owner, "readable": True, "empty": False, "seal": seal} | more


def _container(netns: str, listening: str, secrets: tuple[str, ...]) -> dict[str, str]:
    seals = {"db_password": "sealed:88b71b7aff80", "db_root_password": "sealed:dea9c0335373"}
    files = [_file(name, seals.get(name, "sealed:1381647f83ca")) for name in secrets]
    return {
        "log": "ready\n",
        "netns": f"{netns}\n",
        "secret-files": json.dumps(files),
        "sockets": _SOCKETS + listening,
        "interfaces": "Inter-|   Receive\n face |bytes\n    lo:  335046\n  eth0:  448636\n",
        "kernel-routes": "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100650A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000650A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
    }


def _application(netns: str, port: int | None, database: str, broker: str) -> dict[str, str]:
    reaches: dict[str, dict[str, object]] = {
        "database": {"reached": _DATABASE, "host": database, "port": 3306, "grants": _GRANTS, "seconds": 0.1},
        "broker": {"reached": _BROKER, "host": broker, "port": 6379, "seconds": 0.1},
    }
    if database == "10.100.0.11":
        reaches["10.100.0.11:8001"] = {"reached": ["resolve", "connect"], "host": database, "port": 8001}
    pieces = _container(netns, listens("00000000", port) if port else "", ("db_password", "django_secret_key"))
    return pieces | {"backends": json.dumps(reaches)}


def _containers() -> dict[str, dict[str, Any]]:
    gateway: dict[str, Any] = {"capabilities": ["NET_ADMIN"], "devices": ["/dev/net/tun"]}
    keys = {
        "WG_PRIVATE_KEY_FILE": "/run/secrets/wg_private_key",
        "WG_PEER_PUBLIC_KEY_FILE": "/run/secrets/wg_peer_public_key",
        "WG_PRESHARED_KEY_FILE": "/run/secrets/wg_preshared_key",
        "WG_LISTEN_PORT": "51820",
        "WG_MTU": "1420",
    }
    front = keys | {
        "WG_ADDRESS": "10.100.0.10/24",
        "WG_PEER_ALLOWED_IPS": "10.100.0.11/32",
        "WG_PEER_ENDPOINT": "172.20.0.3:51820",
        "WG_PERSISTENT_KEEPALIVE": "25",
    }
    back = keys | {
        "WG_ADDRESS": "10.100.0.11/24",
        "WG_PEER_ALLOWED_IPS": "10.100.0.10/32",
        "WG_FORWARD_PORTS": " ".join(f"{port}:tcp:{address}" for port, address in FORWARDS.items()),
    }
    app = {
        "DATABASE_PORT": "3306",
        "DATABASE_NAME": "app",
        "DATABASE_USER": "app",
        "DATABASE_PASSWORD_FILE": "/run/secrets/db_password",
        "DJANGO_SECRET_KEY_FILE": "/run/secrets/django_secret_key",
    }
    beside = app | {"DATABASE_HOST": "10.101.0.2", "CELERY_BROKER_URL": "redis://10.101.0.4:6379/0"}
    through = app | {"DATABASE_HOST": "10.100.0.11", "CELERY_BROKER_URL": "redis://10.100.0.11:6379/0"}
    database = {
        "MARIADB_DATABASE": "app",
        "MARIADB_USER": "app",
        "MARIADB_PASSWORD_FILE": "/run/secrets/db_password",
        "MARIADB_ROOT_PASSWORD_FILE": "/run/secrets/db_root_password",
    }
    return {
        FRONT: _described("wireguard", front, {_UNDERLAY: "172.20.0.2"}, gateway | {"published": [_port(8000)]}),
        BACK: _described(
            "wireguard",
            back,
            {_INSIDE: "10.101.0.3", _UNDERLAY: "172.20.0.3"},
            gateway | {"sysctls": {"net.ipv4.ip_forward": "1"}},
        ),
        MARIADB: _described("mariadb", database, {_INSIDE: "10.101.0.2"}, {}),
        REDIS: _described("redis", {}, {_INSIDE: "10.101.0.4"}, {}),
        SERVICES: _described("app", dict(beside), {_INSIDE: "10.101.0.5"}, {"published": [_port(8001)]}),
        CELERY: _described("app", dict(beside), {_INSIDE: "10.101.0.6"}, {}),
        WEB: _described("app", through, {}, {"network_mode": "container:b3e3a4bec2db", "joined": FRONT}),
    }


def _port(port: int) -> dict[str, object]:
    return {"port": port, "protocol": "tcp", "host": "127.0.0.1", "host_port": str(port)}


def _described(
    image: str, environment: dict[str, str], addresses: dict[str, str], more: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": image,
        "image": f"wireguard-harness/{image}:local",
        "status": "running",
        "health": "healthy",
        "exit_code": 0,
        "restarts": 0,
        "oom_killed": False,
        "error": "",
        "started_at": "2026-11-24T06:23:23.624647421Z",
        "environment": environment,
        "command": [],
        "network_mode": "wireguard-dev_services-net",
        "joined": None,
        "attachments": [
            {"network": network, "address": address, "prefix": 24, "wanted": address}
            for network, address in addresses.items()
        ],
        "published": [],
        "capabilities": [],
        "privileged": False,
        "devices": [],
        "sysctls": {},
        "restart": "unless-stopped",
    } | more
