"""Migrations run once, by the services role."""
