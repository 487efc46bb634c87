"""Scores of every member: one row each, in the schema that dbt reads back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn import heuristic
from pipelines.core.churn.heuristic import EDGES, HORIZON, Cells, HazardTable
from pipelines.core.churn.history import (
    Floats,
    History,
    Snapshot,
    day_number,
    read_purchase_days,
)
from pipelines.core.churn.reasons import Facts, Phrase, top_reasons
from pipelines.core.clock import business_day

#: Fewer buyers or days of history than this earn no number.
LEAST_BUYERS, LEAST_DAYS = 200, 120
HEURISTIC_VERSION = "hazard-table-1"
MICROSECONDS_AN_HOUR = 3_600_000_000

INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("member_id", pa.string()),
        ("p_churn_90d", pa.float64()),
        ("p_buy_30d", pa.float64()),
        ("p_second_purchase_60d", pa.float64()),
        ("expected_next_order_at", INSTANT),
        ("expected_next_order_lo", INSTANT),
        ("expected_next_order_hi", INSTANT),
        ("predicted_net_365d_minor", pa.int64()),
        ("reasons", pa.list_(pa.string())),
        ("basis", pa.string()),
        ("model_version", pa.string()),
        ("scored_at", INSTANT),
    ]
)

PHRASES = (
    (
        Phrase(
            "recency",
            "bought once, {recency} days ago",
            "只買過一次，距今 {recency} 天",
            lambda facts: facts["n"] == 1,
        ),
        Phrase(
            "rhythm",
            "usually buys every {cycle} days, now {recency}",
            "通常每 {cycle} 天買一次，現已 {recency} 天",
        ),
    ),
    (
        Phrase(
            "one_time",
            "has bought only once",
            "至今只買過一次",
            lambda facts: facts["n"] == 1,
        ),
        Phrase("frequency", "has bought on {n} days", "至今在 {n} 天買過"),
    ),
)


@dataclass(frozen=True)
class Predictions:
    """What is predicted of each buyer of a snapshot.

    `survival` is P(no purchase day within `EDGES` days); `net` that of the coming 365 days.
    """

    survival: Floats
    net: Floats
    reasons: pa.ListArray


def score(
    purchase_days: pa.Table | Path,
    as_of: datetime,
    business_tz: str,
    withheld: pa.Array | None = None,
) -> pa.Table:
    """Scores of all members with a purchase day before `as_of`, sorted by member.

    Equal input gives an equal table. Members in `withheld` have not agreed to profiling and
    get no number.
    """
    history = read_purchase_days(purchase_days, day_number(business_day(as_of, business_tz)))
    return score_history(history, as_of, business_tz, withheld)


def score_history(
    history: History, as_of: datetime, business_tz: str, withheld: pa.Array | None = None
) -> pa.Table:
    """As `score`, of a history already read."""
    today = day_number(business_day(as_of, business_tz))
    snapshot = history.at(today)
    ids = history.ids.take(pa.array(snapshot.row))
    if not is_sufficient(history, today):
        return _unscored(ids, as_of, "insufficient")
    predictions = predict(heuristic.learn(history, today), snapshot)
    return withhold(to_table(ids, snapshot, predictions, as_of), withheld)


def is_sufficient(history: History, today: int) -> bool:
    """Whether the brand has the buyers and the days of history that a number needs."""
    return len(history) >= LEAST_BUYERS and today - history.start >= LEAST_DAYS


def predict(table: HazardTable, snapshot: Snapshot) -> Predictions:
    """What the hazard table says of each buyer, and why."""
    cells = heuristic.cells_of(snapshot)
    # One purchase day more of the brand's mean keeps a single large order from ruling.
    spend = (snapshot.net + table.mean_net) / (snapshot.n + 1)
    return Predictions(
        survival=table.survival[cells.index],
        net=spend * table.days_next_year[cells.index],
        reasons=top_reasons(_contributions(table, cells), PHRASES, facts_of(snapshot)),
    )


def facts_of(snapshot: Snapshot) -> Facts:
    """The numbers that reasons name."""
    cycle = np.maximum(np.rint(snapshot.mean_gap), 1).astype(np.int64)
    return {"n": snapshot.n, "recency": snapshot.recency, "cycle": cycle}


def _contributions(table: HazardTable, cells: Cells) -> Floats:
    """How far recency given the count, and the count, move the log-odds from the brand's."""
    at = int(np.searchsorted(EDGES, HORIZON))
    cell = logit(table.survival[:, at])[cells.index]
    count = logit(table.by_count[:, at])[cells.count]
    return np.column_stack([cell - count, count - logit(table.overall[at])])


def logit(p: Floats) -> Floats:
    """Log-odds, finite for every p."""
    q = np.clip(p, 1e-9, 1 - 1e-9)
    odds: Floats = np.log(q) - np.log1p(-q)
    return odds


def to_table(
    ids: pa.Array,
    snapshot: Snapshot,
    predictions: Predictions,
    as_of: datetime,
    basis: str = "heuristic",
    version: str = HEURISTIC_VERSION,
) -> pa.Table:
    """Predictions as rows of `SCHEMA`."""
    survival = predictions.survival
    second = 1 - survival[:, np.searchsorted(EDGES, 60)]
    columns = {
        "member_id": ids,
        "p_churn_90d": pa.array(survival[:, np.searchsorted(EDGES, HORIZON)]),
        "p_buy_30d": pa.array(1 - survival[:, np.searchsorted(EDGES, 30)]),
        "p_second_purchase_60d": pa.array(second, mask=snapshot.n > 1),
        "expected_next_order_at": _instants(as_of, quantile(survival, 0.5)),
        "expected_next_order_lo": _instants(as_of, quantile(survival, 0.25)),
        "expected_next_order_hi": _instants(as_of, quantile(survival, 0.75)),
        "predicted_net_365d_minor": pa.array(np.rint(predictions.net).astype(np.int64)),
        "reasons": predictions.reasons,
        "basis": pa.repeat(pa.scalar(basis), len(ids)),
        "model_version": pa.repeat(pa.scalar(version), len(ids)),
        "scored_at": pa.repeat(pa.scalar(as_of, INSTANT), len(ids)),
    }
    return pa.table(columns, schema=SCHEMA)


def quantile(survival: Floats, share: float) -> Floats:
    """Days until that share of members like this one has bought; NaN beyond 26 weeks."""
    below = survival <= 1 - share
    at = below.argmax(1)
    rows = np.arange(len(survival))
    before = np.where(at > 0, survival[rows, at - 1], 1.0)
    start = np.where(at > 0, EDGES[at - 1], 0)
    drop = np.maximum(before - survival[rows, at], 1e-12)
    days = start + (EDGES[at] - start) * (before - (1 - share)) / drop
    return np.where(below.any(1), days, np.nan)


def _instants(as_of: datetime, days: Floats) -> pa.Array:
    """`as_of` plus days, to the hour; null where there are none."""
    unknown = np.isnan(days)
    hours = np.rint(np.where(unknown, 0.0, days) * 24).astype(np.int64)
    begin = pa.scalar(as_of, INSTANT).value
    return pa.array(begin + hours * MICROSECONDS_AN_HOUR, mask=unknown).cast(INSTANT)


def _unscored(ids: pa.Array, as_of: datetime, basis: str) -> pa.Table:
    """Rows that say why there is no number."""
    known = {
        "member_id": ids,
        "basis": pa.repeat(pa.scalar(basis), len(ids)),
        "scored_at": pa.repeat(pa.scalar(as_of, INSTANT), len(ids)),
    }
    columns = [known.get(field.name, pa.nulls(len(ids), field.type)) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def withhold(scores: pa.Table, withheld: pa.Array | None) -> pa.Table:
    """The scores without those of members who have not agreed to profiling."""
    if withheld is None or not len(withheld):
        return scores
    hidden = pc.is_in(scores["member_id"], value_set=withheld)
    kept = {"member_id", "basis", "scored_at"}
    columns = []
    for field in SCHEMA:
        column = scores[field.name]
        if field.name == "basis":
            column = pc.if_else(hidden, "consent_withheld", column)
        elif field.name not in kept:
            column = pc.if_else(hidden, pa.scalar(None, field.type), column)
        columns.append(column)
    return pa.table(columns, schema=SCHEMA)
