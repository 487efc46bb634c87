"""Whatever lands, in whatever order: no record lost or doubled, no version lost or doubled."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.core.ingest import accounting, summary

Shelf = Any
Sale = Callable[..., str]
HEADER = b"bill,line,sku,qty,amount,sold_at,kind"
EVERY_EXAMPLE = settings(
    max_examples=110,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

#: kind of record -> (cells that make it, the table that takes it, its reason; "" if it is fine)
KINDS: dict[str, tuple[dict[str, object], str, str]] = {
    "sale": ({}, "order_lines", ""),
    "text with comma, quote and line break": (
        {"sku": '"a ""b"", c\nd"'},
        "order_lines",
        "",
    ),
    "return": ({"kind": "R"}, "refunds", ""),
    "free return": ({"kind": "R", "amount": 0}, "refunds", "amount_not_positive"),
    "training": ({"kind": "T"}, "order_lines", "training"),
    "no quantity": ({"qty": ""}, "order_lines", "qty_missing"),
    "bad quantity": ({"qty": "two"}, "order_lines", "unparsable_qty"),
    "bad time of a return": ({"kind": "R", "sold_at": "?"}, "refunds", "unparsable_sold_at"),
    "zero": ({"qty": 0}, "order_lines", "qty_not_positive"),
    "no id": ({"bill": ""}, "order_lines", "order_line_id_missing"),
}
BROKEN = {
    "too short": (b"b1,2", "ragged_row"),
    "too long": (b"b1,2,tea,1,500,2025-03-01T10:00:00+08:00,S,,,", "ragged_row"),
    "not UTF-8": (b"b1,2,caf\xe9,1,500,2025-03-01T10:00:00+08:00,S", "invalid_utf8"),
}
records = st.lists(st.sampled_from([*KINDS, *BROKEN, "blank line"]), max_size=25)


@EVERY_EXAMPLE
@given(content=records, zipped=st.booleans(), chunk=st.sampled_from([2, 250_000]))
def test_every_record_comes_out_exactly_once_with_its_number_and_reason(
    shelves: Callable[[], Shelf], sale: Sale, content: list[str], zipped: bool, chunk: int
) -> None:
    shelf = shelves()
    lines: list[bytes] = []
    expected: dict[int, tuple[str, str]] = {}  # record number -> (table, reason)
    for kind in content:
        if kind == "blank line":
            lines.append(b"")
            continue
        number = len(expected) + 1
        if kind in KINDS:
            cells, table, reason = KINDS[kind]
            lines.append(sale(**{"line": number, **cells}).encode())
            expected[number] = table, reason
        else:
            line, reason = BROKEN[kind]
            lines.append(line)
            expected[number] = "order_lines", reason
    if expected and all(reason == "invalid_utf8" for _, reason in expected.values()):
        return  # a file without one readable record fails as a whole
    raw = b"\n".join([HEADER, *lines]) + b"\n"
    name = "2025-03-01.csv" + (".gz" if zipped else "")
    shelf.write(name, gzip.compress(raw) if zipped else raw)

    for table in ("order_lines", "refunds"):
        report = shelf.load(table)
        assert report.read == report.accepted + report.quarantined
        assert report.accepted == report.new + report.unchanged
        good = {n for n, (t, reason) in expected.items() if t == table and not reason}
        bad = {n: reason for n, (t, reason) in expected.items() if t == table and reason}
        assert set(shelf.raw(table)["source_row"]) == good
        if bad:
            held = shelf.held(table)
            assert dict(held.select("source_row", "reason").iter_rows()) == bad
            assert held.height == len(bad)
            assert all(json.loads(original) for original in held["original"])
    (account,) = accounting(shelf.brand)
    assert account.records == len(expected) == account.accounted
    assert account.is_complete


#: A landing day's rows: (id, content). Each inner list of days is loaded together.
days = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2)), max_size=4)
histories = st.lists(st.lists(days, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(EVERY_EXAMPLE, max_examples=50)
@given(history=histories)
def test_versions_are_what_a_ledger_of_changes_would_hold(
    shelves: Callable[[], Shelf], sale: Sale, history: list[list[list[tuple[str, int]]]]
) -> None:
    shelf = shelves()
    ledger: dict[str, list[int]] = {"a": [], "b": []}
    read = day = 0
    for together in history:
        for rows in together:
            day += 1
            name = (date(2025, 3, 1) + timedelta(days=day)).isoformat()
            shelf.put(f"{name}.csv", [sale(bill=one, amount=amount) for one, amount in rows])
            read += len(rows)
            for one, amount in rows:
                if ledger[one][-1:] != [amount]:
                    ledger[one].append(amount)
        shelf.load("order_lines")

    raw = shelf.raw("order_lines")
    held = {one: raw.filter(order_id=one)["unit_price_minor"].to_list() for one in ("a", "b")}
    assert held == ledger
    total = next(row for row in summary(shelf.brand) if row.table == "order_lines")
    assert (total.read, total.new) == (read, sum(map(len, ledger.values())))
    assert total.accepted == total.new + total.unchanged == read


@settings(EVERY_EXAMPLE, max_examples=15)
@given(order=st.permutations(range(4)), split=st.integers(1, 3))
def test_the_rows_held_do_not_depend_on_how_loads_are_cut(
    shelves: Callable[[], Shelf], sale: Sale, order: list[int], split: int
) -> None:
    """Distinct rows in four files: any order of arrival, in one load or two, holds the same."""
    shelf = shelves()
    for part in (order[:split], order[split:]):
        for n in part:
            rows = [sale(bill=n, line=line) for line in range(3)]
            shelf.put(f"2025-03-0{n + 1}.csv", rows)
        shelf.load("order_lines")
    raw = shelf.raw("order_lines")
    assert sorted(raw["source_row_id"]) == sorted(
        f"{n}/{line}" for n in range(4) for line in range(3)
    )
    assert dict(raw.select("source_row_id", "source_file").iter_rows())["2/1"] == "2025-03-03.csv"
