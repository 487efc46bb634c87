"""The contracts: every rule fires with its own name, on the row that breaks it and on no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import yaml

from pipelines.core.contracts import COMMON, TABLES, contract
from pipelines.core.contracts.base import INSTANT, TYPES
from pipelines.core.errors import UsageError
from pipelines.core.home import DBT_PROJECT
from pipelines.core.ingest.judge import EXTRAS, PLACE, judge, remedy

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2025, 3, 2, 12, tzinfo=UTC)
KNOWN = datetime(2025, 4, 1, tzinfo=UTC)

#: A row of each table that keeps every rule.
GOOD: dict[str, dict[str, Any]] = {
    "members": {
        "member_id": "m1",
        "member_type": "consumer",
        "joined_at": NOON,
        "join_type": "free",
        "join_channel": "store",
        "geohash6": "wtw3sj",
        "birth_month": 12,
        "gender_declared": "undisclosed",
        "status": "merged",
        "merged_into": "m2",
        "updated_at": NOON,
    },
    "products": {"sku_id": "s1", "category_l2": "tea", "repurchase_type": "consumable"},
    "stores": {"store_id": "st1", "lat": 31.2, "lng": 121.5, "coord_system": "gcj02"},
    "orders": {
        "order_id": "o1",
        "ordered_at": NOON,
        "paid_at": NOON,
        "status": "paid",
        "channel": "miniapp",
        "gross_minor": 1000,
        "discount_minor": 100,
        "shipping_minor": 50,
        "paid_minor": 1050,
        "currency": "CNY",
        "order_kind": "normal",
        "promotion_ids": ["p1"],
        "identified_by": "scan",
    },
    "order_lines": {
        "order_line_id": "l1",
        "order_id": "o1",
        "sku_id": "s1",
        "qty": 1,
        "unit_price_minor": 1000,
        "line_net_minor": 900,
    },
    "refunds": {
        "refund_id": "r1",
        "order_id": "o1",
        "refunded_at": NOON,
        "amount_minor": 1,
        "kind": "return",
        "reason_code": "quality",
    },
    "surveys": {"survey_id": "q", "version": 2, "audience": "lover"},
    "survey_questions": {
        "survey_id": "q",
        "version": 2,
        "question_id": "SKIN",
        "type": "single",
    },
    "survey_answers": {
        "answer_id": "a1",
        "survey_id": "q",
        "version": 2,
        "member_id": "m1",
        "question_id": "SKIN",
        "option_codes": ["dry"],
        "answered_at": NOON,
    },
    "coupon_templates": {
        "template_id": "t1",
        "role": "retention",
        "discount_type": "percent",
        "valid_days": 30,
        "condition": "any",
    },
    "coupon_issues": {
        "issue_id": "i1",
        "template_id": "t1",
        "member_id": "m1",
        "issued_at": NOON,
        "origin": "pair",
        "valid_from": NOON,
        "expires_at": LATER,
    },
    "coupon_redemptions": {
        "redemption_id": "x1",
        "issue_id": "i1",
        "redeemed_at": NOON,
        "discount_minor": 0,
    },
    "consents": {
        "member_id": "m1",
        "purpose": "marketing",
        "state": "granted",
        "at": NOON,
    },
}
#: (table, what is changed, the reason)
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("members", {"joined_at": datetime(2025, 4, 1, 0, 0, 1, tzinfo=UTC)}, "joined_in_future"),
    ("members", {"geohash6": "wtw3s"}, "bad_geohash"),
    ("members", {"geohash6": "wtw3sa"}, "bad_geohash"),
    ("members", {"birth_month": 13}, "bad_birth_month"),
    ("members", {"merged_into": "m1"}, "merge_cycle"),
    ("members", {"status": "asleep"}, "unknown_status"),
    ("products", {"category_l2": None}, "no_category"),
    ("stores", {"lat": 91.0}, "bad_coordinates"),
    ("stores", {"lng": None}, "bad_coordinates"),
    ("stores", {"coord_system": None}, "coord_system_missing"),
    ("stores", {"coord_system": "wgs85"}, "unknown_coord_system"),
    ("orders", {"discount_minor": -1}, "negative_amount"),
    ("orders", {"shipping_minor": -1, "paid_minor": 900}, "negative_amount"),
    ("orders", {"paid_minor": 1051}, "paid_gt_gross"),
    ("orders", {"shipping_minor": None}, "paid_gt_gross"),
    ("orders", {"currency": "RMB"}, "unknown_currency"),
    ("orders", {"paid_at": datetime(2025, 3, 1, 11, tzinfo=UTC)}, "paid_before_ordered"),
    ("orders", {"channel": None}, "channel_missing"),
    ("order_lines", {"qty": 0}, "qty_not_positive"),
    ("order_lines", {"order_id": None}, "order_id_missing"),
    ("refunds", {"amount_minor": 0}, "amount_not_positive"),
    ("refunds", {"order_id": None}, "order_id_missing"),
    ("surveys", {"audience": "friends"}, "unknown_audience"),
    ("survey_questions", {"type": "guess"}, "unknown_type"),
    ("survey_answers", {"member_id": None}, "member_id_missing"),
    ("coupon_templates", {"role": None}, "role_missing"),
    ("coupon_templates", {"role": "both"}, "unknown_role"),
    ("coupon_templates", {"valid_days": None}, "no_validity"),
    ("coupon_templates", {"valid_days": None, "valid_from": NOON}, "no_validity"),
    ("coupon_issues", {"expires_at": NOON}, "expires_before_issue"),
    ("coupon_redemptions", {"discount_minor": -1}, "negative_amount"),
    ("consents", {"purpose": "fun"}, "unknown_purpose"),
    ("consents", {"state": "maybe"}, "unknown_state"),
]


def rows(table: str, *changes: dict[str, Any]) -> pl.DataFrame:
    """A good row, then one for each change of it, then a good one again."""
    own = {name: column.dtype for name, column in TABLES[table].columns.items()}
    dicts = [{**GOOD[table], **change} for change in ({}, *changes, {})]
    frame = pl.DataFrame(
        {name: [one.get(name) for one in dicts] for name in own}, schema=own
    ).with_row_index("_row")
    return frame.with_columns(pl.col("_row").cast(pl.Int64) + 1, _file=pl.lit("f"))


@pytest.mark.parametrize("table", TABLES)
def test_a_good_row_is_accepted(table: str) -> None:
    verdict = judge(TABLES[table], rows(table), KNOWN)
    assert verdict.rejected.rows() == []
    assert verdict.accepted.height == 2


@pytest.mark.parametrize(
    ("table", "change", "reason"), BROKEN, ids=[f"{t}-{r}-{next(iter(c))}" for t, c, r in BROKEN]
)
def test_a_broken_row_is_rejected_with_its_reason_and_no_other(
    table: str, change: dict[str, Any], reason: str
) -> None:
    verdict = judge(TABLES[table], rows(table, change), KNOWN)
    (bad,) = verdict.rejected.to_dicts()
    assert (bad["_row"], bad["reasons"]) == (2, [reason])
    assert bad["column"] in TABLES[table].columns
    assert verdict.accepted["_row"].to_list() == [1, 3]
    assert remedy(TABLES[table], {}, reason)


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_and_every_closed_set_has_a_row_that_breaks_it(table: str) -> None:
    broken = {reason for name, _, reason in BROKEN if name == table}
    assert set(TABLES[table].rules) <= broken


@pytest.mark.parametrize("table", TABLES)
def test_each_required_column_is_missed_by_name(table: str) -> None:
    needed = [name for name, column in TABLES[table].columns.items() if column.required]
    assert set(TABLES[table].key) <= set(needed)
    verdict = judge(TABLES[table], rows(table, *({name: None} for name in needed)), KNOWN)
    reasons = [set(bad) for bad in verdict.rejected["reasons"]]
    assert [f"{name}_missing" in bad for name, bad in zip(needed, reasons, strict=True)] == [
        True
    ] * len(needed)


@pytest.mark.parametrize("table", TABLES)
def test_a_closed_set_takes_its_own_values_only(table: str) -> None:
    for name, column in TABLES[table].columns.items():
        if not column.one_of:
            continue
        frame = rows(table, {name: "no such value"}, *({name: value} for value in column.one_of))
        verdict = judge(TABLES[table], frame, KNOWN)
        assert verdict.rejected["_row"].to_list() == [2]
        assert verdict.rejected["reason"].to_list() == [f"unknown_{name}"]


def test_a_key_of_several_columns_is_one_id() -> None:
    accepted = judge(TABLES["consents"], rows("consents"), KNOWN).accepted
    assert accepted["source_row_id"][0] == "m1|marketing|2025-03-01T12:00:00.000000Z"


def test_event_at_repeats_the_column_that_says_when_it_happened() -> None:
    accepted = judge(TABLES["orders"], rows("orders"), KNOWN).accepted
    assert accepted["event_at"].to_list() == [NOON, NOON]
    assert judge(TABLES["order_lines"], rows("order_lines"), KNOWN).accepted["event_at"][0] is None


def test_no_rows_are_judged_without_complaint() -> None:
    verdict = judge(TABLES["orders"], rows("orders").clear(), KNOWN)
    assert verdict.accepted.height == verdict.rejected.height == 0


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_words_and_a_type_of_the_lake(table: str) -> None:
    assert TABLES[table].description
    for column in TABLES[table].columns.values():
        assert column.description.endswith("."), column.name
        assert column.dtype in TYPES
        assert column.name not in COMMON
        assert column.name not in {*PLACE, *EXTRAS} - set(COMMON)


def test_the_arrow_schema_has_the_common_columns_first_and_microseconds() -> None:
    schema = TABLES["orders"].schema
    assert schema.names[:10] == list(COMMON)
    assert schema.field("ordered_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("promotion_ids").type == pa.list_(pa.string())
    assert TABLES["orders"].columns["ordered_at"].dtype == INSTANT


def test_personal_data_is_tagged() -> None:
    assert "member_id" in TABLES["orders"].pii
    assert set(TABLES["survey_answers"].pii) == {"member_id", "option_codes", "number", "text"}
    assert TABLES["products"].pii == ()


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'order'") as error:
        contract("order")
    assert "order_lines" in error.value.remedy


@pytest.mark.parametrize("table", TABLES)
def test_the_warehouse_stages_the_contracts_columns_in_their_types(table: str) -> None:
    """Both ways: a column added on one side only is found here."""
    path = DBT_PROJECT / "models" / "staging" / f"stg_{table}.yml"
    (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    renamed = {"stated_at": "at"}  # `at` is a reserved word of some engines
    staged = {renamed.get(c["name"], c["name"]): c["data_type"] for c in model["columns"]}
    common = {name: staged.pop(name) for name in COMMON if name in staged}
    assert staged == {name: column.data_type for name, column in TABLES[table].columns.items()}
    assert common == {name: TYPES[COMMON[name]][1] for name in common}


def test_a_value_that_cannot_be_cast_is_not_also_called_missing() -> None:
    frame = rows("order_lines").with_columns(qty=pl.Series(["two", "2"]))
    verdict = judge(TABLES["order_lines"], frame, KNOWN)
    assert verdict.rejected["reasons"].to_list() == [["unparsable_qty"]]
    assert verdict.rejected["value"].to_list() == ["two"]
    assert verdict.accepted["qty"].to_list() == [2]
