"""Backends, applications, and what they are told."""

from __future__ import annotations

from tests.evidence_samples import (
    APPS,
    BACK,
    CELERY,
    FRONT,
    MARIADB,
    NOW,
    REDIS,
    REFUSED,
    SERVICES,
    WEB,
    Sample,
    listens,
)

from . import broken, fine, without_gateway, without_interface

_NO_ROUTE = {"errno": 113, "code": None, "timed_out": False, "said": "[Errno 113] No route to host"}
_DENIED = {"errno": None, "code": 1045, "timed_out": False, "said": "(1045, \"Access denied for user 'app'\")"}
_NO_AUTH = {"errno": None, "code": None, "said": "NOAUTH Authentication required.", "kind": "RedisReplyError"}
_UNKNOWN_NAME = {"errno": -2, "code": -2, "said": "[Errno -2] Name or service not known", "kind": "gaierror"}


def _end(sample: Sample, backend: str, key: str, status: str, **more: object) -> None:
    sample.stop(backend, status, exit_code=0)
    for app in APPS:
        sample.fail(app, key, "connect", **more)


@broken("backend-down")
def mariadb_restarts_over_and_over(sample: Sample) -> None:
    _end(sample, MARIADB, "database", "restarting", **_NO_ROUTE)
    sample.containers[MARIADB] |= {"restarts": 7, "exit_code": 1}


@broken("redis-protected-mode")
def redis_was_given_no_password(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "broker", "answer", said="DENIED Redis is running in protected mode")


def _caught(sample: Sample, service: str, *, times: int = 5, every: int = 8, since: int = 3) -> None:
    """A container that runs at this moment, and ended `since` seconds ago for the last of some times."""
    sample.containers[service] |= {"restarts": 41, "health": None}
    ends = (NOW - since - every * number for number in reversed(range(times)))
    sample.pieces[service] |= {"events": "".join(f"{end} die\n" for end in ends)}


def _start_again(sample: Sample, service: str) -> None:
    """A container ended for the first time, and runs again for all the engine knows."""
    _caught(sample, service, times=1)
    sample.containers[service] |= {"status": "running", "restarts": 1, "health": "starting"}


@broken("backend-down")
def mariadb_is_caught_running_between_two_ends(sample: Sample) -> None:
    _caught(sample, MARIADB)
    sample.pieces[MARIADB]["log"] += "[ERROR] mariadbd: unknown variable 'innodb=1G'\n[ERROR] Aborting\n"
    mariadb_listens_nowhere(sample)


@broken("container-down")
def services_is_caught_running_between_two_ends(sample: Sample) -> None:
    _caught(sample, SERVICES, every=150)
    sample.change(SERVICES, "sockets", listens("00000000", 8001), "")
    sample.fail(WEB, "10.100.0.11:8001", "connect", **REFUSED)


@broken("container-down")
def celery_is_caught_running_between_two_ends(sample: Sample) -> None:
    _caught(sample, CELERY, times=3, since=55)


@broken("out-of-memory")
def redis_runs_until_the_kernel_wants_its_memory_again(sample: Sample) -> None:
    _caught(sample, REDIS)
    sample.pieces[REDIS]["events"] += f"{NOW - 3} oom\n"
    sample.change(REDIS, "sockets", listens("00000000", 6379), "")
    for app in APPS:
        sample.fail(app, "broker", "connect", **REFUSED)


@broken("setting-malformed")
def a_gateway_is_caught_before_it_refuses_its_address_once_more(sample: Sample) -> None:
    _caught(sample, BACK)
    sample.tell(BACK, WG_ADDRESS="10.100.0.11")
    without_interface(sample, BACK)


@broken("device-missing")
def a_gateway_is_caught_after_its_first_end_and_ends_under_the_look(sample: Sample) -> None:
    """The engine still said that it runs."""
    without_gateway(sample, BACK, log="wireguard-go: cannot open /dev/net/tun\n")
    _start_again(sample, BACK)
    sample.containers[BACK]["devices"] = []


@broken("device-missing")
def a_gateway_lives_on_without_its_interface(sample: Sample) -> None:
    """As one does whose image waits whatever comes of it."""
    without_interface(sample, BACK)
    sample.containers[BACK]["devices"] = []
    sample.pieces[BACK]["log"] += "wireguard-go: cannot open /dev/net/tun\n"


@broken("out-of-memory")
def mariadb_is_caught_after_its_first_end(sample: Sample) -> None:
    mariadb_listens_nowhere(sample)
    _start_again(sample, MARIADB)
    sample.pieces[MARIADB]["events"] += f"{NOW - 3} oom\n"


@broken("container-down")
def services_passes_its_check_between_two_ends(sample: Sample) -> None:
    _caught(sample, SERVICES, every=150, since=100)
    sample.containers[SERVICES]["health"] = "healthy"


@fine
def what_services_ended_by_was_mended_and_it_passes_its_check(sample: Sample) -> None:
    _caught(sample, SERVICES, since=20)
    sample.containers[SERVICES]["health"] = "healthy"


@fine
def celery_ended_by_what_was_mended_and_was_asked_for_this_look(sample: Sample) -> None:
    _caught(sample, CELERY, since=20)
    sample.containers[CELERY]["health"] = "starting"
    sample.pieces[CELERY]["health"] = ""


@fine
def celery_ended_twice_until_mariadb_was_there(sample: Sample) -> None:
    _caught(sample, CELERY, times=2)


@fine
def celery_waited_for_mariadb_by_ending_and_has_lived_since(sample: Sample) -> None:
    _caught(sample, CELERY, times=6, since=300)


@broken("backend-not-listening")
def mariadb_listens_nowhere(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", listens("00000000", 3306), "")
    for app in APPS:
        sample.fail(app, "database", "connect", **REFUSED)


@broken("backend-not-listening")
def services_listens_on_loopback_only(sample: Sample) -> None:
    sample.change(SERVICES, "sockets", listens("00000000", 8001), listens("0100007F", 8001))
    sample.fail(WEB, "10.100.0.11:8001", "connect", **REFUSED)


@fine
def redis_listens_on_loopback_and_on_its_address(sample: Sample) -> None:
    own = listens("0400650A", 6379)
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0100007F", 6379) + own)


@broken("backend-overloaded")
def redis_takes_no_more_clients(sample: Sample) -> None:
    sample.fail(WEB, "broker", "answer", errno=None, code=None, said="max number of clients reached")


@broken("host-blocked")
def mariadb_does_not_know_the_gateway(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", errno=None, code=1130, said="(1130, \"Host '10.101.0.3' is not allowed\")")


@broken("credentials-rejected")
def web_has_a_wrong_password(sample: Sample) -> None:
    with sample.edited(WEB, "secret-files") as files:
        files[0]["seal"] = "sealed:000000000000"
    sample.fail(WEB, "database", "login", **_DENIED)


@broken("grant-missing")
def the_user_may_do_everything_with_another_database(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"][1] = "GRANT ALL PRIVILEGES ON `other`.* TO `app`@`%`"


@fine
def the_user_may_do_everything_everywhere(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"] = ["GRANT ALL PRIVILEGES ON *.* TO `app`@`%`"]


@broken("container-down")
def the_worker_was_never_started(sample: Sample) -> None:
    sample.stop(CELERY, "created", exit_code=0)


@broken("setting-missing")
def web_is_not_told_the_databases_name(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_NAME=None)
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_NAME")


@broken("setting-missing")
def web_is_not_told_the_databases_name_and_ends(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_NAME="")
    sample.stop(WEB, "restarting", log="DATABASE_NAME is not set\n")


@fine
def the_broker_is_told_by_its_other_name(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL=None, REDIS_URL="redis://10.100.0.11:6379/0")


@fine
def no_database_port_is_told(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT=None)


@broken("setting-misnamed")
def web_is_told_database_hots(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST=None, DATABASE_HOTS="10.100.0.11")
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_HOST")


@broken("setting-misnamed")
def web_is_told_all_by_a_url_whose_name_nobody_reads(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST=None, DATABASE_PORT=None, DATABASE_NAME=None, DATABASE_USER=None)
    sample.tell(WEB, DATABASE_PASSWORD_FILE=None, DATABSE_URL="mysql://app@10.100.0.11/app")
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_HOST")


@fine
def web_has_a_setting_of_its_own_that_is_called_almost_as_one_that_it_does_without(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_URI="sqlite:///cache.db")


@broken("setting-malformed")
def web_is_told_an_address_that_is_none(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="10.100.0.1111")
    sample.fail(WEB, "database", "resolve", **_UNKNOWN_NAME)


@broken("setting-malformed")
def services_is_told_the_databases_port_with_its_host(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="10.101.0.2:3306")
    sample.fail(SERVICES, "database", "resolve", **_UNKNOWN_NAME)


@broken("setting-malformed")
def celery_refuses_its_log_format(sample: Sample) -> None:
    sample.tell(CELERY, LOG_FORMAT="xml")
    sample.stop(CELERY, "restarting", log="LOG_FORMAT is 'xml': set it to text or json\n")


@broken("setting-malformed")
def webs_gateway_is_told_an_mtu_that_is_none(sample: Sample) -> None:
    sample.tell(FRONT, WG_MTU="1420 bytes")
    without_gateway(sample, FRONT, log="gateway: WG_MTU\n")


@broken("setting-malformed")
def webs_gateway_is_told_an_endpoint_without_a_port(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.3")
    without_gateway(sample, FRONT, log="gateway: WG_PEER_ENDPOINT\n")


@broken("setting-contradicted")
def services_is_told_an_address_where_mariadb_is_not(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="10.101.0.22")
    sample.fail(SERVICES, "database", "connect", **_NO_ROUTE)


@broken("setting-contradicted")
def celery_is_told_what_web_is(sample: Sample) -> None:
    """It is beside the backends, and has no gateway to move to."""
    sample.tell(CELERY, DATABASE_HOST="10.100.0.11", CELERY_BROKER_URL="redis://10.100.0.11:6379/0")
    for backend in ("database", "broker"):
        sample.fail(CELERY, backend, "connect")


@broken("setting-contradicted")
def web_looks_for_the_database_in_its_own_namespace(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="localhost")
    sample.fail(WEB, "database", "connect", **REFUSED)


@broken("setting-contradicted")
def celery_looks_for_the_broker_at_ipv6s_loopback(sample: Sample) -> None:
    sample.tell(CELERY, CELERY_BROKER_URL="redis://[::1]:6379/0")
    sample.fail(CELERY, "broker", "connect", **REFUSED)


@broken("setting-contradicted")
def services_looks_for_the_database_in_itself(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="services")
    sample.fail(SERVICES, "database", "connect", **REFUSED)


@broken("setting-contradicted")
def services_looks_in_itself_for_a_database_that_has_whichever_address_is_free(sample: Sample) -> None:
    for attachment in sample.containers[MARIADB]["attachments"]:
        attachment["wanted"] = None
    sample.tell(SERVICES, DATABASE_HOST="LOCALHOST")
    sample.fail(SERVICES, "database", "connect", **REFUSED)


@fine
def a_proxy_of_webs_own_namespace_leads_to_the_database(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="localhost")


@broken("app-outside-gateway")
def another_application_of_the_web_side_is_beside_its_gateway(sample: Sample) -> None:
    attachment = {"network": "tunnel-net", "address": "172.20.0.9", "prefix": 24, "wanted": None}
    sample.rename(WEB, "shop")
    sample.containers["shop"] |= {"joined": None, "network_mode": "tunnel-net", "attachments": [attachment]}
    for backend in ("database", "broker", "10.100.0.11:8001"):
        sample.fail("shop", backend, "connect")


@broken("name-unresolvable")
def web_is_told_redis_for_a_host(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL="redis://redis:6379/0")
    sample.fail(WEB, "broker", "resolve", **_UNKNOWN_NAME)


@broken("backend-filtered")
def a_firewall_swallows_what_is_for_mariadb(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "database", "connect", errno=None, code=None, timed_out=True, said="timed out")


@broken("backend-filtered")
def a_firewall_refuses_what_is_for_redis(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "broker", "connect", **REFUSED)


@broken("backend-filtered")
def a_firewall_swallows_what_is_for_redis_by_its_name(sample: Sample) -> None:
    for app in (SERVICES, CELERY):
        sample.tell(app, CELERY_BROKER_URL="redis://redis:6379/0")
        sample.fail(
            app,
            "broker",
            "connect",
            host="redis",
            address="10.101.0.4",
            errno=None,
            code=None,
            timed_out=True,
            said="timed out",
        )
    sample.fail(WEB, "broker", "connect", errno=None, code=None, timed_out=True, said="timed out")


@broken("backend-read-only")
def mariadb_takes_no_writes(sample: Sample) -> None:
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["database"]["read_only"] = "@@global.read_only is 1"


@broken("backend-read-only")
def redis_was_made_a_replica(sample: Sample) -> None:
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["broker"]["read_only"] = "INFO says role:slave"


def beside(sample: Sample, name: str, image: str, *, port: int) -> None:
    """Have one more container on the backends' network, listed before all others, that listens on a port."""
    own = {name: dict(sample.pieces[REDIS])}
    attached = sample.containers[REDIS]["attachments"][0] | {"address": "10.101.0.9", "wanted": "10.101.0.9"}
    sample.pieces = own | sample.pieces
    sample.missing[name] = {}
    sample.containers[name] = sample.containers[REDIS] | {"image": image, "attachments": [attached]}
    sample.change(name, "sockets", listens("00000000", 6379), listens("00000000", port))


@fine
def an_exporter_of_redis_is_no_redis(sample: Sample) -> None:
    beside(sample, "exporter", "oliver006/redis_exporter:v1.62.0", port=9121)


@fine
def a_redis_that_nobody_dials_is_not_the_broker(sample: Sample) -> None:
    beside(sample, "sessions", "docker.io/library/redis:7", port=7000)
    sample.rename(REDIS, "queue")


@fine
def redis_is_outside_and_its_exporter_is_not(sample: Sample) -> None:
    beside(sample, "redis-exporter", "bitnami/redis-exporter:1", port=9121)
    _move_outside(sample)


@fine
def redis_is_outside_and_another_one_is_not(sample: Sample) -> None:
    """Whatever is at the end of ways that all work, it is not the container at another address."""
    beside(sample, "redis-sessions", "redis:7", port=7000)
    _move_outside(sample)


def _move_outside(sample: Sample) -> None:
    """Have everybody reach Redis where nobody looked."""
    sample.drop(REDIS)
    sample.change(BACK, "rules", "10.101.0.4", "10.101.0.44")
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:10.101.0.2 6379:tcp:10.101.0.44 8001:tcp:10.101.0.5")
    for app in (SERVICES, CELERY):
        sample.tell(app, CELERY_BROKER_URL="redis://10.101.0.44:6379/0")


@fine
def redis_is_dialled_by_a_name_and_listens_out_of_sight(sample: Sample) -> None:
    """Such as behind a proxy of the same name: everybody is answered."""
    for app in (SERVICES, CELERY):
        sample.tell(app, CELERY_BROKER_URL="redis://redis:6379/0")
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0100007F", 6379))


def _grant(sample: Sample, database: str) -> None:
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["database"]["grants"][1] = f"GRANT ALL PRIVILEGES ON `{database}`.* TO `app`@`%`"


@fine
def a_grant_is_for_databases_that_begin_alike(sample: Sample) -> None:
    for app in APPS:
        sample.tell(app, DATABASE_NAME="app_shop")
    _grant(sample, r"app\_%")


@fine
def a_grant_is_for_any_letter(sample: Sample) -> None:
    _grant(sample, "a_p")


@broken("grant-missing")
def a_grant_is_for_others_that_begin_alike(sample: Sample) -> None:
    """Of which this one is none: its name has no underscore."""
    _grant(sample, r"app\_%")


@fine
def a_setting_of_the_applications_own_begins_like_one_that_is_left_out(sample: Sample) -> None:
    for app in APPS:
        sample.tell(app, DATABASE_PORT=None, DATABASE_POOL="5")


# --- jobs


def _end_job(sample: Sample, name: str, *, like: str = SERVICES, restart: str = "no", exit_code: int = 0) -> None:
    """A container that has come to its end, of an application's image and with its settings."""
    sample.pieces[name], sample.missing[name] = dict(sample.pieces[like]), {}
    attachments = [each | {"address": None, "wanted": None} for each in sample.containers[like]["attachments"]]
    more = {"environment": dict(sample.environment(like)), "attachments": attachments, "published": []}
    sample.containers[name] = sample.containers[like] | more | {"restart": restart}
    sample.stop(name, exit_code=exit_code)


@fine
def a_migration_is_done(sample: Sample) -> None:
    _end_job(sample, "migrate")


@fine
def a_migration_is_done_that_is_called_after_the_database(sample: Sample) -> None:
    _end_job(sample, "db-migrate")
    sample.containers["db-migrate"]["environment"] = {}


@fine
def a_migration_through_the_tunnel_is_done(sample: Sample) -> None:
    _end_job(sample, "migrate", like=WEB)


@fine
def static_files_are_collected(sample: Sample) -> None:
    _end_job(sample, "collectstatic")
    sample.containers["collectstatic"]["environment"] = {}


@broken("container-down")
def a_migration_failed(sample: Sample) -> None:
    _end_job(sample, "migrate", exit_code=1)


@broken("container-down")
def a_worker_was_stopped_that_was_to_be_started_again(sample: Sample) -> None:
    _end_job(sample, "worker", restart="unless-stopped")


@broken("container-down")
def web_was_stopped_which_nobody_starts_again(sample: Sample) -> None:
    """It is alone in the namespace of its gateway, so that nothing is left that it could have been a job for."""
    sample.containers[WEB]["restart"] = "no"
    sample.stop(WEB, exit_code=0)
    sample.rename(WEB, "shop")


@broken("backend-down")
def mariadb_was_stopped_which_nobody_starts_again(sample: Sample) -> None:
    sample.containers[MARIADB]["restart"] = "no"
    sample.rename(MARIADB, "storage")
    _end(sample, "storage", "database", "exited", **_NO_ROUTE)
