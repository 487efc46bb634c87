"""Arrow columns to the bytes of Feast: entity keys and `feast.types.Value`s, a column at a time.

No Python runs per row. A column becomes one Arrow binary array whose data buffer is written with
numpy, and pieces are glued by Arrow's `binary_join_element_wise`. The bytes equal Feast's own, but
where Feast is wrong: a null instant is an empty message as every other null is (Feast writes the
int64 minimum), whole numbers above 2^53 survive beside a null, and instants in a list are cut to
the second below, as outside a list (Feast rounds through a float).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.catalog import EVENT_AT, KNOWN_AT, FeatureView
from pipelines.core.errors import HuitouError
from pipelines.online.layout import INT64, STRING, key_prefix

MICROS = 1_000_000
INSTANT = pa.timestamp("us", "UTC")
EMPTY = pa.scalar(b"", pa.binary())


class EncodeError(HuitouError):
    """A batch does not hold what its feature view promises."""


@dataclass(frozen=True)
class Encoded:
    """A batch of a view as the stores take it; all arrays are as long as `rows` and in its order.

    `values` are in the order of the view's features; a null feature is an empty message.
    """

    rows: pa.RecordBatch
    keys: pa.BinaryArray
    values: tuple[pa.BinaryArray, ...]
    event_us: pa.Int64Array
    known_us: pa.Int64Array


def encode(view: FeatureView, rows: pa.RecordBatch) -> Encoded:
    """The batch with every key and feature serialized.

    Raises:
        EncodeError: a column is missing or of another type, a key or an event time is null, or
            an element of a list is.
    """
    values = tuple(_feature(view, f.name, f.feast_type, rows) for f in view.features)
    return Encoded(
        rows=rows,
        keys=encode_keys(view, rows),
        values=values,
        event_us=micros(view, rows, EVENT_AT),
        known_us=micros(view, rows, KNOWN_AT),
    )


def encode_keys(view: FeatureView, rows: pa.RecordBatch) -> pa.BinaryArray:
    """The serialized entity key (version 3) of each row.

    Raises:
        EncodeError: a join key is missing, null, or neither text nor whole number.
    """
    pieces: list[pa.Array | pa.Scalar] = []
    head = key_prefix(view.join_keys)
    for name in sorted(view.join_keys):
        column = _column(view, rows, name)
        if column.null_count:
            raise _broken(view, name, "has nulls", "a row without its join key cannot be served")
        if pa.types.is_integer(column.type):
            pieces.append(literal(head + struct.pack("<II", INT64, 8)))
            pieces.append(_fixed(column.cast(pa.int64()).to_numpy()))
        else:
            text = _cast(view, name, column, pa.string()).cast(pa.binary())
            pieces.append(literal(head + struct.pack("<I", STRING)))
            pieces.append(_fixed(pc.binary_length(text).to_numpy()))
            pieces.append(text)
        head = b""
    return join(*pieces)


def micros(view: FeatureView, rows: pa.RecordBatch, name: str) -> pa.Int64Array:
    """A timestamp column as microseconds since 1970.

    Raises:
        EncodeError: it is missing, not a timestamp, or has nulls.
    """
    column = _cast(view, name, _column(view, rows, name), INSTANT)
    if column.null_count:
        raise _broken(view, name, "has nulls", "every row of the log carries both clocks")
    return column.cast(pa.int64())


def timestamps(event_us: pa.Int64Array) -> pa.BinaryArray:
    """Each instant as a serialized protobuf `Timestamp`, without the parts that are zero."""
    seconds, rest = np.divmod(event_us.to_numpy(), MICROS)
    parts = []
    for tag, numbers in ((b"\x08", seconds), (b"\x10", rest * 1000)):
        if not numbers.any():
            continue
        part = join(literal(tag), varints(numbers))
        parts.append(pc.if_else(pa.array(numbers != 0), part, EMPTY))
    return join(*parts) if parts else pa.array([b""] * len(seconds), pa.binary())


def varints(numbers: npt.NDArray[np.integer]) -> pa.BinaryArray:
    """Each whole number as a protobuf varint; negative ones take ten bytes."""
    rest = numbers.astype(np.int64, copy=False).view(np.uint64)
    widths = np.ones(len(rest), np.int32)
    for bits in range(7, 64, 7):
        wider = rest >= np.uint64(1 << bits)
        if not wider.any():
            break
        widths += wider
    offsets = _offsets(widths)
    data = np.empty(offsets[-1], np.uint8)
    at = offsets[:-1]
    while len(rest):
        more = rest > np.uint64(0x7F)
        data[at] = (rest & np.uint64(0x7F)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        rest, at = rest[more] >> np.uint64(7), at[more] + 1
    return _binary(offsets, data)


def join(*pieces: pa.Array | pa.Scalar) -> pa.BinaryArray:
    """The pieces of each row glued together; null where a piece is null."""
    return pc.binary_join_element_wise(*pieces, EMPTY)


def literal(piece: bytes) -> pa.Scalar:
    """The same piece in every row."""
    return pa.scalar(piece, pa.binary())


def _feature(view: FeatureView, name: str, feast_type: str, rows: pa.RecordBatch) -> pa.BinaryArray:
    arrow_type, encoder = _ENCODERS[feast_type]
    column = _cast(view, name, _column(view, rows, name), arrow_type)
    if pa.types.is_list(arrow_type) and column.flatten().null_count:
        raise _broken(view, name, "has null elements", "leave them out of the list in the model")
    return encoder(column)


def _string(column: pa.Array) -> pa.BinaryArray:
    text = column.cast(pa.binary())
    sizes = pc.fill_null(pc.binary_length(text), 0).to_numpy()
    return pc.fill_null(join(literal(b"\x12"), varints(sizes), text), b"")


def _int64(column: pa.Array) -> pa.BinaryArray:
    return _or_empty(column, join(literal(b"\x20"), varints(_filled(column))))


def _instant(column: pa.Array) -> pa.BinaryArray:
    return _or_empty(column, join(literal(b"\x40"), varints(_seconds(column))))


def _float64(column: pa.Array) -> pa.BinaryArray:
    """NaN is null, as Feast has it."""
    known = pc.if_else(
        pc.fill_null(pc.is_nan(column), False), pa.scalar(None, pa.float64()), column
    )
    return _or_empty(known, join(literal(b"\x29"), _fixed(_filled(known))))


def _bool(column: pa.Array) -> pa.BinaryArray:
    both = pa.array([b"\x38\x00", b"\x38\x01"], pa.binary())
    return pc.fill_null(both.take(column.cast(pa.int8())), b"")


def _strings(column: pa.Array) -> pa.BinaryArray:
    text = column.flatten().cast(pa.binary())
    elements = join(literal(b"\x0a"), varints(pc.binary_length(text).to_numpy()), text)
    return _list(column, b"\x62", _grouped(column, elements))


def _int64s(column: pa.Array) -> pa.BinaryArray:
    return _list(column, b"\x72", _packed(_grouped(column, varints(_filled(column.flatten())))))


def _instants(column: pa.Array) -> pa.BinaryArray:
    elements = varints(_seconds(column.flatten()))
    return _list(column, b"\x92\x01", _packed(_grouped(column, elements)))


def _float64s(column: pa.Array) -> pa.BinaryArray:
    elements = _fixed(_filled(column.flatten()))
    return _list(column, b"\x7a", _packed(_grouped(column, elements)))


def _list(column: pa.Array, tag: bytes, message: pa.BinaryArray) -> pa.BinaryArray:
    return _or_empty(column, join(literal(tag), _sizes(message), message))


def _packed(body: pa.BinaryArray) -> pa.BinaryArray:
    """The list message of packed numbers; an empty list has no field at all."""
    message = join(literal(b"\x0a"), _sizes(body), body)
    return pc.if_else(pc.greater(pc.binary_length(body), 0), message, EMPTY)


def _grouped(column: pa.Array, elements: pa.BinaryArray) -> pa.BinaryArray:
    """The elements of each list as one piece: they lie side by side, only the offsets change."""
    starts = _offsets(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
    _, offsets, data = elements.buffers()
    ends = np.frombuffer(offsets, np.int32)[elements.offset :]
    return _binary(ends[starts], data)


def _sizes(pieces: pa.BinaryArray) -> pa.BinaryArray:
    return varints(pc.binary_length(pieces).to_numpy())


def _seconds(column: pa.Array) -> npt.NDArray[np.integer]:
    return _filled(column.cast(pa.int64())) // MICROS


def _filled(column: pa.Array) -> npt.NDArray[np.integer]:
    numbers: npt.NDArray[np.integer] = pc.fill_null(column, 0).to_numpy()
    return numbers


def _or_empty(column: pa.Array, encoded: pa.BinaryArray) -> pa.BinaryArray:
    return pc.if_else(column.is_valid(), encoded, EMPTY) if column.null_count else encoded


def _fixed(numbers: npt.NDArray[np.generic]) -> pa.BinaryArray:
    """Each number as its own little-endian bytes."""
    little = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<"))
    offsets = np.arange(len(little) + 1, dtype=np.int32) * little.dtype.itemsize
    return _binary(offsets, little.view(np.uint8))


def _offsets(sizes: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _binary(
    offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8] | pa.Buffer
) -> pa.BinaryArray:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _column(view: FeatureView, rows: pa.RecordBatch, name: str) -> pa.Array:
    if name not in rows.schema.names:
        raise _broken(view, name, "is missing", "rebuild the view's model and log")
    return rows.column(name)


def _cast(view: FeatureView, name: str, column: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return column.cast(to) if column.type != to else column
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        words = f"is {column.type}, not {to}: {error}"
        raise _broken(view, name, words, "give the model the type its YAML declares") from error


def _broken(view: FeatureView, name: str, what: str, remedy: str) -> EncodeError:
    return EncodeError(f"{view.name}.{name} {what}", remedy)


_ENCODERS: dict[str, tuple[pa.DataType, Callable[[pa.Array], pa.BinaryArray]]] = {
    "String": (pa.string(), _string),
    "Int64": (pa.int64(), _int64),
    "Float64": (pa.float64(), _float64),
    "Bool": (pa.bool_(), _bool),
    "UnixTimestamp": (INSTANT, _instant),
    "Array(String)": (pa.list_(pa.string()), _strings),
    "Array(UnixTimestamp)": (pa.list_(INSTANT), _instants),
    "Array(Float64)": (pa.list_(pa.float64()), _float64s),
    "Array(Int64)": (pa.list_(pa.int64()), _int64s),
}
