"""Reads an agent's request: its memory blocks, later edits, the last message."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chat_platform.demo_model.tokens import text_of

_BLOCK = re.compile(
    r"<(?P<label>[\w/-]+)>\n<description>.*?<value>\n(?P<value>.*?)\n?</value>", re.S
)
_LINE_NUMBER = re.compile(r"^\d+→ ?", re.M)
_NAME = re.compile(r"^name:\s*(.+)$", re.M | re.I)
_FACT = re.compile(r"^fact:\s*(.+)$", re.M | re.I)
_NOBODY = {"unknown", "?", "-", ""}

Message = Mapping[str, Any]


@dataclass(frozen=True)
class ContextWindow:
    """One request's messages and the names of the tools on offer."""

    messages: Sequence[Message]
    tools: frozenset[str]

    @property
    def last_words(self) -> str:
        """What the person (or the agent's own machinery) said last."""
        return next((text_of(m) for m in reversed(self.messages) if _is_from_user(m)), "")

    @property
    def steps(self) -> list[Message]:
        """What has happened since then: this turn's tool calls and their results."""
        last = max((i for i, m in enumerate(self.messages) if _is_from_user(m)), default=-1)
        return list(self.messages[last + 1 :])

    @property
    def tool_rounds(self) -> int:
        return sum(1 for message in self.steps if message.get("tool_calls"))

    @property
    def last_tool_result(self) -> str:
        return next((text_of(m) for m in reversed(self.steps) if m.get("role") == "tool"), "")

    @property
    def person_name(self) -> str | None:
        names = [n.strip() for n in _NAME.findall(self._known) if n.strip().lower() not in _NOBODY]
        return names[-1] if names else None

    @property
    def facts(self) -> list[str]:
        """Facts kept on request, oldest first, without duplicates."""
        return list(dict.fromkeys(fact.strip() for fact in _FACT.findall(self._known)))

    @property
    def remembered(self) -> list[str]:
        """The lines of the block about the person."""
        return _lines(self.blocks.get("human", ""))

    @property
    def told(self) -> list[str]:
        """What this conversation added to memory, oldest first."""
        return _lines("\n".join(self._inserted()))

    @property
    def said(self) -> list[str]:
        """The person's messages before the last one, oldest first."""
        return [text_of(m) for m in self.messages if _is_from_user(m)][:-1]

    @property
    def blocks(self) -> dict[str, str]:
        """The memory blocks that the system prompt shows, by label."""
        prompt = "\n".join(text_of(m) for m in self.messages if m.get("role") == "system")
        return {
            block["label"]: _LINE_NUMBER.sub("", block["value"]).strip()
            for block in _BLOCK.finditer(prompt)
        }

    @property
    def _known(self) -> str:
        # The agent server rarely refreshes its prompt; later edits appear only in the conversation.
        return "\n".join([self.blocks.get("human", ""), *self._inserted()])

    def _inserted(self) -> list[str]:
        calls = [call for m in self.messages for call in m.get("tool_calls") or []]
        return [
            str(arguments.get("new_string", ""))
            for call in calls
            if call["function"]["name"] == "memory_insert"
            and (arguments := _arguments(call["function"]["arguments"]))
        ]


def read_context(body: Mapping[str, Any]) -> ContextWindow:
    tools = frozenset(tool["function"]["name"] for tool in body.get("tools") or [])
    return ContextWindow(body.get("messages") or [], tools)


def _lines(text: str) -> list[str]:
    lines = (_FACT.sub(r"\1", line.strip()) for line in text.splitlines())
    return [line.rstrip(".") for line in lines if line]


def _is_from_user(message: Message) -> bool:
    return message.get("role") == "user"


def _arguments(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
