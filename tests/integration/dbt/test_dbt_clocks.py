"""Days in SQL and days in Python are the same days, in a zone that skips midnights.

São Paulo's clocks went forward at midnight until 2018: such a day begins at 01:00.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from pipelines.core.clock import as_of_for, business_day, iso, start_of

pytestmark = pytest.mark.integration

TZ = "America/Sao_Paulo"
DAYS = [date(2016, 1, 1) + timedelta(days=n) for n in range(1100)]
PLACEHOLDER = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sql(lake: Any, dbt_inline: Any) -> dict[str, str]:
    """The macros' SQL, over a column `today` and a literal as_of."""
    expressions = {
        "start": "start_of_day('today')",
        "window": "days_before_as_of(90)",
        "matured": "matured_before()",
        "last_day": "last_day()",
    }
    inline = "\n;\n".join(f"{{{{ {text} }}}}" for text in expressions.values())
    compiled = dbt_inline(lake({}), inline, as_of=iso(PLACEHOLDER), business_tz=TZ)
    return dict(zip(expressions, compiled.split("\n;\n"), strict=True))


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def test_some_of_these_days_have_no_midnight() -> None:
    begins = {start_of(day, TZ).astimezone(UTC).hour for day in DAYS}
    assert begins == {2, 3}
    assert start_of(date(2017, 10, 15), TZ) == datetime(2017, 10, 15, 3, tzinfo=UTC)


def test_a_day_begins_when_the_clock_says(sql: dict[str, str], database: Any) -> None:
    database.execute("create or replace table days (today date)")
    database.executemany("insert into days values (?)", [[day] for day in DAYS])
    rows = database.execute(f"select today, {sql['start']} from days").fetchall()
    assert {day: at.astimezone(UTC) for day, at in rows} == {d: start_of(d, TZ) for d in DAYS}


@pytest.mark.parametrize(("name", "days"), [("window", 90), ("matured", 15)])
def test_a_window_begins_with_a_local_day(
    sql: dict[str, str], database: Any, name: str, days: int
) -> None:
    """Of every run of three years, also those whose as_of is 01:00 on the clock."""
    wanted, found = [], []
    for day in DAYS:
        as_of = as_of_for(day, TZ)
        text = sql[name].replace(iso(PLACEHOLDER), iso(as_of))
        found.append(database.execute(f"select {text}").fetchone()[0].astimezone(UTC))
        wanted.append(start_of(day + timedelta(days=1 - days), TZ))
    assert found == wanted


def test_the_last_day_of_a_run_is_its_business_day(sql: dict[str, str], database: Any) -> None:
    for day in DAYS[::7]:
        as_of = as_of_for(day, TZ)
        text = sql["last_day"].replace(iso(PLACEHOLDER), iso(as_of))
        assert database.execute(f"select {text}").fetchone()[0] == day == business_day(as_of, TZ)
