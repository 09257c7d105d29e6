"""Engines, transactions, group commits. Knows no table."""
