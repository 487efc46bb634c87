"""When members buy: a walk through time in periods of fourteen days, all members at once.

The state of a period follows from the period before it and from streams of its own, so that a
longer run repeats a shorter one, and details of early days need not be drawn to reach late ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.shop.brand import BIRTHDAY, EVERYDAY, MEMBER_DAY, SORRY, WELCOME, WON
from pipelines.core.shop.coupons import ORIGINS, Grant, Wallet
from pipelines.core.shop.members import (
    CONSUMER,
    DO_NOT_DISTURB,
    FAR,
    MARKETING,
    PERSUADABLE,
    REPEAT,
    SHAPES,
    TOO_MANY,
    Members,
)
from pipelines.core.shop.season import Season
from pipelines.core.shop.streams import Array, Lottery, Streams, between, chance
from pipelines.core.shop.tables import NULL

PERIOD = 14
QUALITY, LOGISTICS, SERVICE = 1, 2, 3
EXPERIENCES = ("", "quality", "logistics", "service")
_BAD = Lottery(0, 50, 30, 20)
BAD_SHARE = 0.035
CAMPAIGN_SHARE, CONTROL_SHARE = 0.08, 0.25


@dataclass(frozen=True)
class Purchases:
    """Purchases of a period, one a member and day, in no particular order.

    `bad` is the experience it ended in (0 for none), `left` whether the member left for it;
    `coupon` is the issue used, or NULL, and `template` its kind.
    """

    member: Array
    day: Array
    bad: Array
    left: Array
    coupon: Array
    template: Array


@dataclass(frozen=True)
class Campaign:
    """Members drawn into a campaign's experiment; only the treated ones got the coupon."""

    period: int
    member: Array
    treated: Array
    persuaded: Array


class Buying:
    """Moves the members through one period after the other."""

    def __init__(self, members: Members, wallet: Wallet, season: Season, streams: Streams) -> None:
        self._m, self._wallet, self._season, self._streams = members, wallet, season, streams

    def welcome(self, period: int, who: Array) -> None:
        """Half of those who join claim the welcome pair, if they may be written to."""
        rng = self._streams("welcome", period)
        may = who[(self._m.consents[who] & MARKETING > 0) & (rng.random(len(who)) < 0.5)]
        at = self._m.joined_at[may] + 20_000
        self._wallet.give_pair(Grant(may, WELCOME, ORIGINS.index("claimed"), at, at))

    def campaign(self, period: int, members: int) -> Campaign:
        """A coupon pair for some of the first `members`, if they may be written to.

        A random share is drawn; a quarter of it is the control group and gets nothing.
        """
        m, start = self._m, period * PERIOD
        rng = self._streams("campaign", period)
        who = chance(rng, members, CAMPAIGN_SHARE)
        who = who[self._may_be_written_to(who, start)]
        treated = rng.random(len(who)) >= CONTROL_SHARE
        given = who[treated]
        at = self._season.midnight(np.full(len(given), start)) + 10 * 3_600_000
        at += between(rng, 0, 1_800_000, len(given))
        begins = self._season.midnight(np.full(len(given), start + 1))
        template = EVERYDAY if period % 2 else MEMBER_DAY
        self._wallet.give_pair(Grant(given, template, ORIGINS.index("pushed"), at, begins, period))
        persuaded = treated & self._persuade(rng, who, treated, start)
        annoyed = given[(m.response[given] == DO_NOT_DISTURB) & (rng.random(len(given)) < 0.04)]
        annoyed = annoyed[(m.kind[annoyed] == REPEAT) & (m.leaves[annoyed] > start)]
        m.leave(rng, annoyed, start, TOO_MANY)
        return Campaign(period, who, treated, persuaded)

    def _may_be_written_to(self, who: Array, start: int) -> Array:
        m = self._m
        open_to: Array = (m.consents[who] & MARKETING > 0) & (m.type[who] == CONSUMER)
        return np.asarray(open_to & (m.closes[who] > start))

    def _persuade(self, rng: np.random.Generator, who: Array, treated: Array, start: int) -> Array:
        """Bring the next purchase of some forward, into the coupon's days; gives who they are."""
        m = self._m
        ready = (m.response[who] == PERSUADABLE) & (m.kind[who] == REPEAT) & (m.purchases[who] > 0)
        far_off = (m.next[who] > start + 10) & (m.leaves[who] > start + 8)
        moved: Array = (
            ready & far_off & treated & (rng.integers(0, 100, len(who)) < m.lift_pct[who])
        )
        day = start + between(rng, 1, 7, len(who))
        moved &= day > m.last[who]
        m.next[who[moved]] = day[moved]
        return moved

    def birthdays(self, period: int) -> None:
        """A coupon on the first of their month for three in ten of those who have told it."""
        m, start = self._m, period * PERIOD
        rng = self._streams("birthdays", period)
        for day in (
            np.flatnonzero(self._season.month_start[start : start + PERIOD]) + start
        ).tolist():
            month = self._season.month[day]
            who = chance(rng, m.joined, 0.3)
            who = who[(m.birth_month[who] == month) & self._may_be_written_to(who, day)]
            who = who[m.joined_at[who] < self._season.midnight(day)]
            at = self._season.midnight(np.full(len(who), day)) + 9 * 3_600_000
            begins = self._season.midnight(np.full(len(who), day + 1))
            self._wallet.give(Grant(who, BIRTHDAY, ORIGINS.index("birthday"), at, begins))

    def walk(self, period: int) -> Purchases:
        """Every purchase of the period, in waves: the first of each member, the second, …"""
        m, end = self._m, (period + 1) * PERIOD
        rng = self._streams("buying", period)
        waves = []
        who = np.flatnonzero(m.next[: m.joined] < end)
        while len(who):
            waves.append(self._wave(rng, who))
            who = who[m.next[who] < end]
        names = Purchases.__dataclass_fields__
        if not waves:
            return Purchases(*(np.empty(0, np.int64) for _ in names))
        return Purchases(
            *(np.concatenate([getattr(wave, name) for wave in waves]) for name in names)
        )

    def _wave(self, rng: np.random.Generator, who: Array) -> Purchases:
        m, day, n = self._m, self._m.next[who], len(who)
        bad = np.where(rng.random(n) < BAD_SHARE, _BAD.draw(rng, n), 0).astype(np.int8)
        left = (bad > 0) & (rng.integers(0, 100, n) < m.temper_pct[who])
        left &= m.leaves[who] >= day
        role = self._wallet.use(who, day, m.response[who], rng.integers(0, 100, n))
        issue = np.where(role != NULL, self._wallet.issue[role, who], NULL)
        template = np.where(role != NULL, self._wallet.template[role, who], NULL).astype(np.int8)
        used = np.flatnonzero(role != NULL)
        self._wallet.spend(who[used], role[used], day[used])
        m.purchases[who] += 1
        m.last[who] = day
        m.bad[who] += bad > 0
        m.bad_kind[who] = np.where(bad > 0, bad, m.bad_kind[who])
        m.last_bad[who] = np.where(bad > 0, day, m.last_bad[who])
        m.next[who] = self._next(rng, who, day)
        m.leave(rng, who[left], day[left], bad[left] - 1)
        self._after(rng, who, day, bad)
        return Purchases(who, day, bad, left, issue, template)

    def _next(self, rng: np.random.Generator, who: Array, day: Array) -> Array:
        """The day of the next purchase: a gamma gap, moved by the season and by habit."""
        m, season = self._m, self._season
        n, shape = len(who), SHAPES[m.category[who]].astype(np.float64)
        gap = rng.standard_gamma(shape) * m.cycle_centidays[who] / (100 * shape)
        drawn = day + np.maximum(np.rint(gap), 1).astype(np.int32)
        drawn = np.minimum(drawn, season.days - 8)
        pulled = rng.integers(0, 100, n) < season.pull_pct[drawn]
        to = np.where(pulled, season.pull_to[drawn], drawn)
        rests = m.weekend[who] & (rng.random(n) < 0.6)
        to = np.where(rests, to + season.to_weekend[to], to)
        to = np.where(to > day, to, drawn)
        stays = (to <= m.leaves[who]) & (m.kind[who] == REPEAT)
        return np.where(stays, to, FAR)

    def _after(self, rng: np.random.Generator, who: Array, day: Array, bad: Array) -> None:
        """Some win a pair with the order; half of those with a bad experience get a coupon."""
        n, midnight = len(who), self._season.midnight
        won = chance(rng, n, 0.03)
        begins = midnight(day[won] + 1)
        self._wallet.give_pair(Grant(who[won], WON, ORIGINS.index("won"), begins - 1000, begins))
        sorry = np.flatnonzero((bad > 0) & (rng.random(n) < 0.5))
        at = midnight(day[sorry] + 3) + 15 * 3_600_000
        begins = midnight(day[sorry] + 4)
        self._wallet.give(Grant(who[sorry], SORRY, ORIGINS.index("compensation"), at, begins))

    def withdrawals(self, period: int) -> tuple[Array, Array, Array]:
        """Consents taken back in the period: member, bit, day; the ill-disposed do so most."""
        m, start = self._m, period * PERIOD
        rng = self._streams("withdrawals", period)
        who = chance(rng, m.joined, 0.006)
        keen = (m.response[who] == DO_NOT_DISTURB) | (rng.random(len(who)) < 0.3)
        who = who[keen & (m.joined_at[who] < self._season.midnight(start))]
        purpose = Lottery(60, 15, 15, 10).draw(rng, len(who))
        bit = (1 << purpose).astype(np.int8)
        had = m.consents[who] & bit > 0
        m.consents[who[had]] &= ~bit[had]
        day = start + between(rng, 0, PERIOD - 1, len(who))
        return who[had], purpose[had], day[had]


def closing(m: Members, period: int) -> Array:
    """Members whose card is closed or merged in the period."""
    start = period * PERIOD
    due = (m.closes[: m.joined] >= start) & (m.closes[: m.joined] < start + PERIOD)
    return np.flatnonzero(due)
