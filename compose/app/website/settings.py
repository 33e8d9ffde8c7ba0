"""Django's settings, all of them derived from the environment."""

import os
from typing import Any

import pymysql

from website import environment, logs

pymysql.install_as_MySQLdb()

ENVIRONMENT = environment.load(os.environ)

# The bounds of one exchange with a backend, in seconds: together they stay below the 3 s within
# which every page answers, also when packets vanish.
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 1.5

SECRET_KEY = ENVIRONMENT.secret_key
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

INSTALLED_APPS = ["jobs"]
MIDDLEWARE = ["website.middleware.bodiless_head", "website.middleware.known_host"]
ROOT_URLCONF = "website.urls"
WSGI_APPLICATION = "website.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "HOST": ENVIRONMENT.database.host,
        "PORT": ENVIRONMENT.database.port,
        "NAME": ENVIRONMENT.database.name,
        "USER": ENVIRONMENT.database.user,
        "PASSWORD": ENVIRONMENT.database.password,
        # A connection that outlives an outage resumes on TCP's back-off, a new one at once.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "write_timeout": READ_TIMEOUT,
        },
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "website.logs.JSONLines"} if logs.wanted() else {"format": "%(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # One line for each 4xx and 5xx would only repeat what the client was told.
        "django.request": {"level": "CRITICAL"},
    },
}
