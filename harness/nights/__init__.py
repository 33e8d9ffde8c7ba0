"""Runs on many machines as one: their legs, their results in one place, what nights had in common, and the gate."""
