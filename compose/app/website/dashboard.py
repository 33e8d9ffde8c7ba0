"""`python -m website.dashboard ARGUMENTS`: `celery ARGUMENTS`, with its log as JSON.

Flower takes the root logger as it finds it, once that has a handler.
"""

import logging.config
import sys

from celery.__main__ import main

from website.logs import configuration

if __name__ == "__main__":
    logging.config.dictConfig(configuration())
    logging.getLogger().setLevel("INFO")
    sys.argv[0] = "celery"
    sys.exit(main())  # type: ignore[func-returns-value]
