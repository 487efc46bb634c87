"""Landing files as frames: records numbered as in the file, and what is wrong with a file.

A record that cannot be read (too many or too few cells, bytes that are no UTF-8) comes out as
broken, with its text; a file that cannot be read raises `FileError`. Types are cast later, so
that the quarantine can keep what the file held.
"""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipelines.core.source import Files

BLOCK_BYTES = 16 << 20
PARQUET_ROWS = 500_000
HEADER_BYTES = 1 << 20

BROKEN = {
    "_row": pl.Int64(),
    "column": pl.String(),
    "reason": pl.String(),
    "value": pl.String(),
    "original": pl.String(),
}
NONE_BROKEN = pl.DataFrame(schema=BROKEN)
REMEDIES = {
    "missing_file": "land the file, or name the landing folder that holds it",
    "empty_file": "land the file again; its writer probably stopped before the first byte",
    "missing_column": "land the file with these columns, or teach the adapter its new shape",
    "duplicate_column": "give each column of the file a name of its own",
    "wrong_encoding": "convert the file to UTF-8 (iconv -f {encoding} -t UTF-8) and land it again",
    "truncated_file": "copy the file again; it ends before its compressed data does",
    "unreadable_file": "land the file again; it is not what its name says",
}


class FileError(Exception):
    """Why a landing file cannot be read at all; `encoding` is what a wrong one probably is."""

    def __init__(self, path: str, reason: str, detail: str, encoding: str = "GBK") -> None:
        super().__init__(f"{path}: {reason} ({detail})")
        self.path = path
        self.reason = reason
        self.detail = detail
        self.remedy = REMEDIES[reason].format(encoding=encoding)


@dataclass(frozen=True)
class Piece:
    """Part of a file: its readable records (`_row` and the file's columns) and the broken ones."""

    frame: pl.DataFrame
    broken: pl.DataFrame

    @property
    def count(self) -> int:
        """How many records of the file it holds."""
        return len(self.frame) + len(self.broken)


def pieces(full: Path, path: str, files: Files) -> Iterator[Piece]:
    """The records of the file, piece by piece; at least one piece, which may hold none.

    Raises:
        FileError: the file cannot be read; the pieces that came before must be dropped.
    """
    try:
        if full.stat().st_size == 0:
            raise FileError(path, "empty_file", "it has no bytes")
        yield from (_parquet if full.suffix == ".parquet" else _csv)(full, path, files)
    except FileNotFoundError as error:
        raise FileError(path, "missing_file", "it is gone") from error
    except (pa.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0]
        reason = "truncated_file" if "Truncated" in detail else "unreadable_file"
        raise FileError(path, reason, detail) from error


def _check_columns(names: list[str], path: str, files: Files) -> None:
    known = [files.aliases.get(name, name) for name in names]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise FileError(path, "duplicate_column", ", ".join(twice))
    back = {ours: theirs for theirs, ours in files.aliases.items()}
    missing = [name for name in files.columns if name not in known]
    if missing:
        words = ", ".join(f"{m} ({back[m]})" if m in back else m for m in missing)
        raise FileError(path, "missing_column", f"{words}; it has {', '.join(names)}")


def _parquet(full: Path, path: str, files: Files) -> Iterator[Piece]:
    with pq.ParquetFile(full) as source:
        _check_columns(source.schema_arrow.names, path, files)
        row = 1
        if source.metadata.num_rows == 0:
            yield Piece(_numbered(pl.DataFrame(source.schema_arrow.empty_table()), []), NONE_BROKEN)
        for batch in source.iter_batches(batch_size=PARQUET_ROWS):
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            yield Piece(_numbered(frame, range(row, row + len(frame))), NONE_BROKEN)
            row += len(frame)


def _stream(full: Path) -> pa.NativeFile:
    return pa.input_stream(full, compression="gzip" if full.suffix == ".gz" else None)


def _csv(full: Path, path: str, files: Files) -> Iterator[Piece]:
    names = _header(full, path)
    _check_columns(names, path, files)
    broken: list[dict[str, Any]] = []
    number, undecodable = 1, 0
    for batch in _batches(full, path, names, _collector(broken)):
        ragged = {one["_row"] for one in broken}
        candidates = range(number, number + batch.num_rows + len(ragged))
        rows = [n for n in candidates if n not in ragged] if ragged else candidates
        rows = rows[: batch.num_rows]
        number = rows[-1] + 1 if len(rows) else number
        frame, bad = _decoded(batch, rows)
        undecodable += len(bad)
        passed = [one for one in broken if one["_row"] < number]
        yield Piece(frame, pl.concat([bad, _frame(passed)]) if passed else bad)
        broken[:] = [one for one in broken if one["_row"] >= number]
    if number == 1 or broken:
        nothing = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        yield Piece(_numbered(nothing, []), _frame(broken))
    if undecodable and undecodable == number - 1:
        raise FileError(path, "wrong_encoding", "no record of it is UTF-8")


def _header(full: Path, path: str) -> list[str]:
    with _stream(full) as stream:
        line = stream.read(HEADER_BYTES).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise FileError(path, "empty_file", "it has no header")
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError(path, "wrong_encoding", "it begins with the mark of UTF-16", "UTF-16")
    if b"\0" in line:
        encoding = "UTF-16BE" if line.startswith(b"\0") else "UTF-16LE"
        detail = "its header holds zero bytes, as UTF-16 does"
        raise FileError(path, "wrong_encoding", detail, encoding)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, "wrong_encoding", "its header is not UTF-8") from error
    return next(csv.reader([text]))


def _collector(broken: list[dict[str, Any]]) -> Callable[[Any], str]:
    def collect(record: Any) -> str:
        detail = f"{record.actual_columns} cells instead of {record.expected_columns}"
        broken.append(
            {
                "_row": record.number - 1,  # Arrow counts the header
                "column": None,
                "reason": "ragged_row",
                "value": detail,
                "original": json.dumps({"_text": record.text}, ensure_ascii=False),
            }
        )
        return "skip"

    return collect


def _batches(
    full: Path, path: str, names: list[str], on_ragged: Callable[[Any], str]
) -> Iterator[pa.RecordBatch]:
    """Batches of undecoded cells: one bad byte must cost a record, not the file."""
    with _stream(full) as stream:
        try:
            with _quiet():
                reader = pa_csv.open_csv(stream, *_options(names, on_ragged))
            while True:
                with _quiet():
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch
        except pa.ArrowInvalid as error:
            if "Could not skip initial" in str(error):
                return  # a header without a line break, and nothing below it
            if "CSV parse error: Row" in str(error):  # Arrow could not decode it for the handler
                detail = "a record with too many or too few cells is not UTF-8 either"
                raise FileError(path, "wrong_encoding", detail) from error
            raise


def _options(names: list[str], on_ragged: Callable[[Any], str]) -> tuple[Any, Any, Any]:
    return (
        pa_csv.ReadOptions(
            use_threads=False,  # or ragged records come without their number
            block_size=BLOCK_BYTES,
            column_names=names,
            skip_rows=1,
        ),
        pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=on_ragged),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Arrow from printing the traceback of a decoding error that we report ourselves."""
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, UnicodeDecodeError):
            usual(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = usual


def _decoded(batch: pa.RecordBatch, rows: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    columns, bad = [], set()
    for cells in batch.columns:
        try:
            columns.append(cells.cast(pa.string()))
        except pa.ArrowInvalid:
            texts = [_text(cell) for cell in cells.to_pylist()]
            bad |= {i for i, (_, fine) in enumerate(texts) if not fine}
            columns.append(pa.array([text for text, _ in texts], pa.string()))
    frame = _numbered(pl.DataFrame(pa.table(columns, names=batch.schema.names)), rows)
    if not bad:
        return frame, _frame([])
    found = []
    for i in sorted(bad):
        record = frame.row(i, named=True)
        number = record.pop("_row")
        fine = {n: _text(c[i].as_py())[1] for n, c in zip(record, batch.columns, strict=True)}
        column = next(name for name, is_fine in fine.items() if not is_fine)
        found.append(
            {
                "_row": number,
                "column": column,
                "reason": "invalid_utf8",
                "value": record[column],
                "original": json.dumps(record, ensure_ascii=False),
            }
        )
    keep = pl.Series([i not in bad for i in range(len(frame))])
    return frame.filter(keep), _frame(found)


def _text(cell: bytes | None) -> tuple[str | None, bool]:
    if cell is None:
        return None, True
    try:
        return cell.decode(), True
    except UnicodeDecodeError:
        return cell.decode(errors="backslashreplace"), False


def _numbered(frame: pl.DataFrame, rows: Any) -> pl.DataFrame:
    numbers = pl.int_range(rows.start, rows.stop, eager=True) if isinstance(rows, range) else rows
    return frame.insert_column(0, pl.Series("_row", numbers, dtype=pl.Int64))


def _frame(broken: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(broken, schema=BROKEN) if broken else NONE_BROKEN
