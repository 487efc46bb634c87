"""Which accepted rows are new: one vectorised comparison with the versions held before.

The versions of a row are ordered by (`known_at`, landing day, file, row); a row is new if its
content differs from the version before it in that order. One load may bring many versions of a
row, and a row that goes back to what it once was is a new version too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.core.contracts import Contract
from pipelines.core.files import atomic

HASHED = {
    "timestamptz": "epoch_us({})::varchar",
    "varchar[]": "to_json({})::varchar",
    "date[]": "to_json({})::varchar",
}
#: `_known` is where a row stands among the versions: the load's `known_at`, or that of the load
#: that first saw it. A replayed row that was overtaken meanwhile adds nothing.
JUDGE = """
create temp table judged as
with held as (
    select source_row_id, known_at, landing_day, source_file, source_row, row_hash
    from read_parquet($held, union_by_name = true)
    where source_system = $source and source_row_id in (select source_row_id from incoming)
),
lined_up as (
    select _n, source_row_id, _known as known, landing_day, source_file, source_row, row_hash
    from incoming
    union all
    select null, source_row_id, known_at, landing_day, source_file, source_row, row_hash
    from held
)
select
    _n,
    row_hash is distinct from lag(row_hash) over versions
    and not coalesce(bool_or(_n is null) over later, false) as is_new
from lined_up
window
    versions as (
        partition by source_row_id
        order by known, landing_day, source_file, source_row, _n nulls first
    ),
    later as (
        partition by source_row_id
        order by known, landing_day, source_file, source_row, _n nulls first
        rows between 1 following and unbounded following
    )
"""
INCOMING = """
create temp table incoming as
select _n, _feed, _known, source_row_id, landing_day, source_file, source_row, {hash} as row_hash
from read_parquet($staged)
where not list_contains($failed, source_file)
"""
WRITE = """
copy (
    select {columns}
    from read_parquet($staged) s
    join incoming i using (_n)
    join judged j using (_n)
    where j.is_new
) to '{path}' (format parquet, compression zstd)
"""
COUNT = """
select _feed, source_file, count(*), count(*) filter (is_new)
from incoming join judged using (_n)
group by all
"""


@dataclass(frozen=True)
class Stored:
    """What became of the accepted rows, by feed and file: (accepted, new)."""

    counts: dict[tuple[str, str], tuple[int, int]]
    new: int


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB that computes in UTC and spills into `scratch`."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"set temp_directory = '{scratch.as_posix()}'")
    return connection


def content_hash(contract: Contract) -> str:
    """SQL of a row's content hash: its own columns by name, nulls left out.

    A column that a contract gains later changes the hash of no row that has nothing in it.
    """
    parts = [] if contract.happened else ["'event_at=' || epoch_us(event_at)::varchar"]
    for name, column in contract.columns.items():
        text = HASHED.get(column.data_type, "{}::varchar").format(f'"{name}"')
        parts.append(f"'{name}=' || {text}")
    parts.append("case when is_deleted then 'is_deleted' end")
    return f"md5(concat_ws(chr(31), {', '.join(parts)}))"


def store(
    contract: Contract,
    source: str,
    staged: Sequence[Path],
    failed: Sequence[str],
    held: Sequence[Path],
    target: Path,
    load_id: str,
) -> Stored:
    """Write the new rows among the staged ones to `target`; no file if there are none.

    Rows of `failed` files are dropped: they came before the break in their file.
    """
    if not staged:
        return Stored({}, 0)
    with connect(target.parent) as duck:
        parameters = {"staged": [str(p) for p in staged], "failed": list(failed)}
        duck.execute(INCOMING.format(hash=content_hash(contract)), parameters)
        duck.execute(JUDGE, {"held": [str(p) for p in held], "source": source})
        counts = {(f, path): (n, new) for f, path, n, new in duck.execute(COUNT).fetchall()}
        new = sum(fresh for _, fresh in counts.values())
        if new:
            names = {"row_hash": "i.row_hash", "load_id": f"'{load_id}' as load_id"}
            columns = ", ".join(names.get(n, f's."{n}"') for n in contract.schema.names)
            with atomic(target) as temporary:
                write = WRITE.format(columns=columns, path=temporary.as_posix())
                duck.execute(write, {"staged": parameters["staged"]})
    return Stored(counts, new)
