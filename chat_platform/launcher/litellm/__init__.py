"""The embedded LiteLLM proxy: its pinned environment, its configuration, its key check."""
