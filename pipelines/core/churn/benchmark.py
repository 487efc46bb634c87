"""Our model against its peers on any purchase history: same cut-offs, one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.backtest import MOST_ERROR
from pipelines.core.churn.files import read_history
from pipelines.core.churn.heuristic import HORIZON
from pipelines.core.churn.history import Floats, History, day_number
from pipelines.core.churn.numbers import auc, calibration_error, log_losses
from pipelines.core.churn.peers import PEERS, Peer, Question
from pipelines.core.churn.score import (
    ENOUGH_BUYERS,
    ENOUGH_DAYS,
    is_sufficient,
    silent_by_table,
)

OURS = "ours"
SEGMENTS = ("all", "one-time", "repeat")
#: AUC by which ours may lie below the best peer's.
AUC_MARGIN = 0.003
#: Days without any purchase that a history may end with before its last 90 days.
QUIET = 7
INSUFFICIENT, NO_NUMBER = "insufficient", "–"


@dataclass(frozen=True)
class Line:
    """One model at one cut-off and in one segment; `apart` is its log-loss less ours.

    `basis` is what ours rests on. The numbers are NaN where nothing is to be judged: too little
    history for a score, or 90 days after the cut-off that are not over.
    """

    data: str
    cutoff: date
    segment: str
    model: str
    basis: str
    customers: int
    silent: float = float("nan")
    auc: float = float("nan")
    log_loss: float = float("nan")
    log_loss_error: float = float("nan")
    ece: float = float("nan")
    apart: float = float("nan")
    apart_error: float = float("nan")

    @property
    def is_judged(self) -> bool:
        """Whether the line has numbers."""
        return not np.isnan(self.log_loss)

    @property
    def tells(self) -> bool:
        """Whether some were silent and some not; where all are alike, any extreme looks good."""
        return 0.0 < self.silent < 1.0


def bench_file(
    path: Path,
    cutoffs: Sequence[date],
    business_tz: str = "UTC",
    peers: Mapping[str, Peer] = PEERS,
    tell: Callable[[str], None] = lambda _: None,
    today: date = date.max,
) -> list[Line]:
    """The benchmark on a file of `customer_id`, `purchased_at`, `net`.

    Days after `today` are a slip of the pen, and no sign that a window is over.

    Raises:
        UsageError: the file is not such a file.
    """
    tell(f"reading {path.name}")
    history = read_history(path, business_tz).until(day_number(today))
    return bench_history(path.name, history, cutoffs, peers, tell)


def bench_history(
    data: str,
    history: History,
    cutoffs: Sequence[date],
    peers: Mapping[str, Peer] = PEERS,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Line]:
    """The benchmark on a history, all models at all cut-offs; `tell` hears what is being done."""
    lines: list[Line] = []
    for cutoff in dict.fromkeys(cutoffs):
        question = Question(history, day_number(cutoff))
        basis = basis_of(question)
        if basis == INSUFFICIENT or not is_over(question):
            lines.append(Line(data, cutoff, "all", OURS, basis, len(question.now.row)))
            continue
        said = {}
        for name, peer in {OURS: ours, **peers}.items():
            tell(f"{data} {cutoff}: {name}")
            said[name] = peer(question)
        lines += _judged(data, cutoff, basis, question, said)
    return lines


def ours(question: Question) -> Floats:
    """What a scoring at the cut-off would have served, trained that same day."""
    known = question.history.until(question.cutoff)
    if question.learnt is None:
        return silent_by_table(known, question.cutoff)
    return question.learnt.silent(known, question.cutoff)


def basis_of(question: Question) -> str:
    """What a score at the cut-off rests on."""
    if not is_sufficient(question.history.until(question.cutoff), question.cutoff):
        return INSUFFICIENT
    return "model" if question.learnt else "heuristic"


def is_over(question: Question) -> bool:
    """Whether the history goes on for 90 days after the cut-off, but for a quiet week."""
    days = question.history.day
    return bool(len(days)) and int(days.max()) >= question.cutoff + HORIZON - QUIET


def _judged(
    data: str, cutoff: date, basis: str, question: Question, said: Mapping[str, Floats]
) -> Iterator[Line]:
    silent = question.history.at(question.cutoff).silent_for(HORIZON)
    one_time = question.now.n == 1
    masks = (np.ones(len(silent), bool), one_time, ~one_time)
    for segment, mask in zip(SEGMENTS, masks, strict=True):
        if mask.any():
            place = (data, cutoff, segment)
            yield from _lines(place, basis, silent[mask], _some(said, mask))


def _some(said: Mapping[str, Floats], mask: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    return {name: p[mask] for name, p in said.items()}


def _lines(
    place: tuple[str, date, str],
    basis: str,
    silent: npt.NDArray[np.bool_],
    said: Mapping[str, Floats],
) -> Iterator[Line]:
    ours_lost = log_losses(silent, said[OURS])
    root = np.sqrt(len(silent))
    for name, p in said.items():
        lost = log_losses(silent, p)
        yield Line(
            *place,
            model=name,
            basis=basis if name == OURS else "",
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
        "| data | cut-off | segment | customers | churn | model | basis | AUC | log-loss | ECE "
        "| log-loss less ours |"
    )
    rows = [head, "|---|---|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        apart = "" if line.model == OURS else f"{line.apart:+.4f} ± {line.apart_error:.4f}"
        loss = f"{line.log_loss:.4f} ± {line.log_loss_error:.4f}" if line.is_judged else NO_NUMBER
        rows.append(
            f"| {line.data} | {line.cutoff} | {line.segment} | {line.customers} "
            f"| {_short(line.silent)} | {line.model} | {line.basis} | {_short(line.auc)} "
            f"| {loss} | {_short(line.ece)} | {apart} |"
        )
    return "\n".join(rows)


def _short(value: float) -> str:
    return NO_NUMBER if np.isnan(value) else f"{value:.3f}"


def report(lines: Sequence[Line]) -> str:
    """The table, what was promised and whether it holds, and why some lines have no numbers."""
    judged = [f"{'ok  ' if holds else 'MISS'} {words}" for words, holds in verdicts(lines)]
    mine = [line for line in lines if line.model == OURS and line.segment == "all"]
    silent = [f"{line.data} {line.cutoff}: {_why_not(line)}" for line in mine if not line.tells]
    return "\n".join([table(lines), "", *judged, *silent])


def _why_not(line: Line) -> str:
    if line.is_judged:
        return "all were silent, or none, so there is nothing to tell apart"
    if line.basis == INSUFFICIENT:
        return f"fewer than {ENOUGH_BUYERS} buyers or {ENOUGH_DAYS} days of history: no score"
    return f"the history does not go on for {HORIZON} days, so nobody knows who is silent"


def verdicts(lines: Sequence[Line]) -> list[tuple[str, bool]]:
    """What was promised of the whole, in words, and whether it holds."""
    whole = [line for line in lines if line.segment == "all" and line.tells]
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
