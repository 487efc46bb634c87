"""Does the online store hold what the log says? Every cell of every member, and nothing else.

Cells are compared as the bytes they are stored as, so that null, `[]` and `""` differ; a cell that
the store lacks is none of them. Whoever trusts the encoder less gives `decoded`: so many members'
cells are also decoded, by other code than wrote them, and compared as values.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.core.catalog import EVENT_AT, Catalog, FeatureView
from pipelines.core.feature_log import FeatureLog, Watermark
from pipelines.core.home import Brand
from pipelines.online.decoder import EPOCH, decode
from pipelines.online.encoder import MICROS, Encoded, encode, encode_keys
from pipelines.online.layout import split_key
from pipelines.online.stores import OnlineStore, ReadPlan, Row
from pipelines.online.turn import alone

BATCH_ROWS = 5_000
#: Cells and keys that a report names; the counts go on.
NAMED = 100
#: Members a view whose cells are decoded too, if no number is given.
DECODED = 1_000
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One cell that is not as the log says; both sides as Python writes them, or `absent`."""

    view: str
    key: tuple[str | int, ...]
    feature: str
    log: str
    store: str


@dataclass
class ViewParity:
    """What was compared of one view, and what differed."""

    at: Watermark | None = None
    keys: int = 0
    cells: int = 0
    differing: Counter[str] = field(default_factory=Counter)  # by feature
    orphans: int = 0


@dataclass
class ParityReport:
    """What was compared, by view; the first differing cells and orphans by name."""

    views: dict[str, ViewParity] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    orphans: list[tuple[str, tuple[str | int, ...]]] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """Cells compared."""
        return sum(view.cells for view in self.views.values())

    @property
    def differing(self) -> int:
        """Cells that differ."""
        return sum(view.differing.total() for view in self.views.values())

    @property
    def orphaned(self) -> int:
        """Keys in the store that the log does not have."""
        return sum(view.orphans for view in self.views.values())

    @property
    def ok(self) -> bool:
        """Whether the store holds what the log says, and nothing else."""
        return not self.differing and not self.orphaned


def parity(
    brand: Brand,
    catalog: Catalog,
    store: OnlineStore,
    sample: int | None = None,
    *,
    reconcile: bool = False,
    decoded: int = DECODED,
) -> ParityReport:
    """The store compared with the log at the store's own watermarks, view by view.

    With `sample`, about that many members of each view are compared, and orphans are not looked
    for. With `reconcile`, they are, and deleted. A view that was never published is not compared.

    Raises:
        StoreUnavailableError: the store does not answer.
        PublishError: orphans are to be deleted while a publish of the brand is under way.
    """
    with alone(brand) if reconcile else nullcontext():
        return _compared(brand, catalog, store, sample, reconcile=reconcile, decoded=decoded)


def _compared(
    brand: Brand,
    catalog: Catalog,
    store: OnlineStore,
    sample: int | None,
    *,
    reconcile: bool,
    decoded: int,
) -> ParityReport:
    log, report = FeatureLog(brand.log), ParityReport()
    marks = store.watermarks()
    for view in catalog.views.values():
        found = report.views.setdefault(view.name, ViewParity())
        if not (mark := marks.get(view.name)):
            continue
        found.at = Watermark(mark.as_of, mark.known_at, mark.snapshot_id)
        _Comparison(view, store, report, decoded).run(_state(log, view, found.at, sample))
        if sample is None or reconcile:
            for keys in orphans(log, view, found.at, store):
                found.orphans += len(keys)
                named = [(view.name, tuple(split_key(key)[1])) for key in keys]
                report.orphans += named[: NAMED - len(report.orphans)]
                if reconcile:
                    remove(store, view, keys, found.at.as_of)
    return report


def orphans(
    log: FeatureLog, view: FeatureView, at: Watermark, store: OnlineStore
) -> Iterator[list[bytes]]:
    """Entity keys with cells of the view in the store that the log at `at` does not have."""
    known = np.concatenate(
        [np.empty(0, np.uint64), *(_hashes(encode_keys(view, b)) for b in log.state(view, at))]
    )
    known.sort()
    strangers: list[list[bytes]] = []  # all are found before the first is deleted under the scan
    for keys in store.keys(view):
        hashes = _hashes(pa.array(keys, pa.binary()))
        places = np.searchsorted(known, hashes)
        inside = places < len(known)
        inside[inside] = known[places[inside]] == hashes[inside]
        if not inside.all():
            strangers.append([key for key, known_ in zip(keys, inside, strict=True) if not known_])
    yield from strangers


def remove(store: OnlineStore, view: FeatureView, keys: list[bytes], as_of: datetime | None) -> int:
    """The number of keys removed; what is later than `as_of` stays, None removes all."""
    event_us = ((as_of or FOREVER) - EPOCH) // timedelta(microseconds=1)
    events = pa.array([event_us] * len(keys), pa.int64())
    return store.delete(view, pa.array(keys, pa.binary()), events).keys


class _Comparison:
    """Compares one view batch by batch and notes what differs in the report."""

    def __init__(
        self, view: FeatureView, store: OnlineStore, report: ParityReport, decoded: int
    ) -> None:
        self._view, self._store, self._report, self._decode = view, store, report, decoded
        self._found = report.views[view.name]
        columns = [(view.name, feature.name) for feature in view.features]
        self._plan: ReadPlan = store.plan(view.join_keys, columns)

    def run(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            for at in range(0, len(batch), BATCH_ROWS):
                self._compare(encode(self._view, batch.slice(at, BATCH_ROWS)))

    def _compare(self, batch: Encoded) -> None:
        keys, events = batch.keys.to_pylist(), batch.event_us.to_pylist()
        rows = self._store.read([(self._plan, keys)]).rows[0]
        expected = zip(*(values.to_pylist() for values in batch.values), strict=True)
        for index, (key, row, wanted) in enumerate(zip(keys, rows, expected, strict=True)):
            if tuple(row.values) != wanted:
                self._name(key, row, wanted)
            elif self._decode > 0:
                self._decode -= 1
                self._name_decoded(key, row, batch.rows, index)
            if _second(row.event_at[0]) != events[index] // MICROS:
                log = str(EPOCH + timedelta(microseconds=events[index]))
                self._differs(key, EVENT_AT, log, str(row.event_at[0] or ABSENT))
        self._found.keys += len(keys)
        self._found.cells += len(keys) * len(self._view.features)

    def _name(self, key: bytes, row: Row, wanted: tuple[bytes, ...]) -> None:
        for feature, held, want in zip(self._view.features, row.values, wanted, strict=True):
            if held != want:
                self._differs(key, feature.name, _shown(want), _shown(held))

    def _name_decoded(self, key: bytes, row: Row, rows: pa.RecordBatch, index: int) -> None:
        for feature, held in zip(self._view.features, row.values, strict=True):
            wanted = _plain(rows.column(feature.name)[index].as_py())
            value = decode(held or b"")
            if value != wanted:
                self._differs(key, feature.name, repr(wanted), repr(value))

    def _differs(self, key: bytes, feature: str, log: str, store: str) -> None:
        self._found.differing[feature] += 1
        if len(self._report.differences) < NAMED:
            named = Difference(self._view.name, tuple(split_key(key)[1]), feature, log, store)
            self._report.differences.append(named)


def _state(
    log: FeatureLog, view: FeatureView, at: Watermark, sample: int | None
) -> Iterator[pa.RecordBatch]:
    """The log's rows; of a sample, every n-th batch of rows, so that it spans the whole log."""
    batches = iter(log.state(view, at, BATCH_ROWS))
    if sample is None:
        yield from batches
        return
    total = sum(len(batch) for batch in log.state(view, at))
    share = min(1.0, sample / max(total, 1))
    for batch in batches:
        size = int(np.ceil(len(batch) * share))
        picked = np.unique(np.linspace(0, len(batch) - 1, size).astype(np.int64))
        yield batch.take(pa.array(picked))


def _hashes(keys: pa.BinaryArray) -> npt.NDArray[np.uint64]:
    """64 bits of each key: two keys that share them hide an orphan, but never make one."""
    series = pl.Series(pl.from_arrow(keys))
    return series.hash(seed=7).to_numpy()


def _second(at: datetime | None) -> int | None:
    """Whole seconds since 1970: SQLite keeps no more."""
    return None if at is None else (at - EPOCH) // timedelta(seconds=1)


def _plain(value: Any) -> Any:
    """A value of the log as `decode` gives it."""
    if isinstance(value, datetime):
        return _second(value)
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _shown(raw: bytes | None) -> str:
    """A stored cell as a report names it."""
    if raw is None:
        return ABSENT
    try:
        return repr(decode(raw))
    except ValueError:
        return f"undecodable {raw.hex()}"
