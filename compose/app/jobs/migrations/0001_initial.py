"""Creates the table of jobs."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table as the first release has it."""

    initial = True
    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("text", models.TextField()),
                ("result", models.CharField(max_length=64)),
                ("worker", models.CharField(max_length=255)),
                ("created", models.DateTimeField()),
                ("finished", models.DateTimeField()),
            ],
            options={"db_table": "jobs", "ordering": ["created"]},
        ),
    ]
