"""What is read of nginx's own account of its configuration, and how nginx is found in a container."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import fronts
from harness.diagnosis.containers import absent
from harness.fronts import Target
from harness.model import CommandResult

from .conftest import ROOT

OWN = (ROOT / "compose" / "nginx" / "site.conf").read_text(encoding="utf-8")


def test_the_sites_own_configuration_is_read() -> None:
    """Web, at its gateway's address, and nothing else."""
    assert fronts.targets(OWN) == (
        Target(directive="proxy_pass http://10.101.0.10:8000", host="10.101.0.10", port=8000),
    )


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("proxy_pass http://web:8000;", [("web", 8000)]),
        ("proxy_pass http://web/path/;", [("web", 80)]),
        ("proxy_pass https://web;", [("web", 443)]),
        ('proxy_pass "http://web:8000";', [("web", 8000)]),
        ("grpc_pass grpcs://web; fastcgi_pass php:9000; uwsgi_pass py:3031; scgi_pass x:4000;", 4),
        ("# proxy_pass http://old:1;\nproxy_pass http://new:2;", [("new", 2)]),
        ('log_format x "}; proxy_pass http://quoted:1; {"; proxy_pass http://web:8000;', [("web", 8000)]),
        ("upstream app { server a:1; server b:2 weight=5; server c:3 down; } proxy_pass http://app;", 2),
        ("upstream app { server a; zone app 64k; keepalive 8; } proxy_pass http://app/path;", [("a", 80)]),
        ("location / { proxy_pass http://web:8000; } location /x { proxy_pass http://web:8000; }", [("web", 8000)]),
        ("proxy_pass http://$backend;", []),
        ("proxy_pass http://web:$port;", []),
        ("proxy_pass http://unix:/run/web.sock;", []),
        ("proxy_pass http://[fd00::7]:8000;", []),
        ("proxy_pass http://web:99999;", []),
        ("proxy_pass http://web:port;", []),
        ("server { listen 80; return 204; }", []),
        ("} ; ; { proxy_pass", []),
        ("", []),
    ],
)
def test_where_requests_go_is_read(text: str, places: list[tuple[str, int]] | int) -> None:
    """Addresses and names with their ports; no sockets that are files, and nothing that only a request decides."""
    found = [(target.host, target.port) for target in fronts.targets(text)]
    assert (found if isinstance(places, list) else len(found)) == places


@pytest.mark.parametrize(
    ("path", "arguments", "program"),
    [
        ("nginx", ["-c", "/etc/nginx/site.conf", "-g", "daemon off;"], "nginx"),
        ("/docker-entrypoint.sh", ["nginx", "-g", "daemon off;"], "nginx"),
        ("/usr/sbin/nginx", ["-g", "daemon off;"], "/usr/sbin/nginx"),
    ],
)
def test_nginx_is_asked_as_it_was_started(path: str, arguments: list[str], program: str) -> None:
    """With the same options, by which it finds its configuration, whatever script comes before it."""
    node: Any = Asked("nginx: test is successful\n# configuration file x:\nproxy_pass http://10.0.0.1:80;")
    found = fronts.upstreams(node, {"Path": path, "Args": arguments}, absent())
    assert found is not None
    assert json.loads(found.text) == [
        {"directive": "proxy_pass http://10.0.0.1:80", "host": "10.0.0.1", "port": 80}
        | {"address": "10.0.0.1", "said": None}
    ]
    (asked,) = node.asked
    assert asked[asked.index("sh", 1) + 1 :] == [program, *(each for each in arguments if each != "nginx")]


def test_a_configuration_that_nginx_does_not_understand_is_said() -> None:
    """What is not seen says why, in nginx's own words."""
    node: Any = Asked("nginx: [emerg] unknown directive in /etc/nginx/nginx.conf:3\n")
    found = fronts.upstreams(node, {"Path": "nginx", "Args": []}, absent())
    assert found is not None
    assert found.missing == "nginx -T: nginx: [emerg] unknown directive in /etc/nginx/nginx.conf:3"


def test_what_is_no_web_server_is_not_asked() -> None:
    """A container with another program, or with none at all."""
    node: Any = Asked("")
    assert fronts.upstreams(node, {"Path": "redis-server", "Args": ["--port", "6379"]}, absent()) is None
    assert fronts.upstreams(node, {"Path": "", "Args": None}, absent()) is None
    assert node.asked == []


class Asked:
    """A node in which nothing can be dialled, that notes what it is asked."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.asked: list[list[str]] = []

    def peek(self, *argv: str, **_more: object) -> CommandResult:
        """Answer the same whatever is asked."""
        self.asked.append(list(argv))
        return CommandResult(argv=argv, exit_status=0, stdout=self._answer, stderr="", duration=0)

    def process(self, _attributes: object) -> None:
        """It cannot be entered."""
