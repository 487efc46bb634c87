"""Learning a churn model from a brand's history: everything it knows comes from past cut-offs.

Each past cut-off is seen as it was: with its own fit of the buy-till-you-die model, and nothing
later but whether a purchase followed within 90 days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

from pipelines.core.churn import btyd, explain, perturb, season, spend
from pipelines.core.churn.btyd import Customers, ParetoNBD
from pipelines.core.churn.crossfit import Evidence
from pipelines.core.churn.curve import Curve, Tally
from pipelines.core.churn.explain import Reading, Subject
from pipelines.core.churn.extras import PREFIX, Encoder, Extras
from pipelines.core.churn.features import Features, features_of
from pipelines.core.churn.heuristic import DAYS_A_YEAR, EDGES, HORIZON, STEP, brand_cycle
from pipelines.core.churn.history import Floats, History, Snapshot
from pipelines.core.churn.linear import OFFSET
from pipelines.core.churn.model import ChurnModel, days_ahead
from pipelines.core.churn.numbers import levelled, shift_to
from pipelines.core.churn.ranker import Ranker
from pipelines.core.churn.reasons import LEAST
from pipelines.core.churn.spend import Spend

#: Cut-offs learnt from, at most.
MOST_CUTOFFS = 24
#: Windows of monthly cut-offs overlap: a row counts for as much as is its own.
WEIGHT = STEP / HORIZON
#: Days of history before the first cut-off, and buyers a cut-off needs to be learnt from.
WARM_UP, BUYERS_TO_LEARN = 15, 50
#: Buyers that make a past cut-off's level worth knowing, and what it leans on the model.
LEVEL_BUYERS, LEVEL_LEAN = 200, 4.0
CURVE_SAMPLE, READING_SAMPLE, TEST_SAMPLE = 5_000, 50_000, 4_000
CURVE_ROUNDS = 4
#: An idea is spoken if undoing it moves the model against it at least so often.
AGREEMENT = 0.8
#: Purchase days of past windows that count as much as the model's own expectation.
SPEND_LEAN = 100.0


@dataclass(frozen=True)
class Settings:
    """How much is learnt from, in customers and cut-offs, and the tree learner's threads."""

    most_rows: int = 1_000_000
    threads: int = 2


@dataclass(frozen=True)
class Past:
    """One past cut-off: who stood how, and who was silent in the 90 days after."""

    snapshot: Snapshot
    btyd: ParetoNBD
    features: Features
    silent: npt.NDArray[np.bool_]

    def levelled(self, odds: Floats) -> Floats:
        """`odds` moved to the level that was observed."""
        return levelled(odds, self.silent)


def cutoffs_of(history: History, today: int) -> tuple[int, ...]:
    """The monthly cut-offs that a model trained at the end of `today` learns from, newest first."""
    wanted = (today - HORIZON - STEP * k for k in range(MOST_CUTOFFS))
    return tuple(cutoff for cutoff in wanted if cutoff >= history.start + WARM_UP)


def learn(
    history: History, today: int, extras: Extras | None = None, settings: Settings | None = None
) -> ChurnModel | None:
    """A model of what was known at the end of `today`; None if no past cut-off can teach it."""
    settings = settings or Settings()
    known = history.until(today)
    sample = sample_for(known, today, settings)
    cutoffs = cutoffs_of(known, today)
    encoder = Encoder.learn(extras.until(cutoffs[0]) if extras and cutoffs else None)
    past = look_back(sample, cutoffs, encoder, extras)
    if not past:
        return None
    ranker = _ranker(past, sample.at(today), encoder, settings.threads)
    model = ChurnModel(
        cutoff=today,
        start=known.start,
        cutoffs=tuple(each.snapshot.cutoff for each in past),
        rows=sum(len(each.silent) for each in past),
        ranker=ranker,
        observed=_observed(past, known.start),
        curve=_curve(ranker, past, today, brand_cycle(sample.at(today))),
        spend=_spend(ranker, past, sample, today),
        reading=Reading.empty(),
    )
    return replace(model, reading=_reading(model, sample, today, extras))


def look_back(
    history: History, cutoffs: Sequence[int], encoder: Encoder, extras: Extras | None
) -> list[Past]:
    """The cut-offs as they were, oldest fit first to start the next from; newest first returned."""
    past: list[Past] = []
    fitted: ParetoNBD | None = None
    for cutoff in reversed(cutoffs):
        snapshot = history.at(cutoff)
        if len(snapshot.row) < BUYERS_TO_LEARN:
            continue
        fitted = btyd.fit(snapshot, fitted)
        ids = history.ids.take(pa.array(snapshot.row))
        rows = extras.at(cutoff) if extras else None
        columns = {
            **features_of(history, snapshot, fitted).columns,
            **encoder.encode(rows, ids),
        }
        past.append(Past(snapshot, fitted, Features(columns), snapshot.silent_for(HORIZON)))
    return past[::-1]


def sample_for(history: History, today: int, settings: Settings) -> History:
    """The customers to learn from: as many as have about `most_rows` rows over all cut-offs."""
    rows = sum(len(history.at(cutoff).row) for cutoff in cutoffs_of(history, today))
    if rows <= settings.most_rows:
        return history
    return history.sample(int(len(history) * settings.most_rows / rows))


def _ranker(past: Sequence[Past], now: Snapshot, encoder: Encoder, threads: int) -> Ranker:
    evidence = Evidence(
        [each.features for each in past],
        [each.silent for each in past],
        [each.snapshot.row for each in past],
        WEIGHT,
        threads,
    )
    readings = evidence.readings()
    return Ranker(
        btyd=btyd.fit(now, past[0].btyd),
        correction=readings.correction,
        with_trees=readings.with_trees,
        trees_alone=readings.trees_alone,
        encoder=encoder,
        threads=threads,
    )


def _observed(past: Sequence[Past], start: int) -> tuple[season.Observed, ...]:
    """By how much each past window missed the level foretold."""
    found = []
    for each in past:
        base, n = each.features[OFFSET], len(each.silent)
        if n < LEVEL_BUYERS:
            continue
        p = expit(base)
        mean = (each.silent.sum() + LEVEL_LEAN * p.mean()) / (n + LEVEL_LEAN)
        shift = shift_to(base, float(mean))
        q = expit(base + shift)
        variance = 1 / min(float((p * (1 - p)).sum()), float((q * (1 - q)).sum()))
        cutoff = each.snapshot.cutoff
        found.append(season.Observed(cutoff, shift, variance, cutoff - start))
    return tuple(found)


def _curve(ranker: Ranker, past: Sequence[Past], today: int, cycle: float) -> Curve:
    """The curve, in rounds: every correction of the hazard moves what the level leaves of it."""
    seen = []
    for each in past:
        some = slice(None, None, 1 + len(each.silent) // CURVE_SAMPLE)
        silent = expit(each.levelled(ranker.odds(each.features)))[some]
        snapshot = each.snapshot.part(some)
        shape = each.btyd.survival(Customers.of(snapshot), EDGES)
        seen.append((shape, snapshot, silent, today - snapshot.cutoff))
    curve = Curve.flat(cycle)
    for _ in range(CURVE_ROUNDS):
        tally = Tally(curve)
        for one in seen:
            tally.add(*one)
        curve = tally.better()
    return curve


def _spend(ranker: Ranker, past: Sequence[Past], history: History, today: int) -> Spend:
    expected, observed = SPEND_LEAN, SPEND_LEAN
    for each in past:
        reach = min(today - each.snapshot.cutoff, DAYS_A_YEAR)
        silent = expit(each.levelled(ranker.odds(each.features)))
        base = expit(each.features[OFFSET])
        expected += float(days_ahead(each.btyd, each.snapshot, base, silent, reach).sum())
        observed += float(history.days_within(each.snapshot, reach).sum())
    return spend.fit(history, observed / expected)


def _reading(model: ChurnModel, history: History, today: int, extras: Extras | None) -> Reading:
    """The additive reading of today's scores, tested by undoing what it says."""
    sample = history.sample(READING_SAMPLE)
    rows = extras.at(today) if extras else None
    snapshot = sample.at(today)
    features = model.ranker.features(sample, snapshot, rows)
    odds = model.ranker.odds(features)
    cycle = brand_cycle(snapshot)
    reading = explain.read(Subject(snapshot, features), odds, cycle, model.ranker.encoder.names)
    return reading.silenced(_agreement(model, reading, sample, today, rows), AGREEMENT)


def _agreement(
    model: ChurnModel, reading: Reading, history: History, today: int, rows: pa.Table | None
) -> dict[str, float]:
    """How often undoing each idea moves the model's log-odds against what the idea says."""
    sample = history.sample(TEST_SAMPLE)
    snapshot = sample.at(today)
    features = model.ranker.features(sample, snapshot, rows)
    odds = model.ranker.odds(features)
    contributions = reading.contributions(Subject(snapshot, features))
    found = {}
    for column, idea in enumerate(reading.ideas):
        said = contributions[:, column]
        if idea.startswith(PREFIX):
            middle = np.nanmedian(features[idea])
            undone = Features({**features.columns, idea: np.full(len(odds), middle)})
        else:
            changed = perturb.undo(idea, perturb.Said(sample, today, said > 0))
            undone = model.ranker.features(changed, changed.at(today), rows)
        moved = model.ranker.odds(undone) - odds
        strong = np.abs(said) >= LEAST
        if strong.any():
            found[idea] = float((moved[strong] * said[strong] < 0).mean())
    return found
