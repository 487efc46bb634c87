"""Landing files in, raw rows and quarantine out, every record counted.

`load` takes a table's files into the lake, `accounting` and `summary` say what became of them.
"""

from __future__ import annotations

from pipelines.core.ingest.accounts import FileAccount, TableSummary, accounting, summary
from pipelines.core.ingest.landing import pending_files
from pipelines.core.ingest.loading import LoadReport, UnreadError, load

__all__ = [
    "FileAccount",
    "LoadReport",
    "TableSummary",
    "UnreadError",
    "accounting",
    "load",
    "pending_files",
    "summary",
]
