"""Numbers to text: the byte fields against Python's own formatting."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.shop.config import ShopConfig
from pipelines.core.shop.members import joiners
from pipelines.core.shop.season import LUNAR_NEW_YEAR, Season, lunar_new_year
from pipelines.core.shop.streams import Lottery, NamedLottery, Streams
from pipelines.core.shop.tables import (
    BAD_NUMBER,
    BAD_STAMP,
    BLOCK,
    LAND,
    MARK,
    NULL,
    NULL_NUMBER,
    Column,
    Flag,
    Key,
    Number,
    Plain,
    Stamp,
    Table,
    WordLists,
    Words,
    gather,
    objects,
    part,
    rows,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SHANGHAI = timezone(timedelta(hours=8))


def written(column: Column, values: list[object]) -> list[str]:
    """The cells of a file that has this column, and a second one that shows where cells end."""
    array = objects(values) if isinstance(column, Plain) else np.array(values)
    table = Table("t", {"a": column, "b": Words(("end",))})
    text = table.csv({"a": array, "b": np.zeros(len(values), int)}, 0, len(values)).decode()
    cells = list(csv.reader(io.StringIO(text)))
    assert cells[0] == ["a", "b"]
    assert {row[1] for row in cells[1:]} <= {"end"}
    return [row[0] for row in cells[1:]]


@settings(deadline=None)
@given(st.lists(st.integers(-(10**12) + 1, 10**12 - 1), min_size=1))
def test_numbers_are_written_as_python_writes_them(values: list[int]) -> None:
    assert written(Number(pa.int64()), values) == [str(value) for value in values]


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**8 - 1), min_size=1))
def test_keys_are_padded(values: list[int]) -> None:
    assert written(Key("M", 8), values) == [f"M{value:08d}" for value in values]
    assert Key("M", 8).typed(np.array(values)).to_pylist() == [f"M{v:08d}" for v in values]


@settings(deadline=None)
@given(st.lists(st.datetimes(datetime(2001, 1, 1), datetime(2199, 12, 30)), min_size=1))  # noqa: DTZ001  # local
def test_instants_are_written_as_python_writes_them(values: list[datetime]) -> None:
    local = [value.replace(microsecond=value.microsecond // 1000 * 1000) for value in values]
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  # local
    numbers = [(value - epoch) // timedelta(milliseconds=1) for value in local]
    aware = [value.replace(tzinfo=SHANGHAI) for value in local]
    assert written(Stamp(), numbers) == [at.isoformat(timespec="microseconds") for at in aware]
    assert Stamp().typed(np.array(numbers)).to_pylist() == [at.astimezone(UTC) for at in aware]


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1))
def test_words_survive_the_csv(words: list[str]) -> None:
    """Whatever a word holds, a CSV reader gives it back; line ends as they stand."""
    table = Table("t", {"a": Words(tuple(words)), "b": Words(("end",))})
    numbers = np.arange(len(words))
    text = table.csv({"a": numbers, "b": numbers * 0}, 0, len(words)).decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [[word, "end"] for word in words]


@pytest.mark.parametrize(
    ("column", "values", "cells"),
    [
        (Number(pa.int64()), [7, NULL_NUMBER, 0], ["7", "", "0"]),
        (Number(pa.int64()), [BAD_NUMBER, 10_000], ["12.5x", "10000"]),
        (Key("O", 4), [NULL, 12], ["", "O0012"]),
        (Stamp(), [NULL], [""]),
        (Stamp(), [BAD_STAMP], ["2025-02-30T25:61:00+08:00"]),
        (Words(("a", "b"), "odd"), [1, NULL, 2, 0], ["b", "", "odd", "a"]),
        (WordLists((("x",), ("x", "y"), ())), [1, 2, NULL], ['["x","y"]', "[]", ""]),
        (Flag(), [True, False], ["true", "false"]),
        (Plain(pa.string()), ["a,b", None, 3], ["a,b", "", "3"]),
    ],
    ids=str,
)
def test_what_is_absent_or_odd(column: Column, values: list[object], cells: list[str]) -> None:
    assert written(column, values) == cells


def test_long_tables_are_written_in_blocks_without_a_seam() -> None:
    """A value written in one block must not shine through in the next, shorter one."""
    values = [10**11] * BLOCK + [5] * 3
    assert written(Number(pa.int64()), values) == [str(value) for value in values]


def test_typed_columns_keep_null_and_empty_apart() -> None:
    lists = WordLists(((), ("x",)))
    assert lists.typed(np.array([0, 1, NULL])).to_pylist() == [[], ["x"], None]
    assert Number(pa.float64()).typed(np.array([NULL_NUMBER, 4])).to_pylist() == [None, 4.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 99), min_size=1), min_size=1, max_size=4), st.data())
def test_gathering_parts_is_picking_from_all_of_them(
    lists: list[list[int]], data: st.DataObject
) -> None:
    parts, flat = [], []
    for number, values in enumerate(lists):
        base = rows(len(values), np.zeros(len(values), np.int32), a=np.array(values))
        own = {"a": np.array(values) + 1000} if number % 2 else {}
        parts.append(part(base, **own))
        flat += [value + 1000 if number % 2 else value for value in values]
    chosen = data.draw(st.lists(st.integers(0, len(flat) - 1)))
    found = gather(parts, np.array(chosen, int))
    assert found["a"].tolist() == [flat[i] for i in chosen]
    assert set(found) == {"a", LAND, MARK, "is_deleted"}


@settings(deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1), st.integers(400, 900))
def test_a_shop_grows_to_what_was_asked_for(members: int, opening: float, days: int) -> None:
    joined = joiners(Season(ShopConfig().first), members, opening, days)
    assert joined[399] == members
    assert (np.diff(joined) >= 0).all()
    assert joined[0] >= 0


def test_streams_of_another_name_or_place_are_others() -> None:
    streams = Streams(1)
    first = streams("a", 0).random(4).tolist()
    assert streams("a", 0).random(4).tolist() == first
    for other in (streams("a", 1), streams("b", 0), Streams(2)("a", 0), streams("a")):
        assert other.random(4).tolist() != first


def test_lotteries_keep_to_their_weights() -> None:
    drawn = Lottery(1, 0, 3).draw(Streams(1)("x"), 4000)
    assert set(drawn.tolist()) == {0, 2}
    assert (drawn == 2).mean() == pytest.approx(0.75, abs=0.03)
    named = NamedLottery(("a", "b", "c"), {"c": 1}).draw(Streams(1)("x"), 3)
    assert named.tolist() == [2, 2, 2]


def test_lunar_new_years_are_those_of_the_calendar() -> None:
    """All lie between 21 January and 21 February, and full years are 353 to 385 days apart."""
    days = [lunar_new_year(2010 + i) for i in range(len(LUNAR_NEW_YEAR))]
    assert all((1, 21) <= (day.month, day.day) <= (2, 21) for day in days)
    gaps = {(after - before).days for before, after in pairwise(days)}
    assert gaps <= {353, 354, 355, 383, 384, 385}
    assert str(lunar_new_year(2025)) == "2025-01-29"
