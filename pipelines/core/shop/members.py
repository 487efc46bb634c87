"""Who joins, when, and what fate has drawn for each of them.

This is the truth of the shop: the pipeline sees only what follows from it.
"""

from __future__ import annotations

import numpy as np

from pipelines.core.shop.brand import (
    ACQUISITION_CODES,
    CATEGORIES,
    CHANNELS,
    DISTRIBUTOR,
    HOMES,
    STORE,
    STORES,
    category_lottery,
)
from pipelines.core.shop.config import GROWN_DAYS
from pipelines.core.shop.season import Season
from pipelines.core.shop.streams import Array, Lottery, NamedLottery, between, chance
from pipelines.core.shop.tables import NULL, NULL_NUMBER, Rows, rows

OPENING_DAYS = 14
FAR = np.iinfo(np.int32).max  # a day that never comes

NEVER, ONCE, REPEAT = 0, 1, 2
KINDS = ("never", "once", "repeat")
CONSUMER, RESELLER, EMPLOYEE = 0, 1, 2
TYPES = ("consumer", "reseller", "employee")
JOIN_TYPES = ("free", "paid", "topup")
GENDERS = ("female", "male", "other", "undisclosed")
STATUSES = ("active", "closed", "merged")
PURPOSES = ("marketing", "profiling", "survey", "location")
MARKETING, PROFILING, SURVEY, LOCATION = 1, 2, 4, 8  # bits of `consents`
STATES = ("granted", "withdrawn")
PERSUADABLE, SURE_THING, LOST_CAUSE, DO_NOT_DISTURB = 0, 1, 2, 3
RESPONSES = ("persuadable", "sure_thing", "lost_cause", "do_not_disturb")
REASONS = (
    "quality", "logistics", "service",  # in the order of the bad experiences
    "too_many_messages", "need_gone", "competitor", "price", "moved", "forgot", "no_effect",
    "no_need", "presale_service", "never_heard",
)  # fmt: skip
TOO_MANY = REASONS.index("too_many_messages")

_KIND = Lottery(15, 38, 47)
_TYPE = Lottery(992, 4, 4)
_RESPONSE = Lottery(25, 35, 30, 10)
_JOIN_TYPE = Lottery(90, 6, 4)
_GENDER = Lottery(62, 20, 1, 17)
_SKIN = Lottery(22, 24, 30, 14, 10)
_HOUR = NamedLottery(
    tuple(str(h) for h in range(24)),
    {str(h): 3 + 2 * (h in {12, 13, 20, 21}) for h in range(9, 22)},
)
CHANNEL = NamedLottery(
    CHANNELS,
    {"store": 36, "miniapp": 21, "tmall": 16, "douyin_live": 11, "wecom": 8, "jd": 5, "taobao": 2,
     "web": 1},
)  # fmt: skip
_LEAVES = NamedLottery(
    REASONS, {"need_gone": 25, "competitor": 30, "price": 20, "moved": 10, "forgot": 15}
)
_LEAVES_AT_ONCE = NamedLottery(
    REASONS,
    {"no_effect": 26, "price": 20, "competitor": 16, "forgot": 16, "no_need": 16, "service": 6},
)
_NEVER_COMES = NamedLottery(
    REASONS,
    {"never_heard": 30, "no_need": 25, "price": 15, "competitor": 20, "presale_service": 10},
)
CYCLES = np.array([category.cycle_days for category in CATEGORIES], np.int64)
SHAPES = np.array([category.gap_shape for category in CATEGORIES], np.int8)

STATE = {
    # drawn on joining
    "joined_at": np.int64,
    "kind": np.int8,
    "type": np.int8,
    "join_type": np.int8,
    "gender": np.int8,
    "birth_month": np.int8,
    "acquisition": np.int8,
    "home": np.int16,
    "channel": np.int8,
    "second_channel": np.int8,
    "category": np.int8,
    "second_category": np.int8,
    "cycle_centidays": np.int32,
    "evening": np.bool_,
    "weekend": np.bool_,
    "deal_seeker": np.bool_,
    "skin": np.int8,
    "temper_pct": np.int8,
    "response": np.int8,
    "lift_pct": np.int8,
    "merged_into": np.int32,
    # moves
    "leaves": np.int32,
    "reason": np.int8,
    "closes": np.int32,
    "next": np.int32,
    "purchases": np.int32,
    "last": np.int32,
    "bad": np.int16,
    "bad_kind": np.int8,
    "last_bad": np.int32,
    "consents": np.int8,
}


class Members:
    """The members as vectors; those who have not joined yet come after `joined`.

    Days are indexes from the shop's first day. `leaves` is the last day on which the member may
    buy, `next` the day of the next purchase as things stand, `last` that of the last one.
    """

    joined_at: Array
    kind: Array
    type: Array
    join_type: Array
    gender: Array
    birth_month: Array
    acquisition: Array
    home: Array
    channel: Array
    second_channel: Array
    category: Array
    second_category: Array
    cycle_centidays: Array
    evening: Array
    weekend: Array
    deal_seeker: Array
    skin: Array
    temper_pct: Array
    response: Array
    lift_pct: Array
    merged_into: Array
    leaves: Array
    reason: Array
    closes: Array
    next: Array
    purchases: Array
    last: Array
    bad: Array
    bad_kind: Array
    last_bad: Array
    consents: Array

    def __init__(self, n: int) -> None:
        self.joined = 0
        for name, dtype in STATE.items():
            setattr(self, name, np.zeros(n, dtype))
        self.merged_into[:] = NULL

    def join(self, rng: np.random.Generator, season: Season, days: Array) -> Array:
        """Draw the members who join on those days; gives their positions."""
        n, start = len(days), self.joined
        who = np.arange(start, start + n)
        self.joined += n
        at = season.midnight(days) + _HOUR.draw(rng, n) * 3_600_000
        self.joined_at[who] = at + between(rng, 0, 3_599_999, n)
        self._character(rng, who)
        self._taste(rng, who)
        self._fate(rng, who, days)
        return who

    def _character(self, rng: np.random.Generator, who: Array) -> None:
        n = len(who)
        self.type[who] = kind = _TYPE.draw(rng, n)
        self.kind[who] = np.where(kind == CONSUMER, _KIND.draw(rng, n), REPEAT)
        self.join_type[who] = _JOIN_TYPE.draw(rng, n)
        self.gender[who] = _GENDER.draw(rng, n)
        self.birth_month[who] = between(rng, -1, 12, n).clip(0)
        self.acquisition[who] = between(rng, -4, len(ACQUISITION_CODES) - 1, n).clip(NULL)
        self.home[who] = between(rng, 0, STORES * HOMES - 1, n)
        self.response[who] = response = _RESPONSE.draw(rng, n)
        self.lift_pct[who] = np.where(response == PERSUADABLE, between(rng, 20, 60, n), 0)
        self.temper_pct[who] = between(rng, 20, 80, n)
        bits = rng.random((4, n)) < np.array([[0.82], [0.76], [0.7], [0.45]])
        self.consents[who] = (bits * np.array([[1], [2], [4], [8]])).sum(axis=0)

    def _taste(self, rng: np.random.Generator, who: Array) -> None:
        n = len(who)
        reseller = self.type[who] == RESELLER
        self.channel[who] = np.where(reseller, DISTRIBUTOR, CHANNEL.draw(rng, n))
        self.second_channel[who] = CHANNEL.draw(rng, n)
        self.category[who] = main = category_lottery().draw(rng, n)
        self.second_category[who] = category_lottery().draw(rng, n)
        own = CYCLES[main] * np.exp(0.35 * rng.standard_normal(n))
        cycle = np.select([reseller, self.type[who] == EMPLOYEE], [12.0, 25.0], own)
        self.cycle_centidays[who] = np.rint(cycle * 100).clip(400, 40_000)
        self.evening[who] = rng.random(n) < 0.25
        self.weekend[who] = rng.random(n) < 0.2
        self.deal_seeker[who] = rng.random(n) < 0.18
        self.skin[who] = _SKIN.draw(rng, n)

    def _fate(self, rng: np.random.Generator, who: Array, days: Array) -> None:
        """First purchase, and the day and reason of leaving if nothing bad happens before."""
        n, kind = len(who), self.kind[who]
        later = 1 + np.minimum(rng.standard_exponential(n) * 16, 150).astype(np.int32)
        first = days + np.where(rng.random(n) < 0.6, 0, later)
        stays = rng.standard_exponential(n) * rng.standard_gamma(2.0, n) * 210
        self.next[who] = np.where(kind == NEVER, FAR, first)
        self.leaves[who] = np.select(
            [kind == NEVER, kind == ONCE],
            [days, first],
            first + np.minimum(stays, 9000).astype(int),
        )
        self.reason[who] = np.select(
            [kind == NEVER, kind == ONCE],
            [_NEVER_COMES.draw(rng, n), _LEAVES_AT_ONCE.draw(rng, n)],
            _LEAVES.draw(rng, n),
        )
        self.last[who] = self.last_bad[who] = -FAR
        self.closes[who] = FAR
        closing = chance(rng, n, 0.03)
        self.closes[who[closing]] = self.leaves[who[closing]] + 40
        again = (kind == NEVER) & (rng.random(n) < 0.02) & (who > 0)
        self._merge(rng, who[again], days[again])

    def _merge(self, rng: np.random.Generator, who: Array, day: Array) -> None:
        """Second cards of somebody who already had one; found out within three months."""
        self.merged_into[who] = (rng.random(len(who)) * who).astype(np.int32)
        self.closes[who] = day + between(rng, 60, 120, len(who))

    def leave(
        self, rng: np.random.Generator, who: Array, day: Array | int, reason: Array | int
    ) -> None:
        """These members will not come again."""
        self.leaves[who] = day
        self.reason[who] = reason
        self.next[who] = FAR
        closing = rng.random(len(who)) < 0.1
        self.closes[who[closing]] = np.broadcast_to(day, len(who))[closing] + 40


def joiners(season: Season, members: int, opening_share: float, days: int) -> Array:
    """How many members have joined by the end of each of the first `days` days."""
    opening = round(members * opening_share)
    opened = np.minimum(np.arange(1, days + 1), OPENING_DAYS)
    weights = np.cumsum(season.joins)
    later = (members - opening) * weights[:days] // weights[GROWN_DAYS - 1]
    joined: Array = opening * opened // OPENING_DAYS + later
    return joined


def member_rows(m: Members, who: Array, land: Array) -> Rows:
    """Those members as the shop first describes them."""
    home, month = m.home[who] // HOMES, m.birth_month[who].astype(np.int64)
    return rows(
        len(who),
        land.astype(np.int32),
        member_id=who + 1,
        member_type=m.type[who],
        joined_at=m.joined_at[who],
        join_type=m.join_type[who],
        join_channel=m.channel[who],
        acquisition_code=m.acquisition[who],
        home_store_id=np.where((m.channel[who] == STORE) | (m.home[who] % 2 == 0), home, NULL),
        geohash6=m.home[who],
        birth_month=np.where(month > 0, month, NULL_NUMBER),
        gender_declared=m.gender[who],
        status=0,
        merged_into=NULL,
        updated_at=m.joined_at[who],
    )
