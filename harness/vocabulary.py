"""The documented names of settings, by which gateways and applications are told everything, whatever they have instead.

A map that gives any other name says nothing that anybody reads.
"""

from __future__ import annotations

GATEWAY_REQUIRED = ("WG_ADDRESS", "WG_PRIVATE_KEY_FILE", "WG_PEER_ALLOWED_IPS")
GATEWAY_SETTINGS = (
    *GATEWAY_REQUIRED,
    *("WG_LISTEN_PORT", "WG_PEER_PUBLIC_KEY", "WG_PEER_PUBLIC_KEY_FILE", "WG_PRESHARED_KEY_FILE", "WG_PEER_ENDPOINT"),
    *("WG_PERSISTENT_KEEPALIVE", "WG_MTU", "WG_IMPLEMENTATION", "WG_IPTABLES", "WG_FORWARD_PORTS"),
    *("WG_FORWARD_INTERFACE", "WG_HANDSHAKE_MAX_AGE"),
)
APP_REQUIRED = ("DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER")
APP_SETTINGS = (
    *APP_REQUIRED,
    *("DATABASE_PORT", "DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE", "CELERY_BROKER_URL", "REDIS_URL"),
    *("REDIS_PASSWORD", "REDIS_PASSWORD_FILE"),
)
DATABASE_URL = "DATABASE_URL"
"""Several of an application's settings at once; one that it was told by itself wins over its part of it."""

URL_PARTS = ("DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD")
"""The settings that a database's URL can say."""
