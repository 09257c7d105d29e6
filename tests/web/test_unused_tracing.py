"""A running server imports what sends traces only if there is a collector."""

from pathlib import Path

import pytest

from tests.web.bare_server import bare_server

pytestmark = pytest.mark.programs

SENDS_TRACES = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter",
    "google.protobuf",
    "chat_platform.adapters.open_telemetry",
)
"""Not what other packages import where it is installed, as it is for tests: redis, for one."""


def imported_by_server(folder: Path, **settings: str) -> set[str]:
    """Return what a server has imported once it answers, as Python reports it."""
    with bare_server(folder, PYTHONPROFILEIMPORTTIME="1", **settings) as server:
        lines = [line for line in server.log.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_without_a_collector_nothing_of_it_is_imported(tmp_path: Path):
    imported = imported_by_server(tmp_path)

    assert "chat_platform.proxy.app" in imported
    assert not imported & set(SENDS_TRACES)


def test_with_one_it_is(tmp_path: Path):
    imported = imported_by_server(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert imported >= set(SENDS_TRACES)
