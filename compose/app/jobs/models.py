"""The table that a job's outcome is read from."""

from typing import ClassVar

from django.db import models


class Job(models.Model):
    """One finished job: its row appears when the work is done."""

    id = models.UUIDField(primary_key=True, editable=False)
    text = models.TextField()
    result = models.CharField(max_length=64)
    worker = models.CharField(max_length=255)
    created = models.DateTimeField()
    finished = models.DateTimeField()

    class Meta:
        """Names the table as `SHOW TABLES` shows it."""

        db_table = "jobs"
        ordering: ClassVar = ["created"]

    def __str__(self) -> str:
        """Return the identifier that the client was given."""
        return str(self.id)
