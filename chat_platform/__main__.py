"""`python -m chat_platform` is the `chat-platform` command."""

from chat_platform.cli import app

app()
