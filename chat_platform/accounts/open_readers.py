"""The readers of long responses from this process, and their credentials."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chat_platform.values.ids import AccountId


@dataclass(frozen=True)
class Credential:
    """A credential. Without either id it is another issuer's token: the account decides."""

    account_id: AccountId
    sign_in_id: str | None = None
    api_token_id: str | None = None


@dataclass
class OpenReaders:
    """Responses that last longer than the check of their credential."""

    _ends: dict[Credential, set[asyncio.Event]] = field(
        default_factory=dict[Credential, set[asyncio.Event]]
    )

    @contextmanager
    def reading(self, credential: Credential) -> Iterator[asyncio.Event]:
        """Yield an event that is set once the credential is revoked: then send nothing more."""
        ended = asyncio.Event()
        self._ends.setdefault(credential, set()).add(ended)
        try:
            yield ended
        finally:
            ends = self._ends[credential]
            ends.discard(ended)
            if not ends:
                del self._ends[credential]

    @property
    def credentials(self) -> list[Credential]:
        return list(self._ends)

    def end(self, credential: Credential) -> None:
        for ended in self._ends.get(credential, ()):
            ended.set()
