"""What is published on the machine, and who listens behind it."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.evidence_samples import APPS, FRONT, MARIADB, NOW, SERVICES, WEB, Sample, forward_rules, listens

from . import broken, fine, fronts, publish

_WEB = listens("00000000", 8000)
_LOOPBACK = listens("0100007F", 8000)


def _listen(sample: Sample, *lines: str) -> None:
    """Have other sockets in web's namespace, of which its gateway sees as much as web itself."""
    for service in (FRONT, WEB):
        sample.change(service, "sockets", _WEB, "".join(lines))


def _publish_web_server(sample: Sample, *, port: int = 8443) -> None:
    fronts.place(sample)
    sample.containers[fronts.NGINX]["published"] = []
    publish(sample, fronts.NGINX, 443, "0.0.0.0", inside=port)


def _lead(sample: Sample, service: str, port: int) -> None:
    """Have what is published lead to another port in the container."""
    sample.containers[service]["published"][0]["port"] = port


@broken("publication-dead")
def web_is_published_as_another_web_servers_port(sample: Sample) -> None:
    _lead(sample, FRONT, 80)


@broken("publication-dead")
def services_is_published_as_webs_port(sample: Sample) -> None:
    _lead(sample, SERVICES, 8000)


@broken("publication-dead")
def web_listens_on_loopback_alone(sample: Sample) -> None:
    _listen(sample, _LOOPBACK)


@broken("publication-dead")
def web_listens_on_another_port(sample: Sample) -> None:
    _listen(sample, listens("00000000", 8080))


@broken("publication-dead")
def web_listens_on_an_address_that_is_not_its_gateways(sample: Sample) -> None:
    """A socket may be bound to the tunnel's address: what comes from the machine is for the network's."""
    _listen(sample, listens("0A00640A", 8000))


@broken("publication-dead")
def nobody_listens_on_any_port(sample: Sample) -> None:
    _listen(sample)


@broken("publication-dead")  # a warning: the site is served
def a_port_for_debugging_is_published_and_not_used(sample: Sample) -> None:
    publish(sample, FRONT, 5678)


@fine
def web_listens_by_ipv6_and_so_by_ipv4(sample: Sample) -> None:
    _listen(sample, listens("0" * 32, 8000))


@fine
def web_listens_on_its_gateways_own_address(sample: Sample) -> None:
    _listen(sample, listens("020014AC", 8000))


@fine
def web_is_published_on_two_addresses(sample: Sample) -> None:
    published = sample.containers[FRONT]["published"]
    published.append(published[0] | {"host": "::1"})


@fine
def services_has_just_been_started_and_has_no_check(sample: Sample) -> None:
    started = datetime.fromtimestamp(NOW - 5, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    sample.containers[SERVICES] |= {"health": None, "started_at": started}
    sample.change(SERVICES, "sockets", listens("00000000", 8001), "")


@broken("publication-dead")
def services_was_started_long_ago_and_has_no_check(sample: Sample) -> None:
    sample.containers[SERVICES] |= {"health": None}
    sample.change(SERVICES, "sockets", listens("00000000", 8001), "")


@fine
def what_is_published_is_forwarded_by_a_rule(sample: Sample) -> None:
    """Nobody listens on a gateway for what it sends on."""
    publish(sample, FRONT, 3306)
    redirect, *_ = forward_rules(3306, "10.100.0.11")
    before, _, after = sample.pieces[FRONT]["rules"].rpartition("COMMIT")
    sample.pieces[FRONT]["rules"] = f"{before}{redirect}COMMIT{after}"


@fine
def a_published_image_has_no_shell(sample: Sample) -> None:
    """Who listens in it cannot be seen, and nothing hangs on it."""
    _publish_web_server(sample)
    sample.lose(fronts.NGINX, "sockets")


@broken("publication-dead")  # a warning: what it is there for is not known
def a_web_server_is_published_as_another_port_than_its_own(sample: Sample) -> None:
    _publish_web_server(sample, port=8080)


@fine
def a_web_server_is_published(sample: Sample) -> None:
    _publish_web_server(sample)


@broken("container-down")
def web_has_ended_and_what_is_published_leads_nowhere(sample: Sample) -> None:
    sample.stop(WEB)
    sample.change(FRONT, "sockets", _WEB, "")


@broken("backend-not-listening")
def mariadb_is_published_and_listens_on_loopback(sample: Sample) -> None:
    publish(sample, MARIADB, 3306)
    sample.change(MARIADB, "sockets", listens("00000000", 3306), listens("0100007F", 3306))
    for app in APPS:
        sample.fail(app, "database", "connect", errno=111, code=2003, timed_out=False, said="Connection refused")
