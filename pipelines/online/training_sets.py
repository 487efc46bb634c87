"""Training sets as files: what each was made of, and how a member who is erased leaves them.

How a set is made stands in `training.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.core.errors import UsageError
from pipelines.core.files import atomic, read_json, sha256, write_json

MEMBER = "member_id"
#: What was not finished after so long never will be.
LEFT_SECONDS = 24 * 60 * 60
PROVENANCE = b"huitou"


def save(table: pa.Table, path: str | Path) -> None:
    """Write a training set to `path` and what it was made of to `<path>.json`, atomically."""
    path = Path(path)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    write_json(_story(path), {**provenance(table), "sha256": sha256(path)})


def provenance(table: pa.Table) -> dict[str, Any]:
    """What a training set was made of: service, cut-offs, knowledge, the log's snapshot."""
    found: dict[str, Any] = json.loads(table.schema.metadata[PROVENANCE])
    return found


def forget(folder: Path, erased: Callable[[list[str]], list[str]]) -> int:
    """Drop the rows of erased members from every set in the folder; how many rows there were.

    `erased` tells who of some members is. A set that held such rows then says how many it has left,
    and how many were `erased`. What a retraining that was killed left half written goes as well.

    Raises:
        UsageError: a set cannot be read; of all others they are dropped.
    """
    sweep(folder, LEFT_SECONDS)
    dropped, unread = 0, []
    for path in sorted(folder.glob("*.parquet")):
        try:
            dropped += _forget(path, erased)
        except (pa.ArrowException, KeyError) as error:
            unread.append(f"{path}: {error}")
    if unread:
        message = "erased members may still be in training sets that cannot be read: "
        raise UsageError(message + "; ".join(unread), "delete these files")
    return dropped


def sweep(folder: Path, seconds: float = 0) -> None:
    """Delete what was left half written at least so many seconds ago."""
    for left in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # finished meanwhile
            if time.time() - left.stat().st_mtime >= seconds:
                left.unlink()


def _forget(path: Path, erased: Callable[[list[str]], list[str]]) -> int:
    """The number of rows dropped from one set."""
    members = pq.read_table(path, columns=[MEMBER])[MEMBER].unique()
    gone = erased(members.to_pylist())
    if not gone and _is_told(path):
        return 0
    table = pq.read_table(path)
    kept = table.filter(pc.invert(pc.is_in(table[MEMBER], value_set=pa.array(gone, pa.string()))))
    story, rows = provenance(table), int(table.num_rows - kept.num_rows)
    if rows:
        story |= {"rows": kept.num_rows, "erased": story.get("erased", 0) + rows}
    text = json.dumps(story, sort_keys=True)
    save(kept.replace_schema_metadata({PROVENANCE: text}), path)
    return rows


def _is_told(path: Path) -> bool:
    """Whether the JSON beside a set tells of that very file."""
    try:
        return bool(read_json(_story(path))["sha256"] == sha256(path))
    except (OSError, ValueError, KeyError):
        return False


def _story(path: Path) -> Path:
    return path.with_name(path.name + ".json")
