"""What the online stores promise: the agreement between publisher, stores and gateway.

A store holds Feast's layout (`layout.py`) and, beside it, the watermark of each view: the log read
at that watermark is what the store holds. Values pass through as the bytes of `feast.types.Value`;
`encoder.py` makes them, `decoder.py` reads them.

The stores themselves are `redis_store.py` and `sqlite_store.py`. Nothing connects before its first
use, so that a gateway starts while its store is down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from pipelines.core.catalog import FeatureView
from pipelines.core.clock import from_iso, iso
from pipelines.core.errors import HuitouError, UsageError
from pipelines.core.home import Brand

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.online.encoder import Encoded


class StoreUnavailableError(HuitouError):
    """The online store did not answer in time; the next call tries again."""


@dataclass(frozen=True)
class Published:
    """The watermark of a view in the store, and who moved it there when."""

    as_of: datetime
    known_at: datetime
    snapshot_id: str
    published_at: datetime
    catalog_version: str

    def to_json(self) -> str:
        """The watermark as the stores keep it."""
        return json.dumps(
            {
                "as_of": iso(self.as_of),
                "known_at": iso(self.known_at),
                "snapshot_id": self.snapshot_id,
                "published_at": iso(self.published_at),
                "catalog_version": self.catalog_version,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` wrote."""
        value = json.loads(text)
        return cls(
            as_of=from_iso(value["as_of"]),
            known_at=from_iso(value["known_at"]),
            snapshot_id=value["snapshot_id"],
            published_at=from_iso(value["published_at"]),
            catalog_version=value["catalog_version"],
        )


@dataclass(frozen=True)
class ReadPlan:
    """Columns to read of views that share their join keys: made once, used by many requests.

    `native` is the store's own form of it; a plan works only with the store that made it.
    """

    join_keys: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]  # (view, feature)
    views: tuple[str, ...]
    native: object


class Row(NamedTuple):
    """What the store holds for one key, in the order of its plan.

    A value is `None` if the store has no such cell, `b""` if the cell holds null. A view's
    `event_at` is `None` if the store holds nothing of that view for the key.
    """

    values: Sequence[bytes | None]
    event_at: Sequence[datetime | None]


class Reading(NamedTuple):
    """The answer to one `read`: rows for each (plan, keys) asked, and every view's watermark."""

    rows: list[list[Row]]
    watermarks: Mapping[str, Published]


Asked = Sequence[tuple[ReadPlan, Sequence[bytes]]]


class OnlineReader(Protocol):
    """The reading side. `keys` are entity keys as `layout.entity_key` makes them.

    Every read is one round trip (Redis: one pipeline; SQLite: one transaction), so values and
    watermarks belong together. All reads raise `StoreUnavailableError` within the store's timeout.
    """

    def plan(self, join_keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> ReadPlan:
        """The plan to read `columns`, (view, feature) pairs in the order wanted."""
        ...

    def read(self, asked: Asked) -> Reading:
        """The rows of all keys asked."""
        ...

    async def read_async(self, asked: Asked) -> Reading:
        """The same as `read`, from an event loop; safe to call concurrently."""
        ...

    def watermarks(self) -> Mapping[str, Published]:
        """The watermark of every view that was ever published."""
        ...

    def close(self) -> None:
        """Let go of connections; the next call opens them anew."""
        ...


class Written(NamedTuple):
    """What a write did: keys written, keys left alone because the store was newer, bytes sent."""

    keys: int
    kept_newer: int
    bytes: int


class OnlineWriter(Protocol):
    """The writing side; one writer at a time and brand.

    With `guard`, a key whose stored event time is later than the given one is left alone. Equal
    event times are written: a correction keeps the event time of what it corrects.
    """

    def prepare(self, view: FeatureView) -> None:
        """Make room for a view (tables); one that holds nothing was not published either."""
        ...

    def is_empty(self) -> bool:
        """Whether the store certainly holds nothing, so that no write needs a guard."""
        ...

    def write(self, view: FeatureView, batch: Encoded, *, guard: bool = True) -> Written:
        """Write every feature of the batch; on return it is in the store."""
        ...

    def delete(self, view: FeatureView, keys: pa.Array, event_us: pa.Array) -> Written:
        """Remove the view's cells of `keys` unless the store holds a later event than given."""
        ...

    def keys(self, view: FeatureView) -> Iterator[list[bytes]]:
        """The entity keys that have cells of the view, in batches, each at least once."""
        ...

    def set_watermark(self, view: str, published: Published) -> None:
        """Record what the store holds of the view, durably; forgets the view's checkpoint."""
        ...

    def checkpoint(self, view: str) -> str | None:
        """What `set_checkpoint` recorded since the watermark last moved."""
        ...

    def set_checkpoint(self, view: str, text: str) -> None:
        """Record how far a publish came; everything written before it is in the store."""
        ...


class OnlineStore(OnlineReader, OnlineWriter, Protocol):
    """A store that is published to and read from."""


def open_store(brand: Brand, timeout_s: float = 2.0) -> OnlineStore:
    """The brand's online store, by `HUITOU_ONLINE_STORE`: `sqlite` (default) or `redis`.

    `REDIS_URL` names the Redis: `redis://…`, `rediss://…`; `redis+cluster://…` for a cluster.
    Reads give up after `timeout_s`.

    Raises:
        UsageError: the variable names no store.
    """
    kind = os.environ.get("HUITOU_ONLINE_STORE", "sqlite")
    if kind == "sqlite":
        from pipelines.online.sqlite_store import SqliteStore

        return SqliteStore(brand.online_sqlite, brand.project, timeout_s)
    if kind == "redis":
        from pipelines.online.redis_store import RedisStore

        url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
        return RedisStore(url, brand.project, timeout_s)
    message = f"HUITOU_ONLINE_STORE={kind!r} names no online store"
    raise UsageError(message, "set it to sqlite or redis")
