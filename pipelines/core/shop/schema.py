"""The thirteen tables, column by column, as they stand in the landing files."""

from __future__ import annotations

import pyarrow as pa

from pipelines.core.shop.brand import (
    ACQUISITION_CODES,
    CHANNELS,
    SHOP_IDS,
    STAFF_IDS,
    STORE_IDS,
    TEMPLATE_COLUMNS,
    TEMPLATES,
    Assortment,
    Place,
)
from pipelines.core.shop.coupons import ORIGINS
from pipelines.core.shop.members import (
    GENDERS,
    JOIN_TYPES,
    PURPOSES,
    STATES,
    TYPES,
)
from pipelines.core.shop.members import STATUSES as MEMBER_STATUSES
from pipelines.core.shop.orders import (
    IDENTIFIED,
    ORDER_KINDS,
    REFUND_KINDS,
    REFUND_REASONS,
    STATUSES,
)
from pipelines.core.shop.questions import CHOICES, OPEN_ANSWERS, QUESTION_IDS, SURVEY_IDS
from pipelines.core.shop.season import Season
from pipelines.core.shop.tables import (
    Column,
    Flag,
    Key,
    Number,
    Plain,
    Stamp,
    Table,
    WordLists,
    Words,
)

MEMBER, ORDER, ISSUE = Key("M", 8), Key("O", 16), Key("CI", 12)
STAMP, NUMBER, WORD = Stamp(), Number(pa.int64()), Plain(pa.string())
WHOLE, LIST = Plain(pa.int64()), Plain(pa.list_(pa.string()))


def schema(goods: Assortment, place: Place, season: Season) -> dict[str, Table]:
    """Every table by name."""
    tables: dict[str, dict[str, Column]] = {
        **_catalogue(),
        **_people(place),
        **_orders(season),
        **_lines(goods),
        **_coupons(),
        **_surveys(),
    }
    return {
        name: Table(name, {**columns, "is_deleted": Flag()}) for name, columns in tables.items()
    }


def _catalogue() -> dict[str, dict[str, Column]]:
    return {
        "products": {
            "sku_id": WORD,
            "spu_id": WORD,
            "name_zh": WORD,
            "name_en": WORD,
            "category_l1": WORD,
            "category_l2": WORD,
            "category_l3": WORD,
            "repurchase_type": WORD,
            "unit_size": WORD,
            "days_per_unit": Plain(pa.float64()),
            "price_minor": WHOLE,
            "launched_at": STAMP,
            "retired_at": STAMP,
            "scenario_codes": LIST,
            "creative_version": WORD,
            "hero_dates": Plain(pa.list_(pa.date32())),
        },
        "stores": {
            "store_id": Words(STORE_IDS),
            "shop_id": Words(SHOP_IDS),
            "name": WORD,
            "lat": Plain(pa.float64()),
            "lng": Plain(pa.float64()),
            "coord_system": WORD,
            "opened_at": STAMP,
            "closed_at": STAMP,
            "tz": WORD,
        },
    }


def _people(place: Place) -> dict[str, dict[str, Column]]:
    return {
        "members": {
            "member_id": MEMBER,
            "member_type": Words(TYPES, "alien"),
            "joined_at": STAMP,
            "join_type": Words(JOIN_TYPES),
            "join_channel": Words(CHANNELS),
            "acquisition_code": Words(ACQUISITION_CODES),
            "home_store_id": Words(STORE_IDS),
            "geohash6": Words(place.geohashes, "wtw3a!"),
            "birth_month": NUMBER,
            "gender_declared": Words(GENDERS),
            "status": Words(MEMBER_STATUSES, "asleep"),
            "merged_into": MEMBER,
            "updated_at": STAMP,
        },
        "consents": {
            "member_id": MEMBER,
            "purpose": Words(PURPOSES, "astrology"),
            "state": Words(STATES, "perhaps"),
            "at": STAMP,
            "source": Words(CHANNELS),
            "text_version": Words(("v1", "v2")),
        },
    }


def _orders(season: Season) -> dict[str, dict[str, Column]]:
    return {
        "orders": {
            "order_id": ORDER,
            "member_id": MEMBER,
            "ordered_at": STAMP,
            "paid_at": STAMP,
            "status": Words(STATUSES, "teleported"),
            "channel": Words(CHANNELS, "telepathy"),
            "shop_id": Words(SHOP_IDS),
            "store_id": Words(STORE_IDS),
            "staff_id": Words(STAFF_IDS),
            "gross_minor": NUMBER,
            "discount_minor": NUMBER,
            "shipping_minor": NUMBER,
            "paid_minor": NUMBER,
            "currency": Words(("CNY",), "XXQ"),
            "order_kind": Words(ORDER_KINDS),
            "promotion_ids": WordLists(tuple(season.promotion_ids)),
            "identified_by": Words(IDENTIFIED),
            "share_id": Key("SH", 8),
        },
    }


def _lines(goods: Assortment) -> dict[str, dict[str, Column]]:
    return {
        "order_lines": {
            "order_line_id": Key("L", 12),
            "order_id": ORDER,
            "sku_id": Words(goods.sku_ids),
            "qty": NUMBER,
            "unit_price_minor": NUMBER,
            "line_discount_minor": NUMBER,
            "line_net_minor": NUMBER,
            "cost_minor": NUMBER,
            "is_gift": Flag(),
            "bundle_id": Key("B", 4),
        },
        "refunds": {
            "refund_id": Key("RF", 16),
            "order_id": ORDER,
            "order_line_id": Key("L", 12),
            "refunded_at": STAMP,
            "amount_minor": NUMBER,
            "kind": Words(REFUND_KINDS),
            "reason_code": Words(REFUND_REASONS, "bad_karma"),
        },
    }


def _coupons() -> dict[str, dict[str, Column]]:
    template: dict[str, Column] = {name: Plain(kind) for name, kind in TEMPLATE_COLUMNS.items()}
    return {
        "coupon_templates": {
            **template,
            "valid_from": STAMP,
            "valid_to": STAMP,
            "scope": WORD,
        },
        "coupon_issues": {
            "issue_id": ISSUE,
            "template_id": Words(tuple(t.template_id for t in TEMPLATES)),
            "member_id": MEMBER,
            "issued_at": STAMP,
            "origin": Words(ORIGINS, "stolen"),
            "valid_from": STAMP,
            "expires_at": STAMP,
            "pair_id": Key("PR", 12),
            "experiment_id": Key("EXP-", 4),
            "arm": Words(("treatment",)),
        },
        "coupon_redemptions": {
            "redemption_id": Key("CR", 16),
            "issue_id": ISSUE,
            "order_id": ORDER,
            "redeemed_at": STAMP,
            "discount_minor": NUMBER,
            "reversed_at": STAMP,
        },
    }


def _surveys() -> dict[str, dict[str, Column]]:
    return {
        "surveys": {
            "survey_id": WORD,
            "version": WHOLE,
            "title_zh": WORD,
            "title_en": WORD,
            "audience": WORD,
            "wave": WORD,
        },
        "survey_questions": {
            "survey_id": WORD,
            "version": WHOLE,
            "question_id": WORD,
            "type": WORD,
            "options": WORD,
            "maps_to_tag_group": WORD,
            "valid_days": WHOLE,
        },
        "survey_answers": {
            "answer_id": Key("A", 12),
            "invite_id": Key("IV", 12),
            "survey_id": Words(SURVEY_IDS),
            "version": NUMBER,
            "member_id": MEMBER,
            "question_id": Words(QUESTION_IDS),
            "option_codes": WordLists(CHOICES, ("none_of_these",)),
            "number": Number(pa.float64()),
            "text": Words(OPEN_ANSWERS),
            "answered_at": STAMP,
        },
    }
