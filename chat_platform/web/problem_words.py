"""What a failure's code means in a person's language. Knows no door."""

from chat_platform.web.i18n import Words


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
        "timed_out": say("The model took too long. Try again."),
        "interrupted": say("The answer was interrupted. What had arrived is kept."),
        "turn_running": say("Your agent is still answering. Wait for it, or stop it first."),
        "message_too_long": say("This message is too long: 20,000 characters is the most."),
        "budget_spent": say("Your budget is spent. It renews with the next period."),
        "memory_changed": say("This memory changed meanwhile."),
        "memory_too_long": say("This text is longer than the block may be."),
        "not_found": say("It is not there any more."),
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
