"""Backends, applications, and what they are told."""

from __future__ import annotations

from tests.evidence_samples import APPS, BACK, CELERY, FRONT, MARIADB, REDIS, REFUSED, SERVICES, WEB, Sample, listens

from . import broken, cut, fine, untold, without_gateway

_NO_ROUTE = {"errno": 113, "code": None, "timed_out": False, "said": "[Errno 113] No route to host"}
_DENIED = {"errno": None, "code": 1045, "timed_out": False, "said": "(1045, \"Access denied for user 'app'\")"}
_NO_AUTH = {"errno": None, "code": None, "said": "Authentication required.", "kind": "AuthenticationError"}
_UNKNOWN_NAME = {"errno": -2, "code": -2, "said": "[Errno -2] Name or service not known", "kind": "gaierror"}


def _end(sample: Sample, backend: str, key: str, status: str, **more: object) -> None:
    sample.stop(backend, status, exit_code=0)
    for app in APPS:
        sample.fail(app, key, "connect", **more)


@broken("backend-down")
def mariadb_is_stopped(sample: Sample) -> None:
    _end(sample, MARIADB, "database", "exited", **_NO_ROUTE)


@broken("backend-down")
def redis_is_paused(sample: Sample) -> None:
    _end(sample, REDIS, "broker", "paused")


@broken("backend-down")
def mariadb_restarts_over_and_over(sample: Sample) -> None:
    _end(sample, MARIADB, "database", "restarting", **_NO_ROUTE)
    sample.containers[MARIADB] |= {"restarts": 7, "exit_code": 1}


@broken("backend-not-listening")
def redis_listens_on_loopback_only(sample: Sample) -> None:
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0100007F", 6379))
    for app in APPS:
        sample.fail(app, "broker", "connect", **REFUSED)


@broken("backend-not-listening")
def mariadb_listens_nowhere(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", listens("00000000", 3306), "")
    for app in APPS:
        sample.fail(app, "database", "connect", **REFUSED)


@broken("backend-not-listening")
def mariadb_listens_on_another_port(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", listens("00000000", 3306), listens("00000000", 3307))
    for app in APPS:
        sample.fail(app, "database", "connect", **REFUSED)


@broken("backend-not-listening")
def services_listens_on_loopback_only(sample: Sample) -> None:
    sample.change(SERVICES, "sockets", listens("00000000", 8001), listens("0100007F", 8001))
    sample.fail(WEB, "10.100.0.11:8001", "connect", **REFUSED)


@fine
def mariadb_listens_on_its_own_address_alone(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", listens("00000000", 3306), listens("0200650A", 3306))


@fine
def redis_listens_on_ipv6_which_means_both(sample: Sample) -> None:
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0" * 32, 6379))


@fine
def redis_listens_on_loopback_and_on_its_address(sample: Sample) -> None:
    own = listens("0400650A", 6379)
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0100007F", 6379) + own)


@broken("backend-overloaded")
def mariadb_takes_no_more_connections(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "database", "login", errno=None, code=1040, said="(1040, 'Too many connections')")


@broken("backend-overloaded")
def redis_takes_no_more_clients(sample: Sample) -> None:
    sample.fail(WEB, "broker", "answer", errno=None, code=None, said="max number of clients reached")


@broken("host-blocked")
def mariadb_has_blocked_the_gateway(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", errno=None, code=1129, said="(1129, \"Host '10.101.0.3' is blocked\")")


@broken("host-blocked")
def mariadb_does_not_know_the_gateway(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", errno=None, code=1130, said="(1130, \"Host '10.101.0.3' is not allowed\")")


@broken("redis-protected-mode")
def redis_is_in_protected_mode(sample: Sample) -> None:
    said = "DENIED Redis is running in protected mode because protected mode is enabled"
    for app in APPS:
        sample.fail(app, "broker", "answer", errno=None, code=None, said=said, kind="ResponseError")


@broken("credentials-rejected")
def the_databases_password_was_changed_on_the_server(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "database", "login", **_DENIED)


@broken("credentials-rejected")
def web_has_a_wrong_password(sample: Sample) -> None:
    with sample.edited(WEB, "secret-files") as files:
        files[0]["seal"] = "sealed:000000000000"
    sample.fail(WEB, "database", "login", **_DENIED)


@broken("credentials-rejected")
def redis_wants_a_password(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "broker", "answer", **_NO_AUTH)


@broken("grant-missing")
def the_user_may_not_use_the_database(sample: Sample) -> None:
    for app in APPS:
        sample.fail(app, "database", "login", errno=None, code=1044, said="(1044, \"Access denied to database 'app'\")")


@broken("grant-missing")
def the_user_may_only_read(sample: Sample) -> None:
    for app in APPS:
        with sample.edited(app, "backends") as reaches:
            reaches["database"]["grants"][1] = "GRANT SELECT ON `app`.* TO `app`@`%`"


@broken("grant-missing")
def the_user_may_do_everything_with_another_database(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"][1] = "GRANT ALL PRIVILEGES ON `other`.* TO `app`@`%`"


@fine
def the_user_may_do_what_is_needed_and_no_more(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"] = [
            "GRANT USAGE ON *.* TO `app`@`%`",
            "GRANT SELECT, INSERT ON `app`.* TO `app`@`%`",
            "GRANT UPDATE, DELETE, CREATE, ALTER ON `app`.* TO `app`@`%` WITH GRANT OPTION",
        ]


@fine
def the_user_may_do_everything_everywhere(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"] = ["GRANT ALL PRIVILEGES ON *.* TO `app`@`%`"]


@broken("container-down")
def web_is_stopped(sample: Sample) -> None:
    sample.stop(WEB, exit_code=0)


@broken("container-down")
def services_gateway_is_stopped(sample: Sample) -> None:
    without_gateway(sample, BACK, status="exited")


@broken("container-down")
def services_gateway_is_paused(sample: Sample) -> None:
    without_gateway(sample, BACK, status="paused")


@broken("container-down")
def webs_gateway_is_gone_and_web_with_it(sample: Sample) -> None:
    sample.stop(WEB)
    sample.stop(FRONT)
    untold(sample, "wireguard-web is exited")
    sample.change(BACK, "dump", "\t172.20.0.2:51820\t", "\t(none)\t")


@broken("container-down")
def the_worker_was_never_started(sample: Sample) -> None:
    sample.stop(CELERY, "created", exit_code=0)


@fine
def a_worker_that_was_restarted(sample: Sample) -> None:
    sample.containers[CELERY] |= {"restarts": 3, "started_at": "2026-11-24T06:40:00Z"}


@broken("out-of-memory")
def services_runs_out_of_memory(sample: Sample) -> None:
    sample.stop(SERVICES, "restarting", exit_code=137)
    sample.containers[SERVICES] |= {"oom_killed": True, "restarts": 4}
    sample.fail(WEB, "10.100.0.11:8001", "connect", **_NO_ROUTE)


@broken("out-of-memory")
def mariadb_is_killed_and_comes_back_and_only_the_events_tell(sample: Sample) -> None:
    sample.containers[MARIADB]["restarts"] = 2
    sample.pieces[MARIADB]["events"] = "1795502100 oom\n1795502100 die\n"


@fine
def mariadb_ended_and_came_back(sample: Sample) -> None:
    sample.containers[MARIADB]["restarts"] = 1
    sample.pieces[MARIADB]["events"] = "1795502100 die\n"


@broken("app-inside-gateway")
def services_lives_in_its_gateways_namespace(sample: Sample) -> None:
    sample.containers[SERVICES] |= {
        "network_mode": "container:0123456789ab",
        "joined": BACK,
        "attachments": [],
        "published": [],
    }
    sample.pieces[SERVICES]["netns"] = sample.pieces[BACK]["netns"]
    sample.fail(WEB, "10.100.0.11:8001", "connect", **_NO_ROUTE)


@broken("app-outside-gateway")
def web_is_on_a_network_of_its_own(sample: Sample) -> None:
    sample.containers[WEB] |= {
        "network_mode": "wireguard-dev_default",
        "joined": None,
        "attachments": [{"network": "default", "address": "172.30.0.2", "prefix": 24, "wanted": None}],
    }
    sample.pieces[WEB]["netns"] = "net:[4026539999]\n"
    cut(sample, "database", "broker")
    with sample.edited(WEB, "backends") as reaches:
        del reaches["10.100.0.11:8001"]


@broken("namespace-orphaned")
def webs_gateway_was_restarted_alone(sample: Sample) -> None:
    sample.pieces[WEB]["netns"] = "net:[4026530000]\n"
    sample.fail_tunnel(**_NO_ROUTE)


@broken("namespace-orphaned")
def webs_gateway_was_created_anew_alone(sample: Sample) -> None:
    sample.containers[WEB]["joined"] = "gone"
    sample.pieces[WEB]["netns"] = "net:[4026530000]\n"
    sample.fail_tunnel(**_NO_ROUTE)


@broken("setting-missing")
def web_is_not_told_the_databases_name(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_NAME=None)
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_NAME")


@broken("setting-missing")
def web_is_not_told_the_databases_name_and_ends(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_NAME="")
    sample.stop(WEB, "restarting", log="DATABASE_NAME is not set\n")


@broken("setting-missing")
def services_gateway_is_not_told_its_address(sample: Sample) -> None:
    sample.tell(BACK, WG_ADDRESS=None)
    without_gateway(sample, BACK, log="gateway: WG_ADDRESS is not set\n")


@broken("setting-missing")
def web_is_told_no_broker(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL=None)
    sample.fail(WEB, "broker", "setting", said="None", setting="REDIS_URL")


@fine
def the_broker_is_told_by_its_other_name(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL=None, REDIS_URL="redis://10.100.0.11:6379/0")


@fine
def no_database_port_is_told(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT=None)


@broken("setting-misnamed")
def web_is_told_db_host(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST=None, DB_HOST="10.100.0.11")
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_HOST")


@broken("setting-misnamed")
def web_is_told_database_hots(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST=None, DATABASE_HOTS="10.100.0.11")
    sample.fail(WEB, "database", "setting", said="None", setting="DATABASE_HOST")


@broken("setting-misnamed")
def services_gateway_is_told_wg_forward_port(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORT=sample.environment(BACK)["WG_FORWARD_PORTS"], WG_FORWARD_PORTS=None)
    without_gateway(sample, BACK, log="gateway: WG_FORWARD_PORT is no setting\n")
    with sample.edited(WEB, "backends") as reaches:
        del reaches["10.100.0.11:8001"]


@fine
def an_app_that_is_told_more_than_is_known(sample: Sample) -> None:
    sample.tell(WEB, DEBUG="1", DB_HOST="10.100.0.11", DATABASE_POOL_SIZE="5", TZ="UTC")


@broken("setting-malformed")
def web_is_told_a_port_with_a_letter(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT="33O6")
    sample.fail(WEB, "database", "port", errno=None, said="invalid literal for int() with base 10: '33O6'")


@broken("setting-malformed")
def web_is_told_an_address_that_is_none(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="10.100.0.1111")
    sample.fail(WEB, "database", "resolve", **_UNKNOWN_NAME)


@broken("setting-malformed")
def web_is_told_a_url_that_is_none(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL="redis://10.100.0.11:63x79/0")
    sample.fail(WEB, "broker", "url", errno=None, said="Port could not be cast to integer value as '63x79'")


@broken("setting-malformed")
def services_gateway_is_told_an_address_without_its_subnet(sample: Sample) -> None:
    sample.tell(BACK, WG_ADDRESS="10.100.0.11")
    without_gateway(sample, BACK, log="gateway: WG_ADDRESS is no address with a prefix length\n")


@broken("setting-malformed")
def webs_gateway_is_told_an_mtu_that_is_none(sample: Sample) -> None:
    sample.tell(FRONT, WG_MTU="1420 bytes")
    without_gateway(sample, FRONT, log="gateway: WG_MTU\n")


@broken("setting-malformed")
def webs_gateway_is_told_an_endpoint_without_a_port(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.3")
    without_gateway(sample, FRONT, log="gateway: WG_PEER_ENDPOINT\n")


@broken("setting-contradicted")
def web_is_told_the_backends_own_address(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="10.101.0.2")
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["host"] = "10.101.0.2"
    cut(sample, "database")


@broken("setting-contradicted")
def web_is_told_a_port_that_is_not_forwarded(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT="3307")
    sample.fail(WEB, "database", "connect", **REFUSED)


@broken("setting-contradicted")
def services_is_told_an_address_where_mariadb_is_not(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="10.101.0.22")
    sample.fail(SERVICES, "database", "connect", **_NO_ROUTE)


@broken("name-unresolvable")
def web_is_told_mariadb_for_a_host(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="mariadb")
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["host"] = "mariadb"
    sample.fail(WEB, "database", "resolve", **_UNKNOWN_NAME)


@broken("name-unresolvable")
def web_is_told_redis_for_a_host(sample: Sample) -> None:
    sample.tell(WEB, CELERY_BROKER_URL="redis://redis:6379/0")
    sample.fail(WEB, "broker", "resolve", **_UNKNOWN_NAME)


@fine
def services_finds_the_backends_by_their_names(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="mariadb", CELERY_BROKER_URL="redis://redis:6379/0")
