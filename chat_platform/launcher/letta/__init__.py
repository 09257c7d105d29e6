"""The embedded Letta server: its pinned environment, its migrations, its start."""
