"""A small, deterministic OpenAI-compatible model, for a start without any provider's key.

It edits the agent's memory through tool calls and answers from it, counts its usage from the real
text, and streams. With `--faults` it doubles as the upstream that tests put out of order.
"""
