"""Identifiers: one type for each noun, all of them opaque UUIDv7 strings that sort by time."""

from typing import NewType

import uuid_utils

AccountId = NewType("AccountId", str)
AgentId = NewType("AgentId", str)
"""The agent runtime's own id for an agent; part of the proxy's URL."""
ConversationId = NewType("ConversationId", str)
TurnId = NewType("TurnId", str)
MessageId = NewType("MessageId", str)
CallId = NewType("CallId", str)


def new_id() -> str:
    return str(uuid_utils.uuid7())
