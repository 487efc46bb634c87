"""`huitou generate`: what derives from the one definition of features and tags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.core.catalog import Catalog
from pipelines.core.errors import HuitouError
from pipelines.core.files import write_text
from pipelines.core.home import DBT_PROJECT, REPOSITORY


class StaleError(HuitouError):
    """A generated file is not what its definition says."""


def register(app: typer.Typer) -> None:
    """Add `generate`."""
    app.command("generate")(generate)


def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file is stale.")
    ] = False,
) -> None:
    """Write the files that derive from the dbt YAML and the tag catalogue; they are checked in.

    Example:

        huitou generate --check
    """
    stale = [path for path, text in generated().items() if _read(path) != text]
    if check and stale:
        message = "stale: " + ", ".join(str(p.relative_to(REPOSITORY)) for p in stale)
        raise StaleError(message, "run `make generate` and commit what it writes")
    for path in stale:
        write_text(path, generated()[path])
        typer.echo(f"wrote {path.relative_to(REPOSITORY)}")
    if not stale:
        typer.echo("everything generated is up to date")


def generated() -> dict[Path, str]:
    """Every generated file and the text it must have."""
    from pipelines.core import tag_catalogue
    from pipelines.online import client_definitions, feast_definitions

    catalog = Catalog.from_dbt(DBT_PROJECT)
    return {
        **feast_definitions.generated(catalog),
        **client_definitions.generated(catalog),
        **tag_catalogue.generated(tag_catalogue.TagCatalogue.load()),
    }


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
