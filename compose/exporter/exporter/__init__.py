"""Metrics of one WireGuard gateway for Prometheus."""
