"""Judging rows: cast first, then the contract's rules; what fails is split off with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandera.errors
import polars as pl

from pipelines.core.contracts import Contract
from pipelines.core.contracts.base import INSTANT, KEY_SEPARATOR
from pipelines.core.ingest.cast import FAULTS, cast, found, text_of, together
from pipelines.core.source import AdapterError

#: What every mapping returns beside the contract's columns, if it wants to.
PLACE = {"_file": pl.String(), "_row": pl.Int64()}
EXTRAS: dict[str, pl.DataType] = {
    "event_at": INSTANT,
    "is_deleted": pl.Boolean(),
    "_reject": pl.String(),
}
REMEDIES = {
    "ragged_row": "give the record as many cells as the header; quote cells that hold a comma",
    "invalid_utf8": "write the file as UTF-8 and land it again",
    "unparsable": "write the value as the adapter expects it, or teach the adapter its format",
    "missing": "fill the column in the source, or give it a value in the adapter",
    "unknown": "map the value to one that the contract knows, in the adapter",
}


@dataclass(frozen=True)
class Verdict:
    """Judged rows: `accepted` fit for the lake, `rejected` with column, reason(s) and value."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame


def judge(contract: Contract, mapped: pl.DataFrame, known_at: datetime) -> Verdict:
    """Split mapped rows by the contract; every row comes out on exactly one side.

    Raises:
        AdapterError: the mapping returned columns that the contract does not have.
    """
    rows, faults = _conform(contract, mapped, known_at)
    refused = rows["_reject"].is_not_null()
    given = found(refused, "", "", rows["_reject"]).with_columns(
        column=pl.lit(None, pl.String), reason="value", value=pl.lit(None, pl.String)
    )
    faults = together([faults, given])
    clean = rows.with_row_index("_index").join(faults, on="_index", how="anti")
    faults = together([faults, _break_rules(contract, clean)])
    rejected = _first_of_each(faults)
    rows = rows.with_row_index("_index").drop("_reject")
    bad = rows.select("_index", "source_row_id", *PLACE).join(
        rejected, on="_index", how="inner", maintain_order="left"
    )
    return Verdict(
        rows.join(rejected, on="_index", how="anti", maintain_order="left").drop("_index"),
        bad.drop("_index"),
    )


def _conform(
    contract: Contract, mapped: pl.DataFrame, known_at: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The mapped rows with all of the contract's columns, in its types."""
    own = {name: column.dtype for name, column in contract.columns.items()}
    types: dict[str, pl.DataType] = {**PLACE, **EXTRAS, **own}
    strange = [name for name in mapped.columns if name not in types]
    if strange or not set(PLACE) <= set(mapped.columns):
        message = f"the mapping to {contract.name} returned {strange or 'no _file and _row'}"
        raise AdapterError(message, f"return _file, _row and some of {', '.join(own)}")
    absent = {
        name: pl.lit(None, dtype) for name, dtype in types.items() if name not in mapped.columns
    }
    if "event_at" in absent and contract.happened in mapped.columns:
        del absent["event_at"]
        mapped = mapped.with_columns(event_at=pl.col(contract.happened))
    whole = mapped.with_columns(**absent).select(*types)
    rows, faults = cast(whole, types)
    faults = faults.filter(pl.col("column") != "event_at")  # its column has the same fault
    key = [_key_text(name, own[name]) for name in contract.key]
    return (
        rows.with_columns(
            pl.col("is_deleted").fill_null(False),
            known_at=pl.lit(known_at).cast(INSTANT),
            source_row_id=pl.concat_str(key, separator=KEY_SEPARATOR),
        ),
        faults,
    )


def _key_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") if dtype == INSTANT else column


def _break_rules(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row and rule it breaks; rows carry their `_index`."""
    try:
        contract.model.validate(rows.select(*contract.model.to_schema().columns), lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return together([_fault(contract, rows, error) for error in errors.schema_errors])
    return pl.DataFrame(schema=FAULTS)


def _fault(
    contract: Contract, rows: pl.DataFrame, error: pandera.errors.SchemaError
) -> pl.DataFrame:
    name = getattr(error.check, "name", error.check)
    if name in contract.rules:
        column, reason = contract.rules[name].column, name
    elif name in ("not_nullable", "isin"):
        column = error.schema.name
        reason = f"{column}_missing" if name == "not_nullable" else f"unknown_{column}"
    else:  # a type or a column that is not as declared: the cast before should have seen to it
        message = f"rows of {contract.name} cannot be judged: {error}"
        raise AdapterError(message)
    bad = ~error.check_output["check_output"]
    at = bad.arg_true()
    return pl.DataFrame(
        {
            "_index": rows["_index"].gather(at),
            "column": [column] * len(at),
            "reason": [reason] * len(at),
            "value": text_of(rows[column].gather(at)).str.slice(0, 200),
        },
        schema=FAULTS,
    )


def _first_of_each(faults: pl.DataFrame) -> pl.DataFrame:
    """One row for each faulty row: the first fault, and all of its reasons."""
    return faults.group_by("_index", maintain_order=True).agg(
        pl.col("column", "reason", "value").first(), reasons=pl.col("reason")
    )


def remedy(contract: Contract, given: Mapping[str, str], reason: str) -> str:
    """What a reader of the quarantine can do about a reason."""
    if reason in given:
        return given[reason]
    if reason in contract.rules:
        return contract.rules[reason].remedy
    for kind, words in REMEDIES.items():
        if reason == kind or reason.startswith(f"{kind}_") or reason.endswith(f"_{kind}"):
            return words
    return ""
