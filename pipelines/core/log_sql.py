"""The SQL of the feature log, as text: what DuckDB compares, and which row of a key is the newest.

Names come from the catalogue, which restricts them; paths and instants are quoted here.
"""

# ruff: noqa: S608 - see above
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipelines.core.catalog import EVENT_AT, KNOWN_AT, FeatureView
from pipelines.core.clock import iso
from pipelines.core.snapshots import Watermark

INSTANT = "TIMESTAMP WITH TIME ZONE"
DELETED = "is_deleted"
#: A Parquet file of the log and the columns it holds.
LogFile = tuple[Path, Mapping[str, str]]
#: Values of the first join key: after the one, up to and with the other; None is no bound.
KeyRange = tuple[str | None, str | None]


def contents(view: FeatureView) -> dict[str, str]:
    """Features of the view and their DuckDB types."""
    return {
        feature.name: feature.data_type.upper().replace("TIMESTAMPTZ", INSTANT)
        for feature in view.features
    }


def row(view: FeatureView) -> dict[str, str]:
    """Columns of a row of the view, keys first and clocks last, and their DuckDB types."""
    keys = dict.fromkeys(view.join_keys, "VARCHAR")
    return {**keys, **contents(view), EVENT_AT: INSTANT, KNOWN_AT: INSTANT}


def names(columns: Iterable[str], prefix: str = "") -> str:
    """A list of columns."""
    return ", ".join(f'{prefix}"{column}"' for column in columns)


def scan(view: FeatureView, files: Sequence[LogFile]) -> str:
    """Every row of `files`; `part` is the file's place among them."""
    held = {column for _, columns in files for column in columns}
    columns = ", ".join(
        f'"{name}"' if name in held else f'NULL::{kind} AS "{name}"'
        for name, kind in {**row(view), DELETED: "BOOLEAN"}.items()
    )
    if not files:
        return f"(SELECT {columns}, NULL::BIGINT AS part WHERE false)"
    paths = ", ".join(text(path) for path, _ in files)
    source = f"read_parquet([{paths}], union_by_name = true)"
    return f"(SELECT {columns}, file_index AS part FROM {source})"


def newest(view: FeatureView, files: Sequence[LogFile], touched: str = "") -> str:
    """The newest row of each key, tombstones too; of the keys in `touched` only, if it is given.

    A file holds a key once, so the newest row is the one in the last file. Finding that file from
    the keys alone keeps what is hashed narrow; the wide columns stream through the second join.
    """
    keys = names(view.join_keys)
    rows = scan(view, files) + (f" SEMI JOIN {touched} USING ({keys})" if touched else "")
    columns = names([*row(view), DELETED])
    if len(files) < 2:
        return f"(SELECT {columns} FROM {rows})"
    last = f"(SELECT {keys}, max(part) AS part FROM {rows} GROUP BY ALL)"
    return f"(SELECT {columns} FROM {scan(view, files)} JOIN {last} USING ({keys}, part))"


def difference(view: FeatureView, fresh: str, files: Sequence[LogFile], at: Watermark) -> str:
    """The rows by which the table `fresh` differs from what `files` say: upserts, tombstones."""
    keys, features = view.join_keys, contents(view)
    prior = f"(SELECT * FROM {newest(view, files)} WHERE NOT {DELETED})"
    gone = f'f."{keys[0]}" IS NULL'
    changed = [gone, f'p."{keys[0]}" IS NULL']
    changed += [f'f."{name}" IS DISTINCT FROM p."{name}"' for name in features]
    return f"""
        SELECT {", ".join(f'coalesce(f."{key}", p."{key}") AS "{key}"' for key in keys)},
            {names(features, "f.")},
            {instant(at, EVENT_AT)}, {instant(at, KNOWN_AT)},
            {gone} AS {DELETED}, {text(at.snapshot_id)} AS snapshot_id
        FROM {fresh} f FULL OUTER JOIN {prior} p
            ON {" AND ".join(f'f."{key}" = p."{key}"' for key in keys)}
        WHERE {" OR ".join(changed)}
        ORDER BY {names(keys)}"""


def moved(
    view: FeatureView, before: Sequence[LogFile], after: Sequence[LogFile], until: Watermark
) -> str:
    """The newest row in `after` of every key in a file that only one of `before`, `after` has.

    A key that only vanished files held comes back deleted, though the log has no tombstone of it.
    """
    old, new = {path for path, _ in before}, {path for path, _ in after}
    either = [file for file in (*before, *after) if (file[0] in old) != (file[0] in new)]
    keys = names(view.join_keys)
    touched = f"(SELECT DISTINCT {keys} FROM {scan(view, either)})"
    columns = names([*row(view), DELETED])
    if old <= new:
        # Every touched key has a row in a new file: nothing older than the first can be newest.
        first = next((n for n, (path, _) in enumerate(after) if path not in old), len(after))
        tail = after[first:]
        return f"SELECT {columns} FROM {newest(view, tail, '' if tail == either else touched)}"
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in contents(view).items())
    return f"""
        SELECT {columns} FROM {newest(view, after, touched)}
        UNION ALL
        SELECT {keys}, {nothing}, {instant(until, EVENT_AT)}, {instant(until, KNOWN_AT)},
            true AS {DELETED}
        FROM {touched} ANTI JOIN {scan(view, after)} USING ({keys})"""


def within(query: str, view: FeatureView, between: KeyRange) -> str:
    """The rows of `query` whose first join key lies in the range."""
    after, upto = between
    bounds = [] if after is None else [f'"{view.join_keys[0]}" > {text(after)}']
    bounds += [] if upto is None else [f'"{view.join_keys[0]}" <= {text(upto)}']
    return f"SELECT * FROM ({query}) WHERE {' AND '.join(bounds)}" if bounds else query


def instant(at: Watermark, column: str) -> str:
    """One of the watermark's instants as that column."""
    value = at.as_of if column == EVENT_AT else at.known_at
    return f"TIMESTAMPTZ {text(iso(value))} AS {column}"


def text(value: object) -> str:
    """A quoted string."""
    return "'" + str(value).replace("'", "''") + "'"
