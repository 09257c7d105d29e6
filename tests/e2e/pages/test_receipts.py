"""What an answer cost, on the whole platform: each hidden call with its price, as it was booked."""

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.pages.behind import Behind, amounts, nano_usd
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]


def opened(visitor: Visitor, answer: Locator) -> Locator:
    answer.get_by_test_id("receipt").click()
    receipt = visitor.page.get_by_role("region", name="Receipt")
    expect(receipt).to_have_count(1)
    return receipt


def test_a_receipt_lists_every_hidden_call_with_the_price_that_was_booked(
    ada: Visitor, behind: Behind
):
    answer = ada.ask("Remember that my bicycle is red. And archive that my cat is called Tom.")

    receipt = opened(ada, answer)

    what = [line.splitlines()[0] for line in receipt.locator("li").all_inner_texts()]
    assert what == ["Remembering", "Remembering", "Archive (embeddings)", "Reply"]
    assert [call["kind"] for call in behind.calls] == ["chat", "chat", "embedding", "chat"]
    for line, call in zip(receipt.locator("li").all(), behind.calls, strict=True):
        tokens = f"{call['prompt_tokens']:,} → {call['completion_tokens']:,}"
        expect(line).to_contain_text(f"{call['model']} · {tokens}")
        assert amounts(line.locator("[data-cost]")) == [call["cost_nano_usd"]] != [0]
    assert amounts(receipt.locator("[data-total]")) == [behind.booked]
    shown, tokens = answer.get_by_test_id("receipt").inner_text().split(" · ")
    assert nano_usd(shown) == behind.booked
    assert tokens == f"{behind.tokens:,} tokens"


def test_a_search_of_the_archive_stands_on_the_receipt_of_its_own_answer(
    ada: Visitor, behind: Behind
):
    ada.ask("Please archive that my cat is called Tom.")
    first = behind.booked

    answer = ada.ask("Please search your archive for my cat.")

    expect(answer).to_contain_text("my cat is called Tom")
    receipt = opened(ada, answer)
    lines = receipt.locator("li")
    expect(lines.filter(has_text="demo-embedding")).to_contain_text("Archive (embeddings)")
    booked = [call["cost_nano_usd"] for call in behind.calls]
    assert amounts(lines.locator("[data-cost]")) == booked[-3:]
    assert amounts(receipt.locator("[data-total]")) == [behind.booked - first]


def test_calls_that_failed_stand_on_the_receipt_with_what_they_cost(ada: Visitor, behind: Behind):
    ada.send("[[cut]] Hello!")
    expect(ada.answers).to_have_count(1)

    receipt = opened(ada, ada.answers.first)

    expect(receipt.locator("li").filter(has_text="failed")).to_have_count(1)
    assert [call["state"] for call in behind.calls] == ["failed"]
    booked = [call["cost_nano_usd"] for call in behind.calls]
    assert amounts(receipt.locator("[data-cost]")) == booked
    assert amounts(receipt.locator("[data-total]")) == [sum(booked)]
