"""`huitou quarantine`: what it prints about rows that were refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipelines import adapters
from pipelines.cli.commands import register
from pipelines.core.home import Brand, Home
from pipelines.core.ingest import load

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID"
DAY = date(2010, 12, 1)


@pytest.fixture
def brand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Brand:
    """A brand of online_retail_ii, its landing folder still empty."""
    monkeypatch.setenv("HUITOU_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HUITOU_BRAND", raising=False)
    home = Home(tmp_path / "home")
    brand = home.brand("gifts")
    (tmp_path / "landing").mkdir()
    adapter = adapters.get("online_retail_ii")
    brand.root.mkdir(parents=True)
    brand.agree(adapter.name, tmp_path / "landing", adapter.business_tz, adapter.currency)
    home.choose(brand)
    return brand


def loaded(brand: Brand, *lines: str) -> None:
    ((name, landing),) = brand.config().sources.items()
    Path(landing, f"{DAY}.csv").write_text("\n".join([HEADER, *lines, ""]))
    known_at = datetime(2011, 1, 1, tzinfo=UTC)
    load(brand, adapters.get(name), "order_lines", Path(landing), (DAY, DAY), known_at)


def huitou(*words: str) -> str:
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done
    return done.stdout


def test_a_replay_says_how_many_of_the_rows_pass(brand: Brand) -> None:
    loaded(
        brand,
        "536365,85123A,HEART,6,yesterday,2.55,17850",
        "536365,85123B,HEART,many,2010-12-01 08:26:00,2.55,17850",
        "536365,85123C",
    )
    assert huitou("quarantine", "replay") == (
        "online_retail_ii order_lines: 0 of 3 rows pass and move to raw; "
        "1 can only come in a corrected file\n"
    )


def test_a_replay_of_nothing_says_so(brand: Brand) -> None:
    loaded(brand, "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850")
    assert huitou("quarantine", "replay") == "no row is in quarantine\n"
    assert huitou("quarantine", "replay", "--table", "refunds") == (
        "no row of refunds is in quarantine\n"
    )
