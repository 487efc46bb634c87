"""What is bought: orders and their lines, how they proceed, what comes back.

Everything here follows from the purchases of a period and from streams of its own; nothing here
decides whether or when anybody buys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.shop.brand import (
    CARD,
    CHAT_STAFF,
    DISTRIBUTOR,
    DOUYIN,
    HOMES,
    MINIAPP,
    SHELF,
    STAFF_A_STORE,
    STORE,
    STORES,
    TEMPLATE_BP,
    TEMPLATE_MIN,
    TEMPLATE_VALUE,
    WECOM,
    Assortment,
    category_lottery,
)
from pipelines.core.shop.buying import LOGISTICS, QUALITY, SERVICE, Purchases
from pipelines.core.shop.config import Dirt
from pipelines.core.shop.coupons import SERIALS
from pipelines.core.shop.members import CHANNEL, EMPLOYEE, RESELLER, Members
from pipelines.core.shop.season import DAY_MS, Season
from pipelines.core.shop.streams import Array, Lottery, NamedLottery, Streams, between, chance
from pipelines.core.shop.tables import (
    CLEAN,
    CORRECTED,
    LAND,
    LATE,
    MARK,
    NULL,
    Part,
    Rows,
    day_of,
    part,
    rows,
)

STATUSES = ("created", "paid", "shipped", "completed", "cancelled", "closed")
CREATED, PAID, SHIPPED, COMPLETED, CANCELLED, CLOSED = range(6)
ORDER_KINDS = ("normal", "topup", "test", "employee", "sample")
NORMAL, TOPUP, TEST, STAFF, SAMPLE = range(5)
IDENTIFIED = ("scan", "miniapp", "phone", "staff", "none")
REFUND_KINDS = ("refund_only", "return", "exchange")
REFUND_REASONS = ("quality", "wrong_item", "late", "dislike", "size", "no_reason", "other")
LATE_DAYS = 21
REFUND_DAYS = 15
GUEST_PER_MILLE = 140
FREE_SHIPPING, SHIPPING = 5_900, 800
DAY_SEQUENCE = 10**8  # orders a day can number

GOES_THROUGH, ABANDONED, CANCELLED_AT_ONCE = 0, 1, 2
#: Orders beside the purchases themselves: per mille of them, kind, what becomes of it, whose it is.
EXTRAS = (
    (30, NORMAL, GOES_THROUGH, True),  # the rest of a basket, ordered a little later
    (8, TOPUP, GOES_THROUGH, True),
    (3, SAMPLE, GOES_THROUGH, True),
    (25, NORMAL, ABANDONED, True),
    (8, NORMAL, CANCELLED_AT_ONCE, True),
    (1, TEST, GOES_THROUGH, False),
    (GUEST_PER_MILLE, NORMAL, GOES_THROUGH, False),
)
_HOURS = tuple(str(hour) for hour in range(24))
SHOP_HOURS = NamedLottery(_HOURS, {str(h): 4 + 3 * (h in {12, 17, 18, 19}) for h in range(10, 22)})
WEB_HOURS = NamedLottery(
    _HOURS, {str(h): 3 + 3 * (h in {12, 13, 20, 21, 22}) for h in range(7, 24)}
)
EVENING_HOURS = NamedLottery(_HOURS, {"18": 2, "19": 5, "20": 8, "21": 8, "22": 5, "23": 2})
_BASKET = Lottery(50, 28, 13, 6, 3)
_IDENTIFIED_IN_STORE = Lottery(55, 25, 14, 6)


@dataclass(frozen=True)
class Heads:
    """The orders of a period by time; `purchase` is the one each belongs to, or NULL."""

    number: Array
    purchase: Array
    member: Array
    day: Array
    at: Array
    kind: Array
    fate: Array
    channel: Array


@dataclass(frozen=True)
class Baskets:
    """The lines of those orders, in their order; `order` is a position, `starts` first lines."""

    order: Array
    starts: Array
    sku: Array
    qty: Array
    price: Array
    discount: Array
    gift: Array


class Orders:
    """Writes the orders of one period after the other."""

    def __init__(
        self, members: Members, goods: Assortment, season: Season, streams: Streams, dirt: Dirt
    ) -> None:
        self._m, self._goods, self._season = members, goods, season
        self._streams, self._dirt = streams, dirt

    def period(self, period: int, bought: Purchases) -> tuple[dict[str, list[Part]], Heads]:
        """The rows that follow from the purchases, by table, and the orders themselves."""
        streams = self._streams
        heads = self._heads(streams("orders", period), bought)
        baskets = self._baskets(streams("baskets", period), heads)
        baskets, coupon = self._with_coupons(baskets, heads, bought)
        lines = self._line_rows(period, heads, baskets)
        orders = self._order_rows(streams("order_details", period), heads, baskets)
        self._hold_back(streams("late/orders", period), orders, lines, baskets)
        rng = streams("refunds", period)
        refunded, refunds = self._refunds(rng, heads, orders, lines, baskets, bought)
        steps, last = self._steps(streams("order_steps", period), heads, orders)
        last[refunded] = NULL  # what was refunded is not corrected
        rng = streams("corrections/orders", period)
        fixed, fixed_lines = self._corrections(rng, heads, orders, lines, baskets, last)
        found = {
            "orders": [*steps, fixed],
            "order_lines": [part(lines), fixed_lines],
            "refunds": [part(refunds)],
            "coupon_redemptions": self._redemptions(heads, orders, bought, coupon, refunds),
        }
        return found, heads

    # -- orders

    def _heads(self, rng: np.random.Generator, bought: Purchases) -> Heads:
        m, n = self._m, len(bought.day)
        channel = self._channels(rng, bought.member)
        at = self._instants(rng, bought.member, bought.day, channel)
        kind = np.where((m.type[bought.member] == EMPLOYEE) & (rng.random(n) < 0.8), STAFF, NORMAL)
        everyone = np.arange(n)
        parts = [(everyone, at, channel, bought.member, kind, np.zeros(n, np.int64))]
        for per_mille, extra, fate, own in EXTRAS:
            src = chance(rng, n, per_mille / 1000)
            k = len(src)
            after = np.minimum(at[src] + between(rng, 300_000, 2_700_000, k), _end(at[src]))
            parts.append(
                (
                    np.where(own, src, NULL),
                    after if own else self._instants(rng, None, bought.day[src], channel[src]),
                    channel[src] if own else CHANNEL.draw(rng, k),
                    np.where(own, bought.member[src], NULL),
                    np.full(k, extra),
                    np.full(k, fate),
                )
            )
        src, at, channel, member, kind, fates = (
            np.concatenate(each) for each in zip(*parts, strict=True)
        )
        first = np.concatenate([everyone < n, np.zeros(len(src) - n, bool)])
        by_time = np.argsort(at, kind="stable")
        day = day_of(at, self._season.epoch_day)[by_time]
        sequence = np.arange(len(day)) - np.searchsorted(day, day) + 1
        return Heads(
            number=self._season.yyyymmdd[day] * DAY_SEQUENCE + sequence,
            purchase=np.where(first, src, NULL)[by_time],
            member=member[by_time].astype(np.int64),
            day=day,
            at=at[by_time],
            kind=kind[by_time].astype(np.int8),
            fate=fates[by_time].astype(np.int8),
            channel=channel[by_time].astype(np.int8),
        )

    def _channels(self, rng: np.random.Generator, who: Array) -> Array:
        m, draw = self._m, rng.integers(0, 100, len(who))
        habit = np.where(draw < 72, m.channel[who], m.second_channel[who])
        chosen = np.where(draw < 92, habit, CHANNEL.draw(rng, len(who)))
        return np.where(m.type[who] == RESELLER, DISTRIBUTOR, chosen)

    def _instants(
        self, rng: np.random.Generator, who: Array | None, day: Array, channel: Array
    ) -> Array:
        n, midnight = len(day), self._season.midnight(day)
        hour = np.where(channel == STORE, SHOP_HOURS.draw(rng, n), WEB_HOURS.draw(rng, n))
        evening = channel == DOUYIN
        if who is not None:
            evening |= (channel != STORE) & self._m.evening[who]
        hour = np.where(evening, EVENING_HOURS.draw(rng, n), hour)
        at: Array = midnight + hour * 3_600_000 + between(rng, 0, 3_599_999, n)
        if who is not None:  # nobody buys as a member before having joined
            at = np.maximum(at, self._m.joined_at[who] + between(rng, 60_000, 1_200_000, n))
        return np.asarray(np.minimum(at, midnight + DAY_MS - 5000))

    def _order_rows(self, rng: np.random.Generator, heads: Heads, baskets: Baskets) -> Rows:
        n, channel, member = len(heads.day), heads.channel, heads.member != NULL
        gross = np.add.reduceat(baskets.qty * baskets.price, baskets.starts)
        discount = np.add.reduceat(baskets.discount, baskets.starts)
        in_store = channel == STORE
        small = (gross - discount < FREE_SHIPPING) & (heads.kind == NORMAL) & ~in_store
        shipping = np.where(small, SHIPPING, 0)
        store, staff = self._places(rng, heads)
        pays = np.where(in_store, between(rng, 500, 4000, n), between(rng, 4000, 900_000, n))
        paid_at = np.minimum(heads.at + pays, _end(heads.at))
        shared = (channel == WECOM) & (rng.random(n) < 0.2)
        return rows(
            n,
            heads.day.copy(),
            order_id=heads.number,
            member_id=np.where(member, heads.member + 1, NULL),
            ordered_at=heads.at,
            paid_at=np.where(heads.fate == ABANDONED, NULL, paid_at),
            status=PAID,
            channel=channel,
            shop_id=channel,
            store_id=store,
            staff_id=staff,
            gross_minor=gross,
            discount_minor=discount,
            shipping_minor=shipping,
            paid_minor=gross - discount + shipping,
            currency=0,
            order_kind=heads.kind,
            promotion_ids=np.where(heads.kind == TOPUP, 0, self._season.promotion[heads.day]),
            identified_by=self._identified(rng, heads),
            share_id=np.where(shared, heads.number % 1_000_003, NULL),
        )

    def _places(self, rng: np.random.Generator, heads: Heads) -> tuple[Array, Array]:
        """The store of each order and who served there, or NULL."""
        n, in_store = len(heads.day), heads.channel == STORE
        somewhere = between(rng, 0, STORES - 1, n)
        at_home = (heads.member != NULL) & (rng.random(n) < 0.85)
        store = np.where(at_home, self._m.home[heads.member] // HOMES, somewhere)
        served = store * STAFF_A_STORE + between(rng, 0, STAFF_A_STORE - 1, n)
        chatted = STORES * STAFF_A_STORE + between(rng, 0, CHAT_STAFF - 1, n)
        staff = np.select([in_store, heads.channel == WECOM], [served, chatted], NULL)
        return np.where(in_store, store, NULL).astype(np.int8), staff.astype(np.int16)

    def _identified(self, rng: np.random.Generator, heads: Heads) -> Array:
        n, channel = len(heads.day), heads.channel
        seen = np.where(
            channel == STORE, _IDENTIFIED_IN_STORE.draw(rng, n), IDENTIFIED.index("phone")
        )
        in_app = (channel == MINIAPP) | (channel == WECOM)
        seen = np.where(in_app, IDENTIFIED.index("miniapp"), seen)
        return np.where(heads.member != NULL, seen, IDENTIFIED.index("none")).astype(np.int8)

    # -- lines

    def _baskets(self, rng: np.random.Generator, heads: Heads) -> Baskets:
        n = len(heads.day)
        size = np.where(heads.kind == NORMAL, 1 + _BASKET.draw(rng, n), 1)
        gift = (heads.kind == NORMAL) & (rng.random(n) < 0.05)
        size = size + gift
        order = np.repeat(np.arange(n), size)
        starts = np.cumsum(size) - size
        first = np.zeros(len(order), bool)
        first[starts] = True
        given = np.zeros(len(order), bool)
        given[(starts + size - 1)[gift]] = True
        sku = self._skus(rng, heads, order, first)
        qty = self._quantities(rng, heads, order, sku, given)
        price = np.where(given, 0, self._goods.price_minor[sku])
        off = self._off_bp(rng, heads, order, sku)
        return Baskets(order, starts, sku, qty, price, qty * price * off // 10_000, given)

    def _skus(self, rng: np.random.Generator, heads: Heads, order: Array, first: Array) -> Array:
        m, goods, k = self._m, self._goods, len(order)
        who, day = heads.member[order], heads.day[order]
        category = category_lottery().draw(rng, k)
        draw = rng.integers(0, 100, k)
        own = first & (who != NULL)
        category = np.where(own & (draw < 95), m.second_category[who], category)
        category = np.where(own & (draw < 75), m.category[who], category)
        category = np.where(heads.kind[order] == TOPUP, CARD, category)
        sku = goods.shelf[category, rng.integers(0, SHELF, k)]
        sku = np.where(goods.launched[sku] > day, goods.staple[category], sku)
        special = goods.special[day]
        return np.where((special != NULL) & ~first & (draw < 12), special, sku)

    def _quantities(
        self, rng: np.random.Generator, heads: Heads, order: Array, sku: Array, given: Array
    ) -> Array:
        k, who = len(order), heads.member[order]
        qty = 1 + (rng.random(k) < 0.2).astype(np.int64)
        stocks_up = (self._season.off_bp[heads.day[order]] >= 2000) & (rng.random(k) < 0.35)
        qty = np.where(stocks_up & (self._goods.price_minor[sku] < 20_000), qty * 2, qty)
        reseller = (who != NULL) & (self._m.type[who] == RESELLER)
        qty = np.where(reseller, between(rng, 12, 48, k), qty)
        return np.where(given | (heads.kind[order] != NORMAL), 1, qty)

    def _off_bp(self, rng: np.random.Generator, heads: Heads, order: Array, sku: Array) -> Array:
        k, who, day = len(order), heads.member[order], heads.day[order]
        deal = np.where((who != NULL) & self._m.deal_seeker[who], 75, 12)
        off = np.maximum(
            self._season.off_bp[day], np.where(rng.integers(0, 100, k) < deal, 1000, 0)
        )
        off = np.where(self._goods.special[day] == sku, np.maximum(off, 3000), off)
        kind = heads.kind[order]
        return np.select([kind == TOPUP, kind == SAMPLE, kind == STAFF], [0, 10_000, 4000], off)

    def _with_coupons(self, b: Baskets, heads: Heads, bought: Purchases) -> tuple[Baskets, Array]:
        """Baskets filled up to what the coupon asks for, its discount spread; and what it was."""
        template = np.where(heads.purchase != NULL, bought.template[heads.purchase], NULL)
        holders = np.flatnonzero((template != NULL) & (heads.kind == NORMAL))
        coupon = np.zeros(len(template), np.int64)
        if not len(holders):
            return b, coupon
        template = template[holders]
        sizes = np.append(b.starts[1:], len(b.order))[holders] - b.starts[holders]
        starts = np.cumsum(sizes) - sizes
        lines = np.repeat(b.starts[holders] - starts, sizes) + np.arange(sizes.sum())
        qty, price, discount = b.qty[lines], b.price[lines], b.discount[lines]
        short = TEMPLATE_MIN[template] - np.add.reduceat(qty * price - discount, starts)
        unit = np.maximum((price - discount // qty)[starts], 1)
        more = np.maximum(-(-short // unit), 0)
        discount[starts] = (qty[starts] + more) * discount[starts] // qty[starts]
        qty[starts] += more
        net_of_line = qty * price - discount
        net = np.add.reduceat(net_of_line, starts)
        amount = np.minimum(TEMPLATE_VALUE[template], net - 100)
        off = np.where(TEMPLATE_BP[template] > 0, net * TEMPLATE_BP[template] // 10_000, amount)
        off = np.where(net >= TEMPLATE_MIN[template], np.maximum(off, 0), 0)
        shares = np.repeat(off, sizes) * net_of_line // np.repeat(np.maximum(net, 1), sizes)
        shares[starts] += off - np.add.reduceat(shares, starts)
        b.qty[lines], b.discount[lines] = qty, discount + shares
        coupon[holders] = off
        return b, coupon

    def _line_rows(self, period: int, heads: Heads, b: Baskets) -> Rows:
        k = len(b.order)
        bundled = b.gift | np.roll(b.gift, -1)  # a gift and the line before it
        return rows(
            k,
            heads.day[b.order],
            order_line_id=period * SERIALS + np.arange(1, k + 1),
            order_id=heads.number[b.order],
            sku_id=b.sku.astype(np.int16),
            qty=b.qty,
            unit_price_minor=b.price,
            line_discount_minor=b.discount,
            line_net_minor=b.qty * b.price - b.discount,
            cost_minor=b.qty * self._goods.cost_minor[b.sku],
            is_gift=b.gift,
            bundle_id=np.where(bundled, b.order % 997, NULL),
        )

    # -- what becomes of them

    def _hold_back(
        self, rng: np.random.Generator, orders: Rows, lines: Rows, baskets: Baskets
    ) -> None:
        """Let some orders land late, their lines with them."""
        orders[LAND], orders[MARK] = lands_late(rng, orders[LAND], self._dirt.late)
        lines[LAND], lines[MARK] = orders[LAND][baskets.order], orders[MARK][baskets.order]

    def _steps(
        self, rng: np.random.Generator, heads: Heads, orders: Rows
    ) -> tuple[list[Part], Array]:
        """The versions of each order as it proceeds, one a landing day, and the day of the last.

        A store sale is complete at once. An order sent out lands as paid, some as shipped, then
        as completed; one not paid for is closed the next day.
        """
        n, late = len(heads.day), orders[LAND]
        first = np.full(n, PAID, np.int8)
        first[(heads.channel == STORE) | (heads.kind == TOPUP)] = COMPLETED
        first[heads.fate == ABANDONED] = CREATED
        sent = (first == PAID) & (heads.fate == GOES_THROUGH)
        shipped = np.where(sent & (rng.random(n) < 0.3), heads.day + between(rng, 1, 2, n), NULL)
        done = np.where(sent, heads.day + between(rng, 3, 10, n), NULL)
        done = np.where(heads.fate != GOES_THROUGH, heads.day + 1, done)
        final = np.array([COMPLETED, CLOSED, CANCELLED], np.int8)[heads.fate]
        versions: list[Part] = []
        following = np.full(n, NULL, np.int64)  # the landing day of the next version
        last = late.astype(np.int64)
        steps = ((done, final), (shipped, np.full(n, SHIPPED, np.int8)), (heads.day, first))
        for day, status in steps:
            land = np.where(day == NULL, NULL, np.maximum(day, late)).astype(np.int32)
            which = np.flatnonzero((land != NULL) & (land != following))
            mark = np.where(land == late, orders[MARK], np.int8(CLEAN))[which]
            own = {LAND: land[which], MARK: mark, "status": status[which]}
            versions.insert(0, part(orders, which, **own))
            following[which] = land[which]
            last = np.maximum(last, land)
        return versions, last

    def _corrections(
        self,
        rng: np.random.Generator,
        heads: Heads,
        orders: Rows,
        lines: Rows,
        baskets: Baskets,
        last: Array,
    ) -> tuple[Part, Part]:
        """Some orders land once more: another channel, or a tenth less on the first line."""
        right = (last != NULL) & (heads.fate == GOES_THROUGH) & (heads.kind == NORMAL)
        which = chance(rng, len(heads.day), self._dirt.corrections)
        which = which[right[which]]
        k = len(which)
        land = (last[which] + between(rng, 1, 10, k)).astype(np.int32)
        mark = np.full(k, CORRECTED, np.int8)
        moved = (rng.random(k) < 0.5) & ~np.isin(heads.channel[which], (STORE, WECOM))
        first = baskets.starts[which]
        less = np.where(moved, 0, lines["line_net_minor"][first] // 10)
        fixed = part(
            orders,
            which,
            status=np.full(k, COMPLETED, np.int8),
            channel=np.where(moved, np.int8(WECOM), heads.channel[which]),
            discount_minor=orders["discount_minor"][which] + less,
            paid_minor=orders["paid_minor"][which] - less,
            **{LAND: land, MARK: mark},
        )
        fixed_lines = part(
            lines,
            first,
            line_discount_minor=lines["line_discount_minor"][first] + less,
            line_net_minor=lines["line_net_minor"][first] - less,
            **{LAND: land, MARK: mark},
        )
        return fixed, fixed_lines.only(np.flatnonzero(~moved))

    def _refunds(
        self,
        rng: np.random.Generator,
        heads: Heads,
        orders: Rows,
        lines: Rows,
        baskets: Baskets,
        bought: Purchases,
    ) -> tuple[Array, Rows]:
        """Which orders come back, and how: once, within fifteen days, all of it or one line."""
        n = len(heads.day)
        bad = np.where(heads.purchase != NULL, bought.bad[heads.purchase], 0)
        share = np.select([bad == QUALITY, bad == LOGISTICS, bad == SERVICE], [60, 30, 15], 3)
        share = np.where((heads.channel != STORE) & (bad == 0), 5, share)
        possible = (
            (heads.fate == GOES_THROUGH) & (heads.kind == NORMAL) & (orders["paid_minor"] > 0)
        )
        which = np.flatnonzero((rng.integers(0, 100, n) < share) & possible)
        k = len(which)
        line = baskets.starts[which]
        whole = (rng.random(k) < 0.5) | (lines["line_net_minor"][line] <= 0)
        amount = np.where(whole, orders["paid_minor"][which], lines["line_net_minor"][line])
        reason = np.select(
            [bad[which] == QUALITY, bad[which] == LOGISTICS],
            [0, 1 + rng.integers(0, 2, k)],
            3 + Lottery(40, 15, 35, 10).draw(rng, k),
        )
        at = heads.at[which] + between(rng, 6 * 3_600_000, REFUND_DAYS * DAY_MS, k)
        land, mark = lands_late(rng, day_of(at, self._season.epoch_day), self._dirt.late)
        return which, rows(
            k,
            land,
            refund_id=heads.number[which],
            order_id=heads.number[which],
            order_line_id=np.where(whole, NULL, lines["order_line_id"][line]),
            refunded_at=at,
            amount_minor=amount,
            kind=np.where(rng.random(k) < 0.6, 1, 0),
            reason_code=reason,
        ) | {MARK: mark}

    def _redemptions(
        self, heads: Heads, orders: Rows, bought: Purchases, coupon: Array, refunds: Rows
    ) -> list[Part]:
        """The coupons used, each on its order; taken back where all of the order was refunded."""
        which = np.flatnonzero(coupon > 0)
        found = rows(
            len(which),
            orders[LAND][which],
            redemption_id=heads.number[which],
            issue_id=bought.coupon[heads.purchase[which]],
            order_id=heads.number[which],
            redeemed_at=orders["paid_at"][which],
            discount_minor=coupon[which],
            reversed_at=NULL,
        ) | {MARK: orders[MARK][which]}
        whole = refunds["order_line_id"] == NULL
        back, at, land = (refunds[name][whole] for name in ("order_id", "refunded_at", LAND))
        _, here, there = np.intersect1d(
            found["order_id"], back, assume_unique=True, return_indices=True
        )
        own = {
            "reversed_at": at[there],
            LAND: np.maximum(land[there], found[LAND][here] + 1),
            MARK: np.zeros(len(here), np.int8),
        }
        return [part(found), part(found, here, **own)]


def lands_late(rng: np.random.Generator, day: Array, share: float) -> tuple[Array, Array]:
    """When rows of those days land, and their marks: most the same day, some 21 days later."""
    land, mark = day.astype(np.int32), np.zeros(len(day), np.int8)
    late = chance(rng, len(day), share)
    land[late] += between(rng, 1, LATE_DAYS, len(late)).astype(np.int32)
    mark[late] = LATE
    return land, mark


def _end(at: Array) -> Array:
    """The last second of the day of each instant."""
    return np.asarray(at - at % DAY_MS + DAY_MS - 1000)
