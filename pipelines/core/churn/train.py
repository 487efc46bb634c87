"""One retraining: from purchase days to a version that serves, or the reason why it does not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.core.churn import registry
from pipelines.core.churn.backtest import backtest, learn_as_of, own_cutoff
from pipelines.core.churn.card import card
from pipelines.core.churn.drift import Shift
from pipelines.core.churn.extras import AT, INSTANT, KEY, Extras, seen_at
from pipelines.core.churn.gate import Verdict, judge
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import History, day_number, read_purchase_days
from pipelines.core.churn.learn import Settings, cutoffs_of, sample_for
from pipelines.core.churn.model import ChurnModel
from pipelines.core.churn.score import is_sufficient
from pipelines.core.clock import business_day
from pipelines.core.errors import UsageError

LABEL = "is_silent_90d"
LATER = "what is served was trained on later days"
CHANGED = "what is served was changed during the training"


@dataclass(frozen=True)
class Retrained:
    """What a retraining came to; `version` is None where there was too little to learn from."""

    verdict: Verdict
    version: str | None = None
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _InUse:
    """The version in use, None for the hazard table, or words on why that is not known."""

    version: str | None
    why_not: str = ""


def retrain(
    purchase_days: pa.Table | Path,
    as_of: datetime,
    business_tz: str,
    root: Path,
    extras: Extras | None = None,
    settings: Settings | None = None,
) -> Retrained:
    """Learn a version, try it on past cut-offs, keep it below `root`, and serve it if it is good.

    A version that is not promoted is kept too: `registry.use` may still choose it.
    """
    settings = settings or Settings()
    history, today = _read(purchase_days, as_of, business_tz)
    if not is_sufficient(history, today):
        return Retrained(Verdict(False, "too few buyers or days of history to learn from"))
    history = sample_for(history, today, settings)
    model = learn_as_of(history, today, extras, settings)
    if model is None:
        return Retrained(Verdict(False, "no past cut-off with enough buyers to learn from"))
    in_use = _in_use(root)
    served, unread = _served(root, in_use, settings)
    trials = backtest(history, today, served, extras, settings)
    shift = _shift(served, model, history, extras)
    verdict = judge(trials, shift)
    verdict = replace(verdict, why=verdict.why + unread)
    if served is not None and served.cutoff > today:
        verdict = Verdict(False, f"{LATER}: what is served stays")
    elif _in_use(root) != in_use:
        verdict = Verdict(False, f"{CHANGED}: that stays")
    made = {**card(model, history, trials, verdict, shift), "tried_against": in_use.version}
    version = registry.save(model, made, root)
    if verdict.promoted:
        registry.use(root, version)
    return Retrained(verdict, version, made)


def _in_use(root: Path) -> _InUse:
    try:
        return _InUse(registry.served(root))
    except registry.ModelError as error:
        return _InUse(None, error.message)


def _served(root: Path, in_use: _InUse, settings: Settings) -> tuple[ChurnModel | None, str]:
    """The served version; none, and words on why, if it cannot be read: training is the remedy."""
    version, why = in_use.version, in_use.why_not
    try:
        served = registry.load(root, version, settings.threads) if version else None
    except (registry.ModelError, UsageError) as error:
        served, why = None, error.message
    return served, f"; not tried against what was served: {why}" if why else ""


def _shift(
    served: ChurnModel | None, model: ChurnModel, history: History, extras: Extras | None
) -> Shift | None:
    """From the served version's scores of today's customers to the model's; None without one."""
    if served is None:
        return None
    rows = extras.at(model.cutoff) if extras else None
    before, now = (each.silent(history, model.cutoff, rows) for each in (served, model))
    return Shift.between(before, now)


def training_entities(
    purchase_days: pa.Table | Path,
    as_of: datetime,
    business_tz: str,
    root: Path,
    settings: Settings | None = None,
) -> pa.Table:
    """Every row that `retrain` would read: `member_id`, `event_timestamp`, and the label.

    One row a member and monthly cut-off with a purchase before it, those of `as_of` and, if the
    version served below `root` is tried at its own cut-off, those of that too. `LABEL` says whether
    no purchase day came in the 90 days after, null where they are not over. Joined point in time
    with the feature log and without the label, it is the table of `Extras`.
    """
    settings = settings or Settings()
    history, today = _read(purchase_days, as_of, business_tz)
    sample = sample_for(history, today, settings)
    served, _ = _served(root, _in_use(root), settings)
    own = own_cutoff(served, today)
    days = [day for day in (today, own) if day is not None]
    parts = []
    for cutoff in dict.fromkeys(c for day in days for c in (day, *cutoffs_of(sample, day))):
        snapshot = sample.at(cutoff)
        instant = pa.scalar(seen_at(cutoff, business_tz), INSTANT)
        silent = pa.array(snapshot.silent_for(HORIZON))
        columns = {
            KEY: sample.ids.take(pa.array(snapshot.row)),
            AT: pa.repeat(instant, len(snapshot.row)),
            LABEL: silent if cutoff <= today - HORIZON else pa.nulls(len(silent), pa.bool_()),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _read(purchase_days: pa.Table | Path, as_of: datetime, business_tz: str) -> tuple[History, int]:
    today = day_number(business_day(as_of, business_tz))
    return read_purchase_days(purchase_days, today), today
