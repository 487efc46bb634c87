"""Scores of every member: one row each, in the schema that dbt reads back.

With a model its numbers and reasons; without one the hazard table's; too little history, neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.churn import heuristic
from pipelines.core.churn.explain import PHRASES
from pipelines.core.churn.extras import Known
from pipelines.core.churn.heuristic import EDGES, HORIZON, HazardTable
from pipelines.core.churn.history import (
    Floats,
    History,
    Snapshot,
    day_number,
    read_purchase_days,
)
from pipelines.core.churn.model import LEVEL_SAMPLE, ChurnModel
from pipelines.core.churn.numbers import logit
from pipelines.core.churn.predictions import SCHEMA, Predictions, to_table, unscored, withhold
from pipelines.core.churn.reasons import Facts, top_reasons
from pipelines.core.clock import business_day
from pipelines.core.files import atomic

#: Fewer buyers or days of history than this earn no number.
ENOUGH_BUYERS, ENOUGH_DAYS = 200, 120
HEURISTIC_VERSION = "hazard-table-1"
#: Customers that the hazard table is counted on, and customers scored at a time.
TABLE_SAMPLE, BATCH = 500_000, 250_000


@dataclass(frozen=True)
class Scoring:
    """When, for whom and with what to score.

    Members in `withheld` have not agreed to profiling and get no number. `version` names the
    model; without a model the hazard table scores. `known` is of the cut-off `today`.
    """

    as_of: datetime
    business_tz: str
    withheld: pa.Array | None = None
    model: ChurnModel | None = None
    version: str = HEURISTIC_VERSION
    known: Known | None = None

    @property
    def today(self) -> int:
        """The last day that counts."""
        return day_number(business_day(self.as_of, self.business_tz))


def score(
    purchase_days: pa.Table | Path,
    as_of: datetime,
    business_tz: str,
    withheld: pa.Array | None = None,
    model: ChurnModel | None = None,
    version: str = HEURISTIC_VERSION,
    known: Known | None = None,
) -> pa.Table:
    """Scores of all members with a purchase day before `as_of`, sorted by member.

    Equal input gives an equal table. The arguments are those of `Scoring`.
    """
    scoring = Scoring(as_of, business_tz, withheld, model, version, known)
    history = read_purchase_days(purchase_days, scoring.today)
    return pa.Table.from_batches(batches(history, scoring), SCHEMA)


def write_scores(purchase_days: pa.Table | Path, path: Path, scoring: Scoring) -> int:
    """Write the scores to `path`, atomically and a batch at a time; the number of members."""
    history = read_purchase_days(purchase_days, scoring.today)
    with atomic(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as file:
        for batch in batches(history, scoring):
            file.write_batch(batch)
    return len(history)


def batches(history: History, scoring: Scoring) -> Iterator[pa.RecordBatch]:
    """The scores of a history that ends with `scoring.today`, some customers at a time."""
    predict = _predictor(history, scoring)
    basis = "model" if scoring.model else "heuristic"
    for begin in range(0, len(history), BATCH):
        part = history.part(begin, min(begin + BATCH, len(history)))
        if predict is None:
            table = unscored(part.ids, scoring.as_of, "insufficient")
        else:
            snapshot = part.at(scoring.today)
            predictions = predict(part, snapshot)
            table = to_table(part.ids, snapshot, predictions, scoring.as_of, basis, scoring.version)
        yield from withhold(table, scoring.withheld).combine_chunks().to_batches()


def is_sufficient(history: History, today: int) -> bool:
    """Whether the brand has the buyers and the days of history that a number needs."""
    return len(history) >= ENOUGH_BUYERS and today - history.start >= ENOUGH_DAYS


def silent_by_table(history: History, cutoff: int) -> Floats:
    """What the hazard table, counted before `cutoff`, says of each buyer: P(silent 90 days)."""
    table = heuristic.learn(history.until(cutoff).sample(TABLE_SAMPLE), cutoff)
    snapshot = history.at(cutoff)
    return table.survival_at(heuristic.cells_of(snapshot, table.cycle), HORIZON)


_Predict = Callable[[History, Snapshot], Predictions]


def _predictor(history: History, scoring: Scoring) -> _Predict | None:
    """What predicts a part of the history; None where there is too little of it."""
    today = scoring.today
    if not is_sufficient(history, today):
        return None
    if scoring.model is None:
        table = heuristic.learn(history.sample(TABLE_SAMPLE), today)
        return lambda _, snapshot: _by_table(table, snapshot)
    model, known = scoring.model, scoring.known or (lambda _: None)
    sample = history.sample(LEVEL_SAMPLE)
    level = model.level(sample, today, known(sample.ids))
    return lambda part, snapshot: model.predict(part, snapshot, known(part.ids), level)


def _by_table(table: HazardTable, snapshot: Snapshot) -> Predictions:
    """What the hazard table says of each buyer, and why."""
    cells = heuristic.cells_of(snapshot, table.cycle)
    # One purchase day more of the brand's mean keeps a single large order from ruling.
    spend = (snapshot.net + table.mean_net) / (snapshot.n + 1)
    at = int(np.searchsorted(EDGES, HORIZON))
    cell = logit(table.survival[:, at])[cells.index]
    count = logit(table.by_count[:, at])[cells.count]
    contributions = np.column_stack([cell - count, count - logit(table.overall[at])])
    ideas = [PHRASES["rhythm"], PHRASES["frequency"]]
    return Predictions(
        survival=table.survival[cells.index],
        net=spend * table.days_next_year[cells.index],
        reasons=top_reasons(contributions, ideas, _facts(snapshot, cells.cycle)),
    )


def _facts(snapshot: Snapshot, cycle: Floats) -> Facts:
    """The numbers that the hazard table's reasons name; the cycle is the one that cells go by."""
    return {
        "n": snapshot.n,
        "recency": snapshot.recency,
        "tenure": snapshot.cutoff - snapshot.first,
        "cycle": np.rint(cycle).astype(np.int64),
    }
