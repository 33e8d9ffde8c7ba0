"""A web server before web: where it passes requests on to."""

from __future__ import annotations

import json

from harness.diagnosis.containers import UNSEEN
from tests.evidence_samples import BACK, FRONT, REDIS, REFUSED, SERVICES, WEB, Sample, listens

from . import broken, fine

NGINX = "edge"  # nobody has to call it nginx
_UNDERLAY = "tunnel-net"
RIGHT = ("172.20.0.2", 8000)


def place(sample: Sample, *upstreams: tuple[str | None, int], said: str | None = None, **more: str) -> None:
    """Put a web server on the network of web's gateway."""
    sample.pieces[NGINX], sample.missing[NGINX] = dict(sample.pieces[REDIS]), {}
    sample.containers[NGINX] = sample.containers[REDIS] | {
        "image": "edge:1",
        "environment": {},
        "attachments": [{"network": _UNDERLAY, "address": "172.20.0.12", "prefix": 24, "wanted": None}],
    }
    sample.change(NGINX, "sockets", listens("00000000", 6379), listens("00000000", 8443))
    entries = [
        {
            "directive": f"proxy_pass http://{more.get('name', address)}:{port}",
            "host": more.get("name", address),
            "port": port,
            "address": address,
            "said": said,
        }
        for address, port in upstreams
    ]
    sample.pieces[NGINX]["upstreams"] = json.dumps(entries)


@fine
def web_is_where_requests_go(sample: Sample) -> None:
    place(sample, RIGHT)


@fine
def the_web_server_serves_files_alone(sample: Sample) -> None:
    place(sample)


@fine
def requests_also_go_beyond_all_that_was_looked_at(sample: Sample) -> None:
    place(sample, RIGHT, ("192.0.2.7", 443))


@fine
def the_web_server_is_in_webs_own_namespace(sample: Sample) -> None:
    place(sample, ("127.0.0.1", 8000))
    _join(sample, NGINX, FRONT)
    sample.pieces[NGINX] |= {name: sample.pieces[WEB][name] for name in ("netns", "sockets")}


def _join(sample: Sample, service: str, owner: str) -> None:
    sample.containers[service] |= {"attachments": [], "joined": owner, "network_mode": "container:x"}


@broken("namespace-orphaned")
def the_web_server_is_left_in_an_old_namespace(sample: Sample) -> None:
    place(sample, ("127.0.0.1", 8000), said="Connection refused")
    _join(sample, NGINX, FRONT)
    sample.pieces[NGINX]["netns"] = "net:[4026539999]\n"


@broken("namespace-orphaned")
def what_shares_rediss_namespace_is_left_there(sample: Sample) -> None:
    place(sample)
    _join(sample, NGINX, REDIS)
    sample.pieces[NGINX]["netns"] = "net:[4026539999]\n"


@broken("namespace-orphaned")
def what_the_web_server_was_joined_to_is_gone(sample: Sample) -> None:
    place(sample)
    _join(sample, NGINX, "gone")


@fine
def an_image_without_a_shell_is_joined_to_webs_gateway(sample: Sample) -> None:
    """Where it lives cannot be seen, and nothing hangs on it."""
    place(sample)
    _join(sample, NGINX, FRONT)
    sample.lose(NGINX, "netns")


@fine
def the_web_server_is_joined_to_what_was_not_looked_at(sample: Sample) -> None:
    place(sample)
    _join(sample, NGINX, UNSEEN)


@broken("app-outside-gateway")
def web_is_joined_to_the_other_sides_gateway(sample: Sample) -> None:
    _join(sample, WEB, BACK)
    sample.change(WEB, "netns", "net:[4026532881]", "net:[4026532661]")
    sample.fail_tunnel(**REFUSED)


@broken("app-outside-gateway")
def web_is_joined_to_what_is_no_gateway(sample: Sample) -> None:
    place(sample, RIGHT, said="Connection refused")
    _join(sample, WEB, NGINX)
    sample.change(WEB, "netns", "net:[4026532881]", "net:[4026532806]")
    sample.fail_tunnel()


@broken("app-outside-gateway")
def web_is_joined_to_what_is_no_gateway_and_was_left_behind_there(sample: Sample) -> None:
    web_is_joined_to_what_is_no_gateway(sample)
    sample.change(WEB, "netns", "net:[4026532806]", "net:[4026539999]")


@fine
def web_is_joined_to_what_is_joined_to_its_gateway(sample: Sample) -> None:
    the_web_server_is_in_webs_own_namespace(sample)
    _join(sample, WEB, NGINX)


@fine
def web_and_its_gateway_are_in_the_hosts_own_namespace(sample: Sample) -> None:
    for service in (FRONT, WEB):
        sample.containers[service] |= {"network_mode": "host", "joined": None, "attachments": [], "published": []}


@broken("upstream-wrong")
def requests_go_to_another_port(sample: Sample) -> None:
    place(sample, ("172.20.0.2", 8080))


@broken("upstream-wrong")
def requests_go_to_another_port_which_refused(sample: Sample) -> None:
    place(sample, ("172.20.0.2", 8080), said="Connection refused")


@broken("upstream-wrong")
def requests_go_to_an_address_that_nobody_has(sample: Sample) -> None:
    place(sample, ("172.20.0.99", 8000), said="No route to host")


@broken("upstream-wrong")
def requests_go_to_a_name_that_nobody_knows(sample: Sample) -> None:
    place(sample, (None, 8000), name="website")


@broken("upstream-wrong")
def requests_go_into_the_tunnel(sample: Sample) -> None:
    place(sample, ("10.100.0.11", 8001))


@broken("upstream-wrong")
def one_of_two_goes_to_the_web_server_itself(sample: Sample) -> None:
    place(sample, RIGHT, ("127.0.0.1", 8000))


@broken("container-down")
def web_is_down_behind_its_web_server(sample: Sample) -> None:
    place(sample, RIGHT, said="Connection refused")
    sample.stop(WEB)


@broken("app-outside-gateway", "tunnel-bypassed")
def web_is_not_in_its_gateways_namespace(sample: Sample) -> None:
    place(sample, RIGHT, said="Connection refused")
    sample.containers[WEB] |= {
        "joined": None,
        "network_mode": "services-net",
        "attachments": [{"network": "services-net", "address": "10.101.0.9", "prefix": 24, "wanted": None}],
    }
    sample.change(WEB, "netns", "net:[4026532881]", "net:[4026533999]")
    for backend in ("database", "broker", "10.100.0.11:8001"):
        sample.fail(WEB, backend, "connect", **REFUSED)
    assert SERVICES in sample.pieces


@fine
def somebody_elses_web_server_is_public(sample: Sample) -> None:
    place(sample, RIGHT)
    del sample.pieces[NGINX]["upstreams"]  # it is none of which anything is known
    published = {"port": 8443, "protocol": "tcp", "host": "0.0.0.0", "host_port": "443"}
    sample.containers[NGINX]["published"] = [published]


@broken("container-down")
def somebody_elses_container_is_down(sample: Sample) -> None:
    place(sample, RIGHT)
    sample.stop(NGINX)
