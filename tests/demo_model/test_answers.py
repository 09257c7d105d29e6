import time

import pytest

from chat_platform.demo_model.answers import READING_PACE_MS, ToolCall, answer
from chat_platform.demo_model.context_window import ContextWindow
from tests.demo_model.conversation import TOOLS, system, tool_round, user
from tests.stalls import TOO_LONG_SECONDS

ALL_TOOLS = frozenset(tool["function"]["name"] for tool in TOOLS)


def window(*messages, tools: frozenset[str] = ALL_TOOLS) -> ContextWindow:
    return ContextWindow(messages, tools)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("My name is Ada.", "Name: Ada"),
        ("Hi! my name is Ada Lovelace and I count", "Name: Ada Lovelace"),
        ("Меня зовут Ада", "Name: Ада"),
        ("Remember that I like tea.", "Fact: I like tea"),
        ("Please remember: the code is 42", "Fact: the code is 42"),
        ("Запомни, что я люблю чай", "Fact: я люблю чай"),
    ],
)
def test_what_a_person_tells_is_stored_in_the_human_block(text: str, kept: str):
    reply = answer(window(system(), user(text)))

    assert reply.tool_call == ToolCall("memory_insert", {"label": "human", "new_string": kept})


def test_two_wishes_are_two_steps_and_then_words():
    said = user("My name is Ada. Remember that I like tea.")
    first = tool_round("memory_insert", label="human", new_string="Name: Ada")
    second = tool_round("memory_insert", label="human", new_string="Fact: I like tea")

    step = answer(window(system(), said, *first))
    end = answer(window(system(), said, *first, *second))

    assert step.tool_call == ToolCall(
        "memory_insert", {"label": "human", "new_string": "Fact: I like tea"}
    )
    assert end.tool_call is None
    assert "Ada" in end.text
    assert "I like tea" in end.text


def test_an_agent_without_the_tool_is_answered_in_words():
    reply = answer(window(system(), user("Remember that I like tea"), tools=frozenset()))

    assert reply.tool_call is None
    assert reply.text


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is my name?", "Your name is Ada."),
        ("как меня зовут?", "Вас зовут Ada."),
        ("What do you remember?", "- I like tea"),
        ("Что ты помнишь обо мне?", "- I like tea"),
    ],
)
def test_questions_are_answered_from_the_memory_block(question: str, words: str):
    reply = answer(window(system("Name: unknown\nName: Ada\nFact: I like tea"), user(question)))

    assert reply.tool_call is None
    assert words in reply.text


def test_a_fact_kept_earlier_in_the_conversation_is_known():
    earlier = [user("x"), *tool_round("memory_insert", label="human", new_string="Name: Ada")]

    reply = answer(window(system(), *earlier, user("What is my name?")))

    assert reply.text == "Your name is Ada."


def test_an_empty_memory_is_owned_up_to():
    assert "not told me your name" in answer(window(system(), user("What's my name?"))).text
    assert "Nothing yet" in answer(window(system(), user("What do you remember?"))).text


@pytest.mark.parametrize(
    ("told", "question", "words"),
    [
        (
            "remember that my locker code is 4471",
            "What is my locker code?",
            "Your locker code is 4471.",
        ),
        ("Remember: I like green tea", "What's my favourite tea? Or any tea of my own?", ""),
        ("Please remember that I parked on level 3", "where did I park my car?", ""),
        ("remember that I parked my car on level 3", "Where is my car?", "You parked your car on"),
        (
            "Remember that my email is ada@example.com.",
            "do you remember my email?",
            "Your email is ada@example.com.",
        ),
        ("My dog's name is Rex.", "What’s my dog’s name?", "Your dog's name is Rex."),
        (
            "Запомни, что код моего шкафчика 4471",
            "Какой код у моего шкафчика?",
            "Код вашего шкафчика 4471.",
        ),
        ("запомни: мой любимый цвет синий", "Какой мой любимый цвет?", "Ваш любимый цвет синий."),
        ("Запомни, что моего кота зовут Том", "как зовут моего кота?", "Вашего кота зовут Том."),
        (
            "Запомни, что я паркуюсь у моего дома",
            "Где мой дом?",
            "Вы говорили: «я паркуюсь у моего дома».",
        ),
    ],
)
def test_a_question_about_a_fact_is_answered_with_it(told: str, question: str, words: str):
    kept = answer(window(system(), user(told)))
    steps = tool_round("memory_insert", **kept.tool_call.arguments) if kept.tool_call else []

    reply = answer(window(system(), user(told), *steps, user(question)))

    assert reply.tool_call is None
    assert reply.text.startswith(words) if words else "told" in reply.text


@pytest.mark.parametrize(
    "block",
    [
        "Name: Ada\nFact: my locker code is 4471",
        "Name: Ada\nLocker code: 4471",
        "1→ Ada likes tea.\n2→ My locker code is 4471.",
    ],
)
def test_a_question_about_a_fact_is_answered_from_the_memory_block(block: str):
    reply = answer(window(system(block), user("What is my locker code?")))

    assert reply.text == "Your locker code is 4471."


def test_of_two_facts_the_newer_one_counts():
    facts = ("Fact: my locker code is 4471", "Fact: my locker code is 5522")
    told = [m for fact in facts for m in tool_round("memory_insert", new_string=fact)]

    reply = answer(window(system(facts[0]), user("x"), *told, user("What is my locker code?")))

    assert reply.text == "Your locker code is 5522."


def test_what_the_person_wrote_into_the_block_counts_more_than_what_was_told():
    told = tool_round("memory_insert", new_string="Fact: my locker code is 4471")
    block = system("Fact: my locker code is 5522")

    reply = answer(window(block, user("x"), *told, user("What is my locker code?")))

    assert reply.text == "Your locker code is 5522."


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is my locker code?", "You have not told me your locker code yet."),
        ("Какой код у моего шкафчика?", "Этого вы мне ещё не говорили."),
    ],
)
def test_a_fact_that_nobody_told_is_not_made_up(question: str, words: str):
    other = system("Fact: my bicycle code is 12\nFact: мой код 12")

    assert answer(window(other, user(question))).text == words


@pytest.mark.parametrize("text", ["Tell me about Paris", "What is the weather?", "Кто это?"])
def test_a_question_about_something_else_is_no_question_about_the_person(text: str):
    assert "You wrote" in answer(window(system(), user(text))).text or "Вы написали" in (
        answer(window(system(), user(text))).text
    )


def test_line_numbers_in_a_block_are_not_taken_for_its_text():
    reply = answer(window(system("1→ Name: Ada\n2→ Fact: I like tea"), user("What is my name?")))

    assert reply.text == "Your name is Ada."


def test_the_archive_is_written_and_searched_on_request():
    put = answer(window(system(), user("Archive that the bike is red")))
    look = answer(window(system(), user("Search your archive for the bike")))
    found = tool_round("archival_memory_search", "the bike is red", query="the bike")
    told = answer(window(system(), user("Search your archive for the bike"), *found))

    assert put.tool_call == ToolCall("archival_memory_insert", {"content": "the bike is red"})
    assert look.tool_call == ToolCall("archival_memory_search", {"query": "the bike"})
    assert "the bike is red" in told.text


def test_a_request_to_compact_gets_a_summary_even_with_wishes_in_it():
    messages = [system("Name: Ada"), user("Remember that I like tea"), user("hello")]
    request = user("The previous messages are being evicted ... Only output the summary.")

    reply = answer(window(*messages, request))

    assert reply.tool_call is None
    assert reply.text.startswith("Summary: Ada wrote 2 messages")


def test_it_introduces_itself():
    reply = answer(window(system(), user("Hello! Can you introduce yourself?")))

    assert "demo model" in reply.text
    assert "GEMINI_API_KEY" in reply.text


@pytest.mark.parametrize("text", ["Write a long story", "Напиши длинный рассказ"])
def test_a_long_text_has_every_kind_of_markdown_and_a_reading_pace(text: str):
    reply = answer(window(system(), user(text)))

    assert reply.pace_ms == READING_PACE_MS
    assert len(reply.text.split()) >= 600
    for mark in ("## ", "1. ", "|---|", "```python", "**"):
        assert mark in reply.text


def test_a_long_text_has_about_the_wished_length():
    reply = answer(window(system(), user("Tell me a long text of 250 words")))

    assert 250 <= len(reply.text.split()) < 350


def test_the_same_request_gets_the_same_answer():
    request = window(system(), user("How are you?"))

    assert answer(request) == answer(request)


@pytest.mark.parametrize(
    "piece",
    [
        *("\n", " ", ".\n", "a. ", "a: ", "what ", "what is my ", "remind me of "),
        *("remember that ", "search ", "my name is ", "как ", "помнишь "),
    ],
)
def test_no_message_keeps_the_model_from_everybody_else(piece: str):
    text = f"a{piece * 20_000}"[:20_000]
    asked = window(system(), *(user(text) for _ in range(3)), user(f"{text} b"))
    began_at = time.thread_time()

    answer(asked)

    assert time.thread_time() - began_at < TOO_LONG_SECONDS
