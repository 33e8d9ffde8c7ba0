"""Up and down: the harness, compose by itself, and the same deployment configured the ordinary way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bench.figures import Figure, ratio
from bench.ground import Ground
from bench.parts import Part

NAME = "bring-up"
_ORDINARY_ROUNDS = 2  # it waits for whole intervals, so its rounds differ by less than a second, and take half a minute
# An interval as it stands in most compose files. Docker's own start_interval is the same 5 s.
_INTERVAL = {"interval": "5s", "start_interval": "5s"}
# In the file the responder waits for nobody. The ordinary way is to wait for what one uses.
_NOTHING = "nothing"
_USED = {"wireguard-services": ("mariadb", "redis", "services"), "web": ("wireguard-web",)}


def measure(ground: Ground) -> Iterator[Figure]:
    """Round by round, so that what the machine does besides hits all alike."""
    up, down, compose_up, compose_down, usual = [], [], [], [], []
    for number in range(ground.rounds):
        try:
            up.append(ground.harness("up"))
        finally:
            removal = ground.harness("down")
        down.append(removal)
        with ground.composed() as composed:
            compose_up.append(composed.up())
            compose_down.append(composed.down())
        if number < _ORDINARY_ROUNDS:
            with ground.composed(ordinary) as composed:
                usual.append(composed.up())
    yield ratio(NAME, "up / docker compose up --wait", up, compose_up, 0.45)
    yield ratio(NAME, "up / configured the ordinary way", up, usual, 0.10)
    yield ratio(NAME, "down / docker compose down", down, compose_down, 1.1)


def ordinary(configuration: Mapping[str, Any]) -> str:
    """MariaDB initialised at its start, in memory, which is quicker than any disk; all behind `service_healthy`."""
    services: dict[str, dict[str, Any]] = {}
    for name, service in configuration["services"].items():
        needs = {*(service.get("depends_on") or {}), *_USED.get(name, ())}
        services[name] = {
            "healthcheck": dict(_INTERVAL),
            "depends_on": {need: {"condition": "service_healthy"} for need in sorted(needs)},
        }
    owner = configuration["services"]["mariadb"]["user"].partition(":")[0]
    services["mariadb"] |= {"volumes": _NOTHING, "tmpfs": [f"/var/lib/mysql:uid={owner},gid={owner},mode=0700"]}
    # JSON is YAML, but for the one word that it has not.
    return json.dumps({"services": services}).replace(json.dumps(_NOTHING), "!reset []")


PART = Part(
    name=NAME, what="up and down beside compose by itself, and beside an ordinary configuration", measure=measure
)
