"""Access tokens are signed as the settings say, and accepted in no other form."""

import jwt
import pytest

from chat_platform.accounts import access_tokens
from chat_platform.accounts.access_tokens import AccessClaims
from chat_platform.errors import NotSignedIn
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId

CLAIMS = AccessClaims(AccountId("alice"), "a-sign-in", 3)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_is_signed_by_the_configured_algorithm(settings: Settings, algorithm: str):
    configured = settings.model_copy(update={"jwt_algorithm": algorithm})

    token = access_tokens.issue(configured, CLAIMS)

    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert access_tokens.read(configured, token) == CLAIMS


def test_after_a_change_of_algorithm_old_tokens_are_void(settings: Settings):
    old = access_tokens.issue(settings, CLAIMS)
    changed = settings.model_copy(update={"jwt_algorithm": "HS512"})

    with pytest.raises(NotSignedIn):
        access_tokens.read(changed, old)


def test_a_token_ends_when_the_settings_say(settings: Settings):
    configured = settings.model_copy(update={"jwt_expire_minutes": 7})

    token = access_tokens.issue(configured, CLAIMS)

    end = jwt.decode(token, options={"verify_signature": False})["exp"]
    assert end == pytest.approx(now_ms() / 1000 + 7 * 60, abs=5)
