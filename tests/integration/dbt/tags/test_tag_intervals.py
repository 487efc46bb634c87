"""Tags over random histories: two nights in one lake against the definitions, instant by instant.

Hypothesis draws the histories; one build answers for all of them. The oracle below knows the
definitions of the catalogue and nothing of intervals: it is asked what holds at single instants.
The zone is one with daylight saving, and the histories cross both switches of the year.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.core.tag_catalogue import TagCatalogue

pytestmark = pytest.mark.integration

CATALOGUE = TagCatalogue.load()
MEMBERS = 250
FAR = range(450, 1100, 7)
TZ = ZoneInfo("America/New_York")
EPOCH = date(2024, 3, 1)
LAST_DAY = 400  # no event after it, so that two nights see the same
NIGHTS = (date(2025, 4, 12), date(2025, 4, 13))
TICK = timedelta(microseconds=1)
ACTIVE_DAYS = 80  # given as a variable, unlike the catalogue's default
EXCLUSIVE = {"lifecycle", "research", "rfm", "value", "churn"}


def local(day: date, hour: float = 0.0) -> datetime:
    """The instant of a wall-clock time."""
    start = datetime.combine(day, time(), TZ).replace(hour=int(hour), minute=int(hour % 1 * 60))
    return start.astimezone(UTC)


def day_of(at: datetime) -> date:
    return at.astimezone(TZ).date()


def later(at: datetime, days: int) -> datetime:
    """As long after its midnight, `days` local days later."""
    day = day_of(at)
    return local(day + timedelta(days=days)) + (at - local(day))


AS_OF = tuple(local(night + timedelta(days=1)) for night in NIGHTS)


@dataclass(frozen=True)
class Order:
    at: datetime
    net: int
    quality_refund_at: datetime | None = None


@dataclass(frozen=True)
class Coupon:
    role: str
    issued_at: datetime
    expires_at: datetime
    redeemed_at: datetime | None


@dataclass(frozen=True)
class History:
    """What happened to one member, the future included."""

    joined_at: datetime | None
    orders: tuple[Order, ...]
    nps: tuple[tuple[datetime, int], ...]
    csat: tuple[tuple[datetime, int], ...]
    pairs: tuple[tuple[Coupon, Coupon], ...]
    consents: tuple[tuple[datetime, str, str], ...]
    p_churn: float | None


instants = st.builds(
    lambda day, quarter: local(EPOCH + timedelta(days=day), quarter / 4),
    st.one_of(st.integers(0, LAST_DAY), st.sampled_from([9, 246, 374, LAST_DAY, LAST_DAY + 30])),
    st.integers(4 * 4, 23 * 4),
)


#: Days of a buyer with a rhythm, the last of them anywhere in the year.
rhythms = st.builds(
    lambda last, gap, count: [last - gap * k for k in range(count) if last >= gap * k],
    st.integers(0, LAST_DAY),
    st.integers(1, 60),
    st.integers(2, 16),
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Order, ...]:
    quiet = st.lists(instants, max_size=2)
    rhythm = rhythms.map(lambda days: [local(EPOCH + timedelta(days=day), 12) for day in days])
    wild = st.lists(instants, min_size=3, max_size=12)
    found, level = {}, draw(st.sampled_from([1, 1, 10, 50]))
    for at in draw(st.one_of(quiet, rhythm, rhythm, wild)):
        refund_at = None
        if draw(st.integers(0, 19)) == 0:
            refund_at = draw(instants.filter(lambda x, at=at: x > at) | st.none())
        found[at] = Order(at, level * draw(st.integers(1, 30)) * 100, refund_at)
    return tuple(found[at] for at in sorted(found))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Coupon, Coupon]:
    issued_at, is_user = draw(instants), draw(st.booleans())
    two = []
    for role in ("traffic", "retention"):
        expires_at = issued_at + timedelta(hours=draw(st.integers(1, 40 * 24)))
        used_after = draw(st.integers(1, 40 * 24)) if is_user else None
        redeemed_at = issued_at + timedelta(hours=used_after) if used_after else None
        if redeemed_at and AS_OF[0] <= redeemed_at < AS_OF[1]:
            redeemed_at = None
        two.append(Coupon(role, issued_at, expires_at, redeemed_at))
    return two[0], two[1]


histories = st.builds(
    History,
    joined_at=st.one_of(st.none(), instants),
    orders=orders(),
    nps=st.lists(
        st.tuples(instants, st.sampled_from([0, 6, 7, 8, 9, 9, 10, 10])),
        max_size=3,
        unique_by=lambda x: x[0],
    )
    .map(sorted)
    .map(tuple),
    csat=st.lists(st.tuples(instants, st.integers(1, 5)), max_size=2, unique_by=lambda x: x[0])
    .map(sorted)
    .map(tuple),
    pairs=st.sampled_from([0, 0, 1, 2, 5])
    .flatmap(lambda n: st.lists(pairs(), min_size=n, max_size=n))
    .map(lambda two: (*two, *two[:1])),  # and the first of them once more
    consents=st.lists(
        st.tuples(
            instants,
            st.sampled_from(["marketing", "profiling"]),
            st.sampled_from(["granted", "withdrawn"]),
        ),
        max_size=3,
        unique_by=lambda x: x[:2],
    )
    .map(sorted)
    .map(tuple),
    p_churn=st.one_of(st.none(), st.sampled_from([0.0, 0.32, 0.33, 0.5, 0.65, 0.66, 1.0])),
)


def drawn() -> dict[str, History]:
    """The same random histories in every run."""
    found: list[History] = []

    @settings(
        max_examples=MEMBERS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories)
    def collect(history: History) -> None:
        found.append(history)

    collect()
    # one to whom something happens by the clock alone: 30 days are over at the first night's end
    found.append(
        History(None, (Order(local(NIGHTS[0] - timedelta(days=30), 9), 100),), (), (), (), (), None)
    )
    return {f"m{number:03d}": history for number, history in enumerate(found)}


def tables_of(members: dict[str, History]) -> dict[str, list[dict[str, Any]]]:
    """The landing rows that tell these histories."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows["products"] = [{"sku_id": f"sku{k}", "category_l2": f"cat{k}"} for k in range(2)]
    rows["coupon_templates"] = [{"template_id": role, "role": role} for role in ROLES]
    rows["survey_questions"] = [
        {"survey_id": "s", "version": 1, "question_id": group, "maps_to_tag_group": group}
        for group in ("nps", "csat")
    ]
    for number, (member, history) in enumerate(members.items()):
        if history.joined_at:
            rows["members"].append({"member_id": member, "joined_at": history.joined_at})
        _orders(rows, member, number, history)
        for group, answers in (("nps", history.nps), ("csat", history.csat)):
            rows["survey_answers"] += [
                {
                    "answer_id": f"{member}-{group}-{at}",
                    "survey_id": "s",
                    "version": 1,
                    "member_id": member,
                    "question_id": group,
                    "number": float(score),
                    "answered_at": at,
                }
                for at, score in answers
            ]
        _coupons(rows, member, history)
        rows["consents"] += [
            {"member_id": member, "purpose": purpose, "state": state, "at": at}
            for at, purpose, state in history.consents
        ]
        if history.p_churn is not None:
            scored = {"member_id": member, "p_churn_90d": history.p_churn, "basis": "heuristic"}
            rows["member_risk"].append(scored)
    return rows


ROLES = ("traffic", "retention")


def _orders(rows: dict[str, list[Any]], member: str, number: int, history: History) -> None:
    for place, order in enumerate(history.orders):
        order_id = f"{member}-{place}"
        rows["orders"].append(
            {
                "order_id": order_id,
                "member_id": member,
                "ordered_at": order.at,
                "paid_minor": order.net + 10,
            }
        )
        rows["order_lines"].append(
            {
                "order_line_id": order_id,
                "order_id": order_id,
                "sku_id": f"sku{number % 3}",  # every third member buys what no product describes
                "unit_price_minor": order.net,
            }
        )
        if order.quality_refund_at:
            rows["refunds"].append(
                {
                    "refund_id": order_id,
                    "order_id": order_id,
                    "refunded_at": order.quality_refund_at,
                    "amount_minor": 10,
                    "reason_code": "quality",
                }
            )


def _coupons(rows: dict[str, list[Any]], member: str, history: History) -> None:
    for place, two in enumerate(history.pairs):
        for coupon in two:
            issue_id = f"{member}-{place}-{coupon.role}"
            rows["coupon_issues"].append(
                {
                    "issue_id": issue_id,
                    "template_id": coupon.role,
                    "member_id": member,
                    "issued_at": coupon.issued_at,
                    "valid_from": coupon.issued_at,
                    "expires_at": coupon.expires_at,
                    "origin": "pair",
                    "pair_id": f"{member}-{place}",
                }
            )
            if coupon.redeemed_at:
                rows["coupon_redemptions"].append(
                    {
                        "redemption_id": issue_id,
                        "issue_id": issue_id,
                        "order_id": "none",
                        "redeemed_at": coupon.redeemed_at,
                    }
                )


class Oracle:
    """The definitions, asked of single instants with what is known at `as_of`."""

    def __init__(self, members: dict[str, History], as_of: datetime) -> None:
        self.members, self.as_of = members, as_of
        self.days = {name: self._purchase_days(history) for name, history in members.items()}
        self.category_gaps = self._category_gaps()
        self.cycles = {
            name: self._cycle(number, list(self.days[name]))
            for number, name in enumerate(members)
            if self.days[name]
        }
        self._thresholds()

    def _purchase_days(self, history: History) -> dict[date, tuple[datetime, datetime, int]]:
        """First and last order and net revenue of each purchase day."""
        days: dict[date, tuple[datetime, datetime, int]] = {}
        for order in history.orders:
            if order.at < self.as_of:
                refunded = order.quality_refund_at and order.quality_refund_at < self.as_of
                net = order.net + (0 if refunded else 10)
                first, _, before = days.get(day_of(order.at), (order.at, order.at, 0))
                days[day_of(order.at)] = (first, order.at, before + net)
        return days

    def _category_gaps(self) -> dict[int, float]:
        month = day_of(self.as_of).replace(day=1)
        gaps = defaultdict(list)
        for number, name in enumerate(self.members):
            days = [day for day in self.days[name] if day < month]
            gaps[number % 3] += [(b - a).days for a, b in pairwise(days)]
        return {k: median(gaps[k]) for k in (0, 1) if gaps[k]}

    def _cycle(self, number: int, days: list[date]) -> float:
        gaps = [(b - a).days for a, b in pairwise(days)]
        n, prior = len(days), self.category_gaps.get(number % 3, 45)
        own = median(gaps) if gaps else prior
        cycle = own if n >= 4 else n / (n + 3) * own + 3 / (n + 3) * prior
        return round(min(max(cycle, 7), 180), 4)

    def _thresholds(self) -> None:
        month = day_of(self.as_of).replace(day=1)
        active = []
        for days in self.days.values():
            year = [day for day in days if month - timedelta(days=365) <= day < month]
            if year and (month - max(year)).days <= 90:
                net = sum(days[day][2] for day in year)
                active.append(((month - max(year)).days, len(year), net))
        self.medians = [median(column) for column in zip(*active, strict=True)]
        nets = sorted((net for _, _, net in active), reverse=True)
        self.high, self.mid = (nets[math.ceil(len(nets) * k) - 1] for k in (0.1, 0.5))

    def _joined_at(self, name: str) -> datetime | None:
        joined_at = self.members[name].joined_at
        return joined_at if joined_at and joined_at < self.as_of else None

    def starts_at(self, name: str) -> datetime | None:
        history, joined_at = self.members[name], self._joined_at(name)
        seen = [joined_at, *(first for first, _, _ in self.days[name].values())]
        if joined_at is None:
            seen += [at for at, _ in (*history.nps, *history.csat)]
            seen += [two[0].issued_at for two in history.pairs]
            seen += [at for at, _, _ in history.consents]
        known = [at for at in seen if at is not None and at < self.as_of]
        return min(known) if known else None

    def at(self, name: str, now: datetime) -> set[str]:
        """The tags that hold at `now`, before which nothing but the past and no event after
        `as_of` has happened."""
        history, days = self.members[name], self.days[name]
        past = [day for day, (first, _, _) in days.items() if first <= now]
        n, gap = len(past), (day_of(now) - past[-1]).days if past else 0
        tags = {self._lifecycle(name, n, gap), self._research(name, now, n, gap)}
        tags |= {self._rfm(name, n), self._value(name, n), self._risk(history, n)}
        if any(last <= now < later(last, ACTIVE_DAYS) for _, last, _ in self._orders_of(name)):
            tags.add("active.90d")
        tags |= set(self._coupons(history, now)) | set(self._consents(history, now))
        return tags | set(self._habits(history, now))

    def _orders_of(self, name: str) -> Iterator[tuple[None, datetime, None]]:
        return (
            (None, order.at, None) for order in self.members[name].orders if order.at < self.as_of
        )

    def _lifecycle(self, name: str, n: int, gap: int) -> str:
        if n == 0:
            return "lifecycle.never_bought"
        c = self.cycles[name]
        if n == 1:
            waiting = "first_new" if gap <= 30 else "first_waiting"
            return f"lifecycle.{waiting if gap <= max(90, 2 * c) else 'one_and_done'}"
        for tag, limit in (("repeat_active", 1.5 * c), ("cooling", 2.5 * c)):
            if gap <= limit:
                return f"lifecycle.{tag}"
        return "lifecycle.dormant" if gap <= max(365, 4 * c) else "lifecycle.lost"

    def _research(self, name: str, now: datetime, n: int, gap: int) -> str:
        history = self.members[name]
        known = min(now, self.as_of - TICK)
        dislikes = [at for at, score in history.nps if score <= 6 and at <= known]
        dislikes += [at for at, score in history.csat if score <= 2 and at <= known]
        dislikes += [
            order.quality_refund_at
            for order in history.orders
            if order.quality_refund_at and order.quality_refund_at <= known
        ]
        if n >= 1 and any(now < later(at, 180) for at in dislikes):
            return "research.hater"
        scores = [score for at, score in history.nps if at <= known]
        if n >= 3 and scores and scores[-1] >= 9:
            return "research.lover"
        if n == 1 and gap > max(90, 2 * self.cycles[name]):
            return "research.one_and_done"
        joined_at = self._joined_at(name) or self.starts_at(name)
        if n == 0 and joined_at and later(joined_at, 7) <= now:
            return "research.never_bought"
        return "research.none"

    def _rfm(self, name: str, n: int) -> str:
        days = self.days[name] if n else {}
        today = day_of(self.as_of)
        year = [day for day in days if day >= today - timedelta(days=365)]
        recency = (today - max(days)).days if days else math.inf
        r, f, m = self.medians
        net = sum(days[day][2] for day in year)
        kinds = {
            (True, True): "value",
            (True, False): "grow",
            (False, True): "keep",
            (False, False): "winback",
        }
        kind = kinds[recency < r, len(year) > f]
        return f"rfm.{'important' if net > m else 'general'}_{kind}"

    def _value(self, name: str, n: int) -> str:
        today = day_of(self.as_of)
        days = self.days[name] if n else {}
        net = sum(v[2] for day, v in days.items() if day >= today - timedelta(days=365))
        bands = (("high", self.high), ("mid", self.mid), ("low", 1), ("none", 0))
        return f"value.{next(band for band, least in bands if net >= max(least, 0))}"

    @staticmethod
    def _risk(history: History, n: int) -> str:
        p = history.p_churn
        if not n or p is None:
            return "risk.unscored"
        return f"risk.churn_{'high' if p >= 0.66 else 'mid' if p >= 0.33 else 'low'}"

    def _coupons(self, history: History, now: datetime) -> Iterator[str]:
        for traffic, retention in history.pairs:
            if traffic.issued_at >= self.as_of:
                continue
            for coupon in (traffic, retention):
                if self._is_open(coupon, now):
                    if now >= later(coupon.expires_at, -3):
                        yield "coupon.expiring_3d"
                    if coupon.role == "retention":
                        yield "coupon.holds_retention"
            used_at = self._used(traffic)
            if used_at and used_at <= now and self._is_open(retention, now):
                yield "coupon.traffic_used_retention_open"

    def _habits(self, history: History, now: datetime) -> Iterator[str]:
        """What is judged at as_of holds since the last thing that happened to a coupon."""
        given = [c for two in history.pairs for c in two if c.issued_at < self.as_of]
        events = [at for c in given for at in (c.issued_at, self._used(c)) if at]
        year = [c for c in given if c.issued_at >= later(self.as_of, -365)]
        used = sum(1 for c in year if self._used(c))
        if year and now >= max(events):
            if len(year) >= 5 and used / len(year) < 0.1:
                yield "coupon.hoarder"
            if used >= 3 and used / len(year) >= 0.6:
                yield "coupon.lover"

    def _used(self, coupon: Coupon) -> datetime | None:
        used = coupon.redeemed_at
        return used if used and used < self.as_of else None

    def _is_open(self, coupon: Coupon, now: datetime) -> bool:
        used_at = self._used(coupon)
        return coupon.issued_at <= now < min(coupon.expires_at, used_at or coupon.expires_at)

    def _consents(self, history: History, now: datetime) -> Iterator[str]:
        for purpose in ("marketing", "profiling"):
            states = [
                state
                for at, about, state in history.consents
                if about == purpose and at <= now and at < self.as_of
            ]
            if states and states[-1] == "withdrawn":
                yield f"consent.no_{purpose}"


Interval = tuple[datetime, datetime]
Intervals = dict[str, dict[str, list[Interval]]]


def intervals_of(warehouse: Any) -> Intervals:
    """Intervals by member and tag, in order."""
    found: Intervals = defaultdict(lambda: defaultdict(list))
    for member, tag, start, end in warehouse.rows(
        """
        select member_id, tag, valid_from, valid_to
        from marts.mart_member_tag_history order by member_id, tag, valid_from
        """
    ):
        found[member][tag].append((start, end))
    return found


def holding(tags: dict[str, list[Interval]], now: datetime) -> set[str]:
    """The tags whose intervals contain `now`."""
    found = set()
    for tag, intervals in tags.items():
        place = bisect_right(intervals, now, key=lambda interval: interval[0]) - 1
        if place >= 0 and now < intervals[place][1]:
            found.add(tag)
    return found


def probes(tags: dict[str, list[Interval]], start: datetime) -> list[datetime]:
    """Both sides of every boundary, of every midnight of 450 days and of some later ones."""
    edges = {edge for intervals in tags.values() for interval in intervals for edge in interval}
    edges |= {local(day_of(start) + timedelta(days=k)) for k in (*range(1, 450), *FAR)}
    both = {at for edge in edges for at in (edge - TICK, edge)}
    return sorted(at for at in both if start <= at < datetime(9999, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def members() -> dict[str, History]:
    return drawn()


@pytest.fixture(scope="module")
def root(lake: Any, members: dict[str, History]) -> Any:
    return lake(tables_of(members), tz="America/New_York")


def built(dbt_build: Any, root: Any, as_of: datetime, **more: Any) -> Any:
    return dbt_build(
        root,
        as_of.isoformat(),
        business_tz="America/New_York",
        tag_params={"activity": {"active_days": ACTIVE_DAYS}},
        **more,
    )


@dataclass(frozen=True)
class Night:
    """What one night's build held: intervals, rows of member_tags_v1, rows of facts."""

    intervals: Intervals
    served: dict[str, tuple[Any, ...]]
    timeless: set[tuple[Any, ...]]
    segments: dict[str, tuple[Any, ...]]


MODELS = "+member_tags_v1 +mart_segment_daily"
SERVED = "select member_id, tags, tag_from, tag_until, tag_set_hash from features.member_tags_v1"
MOVING = tuple(tag.code for tag in CATALOGUE.tags.values() if not tag.judged_at_as_of)


def night_of(warehouse: Any) -> Night:
    return Night(
        intervals_of(warehouse),
        warehouse.by_key(SERVED),
        set(
            warehouse.rows(
                f"""
                select member_id, tag, valid_from, valid_to, evidence, is_served
                from marts.mart_member_tag_history where tag in {MOVING}
                """
            )
        ),
        warehouse.by_key(
            "select tag, members, entered, left_members from marts.mart_segment_daily"
        ),
    )


@pytest.fixture(scope="module")
def nights(dbt_build: Any, root: Any) -> tuple[Night, Night, Night]:
    """Two nights without news between them, and the second once more."""
    only = {"select": MODELS, "exclude": "resource_type:test resource_type:unit_test"}
    first = night_of(built(dbt_build, root, AS_OF[0], select=MODELS))
    second = night_of(built(dbt_build, root, AS_OF[1], **only))
    return first, second, night_of(built(dbt_build, root, AS_OF[1], **only))


def test_at_every_instant_the_tags_are_those_of_the_definitions(
    members: dict[str, History], nights: tuple[Night, ...]
) -> None:
    oracle, intervals = Oracle(members, AS_OF[0]), nights[0].intervals
    checked = 0
    for name in members:
        start = oracle.starts_at(name)
        if start is None:
            assert name not in intervals
            continue
        for now in probes(intervals[name], start):
            assert holding(intervals[name], now) == oracle.at(name, now), f"{name} at {now}"
            checked += 1
    assert checked > 100_000


def test_exclusive_groups_partition_time_from_the_first_sign_of_a_member(
    members: dict[str, History], nights: tuple[Night, ...]
) -> None:
    oracle = Oracle(members, AS_OF[0])
    for name, tags in nights[0].intervals.items():
        for group in EXCLUSIVE:
            line = sorted(
                interval
                for code, intervals in tags.items()
                if CATALOGUE.tags[code].group == group
                for interval in intervals
            )
            assert line[0][0] == oracle.starts_at(name)
            assert line[-1][1] == datetime(9999, 12, 31, tzinfo=UTC)
            assert [end for _, end in line[:-1]] == [start for start, _ in line[1:]]


def test_every_tag_of_the_catalogue_is_seen(nights: tuple[Night, ...]) -> None:
    """What no history brings about is tested by none of them."""
    seen = {tag for tags in nights[0].intervals.values() for tag in tags}
    assert seen == set(CATALOGUE.tags)


def test_a_night_without_news_moves_no_interval(nights: tuple[Night, ...]) -> None:
    assert nights[0].timeless == nights[1].timeless


def test_a_night_without_news_changes_no_served_row(
    members: dict[str, History], nights: tuple[Night, ...]
) -> None:
    """But of those for whom what is judged at as_of is another: rfm, value, use of coupons."""
    first, second = Oracle(members, AS_OF[0]), Oracle(members, AS_OF[1])
    changed = {
        name for name in nights[0].served if nights[0].served[name] != nights[1].served[name]
    }
    assert set(nights[0].served) == set(nights[1].served)
    judged = {
        name for name in members if judged_at_as_of(first, name) != judged_at_as_of(second, name)
    }
    assert changed <= judged
    assert len(judged) < len(members) / 4


def judged_at_as_of(oracle: Oracle, name: str) -> set[str]:
    tags = oracle.at(name, oracle.as_of)
    return {tag for tag in tags if CATALOGUE.tags[tag].judged_at_as_of}


def test_building_again_changes_nothing(nights: tuple[Night, ...]) -> None:
    assert nights[1] == nights[2]


def test_segments_count_who_has_a_tag_and_who_came_and_went(
    members: dict[str, History], nights: tuple[Night, ...]
) -> None:
    oracle, yesterday = Oracle(members, AS_OF[0]), later(AS_OF[0], -1)
    known = {name: start for name in members if (start := oracle.starts_at(name))}
    now = {name: oracle.at(name, AS_OF[0]) for name in known}
    before = {
        name: oracle.at(name, yesterday) if start <= yesterday else set()
        for name, start in known.items()
    }
    for tag, (count, entered, left) in nights[0].segments.items():
        assert count == sum(tag in tags for tags in now.values())
        if CATALOGUE.tags[tag].judged_at_as_of:
            assert (entered, left) == (None, None)
        else:
            assert entered == sum(tag in now[name] - before[name] for name in known)
            assert left == sum(tag in before[name] - now[name] for name in known)
    assert set(nights[0].segments) == set(CATALOGUE.tags)
    assert nights[0].segments["lifecycle.first_waiting"][1] > 0
    assert nights[0].segments["lifecycle.first_new"][2] > 0


def test_what_is_served_covers_the_present_and_the_future(
    members: dict[str, History], nights: tuple[Night, ...]
) -> None:
    """A reader of member_tags_v1 finds at any instant from as_of on what the definitions say, but
    for what a member without consent to profiling keeps back."""
    oracle = Oracle(members, AS_OF[0])
    for name, (tags, starts, ends, _) in nights[0].served.items():
        withdrawn = "consent.no_profiling" in oracle.at(name, AS_OF[0])
        for days in (0, 1, 3, 10, 31, 91, 200, 400, 1000):
            now = AS_OF[0] + timedelta(days=days)
            served = [
                tag
                for tag, start, end in zip(tags, starts, ends, strict=True)
                if start <= now < end
            ]
            expected = {
                tag
                for tag in oracle.at(name, now)
                if not (withdrawn and CATALOGUE.tags[tag].purpose == "profiling")
            }
            assert set(served) == expected
            assert len(served) == len(set(served))
