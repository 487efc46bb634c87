"""`huitou member`: what the online store answers about one member, as an app would get it."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli import options
from pipelines.core.catalog import Catalog
from pipelines.core.clock import iso
from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.home import Brand
from pipelines.online.gateway.schemas import is_read_by_member
from pipelines.online.stores import OnlineStore, open_store

STYLES = {"fresh": "", "stale": "yellow", "absent": "dim"}


def register(app: typer.Typer) -> None:
    """Add `member`."""
    app.command("member")(member)


def member(
    member_id: Annotated[str, typer.Argument(help="The member's id.")],
    service: Annotated[str, typer.Option(help="Feature service to ask for.")] = "chat_sidebar_v1",
    now: Annotated[
        str | None,
        typer.Option(
            help="Answer as of this instant (2025-03-01T00:00:00Z), or `as-of` for the instant "
            "the data describes. Default: now, when old data is expired."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The answer as the gateway gives it.")
    ] = False,
    brand: options.BrandName = None,
) -> None:
    """One member's online answer: each value with its status and since when it holds.

    Examples:

        huitou member M00000001

        huitou member 17850 --now as-of       # of a brand whose data ended years ago

        huitou member M00000001 --json | jq .
    """
    _, chosen = options.chosen_brand(brand)
    answer = ask(chosen, member_id, service, now)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        show(answer, Console())


def ask(brand: Brand, member_id: str, service: str, now: str | None) -> dict[str, Any]:
    """The gateway's own answer, without a server: its application is called in this process.

    Raises:
        UsageError: no such service, no such id, or nothing is published.
        StoreUnavailableError: the store cannot be read, in its own words.
    """
    store = open_store(brand)
    marks = store.watermarks()
    if not marks:
        message = f"nothing of the brand {brand.name!r} is published"
        raise UsageError(message, "`huitou run` a day first, or `huitou publish`")
    if now == "as-of":
        at: datetime | None = max(mark.as_of for mark in marks.values())
    else:
        at = options.instant(now) if now else None
    parameters = {"service": service, **({"now": iso(at)} if at else {})}
    return asyncio.run(_ask(brand, store, member_id, parameters))


async def _ask(
    brand: Brand, store: OnlineStore, member_id: str, parameters: dict[str, str]
) -> dict[str, Any]:
    """A caller on this machine who can read the store's file needs no key."""
    import httpx

    from pipelines.online.gateway.app import Gateway

    transport = httpx.ASGITransport(Gateway(brand, store, is_trusting=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        response = await client.get(f"/v1/members/{quote(member_id, safe='')}", params=parameters)
    body: dict[str, Any] = response.json()
    if response.is_error:
        raise _refusal(brand, body["error"], is_the_callers=response.is_client_error)
    return body


def _refusal(brand: Brand, error: dict[str, str], *, is_the_callers: bool) -> HuitouError:
    """The gateway's refusal, with a remedy for who sits at a terminal and asks no HTTP."""
    remedy = error.get("remedy", "")
    if error["code"] in ("unknown_service", "service_not_by_member"):
        remedy = f"--service is one of {', '.join(services_by_member(Catalog.load(brand.catalog)))}"
    return (UsageError if is_the_callers else HuitouError)(error["message"], remedy)


def services_by_member(catalog: Catalog) -> list[str]:
    """The online services that a member's id is enough to read."""
    return sorted(
        service.name
        for service in catalog.services.values()
        if service.online and is_read_by_member(catalog, service)
    )


def show(answer: dict[str, Any], console: Console) -> None:
    """Print an answer as a table of features by view, and the data's age last."""
    table = Table("feature", "value", "status", "since", box=None, pad_edge=False)
    for column in (table.columns[0], *table.columns[2:]):
        column.no_wrap = True  # names are copied from here; values give way on a narrow screen
    table.columns[1].overflow = "fold"
    for view, features in answer["features"].items():
        table.add_row(view, style="bold")
        for name, cell in features.items():
            value = escape(json.dumps(cell["value"], ensure_ascii=False))
            style = STYLES.get(cell["status"], "red")
            since = str(cell["since"] or "")[:16]
            table.add_row(f"  {name}", value, cell["status"], since, style=style)
    console.print(table)
    ages = {view["as_of"]: view["status"] for view in answer["views"].values()}
    for as_of, status in ages.items():
        console.print(f"data as of {as_of}: {status} at {answer['now']}", highlight=False)
    if "expired" in ages.values():
        console.print("[yellow]too old to be used now; --now as-of shows what was served then[/]")
