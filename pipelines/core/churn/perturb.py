"""Histories with one idea undone: the test of a reason is that the risk moves against it.

A customer said to be late is given a purchase today; one said to be faithful loses purchases; one
said to spend much is made to spend as others do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.core.churn.history import Floats, History, Ints

#: Days by which a customer who is not late is made later.
LATER = 120
#: Days before the only purchase at which a one-time buyer is given another.
EARLIER = 30


@dataclass(frozen=True)
class Said:
    """What was said: `raises` of whom the idea is a reason for risk; of the others against it.

    The history ends at `cutoff`.
    """

    history: History
    cutoff: int
    raises: npt.NDArray[np.bool_]

    @property
    def counts(self) -> Ints:
        """Purchase days of each customer."""
        counts: Ints = np.diff(self.history.offsets)
        return counts

    @property
    def mean_net(self) -> Floats:
        """Mean net of each customer's purchase days."""
        sums: Floats = np.add.reduceat(self.history.net, self.history.offsets[:-1])
        return sums / self.counts


def undo(idea: str, said: Said) -> History:
    """The history without what the idea says of each customer."""
    return _UNDO[idea](said)


def _rhythm(said: Said) -> History:
    """The late ones bought today, the timely ones long ago; gaps stay as they were."""
    history = said.history
    last = history.day[history.offsets[1:] - 1]
    move = np.where(said.raises, said.cutoff - last, -LATER)
    day = history.day + np.repeat(move, said.counts)
    return replace(history, day=day.astype(np.int32), start=history.start - LATER)


def _frequency(said: Said) -> History:
    """Those said to buy seldom bought once more; the others only the first and last time."""
    history, counts = said.history, said.counts
    first, last = history.offsets[:-1], history.offsets[1:] - 1
    kept = np.zeros(len(history.day), bool)
    kept[first] = counts > 2
    kept[last] = True
    kept |= np.repeat(said.raises, counts)
    middle = (history.day[np.maximum(last - 1, 0)] + history.day[last]) // 2
    extra = np.where(counts == 1, history.day[last] - EARLIER, middle)
    return _with_purchases(said, kept, extra)


def _spend(said: Said) -> History:
    """Everybody spends what the middle customer spends."""
    factor = np.median(said.mean_net) / said.mean_net
    return replace(said.history, net=said.history.net * np.repeat(factor, said.counts))


def _spend_trend(said: Said) -> History:
    """The last purchase was like the others."""
    net = said.history.net.copy()
    net[said.history.offsets[1:] - 1] = said.mean_net
    return replace(said.history, net=net)


_UNDO: dict[str, Callable[[Said], History]] = {
    "rhythm": _rhythm,
    "frequency": _frequency,
    "spend": _spend,
    "spend_trend": _spend_trend,
}


def _with_purchases(
    said: Said, kept: npt.NDArray[np.bool_], extra: npt.NDArray[np.int32]
) -> History:
    """The kept rows, and for those of raised risk a purchase of their mean net on day `extra`."""
    history = said.history
    owners = np.repeat(np.arange(len(history)), said.counts)[kept]
    owner = np.concatenate([owners, np.flatnonzero(said.raises)])
    day = np.concatenate([history.day[kept], extra[said.raises]]).astype(np.int32)
    net: Floats = np.concatenate([history.net[kept], said.mean_net[said.raises]])
    order = np.lexsort((day, owner))
    owner, day, net = owner[order], day[order], net[order]
    once = np.append(True, (np.diff(owner) > 0) | (np.diff(day) > 0))
    counts = np.bincount(owner[once], minlength=len(history))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(history, offsets=offsets, day=day[once], net=net[once])
