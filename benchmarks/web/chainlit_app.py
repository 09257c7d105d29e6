"""The peer's app: a conversation that is shown at once, and answers of a given length.

Run by Chainlit's own interpreter: nothing of ours can be imported.
"""

import asyncio
import os

import chainlit as cl  # pyright: ignore[reportMissingImports]

MESSAGES = int(os.environ["BENCH_MESSAGES"])
PARAGRAPH = os.environ["BENCH_PARAGRAPH"]
PACE_SECONDS = float(os.environ["BENCH_PACE_SECONDS"])


@cl.on_chat_start
async def begin() -> None:
    for number in range(1, MESSAGES // 2 + 1):
        await cl.Message(f"Question {number}: and then?", type="user_message").send()
        await cl.Message(f"Answer {number}. {PARAGRAPH}").send()


@cl.on_message
async def answer(message: "cl.Message") -> None:
    """Stream as many words as requested: `long 2000`."""
    reply = cl.Message("")
    words = PARAGRAPH.split(" ")
    for number in range(int(message.content.split()[1])):
        await asyncio.sleep(PACE_SECONDS)
        await reply.stream_token(words[number % len(words)] + " ")
    await reply.update()
