"""Measurements, side by side in one run on the same images: `python -m bench`, `make bench`. Nothing here is a test."""
