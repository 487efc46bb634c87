"""A part of the warehouse, materialized by itself in a home where the rest was never built."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.core.home import Home

pytestmark = pytest.mark.integration

TEMPLATES = """\
template_id,role,discount_type,value_minor,percent_bp,min_spend_minor,valid_days,condition,\
promotion_id,pair_template_id,unit_cost_minor,valid_from,valid_to,scope,is_deleted
T,traffic,amount,2000,,9900,13,any,P,R,20,,,{},false
"""


def test_a_part_is_built_without_the_tests_that_also_read_what_was_never_built(
    tmp_path: Path,
) -> None:
    """`assert_coupons_of_a_pair_come_together` reads the templates and a model not built here."""
    landing, home = tmp_path / "landing", Home(tmp_path / "home")
    (landing / "2025-03-31").mkdir(parents=True)
    with gzip.open(landing / "2025-03-31" / "coupon_templates.csv.gz", "wt") as file:
        file.write(TEMPLATES)
    brand = home.brand("part")
    brand.agree("shop", landing, "Asia/Shanghai", "CNY")
    brand.dagster_home.mkdir(parents=True)

    parts = ("raw/coupon_templates", "staging/stg_coupon_templates")
    done = subprocess.run(
        [
            Path(sys.executable).parent / "dagster",
            *("asset", "materialize", "-m", "pipelines.definitions", "--partition", "2025-03-31"),
            *("--select", " or ".join(f'key:"{part}"' for part in parts)),
        ],
        env={
            **os.environ,
            "HUITOU_HOME": str(home.root),
            "HUITOU_BRAND": brand.name,
            "DAGSTER_HOME": str(brand.dagster_home),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not exist" not in done.stdout + done.stderr
