"""The embedded LiteLLM proxy: its pinned environment, its configuration, its check of keys."""
