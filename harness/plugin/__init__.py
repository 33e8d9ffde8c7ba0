"""The harness as pytest knows it: options, fixtures and hooks, which only wire; the work is done below."""
