"""A personal agent with memory for everyone, and a ledger of every model call."""

__version__ = "0.1.0"
