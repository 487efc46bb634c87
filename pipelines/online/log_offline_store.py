"""Feast's DuckDB offline store over the feature log, read by its manifests instead of by a glob.

Feast's own store reads a view's files by the columns of the first: it fails once a feature has been
added. Nor can it be asked what was known at an instant, which a history computed later than the
days it describes needs. Everything else, the point-in-time join above all, is Feast's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis  # type: ignore[import-untyped]  # no stubs
import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores import duckdb as feast_duckdb
from feast.infra.offline_stores.ibis import (
    get_historical_features_ibis,
    pull_all_from_table_or_query_ibis,
    pull_latest_from_table_or_query_ibis,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.types import from_feast_to_pyarrow_type
from ibis.expr.types import Table  # type: ignore[import-untyped]  # no stubs
from pydantic import StrictStr

from pipelines.core.feature_log import FeatureLog

Reader = Callable[[DataSource, str], Table]


class LogOfflineStoreConfig(feast_duckdb.DuckDBOfflineStoreConfig):  # type: ignore[misc]  # untyped
    """`known_at` leaves out every row that was not known by then."""

    type: StrictStr = "pipelines.online.log_offline_store.LogOfflineStore"
    known_at: datetime | None = None


class LogOfflineStore(feast_duckdb.DuckDBOfflineStore):  # type: ignore[misc]  # untyped
    """Historical retrieval from the committed files of the feature log."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig, feature_views: Sequence[FeatureView], *args: Any, **kwargs: Any
    ) -> RetrievalJob:
        """Feast's point-in-time join; a feature that no file holds yet is null."""
        return get_historical_features_ibis(
            config,
            feature_views,
            *args,
            data_source_reader=_reader(config, feature_views),
            **_writer(config),
            **kwargs,
        )

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, **kwargs: Any) -> RetrievalJob:
        """The newest row of each key between two instants; a tombstone is a row of nulls."""
        reader = _reader(config)
        return pull_latest_from_table_or_query_ibis(
            config, data_source_reader=reader, **_writer(config), **kwargs
        )

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, **kwargs: Any) -> RetrievalJob:
        """Every row between two instants."""
        reader = _reader(config)
        return pull_all_from_table_or_query_ibis(
            config, data_source_reader=reader, **_writer(config), **kwargs
        )


def _reader(config: RepoConfig, views: Sequence[FeatureView] = ()) -> Reader:
    schemas = {view.batch_source.name: _schema(view) for view in views if view.batch_source}

    def read(source: DataSource, repo_path: str) -> Table:
        folder = Path(getattr(source, "path", "")).parent
        if not folder.parent.joinpath("_snapshots").is_dir():
            return feast_duckdb._read_data_source(source, repo_path)
        files = FeatureLog(folder.parent).files(folder.name, config.offline_store.known_at)
        empty = ibis.memtable(schemas.get(source.name, pa.schema([])).empty_table())
        if not files:
            return empty
        table = ibis.read_parquet([str(path) for path in files], union_by_name=True)
        later = {name: ibis.null(kind) for name, kind in empty.schema().items()}
        return table.mutate({name: null for name, null in later.items() if name not in table})

    return read


def _schema(view: FeatureView) -> pa.Schema:
    """The columns of the view's log that a retrieval touches."""
    columns = {f.name: from_feast_to_pyarrow_type(f.dtype) for f in view.entity_columns}
    columns |= {f.name: from_feast_to_pyarrow_type(f.dtype) for f in view.features}
    source, instant = view.batch_source, pa.timestamp("us", tz="UTC")
    return pa.schema(
        {
            **columns,
            source.timestamp_field: instant,
            source.created_timestamp_column: instant,
        }
    )


def _writer(config: RepoConfig) -> dict[str, Any]:
    """What Feast needs to persist a retrieval; as in its own store."""
    return {
        "data_source_writer": feast_duckdb._write_data_source,
        "staging_location": config.offline_store.staging_location,
        "staging_location_endpoint_override": (
            config.offline_store.staging_location_endpoint_override
        ),
    }
