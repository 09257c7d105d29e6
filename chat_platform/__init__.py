"""A personal agent with memory for everyone, and a ledger of every model call."""
