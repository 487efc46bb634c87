"""The count: what became of every record of every landing file, from the manifests alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from pipelines.core import lake
from pipelines.core.contracts import TABLES
from pipelines.core.home import Brand


@dataclass(frozen=True)
class FileAccount:
    """One content of one landing file: its records, and what each table made of them.

    `tables` counts, by table, the records that the table claimed, as (accepted, quarantined).
    """

    source: str
    path: str
    sha256: str
    records: int
    tables: dict[str, tuple[int, int]]
    missing: tuple[str, ...]

    @property
    def accounted(self) -> int:
        """Records that were accepted or quarantined by some table."""
        return sum(accepted + quarantined for accepted, quarantined in self.tables.values())

    @property
    def is_complete(self) -> bool:
        """Whether every table that shares the file has been loaded from it."""
        return not self.missing

    @property
    def is_balanced(self) -> bool:
        """Whether no record was lost or claimed twice; judged once all tables are loaded."""
        return self.accounted == self.records if self.is_complete else True


@dataclass
class TableSummary:
    """Rows of a table over all loads: read = accepted + quarantined, accepted = new + unchanged."""

    table: str
    files: int = 0
    read: int = 0
    accepted: int = 0
    new: int = 0
    unchanged: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def accounting(brand: Brand, table: str | None = None) -> list[FileAccount]:
    """An account for each file whose records tables claim; of those that feed `table`, if given.

    Files that only derived feeds read have none: their rows are counted in `summary`.
    """
    files: dict[tuple[str, str, str], dict[str, dict[str, lake.FileEntry]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    moved: Counter[tuple[str, str, str, str]] = Counter()
    for manifest in lake.manifests(brand):
        for entry in manifest.files:
            key = manifest.source, entry.path, entry.sha256
            if entry.derived:
                continue
            if manifest.kind == "replay":
                moved[*key, manifest.table] += entry.accepted
            else:  # read again with other lookups: the last reading is the one that counts
                files[key][manifest.table][entry.feed] = entry
    accounts = []
    for key, tables in sorted(files.items()):
        entries = [entry for feeds in tables.values() for entry in feeds.values()]
        shared = {name for entry in entries for name in entry.shares}
        if table and table not in shared:
            continue
        counts = {}
        for name, feeds in sorted(tables.items()):
            late = moved[*key, name]
            counts[name] = (
                sum(entry.accepted for entry in feeds.values()) + late,
                sum(entry.quarantined for entry in feeds.values()) - late,
            )
        missing = tuple(sorted(shared - set(tables)))
        accounts.append(FileAccount(*key, max(e.records for e in entries), counts, missing))
    return accounts


def summary(brand: Brand) -> list[TableSummary]:
    """All tables in the order they are loaded, with their counts over all committed loads."""
    rows = {name: TableSummary(name) for name in TABLES}
    for manifest in lake.manifests(brand):
        row = rows[manifest.table]
        reasons = Counter(row.reasons)
        for entry in manifest.files:
            row.files += manifest.kind == "load"
            row.read += entry.read
            row.accepted += entry.accepted
            row.new += entry.new
            row.unchanged += entry.unchanged
            row.quarantined += entry.quarantined
            for reason, count in entry.reasons.items():
                reasons[reason] += count
        row.reasons = {reason: n for reason, n in reasons.most_common() if n}
    return list(rows.values())
