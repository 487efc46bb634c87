"""The decoder undoes the encoder, and never answers from bytes that are no whole value."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.online.decoder import NULL_INSTANT, decode, instant
from pipelines.online.encoder import encode, timestamps
from pipelines.online.layout import entity_key, split_key
from tests.online_sample import ARROW, INSTANT, view

INT64 = st.integers(-(2**63), 2**63 - 1)
#: Seconds; Arrow's microseconds end far earlier than int64 seconds do.
SECONDS = st.integers(-(10**11), 10**11)
FLOAT = st.floats(allow_nan=False)
VALUES = {
    "varchar": st.text(),
    "bigint": INT64,
    "double": FLOAT,
    "boolean": st.booleans(),
    "timestamptz": SECONDS,
    "varchar[]": st.lists(st.text()),
    "bigint[]": st.lists(INT64),
    "double[]": st.lists(FLOAT),
    "timestamptz[]": st.lists(SECONDS),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_what_was_encoded_is_decoded(kind: str, data: st.DataObject) -> None:
    values: list[Any] = data.draw(st.lists(st.none() | VALUES[kind], max_size=20))
    column = pa.array(values, pa.list_(pa.int64()) if kind == "timestamptz[]" else None)
    if kind.startswith("timestamptz"):
        column = in_microseconds(column, kind)
    rows = pa.record_batch(
        {
            "member_id": pa.array([""] * len(values), pa.string()),
            "f": column.cast(ARROW[kind]),
            "event_timestamp": pa.array([0] * len(values), INSTANT),
            "created_timestamp": pa.array([0] * len(values), INSTANT),
        }
    )
    encoded = encode(view("v", {"f": kind}), rows).values[0].to_pylist()
    assert [decode(raw) for raw in encoded] == values


def in_microseconds(seconds: pa.Array, kind: str) -> pa.Array:
    flat = pa.timestamp("s", "UTC")
    return seconds.cast(flat if kind == "timestamptz" else pa.list_(flat))


@given(st.binary())
def test_any_bytes_are_a_value_or_a_value_error(raw: bytes) -> None:
    with suppress(ValueError):
        decode(raw)


@pytest.mark.parametrize("raw", ["12", "1205616263", "29000000", "62050a0161", "18", "ff"])
def test_a_cut_or_foreign_value_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="Value"):
        decode(bytes.fromhex(raw))


def test_the_null_instant_of_feasts_own_writer_is_null() -> None:
    assert NULL_INSTANT == -(2**63)
    assert decode(bytes.fromhex("4080808080808080808001")) is None


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))  # noqa: DTZ001  # UTC below
def test_an_event_time_comes_back_to_the_microsecond(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    raw = timestamps(pa.array([at], INSTANT).cast(pa.int64())).to_pylist()[0]
    assert instant(raw) == at


@given(st.dictionaries(st.text(min_size=1), st.text() | INT64, min_size=1), st.binary())
def test_a_stored_key_splits_into_names_values_and_project(
    entity: dict[str, str | int], project: bytes
) -> None:
    key = entity_key(list(entity), list(entity.values()))
    names = sorted(entity)
    assert split_key(key + project) == (names, [entity[name] for name in names], project)


@pytest.mark.parametrize("stored", [b"", b"huitou:watermark:x", b"\x01\0\0\0\x02\0\0\0\xff\0\0\0m"])
def test_other_keys_of_a_shared_redis_are_no_entity_keys(stored: bytes) -> None:
    with pytest.raises(ValueError, match="not an entity key"):
        split_key(stored)
