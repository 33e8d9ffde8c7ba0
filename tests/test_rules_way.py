"""Rules about what is on the way besides the tunnel and its forwards: networks, links, processes, the accounts."""

from __future__ import annotations

import pytest

from .evidence_samples import (
    APPS,
    BACK,
    CELERY,
    CUT_OFF,
    FRONT,
    HANDSHAKE,
    MARIADB,
    REDIS,
    SERVICES,
    WEB,
    WEB_KEY,
    Sample,
)
from .sample_cases import Case, Cases

cases = Cases()

ESTABLISHED = "[1320:302858] -A INPUT"


def _processes(*states: str) -> str:
    return "".join(f"{number} (redis-server) {state} 0 1 1 0 -1\n" for number, state in enumerate(states, start=7))


@cases.makes("process-stopped")
def redis_was_stopped_by_a_signal(sample: Sample) -> None:
    sample.pieces[REDIS]["processes"] = _processes("S", "T")
    for app in APPS:
        sample.fail(app, "broker", "answer", timed_out=True, said="Timeout reading from socket")


@cases.spares("process-stopped")
def redis_sleeps_and_waits_for_the_disk(sample: Sample) -> None:
    sample.pieces[REDIS]["processes"] = _processes("S", "D", "R")


@cases.makes("link-down")
def the_underlays_link_is_down(sample: Sample) -> None:
    for piece in ("links", "addresses"):
        with sample.edited(FRONT, piece) as links:
            links[2]["flags"] = ["BROADCAST", "MULTICAST"]
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [each for each in routes if each.get("dev") != "eth0"]
    sample.kill_tunnel(handshake=HANDSHAKE - 600)


@cases.spares("link-down")
def a_link_without_an_address_is_down(sample: Sample) -> None:
    with sample.edited(FRONT, "links") as links:
        links.append({"ifname": "eth5", "flags": ["BROADCAST"], "link_type": "ether"})


@cases.makes("network-missing")
def mariadb_was_taken_off_its_network(sample: Sample) -> None:
    sample.containers[MARIADB]["attachments"] = []
    for app in APPS:
        sample.fail(app, "database", "connect", errno=113, said="[Errno 113] No route to host")


@cases.spares("network-missing")
def mariadb_is_on_a_third_network_too(sample: Sample) -> None:
    attached = {"network": "backup", "address": "10.9.0.2", "prefix": 24, "wanted": None}
    sample.containers[MARIADB]["attachments"].append(attached)


@cases.makes("outgoing-dropped")
def webs_gateway_drops_what_web_sends(sample: Sample) -> None:
    dropping = "[9:540] -A OUTPUT -o wg0 -p tcp -m tcp --dport 3306 -j DROP"
    sample.change(FRONT, "rules", ESTABLISHED, f"{dropping}\n{ESTABLISHED}")
    sample.fail(WEB, "database", "connect")


@cases.spares("outgoing-dropped")
def webs_gateway_drops_what_nobody_sends(sample: Sample) -> None:
    dropping = "[0:0] -A OUTPUT -o wg0 -p tcp -m tcp --dport 25 -j DROP"
    sample.change(FRONT, "rules", ESTABLISHED, f"{dropping}\n{ESTABLISHED}")


@cases.makes("peer-missing")
def wg0_has_no_peer(sample: Sample) -> None:
    sample.without_lines(BACK, "dump", f"wg0\t{WEB_KEY}")
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.makes("backend-route-missing")
def the_route_to_the_backends_is_gone(sample: Sample) -> None:
    with sample.edited(BACK, "routes") as routes:
        routes[:] = [each for each in routes if each["dst"] not in ("10.101.0.0/24", "default")]
    sample.fail_tunnel()


@cases.spares("backend-route-missing")
def a_backend_has_a_route_of_its_own(sample: Sample) -> None:
    with sample.edited(BACK, "routes") as routes:
        routes.append({"dst": "10.101.0.2", "dev": "eth0", "scope": "link", "flags": []})


@cases.makes("connection-untracked")
def the_tunnels_packets_are_exempt_from_tracking(sample: Sample) -> None:
    exempt = "[9:540] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j CT --notrack"
    raw = f"*raw\n:PREROUTING ACCEPT [0:0]\n{exempt}\nCOMMIT\n"
    sample.change(BACK, "rules", "*mangle\n", f"{raw}*mangle\n")
    sample.fail(WEB, "database", "connect")


@cases.spares("connection-untracked")
def something_else_is_exempt_from_tracking(sample: Sample) -> None:
    raw = "*raw\n:PREROUTING ACCEPT [0:0]\n[9:540] -A PREROUTING -i eth1 -p udp -j CT --notrack\nCOMMIT\n"
    sample.change(BACK, "rules", "*mangle\n", f"{raw}*mangle\n")


@cases.makes("backend-unresponsive")
def mariadb_accepts_and_says_nothing(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "database", "login", **CUT_OFF)


@cases.makes("account-unusable")
def the_account_is_locked(sample: Sample) -> None:
    sample.fail(CELERY, "database", "login", code=4151, said="(4151, 'Access denied, this account is locked')")


@cases.makes("database-missing")
def the_database_was_dropped(sample: Sample) -> None:
    for app in (SERVICES, CELERY, WEB):
        sample.fail(app, "database", "login", code=1049, said="(1049, \"Unknown database 'app'\")")


@pytest.mark.parametrize("case", cases.broken, ids=str)
def test_the_cause_alone_is_the_root(case: Case) -> None:
    """Of everything that a fault brings about, exactly its cause is named as the root."""
    case.check()


@pytest.mark.parametrize("case", cases.well, ids=str)
def test_what_looks_alike_and_works_is_healthy(case: Case) -> None:
    """The nearest neighbour of a fault that breaks nothing is not found at all."""
    case.check()
