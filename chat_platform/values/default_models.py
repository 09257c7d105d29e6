"""Which models answer when the settings name none. Only the standard library, see litellm/."""

DEMO_CHAT_MODEL = "demo-chat"
DEMO_EMBEDDING_MODEL = "demo-embedding"
GEMINI_CHAT_MODEL = "gemini-2.5-flash"
GEMINI_EMBEDDING_MODEL = "gemini-embedding-001"


def chat_model(chosen: str, *, has_provider: bool) -> str:
    """Return the chat model: the chosen one, else the provider's, else the demo."""
    return chosen or (GEMINI_CHAT_MODEL if has_provider else DEMO_CHAT_MODEL)


def embedding_model(chosen: str, *, has_provider: bool) -> str:
    """Return the embedding model, by the same rule."""
    return chosen or (GEMINI_EMBEDDING_MODEL if has_provider else DEMO_EMBEDDING_MODEL)
