import io
import tarfile
from pathlib import Path

from chat_platform.launcher.letta.peer import VERSION, _unpack


def test_only_the_migrations_come_out_of_the_source_archive(tmp_path: Path):
    archive = tmp_path / "letta.tar.gz"
    with tarfile.open(archive, "w:gz") as source:
        for name in ("alembic.ini", "alembic/versions/one.py", "letta/server.py", "README.md"):
            member = tarfile.TarInfo(f"letta-{VERSION}/{name}")
            member.size = len(name)
            source.addfile(member, io.BytesIO(name.encode()))

    _unpack(archive, tmp_path)

    found = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert found == {"alembic.ini", "alembic/versions/one.py"}
    assert (tmp_path / "alembic.ini").read_text() == "alembic.ini"
