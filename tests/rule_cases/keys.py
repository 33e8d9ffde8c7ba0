"""Keys that do not fit."""

from __future__ import annotations

from tests.evidence_samples import (
    BACK,
    FRONT,
    OTHER_KEY,
    OTHER_SEAL,
    PSK_SEAL,
    SERVICES_KEY,
    SERVICES_SEAL,
    WEB_KEY,
    WEB_SEAL,
    Sample,
)

from . import broken, fine, without_gateway

_SHORT = "has 30 bytes where a key has 32"


def _file(sample: Sample, gateway: str, name: str, **changes: object) -> None:
    with sample.edited(gateway, "secret-files") as files:
        entry = next(each for each in files if each["path"] == f"/run/secrets/{name}")
        entry |= changes
        for field in [field for field, value in entry.items() if value is None and field in ("public", "content")]:
            del entry[field]


def _without_file(sample: Sample, gateway: str, name: str) -> None:
    with sample.edited(gateway, "secret-files") as files:
        files[:] = [each for each in files if each["path"] != f"/run/secrets/{name}"]


@broken("peer-key-mismatch")
def web_holds_a_key_that_is_not_services(sample: Sample) -> None:
    sample.change(FRONT, "dump", SERVICES_KEY, OTHER_KEY)
    _file(sample, FRONT, "wg_peer_public_key", content=OTHER_KEY)
    sample.kill_tunnel()


@broken("peer-key-mismatch")
def both_hold_wrong_keys(sample: Sample) -> None:
    web_holds_a_key_that_is_not_services(sample)
    sample.change(BACK, "dump", WEB_KEY, OTHER_KEY.lower())
    _file(sample, BACK, "wg_peer_public_key", content=OTHER_KEY.lower())


@broken("peer-key-mismatch")
def web_holds_two_keys_and_neither_is_services(sample: Sample) -> None:
    web_holds_a_key_that_is_not_services(sample)
    another = OTHER_KEY.lower()
    sample.pieces[FRONT]["dump"] += f"wg0\t{another}\t(none)\t(none)\t10.100.0.77/32\t0\t0\t0\toff\n"


@fine
def a_key_pair_rotated_on_both_ends(sample: Sample) -> None:
    sample.change(FRONT, "dump", WEB_KEY, OTHER_KEY)
    sample.change(FRONT, "dump", WEB_SEAL, OTHER_SEAL)
    sample.change(BACK, "dump", WEB_KEY, OTHER_KEY)
    _file(sample, FRONT, "wg_private_key", public=OTHER_KEY, seal=OTHER_SEAL)
    _file(sample, BACK, "wg_peer_public_key", content=OTHER_KEY)


@fine
def another_preshared_key_with_a_peer_that_is_idle(sample: Sample) -> None:
    sample.pieces[FRONT]["dump"] += f"wg0\t{OTHER_KEY}\t{OTHER_SEAL}\t(none)\t10.100.0.50/32\t0\t0\t0\toff\n"


@broken("key-file-invalid")
def a_peer_key_that_is_not_there(sample: Sample) -> None:
    _without_file(sample, FRONT, "wg_peer_public_key")
    without_gateway(sample, FRONT, log="gateway: WG_PEER_PUBLIC_KEY_FILE: no such file\n")


@broken("peer-key-is-own")
def web_is_given_its_own_public_key_as_a_setting(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_PUBLIC_KEY_FILE=None, WG_PEER_PUBLIC_KEY=WEB_KEY)
    _without_file(sample, FRONT, "wg_peer_public_key")
    without_gateway(sample, FRONT, log="gateway: WG_PEER_PUBLIC_KEY is this end's own public key\n")


@broken("key-reused")
def both_ends_have_one_key_pair_and_run(sample: Sample) -> None:
    sample.kill_tunnel()
    _file(sample, BACK, "wg_private_key", public=WEB_KEY, seal=WEB_SEAL)
    _file(sample, BACK, "wg_peer_public_key", content=OTHER_KEY)
    sample.change(BACK, "dump", WEB_KEY, OTHER_KEY)
    sample.change(BACK, "dump", SERVICES_KEY, WEB_KEY)
    sample.change(BACK, "dump", SERVICES_SEAL, WEB_SEAL)
    sample.change(BACK, "dump", "172.20.0.2:51820", "(none)")


@broken("key-not-reloaded")
def a_peer_key_that_was_changed_and_not_reloaded(sample: Sample) -> None:
    """The other end did take its new pair."""
    sample.change(BACK, "dump", SERVICES_KEY, OTHER_KEY)
    sample.change(BACK, "dump", SERVICES_SEAL, OTHER_SEAL)
    _file(sample, BACK, "wg_private_key", public=OTHER_KEY, seal=OTHER_SEAL)
    _file(sample, FRONT, "wg_peer_public_key", content=OTHER_KEY)
    sample.kill_tunnel()


@broken("key-not-reloaded")
def a_preshared_key_that_was_changed_and_not_reloaded_at_web(sample: Sample) -> None:
    _file(sample, FRONT, "wg_preshared_key", seal=OTHER_SEAL)
    _file(sample, BACK, "wg_preshared_key", seal=OTHER_SEAL)
    sample.change(BACK, "dump", PSK_SEAL, OTHER_SEAL)
    sample.kill_tunnel()
