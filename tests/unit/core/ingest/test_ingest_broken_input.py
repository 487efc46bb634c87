"""Broken input: one clear error or a quarantine entry, and whatever was fine is loaded."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.core import quarantine
from pipelines.core.errors import InputError
from pipelines.core.ingest import UnreadError, read

Sale = Callable[..., str]
Shelf = Any
GOOD, BAD = "2025-03-01.csv", "2025-03-02.csv"
HEADER = "bill,line,sku,qty,amount,sold_at,kind"


def truncated(sale: str) -> bytes:
    whole = gzip.compress(f"{HEADER}\n{sale}\n".encode() * 50)
    return whole[: len(whole) // 2]


#: name of the bad file, its bytes from a good line, the reason, words of the message
BAD_FILES: dict[str, tuple[str, Callable[[str], bytes], str, str]] = {
    "empty": (BAD, lambda _: b"", "empty_file", "no bytes"),
    "empty gzip": (BAD + ".gz", lambda _: gzip.compress(b""), "empty_file", "no header"),
    "a column missing": (
        BAD,
        lambda s: f"{HEADER.replace(',qty', '')}\n{s}\n".encode(),
        "missing_column",
        "qty",
    ),
    "a column twice": (
        BAD,
        lambda s: f"{HEADER},qty\n{s},1\n".encode(),
        "duplicate_column",
        "qty",
    ),
    "truncated gzip": (BAD + ".gz", truncated, "truncated_file", "Truncated"),
    "gzip with one wrong byte": (
        BAD + ".gz",
        lambda s: gzip.compress(f"{HEADER}\n{s}\n".encode())[:-8] + b"12345678",
        "unreadable_file",
        "incorrect data check",
    ),
    "not gzip at all": (
        BAD + ".gz",
        lambda s: f"{HEADER}\n{s}\n".encode(),
        "unreadable_file",
        "incorrect header check",
    ),
    "UTF-16": (
        BAD,
        lambda s: f"{HEADER}\n{s}\n".encode("utf-16"),
        "wrong_encoding",
        "iconv -f UTF-16 -t UTF-8",
    ),
    "UTF-16 without its mark": (
        BAD,
        lambda s: f"{HEADER}\n{s}\n".encode("utf-16-le"),
        "wrong_encoding",
        "iconv -f UTF-16LE -t UTF-8",
    ),
    "a header in GBK": (
        BAD,
        lambda s: f"{HEADER},備註\n{s},好\n".encode("gbk"),
        "wrong_encoding",
        "header is not UTF-8",
    ),
    "all rows in GBK": (
        BAD,
        lambda s: f"{HEADER}\n{s.replace('tea', '烏龍茶')}\n".encode("gbk"),
        "wrong_encoding",
        "no record of it is UTF-8",
    ),
    "ragged rows that are not UTF-8": (
        BAD,
        lambda s: f"{HEADER}\n{s}\n".encode() + "茶,茶\n".encode("gbk"),
        "wrong_encoding",
        "not UTF-8 either",
    ),
    "a Parquet file that is none": (
        "2025-03-02.parquet",
        lambda _: b"PAR1 nonsense",
        "unreadable_file",
        "",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES, ids=list(BAD_FILES))
def test_an_unreadable_file_fails_by_name_and_the_others_load(
    shelf: Shelf, sale: Sale, case: str
) -> None:
    name, content, reason, words = BAD_FILES[case]
    good = Path(GOOD).with_suffix("".join(Path(name).suffixes)).name  # one shape of files a folder
    if name.endswith(".parquet"):
        frame = pl.DataFrame(
            {c: [v] for c, v in zip(HEADER.split(","), sale().split(","), strict=True)}
        )
        frame.write_parquet(shelf.landing / good)
    else:
        shelf.put(good, [sale(), sale(line=2)])
    shelf.write(name, content(sale(line=3)))

    with pytest.raises(InputError) as error:
        shelf.load("order_lines")
    assert f"{name}: {reason}" in error.value.message
    assert words in error.value.message
    assert error.value.remedy
    assert good not in error.value.message
    rows = shelf.raw("order_lines")
    assert set(rows["source_file"]) == {good}
    (unread,) = quarantine.files(shelf.brand)
    assert (unread.table, unread.file.path, unread.file.reason) == ("order_lines", name, reason)


def test_every_bad_file_is_named_in_one_error(shelf: Shelf, sale: Sale) -> None:
    shelf.write("2025-03-02.csv", b"")
    shelf.write("2025-03-03.csv", b"bill\nb1\n")
    shelf.put(GOOD, [sale()])
    with pytest.raises(InputError, match="2 landing files of orders") as error:
        shelf.load("orders")
    _, empty, short = error.value.message.splitlines()
    assert "2025-03-02.csv: empty_file" in empty
    assert read.REMEDIES["empty_file"] in empty
    assert "2025-03-03.csv: missing_column" in short
    assert read.REMEDIES["missing_column"] in short


def test_a_bad_file_is_told_once_with_the_tables_that_miss_it(shelf: Shelf, sale: Sale) -> None:
    shelf.write("2025-03-02.csv", b"")
    shelf.write("2025-03-03.csv", b"bill\nb1\n")
    shelf.put(GOOD, [sale()])
    for table in ("order_lines", "refunds", "orders"):
        with pytest.raises(UnreadError):
            shelf.load(table)
    told = quarantine.lines(quarantine.files(shelf.brand))
    assert [line.split(":")[0] for line in told] == ["2025-03-02.csv", "2025-03-03.csv"]
    assert all(line.endswith("(orders, order_lines, refunds)") for line in told)


def test_only_what_the_last_load_tried_is_told_of_it(shelf: Shelf, sale: Sale) -> None:
    """A bad file that was taken away stays in the list of files, and failed no later load."""
    shelf.put(GOOD, [sale()])
    gone = shelf.write("2025-03-02.csv", b"")
    with pytest.raises(UnreadError):
        shelf.load("orders")
    gone.unlink()
    shelf.write("2025-03-03.csv", b"")
    with pytest.raises(UnreadError):
        shelf.load("orders")
    tried = quarantine.files_of_last_loads(shelf.brand, ["orders", "refunds"])
    assert [one.file.path for one in tried] == ["2025-03-03.csv"]


def test_a_bad_file_fails_every_load_until_it_is_mended(shelf: Shelf, sale: Sale) -> None:
    shelf.write(BAD, b"")
    shelf.put(GOOD, [sale()])
    with pytest.raises(InputError):
        shelf.load("order_lines", last=date(2025, 3, 2))
    shelf.put("2025-03-03.csv", [sale(line=3)])
    with pytest.raises(InputError, match=BAD):  # though only the third day is asked for
        shelf.load("order_lines", first=date(2025, 3, 3), last=date(2025, 3, 3))
    shelf.put(BAD, [sale(line=2)])
    report = shelf.load("order_lines", first=date(2025, 3, 3), last=date(2025, 3, 3))
    assert {f.path: f.new for f in report.files} == {BAD: 1, "2025-03-03.csv": 0}
    assert quarantine.files(shelf.brand) == []
    assert shelf.raw("order_lines").height == 3


def test_rows_before_the_break_of_a_truncated_file_are_not_loaded(
    shelf: Shelf, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream hands over its first pieces before it comes to the break."""
    from pipelines import adapters
    from pipelines.core.contracts import TABLES
    from pipelines.core.ingest import loading, read

    monkeypatch.setattr(read, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(loading, "CHUNK_RECORDS", 5_000)
    columns = [*TABLES["consents"].columns, "is_deleted"]
    ids = random.Random(1)  # noqa: S311  # ids that do not compress, so that many blocks come
    lines = [
        f"{ids.getrandbits(200):x},marketing,granted,2025-03-01T10:00:00+08:00,,,false"
        for _ in range(20_000)
    ]
    whole = gzip.compress("\n".join([",".join(columns), *lines]).encode(), mtime=0)
    shelf.adapter = adapters.get("shop")
    shelf.write("2025-03-01/consents.csv.gz", whole[: len(whole) - 20])
    with pytest.raises(InputError, match="truncated_file"):
        shelf.load("consents")
    assert shelf.raw("consents").height == 0
    shelf.write("2025-03-01/consents.csv.gz", whole)
    assert shelf.load("consents").new == 20_000


def test_a_cell_that_is_not_utf8_costs_its_record_only(shelf: Shelf, sale: Sale) -> None:
    bad = sale(line=2).encode().replace(b"tea", b"caf\xe9")  # Latin-1
    shelf.put(GOOD, [sale(), bad, sale(line=3)])
    report = shelf.load("order_lines")
    assert report.reasons == {"invalid_utf8": 1}
    (row,) = shelf.held("order_lines").to_dicts()
    assert (row["source_row"], row["column"], row["value"]) == (2, "sku", r"caf\xe9")
    assert json.loads(row["original"])["bill"] == "b1"
    assert shelf.raw("order_lines")["source_row"].to_list() == [1, 3]


def test_ragged_records_keep_their_text_and_shift_no_number(shelf: Shelf, sale: Sale) -> None:
    shelf.put(
        GOOD,
        [
            sale(),
            "b1,2,tea",  # record 2, too short
            "",  # no record
            sale(line=3, sku='"two\nlines"'),  # record 3, over two lines
            sale(line=4) + ",more",  # record 4, too long
            sale(line=5),
        ],
    )
    report = shelf.load("order_lines")
    assert report.files[0].records == 5
    rows = shelf.held("order_lines")
    assert rows["source_row"].to_list() == [2, 4]
    assert rows["value"].to_list() == ["3 cells instead of 7", "8 cells instead of 7"]
    assert rows["original"][0] == '{"_text": "b1,2,tea"}'
    raw = shelf.raw("order_lines")
    assert raw["source_row"].to_list() == [1, 3, 5]
    assert raw["sku_id"].to_list() == ["tea", "two\nlines", "tea"]


@pytest.mark.parametrize(
    ("cell", "value", "reason"),
    [
        ("sold_at", "yesterday", "unparsable_sold_at"),
        ("sold_at", "2025-02-30T10:00:00+08:00", "unparsable_sold_at"),
        ("sold_at", "2025-03-01T10:00:00", "unparsable_sold_at"),  # which instant is that?
        ("amount", "5.50", "unparsable_amount"),
        ("amount", "NaN", "unparsable_amount"),
        ("sold_at", "", "refunded_at_missing"),
        ("bill", "", "refund_id_missing"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    shelf: Shelf, sale: Sale, cell: str, value: str, reason: str
) -> None:
    shelf.put(GOOD, [sale(kind="R"), sale(kind="R", line=2, **{cell: value})])
    tables = ("refunds", "order_lines")
    reports = [shelf.load(table) for table in tables]
    found = {r: n for report in reports for r, n in report.reasons.items()}
    assert found == {reason: 1}
    held = pl.concat(
        [shelf.held(r.table) for r in reports if r.quarantined],
    )
    (row,) = held.to_dicts()
    assert row["source_row"] == 2
    assert (value or None) == row["value"] or row["column"] != cell


def test_a_header_and_nothing_below_it_is_a_quiet_day(shelf: Shelf) -> None:
    shelf.put(GOOD, [])
    shelf.write(BAD, HEADER.encode())  # not even a line break
    report = shelf.load("order_lines")
    assert [(f.path, f.records, f.read) for f in report.files] == [(GOOD, 0, 0), (BAD, 0, 0)]


def test_a_byte_order_mark_is_no_part_of_the_first_column(shelf: Shelf, sale: Sale) -> None:
    shelf.write(GOOD, b"\xef\xbb\xbf" + f"{HEADER}\r\n{sale()}\r\n".encode())
    assert shelf.load("order_lines").new == 1


def test_a_missing_file_of_a_data_set_is_named(shelf: Shelf) -> None:
    from pipelines import adapters

    shelf.adapter = adapters.get("olist")
    pl.DataFrame({"product_id": ["p"], "product_category_name": ["x"]}).write_parquet(
        shelf.landing / "products.parquet"
    )
    with pytest.raises(
        InputError, match=r"product_category_name_translation\.parquet: missing_file"
    ):
        shelf.load("products")
    with pytest.raises(InputError, match=r"orders\.parquet: missing_file"):
        shelf.load("orders")
