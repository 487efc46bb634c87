"""Training sets as files: what each was made of, and how a member who is erased leaves them.

How a set is made stands in `training.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.core.files import atomic, sha256, write_json

MEMBER = "member_id"
PROVENANCE = b"huitou"


def save(table: pa.Table, path: Path) -> None:
    """Write a training set to `path` and what it was made of to `<path>.json`, atomically."""
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    write_json(path.with_name(path.name + ".json"), {**provenance(table), "sha256": sha256(path)})


def provenance(table: pa.Table) -> dict[str, Any]:
    """What a training set was made of: service, cut-offs, knowledge, the log's snapshot."""
    found: dict[str, Any] = json.loads(table.schema.metadata[PROVENANCE])
    return found


def forget(folder: Path, erased: Callable[[list[str]], list[str]]) -> int:
    """Drop the rows of erased members from every set in the folder; how many rows there were.

    `erased` tells who of some members is. A set that held such rows then says how many it has left,
    and how many were `erased`.
    """
    dropped = 0
    for path in sorted(folder.glob("*.parquet")):
        members = pq.read_table(path, columns=[MEMBER])[MEMBER].unique()
        if gone := erased(members.to_pylist()):
            table = pq.read_table(path)
            kept = table.filter(pc.invert(pc.is_in(table[MEMBER], value_set=pa.array(gone))))
            story, rows = provenance(table), table.num_rows - kept.num_rows
            story |= {"rows": kept.num_rows, "erased": story.get("erased", 0) + rows}
            text = json.dumps(story, sort_keys=True)
            save(kept.replace_schema_metadata({PROVENANCE: text}), path)
            dropped += rows
    return dropped
