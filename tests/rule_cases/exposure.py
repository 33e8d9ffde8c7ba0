"""What works, and can be reached by too many; and deployments of other shapes, which are well."""

from __future__ import annotations

from typing import Any

from harness.diagnosis.evidence import NetworkEvidence
from tests.evidence_samples import (
    APPS,
    BACK,
    CELERY,
    FRONT,
    HANDSHAKE,
    MARIADB,
    OTHER_KEY,
    OTHER_SEAL,
    REDIS,
    SERVICES,
    WEB,
    WEB_KEY,
    WEB_SEAL,
    Sample,
    forward_rules,
)

from . import broken, fine, publish


def _attach(sample: Sample, service: str, network: str, address: str) -> None:
    attachment = {"network": network, "address": address, "prefix": 24, "wanted": None}
    sample.containers[service]["attachments"].append(attachment)


def _copy(sample: Sample, service: str, copy: str, attachments: list[dict[str, Any]]) -> None:
    sample.pieces[copy], sample.missing[copy] = dict(sample.pieces[service]), dict(sample.missing[service])
    sample.containers[copy] = sample.containers[service] | {
        "environment": dict(sample.environment(service)),
        "attachments": list(attachments),
    }


def _mode(sample: Sample, service: str, name: str, mode: str) -> None:
    with sample.edited(service, "secret-files") as files:
        next(each for each in files if each["path"].endswith(name))["mode"] = mode


@broken("port-exposed")
def redis_is_published_on_one_address_of_the_host(sample: Sample) -> None:
    publish(sample, REDIS, 6379, "192.0.2.7")


@broken("port-exposed")
def mariadb_is_published_by_ipv6(sample: Sample) -> None:
    publish(sample, MARIADB, 3306, "::")


@broken("port-exposed")
def the_gateway_publishes_mariadbs_port(sample: Sample) -> None:
    publish(sample, BACK, 3306, "0.0.0.0")


@fine
def mariadb_is_published_on_loopback(sample: Sample) -> None:
    publish(sample, MARIADB, 3306, "127.0.0.1")
    publish(sample, REDIS, 6379, "::1")


@fine
def web_is_published_for_everybody_as_web_servers_are(sample: Sample) -> None:
    publish(sample, FRONT, 443, "0.0.0.0", inside=8000)
    publish(sample, FRONT, 80, "::", inside=8000)


@broken("port-exposed")  # a warning, for production may do so
def services_is_published_for_everybody_as_in_production(sample: Sample) -> None:
    publish(sample, SERVICES, 8001, "0.0.0.0")


@broken("tunnel-bypassed")
def webs_gateway_is_on_the_backends_network(sample: Sample) -> None:
    _attach(sample, FRONT, "services-net", "10.101.0.140")


@broken("tunnel-bypassed")
def the_backends_are_on_the_web_sides_network(sample: Sample) -> None:
    _attach(sample, MARIADB, "tunnel-net", "172.20.0.140")


def _keep_sessions(sample: Sample) -> None:
    """Have a Redis of the web side's own beside its gateway."""
    attachment = {"network": "tunnel-net", "address": "172.20.0.9", "prefix": 24, "wanted": "172.20.0.9"}
    _copy(sample, REDIS, "sessions", [attachment])


@fine
def the_web_side_has_a_redis_of_its_own_for_sessions(sample: Sample) -> None:
    _keep_sessions(sample)


@fine
def webs_broker_is_a_redis_of_its_own(sample: Sample) -> None:
    _keep_sessions(sample)
    sample.tell(WEB, CELERY_BROKER_URL="redis://172.20.0.9:6379/0")
    with sample.edited(WEB, "backends") as reaches:
        reaches["broker"]["host"] = "172.20.0.9"


@broken("backend-down")
def webs_own_broker_is_down(sample: Sample) -> None:
    """It is found by its name, and its port is forwarded to nobody."""
    _keep_sessions(sample)
    sample.tell(WEB, CELERY_BROKER_URL="redis://sessions:6379/0")
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:10.101.0.2 8001:tcp:10.101.0.5")
    for rule in forward_rules(6379, "10.101.0.4"):
        sample.change(BACK, "rules", rule, "")
    sample.stop("sessions")
    sample.fail(WEB, "broker", "connect", errno=113, said="[Errno 113] No route to host")


@broken("tunnel-bypassed")
def the_web_side_has_a_redis_of_its_own_and_a_way_to_the_others(sample: Sample) -> None:
    _keep_sessions(sample)
    _attach(sample, FRONT, "services-net", "10.101.0.140")


@fine
def services_is_on_a_second_network(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="monitoring", subnets=("10.55.0.0/24",), project=None, ours=True))
    _attach(sample, SERVICES, "monitoring", "10.55.0.2")
    _attach(sample, FRONT, "monitoring", "10.55.0.3")


@fine
def secrets_that_even_their_owner_can_only_read(sample: Sample) -> None:
    _mode(sample, WEB, "db_password", "400")
    _mode(sample, BACK, "wg_peer_public_key", "444")


# --- other shapes


@fine
def several_networks_of_which_some_lead_to_no_backend(sample: Sample) -> None:
    sample.networks += [
        NetworkEvidence(name=f"extra-{number}", subnets=(f"10.60.{number}.0/24",), project=None, ours=True)
        for number in range(3)
    ]
    for number, service in enumerate((BACK, MARIADB, *APPS[:2])):
        _attach(sample, service, f"extra-{number % 3}", f"10.60.{number % 3}.{number + 2}")


@fine
def a_second_wireguard_interface(sample: Sample) -> None:
    """Somebody's own, with keys and peers of which the deployment knows nothing."""
    line = f"wg1\tsealed:000000000000\t{OTHER_KEY}\t51900\toff\n"
    peer = f"wg1\t{OTHER_KEY.lower()}\t(none)\t(none)\t10.200.0.0/24\t0\t0\t0\toff\n"
    sample.pieces[BACK]["dump"] = line + peer + sample.pieces[BACK]["dump"]


@fine
def gateways_on_two_machines(sample: Sample) -> None:
    """No network in common, and an endpoint that is an address of the other machine."""
    for container in sample.containers.values():
        container["attachments"] = [each for each in container["attachments"] if each["network"] != "tunnel-net"]
    _attach(sample, FRONT, "web-side", "172.20.0.2")
    _attach(sample, BACK, "services-side", "172.20.0.3")
    sample.tell(FRONT, WG_PEER_ENDPOINT="203.0.113.5:51820")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "203.0.113.5:51820")
    sample.networks = [each for each in sample.networks if each.name != "tunnel-net"]


@fine
def no_health_checks_at_all(sample: Sample) -> None:
    for container in sample.containers.values():
        container["health"] = None


@fine
def a_second_application_behind_the_tunnel(sample: Sample) -> None:
    _copy(sample, WEB, "flower", sample.containers[WEB]["attachments"])


@fine
def an_application_of_the_services_side_that_forwards_nothing(sample: Sample) -> None:
    attachment = {"network": "services-net", "address": "10.101.0.7", "prefix": 24, "wanted": None}
    _copy(sample, CELERY, "flower", [attachment])


def _put_first(sample: Sample, gateway: str) -> None:
    """Have a gateway be seen before all others."""
    sample.pieces = {gateway: sample.pieces.pop(gateway)} | sample.pieces


@fine
def a_wireguard_of_somebody_elses_for_those_who_look_after_it(sample: Sample) -> None:
    """Of whose settings some begin like those of a gateway."""
    attachment = {"network": "tunnel-net", "address": "172.20.0.30", "prefix": 24, "wanted": None}
    _copy(sample, REDIS, "admin", [attachment])
    sample.containers["admin"] |= {"image": "ghcr.io/wg-easy/wg-easy:14", "capabilities": ["NET_ADMIN"]}
    sample.tell("admin", WG_HOST="vpn.example.org", WG_DEFAULT_ADDRESS="10.8.0.x", WG_PORT="51830")
    _put_first(sample, "admin")


@fine
def a_gateway_more_that_is_seen_first(sample: Sample) -> None:
    """It is met by nobody yet; the documented one is judged."""
    attachment = {"network": "tunnel-net", "address": "172.20.0.22", "prefix": 24, "wanted": "172.20.0.22"}
    _copy(sample, FRONT, "wireguard-more", [attachment])
    sample.tell("wireguard-more", WG_ADDRESS="10.100.0.12/24")
    sample.containers["wireguard-more"]["published"] = []
    own = {"10.100.0.10": "10.100.0.12", '"172.20.0.2"': '"172.20.0.22"', WEB_KEY: OTHER_KEY, WEB_SEAL: OTHER_SEAL}
    for piece, text in sample.pieces["wireguard-more"].items():
        changed = text.replace(f"\t{HANDSHAKE}\t", "\t0\t")
        for old, new in own.items():
            changed = changed.replace(old, new)
        sample.pieces["wireguard-more"][piece] = changed
    _put_first(sample, "wireguard-more")
