"""The three public data sets the whole way; skipped where they are not on the machine."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.core.home import REPOSITORY

Huitou = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.e2e

DATA = Path(os.environ.get("HUITOU_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def run(huitou: Huitou, source: str, day: str) -> str:
    """What the run of `day` prints; it has ended well, so every check that blocks has passed."""
    if not (DATA / source).is_dir():
        pytest.skip(f"the data set {source} is not in {DATA}: set HUITOU_REAL_DATA")
    landing = str(DATA / source)
    return huitou("run", "--as-of", day, "--source", source, "--landing", landing).stdout


def counts(answer: str, table: str) -> list[int]:
    """read, accepted, new, unchanged and quarantined of a table."""
    (line,) = re.findall(
        rf"^{table} +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)", answer, re.MULTILINE
    )
    return [int(count.replace(",", "")) for count in line]


def records(answer: str) -> tuple[int, int]:
    """Records in the files, and those accounted for."""
    found = re.search(r"([\d,]+) records in [\d,]+ files, ([\d,]+) accounted for", answer)
    assert found
    held, accounted = (int(text.replace(",", "")) for text in found.groups())
    return held, accounted


def test_completejourney_redemptions_meet_visits_on_the_business_day(huitou: Huitou) -> None:
    answer = run(huitou, "completejourney", "2017-12-31")
    assert "1,747 of 2,102" in answer
    assert counts(answer, "order_lines")[0] == 100_000
    assert counts(answer, "coupon_issues")[:2] == [800_199, 800_199]
    held, accounted = records(answer)
    assert held == accounted


def test_olist_answers_and_orders_are_all_accounted_for(huitou: Huitou) -> None:
    answer = run(huitou, "olist", "2018-10-31")
    assert counts(answer, "orders")[:2] == [14_464, 14_464]
    assert counts(answer, "order_lines")[0] == 15_570
    held, accounted = records(answer)
    assert held == accounted


def test_online_retail_reads_every_line_and_counts_the_overlap_once(huitou: Huitou) -> None:
    answer = run(huitou, "online_retail_ii", "2011-12-09")
    held, accounted = records(answer)
    assert held == accounted == 1_067_370
    lines, refunds = counts(answer, "order_lines"), counts(answer, "refunds")
    assert lines[0] + refunds[0] == 1_067_370
    unchanged = lines[3] + refunds[3]
    quarantined_twice = 22_523 - unchanged
    assert unchanged <= 22_523
    assert quarantined_twice >= 0
