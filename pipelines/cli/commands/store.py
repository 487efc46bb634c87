"""`huitou publish` and `huitou parity`: the online store from the log, and the proof of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli import options
from pipelines.core.catalog import Catalog
from pipelines.core.errors import HuitouError


class ParityError(HuitouError):
    """The store does not hold what the log says."""

    exit_code = 5


class HeldError(HuitouError):
    """A view could not be published; the others were."""

    exit_code = 4


def register(app: typer.Typer) -> None:
    """Add `publish` and `parity`."""
    app.command("publish")(publish)
    app.command("parity")(parity)


def publish(
    brand: options.BrandName = None,
    view: Annotated[
        list[str] | None, typer.Option(help="Only this view; may be given again.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Write everything anew and remove what is not in the log."),
    ] = False,
) -> None:
    """Apply the log's changes and deletes since the store's watermark.

    The nightly job does it too. Safe to repeat and to interrupt.

    Examples:

        huitou publish

        huitou publish --full --view member_tags_v1
    """
    from pipelines.online.publisher import publish as apply
    from pipelines.online.stores import open_store

    console, (_, chosen) = Console(), options.chosen_brand(brand)
    store = open_store(chosen)
    with console.status("publishing …") as status:
        report = apply(
            chosen,
            Catalog.load(chosen.catalog),
            store,
            views=view,
            full=full,
            progress=lambda name, rows: status.update(f"{name}: {rows:,} rows"),
        )
    table = Table("view", "upserts", "deletes", "kept newer", "seconds", "held back", box=None)
    for name, done in report.views.items():
        counts = (done.upserts, done.deletes, done.kept_newer)
        table.add_row(name, *(f"{n:,}" for n in counts), f"{done.seconds:.2f}", done.held)
    console.print(table)
    if report.held:
        message = f"held back: {', '.join(report.held)}"
        raise HeldError(message, "mend what the table names, then `huitou publish` again")


def parity(
    brand: options.BrandName = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Compare about this many members a view. Default: all."),
    ] = None,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Delete keys that the log does not have.")
    ] = False,
) -> None:
    """Compare the online store with the feature log, cell by cell; exits with 5 if they differ.

    Null, empty list and empty string are three different values.

    Examples:

        huitou parity

        huitou parity --sample 10000
    """
    from pipelines.online.parity import parity as compare
    from pipelines.online.stores import open_store

    console, (_, chosen) = Console(), options.chosen_brand(brand)
    report = compare(
        chosen, Catalog.load(chosen.catalog), open_store(chosen), sample, reconcile=reconcile
    )
    table = Table("view", "members", "cells", "differing", "orphans", "as of", box=None)
    for name, found in report.views.items():
        counts = (found.keys, found.cells, found.differing.total(), found.orphans)
        as_of = f"{found.at.as_of:%Y-%m-%dT%H:%MZ}" if found.at else "never published"
        table.add_row(name, *(f"{n:,}" for n in counts), as_of)
    console.print(table)
    for cell in report.differences[:20]:
        where = f"{cell.view}.{cell.feature} {cell.key}"
        console.print(f"{where}: log {cell.log}, store {cell.store}", markup=False)
    if report.differing or (report.orphaned and not reconcile):
        message = f"{report.differing} cells differ, {report.orphaned} keys are orphans"
        raise ParityError(message, "`huitou publish --full` makes the store equal to the log")
