"""A landing folder with files that cannot be read: each is told once, with what to do about it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Huitou = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.e2e
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
SALE = "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom"


def test_a_file_that_feeds_many_tables_is_told_once_with_its_remedy(
    huitou: Huitou, tmp_path: Path
) -> None:
    (tmp_path / "2010-12-01.csv").write_text(f"{HEADER}\n{SALE}\n")
    (tmp_path / "2010-12-02.csv").write_bytes(b"")
    (tmp_path / "2010-12-03.csv").write_text(f"{HEADER}\n{SALE}\n", encoding="utf-16")
    words = ("run", "--as-of", "2010-12-04", "--source", "online_retail_ii")

    failed = huitou(*words, "--landing", str(tmp_path), exit_code=4)

    (empty,) = [line for line in failed.stderr.splitlines() if "2010-12-02.csv" in line]
    (wide,) = [line for line in failed.stderr.splitlines() if "2010-12-03.csv" in line]
    assert "land the file again" in empty
    assert "iconv -f UTF-16 -t UTF-8" in wide
    assert wide.endswith("(members, products, orders, order_lines, refunds)")

    listed = huitou("quarantine", "list", "--brand", "online_retail_ii").stdout
    assert listed.count("2010-12-02.csv") == 1
