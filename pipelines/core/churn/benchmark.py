"""Our model against its peers on any purchase history: same cut-offs, one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.files import read_history
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import EPOCH, Floats, History, day_number
from pipelines.core.churn.learn import Settings, learn
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.churn.peers import PEERS, Peer, Question
from pipelines.core.churn.score import is_sufficient, silent_by_table
from pipelines.core.errors import UsageError

OURS = "ours"
SEGMENTS = ("all", "one-time", "repeat")
#: AUC by which ours may lie below the best peer's.
AUC_MARGIN = 0.003
MOST_ERROR = 0.03


@dataclass(frozen=True)
class Line:
    """One model at one cut-off and in one segment; `apart` is its log-loss less ours."""

    data: str
    cutoff: date
    segment: str
    model: str
    customers: int
    silent: float
    auc: float
    log_loss: float
    log_loss_error: float
    ece: float
    apart: float
    apart_error: float


def bench_file(
    path: Path,
    cutoffs: Sequence[date],
    business_tz: str = "UTC",
    peers: Mapping[str, Peer] = PEERS,
) -> list[Line]:
    """The benchmark on a file of `customer_id`, `purchased_at`, `net`.

    Raises:
        UsageError: the file is not such a file, or a cut-off leaves too little before or after it.
    """
    return bench_history(path.name, read_history(path, business_tz), cutoffs, peers)


def bench_history(
    data: str, history: History, cutoffs: Sequence[date], peers: Mapping[str, Peer] = PEERS
) -> list[Line]:
    """The benchmark on a history, all models at all cut-offs.

    Raises:
        UsageError: a cut-off leaves too little before it to score or not 90 days after it.
    """
    lines: list[Line] = []
    for cutoff in cutoffs:
        question = Question(history, _checked(history, cutoff))
        silent = history.at(question.cutoff).silent_for(HORIZON)
        said = {OURS: ours(question), **{name: peer(question) for name, peer in peers.items()}}
        one_time = question.now.n == 1
        for segment, mask in zip(
            SEGMENTS, (np.ones(len(silent), bool), one_time, ~one_time), strict=True
        ):
            if mask.any():
                lines += _lines(data, cutoff, segment, silent[mask], _some(said, mask))
    return lines


def ours(question: Question) -> Floats:
    """What a scoring at the cut-off would have served, trained that same day."""
    known = question.history.until(question.cutoff)
    model = learn(known, question.cutoff, settings=Settings(threads=question.threads))
    if model is None:
        return silent_by_table(known, question.cutoff)
    return model.silent(known, question.cutoff)


def _checked(history: History, cutoff: date) -> int:
    day, last = day_number(cutoff), int(history.day.max()) if len(history.day) else 0
    if not is_sufficient(history.until(day), day):
        message = f"before {cutoff} there are fewer than 200 buyers or 120 days of history"
        raise UsageError(message, "choose a later cut-off or a longer history")
    if last < day + HORIZON - 7:
        end = EPOCH + timedelta(days=last)
        message = f"the history ends {end}, not 90 days after {cutoff}: nobody knows who is silent"
        raise UsageError(message, "choose an earlier cut-off")
    return day


def _some(said: Mapping[str, Floats], mask: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    return {name: p[mask] for name, p in said.items()}


def _lines(
    data: str,
    cutoff: date,
    segment: str,
    silent: npt.NDArray[np.bool_],
    said: Mapping[str, Floats],
) -> Iterator[Line]:
    ours_lost = log_losses(silent, said[OURS])
    root = np.sqrt(len(silent))
    for name, p in said.items():
        lost = log_losses(silent, p)
        yield Line(
            data=data,
            cutoff=cutoff,
            segment=segment,
            model=name,
            customers=len(silent),
            silent=float(silent.mean()),
            auc=auc(silent, p),
            log_loss=float(lost.mean()),
            log_loss_error=float(lost.std() / root),
            ece=calibration_error(silent, p),
            apart=float((lost - ours_lost).mean()),
            apart_error=float((lost - ours_lost).std() / root),
        )


def table(lines: Sequence[Line]) -> str:
    """The lines as Markdown, with standard errors."""
    head = (
        "| data | cut-off | customers | churn | segment | model | AUC | log-loss | ECE "
        "| log-loss less ours |"
    )
    rows = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        apart = "" if line.model == OURS else f"{line.apart:+.4f} ± {line.apart_error:.4f}"
        rows.append(
            f"| {line.data} | {line.cutoff} | {line.customers} | {line.silent:.3f} "
            f"| {line.segment} | {line.model} | {line.auc:.3f} "
            f"| {line.log_loss:.4f} ± {line.log_loss_error:.4f} | {line.ece:.3f} | {apart} |"
        )
    return "\n".join(rows)


def verdicts(lines: Sequence[Line]) -> list[tuple[str, bool]]:
    """What was promised of the whole, in words, and whether it holds."""
    whole = [line for line in lines if line.segment == "all"]
    found: list[tuple[str, bool]] = []
    for data in dict.fromkeys(line.data for line in whole):
        mine = [line for line in whole if line.data == data]
        for cutoff in dict.fromkeys(line.cutoff for line in mine):
            found += _at_cutoff(data, [line for line in mine if line.cutoff == cutoff])
        found += _on_mean(data, mine)
    return found


def _at_cutoff(data: str, lines: Sequence[Line]) -> Iterator[tuple[str, bool]]:
    ours_line, *others = sorted(lines, key=lambda line: line.model != OURS)
    where = f"{data} {ours_line.cutoff}"
    if others:
        best = min(others, key=lambda line: line.log_loss)
        words = f"{where}: log-loss {ours_line.log_loss:.4f}, best peer {best.model} "
        words += f"{best.log_loss:.4f} ({best.apart:+.4f} ± {best.apart_error:.4f})"
        yield words, best.apart >= -best.apart_error
        ranked = max(others, key=lambda line: line.auc)
        words = f"{where}: AUC {ours_line.auc:.4f}, best peer {ranked.model} {ranked.auc:.4f}"
        yield words, ours_line.auc >= ranked.auc - AUC_MARGIN


def _on_mean(data: str, lines: Sequence[Line]) -> Iterator[tuple[str, bool]]:
    means = {
        name: float(np.mean([line.log_loss for line in lines if line.model == name]))
        for name in dict.fromkeys(line.model for line in lines)
    }
    error = float(np.mean([line.ece for line in lines if line.model == OURS]))
    yield f"{data}: mean ECE {error:.4f}", error <= MOST_ERROR
    others = {name: mean for name, mean in means.items() if name != OURS}
    if others:
        best = min(others, key=lambda name: others[name])
        words = f"{data}: mean log-loss {means[OURS]:.4f}, best peer {best} {others[best]:.4f}"
        yield words, means[OURS] < others[best]
