"""Jobs: queued by web, computed by a Celery worker, read back by web."""
