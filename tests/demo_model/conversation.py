"""What an agent server sends to a model, written by hand."""

import json
from typing import Any

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {}}}
    for name in (
        "memory_insert",
        "conversation_search",
        "archival_memory_insert",
        "archival_memory_search",
    )
]


def system(human: str = "Name: unknown") -> dict[str, Any]:
    return {
        "role": "system",
        "content": (
            "You are an agent.\n<memory_blocks>\nThe following memory blocks are engaged:\n\n"
            "<persona>\n<description>\nAbout you\n</description>\n<metadata>\n- chars_current=5\n"
            "</metadata>\n<value>\nI help.\n</value>\n</persona>\n\n"
            "<human>\n<description>\nAbout them\n</description>\n<metadata>\n- chars_current=13\n"
            f"</metadata>\n<value>\n{human}\n</value>\n</human>\n\n</memory_blocks>"
        ),
    }


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def tool_round(name: str, result: str = "ok", **arguments: str) -> list[dict[str, Any]]:
    """A tool call of the model and what the tool answered."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]
