"""The model card: what a version learnt from, how it did, where it is calibrated, how it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np

from pipelines.core.churn.backtest import CANDIDATE, SERVED, TABLE, Trial, metrics
from pipelines.core.churn.drift import Shift
from pipelines.core.churn.gate import Verdict
from pipelines.core.churn.history import EPOCH, History
from pipelines.core.churn.model import ChurnModel

BINS = 10
SIDE, MARGIN = 320, 40


def card(
    model: ChurnModel,
    history: History,
    trials: Sequence[Trial],
    verdict: Verdict,
    shift: Shift | None,
) -> dict[str, Any]:
    """Everything worth knowing of a version, as JSON; `history` is what it was learnt from.

    `drift` tells by how much its scores of today's customers differ from the served version's.
    """
    btyd, season = model.ranker.btyd, model.season(model.cutoff)
    quarters = [trial for trial in trials if TABLE in trial.said]
    made = {
        "trained_on": _day(model.cutoff),
        "history_from": _day(model.start),
        "data": data(history),
        "rows": model.rows,
        "cutoffs": [_day(cutoff) for cutoff in model.cutoffs],
        "features": list(model.ranker.trees_alone.names),
        "pareto_nbd": {"r": btyd.r, "alpha": btyd.alpha, "s": btyd.s, "beta": btyd.beta},
        "trees": [
            trees.text.count("Tree=")
            for trees in (model.ranker.with_trees, model.ranker.trees_alone)
        ],
        "season": {"shift": season.shift, "sd": season.sd, "trust": season.trust},
        "reasons": {
            "fit": model.reading.fit,
            "agreement": dict(model.reading.agreement),
            "muted": list(model.reading.muted),
        },
        "backtest": {**_tried(quarters), "calibration": calibration(quarters)},
        "against_served": _tried([trial for trial in trials if SERVED in trial.said]),
        "drift": asdict(shift) if shift else None,
        "verdict": {"promoted": verdict.promoted, "why": verdict.why},
    }
    return {name: _known(value) for name, value in made.items()}


def data(history: History) -> dict[str, Any]:
    """How much a history holds, from when to when, and a hash of its content.

    The hash is of ids, days and nets; equal rows in any order have the same.
    """
    digest = hashlib.sha256(json.dumps(history.ids.to_pylist()).encode())
    columns = ((history.offsets, "<i8"), (history.day, "<i4"), (history.net, "<f8"))
    for values, kind in columns:
        digest.update(values.astype(kind).tobytes())
    return {
        "customers": len(history),
        "purchase_days": len(history.day),
        "first": _day(int(history.day.min())),
        "last": _day(int(history.day.max())),
        "sha256": digest.hexdigest(),
    }


def _tried(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "cutoffs": [_day(trial.cutoff) for trial in trials],
        "days": [trial.days for trial in trials],
        "metrics": metrics(trials),
    }


def _known(value: Any) -> Any:
    """The value with null for each number that does not exist; JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def calibration(trials: Sequence[Trial]) -> list[dict[str, float]]:
    """What the candidate said and what came, in bins of equal mass over all trials."""
    if not trials:
        return []
    said = np.concatenate([trial.said[CANDIDATE] for trial in trials])
    silent = np.concatenate([trial.silent for trial in trials])
    order = np.argsort(said, kind="stable")
    return [
        {
            "said": float(said[part].mean()),
            "came": float(silent[part].mean()),
            "customers": float(len(part)),
        }
        for part in np.array_split(order, BINS)
        if len(part)
    ]


def calibration_plot(bins: Sequence[dict[str, float]]) -> str:
    """The calibration as a small SVG: said to the right, came upwards, the diagonal is right."""

    def at(x: float, y: float) -> str:
        return f"{MARGIN + x * SIDE:.1f},{MARGIN + (1 - y) * SIDE:.1f}"

    whole = SIDE + 2 * MARGIN
    dots = "".join(
        '<circle cx="{}" cy="{}" r="4"/>'.format(*at(each["said"], each["came"]).split(","))
        for each in bins
    )
    line = " ".join(at(each["said"], each["came"]) for each in bins)
    words = f'<text x="{whole / 2}" y="{whole - 10}" text-anchor="middle">said</text>'
    words += f'<text x="12" y="{whole / 2}" transform="rotate(-90 12 {whole / 2})">came</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{whole}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" '
        f'stroke="#999"/><polyline points="{at(0, 0)} {at(1, 1)}" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#06c"/>'
        f'<g fill="#06c">{dots}</g>{words}</svg>\n'
    )


def _day(number: int) -> str:
    return (EPOCH + timedelta(days=number)).isoformat()
