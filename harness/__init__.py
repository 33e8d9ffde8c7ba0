"""Proves that services joined by a WireGuard tunnel between containers work, breaks them, and names the cause."""
