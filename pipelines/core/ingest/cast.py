"""Columns into the types that a file or a contract promises; what cannot be turned is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.core.contracts.base import INSTANT
from pipelines.core.source import AdapterError

#: A row that must not pass: its index, the column to look at, the reason, the offending value.
FAULTS = {
    "_index": pl.UInt32(),
    "column": pl.String(),
    "reason": pl.String(),
    "value": pl.String(),
}
INSTANT_FORMS = [f"%Y-%m-%d{t}%H:%M:%S%.f%{z}" for t in "T " for z in ("z", "#z")]
LOCAL_FORMS = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d"]
TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def cast(
    frame: pl.DataFrame, types: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame with its columns in these types, and a fault for each cell that has no such value.

    A faulty cell is null in the frame. Empty text is null for every type but text.
    """
    columns, faults = [], []
    for name, dtype in types.items():
        before = frame[name]
        after = _convert(before, dtype)
        columns.append(after)
        lost = (after.is_null() & before.is_not_null()).fill_null(False)
        if before.dtype == pl.String and dtype != pl.String:
            lost &= (before.str.strip_chars() != "").fill_null(False)
        if before.dtype.is_float():
            lost &= before.is_not_nan().fill_null(False)
        if lost.any():
            faults.append(found(lost, name, f"unparsable_{name}", before))
    return frame.with_columns(columns), together(faults)


def found(bad: pl.Series, column: str, reason: str, values: pl.Series | None) -> pl.DataFrame:
    """A fault for each row where `bad` is true."""
    index = bad.arg_true()
    value = values.gather(index) if values is not None else pl.Series([None] * len(index))
    return pl.DataFrame(
        {
            "_index": index.cast(pl.UInt32),
            "column": pl.Series([column], dtype=pl.String).new_from_index(0, len(index)),
            "reason": pl.Series([reason], dtype=pl.String).new_from_index(0, len(index)),
            "value": text_of(value).str.slice(0, 200),
        },
        schema=FAULTS,
    )


def together(faults: list[pl.DataFrame]) -> pl.DataFrame:
    """All faults in one frame, in the order given."""
    return pl.concat(faults) if faults else pl.DataFrame(schema=FAULTS)


def text_of(values: pl.Series) -> pl.Series:
    """The values as text that a reader of the quarantine can recognise."""
    if values.dtype.is_nested():
        return pl.Series(values.name, [str(v) for v in values.to_list()], dtype=pl.String)
    return values.cast(pl.String)


def _convert(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.dtype == dtype:
        return values
    if values.dtype == pl.String:
        return _parse(values, dtype)
    if isinstance(values.dtype, pl.Datetime) and dtype == INSTANT and not values.dtype.time_zone:
        message = f"the mapping gives {values.name} as a local time"
        raise AdapterError(message, "say its zone with `instant(column, tz)`")
    if values.dtype.is_float() and dtype.is_integer():
        values = values.set(values != values.round(), None)
    return values.cast(dtype, strict=False)


def _parse(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    name, text = text.name, text.str.strip_chars()
    if dtype == pl.Boolean:
        lower = text.str.to_lowercase()
        return lower.replace_strict(TRUTHS, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Float64:
        numbers = text.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite(), None)
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(dtype, pl.Datetime):
        return _instants(text, dtype)
    if isinstance(dtype, pl.List):
        lists = _json_lists(text)
        inner = lists.to_frame().select(pl.col(name).list.eval(_element(dtype)))[name]
        return inner.set(inner.list.eval(pl.element().is_null()).list.any(), None)
    return text.cast(dtype, strict=False)


def _instants(text: pl.Series, dtype: pl.Datetime) -> pl.Series:
    """Times as ISO 8601 has them; an instant needs its offset, a local time must not have one."""
    instants = pl.Series(text.name, [None] * len(text), dtype=dtype)
    for form in INSTANT_FORMS if dtype.time_zone else LOCAL_FORMS:
        open_ = instants.is_null() & text.is_not_null()
        if not open_.any():  # one form a column is the rule, so most forms are never tried
            break
        rest = text if open_.all() else text.set(~open_, None)
        found = rest.str.to_datetime(
            form, time_unit="us", time_zone=dtype.time_zone, strict=False, ambiguous="earliest"
        )
        instants = instants.fill_null(found)
    return instants


def _element(dtype: pl.List) -> pl.Expr:
    if dtype.inner == pl.Date:
        return pl.element().str.to_date("%Y-%m-%d", strict=False)
    return pl.element()


def _json_lists(text: pl.Series) -> pl.Series:
    """JSON lists of text; null where the text is something else."""
    text = text.set((~text.str.starts_with("[")).fill_null(False), None)
    try:
        return text.str.json_decode(pl.List(pl.String))
    except pl.exceptions.ComputeError:  # one bad cell fails the whole column
        return pl.Series(text.name, [_json_list(t) for t in text], dtype=pl.List(pl.String))


def _json_list(text: str | None) -> list[Any] | None:
    try:
        value = json.loads(text or "null")
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    return [None if item is None or isinstance(item, dict | list) else str(item) for item in value]
