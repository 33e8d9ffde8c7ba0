"""A PING to Redis with redis-py, as web (through the tunnel) or as services (directly) makes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from harness import clients
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Observation, Outcome
from harness.probes.tcp import unanswered


@dataclass(frozen=True, slots=True)
class RedisPing:
    """PING from `side`."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        try:
            with clients.redis(deployment, self.side) as client:
                pong = client.ping()
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
            return self._observation(deployment, Outcome.DENIED, str(error))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            host = clients.redis_host(deployment, self.side)
            return self._observation(
                deployment, *unanswered(deployment, self.side, host, deployment.plan.redis_port, error)
            )
        except redis.RedisError as error:
            return self._observation(deployment, Outcome.WRONG_SERVICE, str(error))
        except HarnessError as error:
            return self._observation(deployment, Outcome.INCONCLUSIVE, str(error))
        return self._observation(deployment, Outcome.CONNECTED if pong else Outcome.WRONG_SERVICE, "")

    def _observation(self, deployment: Deployment, outcome: Outcome, detail: str) -> Observation:
        return Observation(
            probe="Redis PING",
            source=self.side,
            destination=f"{clients.redis_host(deployment, self.side)}:{deployment.plan.redis_port}",
            outcome=outcome,
            detail=detail,
            observed_at=datetime.now(tz=UTC),
        )
