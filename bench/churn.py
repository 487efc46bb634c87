"""How good the churn model is, and how fast.

`python -m bench.churn` compares it with its peers on real histories (`HUITOU_REAL_DATA`, by
default the folder `data` beside the repository's) and on a synthetic shop with known truth;
`--file F --cutoff T…` on any history of three columns; `--speed` measures what stands in
`churn_speed.py`.
`HUITOU_BENCH_PYTHON` names an interpreter with `requirements-bench.lock`: BG/NBD and Pareto/NBD
then come from pymc-marketing, else from fits of our own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import spearmanr

from pipelines.core.churn import learn as learning
from pipelines.core.churn.benchmark import Line, bench_file, bench_history, report
from pipelines.core.churn.btyd import Customers
from pipelines.core.churn.files import read_history
from pipelines.core.churn.history import Floats, History, day_number
from pipelines.core.churn.peers import PEERS, Peer, Question
from pipelines.core.churn.predictions import INSTANT
from pipelines.core.churn.score import Scoring, batches
from pipelines.core.shop import Dirt, ShopConfig, generate

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("HUITOU_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
CACHE = REPOSITORY / ".bench"
STDERR_SHOWN = 4_000
BTYD_PEERS = ("BG/NBD", "Pareto/NBD")

#: Real histories as three columns, in local time of the shop, and the cut-offs to judge at.
HISTORIES = {
    "online_retail_ii": (
        """
        select customer_id, invoice_ts as purchased_at, quantity * unit_price as net
        from (
            select *, min(sheet) over (partition by invoice) as first_sheet
            from read_parquet('{real}/online_retail_ii/lines.parquet')
        )
        where sheet = first_sheet and customer_id is not null
        """,
        ("2011-05-31", "2011-06-30", "2011-07-31", "2011-08-31"),
    ),
    "completejourney": (
        """
        select household_id as customer_id, sales_value as net,
               transaction_timestamp at time zone 'UTC' at time zone 'America/New_York'
                   as purchased_at
        from read_parquet('{real}/completejourney/transactions_sample.parquet')
        """,
        ("2017-06-30", "2017-09-30"),
    ),
}
ORDERS = """
    select member_id as customer_id, ordered_at as purchased_at, paid_minor / 100 as net
    from read_csv('{landing}/*/orders.csv.gz', all_varchar = false)
    where member_id is not null and status in ('paid', 'shipped', 'completed')
        and order_kind = 'normal'
    qualify row_number() over (partition by order_id order by filename desc) = 1
"""
SHOP = ShopConfig(members=8_000, days=800, dirt=Dirt.none())
SHOP_TZ = "Asia/Shanghai"
SHOP_CUTOFFS = (480, 570, 700)
#: How far from a half the share of purchases inside their interval of 25 to 75 % may lie.
COVER_MARGIN = 0.05


def from_library(question: Question, model: str) -> Floats:
    """The predictions of pymc-marketing, kept in `.bench` by the hash of what they depend on."""
    customers = Customers.of(question.now)
    rows = pa.table(
        {
            "customer_id": np.arange(len(customers.age)),
            "frequency": customers.repeats,
            "recency": customers.last,
            "T": customers.age,
        }
    )
    content = b"".join(rows[name].to_numpy().tobytes() for name in rows.column_names)
    kept = CACHE / f"{hashlib.sha256(content + model.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        CACHE.mkdir(exist_ok=True)
        source = kept.with_suffix(".parquet")
        pq.write_table(rows, source)
        script = REPOSITORY / "bench" / "churn_btyd.py"
        words = [os.environ["HUITOU_BENCH_PYTHON"], str(script), str(source), model, str(kept)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        source.unlink()
        if done.returncode:
            message = f"{model} of pymc-marketing failed:\n{done.stderr[-STDERR_SHOWN:]}"
            raise SystemExit(message)
    return np.array(json.loads(kept.read_text(encoding="utf-8")))


def contenders() -> Mapping[str, Peer]:
    """The peers; the buy-till-you-die models from the library where there is one."""
    if "HUITOU_BENCH_PYTHON" not in os.environ:
        return PEERS
    library: dict[str, Peer] = {
        f"{name} (pymc-marketing)": lambda question, name=name: from_library(question, name)
        for name in BTYD_PEERS
    }
    return {**PEERS, **library}


def real(peers: Mapping[str, Peer]) -> list[Line]:
    """The benchmark on the real histories."""
    lines: list[Line] = []
    for name, (query, cutoffs) in HISTORIES.items():
        history = read_query(query.format(real=REAL))
        lines += bench_history(name, history, [date.fromisoformat(c) for c in cutoffs], peers)
    return lines


def read_query(query: str, business_tz: str = "UTC") -> History:
    """The history that a query gives, by the same way as any file."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        path = Path(folder) / "history.parquet"
        connection.sql(query).write_parquet(str(path))
        return read_history(path, business_tz)


def synthetic(peers: Mapping[str, Peer]) -> list[Line]:
    """The benchmark on the synthetic shop, and what only its truth can tell."""
    with tempfile.TemporaryDirectory() as folder:
        generate(SHOP, Path(folder))
        history = read_query(ORDERS.format(landing=f"{folder}/landing"), SHOP_TZ)
        truth = pq.read_table(Path(folder) / "truth" / "members.parquet")
    cutoffs = [SHOP.first + timedelta(days=days) for days in SHOP_CUTOFFS]
    covers = []
    for cutoff in cutoffs:
        words, cover = against_truth(history, truth, cutoff)
        print(words)
        covers.append(cover)
    mean = float(np.mean(covers))
    holds = "ok  " if abs(mean - 0.5) <= COVER_MARGIN else "MISS"
    print(f"{holds} synthetic shop: expected-order intervals cover {mean:.3f} on the mean\n")
    return bench_history("synthetic shop", history, cutoffs, peers)


def against_truth(history: History, truth: pa.Table, cutoff: date) -> tuple[str, float]:
    """Words on rank correlation with the drawn truth, and what the intervals cover.

    The truth is a member's chance to stay silent for 90 days given the cycle that was drawn and
    whether the member had left by then.
    """
    today = day_number(cutoff)
    known = history.until(today)
    model = learning.learn(known, today)
    if model is None:
        return f"synthetic shop {cutoff}: nothing to learn from", float("nan")
    as_of = datetime(cutoff.year, cutoff.month, cutoff.day, 16, tzinfo=UTC)
    scores = pa.Table.from_batches(batches(known, Scoring(as_of, SHOP_TZ, model=model)))
    snapshot = history.at(today)
    said = scores["p_churn_90d"].to_numpy()
    place = {member: i for i, member in enumerate(truth["member_id"].to_pylist())}
    rows = [place[member] for member in scores["member_id"].to_pylist()]
    mine = truth.take(pa.array(rows))
    leaves = mine["leaves_on"].cast(pa.int32()).fill_null(2**30).to_numpy()
    chance = drawn_silence(
        snapshot.recency, mine["cycle_days"].to_numpy(), mine["gap_shape"].to_numpy()
    )
    chance = np.where(leaves <= today, 1.0, chance)
    once = np.array(mine["kind"].to_pylist()) == "once"
    lasting = ~once & (leaves > today + 90)
    cover = coverage(scores, snapshot.gap, as_of)
    words = (
        f"synthetic shop {cutoff}: rank correlation with the drawn chance "
        f"{spearmanr(said, chance).statistic:.3f}; mean p of one-and-done {said[once].mean():.3f}, "
        f"of repeaters who stay {said[lasting].mean():.3f}; "
        f"expected-order intervals cover {cover:.3f}"
    )
    return words, cover


def drawn_silence(recency: np.ndarray, cycle: Floats, shape: np.ndarray) -> Floats:
    """P(gap > recency + 90 | gap > recency) of gamma-distributed gaps."""
    from scipy.stats import gamma

    law = gamma(shape, scale=cycle / shape)
    chance: Floats = np.exp(law.logsf(recency + 90) - law.logsf(recency))
    return chance


def coverage(scores: pa.Table, gap: np.ndarray, as_of: datetime) -> float:
    """The share of members with an interval whose next purchase lay inside it."""
    ends = [
        (scores[f"expected_next_order_{end}"].cast(INSTANT).cast(pa.int64()).to_numpy())
        for end in ("lo", "hi")
    ]
    begin = int(as_of.timestamp() * 1e6)
    low, high = ((end - begin) / 86.4e9 for end in ends)
    whole = ~np.isnan(low) & ~np.isnan(high)
    came = np.where(gap > 0, gap - 0.4, np.inf)  # purchases fall in the afternoon of their day
    return float(((low <= came) & (came <= high))[whole].mean())


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, help="a history of customer_id, purchased_at, net")
    parser.add_argument("--cutoff", nargs="+", type=date.fromisoformat, default=[])
    parser.add_argument("--business-tz", default="UTC")
    parser.add_argument("--only", choices=["real", "synthetic"])
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--members", type=int, default=5_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    if asked.speed:
        from bench.churn_speed import speed

        print("\n".join(speed(asked.members, asked.rows)))
        return
    if asked.file:
        print(report(bench_file(asked.file, asked.cutoff, asked.business_tz, contenders())))
        return
    peers = contenders()
    lines = real(peers) if asked.only != "synthetic" else []
    lines += synthetic(peers) if asked.only != "real" else []
    print(report(lines))


if __name__ == "__main__":
    main()
