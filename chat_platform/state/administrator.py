"""Restricts handlers to administrators; for everyone else they do not exist."""

from chat_platform.errors import nothing_here
from chat_platform.models import Account
from chat_platform.state.account import AccountState


class AdministratorState(AccountState):
    async def _admin(self) -> Account:
        """Return the administrator who is signed in. Raises NotSignedIn, NotFound."""
        account = await self._account()
        if account.role != "admin":
            raise nothing_here()
        return account
