"""The Celery application, tuned to notice a lost broker and to find it again quickly."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.app.amqp import AMQP
from django.conf import settings
from kombu import Connection

if TYPE_CHECKING:
    from kombu.transport.virtual import Channel

# Seconds between two attempts of a worker to find its broker again.
RECONNECT_EVERY = 1.0
# A broker that vanishes without a word is noticed within five seconds, not on TCP's back-off.
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 2,
    socket.TCP_KEEPINTVL: 1,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 5000,
}


class PatientConnection(Connection):
    """A connection that is retried at an even pace; Celery's own waits up to 30 s between attempts."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Connect, attempt after attempt."""
        pace = {"interval_start": RECONNECT_EVERY, "interval_step": 0, "interval_max": RECONNECT_EVERY}
        return super().ensure_connection(*args, **(pace | kwargs))

    def maybe_close_channel(self, channel: Channel) -> None:
        """Close a channel, whatever state it is in.

        A worker that loses its broker in the middle of a job closes the channel twice, and the second
        time the channel misses the transport that the first has taken: the worker ended with that.
        """
        with suppress(AttributeError):
            super().maybe_close_channel(channel)


class PatientAMQP(AMQP):
    """Celery's messaging, on patient connections."""

    Connection = PatientConnection


app = Celery("website", amqp=PatientAMQP)
app.conf.update(
    broker_url=settings.ENVIRONMENT.broker.url,
    broker_connection_timeout=settings.CONNECT_TIMEOUT,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_connect_timeout": settings.CONNECT_TIMEOUT,
        "socket_timeout": settings.READ_TIMEOUT,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
        # A failed attempt to queue a job is the client's to repeat: it gets its 503 at once.
        "max_retries": 0,
        # Jobs that a worker took and never acknowledged are given out again after this many seconds.
        "visibility_timeout": 60,
    },
    task_publish_retry=False,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    task_serializer="json",
    accept_content=["json"],
    enable_utc=True,
    imports=["jobs.tasks", "website.worker"],
)
