"""A failed start: one line says what happened, another what to do."""


class LaunchFailed(Exception):
    """The start cannot continue. Both texts are for the person at the terminal."""

    def __init__(self, message: str, *, way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.message} {self.way_out}".strip()
