"""Three readings of a customer, averaged in log-odds: who is likelier to stay silent than whom.

The corrected buy-till-you-die model, that plus boosted trees, and boosted trees alone; those that
have not earned their place (`crossfit.py`) say nothing. The level of the average means nothing
yet; `model.py` gives it one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from pipelines.core.churn.btyd import ParetoNBD
from pipelines.core.churn.extras import Encoder
from pipelines.core.churn.features import Features, features_of
from pipelines.core.churn.history import Floats, History, Snapshot
from pipelines.core.churn.linear import Correction
from pipelines.core.churn.trees import Trees


@dataclass(frozen=True)
class Ranker:
    """The fitted parts. `threads` is how many the trees may use."""

    btyd: ParetoNBD
    correction: Correction
    with_trees: Trees
    trees_alone: Trees
    encoder: Encoder
    threads: int = field(default=2, compare=False)

    def features(self, history: History, snapshot: Snapshot, extras: pa.Table | None) -> Features:
        """What is read of each buyer of the snapshot; `extras` are its rows of the feature log."""
        features = features_of(history, snapshot, self.btyd)
        ids = history.ids.take(pa.array(snapshot.row))
        return Features({**features.columns, **self.encoder.encode(extras, ids)})

    def odds(self, features: Features) -> Floats:
        """Log-odds of silence, their level still open."""
        corrected = self.correction.log_odds(features)
        matrix = features.matrix(self.trees_alone.names)
        added = self.with_trees.log_odds(matrix, self.threads)
        alone = None
        if self.trees_alone.text:
            alone = self.trees_alone.log_odds(matrix, self.threads)
        return blend(corrected, added, alone)


def blend(corrected: Floats, added: Floats, alone: Floats | None) -> Floats:
    """The average of the corrected model, that plus what trees add, and trees alone if any."""
    odds: Floats = (2 * corrected + added + (corrected if alone is None else alone)) / 3
    return odds
