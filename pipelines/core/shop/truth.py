"""What fate had drawn, written apart from the landing; nothing of the pipeline reads it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.shop.brand import CATEGORIES, CHANNELS
from pipelines.core.shop.buying import EXPERIENCES, PERIOD
from pipelines.core.shop.dirt import JUDGED_LATER, KINDS, RULES, DirtyRows
from pipelines.core.shop.members import (
    FAR,
    REASONS,
    RESPONSES,
    SHAPES,
    TYPES,
)
from pipelines.core.shop.members import KINDS as MEMBER_KINDS
from pipelines.core.shop.questions import QUESTIONS
from pipelines.core.shop.schema import MEMBER, ORDER
from pipelines.core.shop.streams import Array
from pipelines.core.shop.tables import NULL, Words
from pipelines.core.shop.world import Period, World

_LATER = [RULES.index(rule) for rule in JUDGED_LATER]
SKINS = tuple(code for code, _, _ in QUESTIONS[0].options)


class Truth:
    """Writes the truth files while the world is walked; gone again if the walk fails."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._folder = world, folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        n = len(world.members.joined_at)
        self._days = world.config.days
        self._purchases = np.zeros(n, np.int32)
        self._last = np.full(n, -FAR, np.int32)
        self._bad = np.zeros(n, np.int16)
        self._next = np.full(n, FAR, np.int32)

    def __enter__(self) -> Truth:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for name, writer in self._writers.items():
            writer.close()
            path = self._path(name)
            path.unlink() if error else path.replace(self._folder / f"{name}.parquet")

    def _path(self, name: str) -> Path:
        return self._folder / f".{name}.parquet.tmp"

    def _write(self, name: str, table: pa.Table) -> None:
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(
                self._path(name), table.schema, compression="zstd"
            )
        if table.num_rows:
            self._writers[name].write_table(table)

    def observe(self, period: Period) -> None:
        """Note what happened in a period, up to the last day asked for."""
        bought = period.bought
        if bought is not None:
            inside = bought.day < self._days
            who, day = bought.member[inside], bought.day[inside]
            np.add.at(self._purchases, who, 1)
            np.maximum.at(self._last, who, day)
            np.add.at(self._bad, who, (bought.bad[inside] > 0).astype(np.int16))
            np.minimum.at(self._next, bought.member[~inside], bought.day[~inside])
            self._experiences(period)
        self._campaign(period)

    def _experiences(self, period: Period) -> None:
        bought, heads = period.bought, period.heads
        if bought is None:
            return
        which = np.flatnonzero((bought.bad > 0) & (bought.day < self._days))
        order = np.full(len(bought.day), NULL, np.int64)
        if heads is not None:
            own = heads.purchase != NULL
            order[heads.purchase[own]] = heads.number[own]
        table = {
            "order_id": ORDER.typed(order[which]),
            "member_id": MEMBER.typed(bought.member[which] + 1),
            "happened_on": self._dates(bought.day[which]),
            "kind": Words(EXPERIENCES).typed(bought.bad[which]),
            "left_for_it": pa.array(bought.left[which].astype(bool)),
        }
        self._write("experiences", pa.table(table))

    def _campaign(self, period: Period) -> None:
        drawn = period.campaign
        if drawn is None or period.number * PERIOD >= self._days:
            return
        n = len(drawn.member)
        table = {
            "experiment_id": pa.array([f"EXP-{period.number:04d}"]).take(
                pa.array(np.zeros(n, int))
            ),
            "started_on": self._dates(np.full(n, period.number * PERIOD)),
            "member_id": MEMBER.typed(drawn.member + 1),
            "arm": Words(("control", "treatment")).typed(drawn.treated.astype(np.int8)),
            "persuaded": pa.array(drawn.persuaded),
        }
        self._write("campaigns", pa.table(table))

    def dirty(self, rows: DirtyRows) -> None:
        """Note the rows of a table that landed dirty, by file and record number."""
        config = self._world.config
        name = f"dirt_from_{config.write_from}" if config.write_from else "dirt"
        key = next(iter(self._world.tables[rows.table].columns.values()))
        n = len(rows.kind)
        table = {
            "table_name": pa.array([rows.table]).take(pa.array(np.zeros(n, int))),
            "kind": Words(KINDS).typed(rows.kind),
            "rule": Words(RULES).typed(rows.rule),
            "quarantined": pa.array((rows.rule != NULL) & ~np.isin(rows.rule, _LATER)),
            "landing_day": self._dates(rows.land),
            "source_row": pa.array(rows.source_row, pa.int64()),
            "row_id": key.typed(rows.row_id),
        }
        self._write(name, pa.table(table))

    def members(self) -> None:
        """Write what each member is, does and will do; the last thing to note."""
        m, n = self._world.members, self._world.joined_by(self._days)
        who = np.arange(n)
        left = m.leaves[:n] < self._days
        ahead = np.where(self._next < FAR, self._next, m.next)[:n]
        categories = Words(tuple(category.code for category in CATEGORIES))
        table = {
            "member_id": MEMBER.typed(who + 1),
            "member_type": Words(TYPES).typed(m.type[:n]),
            "kind": Words(MEMBER_KINDS).typed(m.kind[:n]),
            "joined_on": self._dates(m.joined_at[:n] // 86_400_000 - self._world.season.epoch_day),
            "main_category": categories.typed(m.category[:n]),
            "second_category": categories.typed(m.second_category[:n]),
            "primary_channel": Words(CHANNELS).typed(m.channel[:n]),
            "cycle_days": pa.array(m.cycle_centidays[:n] / 100),
            "gap_shape": pa.array(SHAPES[m.category[:n]].astype(np.int64)),
            "deal_seeker": pa.array(m.deal_seeker[:n]),
            "skin_type": Words(SKINS).typed(m.skin[:n]),
            "coupon_response": Words(RESPONSES).typed(m.response[:n]),
            "coupon_lift": pa.array(m.lift_pct[:n] / 100),
            "leaves_if_wronged": pa.array(m.temper_pct[:n] / 100),
            "leaves_on": self._dates(m.leaves[:n]),
            "left_on": self._dates(np.where(left, m.leaves[:n], FAR)),
            "reason": Words(REASONS).typed(np.where(left, m.reason[:n], NULL)),
            "purchase_days": pa.array(self._purchases[:n].astype(np.int64)),
            "last_purchase_on": self._dates(self._last[:n]),
            "next_purchase_on": self._dates(ahead),
            "bad_experiences": pa.array(self._bad[:n].astype(np.int64)),
        }
        self._write("members", pa.table(table))

    def _dates(self, day: Array) -> pa.Array:
        known = (day != FAR) & (day != -FAR)
        number = np.where(known, day, 0) + self._world.season.epoch_day
        return pa.array(number.astype(np.int32), pa.int32(), mask=~known).cast(pa.date32())
