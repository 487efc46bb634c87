"""Training data: features as they were known at past instants, by Feast's point-in-time join.

A value counts for an entity's row if its business time and its knowledge are both not after the
row's instant. For a history computed later than the days it describes, where nothing was known
then, `known_at` says as of when to know.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.catalog import EVENT_AT
from pipelines.core.clock import iso
from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.feature_log import FeatureLog
from pipelines.core.home import FEATURE_REPO, Brand
from pipelines.online.feast_repo import feature_store
from pipelines.online.training_sets import PROVENANCE, provenance, save

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainingError", "provenance", "save", "training_set"]

INSTANT = pa.timestamp("us", tz="UTC")
ROW = "huitou_row"


class TrainingError(HuitouError):
    """The retrieval did not give one row for each row asked."""


def training_set(
    brand: Brand,
    service: str,
    entities: pa.Table | pd.DataFrame,
    known_at: datetime | None = None,
    *,
    full_names: bool = False,
    repo: Path = FEATURE_REPO,
) -> pa.Table:
    """`entities`, row for row, with the features of `service` at each row's `event_timestamp`.

    Parameters
    ----------
    entities
        The join keys and `event_timestamp` (with a time zone); further columns, such as a label,
        are kept. The same key and instant may stand there more than once.
    known_at
        Without it a value counts if it was known at the row's own instant, as a model served then
        would have seen it. With it, if it was known by this one instant.
    full_names
        Name features `<view>__<feature>`; needed if two views have one of the same name.

    Raises:
        UsageError: unknown service, or entities that are not as above.
        TrainingError: the result does not have exactly the rows asked.
    """
    from feast.errors import FeatureNameCollisionError, FeatureServiceNotFoundException

    store = feature_store(brand, known_at, repo)
    try:
        promised = store.get_feature_service(service)
    except FeatureServiceNotFoundException as error:
        names = sorted(one.name for one in store.list_feature_services())
        message = f"no feature service {service!r} in the registry"
        raise UsageError(message, f"one of {names}; a run registers new ones") from error
    keys = _keys(store, promised)
    asked = _asked(entities, keys)
    frame = asked.select([*keys, EVENT_AT]).append_column(ROW, pa.array(range(asked.num_rows)))
    try:
        job = store.get_historical_features(
            frame.to_pandas(),
            promised,
            full_feature_names=full_names,
            filter_by_created_timestamp=known_at is None,
        )
    except FeatureNameCollisionError as error:
        message = f"{service} has features of the same name in two views"
        raise UsageError(message, "ask for full_names=True") from error
    found = job.to_arrow().sort_by(ROW)
    if not found[ROW].combine_chunks().equals(frame[ROW].combine_chunks()):
        message = f"{asked.num_rows} rows asked, {found.num_rows} retrieved, not the same ones"
        raise TrainingError(message, "this is a fault of the offline store; please report it")
    return _joined(asked, found.drop([*keys, EVENT_AT, ROW]), _story(brand, service, known_at))


def _keys(store: Any, service: Any) -> list[str]:
    """The join keys of all views of a service."""
    views = [store.get_feature_view(one.name) for one in service.feature_view_projections]
    return sorted({column.name for view in views for column in view.entity_columns})


def _asked(entities: pa.Table | pd.DataFrame, keys: list[str]) -> pa.Table:
    """The entities as Arrow, keys as text and instants in UTC microseconds."""
    table = entities
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False)
    if missing := [name for name in [*keys, EVENT_AT] if name not in table.column_names]:
        message = f"the entities lack {missing}"
        raise UsageError(message, f"give them {keys} and {EVENT_AT}")
    kind = table.schema.field(EVENT_AT).type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        message = f"{EVENT_AT} is {kind}, not an instant with a time zone"
        raise UsageError(message, "give it in UTC")
    if not table.num_rows or any(table[name].null_count for name in [*keys, EVENT_AT]):
        raise UsageError("no entities, or some without key or instant", "leave such rows out")
    for name, wanted in {**dict.fromkeys(keys, pa.string()), EVENT_AT: INSTANT}.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pc.cast(table[name], wanted, safe=False))
    return table


def _joined(asked: pa.Table, features: pa.Table, story: dict[str, Any]) -> pa.Table:
    if taken := set(asked.column_names) & set(features.column_names):
        message = f"the entities have columns named as features: {sorted(taken)}"
        raise UsageError(message, "rename them, or ask for full_names=True")
    columns = [*asked.columns, *features.columns]
    cutoffs = pc.unique(asked[EVENT_AT]).sort().to_pylist()
    story |= {
        "rows": asked.num_rows,
        "features": features.column_names,
        "cutoffs": [iso(at) for at in cutoffs],
    }
    table = pa.table(columns, names=[*asked.column_names, *features.column_names])
    return table.replace_schema_metadata({PROVENANCE: json.dumps(story, sort_keys=True)})


def _story(brand: Brand, service: str, known_at: datetime | None) -> dict[str, Any]:
    snapshots = FeatureLog(brand.log).snapshots()
    newest = snapshots[-1] if snapshots else None
    return {
        "service": service,
        "known_at": iso(known_at) if known_at else "each row's event_timestamp",
        "log": newest.at.to_dict() if newest else None,
        "catalog_version": newest.catalog_version if newest else None,
    }
