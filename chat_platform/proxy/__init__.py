"""The LLM proxy under `/api/v1/llm-proxy`: every call of every agent passes here, and is paid."""
