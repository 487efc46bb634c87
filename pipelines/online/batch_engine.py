"""Feast's batch engine on our encoder: `feast materialize` as fast as `huitou publish`.

Name it in `feature_store.yaml`:

    batch_engine:
      type: pipelines.online.batch_engine.ArrowBatchEngine

It writes plain feature views to Redis and SQLite in streamed batches and deletes what the feature
log marks as gone. Everything else (views with transformations, types or stores it does not know,
historical retrieval) it leaves to the local engine it extends. It moves no watermark: that is the
publisher's, whose log decides what is fresh.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureView as FeastView
from feast import RepoConfig
from feast.feature_view import DUMMY_ENTITY_NAME
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.online_stores.redis import RedisOnlineStore, RedisType
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _get_column_names
from ibis.expr.operations import InMemoryTable  # type: ignore[import-untyped]  # no stubs

from pipelines.core.catalog import EVENT_AT, FEAST_TYPES, KNOWN_AT, Feature, FeatureView
from pipelines.online.encoder import encode, encode_keys, micros
from pipelines.online.redis_store import RedisStore
from pipelines.online.resp import Address, Target
from pipelines.online.sqlite_store import SqliteStore
from pipelines.online.stores import OnlineStore

BATCH_ROWS = 10_000
DELETED = "is_deleted"
_DATA_TYPES = {feast: dbt for dbt, feast in FEAST_TYPES.items()}


class ArrowBatchEngineConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast is untyped
    """The engine has no options."""

    type: Literal["pipelines.online.batch_engine.ArrowBatchEngine"] = (
        "pipelines.online.batch_engine.ArrowBatchEngine"
    )


class ArrowBatchEngine(LocalComputeEngine):  # type: ignore[misc]  # Feast is untyped
    """Materializes plain views column by column; see the module."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("type", None)
        super().__init__(**kwargs)

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        view, store = _catalogued(task.feature_view), _store(self.repo_config, self.online_store)
        if view is None or store is None:
            return super()._materialize_one(registry, task, **kwargs)
        try:
            store.prepare(view)
            guard = not store.is_empty()
            for batch in self._latest(registry, task):
                _apply(store, view, batch, guard)
        finally:
            store.close()
        job_id = f"{view.name}-{task.start_time}-{task.end_time}"
        return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _latest(
        self, registry: BaseRegistry, task: MaterializationTask
    ) -> Iterator[pa.RecordBatch]:
        """The newest row of each key in the task's range, named as the catalogue names columns."""
        view, source = task.feature_view, task.feature_view.batch_source
        entities = [registry.get_entity(name, task.project) for name in view.entities]
        keys, features, event_at, known_at = _get_column_names(view, entities)
        job = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=source,
            join_key_columns=keys,
            feature_name_columns=[*features, *([DELETED] if _has_tombstones(source) else [])],
            timestamp_field=event_at,
            created_timestamp_column=known_at,
            start_date=task.start_time,
            end_date=task.end_time,
        )
        names = {**(source.field_mapping or {}), event_at: EVENT_AT, known_at: KNOWN_AT}
        texts = [field.name for field in view.entity_columns if str(field.dtype) == "String"]
        for rows in _batches(job):
            named = rows.rename_columns([names.get(n, n) for n in rows.schema.names])
            yield _as_declared(named, texts)


def _as_declared(rows: pa.RecordBatch, texts: list[str]) -> pa.RecordBatch:
    """The rows with text keys as text, and with the second clock if the source has only one."""
    for name in texts:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, rows.column(at).cast(pa.string()))
    if KNOWN_AT not in rows.schema.names:
        rows = rows.append_column(KNOWN_AT, rows.column(EVENT_AT))
    return rows


def _apply(store: OnlineStore, view: FeatureView, batch: pa.RecordBatch, guard: bool) -> None:
    if DELETED in batch.schema.names:
        gone = batch.filter(pc.fill_null(batch.column(DELETED), False))
        batch = batch.filter(pc.invert(pc.fill_null(batch.column(DELETED), False)))
        if len(gone):
            store.delete(view, encode_keys(view, gone), micros(view, gone, EVENT_AT))
    for at in range(0, len(batch), BATCH_ROWS):
        store.write(view, encode(view, batch.slice(at, BATCH_ROWS)), guard=guard)


def _batches(job: Any) -> Iterator[pa.RecordBatch]:
    """The rows of a retrieval, streamed if DuckDB retrieves them from files.

    Ibis cannot stream from DuckDB 2 (it calls a method that is gone), so its query is run as it is.
    """
    table: Any = getattr(job, "table", None)
    if table is None or table.op().find(InMemoryTable) or table.get_backend().name != "duckdb":
        yield from job.to_arrow().to_batches(max_chunksize=BATCH_ROWS)
        return
    duckdb = table.get_backend()
    yield from duckdb.con.sql(duckdb.compile(table)).to_arrow_reader(BATCH_ROWS)


def _has_tombstones(source: Any) -> bool:
    """Whether the source is the feature log, whose rows say if their key is gone."""
    paths = glob.glob(getattr(source, "path", "") or "")  # noqa: PTH207  # a pattern with folders
    return bool(paths) and DELETED in pq.read_schema(paths[0]).names


def _catalogued(view: FeastView) -> FeatureView | None:
    """A Feast view as the encoder knows it; None if it needs more than being copied online."""
    types = {str(feature.dtype) for feature in view.features}
    keys = {str(field.dtype) for field in view.entity_columns}
    copied = view.online and not view.offline and view.entities != [DUMMY_ENTITY_NAME]
    computed = getattr(view, "feature_transformation", None) or getattr(view, "aggregations", None)
    known = types <= set(_DATA_TYPES) and keys <= {"String", "Int64"}
    if type(view) is not FeastView or not copied or computed or not types or not known:
        return None
    return FeatureView(
        name=view.name,
        description=view.description,
        entity=view.entities[0],
        join_keys=tuple(field.name for field in view.entity_columns),
        features=tuple(
            Feature(f.name, _DATA_TYPES[str(f.dtype)], f.description) for f in view.features
        ),
        max_age_s=0,
        slo_s=0,
        owner=view.owner,
        domain="",
        pii="",
        purpose="",
    )


def _store(config: RepoConfig, online: Any) -> OnlineStore | None:
    """Our store of Feast's configuration; None if Feast's store is not one of ours."""
    settings = config.online_store
    if config.entity_key_serialization_version != 3 or (
        config.registry.enable_online_feature_view_versioning
    ):
        return None
    if type(online) is SqliteOnlineStore:
        return SqliteStore(Path(online._get_db_path(config)), config.project)
    if type(online) is RedisOnlineStore and not settings.key_ttl_seconds:
        target = _redis(settings)
        return RedisStore(target, config.project) if target else None
    return None


def _redis(settings: Any) -> Target | None:
    """The Redis of a Feast connection string `host:port,…,db=0,ssl=true,password=…`."""
    nodes, options = RedisOnlineStore._parse_connection_string(settings.connection_string)
    known = {"db", "ssl", "username", "password", "ssl_ca_certs", "skip_full_coverage_check"}
    if settings.redis_type == RedisType.redis_sentinel or not set(options) <= known:
        return None
    address = Address(
        host=nodes[0]["host"],
        port=int(nodes[0]["port"]),
        db=int(options.get("db", 0)),
        username=str(options.get("username", "")),
        password=str(options.get("password", "")),
        tls=bool(options.get("ssl", False)),
        ca_file=options.get("ssl_ca_certs", ""),
    )
    return Target(address, settings.redis_type == RedisType.redis_cluster)
