"""`huitou dev`: what it sees to before Dagster starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.cli.commands import serve
from pipelines.core.errors import UsageError
from tests.conftest import free_port


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The command that `huitou dev` goes on as."""
    commands: list[str] = []
    monkeypatch.setattr(serve, "_become", commands.extend)
    monkeypatch.setenv("HUITOU_HOME", str(tmp_path))
    monkeypatch.delenv("HUITOU_BRAND", raising=False)
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)  # the command sets what is to be inherited
    yield commands
    os.environ.clear()
    os.environ.update(before)


def test_a_port_that_is_taken_is_refused_before_anything_starts(started: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} ") as error:
            serve.dev(port)
    assert "--port" in error.value.remedy
    assert not started


@pytest.mark.parametrize(("length", "is_kept"), [(20, True), (95, False)])
def test_a_temporary_folder_too_long_for_sockets_is_not_handed_on(
    length: int, is_kept: bool, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/" + "t" * length
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(serve, "gettempdir", lambda: folder)
    serve.dev(free_port())
    assert started
    assert os.environ["TMPDIR"] == (folder if is_kept else serve.SHORT_FOLDER)
