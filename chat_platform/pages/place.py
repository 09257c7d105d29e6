"""Where this build of the pages is served, for links that the browser itself follows.

Links through the router (`page_link`) get it from Reflex.
"""

from reflex.config import get_config


def at(path: str) -> str:
    """Return the path prefixed with ROOT_PATH; relative paths stay unchanged."""
    return get_config().prepend_frontend_path(path)
