"""Staging: which version of a source row counts at a knowledge cutoff."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def built(lake: Any, dbt_build: Any) -> Any:
    def version(order_id: str, paid_minor: int, known_at: str, **more: Any) -> dict[str, Any]:
        return {
            "order_id": order_id,
            "member_id": "m1",
            "ordered_at": "2025-03-01 10:00",
            "paid_minor": paid_minor,
            "known_at": known_at,
            **more,
        }

    root = lake(
        {
            "orders": [
                version("once", 1, "2025-03-02 03:00"),
                version("corrected", 1, "2025-03-02 03:00"),
                version("corrected", 2, "2025-03-03 03:00"),
                version("corrected later", 1, "2025-03-02 03:00"),
                version("corrected later", 2, "2025-03-05 03:00"),
                version("known later", 1, "2025-03-05 03:00"),
                version("withdrawn", 1, "2025-03-02 03:00"),
                version("withdrawn", 1, "2025-03-03 03:00", is_deleted=True),
                version("withdrawn later", 1, "2025-03-02 03:00"),
                version("withdrawn later", 1, "2025-03-05 03:00", is_deleted=True),
                version("withdrawn and back", 1, "2025-03-02 03:00", is_deleted=True),
                version("withdrawn and back", 2, "2025-03-03 03:00"),
                version("one load, two days", 2, "2025-03-03 03:00", landing_day="2025-03-02"),
                version("one load, two days", 1, "2025-03-03 03:00", landing_day="2025-03-01"),
                version("one day, two rows", 1, "2025-03-03 03:00", source_row=9),
                version("one day, two rows", 2, "2025-03-03 03:00", source_row=10),
                version("at the cutoff", 1, "2025-03-04 03:00"),
                version("two systems", 1, "2025-03-02 03:00", source_system="pos"),
                version("two systems", 2, "2025-03-02 03:00", source_system="web"),
            ]
        }
    )
    return dbt_build(
        root, as_of="2025-04-01 00:00", knowledge_cutoff="2025-03-04 03:00", select="stg_orders"
    )


def test_the_latest_version_known_at_the_cutoff_counts(built: Any) -> None:
    assert sorted(built.rows("select order_id, paid_minor from staging.stg_orders")) == [
        ("at the cutoff", 1),
        ("corrected", 2),
        ("corrected later", 1),
        ("once", 1),
        ("one day, two rows", 2),
        ("one load, two days", 2),
        ("two systems", 1),
        ("two systems", 2),
        ("withdrawn and back", 2),
        ("withdrawn later", 1),
    ]
