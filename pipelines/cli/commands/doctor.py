"""`huitou doctor`: versions, paths, services; what is missing and how to get it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlparse

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.core.errors import UsageError
from pipelines.core.home import DBT_PROJECT, FEATURE_REPO, Home

PACKAGES = ("dagster", "dbt-core", "dbt-duckdb", "duckdb", "feast", "pyarrow", "pandera", "polars")


def register(app: typer.Typer) -> None:
    """Add `doctor`."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Versions, paths and services: what is here, what is missing and how to get it.

    Exits with 1 if something is missing that the default set-up needs.

    Example:

        huitou doctor
    """
    console, table = Console(), Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "remedy"):
        table.add_column(heading, overflow="fold")
    rows = [*_python(), *_paths(), *_services()]
    for needed, what, found, remedy in rows:
        mark = "[green]✓[/]" if found else ("[red]✗[/]" if needed else "[yellow]–[/]")
        table.add_row(mark, what, escape(found) or "missing", "" if found else escape(remedy))
    console.print(table)
    if any(needed and not found for needed, _, found, _ in rows):
        raise typer.Exit(1)


Row = tuple[bool, str, str, str]


def _python() -> list[Row]:
    rows: list[Row] = [(True, "Python", sys.version.split()[0], "")]
    for name in PACKAGES:
        try:
            found = version(name)
        except PackageNotFoundError:
            found = ""
        rows.append((True, name, found, "make install"))
    return rows


def _paths() -> list[Row]:
    home = Home.from_env()
    there = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    is_ours = there.is_dir() and os.access(there, os.W_OK)
    ours = f"{home.root} ({free / 1e9:.0f} GB free)" if is_ours else ""
    rows: list[Row] = [
        (True, "HUITOU_HOME", ours, f"{there} takes no files: set it to a folder of yours"),
        (True, "dbt project", str(DBT_PROJECT) if DBT_PROJECT.is_dir() else "", "clone again"),
        (True, "feature repo", str(FEATURE_REPO) if FEATURE_REPO.is_dir() else "", "clone again"),
    ]
    try:
        brand = home.current()
        sources = ", ".join(f"{k} ← {v}" for k, v in brand.config().sources.items())
        rows.append((False, f"brand {brand.name}", sources, "huitou run --source … --landing …"))
    except UsageError as error:
        rows.append((False, "brand", "", error.remedy))
    return rows


def _services() -> list[Row]:
    online = os.environ.get("HUITOU_ONLINE_STORE", "sqlite")
    redis_url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    database_url = os.environ.get("DATABASE_URL", "postgresql://127.0.0.1:5432/postgres")
    return [
        (online == "redis", f"Redis (online store: {online})", _listens(redis_url, 6379),
         "set REDIS_URL, or start redis-server; only needed with HUITOU_ONLINE_STORE=redis"),
        (False, "PostgreSQL", _listens(database_url, 5432),
         "set DATABASE_URL; only needed by some tests and a shared Dagster instance"),
        (False, "Java", shutil.which("java") or "", "install a Java 17 runtime; only for Spark"),
    ]  # fmt: skip


def _listens(url: str, usual_port: int) -> str:
    """`host:port` of the URL if something listens there, else nothing. Shows no password."""
    parts = urlparse(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or usual_port
    try:
        with socket.create_connection((host, port), timeout=1):
            return f"{host}:{port}"
    except OSError:
        return ""
