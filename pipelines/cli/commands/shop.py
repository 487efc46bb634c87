"""`huitou shop`: the synthetic shop, as the landing files of a believable brand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli import options
from pipelines.core.shop import Dirt, ShopConfig, ShopReport, generate

CLEAN = Dirt.none()
USUAL = Dirt()


def register(app: typer.Typer) -> None:
    """Add `shop`."""
    app.command("shop")(shop)


def shop(
    out: Annotated[Path, typer.Option(help="Folder for `landing/` and `truth/`.")] = Path("shop"),
    members: Annotated[int, typer.Option(help="Members after 400 days.")] = ShopConfig.members,
    days: Annotated[int, typer.Option(help="Days to draw.")] = ShopConfig.days,
    last_day: Annotated[
        str | None, typer.Option(help="Last day, YYYY-MM-DD. Default: counted from 2024-07-01.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another shop.")] = ShopConfig.seed,
    duplicates: Annotated[float, typer.Option(help="Share of rows twice.")] = USUAL.duplicates,
    late: Annotated[float, typer.Option(help="Share of rows days late.")] = USUAL.late,
    corrections: Annotated[float, typer.Option(help="Share corrected.")] = USUAL.corrections,
    broken: Annotated[float, typer.Option(help="Share that is broken.")] = USUAL.broken,
) -> None:
    """Draw a shop: landing files by day, and apart from them the truth it drew.

    The same options write the same bytes. The pipeline never reads the truth.

    Examples:

        huitou shop --out shop --members 3000 --days 400

        huitou run --as-of 2025-08-04 --source shop --landing shop/landing
    """
    config = ShopConfig(
        members=members,
        days=days,
        last_day=options.day(last_day) if last_day else None,
        seed=seed,
        dirt=Dirt(duplicates, late, corrections, broken),
    )
    console = Console()
    show(draw(config, out, console), console)


def draw(config: ShopConfig, out: Path, console: Console) -> ShopReport:
    """The shop of `config` written to `out`, with progress."""
    with console.status("drawing the shop …") as status:

        def drawn(day: int, of: int) -> None:
            status.update(f"drawing the shop: day {day} of {of}")

        return generate(config, out, drawn)


def show(report: ShopReport, console: Console) -> None:
    """Print what was drawn."""
    table = Table("table", "rows", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, rows in report.rows.items():
        table.add_row(name, f"{rows:,}")
    console.print(f"{report.members:,} members, {report.first_day} … {report.last_day}")
    console.print(table)
