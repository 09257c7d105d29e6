"""The LLM proxy under `/api/v1/llm-proxy`: every agent's model calls pass through it."""
