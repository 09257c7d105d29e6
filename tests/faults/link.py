"""A process's link to the database, on which troubles act, whichever database it is."""

from typing import Protocol


class Link(Protocol):
    """`after` is how much the process still sends before the trouble: statements, or messages."""

    url: str
    met: list[str]
    """The troubles that occurred."""
    has_clock: bool
    """Whether leases use the database's own clock."""

    async def open(self) -> None: ...
    def cut(self, after: int) -> None: ...
    def lose_answer(self, after: int, *, told_bytes: int = 0) -> None:
        """Cut the connection when this many bytes of the answer have been sent."""
        ...

    def refuse(self, is_away: bool) -> None: ...
    def fall_silent(self, *, is_heard: bool) -> None:
        """Send nothing and close nothing. `is_heard`: what the process sends still arrives."""
        ...

    def speak(self) -> None:
        """Continue where it fell silent."""
        ...

    def fill_disk(self, is_full: bool) -> None: ...
    def cut_for_ever(self) -> None: ...
    async def close(self) -> None: ...
