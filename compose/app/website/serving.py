"""Gunicorn's settings; the address to bind comes from the role."""

import os

from website import environment, logs

_environment = environment.load(os.environ)

wsgi_app = "website.wsgi:application"
worker_class = "gthread"
workers = _environment.web_workers
threads = _environment.web_threads
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn's heartbeat file, which has to be in memory
# 60 clients that connect at once all wait for a thread, none is refused.
backlog = 1024
# What is still being answered when a stop is asked for gets this long; a page takes 3 s at worst,
# and only when a backend hangs.
graceful_timeout = 1
timeout = 30
keepalive = 2
control_socket_disable = True
accesslog = None
loglevel = "warning"
if logs.wanted():
    logconfig_dict = logs.configuration(gunicorn__error="WARNING", gunicorn__access="WARNING")
