from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.core.churn.benchmark import bench_file, report, verdicts
from pipelines.core.churn.files import read_history
from pipelines.core.churn.history import day_number
from pipelines.core.churn.peers import PEERS
from pipelines.core.errors import UsageError

HEADER = "customer_id,purchased_at,net\n"
DAY = day_number(date(2025, 3, 1))
#: More rows than are looked at to tell what kind of file it is.
MANY = "a,2025-03-01,1\n" * 30_000


def written(folder: Path, text: str) -> Path:
    path = folder / "history.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_customer_and_local_day_with_positive_net_is_one_purchase(tmp_path: Path) -> None:
    rows = (
        "b,2025-03-01 09:00:00,10.50\nb,2025-03-01T21:00:00,2\n"  # one day
        "a,2025-03-02,5\na,2025-03-02,-5\n"  # returned: no purchase
        "a,2025-03-03,7.25\n,2025-03-03,100\n"  # a guest
    )
    history = read_history(written(tmp_path, HEADER + rows))
    assert history.ids.to_pylist() == ["a", "b"]
    assert (history.day - DAY).tolist() == [2, 0]
    assert history.net.tolist() == [725.0, 1250.0]


def test_instants_are_cut_into_the_business_zones_days(tmp_path: Path) -> None:
    rows = (
        "a,2025-03-01T15:59:59Z,1\nb,2025-03-01T16:00:00+00:00,1\nc,2025-03-01T23:30:00+08:00,1\n"
        "d,2025-03-01 20:00:00 UTC,1\n"
    )
    history = read_history(written(tmp_path, HEADER + rows), "Asia/Shanghai")
    assert (history.day - DAY).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["h.parquet", "h.PARQUET", "h.pq", "h"])
def test_parquet_of_typed_columns_reads_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    at = pa.array([datetime(2025, 3, 1, 20, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
    pq.write_table(
        pa.table({"net": [3.5], "purchased_at": at, "customer_id": [17], "other": [1]}), path
    )
    history = read_history(path, "Asia/Shanghai")
    assert history.ids.to_pylist() == ["17"]
    assert (history.day - DAY).tolist() == [1]
    assert history.net.tolist() == [350.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customer_id,when,net\na,2025-03-01,1\n", "no column purchased_at"),
        (HEADER + "a,soon,1\nb,2025-03-01,1\n", "purchased_at is not an instant in 1 rows"),
        (HEADER + "b,2025-03-01,1\na,2025-03-01,much\n", "net is not .* 1 rows; row 2 says 'much'"),
        (HEADER + "a,2025-03-01,\n", "net is not a number in 1 rows; row 1 says nothing"),
        (HEADER + "a,2025-03-01,-1e40\n", "net is not within .* row 1 says '-1e40'"),
        ("", "cannot read history.csv"),
        (HEADER + MANY + "a,2025-03-01,1,more\n", "cannot read history.csv: .* Line: 30002"),
        (HEADER + MANY + "a,2025-03-01\n", "cannot read history.csv: .* Line: 30002"),
        (HEADER + "a,2025-03-01 20:00+08:00:00,1\n", "purchased_at is not an instant in 1 rows"),
        (HEADER + "a,2025-03-01 20:00 Asia/Taipei,1\n", "is not an instant in 1 rows"),
        (HEADER + "a,infinity,1\n", "purchased_at is not an instant in 1 rows"),
    ],
    ids=[
        "columns",
        "instants",
        "numbers",
        "no number",
        "too much",
        "empty",
        "a column more, late",
        "a column less, late",
        "offset",
        "zone",
        "never",
    ],
)
def test_a_bad_file_gives_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        read_history(written(tmp_path, text))
    assert "customer_id, purchased_at" in error.value.remedy


@pytest.mark.parametrize("name", ["h.parquet", "h.PQ"])
def test_parquet_that_is_none_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(HEADER, encoding="utf-8")
    with pytest.raises(UsageError, match=f"cannot read {name}"):
        read_history(tmp_path / name)


def test_a_missing_file_gives_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        read_history(tmp_path / "nowhere.csv")


def test_a_zone_that_does_not_exist_gives_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Mars/Olympus"):
        read_history(written(tmp_path, HEADER), "Mars/Olympus")


def bought(count: int) -> str:
    return "".join(f"c{i},2025-{1 + i % 6:02}-{1 + i % 28:02},1\n" for i in range(count))


@pytest.mark.parametrize(
    ("rows", "cutoff", "basis", "words"),
    [
        ("", date(2025, 1, 1), "insufficient", "no score"),
        ("a,2025-03-01,1\n", date(2025, 3, 1), "insufficient", "no score"),
        ("a,2025-03-01,1\n", date(2031, 1, 1), "insufficient", "no score"),
        (bought(400), date(2025, 2, 1), "insufficient", "no score"),
        (bought(400), date(1997, 2, 1), "insufficient", "no score"),
        (bought(400), date(2025, 6, 1), "model", "nobody knows who is silent"),
        (bought(400), date(2031, 6, 1), "model", "nobody knows who is silent"),
    ],
    ids=["nobody", "one buyer", "one long ago", "too young", "before all", "not over", "future"],
)
def test_a_cutoff_that_cannot_be_judged_has_a_basis_and_no_number(
    tmp_path: Path, rows: str, cutoff: date, basis: str, words: str
) -> None:
    lines = bench_file(written(tmp_path, HEADER + rows), [cutoff])
    assert [(line.model, line.basis, line.is_judged) for line in lines] == [("ours", basis, False)]
    assert words in report(lines)


def test_latin_letters_late_in_a_file_give_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes((HEADER + MANY + "josé,2025-03-01,1\n").encode("latin-1"))
    with pytest.raises(UsageError, match=r"cannot read history\.csv"):
        read_history(path)


def test_parquet_with_damaged_pages_gives_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "h.parquet"
    days = pa.array([f"2025-03-{1 + i % 28:02}" for i in range(5000)])
    ids, net = pa.array([f"c{i}" for i in range(5000)]), pa.array([1.0] * 5000)
    pq.write_table(pa.table({"customer_id": ids, "purchased_at": days, "net": net}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + b"\xff" * 3000 + whole[3050:])
    with pytest.raises(UsageError, match=r"cannot read h\.parquet"):
        read_history(path)


def test_a_day_in_the_future_is_no_sign_that_a_window_is_over(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + bought(400) + "z,2099-01-01,1\n")
    lines = bench_file(path, [date(2025, 6, 1)], today=date(2025, 7, 2))
    assert [line.is_judged for line in lines] == [False]
    assert "nobody knows who is silent" in report(lines)


def test_a_cutoff_after_which_all_stayed_away_is_shown_and_judges_nobody(tmp_path: Path) -> None:
    later = "z,2025-12-31,1\n"  # the history goes on, and none of its earlier buyers
    lines = bench_file(written(tmp_path, HEADER + bought(600) + later), [date(2025, 6, 30)])
    assert all(line.silent == 1.0 for line in lines)
    assert verdicts(lines) == []
    assert "all were silent" in report(lines)


def test_every_judged_cutoff_has_all_models_by_all_buyers(tmp_path: Path) -> None:
    told: list[str] = []
    path = written(tmp_path, HEADER + bought(600) + bought(300).replace("2025", "2024"))
    lines = bench_file(path, [date(2025, 2, 20), date(2025, 2, 20)], tell=told.append)
    assert len(lines) == len({(line.segment, line.model) for line in lines})
    assert {line.segment for line in lines} == {"all", "one-time", "repeat"}
    assert {line.model for line in lines} == {"ours", *PEERS}
    assert all(line.is_judged for line in lines)
    assert told[-1].endswith(list(PEERS)[-1])
    assert report(lines).count("log-loss less ours") == 1
