"""What the layouts of one deployment differ in on purpose, and why. Whatever else they differ in has drifted apart."""

from __future__ import annotations

SERVICES = {
    "mariadb": "production's database is on bare metal, and no container",
    "nginx": "only production has a public port, TLS and a certificate",
    "flower": "a page about Celery is for people on a server; in development the log is at hand",
    "prometheus": "in production somebody else's scrapes both servers",
}
"""Services that one layout alone has."""

SETTINGS = {
    "REDIS_PASSWORD_FILE": "only production's Redis asks for a password",
    "DJANGO_ALLOWED_HOSTS": "only production answers under a public name; Django's own default is enough for localhost",
    "WG_FORWARD_INTERFACE": (
        "production's gateway has one interface; development's has two in no fixed order, and asks the route which"
    ),
}
"""Settings that one layout alone has."""

SECRETS = {"redis_password": "only production's Redis asks for a password"}  # the file's name
"""Secrets, by their names inside a container, that one layout alone mounts."""

HEALTH_CHECKS = {"redis": "production's asks with the password"}
"""Services whose health checks run another command in each layout, as often and as patiently."""

SAME_SETTING = {"REDIS_URL": "CELERY_BROKER_URL"}
"""Two forms of one setting: the name by which it is compared, by the other one."""
