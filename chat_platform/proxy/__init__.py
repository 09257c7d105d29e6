"""The LLM proxy: every model call of every agent passes here, metered and charged."""
