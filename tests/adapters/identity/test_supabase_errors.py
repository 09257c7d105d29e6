"""What people read when Supabase refuses a password, in words of ours."""

import pytest
from supabase_auth.errors import AuthWeakPasswordError

from chat_platform.adapters.identity.supabase_errors import translated
from chat_platform.errors import Invalid


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["length", "characters"], "Choose a longer password."),
        (["characters"], "capital and small letters"),
        (["pwned"], "has appeared in a data leak"),
        (["made up since"], "hard to guess"),
        ([], "hard to guess"),
    ],
)
def test_each_reason_for_a_weak_password_has_its_words(reasons: list[str], said: str):
    with pytest.raises(Invalid) as refused, translated():
        raise AuthWeakPasswordError("Password should be longer", 422, reasons)

    assert said in str(refused.value)
    assert (refused.value.code, refused.value.fields[0].field) == ("weak_password", "password")
