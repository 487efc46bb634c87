"""History through Feast: what was known when, row for row, and nothing from the future."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.errors import UsageError
from pipelines.core.feature_log import Watermark
from pipelines.core.files import read_json, sha256
from pipelines.core.home import Brand
from pipelines.online.feast_repo import apply, feature_store
from pipelines.online.publisher import publish
from pipelines.online.stores import open_store
from pipelines.online.training import provenance, save, training_set
from tests.integration.features.conftest import CATALOG, INSTANT, ORDERS, RISK, Shop, day

pytestmark = pytest.mark.integration

SERVICE = "churn_train_v1"


def asked(*rows: tuple[str, datetime], **more: list[Any]) -> pa.Table:
    keys, instants = zip(*rows, strict=True)
    columns = {"member_id": list(keys), "event_timestamp": pa.array(instants, INSTANT), **more}
    return pa.table(columns)


@pytest.fixture(scope="module")
def applied(shop: Shop) -> Shop:
    assert apply(shop.brand, shop.repo)
    return shop


def counts(shop: Shop, *rows: tuple[str, datetime], **options: Any) -> list[int | None]:
    found = training_set(shop.brand, SERVICE, asked(*rows), repo=shop.repo, **options)
    values: list[int | None] = found["order_count"].to_pylist()
    return values


def test_definitions_are_applied_once(applied: Shop) -> None:
    assert not apply(applied.brand, applied.repo)


def tables(brand: Brand) -> set[str]:
    with closing(sqlite3.connect(brand.online_sqlite)) as store:
        return {name for (name,) in store.execute("select name from sqlite_master")}


def test_definitions_applied_in_a_copied_or_moved_home_leave_the_other_store_alone(
    applied: Shop, tmp_path: Path
) -> None:
    """The copied registry names the store it was copied from."""
    before = tables(applied.brand)
    copy, moved = (Brand(tmp_path / to / applied.brand.name) for to in ("copy", "moved"))
    shutil.copytree(applied.brand.root, copy.root)
    assert apply(copy, applied.repo)
    assert not apply(copy, applied.repo)
    assert tables(applied.brand) == tables(copy) == before
    copy.root.parent.rename(moved.root.parent)
    assert apply(moved, applied.repo)
    assert tables(moved) == before
    assert any(ORDERS.name in table for table in before)


def test_the_registry_holds_what_the_catalogue_says(applied: Shop) -> None:
    store = feature_store(applied.brand, repo=applied.repo)
    view = store.get_feature_view(ORDERS.name)
    assert [(f.name, str(f.dtype), f.description, f.tags) for f in view.features] == [
        (f.name, f.feast_type, f.description, {"unit": "pcs"}) for f in ORDERS.features
    ]
    assert (view.ttl.total_seconds(), view.owner, view.description) == (
        0,
        "data",
        'One row a member; "member_orders_v1".',
    )
    assert view.tags["max_age_s"] == "172800"
    assert {entity.name for entity in store.list_entities()} == {"member"}
    assert {one.name for one in store.list_feature_services()} == set(CATALOG.services)


def test_every_type_comes_back_as_it_was_computed(applied: Shop) -> None:
    rows = asked(("a", day(4)), ("b", day(4)))
    found = training_set(applied.brand, SERVICE, rows, repo=applied.repo).to_pylist()
    assert found[0] == {
        "member_id": "a",
        "event_timestamp": day(4),
        "order_count": 1,
        "share": 0.5,
        "channel": "",
        "codes": [],
        "is_active": True,
        "last_order_at": day(2),
        "visits": [day(1), day(2)],
        "p_churn_90d": 0.25,
    }
    assert (found[1]["channel"], found[1]["codes"], found[1]["p_churn_90d"]) == (None, None, None)


def test_no_future_value_leaks_at_two_instants_of_a_member(applied: Shop) -> None:
    assert counts(applied, ("a", day(4)), ("a", day(6)), ("a", day(2))) == [1, 2, None]


def test_a_snapshot_counts_from_when_it_was_known(applied: Shop) -> None:
    """The night of day 5 was computed at 02:00: at midnight a model would have seen day 3."""
    assert counts(applied, ("a", day(5)), ("a", day(5, 1)), ("a", day(5, 2))) == [1, 1, 2]


def test_a_member_who_left_has_no_values_until_back(applied: Shop) -> None:
    assert counts(applied, ("b", day(4)), ("b", day(6)), ("b", day(7, 3))) == [1, None, 1]


def test_a_correction_does_not_change_what_was_trained_on(applied: Shop) -> None:
    """Day 5 was corrected from 2 to 9 orders on day 8, by when day 7 holds anyway."""
    assert counts(applied, ("a", day(6)), ("a", day(9))) == [2, 3]


def test_known_at_reads_a_history_computed_later(applied: Shop) -> None:
    """As a backfill needs it: all of history, with the knowledge of one instant."""
    rows = (("a", day(4)), ("a", day(5)), ("b", day(6)), ("a", day(7)))
    assert counts(applied, *rows, known_at=day(9)) == [1, 9, 1, 3]
    assert counts(applied, *rows, known_at=day(7, 2)) == [1, 2, None, 3]
    assert counts(applied, *rows, known_at=day(5, 1)) == [1, 1, 1, 1]
    assert counts(applied, *rows, known_at=day(1)) == [None] * 4


def test_rows_come_back_in_order_with_their_duplicates_and_labels(applied: Shop) -> None:
    rows = [
        ("b", day(4)),
        ("a", day(6)),
        ("zz", day(6)),
        ("a", day(6)),
        ("b", day(4)),
        ("1", day(4)),
    ]
    table = asked(*rows, churned=[True, False, None, True, False, None], fold=[6, 5, 4, 3, 2, 1])
    found = training_set(applied.brand, SERVICE, table, repo=applied.repo)
    assert found.select(table.column_names).equals(table)
    assert found["order_count"].to_pylist() == [1, 2, None, 2, 1, None]


def test_it_equals_a_brute_force_reading_of_the_log(applied: Shop) -> None:
    """Every member at every third hour, against the log's own reading at that instant."""
    instants = [day(number, hour) for number in range(2, 10) for hour in range(0, 24, 3)]
    rows = [(member, at) for at in instants for member in "abcz"]
    for known_at in (None, day(6), day(9)):
        table = asked(*rows)
        found = training_set(applied.brand, SERVICE, table, known_at, repo=applied.repo)
        expected: list[dict[str, Any]] = []
        for at in instants:
            mark = Watermark.of(at, known_at or at)
            orders = {
                r["member_id"]: r for r in applied.log.state(ORDERS, mark).read_all().to_pylist()
            }
            risks = {
                r["member_id"]: r for r in applied.log.state(RISK, mark).read_all().to_pylist()
            }
            expected += [
                {
                    "member_id": member,
                    "event_timestamp": at,
                    **{f.name: orders.get(member, {}).get(f.name) for f in ORDERS.features},
                    "p_churn_90d": risks.get(member, {}).get("p_churn_90d"),
                }
                for member in "abcz"
            ]
        assert found.to_pylist() == expected


def test_a_pandas_frame_in_local_time_is_the_same_instant(applied: Shop) -> None:
    frame = pd.DataFrame({"member_id": ["a", "a"], "event_timestamp": [day(5, 1), day(5, 2)]})
    frame["event_timestamp"] = frame["event_timestamp"].dt.tz_convert("Asia/Shanghai")
    found = training_set(applied.brand, SERVICE, frame.iloc[::-1], repo=applied.repo)
    assert found["order_count"].to_pylist() == [2, 1]
    assert found["event_timestamp"].to_pylist() == [day(5, 2), day(5, 1)]


def test_a_set_tells_what_it_was_made_of(applied: Shop, tmp_path: Path) -> None:
    rows = asked(("a", day(6)), ("b", day(4)), ("a", day(4)))
    found = training_set(applied.brand, SERVICE, rows, day(9), repo=applied.repo)
    path = tmp_path / "sets" / "march.parquet"
    save(found, path)
    story = read_json(path.with_name("march.parquet.json"))
    assert story["cutoffs"] == ["2025-03-04T00:00:00.000000Z", "2025-03-06T00:00:00.000000Z"]
    assert (story["known_at"], story["rows"]) == ("2025-03-09T00:00:00.000000Z", 3)
    assert (story["service"], story["catalog_version"]) == (SERVICE, CATALOG.version)
    assert story["log"]["snapshot_id"] == applied.log.snapshots()[-1].at.snapshot_id
    assert story["sha256"] == sha256(path)
    again = pq.read_table(path)
    assert again.equals(found)
    assert provenance(again) == {k: v for k, v in story.items() if k != "sha256"}


def test_features_of_one_name_need_their_full_names(applied: Shop) -> None:
    rows = asked(("a", day(4)))
    with pytest.raises(UsageError, match="full_names=True"):
        training_set(applied.brand, "both_bases_v1", rows, repo=applied.repo)
    found = training_set(applied.brand, "both_bases_v1", rows, full_names=True, repo=applied.repo)
    assert found.column_names[2:] == ["member_risk_v1__basis", "member_survey_v1__basis"]


@pytest.mark.parametrize(
    ("service", "table", "words"),
    [
        ("churn_v9", asked(("a", day(4))), "no feature service 'churn_v9'"),
        (SERVICE, asked(("a", day(4))).drop(["member_id"]), r"lack \['member_id'\]"),
        (SERVICE, asked(("a", day(4))).slice(1), "no entities"),
        (SERVICE, pa.table({"member_id": ["a"], "event_timestamp": [1]}), "not an instant"),
        (SERVICE, asked(("a", day(4)), share=[1]), r"named as features: \['share'\]"),
    ],
    ids=["service", "no key", "no row", "no instant", "a feature's name"],
)
def test_a_wrong_question_is_answered_with_what_to_ask(
    applied: Shop, service: str, table: pa.Table, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        training_set(applied.brand, service, table, repo=applied.repo)


def test_rows_of_a_crashed_run_are_not_in_history(applied: Shop) -> None:
    """Also not in the moment between the renaming of the rows and their manifest."""
    stray = applied.brand.log / ORDERS.name / "stray.parquet"
    source = applied.log.files(ORDERS.name)[0]
    stray.write_bytes(source.read_bytes())
    try:
        assert counts(applied, ("a", day(6)), ("b", day(6))) == [2, None]
    finally:
        stray.unlink()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_feast_reads_online_what_the_log_says(
    applied: Shop, kind: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The Feast SDK on what our publisher wrote: `b` has no risk, nobody has a survey."""
    monkeypatch.setenv("HUITOU_ONLINE_STORE", kind)
    if kind == "redis":
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_url"))
    with closing(open_store(applied.brand)) as online:
        publish(applied.brand, CATALOG, online)
    store = feature_store(applied.brand, repo=applied.repo)
    service = store.get_feature_service(SERVICE)
    members = [{"member_id": member} for member in "abc"]
    found = store.get_online_features(service, members).to_dict()
    rows = (
        applied.log.state(ORDERS, applied.log.latest(ORDERS.name)).read_all().sort_by("member_id")
    )
    for feature in ORDERS.features:
        values = rows[feature.name].to_pylist()
        assert found[feature.name] == values, feature.name
    assert found["order_count"] == [3, 1, None]
    assert found["p_churn_90d"] == [0.25, None, None]
