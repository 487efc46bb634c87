"""What the feature log knew of members at a cut-off: the rows that a scoring reads.

For one instant this gives what Feast's point-in-time join gives, from the sorted files of the log
and without Feast, so that a night can score millions a part at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.catalog import Catalog, FeatureView
from pipelines.core.churn.extras import AT, INSTANT, KEY, Known, seen_at
from pipelines.core.feature_log import FeatureLog, Watermark


def knowledge(
    log: FeatureLog, catalog: Catalog, service: str, cutoff: int, business_tz: str
) -> Known:
    """What tells the features of `service` of members, in the order they are asked of.

    Features are as the log held them at `seen_at(cutoff)` and as it knew them then; null for
    members whom a view did not hold.
    """
    at = seen_at(cutoff, business_tz)
    mark = Watermark.of(at, at)
    wanted: dict[str, list[str]] = {}
    for view, feature in catalog.services[service].features:
        wanted.setdefault(view, []).append(feature)

    def known(ids: pa.Array) -> pa.Table:
        columns = {KEY: ids, AT: pa.repeat(pa.scalar(at, INSTANT), len(ids))}
        for view, features in wanted.items():
            rows = _rows(log, catalog.views[view], features, mark, ids)
            place = pc.index_in(ids, value_set=rows[KEY].combine_chunks())
            columns |= {name: rows[name].combine_chunks().take(place) for name in features}
        return pa.table(columns)

    return known


def _rows(
    log: FeatureLog, view: FeatureView, features: Sequence[str], mark: Watermark, ids: pa.Array
) -> pa.Table:
    """Key and features of those of the members whom the view held, no more of it in memory."""
    between: tuple[str, str] = ("", "")
    if len(ids):
        # what is shorter by its last letter sorts before it
        between = (ids[0].as_py()[:-1], ids[-1].as_py())
    reader = log.state(view, mark, between=between, columns=[KEY, *features])
    kept = [batch.filter(pc.is_in(batch[KEY], value_set=ids)) for batch in reader]
    return pa.Table.from_batches(kept, reader.schema)
