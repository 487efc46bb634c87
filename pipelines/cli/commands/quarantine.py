"""`huitou quarantine`: what was refused and why, and the way back after a fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli import options
from pipelines.core.clock import SystemClock
from pipelines.core.contracts import TABLES
from pipelines.core.errors import UsageError

quarantine = typer.Typer(
    no_args_is_help=True, help="Rows and files that were refused: nothing is lost, all is named."
)
TableName = Annotated[str | None, typer.Option("--table", help="Only this source table.")]


def register(app: typer.Typer) -> None:
    """Add `quarantine list`, `quarantine show` and `quarantine replay`."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def reasons(brand: options.BrandName = None) -> None:
    """Reasons with their counts, an example and the remedy; then files that could not be read.

    Example:

        huitou quarantine list --brand demo
    """
    from pipelines.core import quarantine as held

    console, (_, chosen) = Console(), options.chosen_brand(brand)
    table = Table("table", "reason", "rows", "for example", "remedy", box=None, pad_edge=False)
    for row in held.reasons(chosen).iter_rows(named=True):
        cells = (row["table"], row["reason"], f"{row['rows']:,}", row["example"], row["remedy"])
        table.add_row(*(escape(str(cell)) for cell in cells))
    console.print(table if table.row_count else "no row is in quarantine")
    for line in held.lines(held.files(chosen)):
        console.print(line, style="red", markup=False, soft_wrap=True)


@quarantine.command("show")
def show(
    table: TableName = None,
    reason: Annotated[str | None, typer.Option(help="Only rows refused for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    brand: options.BrandName = None,
) -> None:
    """Refused rows as JSON lines: file, row, column, reason and the record as its file held it.

    Example:

        huitou quarantine show --table orders --reason negative_amount | jq .
    """
    from pipelines.core import quarantine as held

    _, chosen = options.chosen_brand(brand)
    known(table)
    for row in held.rows(chosen, table, reason=reason).head(limit).iter_rows(named=True):
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))


@quarantine.command("replay")
def replay(table: TableName = None, brand: options.BrandName = None) -> None:
    """Judge refused rows again after a fix of adapter or contract; those that pass move to raw.

    The next run counts them. Rows that still fail stay.

    Example:

        huitou quarantine replay --table orders
    """
    from pipelines import adapters
    from pipelines.core import quarantine as held

    console, (_, chosen), seen = Console(), options.chosen_brand(brand), False
    known(table)
    for source, landing in sorted(chosen.config().sources.items()):
        for name in [table] if table else list(TABLES):
            waiting = held.rows(chosen, name, source)["reason"].is_in(held.UNREADABLE)
            now = SystemClock().now()
            done = held.replay(chosen, adapters.get(source), name, now, Path(landing))
            if len(waiting):
                never = waiting.sum()
                rest = f"; {never:,} can only come in a corrected file" if never else ""
                passed = f"{done.accepted:,} of {len(waiting):,} rows pass and move to raw"
                console.print(f"{source} {name}: {passed}{rest}", highlight=False, soft_wrap=True)
                seen = True
    if not seen:
        of_table = f" of {table}" if table else ""
        console.print(f"no row{of_table} is in quarantine")


def known(table: str | None) -> None:
    """Make sure that the table exists.

    Raises:
        UsageError: it does not.
    """
    if table and table not in TABLES:
        message = f"there is no source table {table!r}"
        raise UsageError(message, f"choose one of {', '.join(TABLES)}")
