"""Registers the jobs with Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The jobs of this site."""

    name = "jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the Celery application the current one, wherever tasks are queued from."""
        from website import broker  # noqa: F401, PLC0415 - its import is what counts
