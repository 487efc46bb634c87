from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.core.contracts import TABLES
from pipelines.core.shop import Dirt, generate_parquet
from tests.unit.core.shop.conftest import CLEAN, Drawn


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    generate_parquet(replace(CLEAN, dirt=Dirt(broken=0.2)), folder)
    return folder


@pytest.mark.parametrize("table", list(TABLES))
def test_types_are_the_contracts(typed: Path, table: str) -> None:
    schema = pq.read_schema(next((typed / table).iterdir()))
    expected = TABLES[table].schema
    assert set(schema.names) == {*TABLES[table].columns, "is_deleted", "landing_day"}
    for name in schema.names:
        assert schema.field(name).type == expected.field(name).type, name


def test_rows_are_those_of_the_landing_files(typed: Path, clean: Drawn) -> None:
    """The identity of a shop holds its dirt, so the typed one is drawn as the clean one."""
    for table, n in clean.report.rows.items():
        assert clean.one(f"select count(*) from '{typed}/{table}/*.parquet'") == n
    differ = clean.one(
        f"""
        select count(*) from (
            select order_id, member_id, ordered_at::timestamptz, status, paid_minor::bigint,
                from_json(promotion_ids, '["varchar"]'), day
            from orders
            except all
            select order_id, member_id, ordered_at, status, paid_minor, promotion_ids, landing_day
            from '{typed}/orders/*.parquet'
        )
        """
    )
    assert differ == 0
