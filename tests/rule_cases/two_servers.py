"""The same deployment on two servers, its database on bare metal: nobody looked into that."""

from __future__ import annotations

from dataclasses import replace

from harness.diagnosis.evidence import HostEvidence
from tests.evidence_samples import APPS, BACK, CELERY, FRONT, MARIADB, REDIS, REFUSED, SERVICES, WEB, Sample

from . import broken, fine, untold

_UNDERLAY = {"web": "172.21.0.10", "services": "172.21.0.11"}
_ENDPOINT = "172.21.0.11:51820"


def _part(sample: Sample) -> None:
    """Put each side on a server of its own; their networks have one name and one subnet."""
    sample.drop(MARIADB)
    sides = {FRONT: "web", WEB: "web", BACK: "services", REDIS: "services", SERVICES: "services", CELERY: "services"}
    sample.machines |= sides
    sample.hosts += [HostEvidence(name=name, addresses=(f"{each}/24",)) for name, each in _UNDERLAY.items()]
    inside = next(each for each in sample.networks if each.name == "services-net")
    sample.networks = [replace(inside, name=f"{side}/wireguard", host=side) for side in _UNDERLAY]
    for service, side in sides.items():
        for attachment in sample.containers[service]["attachments"]:
            attachment["network"] = f"{side}/wireguard"
    (own,) = sample.containers[FRONT]["attachments"]
    own["address"] = "10.101.0.10"
    sample.containers[BACK]["attachments"] = sample.containers[BACK]["attachments"][:1]
    sample.tell(FRONT, WG_PEER_ENDPOINT=_ENDPOINT)
    sample.change(FRONT, "dump", "172.20.0.3:51820", _ENDPOINT)
    port = {"port": 51820, "protocol": "udp", "host": "0.0.0.0", "host_port": "51820"}
    sample.containers[BACK]["published"] = [port]


def _point(sample: Sample, endpoint: str) -> None:
    """Have web's gateway send elsewhere, with nothing coming about."""
    sample.kill_tunnel()
    sample.tell(FRONT, WG_PEER_ENDPOINT=endpoint)
    sample.change(FRONT, "dump", _ENDPOINT, endpoint)


def _cut_database(sample: Sample, **said: object) -> None:
    for app in APPS:
        sample.fail(app, "database", "connect", **said)


@fine
def each_side_is_on_a_server_of_its_own(sample: Sample) -> None:
    _part(sample)


@fine
def both_servers_have_a_container_of_the_same_address(sample: Sample) -> None:
    _part(sample)
    sample.containers[FRONT]["attachments"][0]["address"] = "10.101.0.4"  # as Redis on the other one


@broken("port-unpublished")
def wireguards_port_is_not_published(sample: Sample) -> None:
    _part(sample)
    sample.kill_tunnel()
    sample.containers[BACK]["published"] = []


@broken("port-unpublished")
def wireguards_port_is_published_on_loopback(sample: Sample) -> None:
    _part(sample)
    sample.kill_tunnel()
    sample.containers[BACK]["published"][0]["host"] = "127.0.0.1"


@fine
def services_gateway_has_an_address_of_its_own_among_the_servers(sample: Sample) -> None:
    """By macvlan, which publishes nothing."""
    _part(sample)
    sample.containers[BACK]["published"] = []
    attachment = {"network": "services/lan", "address": "172.21.0.50", "prefix": 24, "wanted": "172.21.0.50"}
    sample.containers[BACK]["attachments"].append(attachment)
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.21.0.50:51820")
    sample.change(FRONT, "dump", _ENDPOINT, "172.21.0.50:51820")


@broken("endpoint-wrong")
def the_endpoint_is_an_address_that_no_server_has(sample: Sample) -> None:
    _part(sample)
    _point(sample, "172.21.0.99:51820")


@broken("endpoint-wrong")
def the_endpoint_has_another_port(sample: Sample) -> None:
    _part(sample)
    _point(sample, "172.21.0.11:51821")


@broken("peer-unreachable")
def the_endpoint_may_be_a_routers(sample: Sample) -> None:
    _part(sample)
    _point(sample, "198.51.100.7:51820")


@broken("peer-unreachable")
def nothing_passes_between_the_servers(sample: Sample) -> None:
    _part(sample)
    sample.kill_tunnel()


@broken("backend-down")
def nobody_answers_where_the_database_is(sample: Sample) -> None:
    _part(sample)
    _cut_database(sample)


@broken("backend-not-listening")
def the_databases_machine_refuses(sample: Sample) -> None:
    _part(sample)
    _cut_database(sample, **REFUSED)


@broken("backend-unresponsive")
def the_database_is_silent(sample: Sample) -> None:
    _part(sample)
    for app in APPS:
        sample.fail(app, "database", "login")


def _refuse(sample: Sample, code: int) -> None:
    """Have the database let everybody connect, and then refuse, with a number of MariaDB's."""
    _part(sample)
    for app in APPS:
        sample.fail(app, "database", "login", errno=None, code=code, said=f"({code}, 'in its own words')")


@broken("backend-overloaded")
def the_database_takes_no_more_clients(sample: Sample) -> None:
    _refuse(sample, 1040)


@broken("host-blocked")
def the_database_has_blocked_the_server(sample: Sample) -> None:
    _refuse(sample, 1129)


@broken("account-unusable")
def the_account_is_locked(sample: Sample) -> None:
    _refuse(sample, 4151)


@broken("grant-missing")
def the_user_may_not_use_the_database(sample: Sample) -> None:
    _refuse(sample, 1044)


@broken("backend-read-only")
def the_database_takes_no_writes(sample: Sample) -> None:
    _part(sample)
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["database"]["read_only"] = "@@global.read_only is 1"


@broken("redis-protected-mode")
def a_redis_outside_is_in_protected_mode(sample: Sample) -> None:
    _part(sample)
    sample.drop(REDIS)
    for app in APPS:
        sample.fail(app, "broker", "answer", errno=None, code=None, said="DENIED Redis is running in protected mode")


@broken("backend-read-only")
def a_redis_outside_cannot_save(sample: Sample) -> None:
    _part(sample)
    sample.drop(REDIS)
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["broker"]["read_only"] = f"INFO says aof_last_write_status:err, as {app} sees it"


@broken("setting-contradicted")
def celery_is_told_of_another_database(sample: Sample) -> None:
    _part(sample)
    sample.fail(CELERY, "database", "connect")
    sample.tell(CELERY, DATABASE_HOST="10.101.0.99")


@broken("setting-contradicted")
def celery_is_told_what_web_is(sample: Sample) -> None:
    _part(sample)
    sample.tell(CELERY, DATABASE_HOST="10.100.0.11", CELERY_BROKER_URL="redis://10.100.0.11:6379/0")
    for backend in ("database", "broker"):
        sample.fail(CELERY, backend, "connect")


@broken("container-down")
def nginx_does_not_run(sample: Sample) -> None:
    _part(sample)
    sample.pieces["nginx"], sample.missing["nginx"] = dict(sample.pieces[REDIS]), {}
    sample.containers["nginx"] = sample.containers[REDIS] | {"environment": {}, "attachments": []}
    sample.machines["nginx"] = "web"
    sample.stop("nginx")


def unseen_services_server(sample: Sample) -> None:
    """The services server's engine does not answer, and web is cut off."""
    _part(sample)
    sample.fail_tunnel()
    untold(sample, "only one end was seen")
    sample.hosts[1] = HostEvidence(name="services", silent="Connection refused")
    for service in (BACK, REDIS, SERVICES, CELERY):
        sample.lose(service, "container", "the Docker engine of services does not answer (Connection refused)")


@broken("profile-misplaced")
def redis_runs_on_both_servers(sample: Sample) -> None:
    _part(sample)
    sample.hosts[:] = [replace(each, services=(REDIS, each.name)) for each in sample.hosts]
