"""The commands; a module for each thing a person does."""

from __future__ import annotations

import typer

from pipelines.cli.commands import demo, doctor, run, shop


def register(app: typer.Typer) -> None:
    """Give `app` every command."""
    for module in (shop, run, demo, doctor):
        module.register(app)
