"""What a shop is asked for, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, timedelta

from pipelines.core.errors import UsageError

FIRST_DAY = date(2024, 7, 1)
EARLIEST, LATEST = date(2010, 1, 1), date(2039, 12, 31)
#: Days after which a shop has the members it was asked for.
GROWN_DAYS = 400
SIZE_LIMIT = 50_000_000


@dataclass(frozen=True)
class Dirt:
    """Shares of landed rows that are not clean; `docs/shop.md` says what each kind does.

    `duplicates`: the same row twice in the file. `late`: lands 1 to 21 days after it happened.
    `corrections`: lands again, changed. `broken`: cannot be accepted as it stands.
    """

    duplicates: float = 0.005
    late: float = 0.02
    corrections: float = 0.01
    broken: float = 0.002

    def __post_init__(self) -> None:
        for share in fields(self):
            if not 0 <= getattr(self, share.name) <= 0.3:
                message = f"dirt {share.name}={getattr(self, share.name)} is no share"
                raise UsageError(message, "give a number from 0 to 0.3")

    @classmethod
    def none(cls) -> Dirt:
        """A shop whose systems never err."""
        return cls(0, 0, 0, 0)


@dataclass(frozen=True)
class ShopConfig:
    """One synthetic shop.

    The shop is a function of (`members`, the first day, `seed`, `dirt`, `opening_share`). Asking
    for more `days` adds days at the end and leaves the others as they were, byte for byte.
    """

    #: Members who have joined after 400 days; the shop grows on at the same pace.
    members: int = 3_000
    #: Days to generate.
    days: int = 400
    #: The day the shop opens; 2024-07-01 unless `last_day` says otherwise.
    first_day: date | None = None
    #: The last day, instead of the first one.
    last_day: date | None = None
    #: Another seed is another shop.
    seed: int = 1
    #: How unclean its exports are.
    dirt: Dirt = field(default_factory=Dirt)
    #: Share of `members` who join in the first two weeks.
    opening_share: float = 0.2
    #: Write only landing days from this one on (the bytes are those of a full run).
    write_from: date | None = None

    def __post_init__(self) -> None:
        if self.first_day and self.last_day:
            message = "both the first and the last day are given"
            raise UsageError(message, "give one of them, and the number of days")
        if not 1 <= self.members <= SIZE_LIMIT or self.days < 1 or self.seed < 0:
            message = f"members={self.members}, days={self.days}, seed={self.seed} is no shop"
            raise UsageError(
                message, f"members 1 to {SIZE_LIMIT}, days at least 1, seed at least 0"
            )
        if not 0 <= self.opening_share <= 1:
            raise UsageError("the opening share is no share", "give a number from 0 to 1")
        if self.first < EARLIEST or self.last > LATEST:
            message = f"a shop from {self.first} to {self.last} leaves the calendar it knows"
            raise UsageError(message, f"stay within {EARLIEST} and {LATEST}")

    @property
    def first(self) -> date:
        """The day the shop opens."""
        if self.last_day:
            return self.last_day - timedelta(days=self.days - 1)
        return self.first_day or FIRST_DAY

    @property
    def last(self) -> date:
        """The last day generated."""
        return self.first + timedelta(days=self.days - 1)

    @property
    def first_written(self) -> int:
        """Index of the first day that is written."""
        return max((self.write_from - self.first).days, 0) if self.write_from else 0

    def identity(self) -> dict[str, object]:
        """What makes this shop this shop; two configs of equal identity agree on every day."""
        return {
            "members": self.members,
            "first_day": self.first.isoformat(),
            "seed": self.seed,
            "dirt": {share.name: getattr(self.dirt, share.name) for share in fields(Dirt)},
            "opening_share": self.opening_share,
        }


@dataclass
class ShopReport:
    """What landed. `dirt` counts rows by kind and table, `broken` by table and rule.

    `orders` were placed on the days written; most of them land more than once.
    """

    first_day: date
    last_day: date
    days: int = 0
    members: int = 0
    orders: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    dirt: dict[str, dict[str, int]] = field(default_factory=dict)
    broken: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())
