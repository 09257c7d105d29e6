"""What a failure's code means in a person's language. Knows no door."""

from zoneinfo import ZoneInfo

from chat_platform.clock import now_ms
from chat_platform.errors import BudgetSpent, PlatformError
from chat_platform.web.i18n import Words, at_ms


def error_words(say: Words, zone: ZoneInfo, error: PlatformError) -> str:
    """Return the words for a failure, with what it alone knows."""
    if isinstance(error, BudgetSpent) and error.resets_at_ms is not None:
        return budget_words(say, zone, error.resets_at_ms)
    return problem_words(say, error.code, error.message)


def budget_words(say: Words, zone: ZoneInfo, resets_at_ms: int) -> str:
    """Say that the budget is spent, and when it renews where the person is."""
    renews = at_ms(resets_at_ms, zone)
    if renews.date() == at_ms(now_ms(), zone).date():
        return say("Your budget is spent. It renews today at {time}.", time=say.time(renews))
    return say("Your budget is spent. It renews on {day}.", day=say.day(renews))


def problem_words(say: Words, code: str, message: str) -> str:
    """Return the words for a code; `message`, the domain's own English, for one we don't know."""
    return _known(say).get(code) or message


def _known(say: Words) -> dict[str, str]:
    return {
        "internal_error": say("Something went wrong on our side. Try again."),
        "agent_unavailable": say("Your agent is not answering right now. Try again in a moment."),
        "billing_unavailable": say("Billing is not answering right now. Try again in a moment."),
        "unavailable": say("A part of the platform is not answering. Try again in a moment."),
        "restarting": say("The server is restarting. Your message is safe."),
        "model_failed": say("The model failed to answer. Try again."),
        "upstream_failed": say("The model failed to answer. Try again."),
        "billing_failed": say("Billing failed to answer. Try again in a moment."),
        "model_busy": say("The model is busy. Try again in a minute."),
        "context_too_long": say("This is more than the model can read at once. Send less."),
        "timed_out": say("The model took too long. Try again."),
        "interrupted": say("The answer was interrupted. What had arrived is kept."),
        "turn_running": say("Your agent is still answering. Wait for it, or stop it first."),
        "message_too_long": say("This message is too long: 20,000 characters is the most."),
        "message_empty": say("Write something first."),
        "message_invalid": say("This text has characters that cannot be stored."),
        "idempotency_key_reused": say("Your agent has this message in other words. Write anew."),
        "bad_cursor": say("This message is not in your conversation."),
        "budget_spent": say("Your budget is spent. It renews with the next period."),
        "memory_changed": say("This memory changed meanwhile."),
        "memory_too_long": say("This text is longer than the block may be."),
        "not_found": say("It is not there any more."),
        "conflict": say("That does not go together with what is there now. Load the page again."),
        "outdated": say("This changed meanwhile. Load the page again."),
        "too_large": say("This is too large."),
        "invalid": say("This cannot be accepted. Check what you entered."),
        "not_allowed": say("You may not do this."),
        "wrong_password": say("The password is not right."),
        "invalid_name": say("Use a name of at most 200 characters."),
        "too_many_tokens": say("These are as many tokens as one may have. Revoke one first."),
        "own_account": say("You cannot disable yourself."),
        "identity_unavailable": say("Signing in is not possible right now. Try again in a moment."),
        "invalid_credentials": say("The password is not right."),
        "weak_password": say("Choose a password of 8 to 72 characters."),
        "too_many_attempts": say("Too many attempts. Wait a little and try again."),
        "too_many_requests": say("Too many requests. Wait a little and try again."),
    }
