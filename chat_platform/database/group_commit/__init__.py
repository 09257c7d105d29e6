"""Commits writes in groups, one transaction each, through the drivers directly. Knows no table."""
