"""Casting: a value of its type comes out, anything else is named and never guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core.contracts.base import INSTANT
from pipelines.core.ingest.cast import cast
from pipelines.core.source import AdapterError

LOCAL = pl.Datetime("us")
STRINGS, DATES = pl.List(pl.String()), pl.List(pl.Date())


def one(value: Any, dtype: pl.DataType, source: pl.DataType | None = None) -> tuple[Any, list[str]]:
    frame, faults = cast(pl.DataFrame({"c": pl.Series([value], dtype=source)}), {"c": dtype})
    return frame["c"].to_list()[0], faults["value"].to_list()


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        (" 12 ", pl.Int64(), 12),
        ("-3", pl.Int64(), -3),
        ("2.5", pl.Float64(), 2.5),
        ("True", pl.Boolean(), True),
        ("0", pl.Boolean(), False),
        ("2025-03-01", pl.Date(), date(2025, 3, 1)),
        ("2025-03-01T09:15:00.123456+08:00", INSTANT, datetime(2025, 3, 1, 1, 15, 0, 123456, UTC)),
        ("2025-03-01 01:15:00Z", INSTANT, datetime(2025, 3, 1, 1, 15, tzinfo=UTC)),
        ("2010-12-01 08:26:00", LOCAL, datetime(2010, 12, 1, 8, 26)),  # noqa: DTZ001  # local
        ("2010-12-01", LOCAL, datetime(2010, 12, 1)),  # noqa: DTZ001  # local
        ('["a","b"]', STRINGS, ["a", "b"]),
        ("[]", STRINGS, []),
        ('["2025-03-01"]', DATES, [date(2025, 3, 1)]),
        ("", pl.Int64(), None),
        ("  ", INSTANT, None),
        ("", pl.String(), ""),
        (None, pl.Int64(), None),
    ],
)
def test_text_of_the_type_is_read(text: str | None, dtype: pl.DataType, value: Any) -> None:
    assert one(text, dtype, pl.String()) == (value, [])


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("12.0", pl.Int64()),
        ("1e3", pl.Int64()),
        ("99999999999999999999", pl.Int64()),
        ("inf", pl.Float64()),
        ("nan", pl.Float64()),
        ("1,5", pl.Float64()),
        ("yes", pl.Boolean()),
        ("2025-13-01", pl.Date()),
        ("2025-03-01T09:15:00", INSTANT),  # of which zone?
        ("2025-03-01T09:15:00+08:00", LOCAL),  # not a local time
        ("a", STRINGS),
        ('"a"', STRINGS),
        ('["a"', STRINGS),
        ("[null]", STRINGS),
        ('{"a":1}', STRINGS),
        ('["soon"]', DATES),
    ],
)
def test_text_of_another_type_is_null_and_named(text: str, dtype: pl.DataType) -> None:
    assert one(text, dtype, pl.String()) == (None, [text])


def test_one_bad_list_does_not_spoil_the_others() -> None:
    frame = pl.DataFrame({"c": ['["a"]', "oops", None, '["b","c"]']})
    cast_, faults = cast(frame, {"c": STRINGS})
    assert cast_["c"].to_list() == [["a"], None, None, ["b", "c"]]
    assert faults["_index"].to_list() == [1]


def test_numbers_that_are_not_whole_are_no_integers() -> None:
    assert one(3.0, pl.Int64()) == (3, [])
    assert one(3.5, pl.Int64()) == (None, ["3.5"])
    assert one(float("nan"), pl.Int64()) == (None, [])  # how Parquet files say "nothing"


def test_a_local_time_never_passes_for_an_instant() -> None:
    with pytest.raises(AdapterError, match="local time"):
        one(datetime(2025, 3, 1), INSTANT, LOCAL)  # noqa: DTZ001  # that is the point


EARLY, LATE = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001  # bounds of local times


@given(st.datetimes(EARLY, LATE), st.integers(-14 * 4, 14 * 4))
def test_any_instant_written_with_its_offset_is_that_instant(at: datetime, quarters: int) -> None:
    there = at.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    assert one(there.isoformat(), INSTANT, pl.String()) == (there.astimezone(UTC), [])
