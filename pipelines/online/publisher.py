"""From the feature log to the online store: what changed since the store's watermark.

A view's changes go out a range of keys at a time, each range then noted in the store as a
checkpoint; the watermark moves last. Whatever is cut off is done again from the last checkpoint:
writing twice what the log says changes nothing. A later event in the store is never overwritten.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.core.catalog import EVENT_AT, Catalog, FeatureView
from pipelines.core.clock import Clock, SystemClock
from pipelines.core.errors import UsageError
from pipelines.core.feature_log import FeatureLog, LogError, Watermark
from pipelines.core.home import Brand
from pipelines.online.encoder import Encoded, EncodeError, encode, encode_keys, micros
from pipelines.online.parity import orphans, remove
from pipelines.online.stores import OnlineStore, Published
from pipelines.online.turn import PublishError, alone

Progress = Callable[[str, int], None]

#: What is encoded at once; two of these wait while one is being sent.
BATCH_ROWS = 20_000
BATCH_BYTES = 16 << 20
AHEAD = 2


@dataclass
class ViewReport:
    """What publishing did to one view; `held` says why nothing was done, if so."""

    at: Watermark | None = None
    upserts: int = 0
    deletes: int = 0
    kept_newer: int = 0
    bytes: int = 0
    seconds: float = 0.0
    resumed: bool = False
    held: str = ""


@dataclass
class PublishReport:
    """What publishing did, by view."""

    views: dict[str, ViewReport] = field(default_factory=dict)

    @property
    def writes(self) -> int:
        """Keys written and keys deleted; 0 if the store held everything already."""
        return sum(view.upserts + view.deletes for view in self.views.values())

    @property
    def held(self) -> dict[str, str]:
        """The views that were held back, and why."""
        return {name: view.held for name, view in self.views.items() if view.held}


def publish(
    brand: Brand,
    catalog: Catalog,
    store: OnlineStore,
    views: Collection[str] | None = None,
    full: bool = False,
    progress: Progress | None = None,
    *,
    hold: Collection[str] = (),
    clock: Clock | None = None,
) -> PublishReport:
    """Make the store hold what the log says, and report what that took.

    `full` writes everything and removes what the log does not have. The views of `hold` stay as
    they are, as does a view whose rows cannot be encoded; the others go on. `progress` hears the
    view and the number of rows done so far.

    Raises:
        UsageError: `views` names a view that the catalogue does not have.
        PublishError: another publish of this brand is under way.
        StoreUnavailableError: the store does not answer; publish again to go on from there.
    """
    if unknown := sorted(set(views or ()) - set(catalog.views)):
        message = f"no feature view {', '.join(unknown)}"
        raise UsageError(message, f"name one of {', '.join(catalog.views)}")
    report = PublishReport()
    with alone(brand):
        run = _Run(
            FeatureLog(brand.log), catalog, store, full, store.is_empty(), clock or SystemClock()
        )
        for view in catalog.views.values():
            if views is None or view.name in views:
                done = ViewReport(held="its checks failed" if view.name in hold else "")
                report.views[view.name] = done
                if not done.held:
                    run.publish(view, done, progress or _silent)
    return report


@dataclass(frozen=True)
class _Task:
    """What is left to do for one view: its changes from `since` to `until`, after key `after`."""

    view: FeatureView
    since: Watermark | None
    until: Watermark
    full: bool
    guard: bool
    backwards: bool
    after: str | None = None

    def name(self) -> dict[str, object]:
        """What a checkpoint must agree with to be gone on from."""
        since = self.since.to_dict() if self.since else None
        return {"since": since, "until": self.until.to_dict(), "full": self.full}


@dataclass(frozen=True)
class _Piece:
    """The next rows to write and keys to delete; with `upto`, what lies up to that key is done."""

    rows: int = 0
    upserts: Encoded | None = None
    gone: tuple[pa.Array, pa.Array] | None = None
    upto: str | None = None


@dataclass(frozen=True)
class _Run:
    """One call of `publish`."""

    log: FeatureLog
    catalog: Catalog
    store: OnlineStore
    full: bool
    was_empty: bool
    clock: Clock

    def publish(self, view: FeatureView, report: ViewReport, progress: Progress) -> None:
        """Publish one view; what is wrong with its rows is held against it alone."""
        started = time.perf_counter()
        try:
            if task := self._task(view, report):
                self._apply(task, report, progress)
        except (EncodeError, LogError, PublishError) as error:
            report.held = str(error)
        report.seconds = time.perf_counter() - started

    def _task(self, view: FeatureView, report: ViewReport) -> _Task | None:
        """What is to be done for the view, if anything is."""
        until = self.log.latest(view.name)
        if until is None:
            return None
        report.at = until
        self.store.prepare(view)
        published = self.store.watermarks().get(view.name)
        since = _watermark(published)
        backwards = since is not None and since > until
        if backwards and not self.full:
            message = f"the store holds {view.name} of {since}, the log only of {until}"
            raise PublishError(message, "`huitou publish --full` takes the store back to the log")
        full = self.full or published is None or self._lacks_features(view, published)
        if since == until and not full:
            return None
        guard = not self.was_empty and not backwards
        task = _Task(view, None if full else since, until, full, guard, backwards)
        return self._resumed(task, report)

    def _lacks_features(self, view: FeatureView, published: Published) -> bool:
        """Whether the view has a feature that was never published, so that cells are missing."""
        if published.catalog_version == self.catalog.version:
            return False
        plan = self.store.plan(view.join_keys, [(view.name, f.name) for f in view.features])
        keys = next(self.store.keys(view), [])
        return any(None in row.values for row in self.store.read([(plan, keys)]).rows[0])

    def _resumed(self, task: _Task, report: ViewReport) -> _Task:
        """The task from where a publish of the same changes was cut off."""
        reached = json.loads(self.store.checkpoint(task.view.name) or "{}")
        after = reached.pop("after", None)
        if reached != task.name():
            return task
        report.resumed = True
        return replace(task, after=after)

    def _apply(self, task: _Task, report: ViewReport, progress: Progress) -> None:
        view, store, rows = task.view, self.store, 0
        for piece in _made_ahead(_pieces(self.log, task)):
            if piece.upserts:
                written = store.write(view, piece.upserts, guard=task.guard)
                report.upserts += written.keys
                report.kept_newer += written.kept_newer
                report.bytes += written.bytes
            if piece.gone:
                written = store.delete(view, *piece.gone)
                report.deletes += written.keys
                report.kept_newer += written.kept_newer
                report.bytes += written.bytes
            if piece.upto is not None:
                store.set_checkpoint(view.name, json.dumps({**task.name(), "after": piece.upto}))
            rows += piece.rows
            progress(view.name, rows)
        if task.full and not self.was_empty:
            as_of = None if task.backwards else task.until.as_of
            for keys in orphans(self.log, view, task.until, store):
                report.deletes += remove(store, view, keys, as_of)
        store.set_watermark(view.name, self._published(task.until))

    def _published(self, at: Watermark) -> Published:
        now = self.clock.now()
        return Published(at.as_of, at.known_at, at.snapshot_id, now, self.catalog.version)


def _watermark(published: Published | None) -> Watermark | None:
    if published is None:
        return None
    return Watermark(published.as_of, published.known_at, published.snapshot_id)


def _pieces(log: FeatureLog, task: _Task) -> Iterator[_Piece]:
    """The task's changes, encoded, range of keys by range of keys."""
    after = task.after
    bounds = [key for key in _bounds(log, task) if after is None or key > after]
    for upto in [*bounds, None]:
        changes = log.changes(task.view, task.since, task.until, between=(after, upto))
        for batch in changes:
            for part in _parts(batch):
                yield _piece(task, part)
        if upto is not None:
            yield _Piece(upto=upto)
        after = upto


def _bounds(log: FeatureLog, task: _Task) -> list[str]:
    """Keys that cut the changes into ranges: those at which the row groups of their files end."""
    since, key = task.since, task.view.join_keys[0]
    seen = {s.at.snapshot_id for s in log.snapshots() if since and since.sees(s.at)}
    bounds = set()
    for path in log.files(task.view.name):
        if path.stem in seen:
            continue
        metadata = pq.read_metadata(path)
        columns = [
            metadata.row_group(0).column(n).path_in_schema for n in range(metadata.num_columns)
        ]
        for group in range(metadata.num_row_groups - 1):
            statistics = metadata.row_group(group).column(columns.index(key)).statistics
            if statistics is not None and statistics.has_min_max:
                bounds.add(statistics.max)
    return sorted(bounds)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of bounded rows and bytes."""
    by_bytes = BATCH_BYTES * len(batch) // max(batch.nbytes, 1)
    rows = max(1, min(BATCH_ROWS, by_bytes))
    for at in range(0, len(batch), rows):
        yield batch.slice(at, rows)


def _piece(task: _Task, batch: pa.RecordBatch) -> _Piece:
    deleted = batch.column("is_deleted")
    gone = batch.filter(deleted) if deleted.true_count else None
    live = batch.filter(pc.invert(deleted)) if gone else batch
    return _Piece(
        rows=len(batch),
        upserts=encode(task.view, live) if len(live) else None,
        gone=_deletes(task.view, gone) if gone and not task.full else None,
    )


def _deletes(view: FeatureView, gone: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    return encode_keys(view, gone), micros(view, gone, EVENT_AT)


def _made_ahead(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """The same pieces, made by a thread while the caller works on the ones before."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        waiting = deque(thread.submit(next, pieces, None) for _ in range(AHEAD))
        while (piece := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, pieces, None))
            yield piece


def _silent(view: str, rows: int) -> None:
    """Tell nobody."""
