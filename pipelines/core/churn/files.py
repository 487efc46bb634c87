"""Any purchase history in three columns: `customer_id`, `purchased_at`, `net`, CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.core.churn.history import History, from_rows
from pipelines.core.clock import zone_of
from pipelines.core.errors import UsageError

COLUMNS = ("customer_id", "purchased_at", "net")
REMEDY = (
    "give a CSV or Parquet file with the columns customer_id, purchased_at (an instant or day) "
    "and net (a number, major units; refunds negative)"
)
DAY = "[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
TIME = "[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
#: A text with an offset is an instant, one without a local time; any other zone is refused.
INSTANT, LOCAL = f"{DAY}{TIME} ?(Z|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?)", f"{DAY}({TIME})?"
MAJOR = 100
PARQUET, MAGIC = (".parquet", ".pq"), b"PAR1"
#: More is no amount of money, and would not fit a sum to the hundredth.
MOST = 1e15


def read_history(path: Path, business_tz: str = "UTC") -> History:
    """The purchase days in a file: customer and local day with positive net.

    Instants with an offset are cut into days in `business_tz`, local times as they stand. Rows
    without a customer are left out.

    Raises:
        UsageError: no such file, not such columns, values that are no instants or numbers, or no
            such zone.
    """
    zone_of(business_tz)
    if not path.is_file():
        message = f"no file {path}"
        raise UsageError(message, REMEDY)
    try:  # a file is read to its end only as its days are counted
        days = _days(path, business_tz)
    except duckdb.Error as error:
        message = f"cannot read {path.name}: {str(error).splitlines()[0]}"
        raise UsageError(message, REMEDY) from error
    ids = days["customer_id"].combine_chunks()
    return from_rows(ids, days["day"].to_numpy(), days["net"].to_numpy())


def _days(path: Path, business_tz: str) -> pa.Table:
    """`customer_id`, `day` since 1970 and `net` in hundredths, a row a customer and day."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = _rows(connection, path)
        _check(rows, path)
        return rows.query(
            "purchases",
            f"""
            select customer_id, (local - date '1970-01-01')::integer as day,
                   (sum(round(net, 4)::decimal(38, 4)) * {MAJOR})::double as net
            from (
                select customer_id, net,
                       coalesce(at_local, at_instant at time zone '{business_tz}')::date
                           as local
                from purchases
                where customer_id is not null
            )
            group by all
            having sum(round(net, 4)::decimal(38, 4)) > 0
            order by all
            """,  # noqa: S608 — a constant and a name that was looked up
        ).to_arrow_table()


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    """The file's rows, each with what could be read of it."""
    if _is_parquet(path):
        file = connection.read_parquet(str(path))
    else:
        file = connection.read_csv(str(path), header=True, all_varchar=True)
    if missing := [name for name in COLUMNS if name not in file.columns]:
        message = f"{path.name} has no column {', '.join(missing)}"
        raise UsageError(message, REMEDY)
    return file.project(
        f"""
        row_number() over () as row,
        nullif(trim(customer_id::varchar), '') as customer_id,
        purchased_at::varchar as purchased_text,
        net::varchar as net_text,
        case when regexp_full_match(trim(purchased_at::varchar), '{INSTANT}')
            then try_cast(purchased_at::varchar as timestamptz) end as at_instant,
        case when regexp_full_match(trim(purchased_at::varchar), '{LOCAL}')
            then try_cast(purchased_at::varchar as timestamp) end as at_local,
        try_cast(net::varchar as double) as net
        """
    )


def _is_parquet(path: Path) -> bool:
    """Whether the file is called Parquet in any spelling, or begins as Parquet does."""
    with path.open("rb") as file:
        begins = file.read(len(MAGIC)) == MAGIC
    return begins or path.suffix.lower() in PARQUET


def _check(rows: duckdb.DuckDBPyRelation, path: Path) -> None:
    wrong = (
        ("purchased_at", "an instant", "at_local is null and at_instant is null", "purchased_text"),
        ("net", "a number", "net is null or not isfinite(net)", "net_text"),
        ("net", f"within {MOST:.0e} of 0", f"abs(net) >= {MOST}", "net_text"),
    )
    for column, kind, condition, text in wrong:
        found = rows.filter(f"customer_id is not null and ({condition})")
        summary = f"count(*), min(row), arg_min({text}, row)"
        ((count, row, first),) = found.aggregate(summary).fetchall()
        if count:
            said = "nothing" if first is None else repr(first)
            message = f"{path.name}: {column} is not {kind} in {count} rows; row {row} says {said}"
            raise UsageError(message, REMEDY)
