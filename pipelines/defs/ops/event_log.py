"""Dagster's event log in SQLite, by connections that stay open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import StaticPool

#: Where Dagster keeps it by default, below its home.
FOLDER = Path("history", "runs")
#: Databases held open: the index of all runs, and one a run.
OPEN = 8
BUSY_SECONDS = 60


class EventLog(SqliteEventLogStorage):
    """The same files in a quarter of the time: an event costs a statement, not a connection.

    The library connects, compiles its statements and flushes the disk anew for every event. Here a
    commit survives the death of the process, and the last ones may be lost with the machine's
    power; they are notes on runs, and the data's own files are written elsewhere.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, db.Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The folder of Dagster's home, from the environment or in words."""
        return {"dagster_home": dg.StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> EventLog:
        """The log below that folder."""
        return cls(str(Path(config_value["dagster_home"]) / FOLDER), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard):
                pass  # the library makes the tables
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table; a table that was there once stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _engine(self, shard: str) -> db.Engine:
        """The shard's engine of one connection; the one unused for longest makes way for a new."""
        if shard not in self._engines:
            while len(self._engines) >= OPEN:
                self._engines.popitem(last=False)[1].dispose()
            self._engines[shard] = _engine_of(self.conn_string_for_shard(shard))
        self._engines.move_to_end(shard)
        return self._engines[shard]

    def dispose(self) -> None:
        """Close every connection."""
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
        super().dispose()


def _engine_of(address: str) -> db.Engine:
    engine = db.create_engine(
        address,
        poolclass=StaticPool,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @db.event.listens_for(engine, "connect")
    def relax(connection: Any, _: Any) -> None:
        connection.execute("pragma synchronous = normal")

    return engine
