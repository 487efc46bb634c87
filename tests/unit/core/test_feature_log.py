"""The feature log: what it holds, what it refuses, and what a crash may leave behind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.catalog import Feature, FeatureView
from pipelines.core.feature_log import Appended, FeatureLog, LogError, Watermark

VIEW = FeatureView(
    name="member_orders_v1",
    description="One row a member.",
    entity="member",
    join_keys=("member_id",),
    features=(
        Feature("order_count", "bigint", "Orders."),
        Feature("share", "double", "A share."),
        Feature("channel", "varchar", "A word."),
        Feature("codes", "varchar[]", "Words."),
        Feature("last_order_at", "timestamptz", "An instant."),
    ),
    max_age_s=172_800,
    slo_s=93_600,
    owner="data",
    domain="orders",
    pii="none",
    purpose="",
)
INSTANT = pa.timestamp("us", tz="UTC")
TYPES = {
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "varchar[]": pa.list_(pa.string()),
    "timestamptz": INSTANT,
}


def mark(as_of: int, known_at: int) -> Watermark:
    """The watermark of two days of March 2025."""
    start = datetime(2025, 3, 1, tzinfo=UTC)
    return Watermark.of(start.replace(day=as_of), start.replace(day=known_at, hour=2))


def table(rows: Iterable[dict[str, Any]], at: Watermark, view: FeatureView = VIEW) -> pa.Table:
    """The rows of a snapshot as the models would give them."""
    fields = [pa.field(key, pa.string()) for key in view.join_keys]
    fields += [pa.field(f.name, TYPES[f.data_type]) for f in view.features]
    fields += [pa.field("event_timestamp", INSTANT), pa.field("created_timestamp", INSTANT)]
    clocks = {"event_timestamp": at.as_of, "created_timestamp": at.known_at}
    return pa.Table.from_pylist([{**row, **clocks} for row in rows], pa.schema(fields))


def take(
    log: FeatureLog, rows: Iterable[dict[str, Any]], at: Watermark, view: FeatureView = VIEW
) -> Appended:
    """Append and commit one view."""
    report = log.append(view, table(rows, at, view), at)
    log.commit(at, "c1", {view.name: report})
    return report


def held(log: FeatureLog, at: Watermark, view: FeatureView = VIEW) -> dict[str, tuple[Any, ...]]:
    """What the log says at `at`: member → values of the features."""
    rows = log.state(view, at).read_all().to_pylist()
    return {row["member_id"]: tuple(row[f.name] for f in view.features) for row in rows}


def member(name: str, count: int | None = 1, **others: Any) -> dict[str, Any]:
    return {"member_id": name, "order_count": count, **others}


@pytest.fixture
def log(tmp_path: Path) -> FeatureLog:
    return FeatureLog(tmp_path / "log")


def test_the_first_snapshot_is_all_upserts(log: FeatureLog) -> None:
    assert take(log, [member("b", 2), member("a", 1)], mark(2, 2)) == Appended(2, 0, 0)
    assert held(log, mark(2, 2)) == {
        "a": (1, None, None, None, None),
        "b": (2, None, None, None, None),
    }


def test_only_changed_rows_and_tombstones_are_written_sorted_by_key(log: FeatureLog) -> None:
    take(log, [member("a"), member("b"), member("c"), member("d")], mark(2, 2))
    at = mark(3, 3)
    report = take(log, [member("d", 5), member("b"), member("a", 4)], at)
    assert report == Appended(upserts=2, tombstones=1, unchanged=1)
    rows = pq.read_table(log.root / VIEW.name / f"{at.snapshot_id}.parquet").to_pylist()
    assert [(r["member_id"], r["order_count"], r["is_deleted"]) for r in rows] == [
        ("a", 4, False),
        ("c", None, True),
        ("d", 5, False),
    ]
    clocks = {(r["event_timestamp"], r["created_timestamp"], r["snapshot_id"]) for r in rows}
    assert clocks == {(at.as_of, at.known_at, at.snapshot_id)}


def test_an_unchanged_row_keeps_the_clocks_of_its_last_change(log: FeatureLog) -> None:
    take(log, [member("a"), member("b")], mark(2, 2))
    take(log, [member("a"), member("b", 9)], mark(3, 3))
    rows = log.state(VIEW, mark(3, 3)).read_all().to_pylist()
    assert {r["member_id"]: r["event_timestamp"].day for r in rows} == {"a": 2, "b": 3}


def test_timestamps_are_written_as_utc_microseconds(log: FeatureLog) -> None:
    at = mark(2, 2)
    take(log, [member("a", last_order_at=at.as_of)], at)
    schema = pq.read_schema(log.files(VIEW.name)[0])
    names = ["event_timestamp", "created_timestamp", "last_order_at"]
    assert [schema.field(name).type for name in names] == [INSTANT] * 3


def test_running_again_without_new_input_appends_nothing(log: FeatureLog) -> None:
    rows = [member("a", share=float("nan"), codes=["x", None]), member("b", None, codes=[])]
    take(log, rows, mark(2, 2))
    assert take(log, rows, mark(2, 3)) == Appended(0, 0, 2)
    assert take(log, rows, mark(3, 4)) == Appended(0, 0, 2)
    assert [path.name for path in log.root.glob("member*/*")] == [
        f"{mark(2, 2).snapshot_id}.parquet"
    ]
    assert log.latest() == mark(3, 4)


def test_null_empty_list_and_empty_string_are_three_contents(log: FeatureLog) -> None:
    contents = [(None, None), ("", []), ("", [""]), ("x", [None]), (None, [])]
    for day, (channel, codes) in enumerate(contents, start=2):
        report = take(log, [member("a", channel=channel, codes=codes)], mark(day, day))
        assert report == Appended(1, 0, 0)
    for day, (channel, codes) in enumerate(contents, start=2):
        assert held(log, mark(day, day)) == {"a": (1, None, channel, codes, None)}


def test_a_member_may_leave_and_come_back(log: FeatureLog) -> None:
    take(log, [member("a"), member("b")], mark(2, 2))
    assert take(log, [member("b")], mark(3, 3)) == Appended(0, 1, 1)
    assert take(log, [member("b")], mark(4, 4)) == Appended(0, 0, 1)
    assert take(log, [member("a"), member("b")], mark(5, 5)) == Appended(1, 0, 1)
    assert [sorted(held(log, mark(day, day))) for day in (2, 3, 4, 5)] == [
        ["a", "b"],
        ["b"],
        ["b"],
        ["a", "b"],
    ]


def test_restating_an_earlier_day_leaves_what_was_known_before(log: FeatureLog) -> None:
    """A late order changes history for readers of today, not for readers of then."""
    take(log, [member("a", 1)], mark(2, 2))
    take(log, [member("a", 2)], mark(4, 4))
    take(log, [member("a", 7)], mark(2, 5))
    assert held(log, mark(2, 4))["a"][0] == 1
    assert held(log, mark(2, 5))["a"][0] == 7
    assert held(log, mark(4, 4))["a"][0] == 2
    assert held(log, mark(4, 5))["a"][0] == 2


def test_a_replay_of_an_earlier_day_does_not_become_the_latest(log: FeatureLog) -> None:
    take(log, [member("a", 1)], mark(4, 4))
    take(log, [member("a", 7)], mark(2, 5))
    assert log.latest() == mark(4, 4)
    assert [s.at for s in log.snapshots()] == [mark(4, 4), mark(2, 5)]


def test_one_reader_may_stream_into_the_log(log: FeatureLog) -> None:
    at = mark(2, 2)
    reader = table([member(f"m{n:03}") for n in range(300)], at).to_reader(max_chunksize=50)
    assert log.append(VIEW, reader, at) == Appended(300, 0, 0)


def test_changes_are_the_keys_touched_since(log: FeatureLog) -> None:
    take(log, [member("a"), member("b"), member("c")], mark(2, 2))
    take(log, [member("a", 2), member("c")], mark(3, 3))
    take(log, [member("a", 3), member("c")], mark(4, 4))
    rows = log.changes(VIEW, mark(2, 2), mark(4, 4)).read_all().to_pylist()
    assert sorted((r["member_id"], r["order_count"], r["is_deleted"]) for r in rows) == [
        ("a", 3, False),
        ("b", None, True),
    ]


def test_changes_include_a_correction_of_an_earlier_day(log: FeatureLog) -> None:
    """`b` was not touched on day 4, so the correction holds there; `c` was not corrected."""
    take(log, [member("a", 1), member("b", 1), member("c", 1)], mark(2, 2))
    take(log, [member("a", 2), member("b", 1), member("c", 2)], mark(4, 4))
    take(log, [member("a", 8), member("b", 8), member("c", 1)], mark(2, 5))
    rows = log.changes(VIEW, mark(4, 4), mark(4, 5)).read_all().to_pylist()
    assert sorted((r["member_id"], r["order_count"]) for r in rows) == [("a", 2), ("b", 8)]


def test_nothing_is_read_when_nothing_changed(log: FeatureLog) -> None:
    """Proved by taking the rows away: the answer needs none of them."""
    take(log, [member("a")], mark(2, 2))
    take(log, [member("a")], mark(3, 3))
    log.files(VIEW.name)[0].unlink()
    reader = log.changes(VIEW, mark(2, 2), mark(3, 3))
    assert reader.read_all().num_rows == 0
    assert reader.schema.names[-1] == "is_deleted"


def test_a_log_without_snapshots_is_empty(log: FeatureLog) -> None:
    assert log.latest() is None
    assert held(log, mark(2, 2)) == {}
    assert log.changes(VIEW, None, mark(2, 2)).read_all().num_rows == 0
    assert log.files(VIEW.name) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([member("a"), member("b"), member("a", 2)], r"more than once: \[\('a',\)\]"),
        ([member("a"), {"order_count": 3}], "1 rows without a key"),
    ],
    ids=["a key twice", "no key"],
)
def test_rows_that_break_the_grain_are_refused(
    log: FeatureLog, rows: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(LogError, match=words):
        take(log, rows, mark(2, 2))
    assert log.snapshots() == []


def test_rows_of_another_snapshot_are_refused(log: FeatureLog) -> None:
    with pytest.raises(LogError, match=r"2 rows of member_orders_v1 are not of 2025-03-03T"):
        log.append(VIEW, table([member("a"), member("b")], mark(2, 2)), mark(3, 3))


def test_missing_unknown_and_mistyped_columns_are_named(log: FeatureLog) -> None:
    rows = table([member("a")], mark(2, 2))
    wrong = rows.drop(["share"]).append_column("shore", pa.array([1]))
    wrong = wrong.set_column(1, "order_count", pa.array([1], pa.int32()))
    with pytest.raises(LogError, match=r"order_count.*share.*shore"):
        log.append(VIEW, wrong, mark(2, 2))


def test_knowledge_never_goes_back(log: FeatureLog) -> None:
    take(log, [member("a")], mark(3, 5))
    for at in (mark(4, 4), mark(2, 5)):
        with pytest.raises(LogError, match="give it a later knowledge cutoff"):
            log.append(VIEW, table([], at), at)
    assert take(log, [member("a", 2)], mark(4, 5)) == Appended(1, 0, 0)
    assert held(log, mark(3, 5))["a"][0] == 1


def test_a_committed_snapshot_takes_only_what_it_holds(log: FeatureLog) -> None:
    at = mark(2, 2)
    take(log, [member("a")], at)
    assert take(log, [member("a")], at) == Appended(0, 0, 1)
    with pytest.raises(LogError, match="1 rows of member_orders_v1 differ from the committed"):
        take(log, [member("a", 2)], at)
    assert held(log, at)["a"][0] == 1


def test_a_snapshot_id_is_used_once(log: FeatureLog) -> None:
    take(log, [member("a")], mark(2, 2))
    at = Watermark(mark(3, 3).as_of, mark(3, 3).known_at, mark(2, 2).snapshot_id)
    with pytest.raises(LogError, match="id of its own"):
        log.append(VIEW, table([], at), at)


@pytest.mark.parametrize(
    ("as_of", "snapshot_id"),
    [(datetime(2025, 3, 1), "s1"), (mark(1, 1).as_of, "../s1")],  # noqa: DTZ001 - the point
    ids=["no time zone", "a path"],
)
def test_a_watermark_is_two_instants_and_a_name(as_of: datetime, snapshot_id: str) -> None:
    with pytest.raises(LogError):
        Watermark(as_of, mark(1, 1).known_at, snapshot_id)


def test_a_watermark_survives_json() -> None:
    at = mark(2, 3)
    assert Watermark.from_dict(at.to_dict()) == at
    assert at.snapshot_id == "20250302T000000Z-20250303T020000Z"


def globbed(log: FeatureLog) -> list[int]:
    """What Feast would see: order counts of every file that its glob matches."""
    query = f"SELECT order_count FROM '{log.root}/{VIEW.name}/*.parquet' ORDER BY ALL"
    return [count for (count,) in duckdb.sql(query).fetchall()]


def test_rows_are_seen_by_nobody_before_the_commit(log: FeatureLog) -> None:
    take(log, [member("a", 1)], mark(2, 2))
    at = mark(3, 3)
    log.append(VIEW, table([member("a", 2)], at), at)
    assert held(log, at)["a"][0] == 1
    assert globbed(log) == [1]


def test_a_crash_before_the_commit_leaves_nothing(log: FeatureLog) -> None:
    take(log, [member("a", 1)], mark(2, 2))
    crashed, at = mark(3, 3), mark(4, 4)
    log.append(VIEW, table([member("a", 2)], crashed), crashed)
    again = FeatureLog(log.root)
    assert take(again, [member("a", 1)], at) == Appended(0, 0, 1)
    assert [p.name for p in log.root.glob("member*/*")] == [f"{mark(2, 2).snapshot_id}.parquet"]


def test_a_crash_within_the_commit_is_undone_by_the_next_run(log: FeatureLog) -> None:
    """The rows were renamed, the manifest was not written."""
    take(log, [member("a", 1)], mark(2, 2))
    crashed, at = mark(3, 3), mark(4, 4)
    take(log, [member("a", 2)], crashed)
    (log.root / "_snapshots" / f"{crashed.snapshot_id}.json").unlink()
    again = FeatureLog(log.root)
    assert held(again, crashed)["a"][0] == 1
    take(again, [member("a", 3)], at)
    assert globbed(again) == [1, 3]


def test_a_commit_that_was_cut_off_can_be_finished(log: FeatureLog) -> None:
    at = mark(3, 3)
    report = take(log, [member("a", 2)], at)
    (log.root / "_snapshots" / f"{at.snapshot_id}.json").unlink()
    again = FeatureLog(log.root)
    again.commit(at, "c1", {VIEW.name: report})
    assert held(again, at)["a"][0] == 2


def test_a_crashed_view_that_no_run_writes_any_more_is_swept_too(log: FeatureLog) -> None:
    other = FeatureView(**{**vars(VIEW), "name": "member_old_v1"})
    log.append(other, table([member("a")], mark(2, 2), other), mark(2, 2))
    take(log, [member("a")], mark(3, 3))
    assert list((log.root / other.name).iterdir()) == []


def test_two_runs_at_once_cannot_both_commit(log: FeatureLog) -> None:
    """The second was compared with a log that is no longer the newest."""
    late, early = mark(3, 4), mark(3, 3)
    first = log.append(VIEW, table([member("a", 1)], early), early)
    second = FeatureLog(log.root).append(VIEW, table([member("a", 2)], late), late)
    with pytest.raises(LogError, match="not there to commit"):
        log.commit(early, "c1", {VIEW.name: first})
    FeatureLog(log.root).commit(late, "c1", {VIEW.name: second})
    assert held(log, late)["a"][0] == 2


def test_a_commit_during_an_append_is_noticed(log: FeatureLog) -> None:
    late, early = mark(3, 4), mark(3, 3)

    def rows() -> Iterable[pa.RecordBatch]:
        take(FeatureLog(log.root), [member("a", 1)], early)
        yield from table([member("a", 2)], late).to_batches()

    reader = pa.RecordBatchReader.from_batches(table([], late).schema, rows())
    with pytest.raises(LogError, match="another snapshot was committed"):
        log.append(VIEW, reader, late)


def test_a_view_held_back_keeps_its_watermark(log: FeatureLog) -> None:
    other = FeatureView(**{**vars(VIEW), "name": "member_tags_v1"})
    at, later = mark(2, 2), mark(3, 3)
    reports = {
        view.name: log.append(view, table([member("a")], at, view), at) for view in (VIEW, other)
    }
    log.commit(at, "c1", reports)
    take(log, [member("a", 2)], later)
    assert log.latest() == log.latest(VIEW.name) == later
    assert log.latest(other.name) == at
    assert log.snapshots()[0].views[other.name].appended == Appended(1, 0, 0)


def test_a_feature_added_later_is_null_before(log: FeatureLog) -> None:
    old = FeatureView(**{**vars(VIEW), "features": VIEW.features[:1]})
    take(log, [member("a"), member("b")], mark(2, 2), old)
    assert held(log, mark(2, 2)) == dict.fromkeys("ab", (1, None, None, None, None))
    report = take(log, [member("a", channel="app"), member("b")], mark(3, 3))
    assert report == Appended(1, 0, 1)
    assert held(log, mark(3, 3))["a"] == (1, None, "app", None, None)
    assert held(log, mark(2, 3))["a"] == (1, None, None, None, None)
    assert held(log, mark(3, 3), old) == {"a": (1,), "b": (1,)}


def test_a_feature_never_changes_its_type(log: FeatureLog) -> None:
    take(log, [member("a")], mark(2, 2))
    features = (Feature("order_count", "double", "Orders."), *VIEW.features[1:])
    changed = FeatureView(**{**vars(VIEW), "features": features})
    with pytest.raises(LogError, match="order_count is BIGINT in the log, DOUBLE in the cat"):
        log.append(changed, table([], mark(3, 3), changed), mark(3, 3))


def test_a_key_of_two_columns_is_one_key(log: FeatureLog) -> None:
    view = FeatureView(
        **{**vars(VIEW), "join_keys": ("member_id", "category_id"), "name": "member_cycle_v1"}
    )
    rows = [member("a", 1, category_id="x"), member("a", 2, category_id="y")]
    take(log, rows, mark(2, 2), view)
    assert take(log, rows[1:], mark(3, 3), view) == Appended(0, 1, 1)
    (left,) = log.state(view, mark(3, 3)).read_all().to_pylist()
    assert (left["member_id"], left["category_id"], left["order_count"]) == ("a", "y", 2)


def test_readers_leave_no_files_behind(log: FeatureLog) -> None:
    take(log, [member("a")], mark(2, 2))
    held(log, mark(2, 2))
    assert sorted(path.name for path in log.root.iterdir()) == ["_snapshots", VIEW.name]


def test_more_rows_than_memory_are_compared_on_disk(
    log: FeatureLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the disk is left as it was, once the log is let go."""
    monkeypatch.setattr("pipelines.core.feature_log.MEMORY", "100MB")
    size, at = 500_000, mark(2, 2)
    rows = duckdb.sql(
        f"""
        SELECT 'member-' || n AS member_id, n AS order_count, n / 2 AS share,
            'a channel of many, ' || n AS channel, ['x', n::VARCHAR] AS codes,
            TIMESTAMPTZ '{at.as_of}' AS last_order_at,
            TIMESTAMPTZ '{at.as_of}' AS event_timestamp,
            TIMESTAMPTZ '{at.known_at}' AS created_timestamp
        FROM range({size}) AS t (n)"""
    )
    assert log.append(VIEW, rows.to_arrow_reader(50_000), at) == Appended(size, 0, 0)
    assert list(log.root.glob("_spill-*"))
    del log.__dict__["_database"]
    assert not list(log.root.glob("_spill-*"))
