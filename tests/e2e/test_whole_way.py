"""A shop drawn, its nights run, one served; then the same again, and a file that is broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.core.home import DBT_PROJECT, REPOSITORY, Brand
from pipelines.online.access.erasures import erase_online

Huitou = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo(huitou: Huitou) -> str:
    """What `huitou demo` prints; three nights of a small shop."""
    return huitou("demo", "--members", "800", "--days", "160").stdout


@pytest.fixture(scope="module")
def brand(home: Path, demo: str) -> Path:
    return home / "brands" / "demo"


def last_night(brand: Path) -> date:
    return max(date.fromisoformat(day.name) for day in (brand / "shop" / "landing").iterdir())


def shown_member(demo: str) -> str:
    return demo.split("\nmember ")[1].split(",", maxsplit=1)[0]


def stored(brand: Path, *folders: str) -> dict[str, int]:
    """Every Parquet file below the folders, with its size."""
    return {
        str(path.relative_to(brand)): path.stat().st_size
        for folder in folders
        for path in sorted((brand / folder).rglob("*.parquet"))
    }


def test_the_demo_counts_rows_rates_and_bands_and_answers_for_a_member(demo: str) -> None:
    assert "accounted for" in demo
    assert "user repurchase rate, 365d" in demo
    assert "order repurchase rate, 365d" in demo
    assert "active members, 90d" in demo
    assert "churn risk, members by band" in demo
    assert "member_orders_v1" in demo
    assert "last_order_at" in demo
    for suggestion in ("huitou member", "make serve", "make dev"):
        assert suggestion in demo


def features_built(brand: Path) -> dict[str, int]:
    """Rows of every feature model in the warehouse: what must have reached the online store."""
    views = sorted(path.stem for path in (DBT_PROJECT / "models" / "features").glob("*.sql"))
    with duckdb.connect(str(brand / "warehouse.duckdb"), read_only=True) as warehouse:
        return {
            view: warehouse.table(f"features.{view}").count("*").fetchall()[0][0] for view in views
        }


def test_online_equals_the_log_for_every_member(huitou: Huitou, brand: Path) -> None:
    answer = huitou("parity", "--brand", brand.name).stdout
    rows = [line.split() for line in answer.splitlines() if line.strip().startswith("member_")]
    compared = {view: int(members.replace(",", "")) for view, members, *_ in rows}
    assert compared == features_built(brand)
    assert compared["member_orders_v1"] > 100
    for _, members, cells, differing, orphans, *_ in rows:
        assert int(cells.replace(",", "")) > int(members.replace(",", ""))
        assert (differing, orphans) == ("0", "0")


def test_the_same_run_twice_adds_nothing_anywhere(huitou: Huitou, brand: Path) -> None:
    before = stored(brand, "lake/raw", "lake/quarantine", "log")
    day = last_night(brand).isoformat()

    answer = huitou("run", "--brand", "demo", "--as-of", day, "--known-at", "as-of").stdout

    assert stored(brand, "lake/raw", "lake/quarantine", "log") == before
    assert "feature log: 0 changed rows, 0 tombstones; online store: 0 written, 0 deleted" in answer


def test_a_broken_file_is_named_and_what_was_served_stays_served(
    huitou: Huitou, brand: Path, demo: str
) -> None:
    landing, night = brand / "shop" / "landing", last_night(brand)
    ask = ("member", shown_member(demo), "--brand", "demo", "--now", "as-of", "--json")
    before = json.loads(huitou(*ask).stdout)
    broken = landing / night.isoformat() / "orders.csv.gz"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    try:
        failed = huitou("run", "--brand", "demo", "--as-of", night.isoformat(), exit_code=4)

        assert f"{night}/orders.csv.gz" in failed.stderr
        assert "truncated" in failed.stderr
        assert "remedy" in failed.stderr
        after = json.loads(huitou(*ask).stdout)
        assert after["features"] == before["features"]
        listed = huitou("quarantine", "list", "--brand", "demo").stdout
        assert f"{night}/orders.csv.gz" in listed
    finally:
        broken.write_bytes(whole)


def test_what_lies_in_the_future_is_refused_before_anything_is_done(
    huitou: Huitou, brand: Path
) -> None:
    """Published, it would stand in the way of every true night until then."""
    night = last_night(brand)
    today, ahead = (datetime.now(ZoneInfo("Asia/Shanghai")) + timedelta(days=d) for d in (0, 2))
    early = (night - timedelta(days=30)).isoformat()
    run, train = ("run", "--brand", "demo"), ("model", "train", "--brand", "demo")
    for command, day, more, said in (
        (run, today.date().isoformat(), (), "the day is not over"),
        (train, today.date().isoformat(), (), "the day is not over"),
        (run, night.isoformat(), ("--known-at", ahead.isoformat()), "nothing can be known"),
        (run, early, ("--known-at", "as-of"), "comes after one known at"),
    ):
        failed = huitou(*command, "--as-of", day, *more, exit_code=2)
        assert said in failed.stderr
        assert "remedy" in failed.stderr
        assert "nightly" not in failed.stdout


def others(brand: Path, shown: str) -> list[str]:
    """Two buyers who agree to profiling, other than the one who is shown."""
    query = """
        select distinct member_id from marts.mart_purchase_days
        join marts.mart_member_contact using (member_id)
        where consent_profiling and member_id <> $shown order by member_id limit 2
    """
    with duckdb.connect(str(brand / "warehouse.duckdb"), read_only=True) as warehouse:
        return [row[0] for row in warehouse.sql(query, params={"shown": shown}).fetchall()]


def test_a_model_is_trained_tried_and_used_and_says_why(
    huitou: Huitou, brand: Path, demo: str
) -> None:
    day = last_night(brand).isoformat()
    before, during = others(brand, shown_member(demo))
    erase_online(Brand(brand), [before])

    trained = huitou("model", "train", "--brand", "demo", "--as-of", day).stdout

    assert "no past cut-off to try the model on: what is served stays" in trained
    (version,) = [path.parent.name for path in (brand / "models").glob("*/manifest.json")]
    (story,) = (brand / "models" / "training").glob("*.json")
    told = json.loads(story.read_text(encoding="utf-8"))
    assert told["service"] == "churn_train_v1"
    assert told["cutoffs"][-1] > told["cutoffs"][0]
    buyers = "select distinct member_id from marts.mart_purchase_days"
    withdrew = "select member_id from marts.mart_member_contact where not consent_profiling"
    with duckdb.connect(str(brand / "warehouse.duckdb"), read_only=True) as warehouse:
        agreed = {row[0] for row in warehouse.sql(f"{buyers} except {withdrew}").fetchall()}
    learnt_from = pq.read_table(story.with_suffix(""))["member_id"].to_pylist()
    assert set(learnt_from) == agreed - {before}
    erase_online(Brand(brand), [during])
    left = pq.read_table(story.with_suffix(""))["member_id"].to_pylist()
    assert set(left) == agreed - {before, during}
    huitou("model", "use", version, "--brand", "demo")
    huitou("run", "--brand", "demo", "--as-of", day)
    ask = ("--brand", "demo", "--service", "coupon_engine_v1", "--now", "as-of", "--json")
    answer = json.loads(huitou("member", shown_member(demo), *ask).stdout)
    risk = {name: one["value"] for name, one in answer["features"]["member_risk_v1"].items()}
    assert (risk["basis"], risk["model_version"]) == ("model", version)
    assert 0 < risk["p_churn_90d"] < 1
    assert risk["churn_band"] in {"high", "mid", "low"}
    assert risk["reasons"]
    assert not (brand / "scores" / ".purchase_days.parquet").exists()
    used = [line.split()[:2] for line in huitou("model", "list").stdout.splitlines()]
    assert ["→", version] in used
    back = huitou("model", "use", "heuristic", "--brand", "demo").stdout
    assert back == "heuristic scores from the next run on\n"
    used = [line.split()[:2] for line in huitou("model", "list").stdout.splitlines()]
    assert ["→", "heuristic"] in used


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--as-of", "2025-02-30"), "is not a date"),
        (("run", "--as-of", "2025-02-28", "--source", "nowhere", "--landing", "."), "no adapter"),
        (
            ("run", "--as-of", "2025-02-28", "--source", "shop", "--landing", "not/there"),
            "does not exist",
        ),
        (("member", "M1", "--brand", "nobody"), "nobody"),
        (("run", "--as-of", "2025-02-28", "--brand", "Not A Name"), "cannot name a brand"),
    ],
    ids=["no-date", "no-source", "no-folder", "no-brand", "bad-name"],
)
def test_a_wrong_call_gets_one_error_with_its_remedy(
    huitou: Huitou, words: tuple[str, ...], said: str
) -> None:
    failed = huitou(*words, exit_code=2)
    assert said in failed.stderr
    assert "remedy:" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_examples_of_the_features_page_run(
    home: Path, demo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "features.md").read_text(encoding="utf-8")
    monkeypatch.setenv("HUITOU_HOME", str(home))
    monkeypatch.setenv("HUITOU_BRAND", "demo")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "churn_train.parquet").num_rows == 1
