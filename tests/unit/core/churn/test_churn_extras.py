from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipelines.core.churn import extras as extras_module
from pipelines.core.churn.extras import Encoder, Extras, seen_at
from pipelines.core.churn.history import day_number

TZ = "Asia/Shanghai"
#: The last instant of 31 January in Shanghai.
FIRST = datetime(2025, 1, 31, 15, 59, 59, 999_999, tzinfo=UTC)
SECOND = FIRST + timedelta(days=30)
INSTANT = pa.timestamp("us", tz="UTC")
CUTOFF = day_number(date(2025, 1, 31))


@pytest.fixture(autouse=True)
def _few_values_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras_module, "LEAST_KNOWN", 1)


def table() -> pa.Table:
    return pa.table(
        {
            "member_id": ["a", "b", "a"],
            "event_timestamp": pa.array([FIRST, FIRST, SECOND], INSTANT),
            "order_share": [0.5, None, 0.9],
            "last_order_at": pa.array([FIRST - timedelta(days=3), None, SECOND], INSTANT),
            "channel": ["web", "store", "web"],
            "tags": [["x", "y", "risk.churn_low"], [], None],
            "consent": [True, False, None],
            "empty": pa.nulls(3, pa.float64()),
        }
    )


def test_columns_become_numbers_and_members_without_a_row_unknown() -> None:
    extras = Extras(table(), TZ)
    found = Encoder.learn(extras).encode(extras.at(CUTOFF), pa.array(["b", "a", "c"]))
    expected = {
        "log_order_share": [np.nan, 0.5, np.nan],
        "log_last_order_at": [np.nan, 3.0, np.nan],
        "log_channel": [1, 0, np.nan],  # web is the more frequent word
        "log_tags": [0, 3, np.nan],
        "log_tags.x": [0, 1, np.nan],
        "log_tags.y": [0, 1, np.nan],  # and nothing of risk.churn_low, the model's own word
        "log_consent": [0, 1, np.nan],
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_columns_and_words_too_rarely_known_are_not_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras_module, "LEAST_KNOWN", 3)
    assert Encoder.learn(Extras(table(), TZ)).names == ("log_channel",)


def test_a_cutoff_is_seen_just_before_its_own_run() -> None:
    assert seen_at(CUTOFF, TZ) == FIRST


def test_a_cutoff_has_its_own_rows_and_no_later_ones() -> None:
    extras = Extras(table(), TZ)
    assert extras.at(CUTOFF)["order_share"].to_pylist() == [0.5, None]
    assert extras.until(CUTOFF).table.num_rows == 2
    assert extras.at(CUTOFF + 1).num_rows == 0


def test_columns_that_the_log_does_not_have_yet_are_unknown() -> None:
    encoder = Encoder.learn(Extras(table(), TZ))
    bare = table().select(["member_id", "event_timestamp"])
    assert np.isnan(encoder.encode(bare, pa.array(["a"]))["log_order_share"]).all()
    assert np.isnan(encoder.encode(None, pa.array(["a"]))["log_channel"]).all()


def test_an_encoder_is_read_back_as_it_was() -> None:
    encoder = Encoder.learn(Extras(table(), TZ))
    assert Encoder.from_json(encoder.to_json()) == encoder
    assert Encoder.learn(None).encode(table(), pa.array(["a"])) == {}
