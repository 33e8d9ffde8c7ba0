"""A command to Redis with redis-py, as web (through the tunnel) or as services (directly) gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from harness import clients
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Observation, Outcome
from harness.probes.tcp import unanswered

_KEY = "harness:probe"
_DENIED = (
    redis.AuthenticationError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
)


@dataclass(frozen=True, slots=True)
class RedisPing:
    """PING from `side`."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        return _observe(deployment, self.side, "Redis PING", lambda client: bool(client.ping()))


@dataclass(frozen=True, slots=True)
class RedisWrite:
    """Write a key that lives for a second, from `side`; DENIED where Redis answers and takes no writes."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        return _observe(deployment, self.side, "Redis SET", lambda client: bool(client.set(_KEY, "written", ex=1)))


def _observe(deployment: Deployment, side: str, probe: str, ask: Callable[[redis.Redis], bool]) -> Observation:
    try:
        with clients.redis(deployment, side) as client:
            outcome, detail = (Outcome.CONNECTED if ask(client) else Outcome.WRONG_SERVICE), ""
    except _DENIED as error:
        outcome, detail = Outcome.DENIED, str(error)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        host = clients.redis_host(deployment, side)
        outcome, detail = unanswered(deployment, side, host, deployment.plan.redis_port, error)
    except redis.RedisError as error:
        outcome, detail = Outcome.WRONG_SERVICE, str(error)
    except HarnessError as error:
        outcome, detail = Outcome.INCONCLUSIVE, str(error)
    return Observation(
        probe=probe,
        source=side,
        destination=f"{clients.redis_host(deployment, side)}:{deployment.plan.redis_port}",
        outcome=outcome,
        detail=detail,
        observed_at=datetime.now(tz=UTC),
    )
