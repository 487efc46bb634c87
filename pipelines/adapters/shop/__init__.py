"""The synthetic shop: landing files that are in the contracts' shape already.

`<landing>/<YYYY-MM-DD>/<table>.csv.gz` holds the rows that are new or changed on that day, with
the contract's columns and `is_deleted`. Instants carry their offset, lists are JSON, nulls are
empty cells. A corrected row lands again under its id.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from pipelines.core.contracts import TABLES
from pipelines.core.source import Adapter, Feed, Files


def _feed(table: str) -> Feed:
    columns = {name: column.dtype for name, column in TABLES[table].columns.items()}
    columns["is_deleted"] = pl.Boolean()
    files = Files((f"????-??-??/{table}.csv.gz",), columns, required=False)
    return Feed(table, files, stream=True, method="map_as_it_is")


class Shop(Adapter):
    """The shop that `huitou shop` generates."""

    name = "shop"
    business_tz = "Asia/Shanghai"
    currency = "CNY"
    feeds = tuple(_feed(table) for table in TABLES)

    def landing_day(self, path: str) -> date | None:
        """The name of the folder."""
        return date.fromisoformat(path.partition("/")[0])

    def map_as_it_is(self, records: pl.DataFrame) -> pl.DataFrame:
        """The records: the shop writes what the contracts ask for."""
        return records.drop("_day")
