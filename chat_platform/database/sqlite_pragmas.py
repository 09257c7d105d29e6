"""What every connection to a SQLite file is told first."""


def pragmas(*, survives_power_cuts: bool = False) -> tuple[str, ...]:
    """Return the pragmas for a connection.

    In WAL mode a commit survives the death of the process in any case. `FULL` also waits for the
    disk at each commit, so that it survives a power cut; `NORMAL` may lose the most recent ones.
    """
    synchronous = "FULL" if survives_power_cuts else "NORMAL"
    return "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"
