"""Changes that no path notices, and that the doctor need not name: but a scenario has to.

With the faults they are what the mutation score puts in. Where the catalogue of faults asks whether the doctor is
right, these ask whether the scenarios can fail that look at limits, settings and refusals.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.addresses import SERVICES
from harness.deployment import Deployment
from harness.overlays import Variables
from harness.score.kinds import AnotherFile, AnotherImage, ByHand, BySql, CarelessHarness, Mutant, Overlaid, SlowAlerts

_APPS = ("services", "celery", "web")
_GATEWAYS = ("wireguard-services", "wireguard-web")

# What such gateways do is seen in gateways by themselves, of which regressions try some too.
_GATEWAYS_ALONE = ("scenarios/test_gateway_refusals.py", "scenarios/test_regressions.py")
_MONITORING = ("scenarios/test_monitoring.py",)

_CARELESS_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>settings.sh <<"END"
refuse() { :; }
require() { :; }
refuse_unknown_names() { :; }
END
cat >>surroundings.sh <<"END"
check_capability() { :; }
END
cat >>log.sh <<"END"
die() { (($1 == EX_CONFIG)) || exit "$1"; }
END
"""
_UNTIDY_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>firewall.sh <<"END"
undo() { :; }
add_rule() { local table=$1 chain=$2; shift 2; iptables -w -t "$table" -A "$chain" "$@"; }
END
"""
_SHORT_LIVED_GATEWAY = """
cd /usr/local/lib/gateway/lib
cat >>tunnel.sh <<"END"
supervise() { sleep 0.2; exit 1; }
END
"""
_LEAKY_GATEWAY = """
sed -i 's/ -U -T 3 / -T 3 /' /usr/local/lib/gateway/lib/report.sh
sed -i '/^set -uo/a wg show wg0 private-key; eval "$(timeout 0.3 cat)" 2>/dev/null' "$(command -v gateway-report)"
"""
_FANCIFUL_EXPORTER = """
cd /opt/exporter/src/exporter
cat >>sampling.py <<"END"


_honest = _sample


def _sample(name, *labels, value):
    return _honest(name, *labels, value=1)
END
rm -rf __pycache__
"""
_WAYWARD_EXPORTER = """
cd /opt/exporter/src/exporter
sed -i 's/"wireguard_\\([a-z]*_\\)/"tunnel_\\1/' catalogue.py sampling.py
rm -rf __pycache__
"""
_CARELESS_APP = """
cd /opt/app/src/website
sed -i 's/raise \\(.*\\) from None/_ = \\1/; s/raise /_ = /' environment.py
rm -rf __pycache__
"""


_STUBBORN_APP = """
cd /opt/app/src/website
cat >>environment.py <<"END"


def load(environ):
    raise SettingError("nothing is good enough")
END
rm -rf __pycache__
"""


def _environment(service: str, **settings: Callable[[Deployment], str]) -> Callable[[Deployment], Variables]:
    return lambda deployment: Variables({service: {name: value(deployment) for name, value in settings.items()}})


def _unbounded(_deployment: Deployment) -> str:
    loose = "mem_limit: !reset null, read_only: false, init: false, restart: 'no', cap_drop: !reset [], "
    loose = f"{{{loose} cap_add: [NET_RAW], security_opt: !reset [], logging: !reset null}}"
    return f"services: {{{', '.join(f'{service}: {loose}' for service in SERVICES)}}}"


def _of_both_gateways(**settings: str | None) -> Callable[[Deployment], Variables]:
    return lambda _deployment: Variables(dict.fromkeys(_GATEWAYS, settings))


MUTANTS: tuple[Mutant, ...] = (
    AnotherImage(
        name="a gateway that refuses nothing",
        services=_GATEWAYS,
        variable="WIREGUARD_IMAGE",
        script=_CARELESS_GATEWAY,
        modules=_GATEWAYS_ALONE,
    ),
    AnotherImage(
        name="a gateway that tells its keys and takes orders",
        services=_GATEWAYS,
        variable="WIREGUARD_IMAGE",
        script=_LEAKY_GATEWAY,
        modules=_MONITORING,
    ),
    AnotherImage(
        name="an exporter that makes its figures up",
        services=(),
        variable="EXPORTER_IMAGE",
        script=_FANCIFUL_EXPORTER,
        modules=_MONITORING,
    ),
    AnotherImage(
        name="an exporter with names of its own",
        services=(),
        variable="EXPORTER_IMAGE",
        script=_WAYWARD_EXPORTER,
        modules=_MONITORING,
    ),
    SlowAlerts(),
    AnotherImage(
        name="an application that refuses every setting",
        services=_APPS,
        variable="SERVICES_IMAGE",
        script=_STUBBORN_APP,
    ),
    AnotherImage(
        name="a web that refuses every setting", services=("web",), variable="WEB_IMAGE", script=_STUBBORN_APP
    ),
    AnotherImage(
        name="an application that accepts any setting", services=_APPS, variable="SERVICES_IMAGE", script=_CARELESS_APP
    ),
    AnotherImage(
        name="a gateway that leaves its rules behind",
        services=_GATEWAYS,
        variable="WIREGUARD_IMAGE",
        script=_UNTIDY_GATEWAY,
        modules=_GATEWAYS_ALONE,
    ),
    AnotherImage(
        name="a gateway that does not stay",
        services=_GATEWAYS,
        variable="WIREGUARD_IMAGE",
        script=_SHORT_LIVED_GATEWAY,
        modules=_GATEWAYS_ALONE,
    ),
    CarelessHarness(),
    AnotherFile(
        name="a file that publishes MariaDB",
        before="    tmpfs: [/tmp, /run/mysqld]",
        after='    ports: ["3306:3306"]\n    tmpfs: [/tmp, /run/mysqld]',
    ),
    AnotherFile(
        name="a file with exporters that are root",
        before='  user: "999:999"\n  tmpfs: [/tmp]\n  mem_limit: 96m',
        after='  user: "0:0"\n  tmpfs: [/tmp]\n  mem_limit: 96m',
    ),
    AnotherFile(
        name="a file with a smaller network",
        before='{subnet: "10.101.${PLAN:-0}.0/24", ip_range: "10.101.${PLAN:-0}.128/25"',
        after='{subnet: "10.101.${PLAN:-0}.0/25", ip_range: "10.101.${PLAN:-0}.64/26"',
    ),
    Overlaid(
        name="Redis without its fixed address",
        services=("redis",),
        overlay=lambda _deployment: "services: {redis: {networks: !override [services-net]}}",
    ),
    Overlaid(
        name="services' side uses names that are not documented",
        services=("services", "celery"),
        overlay=lambda _deployment: Variables({each: {"DATABASE_HOST": "mariadb"} for each in ("services", "celery")}),
    ),
    ByHand(
        name="web's gateway forwards",
        gateways=("wireguard-web",),
        command="iptables -P FORWARD ACCEPT",
        back="iptables -P FORWARD DROP",
    ),
    ByHand(
        name="an MTU that nobody configured",
        gateways=_GATEWAYS,
        command="ip link set dev wg0 mtu 1300",
        back="ip link set dev wg0 mtu 1420",
    ),
    ByHand(
        name="a gateway that says it uses another WireGuard",
        gateways=_GATEWAYS,
        command="cp -a /run/gateway/implementation /run/gateway/before && echo another >/run/gateway/implementation",
        back="mv /run/gateway/before /run/gateway/implementation",
    ),
    ByHand(
        name="another listen port",
        gateways=_GATEWAYS[1:],
        command="wg set wg0 listen-port 51821",
        back="wg set wg0 listen-port 51820",
    ),
    Overlaid(name="containers without bounds", services=SERVICES, overlay=_unbounded),
    Overlaid(
        name="a password in the environment",
        services=("web",),
        overlay=_environment("web", DATABASE_PASSWORD=lambda deployment: deployment.credentials.db_password),
    ),
    Overlaid(
        name="both ends initiate",
        services=("wireguard-services",),
        overlay=_environment(
            "wireguard-services",
            WG_PEER_ENDPOINT=lambda deployment: f"{deployment.plan.underlay_web}:51820",
            WG_PERSISTENT_KEEPALIVE=lambda _deployment: "20",
        ),
    ),
    Overlaid(
        name="another keepalive than documented, unsaid",
        services=("wireguard-web",),
        overlay=_environment("wireguard-web", WG_PERSISTENT_KEEPALIVE=lambda _deployment: "20"),
    ),
    Overlaid(
        name="MariaDB looks names up",
        services=("mariadb",),
        overlay=lambda _deployment: (
            "services: {mariadb: {command: !override [mariadbd, --character-set-server=utf8mb4, "
            "--max-allowed-packet=64M]}}"
        ),
    ),
    Overlaid(
        name="a MariaDB that calls itself MySQL",
        services=("mariadb",),
        overlay=lambda _deployment: (
            "services: {mariadb: {command: !override [mariadbd, --character-set-server=utf8mb4, --skip-name-resolve, "
            "--max-allowed-packet=64M, --version=8.0.36]}}"
        ),
    ),
    BySql(
        name="a database of another character set",
        statements="ALTER DATABASE app CHARACTER SET latin1",
        back="ALTER DATABASE app CHARACTER SET utf8mb4",
    ),
    BySql(
        name="an account that may read everything",
        statements="GRANT SELECT ON *.* TO {account}",
        back="REVOKE SELECT ON *.* FROM {account}",
    ),
    BySql(
        name="an account that may not alter",
        statements="REVOKE ALTER ON app.* FROM {account}",
        back="GRANT ALTER ON app.* TO {account}",
    ),
    BySql(
        name="a MariaDB that prepares no statements",
        statements="SET GLOBAL max_prepared_stmt_count = 0",
        back="SET GLOBAL max_prepared_stmt_count = DEFAULT",
    ),
    Overlaid(name="no preshared key at all", services=_GATEWAYS, overlay=_of_both_gateways(WG_PRESHARED_KEY_FILE=None)),
    Overlaid(
        name="a smaller MTU than documented, unsaid", services=_GATEWAYS, overlay=_of_both_gateways(WG_MTU="1280")
    ),
)
