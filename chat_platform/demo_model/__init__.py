"""A small, deterministic OpenAI-compatible model, to start without a provider's API key.

It edits the agent's memory through tool calls and answers from it, counts its usage from the real
text, and streams. With `--faults` it also serves as a failing upstream in tests.
"""
