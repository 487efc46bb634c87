"""What is predicted of members, and the table of it that dbt reads back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn.heuristic import EDGES, HORIZON
from pipelines.core.churn.history import Floats, Snapshot

MICROSECONDS_AN_HOUR = 3_600_000_000
#: Beyond this a double does not count in ones.
MOST_MINOR = 2.0**53
LEAST_STAY = 1e-300
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


@dataclass(frozen=True)
class Predictions:
    """What is predicted of each buyer of a snapshot.

    `survival` is P(no purchase day within `EDGES` days); `net` that of the coming 365 days.
    """

    survival: Floats
    net: Floats
    reasons: pa.ListArray


def to_table(
    ids: pa.Array,
    snapshot: Snapshot,
    predictions: Predictions,
    as_of: datetime,
    basis: str,
    version: str,
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
        "predicted_net_365d_minor": whole(predictions.net),
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


def stay(survival: Floats, days: int) -> Floats:
    """P(no purchase within `days`), which `EDGES` span; the hazard between two is constant."""
    edges = np.concatenate([[0], EDGES])
    after = int(np.searchsorted(edges, days))
    logs = np.log(np.maximum(np.column_stack([np.ones(len(survival)), survival]), LEAST_STAY))
    if not after:
        return np.ones(len(survival))
    share = (days - edges[after - 1]) / (edges[after] - edges[after - 1])
    p: Floats = np.exp(logs[:, after - 1] + share * (logs[:, after] - logs[:, after - 1]))
    return p


def whole(amounts: Floats) -> pa.Array:
    """Amounts in whole minor units; what no int64 holds becomes the largest that a double counts.

    No brand sells for that much: a number that wrapped round to a loss would be read as one.
    """
    return pa.array(np.rint(np.clip(amounts, -MOST_MINOR, MOST_MINOR)).astype(np.int64))


def _instants(as_of: datetime, days: Floats) -> pa.Array:
    """`as_of` plus days, to the hour; null where there are none."""
    unknown = np.isnan(days)
    hours = np.rint(np.where(unknown, 0.0, days) * 24).astype(np.int64)
    begin = pa.scalar(as_of, INSTANT).value
    return pa.array(begin + hours * MICROSECONDS_AN_HOUR, mask=unknown).cast(INSTANT)


def unscored(ids: pa.Array, as_of: datetime, basis: str) -> pa.Table:
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
