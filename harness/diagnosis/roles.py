"""What a container is in the deployment: by what it is told, and by its documented name where that says nothing."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Role(enum.Enum):
    """A gateway, an application that uses the backends, a backend, or what stands beside them, such as nginx."""

    GATEWAY = "gateway"
    APP = "app"
    BACKEND = "backend"
    BESIDE = "beside"


_NAMES = {
    "wireguard-web": Role.GATEWAY,
    "wireguard-services": Role.GATEWAY,
    "web": Role.APP,
    "services": Role.APP,
    "celery": Role.APP,
    "mariadb": Role.BACKEND,
    "redis": Role.BACKEND,
    "nginx": Role.BESIDE,
    "flower": Role.BESIDE,
    "exporter-web": Role.BESIDE,
    "exporter-services": Role.BESIDE,
    "prometheus": Role.BESIDE,
}
_GATEWAY_SETTINGS = ("WG_ADDRESS", "WG_PRIVATE_KEY_FILE")  # others' WireGuard has settings that begin alike
_APP_SETTINGS = ("DATABASE_HOST", "DATABASE_NAME", "DB_HOST", "CELERY_BROKER_URL", "REDIS_URL")


def is_documented(service: str) -> bool:
    """Whether it is one of the documented services, none of which is a job."""
    return service in _NAMES


def role_of(service: str, environment: Mapping[str, str]) -> Role:
    """The role of a service with this environment."""
    if known := _NAMES.get(service):
        return known
    if any(name in environment for name in _GATEWAY_SETTINGS):
        return Role.GATEWAY
    if any(name.startswith("FLOWER_") for name in environment):
        return Role.BESIDE
    return Role.APP if any(name in environment for name in _APP_SETTINGS) else Role.BACKEND
