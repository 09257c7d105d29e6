"""Starts LiteLLM in its image: writes its configuration, then becomes its command line.

Environment: HOST, PORT, DEMO_MODEL_URL, CHAT_MODEL, EMBEDDING_MODEL, GEMINI_API_KEY, and LiteLLM's
own variables (DATABASE_URL, LITELLM_MASTER_KEY, LITELLM_SALT_KEY).
"""

import json
import os
import runpy
import sys
from pathlib import Path

from chat_platform.launcher.litellm.configuration import NoProvider, configuration
from chat_platform.values import default_models

_CONFIG = Path("/tmp/config.yaml")  # noqa: S108
_RUN = Path(__file__).parent / "chat_platform" / "launcher" / "litellm" / "run.py"


def main() -> None:
    has_provider = bool(os.environ.get("GEMINI_API_KEY"))
    models = (
        default_models.chat_model(os.environ.get("CHAT_MODEL", ""), has_provider=has_provider),
        default_models.embedding_model(
            os.environ.get("EMBEDDING_MODEL", ""), has_provider=has_provider
        ),
    )
    try:
        config = configuration(
            models, os.environ["DEMO_MODEL_URL"], has_provider=has_provider, has_database=True
        )
    except NoProvider as exc:
        sys.exit(f"{exc} Set it, or unset CHAT_MODEL and EMBEDDING_MODEL to use the demo model.")
    _CONFIG.write_text(json.dumps(config))
    where = ("--host", _listened_on(os.environ["HOST"]), "--port", os.environ["PORT"])
    sys.argv = ["litellm", "--config", str(_CONFIG), "--num_workers", "1", *where]
    runpy.run_path(str(_RUN), run_name="__main__")


def _listened_on(host: str) -> str:
    """Return what makes uvicorn listen there: with `::` itself it would listen on IPv6 alone."""
    return "" if host == "::" else host


if __name__ == "__main__":
    main()
