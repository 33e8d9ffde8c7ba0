"""The Django project: its settings, its roles and what all of them share."""
