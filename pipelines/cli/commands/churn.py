"""`huitou churn` and `huitou model`: the model against its peers, its versions, the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli import options, runner
from pipelines.core.clock import as_of_for, check_past

HAZARD_TABLE = "the hazard table: counted, no model"
churn = typer.Typer(no_args_is_help=True, help="How good the churn model is, on any history.")
model = typer.Typer(no_args_is_help=True, help="Versions of a brand's churn model.")


def register(app: typer.Typer) -> None:
    """Add `churn bench`, `model train`, `model list` and `model use`."""
    app.add_typer(churn, name="churn")
    app.add_typer(model, name="model")
    churn.callback()(lambda: None)  # keeps `bench` a subcommand while it is the only one


@churn.command("bench")
def bench(
    file: Annotated[
        Path, typer.Option("--file", help="CSV or Parquet of customer_id, purchased_at, net.")
    ],
    cutoff: Annotated[list[str], typer.Option("--cutoff", help="Day, YYYY-MM-DD; may repeat.")],
    more: Annotated[list[str] | None, typer.Argument(help="Further cut-offs.", hidden=True)] = None,
    business_tz: Annotated[str, typer.Option(help="Zone that days are cut in.")] = "UTC",
) -> None:
    """Our model and its peers on a purchase history: same cut-offs, one table.

    Each cut-off is judged on the 90 days after it; everything is learnt from what lies before.
    A cut-off with too little before it gets the basis `insufficient`, and no number. Days in the
    future are left out.

    Example:

        huitou churn bench --file history.parquet --cutoff 2011-05-31 2011-08-31
    """
    from pipelines.core.churn.benchmark import bench_file, report
    from pipelines.core.churn.peers import PEERS

    days = [options.calendar_day(day) for day in [*cutoff, *(more or [])]]
    with Console(stderr=True).status("starting") as status:
        lines = bench_file(file, days, business_tz, PEERS, status.update, options.latest_day())
    typer.echo(report(lines))


@model.command("train")
def train(
    as_of: Annotated[str, typer.Option("--as-of", help="Business day, YYYY-MM-DD, already run.")],
    brand: options.BrandName = None,
) -> None:
    """Learn the model anew; it is served from the next run on if past cut-offs speak for it.

    Example:

        huitou model train --as-of 2011-12-09
    """
    console, (home, chosen) = Console(), options.chosen_brand(brand)
    day = options.day(as_of)
    check_past(as_of_for(day, chosen.config().business_tz))
    runner.use_brand(home, chosen, choose=False)
    outcome = runner.execute("retrain", day, day, None, console)
    console.print(outcome.words["models", "churn"]["why"])
    show(brand)


@model.command("list")
def show(brand: options.BrandName = None) -> None:
    """The hazard table and the versions of a brand, oldest first; what is in use is marked.

    Example:

        huitou model list --brand demo
    """
    from pipelines.core.churn import registry

    _, chosen = options.chosen_brand(brand)
    served = registry.served(chosen.models)
    table = Table("", "version", "trained on", "why", box=None, pad_edge=False)
    mark = {served or registry.HEURISTIC: "→"}
    table.add_row(mark.get(registry.HEURISTIC, ""), registry.HEURISTIC, "every night", HAZARD_TABLE)
    for version in registry.versions(chosen.models):
        card = registry.card_of(chosen.models, version)
        table.add_row(mark.get(version, ""), version, card["trained_on"], card["verdict"]["why"])
    Console().print(table)


@model.command("use")
def use(
    version: Annotated[str, typer.Argument(help="What `huitou model list` names.")],
    brand: options.BrandName = None,
) -> None:
    """Serve a version from the next run on; the way back is the same command.

    `heuristic` goes back to the hazard table. The next retraining is then held against that alone.

    Example:

        huitou model use 2011-12-09-1a2b3c4d

        huitou model use heuristic
    """
    from pipelines.core.churn import registry

    _, chosen = options.chosen_brand(brand)
    registry.use(chosen.models, version)
    typer.echo(f"{version} scores from the next run on")
