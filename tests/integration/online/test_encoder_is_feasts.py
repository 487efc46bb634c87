"""The encoder's bytes are Feast's own, type by type, for whatever values hypothesis thinks of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import from_value_type
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.catalog import FEAST_TYPES
from pipelines.online.encoder import encode, timestamps
from pipelines.online.layout import redis_field
from tests.online_sample import ARROW, INSTANT, view

pytestmark = pytest.mark.integration

INT64 = st.integers(-(2**63), 2**63 - 1)
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1)).map(  # noqa: DTZ001  # UTC next
    lambda naive: naive.replace(tzinfo=UTC)
)
BEFORE_1970 = st.datetimes(datetime(1000, 1, 1), datetime(1970, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "varchar": st.none() | st.text(),
    "bigint": INT64,
    "double": st.none() | st.floats(),
    "boolean": st.none() | st.booleans(),
    "timestamptz": INSTANTS | BEFORE_1970,
    "varchar[]": st.none() | st.lists(st.text()),
    # in a list Feast goes through a float, which rounds up from the year 2242 on
    "timestamptz[]": st.none() | st.lists(INSTANTS.filter(lambda at: at.year < 2242)),
    "double[]": st.none() | st.lists(st.floats()),
    "bigint[]": st.none() | st.lists(INT64),
}
TYPES = {
    "varchar": ValueType.STRING,
    "bigint": ValueType.INT64,
    "double": ValueType.DOUBLE,
    "boolean": ValueType.BOOL,
    "timestamptz": ValueType.UNIX_TIMESTAMP,
    "varchar[]": ValueType.STRING_LIST,
    "timestamptz[]": ValueType.UNIX_TIMESTAMP_LIST,
    "double[]": ValueType.DOUBLE_LIST,
    "bigint[]": ValueType.INT64_LIST,
}


def ours(kind: str, values: list[Any]) -> list[bytes]:
    size = len(values)
    rows = pa.record_batch(
        {
            "member_id": pa.array([""] * size, pa.string()),
            "f": pa.array(values, ARROW[kind]),
            "event_timestamp": pa.array([0] * size, INSTANT),
            "created_timestamp": pa.array([0] * size, INSTANT),
        }
    )
    return encode(view("v", {"f": kind}), rows).values[0].to_pylist()


def feasts(kind: str, values: list[Any]) -> list[bytes]:
    """What `feast materialize` would write of the same Arrow column."""
    column = pa.array(values, ARROW[kind]).to_numpy(zero_copy_only=False)
    return [v.SerializeToString() for v in python_values_to_proto_values(column, TYPES[kind])]


def test_the_types_compared_are_those_of_the_catalogue() -> None:
    assert {kind: str(from_value_type(TYPES[kind])) for kind in VALUES} == FEAST_TYPES


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_values_serialize_as_feast_serializes_them(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[kind], min_size=1, max_size=20))
    assert ours(kind, values) == feasts(kind, values)


def test_a_null_instant_is_the_empty_message_of_every_other_null() -> None:
    """Feast writes the int64 minimum instead, and reads both back as null."""
    assert ours("timestamptz", [None]) == [Value().SerializeToString()]
    assert feasts("timestamptz", [None]) != [b""]


def test_the_end_of_time_stays_before_its_end() -> None:
    """An open tag ends then; Feast's float makes it a second that no datetime can hold."""
    end = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    whole = Value(unix_timestamp_list_val={"val": [253_402_300_799]}).SerializeToString()
    assert ours("timestamptz[]", [[end]]) == [whole]
    assert feasts("timestamptz[]", [[end]]) != [whole]


@given(st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=1))
def test_whole_numbers_with_nulls_are_feasts_where_feast_is_exact(values: list[int | None]) -> None:
    assert ours("bigint", values) == feasts("bigint", values)


def test_large_numbers_beside_a_null_stay_exact() -> None:
    """Feast sends the column through float64 and loses the last digit."""
    assert ours("bigint", [2**53 + 1, None])[0] == Value(int64_val=2**53 + 1).SerializeToString()
    assert feasts("bigint", [2**53 + 1, None])[0] != ours("bigint", [2**53 + 1, None])[0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), INT64), min_size=1, max_size=10))
def test_entity_keys_are_feasts(pairs: list[tuple[str, int]]) -> None:
    size = len(pairs)
    rows = pa.record_batch(
        {
            "member_id": pa.array([text for text, _ in pairs], pa.string()),
            "area": pa.array([number for _, number in pairs], pa.int64()),
            "f": pa.array([1] * size, pa.int64()),
            "event_timestamp": pa.array([0] * size, INSTANT),
            "created_timestamp": pa.array([0] * size, INSTANT),
        }
    )
    keys = ("member_id", "area")
    encoded = encode(view("v", {"f": "bigint"}, keys=keys), rows)
    assert encoded.keys.to_pylist() == [
        serialize_entity_key(
            EntityKey(
                join_keys=keys, entity_values=[Value(string_val=text), Value(int64_val=number)]
            ),
            entity_key_serialization_version=3,
        )
        for text, number in pairs
    ]


@given(st.lists(INSTANTS | BEFORE_1970, min_size=1))
def test_event_times_are_protobuf_timestamps(instants: list[datetime]) -> None:
    expected = []
    for at in instants:
        stamp = Timestamp()
        stamp.FromDatetime(at)
        expected.append(stamp.SerializeToString())
    assert timestamps(pa.array(instants, INSTANT).cast(pa.int64())).to_pylist() == expected


@given(st.text(), st.text())
def test_redis_fields_are_feasts(name: str, feature: str) -> None:
    assert redis_field(name, feature) == _mmh3(f"{name}:{feature}")
