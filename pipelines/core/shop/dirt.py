"""What goes wrong on the way out of a shop's systems, each row of it known.

Late rows and corrections belong to the events and are marked where those are drawn. Broken rows
and duplicates are made here, from rows about to land.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipelines.core.shop.brand import CHANNELS, HOMES, STORES
from pipelines.core.shop.config import Dirt
from pipelines.core.shop.coupons import ORIGINS
from pipelines.core.shop.members import PURPOSES, STATES
from pipelines.core.shop.members import STATUSES as MEMBER_STATUSES
from pipelines.core.shop.orders import REFUND_REASONS, STATUSES
from pipelines.core.shop.questions import CHOICES
from pipelines.core.shop.season import DAY_MS
from pipelines.core.shop.streams import Array, Streams
from pipelines.core.shop.tables import (
    BAD_NUMBER,
    BAD_STAMP,
    CORRECTED,
    LAND,
    LATE,
    MARK,
    NULL,
    Rows,
)

Breaker = Callable[[Rows, Array], None]
FAR_FUTURE_MS = (
    int((np.datetime64("2199-01-01") - np.datetime64("1970-01-01")).astype(int)) * DAY_MS
)


def _sets(column: str, value: int) -> Breaker:
    def breaks(rows: Rows, which: Array) -> None:
        if value > np.iinfo(rows[column].dtype).max:
            rows[column] = rows[column].astype(np.int16)
        rows[column][which] = value

    return breaks


def _negates(column: str) -> Breaker:
    def breaks(rows: Rows, which: Array) -> None:
        rows[column][which] = -np.maximum(rows[column][which], 1)

    return breaks


def _copies(column: str, source: str, add: int, times: int = 1) -> Breaker:
    def breaks(rows: Rows, which: Array) -> None:
        rows[column][which] = rows[source][which] * times + add

    return breaks


#: By table: the ways to break a row, each alone a reason not to accept it, and named so.
BREAKERS: dict[str, dict[str, Breaker]] = {
    "members": {
        "member_id_missing": _sets("member_id", NULL),
        "unparsable_joined_at": _sets("joined_at", BAD_STAMP),
        "joined_in_future": _sets("joined_at", FAR_FUTURE_MS),
        "bad_geohash": _sets("geohash6", STORES * HOMES),
        "unknown_status": _sets("status", len(MEMBER_STATUSES)),
    },
    "consents": {
        "member_id_missing": _sets("member_id", NULL),
        "unparsable_at": _sets("at", BAD_STAMP),
        "unknown_purpose": _sets("purpose", len(PURPOSES)),
        "unknown_state": _sets("state", len(STATES)),
    },
    "orders": {
        "order_id_missing": _sets("order_id", NULL),
        "unparsable_ordered_at": _sets("ordered_at", BAD_STAMP),
        "ordered_at_missing": _sets("ordered_at", NULL),
        "unparsable_gross_minor": _sets("gross_minor", BAD_NUMBER),
        "negative_amount": _negates("paid_minor"),
        "paid_gt_gross": _copies("paid_minor", "gross_minor", 100_000, 2),
        "paid_before_ordered": _copies("paid_at", "ordered_at", -3_600_000),
        "unknown_channel": _sets("channel", len(CHANNELS)),
        "unknown_status": _sets("status", len(STATUSES)),
        "unknown_currency": _sets("currency", 1),
    },
    "order_lines": {
        "order_line_id_missing": _sets("order_line_id", NULL),
        "unparsable_unit_price_minor": _sets("unit_price_minor", BAD_NUMBER),
        "qty_not_positive": _sets("qty", 0),
    },
    "refunds": {
        "refund_id_missing": _sets("refund_id", NULL),
        "unparsable_refunded_at": _sets("refunded_at", BAD_STAMP),
        "amount_not_positive": _negates("amount_minor"),
        "unknown_reason_code": _sets("reason_code", len(REFUND_REASONS)),
    },
    "survey_answers": {
        "answer_id_missing": _sets("answer_id", NULL),
        "unparsable_answered_at": _sets("answered_at", BAD_STAMP),
        "unknown_option": _sets("option_codes", len(CHOICES)),
    },
    "coupon_issues": {
        "issue_id_missing": _sets("issue_id", NULL),
        "unparsable_expires_at": _sets("expires_at", BAD_STAMP),
        "expires_before_issue": _copies("expires_at", "issued_at", -DAY_MS),
        "unknown_origin": _sets("origin", len(ORIGINS)),
    },
    "coupon_redemptions": {
        "redemption_id_missing": _sets("redemption_id", NULL),
        "unparsable_redeemed_at": _sets("redeemed_at", BAD_STAMP),
        "negative_amount": _negates("discount_minor"),
    },
}
#: Rules that need another table to be judged; the others are reasons for quarantine at ingest.
JUDGED_LATER = frozenset({"unknown_option"})


@dataclass(frozen=True)
class DirtyRows:
    """Rows of one table that are not clean: what ails them, and where in which file they stand."""

    table: str
    kind: Array  # position in KINDS
    rule: Array  # position in RULES, or NULL
    land: Array
    source_row: Array
    row_id: Array  # the number behind the first column, before it was broken

    def within(self, first: int, end: int) -> DirtyRows:
        """Those of them that landed on these days."""
        inside = (self.land >= first) & (self.land < end)
        names = ("kind", "rule", "land", "source_row", "row_id")
        return replace(self, **{name: getattr(self, name)[inside] for name in names})


KINDS = ("late", "correction", "broken", "duplicate")
BROKEN = KINDS.index("broken")
RULES = tuple(sorted({rule for breakers in BREAKERS.values() for rule in breakers}))


@dataclass(frozen=True)
class Plan:
    """Which of the rows about to land break, and by which rule of their table; which land twice."""

    broken: Array
    rule: Array
    twice: Array


class Spoiler:
    """Breaks and repeats rows of the event tables as they land."""

    def __init__(self, dirt: Dirt, streams: Streams) -> None:
        self._dirt, self._streams = dirt, streams

    def plan(self, table: str, period: int, n: int) -> Plan:
        """Draw the fate of `n` rows about to land; a row is broken, or repeated, or neither."""
        if table not in BREAKERS:
            nobody = np.empty(0, np.int64)
            return Plan(nobody, nobody, nobody)
        rng = self._streams(f"dirt/{table}", period)
        draw = rng.random(n)
        broken = np.flatnonzero(draw < self._dirt.broken)
        twice = np.flatnonzero(draw >= 1 - self._dirt.duplicates)
        return Plan(broken, rng.integers(0, len(BREAKERS[table]), len(broken)), twice)

    def spoil(self, table: str, key: str, landed: Rows, plan: Plan, place: Array) -> DirtyRows:
        """Break rows in place; gives all dirty ones.

        `place` says where in `landed` each of the planned rows came to stand, and after those
        the second copies of the ones that land twice.
        """
        breakers = BREAKERS.get(table, {})
        broken, twice = place[plan.broken], place[len(place) - len(plan.twice) :]
        once = np.ones(len(place), bool)
        once[twice] = False
        dirty = (
            np.flatnonzero((landed[MARK] == LATE) & once),
            np.flatnonzero((landed[MARK] == CORRECTED) & once),
            broken,
            twice,
        )
        at, land = np.concatenate(dirty), landed[LAND]
        names = np.array([RULES.index(name) for name in breakers], np.int16)
        rule = np.full(len(at), NULL, np.int16)
        rule[len(at) - len(twice) - len(broken) : len(at) - len(twice)] = names[plan.rule]
        kinds = np.repeat(np.arange(len(KINDS), dtype=np.int8), [len(which) for which in dirty])
        source_row = at - np.searchsorted(land, land[at]) + 1
        found = DirtyRows(table, kinds, rule, land[at], source_row, landed[key][at])
        for number, breaks in enumerate(breakers.values()):
            breaks(landed, broken[plan.rule == number])
        return found
