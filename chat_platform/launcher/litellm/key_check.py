"""Runs inside LiteLLM: accepts derived BillingKeys, each as its own account.

Environment: BILLING_SUBKEY (hex), LITELLM_MASTER_KEY. A key reads
`sk-acct-<account>-<version>-<hmac>`; `chat_platform/billing/keys.py` makes them.
"""

# pyright: reportMissingImports=false
import hashlib
import hmac
import os

from fastapi import HTTPException, Request
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth

_PREFIX = "sk-acct-"
_SUBKEY = bytes.fromhex(os.environ["BILLING_SUBKEY"])
_MASTER_KEY = os.environ["LITELLM_MASTER_KEY"]
_MODEL_ROUTES = {"/chat/completions", "/embeddings"}


async def check(request: Request, api_key: str | None) -> UserAPIKeyAuth:
    if not api_key:
        # None without a header; LiteLLM turns any other exception into a 500.
        raise HTTPException(status_code=401, detail="An API key is required.")
    if hmac.compare_digest(api_key.encode(), _MASTER_KEY.encode()):
        return UserAPIKeyAuth(api_key=api_key, user_role=LitellmUserRoles.PROXY_ADMIN)
    account = account_of(api_key)
    if account is None or request.url.path.removeprefix("/v1") not in _MODEL_ROUTES:
        raise HTTPException(status_code=401, detail="This API key is not valid.")
    key_id = hashlib.sha256(api_key.encode()).hexdigest()
    # The only trace of the caller: the account and the key's hash, never the key.
    print(f"call account={account} key={key_id[:16]} path={request.url.path}", flush=True)
    return UserAPIKeyAuth(api_key=key_id, user_id=account, user_role=LitellmUserRoles.INTERNAL_USER)


def account_of(api_key: str) -> str | None:
    """Return the key's account, or None if it is not one of ours."""
    claim, _, signature = api_key.rpartition("-")
    expected = hmac.new(_SUBKEY, claim.encode(), hashlib.sha256).hexdigest()
    if not claim.startswith(_PREFIX) or not hmac.compare_digest(signature, expected):
        return None
    account, _, _version = claim.removeprefix(_PREFIX).rpartition("-")
    return account
