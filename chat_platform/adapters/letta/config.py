"""How an account's agent in Letta must be configured, and whether one is."""

from dataclasses import dataclass
from typing import Any

from letta_client.types import AgentState as LettaAgent
from letta_client.types import CreateBlockParam, EmbeddingConfigParam, LlmConfigParam
from letta_client.types.agent_create_params import CompactionSettings

from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId, AgentId

CONTEXT_WINDOW_TOKENS = 32_000
TOOLS = ("archival_memory_insert", "archival_memory_search")
"""Attached besides Letta's base tools, which include memory edits and conversation search."""
BEING_DELETED = "being_deleted"
"""Metadata: set first when the agent is deleted."""
EMBEDDED_WITH = "embedded_with"
"""Metadata: the embedding model with which every passage of the agent was embedded."""

SYSTEM = """\
You are a personal companion with a memory of your own. You talk with one person, over months \
and years, and you get to know them.

Your memory has three parts:
- Memory blocks, shown below, are always in front of you. `persona` says who you are, `human` \
what you know about the person. Keep them short and true: correct what changed, and drop what \
no longer matters. Their character limits are firm.
- The archive holds what is worth keeping but not always needed. Store it with \
archival_memory_insert, find it with archival_memory_search.
- Past messages that are no longer shown can be found with conversation_search.

When the person tells you something that will matter later, remember it without being asked and \
without announcing it. When you are asked about something that you may have known before, search \
before you say that you do not know. Never invent memories.

A message in <platform_note> tags comes from the platform, not from the person: it tells what \
your history does not show. Take it into account and do not answer it.

Answer in the person's language, in Markdown, as briefly as the question allows. To finish your \
turn, answer without calling a tool."""

_PERSONA = """\
I am a helpful companion: warm, honest and to the point. I say when I am not sure. I remember \
what matters to the person I talk with."""
_PERSONA_LIMIT = 2_000
_HUMAN_LIMIT = 4_000
_NOT_YET = "not-yet"
"""A placeholder for the agent's id in its URL, until Letta returns the id."""


@dataclass(frozen=True)
class AgentPlan:
    """The configuration that the settings ask for."""

    base_url: str
    chat_model: str
    embedding_model: str
    max_reply_tokens: int

    @classmethod
    def of(cls, settings: Settings) -> "AgentPlan":
        return cls(
            base_url=settings.proxy_url,
            chat_model=settings.model_for_chat,
            embedding_model=settings.model_for_embeddings,
            max_reply_tokens=settings.max_reply_tokens,
        )

    def new_agent(self, account_id: AccountId, person_name: str) -> dict[str, Any]:
        """Return the arguments that create the account's agent; its URLs are set afterwards."""
        not_yet = AgentId(_NOT_YET)
        return {
            "name": f"agent-of-{account_id}",
            "agent_type": "letta_v1_agent",
            "tags": account_tags(account_id),
            "metadata": {EMBEDDED_WITH: self.embedding_model},
            "memory_blocks": _blocks(person_name),
            "tools": list(TOOLS),
            **self.configuration(not_yet),
        }

    def configuration(self, agent_id: AgentId) -> dict[str, Any]:
        """Return the arguments that configure an agent, on creation and on changes."""
        return {
            "system": SYSTEM,
            "llm_config": self.llm_config(agent_id),
            "embedding_config": self.embedding_config(agent_id),
            "compaction_settings": self.compaction(),
        }

    def llm_config(self, agent_id: AgentId) -> LlmConfigParam:
        return {
            "model": self.chat_model,
            "model_endpoint_type": "openai",
            "model_endpoint": self._endpoint(agent_id),
            "handle": self._handle,
            "context_window": CONTEXT_WINDOW_TOKENS,
            "max_tokens": self.max_reply_tokens,
        }

    def embedding_config(self, agent_id: AgentId) -> EmbeddingConfigParam:
        return {
            "embedding_model": self.embedding_model,
            "embedding_endpoint_type": "openai",
            "embedding_endpoint": self._endpoint(agent_id),
            # Letta pads every vector to 4096; it only requires a number here.
            "embedding_dim": 1536,
        }

    def compaction(self) -> CompactionSettings:
        # Unset, the model would be a global one, reached past the proxy when self-compaction
        # fails. Letta does not know our handle and falls back to the agent's own configuration.
        return {"mode": "self_compact_sliding_window", "model": self._handle}

    def is_met_by(self, agent: LettaAgent) -> bool:
        """True if the agent's configuration is as planned, apart from its passages."""
        agent_id = AgentId(agent.id)
        compaction = agent.compaction_settings
        return (
            _contains(agent.llm_config, self.llm_config(agent_id))
            and _contains(agent.embedding_config, self.embedding_config(agent_id))
            and compaction is not None
            and _contains(compaction, self.compaction())
            and agent.system == SYSTEM
        )

    def is_embedded(self, agent: LettaAgent) -> bool:
        """True if all passages of the agent were embedded with the planned model."""
        return (agent.metadata or {}).get(EMBEDDED_WITH) == self.embedding_model

    @property
    def _handle(self) -> str:
        return f"openai-proxy/{self.chat_model}"

    def _endpoint(self, agent_id: AgentId) -> str:
        return f"{self.base_url}/api/v1/llm-proxy/{agent_id}"


def account_tags(account_id: AccountId) -> list[str]:
    return ["chat-platform", f"account:{account_id}"]


def is_being_deleted(agent: LettaAgent) -> bool:
    return bool((agent.metadata or {}).get(BEING_DELETED))


def _blocks(person_name: str) -> list[CreateBlockParam]:
    human = f"Name: {person_name}" if person_name else "I do not know the person's name yet."
    return [
        {
            "label": "persona",
            "description": "Who I am and how I talk.",
            "value": _PERSONA,
            "limit": _PERSONA_LIMIT,
        },
        {
            "label": "human",
            "description": "What I know about the person I talk with.",
            "value": human[:_HUMAN_LIMIT],
            "limit": _HUMAN_LIMIT,
        },
    ]


def _contains(actual: object, wanted: Any) -> bool:
    return all(getattr(actual, name, None) == value for name, value in wanted.items())
