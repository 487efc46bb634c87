"""Olist: the person behind customer ids, money that adds up, reviews as answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

Loaded = Callable[..., Any]


def at(*moment: int) -> datetime:
    return datetime(*moment)  # type: ignore[arg-type]  # noqa: DTZ001  # local, as in the file


def table(columns: str, *rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=columns.split(), orient="row", infer_schema_length=None)


@pytest.fixture
def lake(loaded: Loaded) -> Any:
    orders = table(
        "order_id customer_id order_status order_purchase_timestamp order_approved_at",
        ("o1", "c1", "delivered", at(2017, 7, 9, 21, 57), at(2017, 7, 9, 22, 10)),
        ("o2", "c2", "shipped", at(2017, 1, 9, 21, 57), None),
        ("o3", "c3", "unavailable", at(2017, 7, 10, 8), None),
        ("o4", "c4", "invoiced", at(2017, 7, 11, 8), None),
    )
    return loaded(
        "olist",
        {
            "orders.parquet": orders,
            "customers.parquet": table(
                "customer_id customer_unique_id",
                ("c1", "ana"),
                ("c2", "ana"),
                ("c3", "rui"),
                ("c4", "rui"),
            ),
            "order_items.parquet": table(
                "order_id order_item_id product_id price freight_value",
                ("o1", 1, "p1", 100.0, 10.0),
                ("o1", 2, "p1", 100.0, 10.5),
                ("o2", 1, "p2", 50.0, 5.0),
                ("o4", 1, "p2", 50.0, 5.0),
            ),
            "order_payments.parquet": table(
                "order_id payment_value",
                ("o1", 200.0),
                ("o1", 60.5),  # 40 of it interest
                ("o2", 40.0),
                ("o3", 99.9),
                ("o4", 55.0),
            ),
            "order_reviews.parquet": table(
                "review_id order_id review_score review_comment_title review_comment_message "
                "review_answer_timestamp",
                ("r1", "o1", 5, "Ótimo", "linha um\nlinha dois", at(2017, 7, 20, 12)),
                ("r1", "o2", 4, None, None, at(2017, 1, 1, 12)),  # before its purchase
                ("r2", "o3", 1, None, "não chegou", at(2017, 8, 1, 12)),
                ("r3", "o3", 6, None, "", at(2017, 8, 1, 12)),
            ),
            "products.parquet": table(
                "product_id product_category_name",
                ("p1", "beleza_saude"),
                ("p2", "pc_gamer"),
                ("p3", None),
            ),
            "product_category_name_translation.parquet": table(
                "product_category_name product_category_name_english",
                ("beleza_saude", "health_beauty"),
            ),
        },
    )


def test_orders_add_up_and_belong_to_the_person(lake: Any) -> None:
    assert lake.rows(
        "orders",
        "order_id",
        "member_id",
        "status",
        "gross_minor",
        "shipping_minor",
        "discount_minor",
        "paid_minor",
    ) == [
        ("o1", "ana", "completed", 20000, 2050, 0, 22050),
        ("o2", "ana", "shipped", 5000, 500, 1500, 4000),
        ("o3", "rui", "closed", 9990, 0, 0, 9990),
        ("o4", "rui", "paid", 5000, 500, 0, 5500),
    ]
    assert lake.rows("orders", "ordered_at")[:2] == [
        datetime(2017, 7, 10, 0, 57, tzinfo=UTC),
        datetime(2017, 1, 9, 23, 57, tzinfo=UTC),  # summer time in January
    ]


def test_an_item_is_one_piece(lake: Any) -> None:
    assert lake.rows("order_lines", "order_line_id", "qty", "line_net_minor", "event_at")[1] == (
        "o1-2",
        1,
        10000,
        datetime(2017, 7, 10, 0, 57, tzinfo=UTC),
    )


def test_a_person_joins_with_the_first_order(lake: Any) -> None:
    assert lake.rows("members", "member_id", "joined_at") == [
        ("ana", datetime(2017, 1, 9, 23, 57, tzinfo=UTC)),
        ("rui", datetime(2017, 7, 10, 11, tzinfo=UTC)),
    ]


def test_categories_are_translated_where_they_can_be(lake: Any) -> None:
    rows = lake.rows("products", "sku_id", "category_l1")
    assert rows == [("p1", "health_beauty"), ("p2", "pc_gamer")]
    assert lake.reasons("products") == [(3, "no_category")]


def test_a_review_answers_two_questions_of_one_survey(lake: Any) -> None:
    assert lake.rows("surveys", "survey_id", "version") == [("review", 1)]
    questions = lake.rows("survey_questions", "question_id", "type", "options")
    assert [row[:2] for row in questions] == [("comment", "text"), ("score", "scale")]
    assert [option["code"] for option in json.loads(questions[1][2])] == list("12345")
    assert lake.rows("survey_answers", "answer_id", "member_id", "number", "text") == [
        ("r1-o1-comment", "ana", None, "Ótimo\nlinha um\nlinha dois"),
        ("r1-o1-score", "ana", 5.0, None),
        ("r1-o2-score", "ana", 4.0, None),
        ("r2-o3-comment", "rui", None, "não chegou"),
        ("r2-o3-score", "rui", 1.0, None),
        ("r3-o3-score", "rui", 6.0, None),
    ]


def test_an_answer_that_predates_its_purchase_is_kept(lake: Any) -> None:
    answered = dict(lake.rows("survey_answers", "answer_id", "answered_at"))
    assert answered["r1-o2-score"] == datetime(2017, 1, 1, 14, tzinfo=UTC)
