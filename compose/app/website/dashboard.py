"""Flower's Celery application, which needs the broker alone, and Flower's settings.

Both hold passwords. Here they are read from their files by the process that needs them: on the command line `ps` would
show them, and in the environment whoever may look at the process.
"""

import os

from celery import Celery

from website import environment

app = Celery("website", broker=environment.load_broker(os.environ).url)

# Flower reads this file as its configuration too (`--conf`).
basic_auth = [environment.load_flower(os.environ)]
