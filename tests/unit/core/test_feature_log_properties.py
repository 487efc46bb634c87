"""The feature log against a brute-force one, over random histories of snapshots."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.core.catalog import Feature, FeatureView
from pipelines.core.feature_log import Appended, FeatureLog, Watermark

START = datetime(2025, 3, 1, tzinfo=UTC)
MEMBERS, DAYS = "abcd", 3
VIEW = FeatureView(
    name="member_survey_v1",
    description="One row a member.",
    entity="member",
    join_keys=("member_id",),
    features=(
        Feature("answers", "bigint", "A count."),
        Feature("skin", "varchar", "A word."),
        Feature("pains", "varchar[]", "Words."),
    ),
    max_age_s=1,
    slo_s=1,
    owner="data",
    domain="survey",
    pii="none",
    purpose="",
)
INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    {
        "member_id": pa.string(),
        "answers": pa.int64(),
        "skin": pa.string(),
        "pains": pa.list_(pa.string()),
        "event_timestamp": INSTANT,
        "created_timestamp": INSTANT,
    }
)
# Contents that are easily taken for one another.
CONTENT = st.sampled_from(
    [(None, None, None), (0, "", []), (0, "", [""]), (0, "x", [None]), (1, "x", ["x", "y"])]
)
#: A snapshot: business day, and each member's content, or no row. Its place gives its knowledge.
SNAPSHOT = st.tuples(
    st.integers(0, DAYS - 1), st.dictionaries(st.sampled_from(MEMBERS), CONTENT, max_size=4)
)
Content = tuple[int | None, str | None, list[str | None] | None]
State = dict[str, Content]


def mark(day: int, known: int) -> Watermark:
    return Watermark.of(START + timedelta(days=day), START + timedelta(hours=known))


def rows(content: State, at: Watermark) -> pa.Table:
    values = [
        dict(zip(SCHEMA.names, (key, *value, at.as_of, at.known_at), strict=True))
        for key, value in content.items()
    ]
    return pa.Table.from_pylist(values, SCHEMA)


def state(log: FeatureLog, at: Watermark) -> State:
    found = log.state(VIEW, at).read_all().to_pylist()
    assert len({row["member_id"] for row in found}) == len(found)
    return {row["member_id"]: (row["answers"], row["skin"], row["pains"]) for row in found}


class Brute:
    """The log as a list of every row ever written, tombstones as None."""

    def __init__(self) -> None:
        self.rows: list[tuple[Watermark, str, Content | None]] = []

    def state(self, at: Watermark) -> State:
        seen = [row for row in self.rows if at.sees(row[0])]
        newest = {key: value for _, key, value in sorted(seen, key=lambda row: row[0])}
        return {key: value for key, value in newest.items() if value is not None}

    def append(self, content: State, at: Watermark) -> Appended:
        prior = self.state(at)
        upserts = {k: v for k, v in content.items() if k not in prior or prior[k] != v}
        gone = [key for key in prior if key not in content]
        self.rows += [(at, key, value) for key, value in upserts.items()]
        self.rows += [(at, key, None) for key in gone]
        return Appended(len(upserts), len(gone), len(content) - len(upserts))


def replay(history: list[tuple[int, State]], root: str) -> tuple[FeatureLog, Brute]:
    log, brute = FeatureLog(Path(root)), Brute()
    for known, (day, content) in enumerate(history):
        at = mark(day, known)
        report = log.append(VIEW, rows(content, at), at)
        assert report == brute.append(content, at)
        log.commit(at, "c1", {VIEW.name: report})
    return log, brute


few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(st.lists(SNAPSHOT, min_size=1, max_size=5))
def test_the_log_gives_back_every_snapshot_as_it_was_computed(
    history: list[tuple[int, State]],
) -> None:
    """And at instants no snapshot was computed for, what the brute-force log says."""
    with tempfile.TemporaryDirectory() as root:
        log, brute = replay(history, root)
        for known, (day, content) in enumerate(history):
            assert state(log, mark(day, known)) == content
        for day, known in product(range(DAYS), range(len(history))):
            assert state(log, mark(day, known)) == brute.state(mark(day, known))
        at = mark(history[-1][0], len(history))
        assert log.append(VIEW, rows(history[-1][1], at), at).rows == 0


@few
@given(st.lists(SNAPSHOT, min_size=1, max_size=4), st.data())
def test_changes_turn_one_state_into_the_other(
    history: list[tuple[int, State]], data: st.DataObject
) -> None:
    """Between any two places of the log, also backwards on either clock."""
    places = st.builds(mark, st.integers(0, DAYS - 1), st.integers(0, len(history) - 1))
    pairs = data.draw(st.lists(st.tuples(st.none() | places, places), min_size=3, max_size=3))
    with tempfile.TemporaryDirectory() as root:
        log, _ = replay(history, root)
        for since, until in pairs:
            store: dict[str, Any] = state(log, since) if since else {}
            touched = log.changes(VIEW, since, until).read_all().to_pylist()
            assert len({row["member_id"] for row in touched}) == len(touched)
            for row in touched:
                store.pop(row["member_id"], None)
                if not row["is_deleted"]:
                    store[row["member_id"]] = (row["answers"], row["skin"], row["pains"])
            assert store == state(log, until)
