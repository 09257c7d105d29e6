import hashlib
import hmac

import pytest

from chat_platform.billing.keys import KeySeal, SealBroken, derive_key, derive_subkey
from chat_platform.values.ids import AccountId

OLD = "o" * 40
NEW = "n" * 40
ALICE = AccountId("0198-alice")


def test_a_derived_key_names_account_and_version_and_is_signed_with_the_subkey():
    subkey = derive_subkey(NEW)

    key = derive_key(subkey, ALICE, 3)

    claim, _, signature = key.rpartition("-")
    assert claim == "sk-acct-0198-alice-3"
    assert signature == hmac.new(subkey, claim.encode(), hashlib.sha256).hexdigest()


def test_accounts_versions_and_secrets_have_keys_of_their_own():
    keys = {
        derive_key(derive_subkey(secret), account, version)
        for secret in (OLD, NEW)
        for account in (ALICE, AccountId("0198-bob"))
        for version in (1, 2)
    }

    assert len(keys) == 8


def test_a_sealed_key_does_not_show_and_opens_again():
    sealed = KeySeal(NEW).seal("sk-of-alice")

    assert "sk-of-alice" not in sealed
    assert KeySeal(NEW).open(sealed) == "sk-of-alice"


def test_a_key_sealed_before_a_rotation_opens_and_can_be_renewed():
    sealed = KeySeal(OLD).seal("sk-of-alice")

    renewed = KeySeal(NEW, OLD).renew(sealed)

    assert KeySeal(NEW).open(renewed) == "sk-of-alice"


def test_a_lost_secret_is_told_apart():
    with pytest.raises(SealBroken):
        KeySeal(NEW).open(KeySeal(OLD).seal("sk-of-alice"))
