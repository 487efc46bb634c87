"""The hazard table: how often customers like this one bought again, counted, nothing fitted.

A cell is (purchase days so far, time since the last one in units of the customer's own cycle).
The table is the floor that every model must beat, and what a young brand is served.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.churn.history import Floats, History, Ints, Snapshot

HORIZON = 90
WEEKS = 26
#: Days after the cut-off between which hazards are counted: the days of the first week, weeks,
#: and the served horizons.
EDGES: Ints = np.unique([*range(1, 7), *range(7, 7 * WEEKS + 1, 7), 10, 30, 60, HORIZON])
COUNTS = np.array([1, 2, 3, 4, 6, 10])
RATIOS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0])
#: Purchase days from which a cycle is the customer's own.
OWN_CYCLE = 4
CYCLE_DAYS, CYCLE_RANGE = 45.0, (7.0, 180.0)
#: Days between cut-offs that are looked back to, and how many of them the table counts.
STEP, TABLE_CUTOFFS = 30, 12
#: Weight, in members, of the wider group that a thin cell leans on.
PRIOR = 20.0
DAYS_A_YEAR = 365


@dataclass(frozen=True)
class Cells:
    """Where each member of a snapshot falls in the table."""

    count: Ints
    ratio: Ints
    cycle: Floats

    @property
    def index(self) -> Ints:
        """The cell's row in the table."""
        return self.count * len(RATIOS) + self.ratio


@dataclass(frozen=True)
class HazardTable:
    """Survival by cell at `EDGES`, and the mean purchase days of the coming year.

    `by_count` and `overall` are the margins: what is known before the recency, or anything, is.
    """

    survival: Floats
    by_count: Floats
    overall: Floats
    days_next_year: Floats
    mean_net: float
    cycle: float
    cutoffs: tuple[int, ...]

    def survival_at(self, cells: Cells, days: int) -> Floats:
        """P(no purchase day in the next `days`), `days` one of `EDGES`."""
        stay: Floats = self.survival[cells.index, np.searchsorted(EDGES, days)]
        return stay


def cells_of(snapshot: Snapshot, brand: float) -> Cells:
    """The table's cell of each buyer; a cycle leans on the brand's until four purchase days."""
    weight = np.where(snapshot.n >= OWN_CYCLE, 1.0, (snapshot.n - 1) / (snapshot.n + 2))
    cycle = np.clip(weight * snapshot.mean_gap + (1 - weight) * brand, *CYCLE_RANGE)
    count = np.searchsorted(COUNTS, snapshot.n, side="right") - 1
    ratio = np.searchsorted(RATIOS, snapshot.recency / cycle, side="right") - 1
    return Cells(count, ratio, cycle)


def brand_cycle(snapshot: Snapshot) -> float:
    """The median of repeat buyers' mean gaps; 45 days where nobody has come back."""
    repeat = snapshot.n > 1
    return float(np.median(snapshot.mean_gap[repeat])) if repeat.any() else CYCLE_DAYS


def cutoffs_before(history: History, as_of: int) -> tuple[int, ...]:
    """Earlier cut-offs whose 90 days are over, newest first, while the history had begun."""
    wanted = [as_of - HORIZON - STEP * k for k in range(TABLE_CUTOFFS)]
    return tuple(cutoff for cutoff in wanted if cutoff > history.start + STEP / 2)


def learn(history: History, as_of: int) -> HazardTable:
    """The hazard table of all earlier cut-offs, each followed as far as `as_of` allows."""
    cells = len(COUNTS) * len(RATIOS)
    events, at_risk = np.zeros((cells, len(EDGES))), np.zeros((cells, len(EDGES)))
    cutoffs = cutoffs_before(history, as_of)
    for cutoff in cutoffs:
        snapshot = history.at(cutoff)
        cell = cells_of(snapshot, brand_cycle(snapshot)).index
        happened, exposed = _count(snapshot, cell, as_of - cutoff, cells)
        events += happened
        at_risk += exposed
    shape = (len(COUNTS), len(RATIOS), len(EDGES))
    overall = _hazard(events.sum(0), at_risk.sum(0), np.full(len(EDGES), 0.05), 1.0)
    by_count = _hazard(events.reshape(shape).sum(1), at_risk.reshape(shape).sum(1), overall, PRIOR)
    by_cell = _hazard(events, at_risk, np.repeat(by_count, len(RATIOS), axis=0), PRIOR)
    seen = as_of - cutoffs[-1] if cutoffs else 0
    return HazardTable(
        survival=_survival(by_cell, seen),
        by_count=_survival(by_count, seen),
        overall=_survival(overall[None, :], seen)[0],
        days_next_year=_days_next_year(history, as_of, cutoffs, cells),
        mean_net=float(history.net.mean()) if len(history.net) else 0.0,
        cycle=brand_cycle(history.at(as_of)),
        cutoffs=cutoffs,
    )


def _count(snapshot: Snapshot, cell: Ints, seen: int, cells: int) -> tuple[Floats, Floats]:
    """Purchases and members at risk by cell and interval, as far as `seen` days go."""
    slots = len(EDGES) + 1
    gap = np.where(snapshot.gap > 0, snapshot.gap, EDGES[-1] + 1)
    bins = np.searchsorted(EDGES, gap)
    counts = (
        np.bincount(cell * slots + bins, minlength=cells * slots)
        .reshape(cells, slots)
        .astype(float)
    )
    at_risk = counts.sum(1, keepdims=True) - np.cumsum(counts, axis=1) + counts
    complete = seen >= EDGES
    return counts[:, :-1] * complete, at_risk[:, :-1] * complete


def _hazard(events: Floats, at_risk: Floats, prior: Floats, weight: float) -> Floats:
    hazard: Floats = (events + weight * prior) / (at_risk + weight)
    return hazard


def _survival(hazard: Floats, seen: int) -> Floats:
    """P(no purchase up to each edge); beyond `seen` days the last four weeks' pace goes on."""
    lengths = np.diff(EDGES, prepend=0)
    log_stay = np.log1p(-np.clip(hazard, 1e-6, 1 - 1e-6))
    known = seen >= EDGES
    if known.any() and not known.all():
        recent = known & (seen - EDGES < 28 + 7)
        pace = log_stay[:, recent].sum(1) / lengths[recent].sum()
        log_stay = np.where(known, log_stay, pace[:, None] * lengths)
    survival: Floats = np.exp(np.cumsum(log_stay, axis=1))
    return survival


def _days_next_year(history: History, as_of: int, cutoffs: tuple[int, ...], cells: int) -> Floats:
    """Mean purchase days of the 365 days after, by cell.

    Taken from 90 days and stretched by what the oldest cut-offs show of a longer stretch.
    """
    days, members = np.zeros(cells), np.zeros(cells)
    for cutoff in cutoffs:
        snapshot = history.at(cutoff)
        cell = cells_of(snapshot, brand_cycle(snapshot)).index
        days += np.bincount(cell, history.days_within(snapshot, HORIZON), cells)
        members += np.bincount(cell, minlength=cells)
    overall = days.sum() / max(members.sum(), 1.0)
    quarter: Floats = (days + PRIOR * overall) / (members + PRIOR)
    if not cutoffs:
        return quarter
    oldest = history.at(cutoffs[-1])
    reach = min(as_of - cutoffs[-1], DAYS_A_YEAR)
    first = history.days_within(oldest, HORIZON).sum()
    longer = history.days_within(oldest, reach).sum()
    stretch = longer / first if first else 1.0
    quarter *= stretch * DAYS_A_YEAR / reach
    return quarter
