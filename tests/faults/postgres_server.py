"""What Postgres itself does in a run: its disk fills up, and its clock follows the run's."""

import os
from pathlib import Path

DISK = """
    create table full_disk (is_full bool);
    create function write_to_disk() returns trigger language plpgsql as $$ begin
        if exists (select from full_disk) then
            raise exception 'No space left on device' using errcode = '53100';
        end if;
        return new;
    end $$;
    do $$ declare name text; begin
        for name in select tablename from pg_tables
            where schemaname = 'public' and tablename <> 'full_disk' loop
            execute format('create trigger disk before insert or update on %I'
                ' for each row execute function write_to_disk()', name);
        end loop;
    end $$;
"""
"""Makes Postgres itself report a full disk for every row written while `full_disk` has a row, even
in the middle of a pipeline."""

CLOCK_PATH = "faults, pg_catalog, public"
"""The search path for names: the fault machine's replacements come before Postgres's own."""


class ClockFile:
    """Tells Postgres how far the run's clock is ahead, since leases use the database's clock."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT)
        # Postgres may run as another user; not limited by the umask.
        os.fchmod(self._file, 0o644)
        self.sql = f"""
            create schema faults;
            create function faults.statement_timestamp() returns timestamptz language sql stable
            as $$ select pg_catalog.statement_timestamp()
                + make_interval(secs => pg_read_file('{file}')::float8) $$;
        """
        self.write(0.0)

    def write(self, ahead_seconds: float) -> None:
        # In one write of a fixed length, so that nobody reads half of it.
        os.pwrite(self._file, f"{ahead_seconds:020.6f}".encode(), 0)
