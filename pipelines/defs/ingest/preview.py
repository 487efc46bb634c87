"""The first rows of a load as a table for the Dagster UI, without personal data."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core import lake
from pipelines.core.contracts.base import Contract
from pipelines.core.home import Brand
from pipelines.core.ingest import LoadReport

ROWS = 5


def preview(brand: Brand, contract: Contract, reports: list[LoadReport]) -> str:
    """Markdown of the first accepted and quarantined rows; columns of personal data left out."""
    columns = [name for name in contract.columns if name not in contract.pii]
    parts = []
    for load_id in [report.load_id for report in reports if report.load_id]:
        for title, path, shown in (
            ("accepted", lake.raw_file(brand, contract.name, load_id), columns),
            (
                "quarantined",
                lake.quarantine_file(brand, contract.name, load_id),
                ["source_file", "source_row", "column", "reason", "remedy"],
            ),
        ):
            if path.exists():
                parts += [f"**{title}**", "", _markdown(_head(path, shown)), ""]
    return "\n".join(parts) or "nothing new"


def _head(path: pa.NativeFile, columns: list[str]) -> pa.Table:
    batches = pq.ParquetFile(path).iter_batches(batch_size=ROWS, columns=columns)
    return pa.Table.from_batches([first]) if (first := next(batches, None)) else pa.table({})


def _markdown(rows: pa.Table) -> str:
    lines = [rows.column_names, ["---"] * rows.num_columns]
    lines += [[_cell(value) for value in row.values()] for row in rows.to_pylist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")[:60]
