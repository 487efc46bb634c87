"""The example of `docs/sources.md` is a whole adapter and does what the page says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from pipelines import adapters
from pipelines.core.home import REPOSITORY


def test_the_example_loads_its_own_file(
    loaded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")
    code, csv = (re.search(f"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "csv"))
    assert code
    assert csv
    module = ModuleType("teahouse")
    monkeypatch.setitem(sys.modules, "teahouse", module)
    exec(code[1], module.__dict__)  # noqa: S102  # the page's own code
    monkeypatch.setitem(adapters.ADAPTERS, "teahouse", module.TeaHouse)

    lake = loaded("teahouse", {"2025-03-01-sales.csv": csv[1]})

    assert lake.rows("order_lines", "order_line_id", "line_net_minor") == [
        ("R1-1", 2500),
        ("R1-2", 3000),
    ]
    assert lake.rows("refunds", "refund_id", "order_id", "amount_minor") == [("R1-3", "R1", 3000)]
    at = datetime(2025, 3, 1, 2, 15, tzinfo=UTC)
    assert lake.rows("orders", "order_id", "paid_minor", "ordered_at") == [("R1", 5500, at)]
    assert lake.rows("members", "member_id", "joined_at") == [("C7", at)]
