from __future__ import annotations

import pytest

from harness.diagnosis.comparison import differences, portrait

from . import test_rules_paths as paths
from . import test_rules_tunnel as tunnel
from .evidence_samples import BACK, CELERY, FRONT, GATEWAYS, HANDSHAKE, NOW, WEB, Sample
from .sample_cases import Change


def compared(change: Change) -> tuple[str, ...]:
    """What a change differs in from the healthy sample."""
    sample = Sample()
    change(sample)
    return differences(portrait(Sample().snapshot()), portrait(sample.snapshot()))


def test_the_same_is_the_same() -> None:
    """Two looks at one deployment differ in nothing."""
    assert compared(lambda _sample: None) == ()


def _time_passes(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "clock", str(NOW), str(NOW + 60))
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t477620\t446516", f"\t{HANDSHAKE + 60}\t500000\t460000")
        sample.change(gateway, "rules", "[1320:302858]", "[1400:302999]")
    sample.pieces[WEB]["log"] += "GET /health/ 200\n"
    sample.containers[CELERY] |= {
        "id": "new",
        "started_at": "2026-11-24T07:00:00Z",
        "restarts": 1,
        "health": "starting",
    }
    sample.traffic.clear()


def _a_peer_roams(sample: Sample) -> None:
    sample.change(BACK, "dump", "172.20.0.2:51820", "172.20.0.1:40000")


def _a_network_comes_back_under_another_name(sample: Sample) -> None:
    for piece in ("addresses", "links", "routes", "rules", "sysctls"):
        sample.change(BACK, piece, "eth0", "eth7")


@pytest.mark.parametrize("change", [_time_passes, _a_peer_roams, _a_network_comes_back_under_another_name])
def test_what_changes_by_itself_is_no_difference(change: Change) -> None:
    """Counters, handshakes, logs, restarts, a peer's address, an interface's name: nothing that anybody has to undo."""
    assert compared(change) == ()


def test_what_changes_by_itself_is_seen_where_it_is_asked_for() -> None:
    """Whether a container was started anew can be compared too."""
    sample = Sample()
    _time_passes(sample)
    before, after = (portrait(each.snapshot(), lasting=False) for each in (Sample(), sample))
    assert any("celery: started_at" in line for line in differences(before, after))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (paths.a_dnat_rule_was_deleted, "--dport 3306 -j DNAT"),
        (paths.the_kernel_does_not_forward, "sysctl"),
        (paths.mariadb_is_published_for_all, "mariadb: published"),
        (paths.mariadb_was_stopped, "mariadb: status"),
        (paths.web_is_told_a_backends_name, "web: environment"),
        (paths.redis_wants_a_password, "web: broker reached"),
        (paths.the_user_may_only_read, "grants"),
        (tunnel.the_other_end_is_not_allowed, "10.100.0.12/32"),
        (tunnel.nobody_keeps_the_way_open, "peer"),
        (tunnel.the_preshared_keys_differ, "sealed:"),
        (tunnel.wg0_has_no_address, "address 10.100.0.11/24"),
        (tunnel.nothing_is_under_the_tunnels_route, "route blackhole"),
        (tunnel.a_private_key_is_readable_by_all, "secret /run/secrets/wg_private_key"),
        (tunnel.another_deployment_has_our_addresses, None),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_somebody_changed_is_a_difference(change: Change, said: str | None) -> None:
    """What came and what went, a line each; what is not the deployment's is not looked at."""
    found = compared(change)
    assert bool(found) is (said is not None)
    assert all(line[0] in "+-" for line in found)
    assert said is None or any(said in line for line in found)


def test_what_was_not_seen_is_a_difference() -> None:
    """A comparison with something that could not be seen never passes for equal."""
    sample = Sample()
    sample.lose(FRONT, "routes", "timed out")
    found = differences(portrait(Sample().snapshot()), portrait(sample.snapshot()))
    assert any("routes of wireguard-web could not be seen: timed out" in line for line in found)
