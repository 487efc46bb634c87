"""Why a score is what it is: an additive reading of the model in ideas that a marketer knows.

Each idea is a table of cells; the tables are fitted so that their sum comes closest to the model's
log-odds. What an idea says is tested by undoing it in the customer's history (`perturb.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from pipelines.core.churn.extras import PREFIX
from pipelines.core.churn.features import Features
from pipelines.core.churn.heuristic import COUNTS, OWN_CYCLE, RATIOS, cells_of
from pipelines.core.churn.history import Floats, Ints, Snapshot
from pipelines.core.churn.reasons import Facts, Phrase

TENURES = np.array([0, 60, 180, 365])
TRENDS = np.array([-0.7, -0.25, 0.25, 0.7])
DECILES = np.linspace(0.1, 0.9, 9)
QUINTILES = np.linspace(0.2, 0.8, 4)
RIDGE = 10.0
#: Customers that an empty cell counts for where cells are put in order.
LEAN = 0.1

PHRASES: dict[str, tuple[Phrase, ...]] = {
    "rhythm": (
        Phrase(
            "recency",
            "bought once, {recency} days ago",
            "只買過一次，距今 {recency} 天",
            lambda facts: facts["n"] == 1,
        ),
        Phrase(
            "rhythm",
            "expected about every {cycle} days, now {recency}",
            "預計約每 {cycle} 天買一次，現已 {recency} 天",
            lambda facts: facts["n"] < OWN_CYCLE,
        ),
        Phrase(
            "rhythm",
            "usually buys every {cycle} days, now {recency}",
            "通常每 {cycle} 天買一次，現已 {recency} 天",
        ),
    ),
    "frequency": (
        Phrase(
            "one_time",
            "has bought only once",
            "至今只買過一次",
            lambda facts: facts["n"] == 1,
        ),
        Phrase(
            "frequency",
            "has bought on {n} days in {tenure} days",
            "{tenure} 天內有 {n} 天買過",
        ),
    ),
    "spend": (
        Phrase(
            "spend",
            "spends more a purchase day than {more_than} % of customers",
            "每次消費高於 {more_than}% 的顧客",
            lambda facts: facts["more_than"] >= facts["less_than"],
        ),
        Phrase(
            "spend",
            "spends less a purchase day than {less_than} % of customers",
            "每次消費低於 {less_than}% 的顧客",
        ),
    ),
    "spend_trend": (
        Phrase(
            "spend_trend",
            "last purchase was {trend} % of the usual amount",
            "最近一次消費為平時的 {trend}%",
        ),
    ),
}
#: Words for features of the log, `{value}` times the scale; those without are not spoken.
LOG_PHRASES: dict[str, tuple[float, str, str]] = {
    "discount_order_share_365d": (
        100,
        "{value} % of a year's orders at a discount",
        "一年內 {value}% 的訂單使用折扣",
    ),
    "distinct_categories_365d": (
        1,
        "bought from {value} categories in a year",
        "一年內購買 {value} 個品類",
    ),
    "coupon_redemption_rate_365d": (
        100,
        "redeemed {value} % of a year's coupons",
        "一年內用掉 {value}% 的優惠券",
    ),
    "open_retention_count": (1, "{value} come-back coupons unused", "有 {value} 張回購券未使用"),
    "refund_rate_365d": (
        100,
        "{value} % of a year's orders refunded",
        "一年內 {value}% 的訂單退款",
    ),
}


@dataclass(frozen=True)
class Subject:
    """The customers to explain: their snapshot and features."""

    snapshot: Snapshot
    features: Features


@dataclass(frozen=True)
class Scales:
    """Where the cells of an idea begin, as found in the customers the tables were fitted on."""

    cycle: float
    spend: Floats
    log: Mapping[str, Floats]


@dataclass(frozen=True)
class Reading:
    """The fitted tables, by idea; `fit` is the share of the model's spread they account for.

    `agreement` is how often undoing an idea moved the model against it; the ideas in `muted` did
    not do so often enough and are not spoken.
    """

    scales: Scales
    base: float
    tables: Mapping[str, Floats]
    fit: float
    agreement: Mapping[str, float]
    muted: tuple[str, ...] = ()

    @classmethod
    def empty(cls) -> Reading:
        """A reading that says nothing."""
        return cls(Scales(1.0, np.zeros(0), {}), 0.0, {}, 0.0, {})

    @property
    def ideas(self) -> tuple[str, ...]:
        """The ideas that may be spoken: those with words, in this release too."""
        worded = (*PHRASES, *(PREFIX + feature for feature in LOG_PHRASES))
        return tuple(idea for idea in self.tables if idea in worded and idea not in self.muted)

    @property
    def phrases(self) -> list[tuple[Phrase, ...]]:
        """The words of each spoken idea."""
        return [PHRASES.get(idea) or (_log_phrase(idea),) for idea in self.ideas]

    def contributions(self, subject: Subject) -> Floats:
        """How far each spoken idea moves each customer's log-odds, a column an idea."""
        cells = cells_by_idea(subject, self.scales)
        silent = np.zeros(len(subject.snapshot.n))
        columns = [
            np.where(_speakable(idea, cells[idea]), self.tables[idea][cells[idea]], silent)
            for idea in self.ideas
        ]
        return np.column_stack(columns) if columns else silent[:, None][:, :0]

    def facts(self, subject: Subject) -> Facts:
        """The numbers that the words name."""
        snapshot, features = subject.snapshot, subject.features
        decile = np.searchsorted(self.scales.spend, features["net_mean"], side="right")
        values = {
            "n": snapshot.n.astype(float),
            "recency": snapshot.recency.astype(float),
            "tenure": (snapshot.cutoff - snapshot.first).astype(float),
            "cycle": cells_of(snapshot, self.scales.cycle).cycle,
            "more_than": 10.0 * decile,
            "less_than": 10.0 * (len(DECILES) - decile),
            "trend": 100 * np.exp(features["net_trend"]),
        }
        for idea in self.ideas:
            if idea not in PHRASES:
                values[idea] = features[idea] * LOG_PHRASES[idea[len(PREFIX) :]][0]
        return {name: _whole(value) for name, value in values.items()}

    def silenced(self, agreement: Mapping[str, float], least: float) -> Reading:
        """The same reading, with what the test found, saying only what passed it."""
        muted = tuple(idea for idea in self.ideas if agreement.get(idea, 0.0) < least)
        return replace(self, agreement=agreement, muted=muted)

    def to_json(self) -> dict[str, Any]:
        """The reading as `from_json` reads it."""
        return {
            "cycle": self.scales.cycle,
            "spend": self.scales.spend.tolist(),
            "log": {name: edges.tolist() for name, edges in self.scales.log.items()},
            "base": self.base,
            "tables": {idea: table.tolist() for idea, table in self.tables.items()},
            "fit": self.fit,
            "agreement": dict(self.agreement),
            "muted": list(self.muted),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reading:
        """What `to_json` gave."""
        scales = Scales(
            value["cycle"],
            np.array(value["spend"]),
            {name: np.array(edges) for name, edges in value["log"].items()},
        )
        tables = {idea: np.array(table) for idea, table in value["tables"].items()}
        return cls(
            scales, value["base"], tables, value["fit"], value["agreement"], tuple(value["muted"])
        )


def read(subject: Subject, odds: Floats, cycle: float, log_names: tuple[str, ...]) -> Reading:
    """The additive reading of `odds`, the model's log-odds of silence for these customers.

    Features of the log, of those in `log_names` that have words, are told only what the ideas of
    the purchase history leave: many of them are that history once more.
    """
    features = subject.features
    log_names = tuple(name for name in log_names if name[len(PREFIX) :] in LOG_PHRASES)
    scales = Scales(
        cycle,
        np.quantile(features["net_mean"], DECILES),
        {name: _edges(features[name]) for name in log_names},
    )
    cells = cells_by_idea(subject, scales)
    sizes = {idea: _size(idea, scales) for idea in cells}
    base = float(odds.mean())
    tables = _centred(_fitted(cells, sizes, PHRASES, odds - base), cells)
    left = odds - base - _told(tables, cells)
    tables |= _fitted(cells, sizes, log_names, left)
    told = _told(tables, cells)
    spread = float(np.var(odds))
    fit = 1 - float(np.var(odds - told)) / spread if spread > 0 else 1.0
    return Reading(scales, base, tables, fit, {})


def cells_by_idea(subject: Subject, scales: Scales) -> dict[str, Ints]:
    """The cell of each customer in each idea's table."""
    snapshot, features = subject.snapshot, subject.features
    standing = cells_of(snapshot, scales.cycle)
    tenure = _bucket(TENURES, snapshot.cutoff - snapshot.first)
    several = snapshot.n > 1
    spend = np.searchsorted(scales.spend, features["net_mean"], side="right")
    trend = np.searchsorted(TRENDS, features["net_trend"], side="right")
    cells = {
        "rhythm": standing.index,
        "frequency": standing.count * len(TENURES) + tenure,
        "spend": several * (len(DECILES) + 1) + spend,
        "spend_trend": np.where(several, 1 + trend, 0),
    }
    for name, edges in scales.log.items():
        known = ~np.isnan(features[name])
        cells[name] = np.where(known, 1 + np.searchsorted(edges, features[name], side="right"), 0)
    return cells


def _speakable(idea: str, cell: Ints) -> Any:
    """Cell 0 of these ideas is where the idea does not apply."""
    applies_everywhere = idea in ("rhythm", "frequency", "spend")
    return np.ones(len(cell), bool) if applies_everywhere else cell > 0


def _size(idea: str, scales: Scales) -> int:
    sizes = {
        "rhythm": len(COUNTS) * len(RATIOS),
        "frequency": len(COUNTS) * len(TENURES),
        "spend": 2 * (len(DECILES) + 1),
        "spend_trend": 2 + len(TRENDS),
    }
    return sizes[idea] if idea in sizes else 2 + len(scales.log[idea])


def _fitted(
    cells: Mapping[str, Ints], sizes: Mapping[str, int], ideas: Iterable[str], odds: Floats
) -> dict[str, Floats]:
    """The tables of some ideas, each of mean zero, whose sum comes closest to `odds`."""
    chosen = list(ideas)
    if not chosen:
        return {}
    starts = np.cumsum([0, *(sizes[idea] for idea in chosen)])
    inside = np.zeros((starts[-1], starts[-1]))
    target = np.zeros(starts[-1])
    places = [cells[idea] + start for idea, start in zip(chosen, starts, strict=False)]
    for left in places:
        target += np.bincount(left, odds, len(target))
        for right in places:
            pairs = np.bincount(left * len(target) + right, minlength=len(target) ** 2)
            inside += pairs.reshape(inside.shape)
    solved = np.linalg.solve(inside + RIDGE * np.eye(len(target)), target)
    parts = np.split(np.asarray(solved, np.float64), starts[1:-1])
    return {idea: _of_mean_zero(t, cells[idea]) for idea, t in zip(chosen, parts, strict=True)}


def _told(tables: Mapping[str, Floats], cells: Mapping[str, Ints]) -> Floats:
    """What the tables say of each customer together."""
    told: Floats = np.sum([table[cells[idea]] for idea, table in tables.items()], axis=0)
    return told


def _centred(tables: Mapping[str, Floats], cells: Mapping[str, Ints]) -> dict[str, Floats]:
    """The tables of the history; what a purchase count alone explains is frequency's."""
    rhythm = tables["rhythm"].reshape(len(COUNTS), len(RATIOS))
    share = np.bincount(cells["rhythm"], minlength=rhythm.size).reshape(rhythm.shape)
    # lateness can only raise the risk: what else a cell holds is noise or another idea's
    rhythm = np.vstack(
        [isotonic_regression(r, weights=w + LEAN).x for r, w in zip(rhythm, share, strict=True)]
    )
    by_count = (rhythm * share).sum(1) / np.maximum(share.sum(1), 1)
    moved = {
        "rhythm": (rhythm - by_count[:, None]).ravel(),
        "frequency": tables["frequency"] + np.repeat(by_count, len(TENURES)),
    }
    return {idea: _of_mean_zero(t, cells[idea]) for idea, t in {**tables, **moved}.items()}


def _of_mean_zero(table: Floats, cells: Ints) -> Floats:
    centred: Floats = table - table[cells].mean()
    return centred


def _bucket(edges: Ints | Floats, values: Ints | Floats) -> Ints:
    return np.searchsorted(edges, values, side="right") - 1


def _edges(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    return np.unique(np.quantile(known, QUINTILES)) if len(known) else np.zeros(0)


def _whole(values: Floats) -> Ints:
    return np.rint(np.nan_to_num(values)).astype(np.int64)


def _log_phrase(idea: str) -> Phrase:
    _, english, chinese = LOG_PHRASES[idea[len(PREFIX) :]]
    name = "{" + idea + "}"
    return Phrase(
        idea[len(PREFIX) :], english.replace("{value}", name), chinese.replace("{value}", name)
    )
