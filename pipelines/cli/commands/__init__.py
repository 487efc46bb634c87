"""The commands; a module for each thing a person does."""

from __future__ import annotations

import typer

from pipelines.cli.commands import (
    churn,
    demo,
    doctor,
    generate,
    keys,
    member,
    quarantine,
    run,
    serve,
    shop,
    store,
)


def register(app: typer.Typer) -> None:
    """Give `app` every command."""
    modules = (demo, shop, run, member, serve, quarantine, store, keys, churn, generate, doctor)
    for module in modules:
        module.register(app)
