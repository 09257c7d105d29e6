"""The environment of programs that tests start: the machine's, without personal settings."""

import os

from chat_platform.settings import Settings


def clean_environment(**variables: str) -> dict[str, str]:
    """Keep what installing needs (proxies, certificates), drop what would configure us."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: v for name, v in os.environ.items() if name not in ours} | variables
