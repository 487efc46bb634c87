"""Bytes worked out by hand from the protobuf wire format; equality with Feast is tested apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.online.encoder import EncodeError, encode, timestamps, varints
from tests.online_sample import ARROW, INSTANT, view

AT = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
CASES: dict[str, dict[Any, str]] = {
    "varchar": {None: "", "": "1200", "a": "120161", "é": "1202c3a9"},
    "bigint": {None: "", 0: "2000", 300: "20ac02", -1: "20ffffffffffffffffff01"},
    "double": {None: "", 0.0: "290000000000000000", 1.5: "29000000000000f83f"},
    "boolean": {None: "", False: "3800", True: "3801"},
    "timestamptz": {
        None: "",
        datetime(2024, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC): "408081c8ac06",
        datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC): "40ffffffffffffffffff01",
    },
    "varchar[]": {None: "", (): "6200", ("",): "62020a00", ("a", ""): "62050a01610a00"},
    "bigint[]": {None: "", (): "7200", (1, 300): "72050a0301ac02"},
    "double[]": {None: "", (): "7a00", (1.5,): "7a0a0a08000000000000f83f"},
    "timestamptz[]": {None: "", (): "920100", (AT, AT): "9201040a020101"},
}


def batch(kind: str, values: list[Any], keys: list[str | None] | None = None) -> pa.RecordBatch:
    size = len(values)
    return pa.record_batch(
        {
            "member_id": pa.array(keys or [f"m{n}" for n in range(size)], pa.string()),
            "f": pa.array(values, ARROW[kind]),
            "event_timestamp": pa.array([AT] * size, INSTANT),
            "created_timestamp": pa.array([AT] * size, INSTANT),
        }
    )


@pytest.mark.parametrize("kind", CASES)
def test_each_value_is_its_protobuf_message(kind: str) -> None:
    encoded = encode(view("v", {"f": kind}), batch(kind, list(CASES[kind])))
    assert [raw.hex() for raw in encoded.values[0].to_pylist()] == list(CASES[kind].values())


@pytest.mark.parametrize("kind", CASES)
def test_a_slice_encodes_as_its_own_rows(kind: str) -> None:
    """Arrow slices share buffers; offsets that were forgotten would give the neighbours' bytes."""
    values = list(CASES[kind]) * 3
    whole = encode(view("v", {"f": kind}), batch(kind, values))
    part = encode(view("v", {"f": kind}), batch(kind, values).slice(2, 5))
    assert part.values[0].to_pylist() == whole.values[0].to_pylist()[2:7]
    assert part.keys.to_pylist() == whole.keys.to_pylist()[2:7]


def test_an_entity_key_is_count_names_and_values_with_type_and_length() -> None:
    encoded = encode(view("v", {"f": "bigint"}), batch("bigint", [1, 2], ["m1", ""]))
    head = b"\x01\0\0\0" + b"\x02\0\0\0\x09\0\0\0member_id"
    assert encoded.keys.to_pylist() == [
        head + b"\x02\0\0\0\x02\0\0\0m1",
        head + b"\x02\0\0\0\0\0\0\0",
    ]


def test_two_join_keys_are_serialized_in_the_order_of_their_names() -> None:
    rows = batch("bigint", [7], ["m1"]).append_column("area", pa.array([-2], pa.int32()))
    encoded = encode(view("v", {"f": "bigint"}, keys=("member_id", "area")), rows)
    (key,) = encoded.keys.to_pylist()
    names = b"\x02\0\0\0\x04\0\0\0area" + b"\x02\0\0\0\x09\0\0\0member_id"
    area = b"\x04\0\0\0\x08\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff"
    assert key == b"\x02\0\0\0" + names + area + b"\x02\0\0\0\x02\0\0\0m1"


def test_nan_is_null_and_minus_zero_is_not_zero() -> None:
    encoded = encode(view("v", {"f": "double"}), batch("double", [float("nan"), -0.0]))
    assert encoded.values[0].to_pylist() == [b"", b"\x29" + b"\0" * 7 + b"\x80"]


def test_no_rows_encode_to_no_bytes() -> None:
    for kind in CASES:
        encoded = encode(view("v", {"f": kind}), batch(kind, []))
        assert len(encoded.keys) == len(encoded.values[0]) == 0


def test_varints_of_every_width() -> None:
    numbers = [0, 127, 128, 16_383, 16_384, 2**62, 2**63 - 1, -1]
    widths = [1, 1, 2, 2, 3, 9, 9, 10]
    assert [len(v) for v in varints(np.array(numbers)).to_pylist()] == widths
    assert varints(np.array([300, 1])).to_pylist() == [b"\xac\x02", b"\x01"]


def test_event_times_leave_out_what_is_zero() -> None:
    micros = [0, 1_000_000, 1, 1_000_001, -1]
    assert [raw.hex() for raw in timestamps(pa.array(micros, pa.int64())).to_pylist()] == [
        "",
        "0801",
        "10e807",
        "080110e807",
        "08ffffffffffffffffff01" + "10988cebdc03",  # one second before 1970, 999 999 000 ns on
    ]


@pytest.mark.parametrize(
    ("kind", "values", "keys", "words"),
    [
        ("varchar[]", [["a", None]], None, "v.f has null elements"),
        ("bigint[]", [[None]], None, "v.f has null elements"),
        ("bigint", [1], [None], "v.member_id has nulls"),
    ],
    ids=["null in a list of text", "null in a list of numbers", "null key"],
)
def test_rows_that_cannot_be_told_right_are_refused(
    kind: str, values: list[Any], keys: list[str | None] | None, words: str
) -> None:
    with pytest.raises(EncodeError, match=words):
        encode(view("v", {"f": kind}), batch(kind, values, keys))


def test_a_missing_column_and_a_wrong_type_are_named() -> None:
    rows = batch("varchar", ["not a number"])
    with pytest.raises(EncodeError, match=r"v\.g is missing"):
        encode(view("v", {"g": "varchar"}), rows)
    with pytest.raises(EncodeError, match=r"v\.f is string, not int64"):
        encode(view("v", {"f": "bigint"}), rows)
