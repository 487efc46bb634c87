"""Which landing files there are, and which of them a feed has not loaded yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from pipelines.core import files as disk
from pipelines.core import lake
from pipelines.core.errors import InputError, UsageError
from pipelines.core.home import Brand
from pipelines.core.source import Adapter, Feed, Files


@dataclass(frozen=True)
class LandingFile:
    """A file below the landing folder; `path` is relative to it."""

    path: str
    full: Path
    day: date | None

    @cached_property
    def sha256(self) -> str:
        """Digest of its bytes.

        Raises:
            InputError: we may not read it, or it is gone.
        """
        try:
            return disk.sha256(self.full)
        except OSError as error:
            message = f"{self.path} cannot be read: {error.strerror}"
            raise InputError(message, "check who may read it, and that it stays there") from error


@dataclass(frozen=True)
class Work:
    """A feed's files: those to load, those loaded before, and what the mapping looks into."""

    feed: Feed
    pending: list[LandingFile]
    done: list[lake.FileEntry]
    history: list[LandingFile]
    needs: dict[str, list[LandingFile]]
    need_digests: dict[str, str]
    missing: list[str]


def find(adapter: Adapter, files: Files, landing: Path) -> list[LandingFile]:
    """The files of that shape, in the order they landed; undated ones last."""
    for pattern in files.patterns:
        paths = sorted(path for path in landing.glob(pattern) if path.is_file())
        if paths:
            relative = [path.relative_to(landing).as_posix() for path in paths]
            found = [
                LandingFile(name, path, _day(adapter, name))
                for name, path in zip(relative, paths, strict=True)
            ]
            return sorted(found, key=lambda file: (file.day or date.max, file.path))
    return []


def _day(adapter: Adapter, path: str) -> date | None:
    try:
        return adapter.landing_day(path)
    except ValueError as error:
        message = f"{path} says no landing day: {error}"
        raise InputError(message, f"rename it as the adapter {adapter.name!r} expects") from error


def no_folder(landing: Path) -> UsageError:
    """What to say of a landing folder that is none."""
    if landing.exists():
        message = f"{landing} is a file; --landing wants the folder it lies in"
        return UsageError(message, f"give --landing {landing.parent}")
    message = f"the landing folder {landing} does not exist"
    return UsageError(message, "check the path; `huitou shop` makes one to play with")


def check(adapter: Adapter, landing: Path) -> None:
    """Make sure that the landing folder is one of this adapter's.

    Raises:
        UsageError: there is no such folder.
        InputError: it holds none of the adapter's files.
    """
    if not landing.is_dir():
        raise no_folder(landing)
    patterns = dict.fromkeys(p for feed in adapter.feeds for p in feed.files.patterns)
    if not any(path.is_file() for pattern in patterns for path in landing.glob(pattern)):
        message = f"{landing} holds no file that the adapter {adapter.name!r} reads"
        raise InputError(message, f"it reads {', '.join(patterns)}")


def plan(
    adapter: Adapter,
    feed: Feed,
    landing: Path,
    days: tuple[date, date],
    manifests: Collection[lake.Manifest],
) -> Work:
    """What a load of these days has to do for the feed.

    A file is pending if its landing day is one of `days`, or it is undated, or an earlier load
    failed to read it; and if it was not loaded before, by its path, its content and the content of
    what the mapping looks into.
    """
    needs = {name: find(adapter, files, landing) for name, files in feed.needs.items()}
    digests = {file.path: file.sha256 for found in needs.values() for file in found}
    loaded = {
        lake.entry_key(entry): entry
        for one in manifests
        for entry in one.files
        if entry.feed == feed.name and one.kind == "load"
    }
    failed = {f.path for one in manifests for f in one.failed if f.feed == feed.name}
    first, last = days
    files = find(adapter, feed.files, landing)
    shapes = [(feed.files, files), *((feed.needs[name], needs[name]) for name in feed.needs)]
    seen = [f for f in files if f.day is None or f.day <= last]
    wanted = [f for f in seen if f.day is None or f.day >= first or f.path in failed]
    keys = {f.path: lake.file_key(feed.name, f.path, f.sha256, digests) for f in wanted}
    return Work(
        feed,
        pending=[f for f in wanted if keys[f.path] not in loaded],
        done=[loaded[keys[f.path]] for f in wanted if keys[f.path] in loaded],
        history=seen,
        needs=needs,
        need_digests=digests,
        missing=[" or ".join(s.patterns) for s, found in shapes if s.required and not found],
    )


def pending_files(brand: Brand, adapter: Adapter, landing: Path, last: date) -> dict[str, date]:
    """Landing days up to `last` of the files that some feed never loaded as they are now.

    By what tells such a load from every other: source, feed, path, content and what it is read
    with. Undated extracts have no day of their own and are never pending by themselves.
    """
    check(adapter, landing)
    manifests = lake.manifests(brand, source=adapter.name)
    found = {}
    for feed in adapter.feeds:
        own = [one for one in manifests if one.table == feed.table]
        work = plan(adapter, feed, landing, (date.min, last), own)
        for file in work.pending:
            if file.day:
                key = lake.file_key(feed.name, file.path, file.sha256, work.need_digests)
                found[repr((adapter.name, *key))] = file.day
    return found
