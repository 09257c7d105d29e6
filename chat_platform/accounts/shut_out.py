"""Ends long responses whose reader's credential has been revoked since it was checked.

Queries the database, so it does not matter which process or command revoked the credential.
"""

import asyncio

from chat_platform.accounts import api_tokens, profiles, sign_in_rows
from chat_platform.context import AppContext

LOOK_SECONDS = 0.5
"""How often to query while there are readers, so that they end within a second."""


async def end_void_readers(ctx: AppContext) -> None:
    """End every long response of this process whose reader no longer has access."""
    credentials = ctx.open_readers.credentials
    if not credentials:
        return
    account_ids = {c.account_id for c in credentials}
    sign_in_ids = {c.sign_in_id for c in credentials if c.sign_in_id}
    token_ids = {c.api_token_id for c in credentials if c.api_token_id}
    welcome, signed_in, tokens = await asyncio.gather(
        profiles.welcome_among(ctx, account_ids),
        sign_in_rows.live_among(ctx, sign_in_ids),
        api_tokens.live_among(ctx, token_ids),
    )
    for credential in credentials:
        if not (
            credential.account_id in welcome
            and credential.sign_in_id in {None, *signed_in}
            and credential.api_token_id in {None, *tokens}
        ):
            ctx.open_readers.end(credential)
