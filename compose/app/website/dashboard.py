"""Flower's Celery application, which needs the broker alone, and Flower's settings.

Both hold passwords. Here they are read from their files by the process that needs them: on the command line `ps` would
show them, and in the environment whoever may look at the process.
"""

import os

from celery import Celery

from website import environment, logs

app = Celery("website", broker=environment.load_broker(os.environ).url)

if logs.wanted():  # Flower takes the root logger as it finds it, once that has a handler
    # In a function: every name in this file that is one of Flower's options, such as `logging`, would be taken for it.
    logs.configure("INFO")

# Flower reads this file as its configuration too (`--conf`).
basic_auth = [environment.load_flower(os.environ)]
