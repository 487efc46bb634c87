"""`huitou demo`: a shop drawn, its last three nights run, one member's answer."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import duckdb
import typer
from rich.console import Console

from pipelines.adapters.shop import Shop
from pipelines.cli import report, runner
from pipelines.cli.commands import member, run, shop
from pipelines.core.clock import SystemClock
from pipelines.core.home import Brand, Home
from pipelines.core.shop import ShopConfig
from pipelines.core.shop.extract import fold
from pipelines.online.gateway import HOST, PORT

NIGHTS = 3
#: A member whose answer is worth reading: bought again, holds a coupon, answered a survey.
SHOWN = """
    select member_id
    from features.member_orders_v1
    left join features.member_coupons_v1 using (member_id)
    left join features.member_survey_v1 using (member_id)
    left join features.member_contact_v1 using (member_id)
    order by
        coalesce(consent_profiling, false) desc,
        (open_retention_count > 0) desc nulls last,
        (skin_type is not null) desc,
        order_count_365d desc,
        member_id
    limit 1
"""
NEXT = """
Try next:
  huitou member {member}      what an app gets for one member
  make serve                  the gateway on http://{host}:{port}
  make dev                    the Dagster UI on http://127.0.0.1:3000
(huitou is in .venv/bin: `source .venv/bin/activate`; what to ask is in README.md)"""


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo")(demo)


def demo(
    members: Annotated[int, typer.Option(help="Members of the shop.")] = ShopConfig.members,
    days: Annotated[int, typer.Option(help="Days of its history.")] = ShopConfig.days,
) -> None:
    """Draw the synthetic shop, run its last three nights, and serve one member.

    A second run finds everything in place and adds nothing.

    Example:

        huitou demo --members 800 --days 160
    """
    started, console = time.monotonic(), Console()
    home = Home.from_env()
    brand = home.brand("demo")
    out = brand.root / "shop"
    runner.use_brand(home, brand, choose=False)
    with runner.warm(brand):
        last = _draw(brand, ShopConfig(members=members, days=days), console)
        brand.agree(Shop.name, out / "landing", Shop.business_tz, Shop.currency)
        home.choose(brand)
        runner.definitions()
        with runner.applied_meanwhile(brand):
            for night in range(NIGHTS - 1, -1, -1):
                outcome = run.run_day(brand, last - timedelta(days=night), "as-of", console)
    report.show(brand, outcome, console)
    with duckdb.connect(str(brand.warehouse), read_only=True) as warehouse:
        (shown,) = warehouse.execute(SHOWN).fetchone() or ("M00000001",)
    console.print(f"\nmember {shown}, as an app gets it:")
    member.show(member.ask(brand, shown, "chat_sidebar_v1", None), console)
    console.print(NEXT.format(member=shown, host=HOST, port=PORT), highlight=False)
    console.print(f"\n{time.monotonic() - started:.0f} s", highlight=False)


def _draw(brand: Brand, wanted: ShopConfig, console: Console) -> date:
    """The last day of the demo's shop, drawn up to yesterday unless it stands there already.

    Its history lands as one extract, as it does when a brand is connected.
    """
    landing = brand.root / "shop" / "landing"
    if (brand.root / "brand.json").exists():
        last = max(date.fromisoformat(day.name) for day in landing.iterdir() if day.is_dir())
        console.print(f"the shop is there, up to {last}")
        return last
    today = SystemClock().now().astimezone(ZoneInfo(Shop.business_tz)).date()
    config = ShopConfig(
        members=wanted.members, days=wanted.days, last_day=today - timedelta(days=1)
    )
    shop.show(shop.draw(config, brand.root / "shop", console), console)
    fold(landing, config.last - timedelta(days=NIGHTS - 1))
    return config.last
