"""Measures how long hostile texts block everybody else: `make bench-hostile`."""
