"""A small, deterministic OpenAI-compatible model, for a start without any provider's key."""
