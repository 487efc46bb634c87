"""Errors that no command foresees: one line, a remedy and an exit code, or the traceback."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable

import pytest
import sqlalchemy as db

from pipelines.cli import main
from pipelines.online.stores import StoreUnavailableError


def wrapped() -> None:
    """What SQLAlchemy makes of a full disk, as Dagster's log meets it."""
    engine = db.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("create table notes (words blob)")
        connection.exec_driver_sql("pragma max_page_count = 2")
        connection.exec_driver_sql("insert into notes values (zeroblob(100000))")


def io_error() -> None:
    raise sqlite3.OperationalError("disk I/O error")


def no_space() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def run(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    monkeypatch.setattr(main, "app", work)
    monkeypatch.setattr("pipelines.cli.commands.register", lambda _: None)
    main.main()


def store_full() -> None:
    """As the online store tells it."""
    try:
        raise sqlite3.OperationalError("database or disk is full")
    except sqlite3.OperationalError as error:
        message = f"the online store online.db cannot be used: {error}"
        raise StoreUnavailableError(message, "see to its file and the free space") from error


@pytest.mark.parametrize("work", [wrapped, io_error, no_space, store_full])
def test_a_disk_that_takes_no_more_is_one_clear_error(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, work)
    assert ended.value.code == 4
    error, remedy = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "SQL:" not in error
    assert "free space" in remedy


def test_other_errors_of_a_database_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise sqlite3.OperationalError("no such table: runs")

    with pytest.raises(sqlite3.OperationalError):
        run(monkeypatch, broken)
