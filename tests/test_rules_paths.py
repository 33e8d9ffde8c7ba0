"""Rules about settings, forwarding, backends and applications."""

from __future__ import annotations

import pytest

from .evidence_samples import (
    BACK,
    CELERY,
    FRONT,
    MARIADB,
    REDIS,
    REFUSED,
    SERVICES,
    WEB,
    Sample,
    forward_rules,
    listens,
)
from .sample_cases import Case, Cases

cases = Cases()

DNAT, MASQUERADE, ACCEPT = forward_rules(3306, "10.101.0.2")
BESIDE = (SERVICES, CELERY)


def _fail_everywhere(sample: Sample, backend: str, step: str, **said: object) -> None:
    for app in (*BESIDE, WEB):
        sample.fail(app, backend, step, **said)


# --- forwarding


@cases.makes("forwarding-disabled")
def the_kernel_does_not_forward(sample: Sample) -> None:
    sample.change(BACK, "sysctls", "ip_forward:1", "ip_forward:0")
    sample.fail_tunnel()


@cases.spares("forwarding-disabled")
def the_front_does_not_forward_either(sample: Sample) -> None:
    sample.change(FRONT, "sysctls", "conf/wg0/rp_filter:0", "conf/wg0/rp_filter:2")


@cases.makes("forward-rule-missing")
def a_dnat_rule_was_deleted(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, "")
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("forward-rule-missing")
def a_port_was_not_declared(sample: Sample) -> None:
    for rule in (DNAT, MASQUERADE, ACCEPT):
        sample.change(BACK, "rules", rule, "")
    sample.tell(BACK, WG_FORWARD_PORTS="6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("forward-rule-missing")
def a_rule_is_for_another_interface(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT.replace("-i wg0", "-i eth1"))
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("forward-rule-missing")
def all_rules_were_flushed(sample: Sample) -> None:
    sample.without_lines(BACK, "rules", "PREROUTING -i wg0")
    sample.fail_tunnel(**REFUSED)


@cases.spares("forward-rule-missing")
def a_rule_is_for_every_interface(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT.replace("-i wg0 ", ""))


@cases.spares("forward-rule-missing")
def a_rule_is_in_a_chain_of_its_own(sample: Sample) -> None:
    moved = DNAT.replace("PREROUTING -i wg0", "FORWARDS")
    sample.change(BACK, "rules", DNAT, f"[1:60] -A PREROUTING -i wg0 -j FORWARDS\n{moved}")
    sample.change(BACK, "rules", ":DOCKER_OUTPUT", ":FORWARDS - [0:0]\n:DOCKER_OUTPUT")


@cases.spares("forward-rule-missing")
def one_rule_is_for_several_ports(sample: Sample) -> None:
    both = DNAT.replace("-m tcp --dport 3306", "-m multiport --dports 3306,3307").replace(":3306", "")
    sample.change(BACK, "rules", DNAT, both)


@cases.makes("forward-rule-wrong-destination")
def a_rule_leads_to_the_other_backend(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:10.101.0.4 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    for old, new in zip((DNAT, MASQUERADE, ACCEPT), forward_rules(3306, "10.101.0.4"), strict=True):
        sample.change(BACK, "rules", old, new)
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("forward-rule-wrong-destination")
def a_rule_leads_to_nobody(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT.replace("10.101.0.2:", "10.101.0.77:"))
    sample.fail(WEB, "database", "connect")


@cases.makes("forward-rule-wrong-destination")
def a_rule_leads_to_another_port(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT.replace("10.101.0.2:3306", "10.101.0.2:3307"))
    sample.fail(WEB, "database", "connect")


@cases.makes("forward-rule-wrong-protocol")
def a_port_is_forwarded_for_udp(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS="3306:udp:10.101.0.2 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    for old, new in zip((DNAT, MASQUERADE, ACCEPT), forward_rules(3306, "10.101.0.2", protocol="udp"), strict=True):
        sample.change(BACK, "rules", old, new)
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.spares("forward-rule-wrong-protocol")
def a_port_is_forwarded_for_udp_as_well(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT + forward_rules(3306, "10.101.0.2", protocol="udp")[0])


@cases.makes("forward-rule-shadowed")
def another_dnat_rule_comes_first(sample: Sample) -> None:
    sample.change(
        BACK, "rules", DNAT, f"[9:540] -A PREROUTING -i wg0 -p tcp -j DNAT --to-destination 10.101.0.9\n{DNAT}"
    )
    sample.fail_tunnel()


@cases.makes("forward-rule-shadowed")
def a_users_chain_takes_the_packets(sample: Sample) -> None:
    first = "[9:540] -A PREROUTING -j MINE\n"
    taken = "[9:540] -A MINE -p tcp -m tcp --dport 3306 -j REDIRECT --to-ports 9999\n"
    sample.change(BACK, "rules", DNAT, f"{first}{DNAT}{taken}")
    sample.change(BACK, "rules", ":DOCKER_OUTPUT", ":MINE - [0:0]\n:DOCKER_OUTPUT")
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("forward-rule-shadowed")
def what_comes_from_the_tunnel_is_accepted_before(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, f"[9:540] -A PREROUTING -s 10.100.0.0/24 -j ACCEPT\n{DNAT}")
    sample.fail_tunnel(**REFUSED)


@cases.spares("forward-rule-shadowed")
def the_same_rule_is_there_twice(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT + DNAT.replace("[62:3720]", "[0:0]"))


@cases.spares("forward-rule-shadowed")
def another_rule_that_leads_there_comes_first(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, DNAT.replace("-i wg0", "-i wg+") + DNAT)


@cases.spares("forward-rule-shadowed")
def a_users_chain_only_counts(sample: Sample) -> None:
    sample.change(BACK, "rules", DNAT, f"[9:540] -A PREROUTING -j MINE\n{DNAT}[9:540] -A MINE -p tcp\n")
    sample.change(BACK, "rules", ":DOCKER_OUTPUT", ":MINE - [0:0]\n:DOCKER_OUTPUT")


@cases.makes("forward-dropped")
def a_rule_drops_what_is_forwarded(sample: Sample) -> None:
    sample.change(BACK, "rules", ACCEPT, f"[9:540] -A FORWARD -p tcp -m tcp --dport 3306 -j DROP\n{ACCEPT}")
    sample.fail(WEB, "database", "connect")


@cases.makes("forward-dropped")
def the_policy_drops_it_for_want_of_a_rule(sample: Sample) -> None:
    sample.change(BACK, "rules", ACCEPT, "")
    sample.fail(WEB, "database", "connect")


@cases.makes("forward-dropped")
def the_answers_are_dropped(sample: Sample) -> None:
    sample.without_lines(BACK, "rules", "-A FORWARD -o wg0", "RELATED,ESTABLISHED")
    sample.fail_tunnel()


@cases.spares("forward-dropped")
def invalid_packets_are_dropped(sample: Sample) -> None:
    sample.change(BACK, "rules", ACCEPT, f"[0:0] -A FORWARD -m conntrack --ctstate INVALID -j DROP\n{ACCEPT}")


@cases.spares("forward-dropped")
def some_packets_may_be_dropped_and_nothing_fails(sample: Sample) -> None:
    sample.change(BACK, "rules", ACCEPT, f"[0:0] -A FORWARD -m limit --limit 1/min -j DROP\n{ACCEPT}")


@cases.makes("return-path-missing")
def a_masquerade_was_deleted(sample: Sample) -> None:
    sample.change(BACK, "rules", MASQUERADE, "")
    sample.fail(WEB, "database", "connect")


@cases.makes("return-path-missing")
def a_masquerade_is_for_another_interface(sample: Sample) -> None:
    sample.change(BACK, "rules", MASQUERADE, MASQUERADE.replace("-o eth0", "-o eth1"))
    sample.fail(WEB, "database", "connect")


@cases.spares("return-path-missing")
def the_source_is_rewritten_by_snat(sample: Sample) -> None:
    sample.change(BACK, "rules", MASQUERADE, MASQUERADE.replace("MASQUERADE", "SNAT --to-source 10.101.0.3"))


@cases.spares("return-path-missing")
def the_backend_knows_the_way_back(sample: Sample) -> None:
    sample.change(BACK, "rules", MASQUERADE, "")
    sample.pieces[MARIADB]["kernel-routes"] += "eth0\t0000640A\t0300650A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"


@cases.makes("forward-setting-malformed")
def a_forward_is_written_otherwise(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS="3306->10.101.0.2")
    sample.stop(BACK, log="gateway: WG_FORWARD_PORTS: '3306->10.101.0.2' is not PORT:tcp|udp:ADDRESS\n")
    sample.kill_tunnel()


@cases.makes("forward-setting-malformed")
def a_forward_is_declared_twice(sample: Sample) -> None:
    twice = "3306:tcp:10.101.0.2 3306:tcp:10.101.0.4"
    sample.tell(BACK, WG_FORWARD_PORTS=f"{twice} 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    sample.stop(BACK)
    sample.kill_tunnel()


# --- settings


@cases.makes("setting-missing")
def a_gateway_has_no_address(sample: Sample) -> None:
    sample.tell(BACK, WG_ADDRESS=None)
    sample.stop(BACK, log="gateway: WG_ADDRESS is not set\n")
    sample.kill_tunnel()


@cases.makes("setting-missing")
def an_application_has_no_broker(sample: Sample) -> None:
    sample.tell(CELERY, CELERY_BROKER_URL="")
    sample.fail(CELERY, "broker", "setting", setting="REDIS_URL", said="None")


@cases.makes("setting-misnamed")
def a_gateways_setting_is_misspelt(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS=None, WG_FORWARD_PORT="3306:tcp:10.101.0.2")
    sample.without_lines(BACK, "rules", "PREROUTING -i wg0")
    sample.stop(BACK, log="gateway: WG_FORWARD_PORT is no setting\n")
    sample.kill_tunnel()


@cases.makes("setting-misnamed")
def an_application_is_told_in_djangos_words(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST=None, DB_HOST="10.100.0.11")
    sample.fail(WEB, "database", "setting", setting="DATABASE_HOST", said="None")


@cases.spares("setting-misnamed")
def an_application_has_settings_of_its_own(sample: Sample) -> None:
    sample.tell(WEB, DB_HOST="elsewhere", DJANGO_DEBUG="0", DATABASE_OPTIONS_FOR_TESTS="1")


@cases.makes("setting-malformed")
def a_port_is_no_number(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT="33o6")
    sample.fail(WEB, "database", "port", said="invalid literal for int()")


@cases.makes("setting-malformed")
def a_listen_port_is_no_number(sample: Sample) -> None:
    sample.tell(BACK, WG_LISTEN_PORT="default")
    sample.stop(BACK)
    sample.kill_tunnel()


@cases.makes("setting-malformed")
def a_tunnel_address_has_no_prefix(sample: Sample) -> None:
    sample.tell(BACK, WG_ADDRESS="10.100.0.11")
    sample.stop(BACK)
    sample.kill_tunnel()


@cases.makes("setting-malformed")
def a_broker_url_is_none(sample: Sample) -> None:
    sample.tell(CELERY, CELERY_BROKER_URL="10.101.0.4")
    sample.fail(CELERY, "broker", "url", said="no host")


@cases.spares("setting-malformed")
def a_broker_url_has_a_password(sample: Sample) -> None:
    sample.tell(CELERY, CELERY_BROKER_URL="redis://:[removed]@10.101.0.4:6379/0")


@cases.makes("setting-contradicted")
def web_is_told_the_backends_own_address(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="10.101.0.2")
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["host"] = "10.101.0.2"
    sample.fail(WEB, "database", "connect")


@cases.makes("setting-contradicted")
def services_is_told_the_other_backends_address(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="10.101.0.4")
    sample.fail(SERVICES, "database", "connect", **REFUSED)


@cases.makes("setting-contradicted")
def web_dials_a_port_that_is_not_forwarded(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PORT="3307")
    sample.fail(WEB, "database", "connect", **REFUSED)


@cases.makes("name-unresolvable")
def web_is_told_a_backends_name(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_HOST="mariadb")
    sample.fail(WEB, "database", "resolve", said="Name or service not known", errno=-2)


@cases.spares("name-unresolvable")
def services_is_told_a_backends_name(sample: Sample) -> None:
    sample.tell(SERVICES, DATABASE_HOST="mariadb", CELERY_BROKER_URL="redis://redis:6379/0")


# --- namespaces and containers


@cases.makes("app-outside-gateway")
def web_has_a_network_of_its_own(sample: Sample) -> None:
    sample.containers[WEB] |= {
        "joined": None,
        "network_mode": "wireguard-dev_tunnel-net",
        "attachments": [{"network": "tunnel-net", "address": "172.20.0.9", "prefix": 24, "wanted": None}],
    }
    sample.fail_tunnel()


@cases.makes("app-inside-gateway")
def services_lives_in_its_gateways_namespace(sample: Sample) -> None:
    sample.containers[SERVICES] |= {"joined": BACK, "network_mode": "container:e3b858b057e5", "attachments": []}
    sample.change(SERVICES, "netns", "4026532950", "4026532661")
    sample.fail(WEB, "10.100.0.11:8001", "connect")


@cases.makes("namespace-orphaned")
def web_is_left_in_an_old_namespace(sample: Sample) -> None:
    sample.change(FRONT, "netns", "4026532881", "4026539999")
    sample.fail_tunnel(errno=101, said="[Errno 101] Network is unreachable")


@cases.makes("namespace-orphaned")
def webs_gateway_was_created_anew(sample: Sample) -> None:
    sample.containers[WEB]["joined"] = "gone"
    sample.stop(WEB)


@cases.makes("container-down")
def a_gateway_was_stopped(sample: Sample) -> None:
    sample.stop(BACK, exit_code=0)
    sample.kill_tunnel()


@cases.makes("container-down")
def a_gateway_is_paused(sample: Sample) -> None:
    sample.stop(FRONT, "paused")


@cases.makes("container-down")
def webs_gateway_and_so_web_are_down(sample: Sample) -> None:
    sample.stop(FRONT)
    sample.stop(WEB)


@cases.makes("container-down")
def an_application_was_killed(sample: Sample) -> None:
    sample.stop(CELERY, exit_code=137)


@cases.makes("container-down")
def an_application_was_never_created(sample: Sample) -> None:
    sample.stop(CELERY, "absent")
    sample.containers[CELERY] |= {"environment": {}, "attachments": [], "image": ""}
    sample.lose(CELERY, "secret-files", "the container is absent")


@cases.makes("out-of-memory")
def a_worker_gets_too_little_memory(sample: Sample) -> None:
    sample.containers[CELERY]["oom_killed"] = True
    sample.stop(CELERY, "restarting", exit_code=137)


@cases.makes("out-of-memory")
def a_child_of_a_container_was_killed(sample: Sample) -> None:
    sample.pieces[SERVICES]["events"] = "1795502200 oom\n"


@cases.spares("out-of-memory")
def a_container_was_restarted(sample: Sample) -> None:
    sample.containers[CELERY]["restarts"] = 2
    sample.pieces[CELERY]["events"] = "1795502200 start\n"
    sample.pieces[CELERY]["log"] += "a job: zoom out\n"


# --- backends


@cases.makes("backend-down")
def mariadb_was_stopped(sample: Sample) -> None:
    sample.stop(MARIADB)
    for app in BESIDE:
        sample.fail(app, "database", "connect", errno=113, said="[Errno 113] No route to host")
    sample.fail(WEB, "database", "connect")


@cases.makes("backend-down")
def redis_is_paused(sample: Sample) -> None:
    sample.stop(REDIS, "paused")
    _fail_everywhere(sample, "broker", "answer")


@cases.makes("backend-address-moved")
def mariadb_has_another_address(sample: Sample) -> None:
    sample.containers[MARIADB]["attachments"][0] |= {"address": "10.101.0.130", "wanted": None}
    _fail_everywhere(sample, "database", "connect")


@cases.makes("backend-address-moved")
def redis_was_given_another_address(sample: Sample) -> None:
    sample.containers[REDIS]["attachments"][0] |= {"address": "10.101.0.44", "wanted": "10.101.0.44"}
    _fail_everywhere(sample, "broker", "connect")


@cases.makes("backend-not-listening")
def mariadb_listens_on_loopback(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", "00000000:0CEA", "0100007F:0CEA")
    _fail_everywhere(sample, "database", "connect", **REFUSED)


@cases.makes("backend-not-listening")
def redis_listens_on_another_port(sample: Sample) -> None:
    sample.change(REDIS, "sockets", "00000000:18EB", "00000000:18EC")
    _fail_everywhere(sample, "broker", "connect", **REFUSED)


@cases.spares("backend-not-listening")
def mariadb_listens_on_its_own_address_alone(sample: Sample) -> None:
    sample.change(MARIADB, "sockets", "00000000:0CEA", "0200650A:0CEA")


@cases.spares("backend-not-listening")
def redis_listens_on_all_of_ipv6(sample: Sample) -> None:
    sample.change(REDIS, "sockets", listens("00000000", 6379), listens("0" * 32, 6379))


@cases.makes("redis-protected-mode")
def redis_is_in_protected_mode(sample: Sample) -> None:
    _fail_everywhere(sample, "broker", "answer", said="DENIED Redis is running in protected mode because", kind="X")


@cases.makes("backend-overloaded")
def mariadb_has_too_many_connections(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", code=1040, said="(1040, 'Too many connections')")


@cases.makes("host-blocked")
def mariadb_has_blocked_the_gateway(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", code=1129, said="(1129, \"Host '10.101.0.3' is blocked\")")


@cases.makes("credentials-rejected")
def mariadb_rejects_a_password(sample: Sample) -> None:
    sample.fail(WEB, "database", "login", code=1045, said="(1045, \"Access denied for user 'app'@'10.101.0.3'\")")


@cases.makes("credentials-rejected")
def redis_wants_a_password(sample: Sample) -> None:
    _fail_everywhere(sample, "broker", "answer", kind="RedisReplyError", said="NOAUTH Authentication required.")


@cases.makes("grant-missing")
def the_user_may_not_use_the_database(sample: Sample) -> None:
    denied = "(1044, \"Access denied for user 'app'@'%' to database 'app'\")"
    _fail_everywhere(sample, "database", "login", code=1044, said=denied)


@cases.makes("grant-missing")
def the_user_may_only_read(sample: Sample) -> None:
    for app in (*BESIDE, WEB):
        with sample.edited(app, "backends") as reaches:
            reaches["database"]["grants"][1] = "GRANT SELECT ON `app`.* TO `app`@`%`"


@cases.spares("grant-missing")
def the_user_may_do_what_it_needs(sample: Sample) -> None:
    with sample.edited(WEB, "backends") as reaches:
        reaches["database"]["grants"] = ["GRANT SELECT, INSERT, UPDATE, DELETE ON `a\\_p%`.* TO `app`@`%`"]
        reaches["database"]["grants"] += ["GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `app`.* TO `app`@`%`"]


@cases.makes("secret-unreadable")
def web_may_not_read_its_password(sample: Sample) -> None:
    denied = "[Errno 13] Permission denied: '/run/secrets/db_password'"
    sample.fail(WEB, "database", "password", kind="PermissionError", errno=13, said=denied)


@cases.makes("secret-unreadable")
def services_may_not_read_the_brokers_password(sample: Sample) -> None:
    sample.tell(SERVICES, REDIS_PASSWORD_FILE="/run/secrets/redis_password")
    with sample.edited(SERVICES, "backends") as reaches:
        reaches["broker"]["reached"].insert(0, "password")
    denied = "[Errno 13] Permission denied: '/run/secrets/redis_password'"
    sample.fail(SERVICES, "broker", "password", kind="PermissionError", errno=13, said=denied)


@cases.spares("secret-unreadable")
def web_reads_its_password_from_elsewhere(sample: Sample) -> None:
    sample.tell(WEB, DATABASE_PASSWORD_FILE="/run/secrets/another")


# --- exposure


@cases.makes("port-exposed")
def mariadb_is_published_for_all(sample: Sample) -> None:
    port = {"port": 3306, "protocol": "tcp", "host": "0.0.0.0", "host_port": "3306"}
    sample.containers[MARIADB]["published"] = [port]


@cases.makes("port-exposed")
def web_is_published_for_all_of_ipv6(sample: Sample) -> None:
    sample.containers[FRONT]["published"][0]["host"] = "::"


@cases.spares("port-exposed")
def mariadb_is_published_on_loopback(sample: Sample) -> None:
    port = {"port": 3306, "protocol": "tcp", "host": "127.0.0.1", "host_port": "3306"}
    sample.containers[MARIADB]["published"] = [port]


@cases.spares("port-exposed")
def web_is_published_as_https(sample: Sample) -> None:
    sample.containers[FRONT]["published"][0] |= {"host": "0.0.0.0", "host_port": "443"}


@cases.makes("tunnel-bypassed")
def webs_gateway_is_on_the_backends_network(sample: Sample) -> None:
    attached = {"network": "services-net", "address": "10.101.0.140", "prefix": 24, "wanted": None}
    sample.containers[FRONT]["attachments"].append(attached)


@cases.spares("tunnel-bypassed")
def webs_gateway_is_on_a_third_network(sample: Sample) -> None:
    attached = {"network": "proxy", "address": "10.7.0.9", "prefix": 24, "wanted": None}
    sample.containers[FRONT]["attachments"].append(attached)


# --- deployments unlike the documented one


@cases.spares("peer-key-mismatch")
def services_have_other_names(sample: Sample) -> None:
    for old, new in ((FRONT, "gw-a"), (BACK, "gw-b"), (WEB, "shop"), (MARIADB, "sql-1"), (REDIS, "valkey-0")):
        sample.rename(old, new)
    sample.containers["sql-1"]["image"] = "docker.io/library/mysql:8"


@cases.makes("forward-rule-missing")
def a_rule_is_lost_where_services_have_other_names(sample: Sample) -> None:
    a_dnat_rule_was_deleted(sample)
    services_have_other_names(sample)


@cases.spares("backend-down")
def the_database_is_an_external_one(sample: Sample) -> None:
    sample.drop(MARIADB)
    sample.change(BACK, "rules", "10.101.0.2", "192.0.2.7")
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:192.0.2.7 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    for app in BESIDE:
        sample.tell(app, DATABASE_HOST="192.0.2.7")
    with sample.edited(BACK, "routes") as routes:
        routes[0] = {"dst": "default", "gateway": "10.101.0.1", "dev": "eth0", "flags": []}


@cases.makes("forward-rule-missing")
def a_rule_to_an_external_database_is_lost(sample: Sample) -> None:
    the_database_is_an_external_one(sample)
    sample.without_lines(BACK, "rules", "DNAT --to-destination 192.0.2.7")
    sample.fail(WEB, "database", "connect", **REFUSED)


# --- all of them


@pytest.mark.parametrize("case", cases.broken, ids=str)
def test_the_cause_alone_is_the_root(case: Case) -> None:
    """Of everything that a fault brings about, exactly its cause is named as the root."""
    case.check()


@pytest.mark.parametrize("case", cases.well, ids=str)
def test_what_looks_alike_and_works_is_healthy(case: Case) -> None:
    """The nearest neighbour of a fault that breaks nothing is not found at all."""
    case.check()
