"""The shop itself: from one period to the next, what happened and what lands of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pipelines.core.shop.brand import (
    CHANNELS,
    SEASON_DAYS,
    STORES,
    assortment,
    places,
    product_rows,
    template_rows,
)
from pipelines.core.shop.buying import PERIOD, Buying, Campaign, Purchases, closing
from pipelines.core.shop.config import ShopConfig
from pipelines.core.shop.coupons import Wallet
from pipelines.core.shop.dirt import DirtyRows, Spoiler
from pipelines.core.shop.members import PURPOSES, Members, joiners, member_rows
from pipelines.core.shop.orders import Heads, Orders, lands_late
from pipelines.core.shop.questions import survey_rows
from pipelines.core.shop.schema import schema
from pipelines.core.shop.season import DAY_MS, Season
from pipelines.core.shop.streams import Array, Streams, between, chance
from pipelines.core.shop.tables import (
    CORRECTED,
    LAND,
    MARK,
    NULL,
    Part,
    Rows,
    day_of,
    gather,
    part,
    rows,
    stack,
)
from pipelines.core.shop.voices import Voices

#: Nothing lands later than so many periods after the one it belongs to.
LONGEST_DELAY = 5
_SOURCES = np.array([CHANNELS.index(name) for name in ("miniapp", "store", "wecom")], np.int8)


@dataclass
class Period:
    """What a period brought: the rows that land in it, and what only the truth may know."""

    number: int
    landed: dict[str, Rows] = field(default_factory=dict)
    dirty: list[DirtyRows] = field(default_factory=list)
    bought: Purchases | None = None
    heads: Heads | None = None
    campaign: Campaign | None = None


class World:
    """A shop, walked through once from its first day on."""

    def __init__(self, config: ShopConfig) -> None:
        self.config = config
        self.season = Season(config.first)
        self.periods = -(-config.days // PERIOD)
        self._streams = Streams(config.seed)
        self._joined = joiners(
            self.season, config.members, config.opening_share, self.periods * PERIOD
        )
        self.members = Members(int(self._joined[-1]))
        self.goods = assortment(self.season)
        self._place = places(self._streams("stores"), self.season)
        self.tables = schema(self.goods, self._place, self.season)
        wallet = Wallet(len(self.members.joined_at), self.season)
        self._wallet = wallet
        self._buying = Buying(self.members, wallet, self.season, self._streams)
        self._orders = Orders(self.members, self.goods, self.season, self._streams, config.dirt)
        self._voices = Voices(self.members, self.season, self._streams, config.dirt)
        self._spoiler = Spoiler(config.dirt, self._streams)
        self._pending: dict[str, list[Part]] = {}

    def joined_by(self, days: int) -> int:
        """How many members have joined within the first `days` days."""
        return int(self._joined[days - 1]) if days else 0

    def walk(self) -> Iterator[Period]:
        """One period after the other. Early ones, of which nothing is written, land no rows."""
        first_told = self.config.first_written // PERIOD - LONGEST_DELAY
        for number in range(self.periods):
            told = number >= first_told
            period = self._live(number, told)
            if told:
                self._land(period)
            yield period

    def _live(self, number: int, told: bool) -> Period:
        """Let the period happen; the order of these steps is the order of cause and effect."""
        streams, m = self._streams, self.members
        self._wallet.start(number)
        joined = self._join(number)
        agreed = m.consents[joined]
        self._buying.welcome(number, joined)
        asked = self._voices.audiences(number)
        campaign = self._buying.campaign(number, m.joined - len(joined))
        self._buying.birthdays(number)
        bought = self._buying.walk(number)
        withdrawn = self._buying.withdrawals(number)
        issued = self._wallet.issued()
        period = Period(number, bought=bought, campaign=campaign)
        if not told:
            return period
        self._add("members", *self._member_rows(number, joined))
        self._add("consents", part(self._consent_rows(number, joined, agreed, withdrawn)))
        if issued:
            issues = stack(issued)
            late = lands_late(
                streams("late/coupon_issues", number), issues[LAND], self.config.dirt.late
            )
            issues[LAND], issues[MARK] = late
            self._add("coupon_issues", part(issues))
        if len(bought.day):
            sold, period.heads = self._orders.period(number, bought)
            for table, found in sold.items():
                self._add(table, *found)
        answers = self._voices.period(number, joined, asked, period.heads, bought)
        self._add("survey_answers", *answers)
        self._catalogue(number)
        return period

    def _join(self, number: int) -> Array:
        start = number * PERIOD
        upto = self._joined[start : start + PERIOD]
        daily = np.diff(upto, prepend=self._joined[start - 1] if start else 0)
        days = np.repeat(np.arange(start, start + PERIOD), daily)
        return self.members.join(self._streams("members", number), self.season, days)

    def _member_rows(self, number: int, joined: Array) -> list[Part]:
        """Those who joined, corrections of some, and those whose card was closed or merged."""
        m, season = self.members, self.season
        rng = self._streams("member_rows", number)
        day = day_of(m.joined_at[joined], season.epoch_day)
        land, mark = lands_late(rng, day, self.config.dirt.late)
        new = member_rows(m, joined, land)
        new[MARK] = mark
        which = chance(rng, len(joined), self.config.dirt.corrections)
        moved_land = land[which] + between(rng, 1, 10, len(which)).astype(np.int32)
        home = new["home_store_id"][which]
        moved = part(
            new,
            which,
            home_store_id=np.where(home == NULL, 0, (home + 1) % STORES),
            updated_at=season.midnight(moved_land) + 9 * 3_600_000,
            **{LAND: moved_land, MARK: np.full(len(which), CORRECTED, np.int8)},
        )
        gone = closing(m, number)
        merged = m.merged_into[gone] != NULL
        closed = member_rows(m, gone, m.closes[gone])
        closed["status"] = np.where(merged, 2, 1)
        closed["merged_into"] = np.where(merged, m.merged_into[gone] + 1, NULL)
        closed["updated_at"] = season.midnight(m.closes[gone]) + 11 * 3_600_000
        return [part(new), moved, part(closed)]

    def _consent_rows(
        self, number: int, joined: Array, agreed: Array, withdrawn: tuple[Array, Array, Array]
    ) -> Rows:
        m, season = self.members, self.season
        rng = self._streams("consent_rows", number)
        who, purpose = np.nonzero(agreed[:, None] >> np.arange(len(PURPOSES)) & 1)
        member, taken, day = withdrawn
        at = np.concatenate(
            [
                m.joined_at[joined[who]],
                season.midnight(day) + between(rng, 8 * 3_600_000, DAY_MS - 2000, len(day)),
            ]
        )
        land, mark = lands_late(rng, day_of(at, season.epoch_day), self.config.dirt.late)
        n = len(at)
        return rows(
            n,
            land,
            member_id=np.concatenate([joined[who], member]) + 1,
            purpose=np.concatenate([purpose, taken]),
            state=(np.arange(n) >= len(who)).astype(np.int8),
            at=at,
            source=_SOURCES[rng.integers(0, len(_SOURCES), n)],
            text_version=(season.midnight(200) <= at).astype(np.int8),
        ) | {MARK: mark}

    def _catalogue(self, number: int) -> None:
        """What the brand publishes: products, stores, coupons, surveys."""
        start = number * PERIOD
        if number == 0:
            self._add("stores", part(self._place.rows))
            self._add("coupon_templates", part(template_rows()))
            self._ask(("profile", "nps"), 0, 0)
        if start % SEASON_DAYS == 0:
            goods = product_rows(self.goods, self.season, start // SEASON_DAYS)
            if goods:
                self._add("products", part(goods))
        wave = self._voices.wave_of(number)
        if wave:
            self._ask(("lover", "hater", "one_and_done", "never"), wave, start)

    def _ask(self, kinds: tuple[str, ...], wave: int, land: int) -> None:
        surveys, questions = survey_rows(kinds, wave, land)
        self._add("surveys", part(surveys))
        self._add("survey_questions", part(questions))

    def _add(self, table: str, *found: Part) -> None:
        self._pending.setdefault(table, []).extend(found)

    def _land(self, period: Period) -> None:
        """Of all rows that wait, take those that land by the end of the period."""
        end = (period.number + 1) * PERIOD
        for name, parts in self._pending.items():
            if not parts:
                continue
            lands = [each.land() for each in parts]
            self._pending[name] = [
                each.only(np.flatnonzero(land >= end))
                for each, land in zip(parts, lands, strict=True)
                if (land >= end).any()
            ]
            land = np.concatenate(lands).astype(np.int16)
            ready = np.flatnonzero(land < end)
            if not len(ready):
                continue
            ready = ready[np.argsort(land[ready], kind="stable")]
            plan = self._spoiler.plan(name, period.number, len(ready))
            source = np.concatenate([ready, ready[plan.twice]])
            order = np.argsort(land[source], kind="stable")
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            landed = gather(parts, source[order])
            key = next(iter(self.tables[name].columns))
            period.dirty.append(self._spoiler.spoil(name, key, landed, plan, place))
            period.landed[name] = landed
