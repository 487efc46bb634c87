"""`huitou keys`: who may read what from the gateway."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli import options
from pipelines.core.catalog import Catalog
from pipelines.core.clock import SystemClock
from pipelines.online.access import keys as access

keys = typer.Typer(
    no_args_is_help=True,
    help="Bearer keys of the gateway: hashed at rest, each bound to services and a rate.",
)


def register(app: typer.Typer) -> None:
    """Add `keys create`, `keys list` and `keys revoke`."""
    app.add_typer(keys, name="keys")


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the list and the audit log.")],
    service: Annotated[
        list[str], typer.Option(help="Service it may read, or `*`; may be given again.")
    ],
    scope: Annotated[
        list[str] | None, typer.Option(help="Further right, such as `replay`; see docs/gateway.md.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Members a second; 0 for no limit.")] = 0.0,
    burst: Annotated[float, typer.Option(help="Members at once above the rate.")] = 0.0,
    expires: Annotated[
        str | None, typer.Option(help="End of its validity, for example 2027-01-01T00:00:00Z.")
    ] = None,
    brand: options.BrandName = None,
) -> None:
    """Make a key and show it, once.

    Example:

        huitou keys create sidebar --service chat_sidebar_v1 --rate 200
    """
    _, chosen = options.chosen_brand(brand)
    if chosen.catalog.exists():  # a brand whose first run is still to come has no services yet
        known = Catalog.load(chosen.catalog).services.values()
        access.check_services(service, [one.name for one in known if one.online])
    key, text = access.create_key(
        chosen,
        name,
        service,
        now=SystemClock().now(),
        scopes=scope or (),
        rate=rate,
        burst=burst,
        expires_at=options.instant(expires) if expires else None,
    )
    typer.echo(f"key {key.id} for {name}; this is the only time it is shown:", err=True)
    typer.echo(text)


@keys.command("list")
def show(brand: options.BrandName = None) -> None:
    """All keys, revoked ones too; no secret is shown, for none is kept.

    Example:

        huitou keys list --brand demo
    """
    _, chosen = options.chosen_brand(brand)
    table = Table("id", "name", "services", "scopes", "rate", "created", "ends", box=None)
    for key in access.list_keys(chosen):
        ends = f"revoked {key.revoked_at[:10]}" if key.revoked_at else (key.expires_at or "never")
        table.add_row(
            key.id,
            escape(key.name),
            escape(" ".join(key.services)),
            " ".join(key.scopes),
            f"{key.rate:g}/s" if key.rate else "no limit",
            key.created_at[:10],
            ends,
        )
    Console().print(table)


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="Id or name of the key.")],
    brand: options.BrandName = None,
) -> None:
    """End a key; running gateways drop it within seconds.

    Example:

        huitou keys revoke sidebar
    """
    _, chosen = options.chosen_brand(brand)
    revoked = access.revoke_key(chosen, key, now=SystemClock().now())
    typer.echo(f"revoked {revoked.id} ({revoked.name})")
