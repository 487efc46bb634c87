"""What a run prints at its end."""

from __future__ import annotations

from rich.console import Console

from pipelines.cli import report
from pipelines.core.ingest import TableSummary


def test_the_counts_of_rows_say_that_they_are_of_all_loads() -> None:
    console = Console(width=80)
    with console.capture() as shown:
        console.print(report._rows([TableSummary("orders", files=2, read=7, accepted=7, new=7)]))
    heading, columns, row = shown.get().splitlines()
    assert heading.strip() == "rows of all loads so far"
    assert columns.split() == ["table", "read", "accepted", "new", "unchanged", "quarantined"]
    assert row.split() == ["orders", "7", "7", "7", "0", "0"]
