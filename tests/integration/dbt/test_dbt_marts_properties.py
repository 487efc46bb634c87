"""The marts against a plain Python reading of the conventions, over random histories.

The SQL is the one dbt compiles; only the raw rows and the two clocks are put in. The second
property is the one that forbids leaks: a build as of an earlier instant equals a build of a lake
in which nothing later ever happened.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.core.clock import start_of

pytestmark = pytest.mark.integration

TZ = "America/New_York"
ZONE = ZoneInfo(TZ)
FIRST, LAST = date(2024, 12, 20), date(2025, 4, 5)
MEMBERS = ["a", "b", "c", "d"]
#: Two systems that number their orders alike.
SYSTEMS = ["shop", "pos"]
MARTS = "mart_purchase_days mart_member_daily mart_repurchase_kpi mart_retention_cohort"
#: A run takes a third of a second, so a failing history is shown as it was found.
FEW = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
KNOWN = [datetime(2025, 5, day, tzinfo=UTC) for day in (1, 2, 3)]


@dataclass(frozen=True)
class World:
    """A random history, and the clocks to look at it with."""

    tables: dict[str, list[dict[str, Any]]]
    as_of: datetime
    cutoff: datetime


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    """Instants of a few months in New York, thick around midnights and the change of clocks."""
    day = draw(st.dates(FIRST, LAST) | st.sampled_from([date(2025, 3, 8), date(2025, 3, 9)]))
    at = start_of(day, TZ)
    return at + timedelta(
        microseconds=draw(st.sampled_from([-1, 0, 1]) | st.integers(0, 86_400_000_000))
    )


@st.composite
def other_descriptions(draw: st.DrawFn, of_shop: dict[str, Any]) -> list[dict[str, Any]]:
    """What the second system says of a member: often nothing but when it first saw it.

    It says no type where a row is changed later, for which system's type is the last has no
    history; nor of d, whom the shop alone knows to be an employee.
    """
    name = of_shop["member_id"]
    if name != "d" and draw(st.booleans()):
        return []
    types = [None] if name in "bd" else [None, None, "consumer", "employee"]
    first: dict[str, Any] = {
        "source_system": "pos",
        "member_id": name,
        "joined_at": of_shop["joined_at"] + timedelta(days=draw(st.integers(-20, 40))),
        "member_type": draw(st.sampled_from(types)),
        "status": draw(st.sampled_from([None, "active"])),
        "known_at": KNOWN[0],
    }
    if first["member_type"] or first["status"] or draw(st.booleans()):
        return [first]
    later = first["joined_at"] + timedelta(days=draw(st.integers(1, 60)))
    return [first, {**first, "status": "active", "updated_at": later, "known_at": KNOWN[1]}]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    orders, refunds = [], []
    for number in range(draw(st.integers(0, 14))):
        system, twin = {"source_system": SYSTEMS[number % 2]}, number // 2
        order = {
            **system,
            "order_id": f"o{twin}",
            "member_id": draw(st.sampled_from([*MEMBERS, None])),
            "ordered_at": draw(instants()),
            "status": draw(st.sampled_from(["paid", "completed", "completed", "cancelled"])),
            "order_kind": draw(st.sampled_from([None, "normal", "normal", "test"])),
            "channel": draw(st.sampled_from(["store", "web"])),
            "paid_minor": draw(st.integers(0, 3)) * 100,
        }
        orders.append({**order, "known_at": KNOWN[0]})
        if draw(st.booleans()):
            correction = {
                "paid_minor": draw(st.integers(0, 3)) * 100,
                "known_at": draw(st.sampled_from(KNOWN[1:])),
                "is_deleted": draw(st.booleans()),
            }
            orders.append({**order, **correction})
        if draw(st.booleans()):
            refunds.append(
                {
                    **system,
                    "refund_id": f"r{twin}",
                    "order_id": order["order_id"],
                    "amount_minor": draw(st.integers(1, 3)) * 100,
                    "refunded_at": order["ordered_at"] + timedelta(days=draw(st.integers(0, 40))),
                    "known_at": draw(st.sampled_from(KNOWN)),
                }
            )
    members = [
        {
            "member_id": name,
            "joined_at": draw(instants()),
            "member_type": "employee" if name == "d" else "consumer",
            "known_at": KNOWN[0],
        }
        for name in MEMBERS
    ]
    if draw(st.booleans()):
        merged = {**members[1], "status": "merged", "merged_into": "a", "known_at": KNOWN[1]}
        later = merged["joined_at"] + timedelta(days=draw(st.integers(1, 60)))
        members.append({**merged, "updated_at": later})
    members += [row for one in members[:4] for row in draw(other_descriptions(one))]
    as_of = start_of(draw(st.dates(date(2025, 1, 5), LAST)), TZ)
    tables = {"orders": orders, "refunds": refunds, "members": members}
    return World(tables, as_of, draw(st.sampled_from(KNOWN)))


@pytest.fixture(scope="module")
def compiled(dbt_compile: Any) -> Any:
    return dbt_compile(MARTS, business_tz=TZ)


def local_day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def held(rows: list[dict[str, Any]], key: str, world: World) -> list[dict[str, Any]]:
    """The last version of each row known at the cutoff, without the deleted ones."""
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:  # a later version stands later in the list
        name = (row.get("source_system", "shop"), row[key])
        seen = latest.get(name)
        if row["known_at"] <= world.cutoff and (not seen or row["known_at"] >= seen["known_at"]):
            latest[name] = row
    return [row for row in latest.values() if not row.get("is_deleted")]


@dataclass(frozen=True)
class Order:
    """An order that counts."""

    member: str | None
    at: datetime
    day: date
    net: int


def described(world: World) -> dict[str, dict[str, Any]]:
    """What all systems together say of a member: the first joining, else the last that any says."""
    rows = held(world.tables["members"], "member_id", world)
    rows.sort(key=lambda row: row.get("source_system", "shop"), reverse=True)
    rows.sort(key=lambda row: (row.get("updated_at", row["joined_at"]), row["known_at"]))
    members: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        if row["joined_at"] >= world.as_of:
            continue
        member = members[row["member_id"]]
        member["joined_at"] = min(row["joined_at"], member.get("joined_at", row["joined_at"]))
        member["member_type"] = row["member_type"] or member.get("member_type")
        status = row.get("status", "active")
        if status and row.get("updated_at", row["joined_at"]) < world.as_of:
            member["merged_into"] = row.get("merged_into")
    return dict(members)


def counted(world: World) -> list[Order]:
    """The qualifying orders, by the words of the conventions."""
    members = described(world)
    refunded: dict[tuple[str, str], int] = defaultdict(int)
    for refund in held(world.tables["refunds"], "refund_id", world):
        if refund["refunded_at"] < world.as_of:
            refunded[refund["source_system"], refund["order_id"]] += refund["amount_minor"]
    found = []
    for order in held(world.tables["orders"], "order_id", world):
        member = order["member_id"]
        if (merged_into := members.get(member or "", {}).get("merged_into")) is not None:
            member = merged_into
        employee = members.get(member or "", {}).get("member_type") == "employee"
        net = order["paid_minor"] - refunded[order["source_system"], order["order_id"]]
        if (
            order["ordered_at"] < world.as_of
            and order["status"] != "cancelled"
            and order["order_kind"] != "test"
            and not employee
            and order["paid_minor"] > 0
            and net > 0
        ):
            at = order["ordered_at"]
            found.append(Order(member, at, local_day(at), net))
    return sorted(found, key=lambda order: order.at)


def by_member(orders: list[Order]) -> dict[str, list[Order]]:
    grouped: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        if order.member:
            grouped[order.member].append(order)
    return grouped


def days_before(world: World, days: int) -> datetime:
    return start_of(local_day(world.as_of) - timedelta(days=days), TZ)


def expected_days(orders: list[Order]) -> set[tuple[Any, ...]]:
    rows = set()
    for member, own in by_member(orders).items():
        for rank, day in enumerate(sorted({order.day for order in own}), 1):
            of_day = [order for order in own if order.day == day]
            net = sum(order.net for order in of_day)
            rows.add((member, day, of_day[0].at, len(of_day), net, rank))
    return rows


def expected_members(world: World, orders: list[Order]) -> dict[str, tuple[Any, ...]]:
    rows = {}
    joined: dict[str, datetime] = {}
    for name, row in described(world).items():
        person = row.get("merged_into") or name
        joined[person] = min(row["joined_at"], joined.get(person, row["joined_at"]))
    for member, own in by_member(orders).items():
        recent = {n: [o for o in own if o.at >= days_before(world, n)] for n in (30, 90, 365)}
        rows[member] = (
            len(own),
            *(len(recent[n]) for n in (30, 90, 365)),
            len({order.day for order in own}),
            len({order.day for order in recent[365]}),
            sum(order.net for order in recent[90]),
            own[0].at,
            own[-1].at,
            joined.get(member),
        )
    return rows


def expected_rates(world: World, orders: list[Order], matured: bool) -> dict[Any, Any]:
    """Numerators and denominators of the brand's rolling 90 days."""
    limit = days_before(world, 15)
    window = [
        order
        for order in orders
        if order.at >= days_before(world, 90) and (not matured or order.at < limit)
    ]
    everything = by_member(orders)
    buyers = by_member(window)
    first = {member: own[0].day for member, own in everything.items()}
    start = local_day(world.as_of) - timedelta(days=90)
    two_days = sum(len({order.day for order in own}) > 1 for own in buyers.values())
    of_members = [order for order in window if order.member]
    later = sum(order.day > first[order.member or ""] for order in of_members)
    earlier = sum(len(own) for own in everything.values()) and min(first.values())
    returning = sum(first[member] < start for member in buyers)
    visible = not earlier or start > earlier
    return {
        ("C01", "days"): (two_days, len(buyers)),
        ("C01", "orders"): (sum(len(own) > 1 for own in buyers.values()), len(buyers)),
        ("C01", "returning"): (returning if visible else None, len(buyers)),
        ("C02", "days"): (later, len(of_members)),
        ("C08", "orders"): (len(of_members), len(window)),
        ("C07", "net"): (
            sum(order.net for order in of_members),
            sum(order.net for order in window),
        ),
        ("C09", "purchasers"): (two_days, len(buyers)),
    }


def months_after(month: date, count: int) -> date:
    index = month.year * 12 + month.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def expected_cohorts(world: World, orders: list[Order]) -> dict[Any, Any]:
    """Size and retained members of the brand's raw cohorts, null where the month is not over."""
    today, cells = local_day(world.as_of), {}
    cohorts: dict[date, list[list[Order]]] = defaultdict(list)
    for own in by_member(orders).values():
        cohorts[own[0].day.replace(day=1)].append(own)
    for month, members in cohorts.items():
        for k in range(13):
            start, end = months_after(month, k), months_after(month, k + 1)
            active = sum(any(start <= order.day < end for order in own) for own in members)
            cells[month, k] = (len(members), active if end <= today else None)
    return cells


@settings(FEW, max_examples=25)
@given(world=worlds())
def test_marts_say_what_the_conventions_say(compiled: Any, world: World) -> None:
    orders = counted(world)
    with compiled.run(world.tables, world.as_of, world.cutoff) as built:
        days = built.execute(
            "select member_id, purchase_date, purchase_at, order_count, net_minor, day_rank"
            " from marts.mart_purchase_days"
        ).fetchall()
        members = built.execute(
            "select member_id, order_count_lifetime, order_count_30d, order_count_90d,"
            " order_count_365d, purchase_days_lifetime, purchase_days_365d,"
            " net_revenue_90d_minor, first_order_at, last_order_at, joined_at"
            " from marts.mart_member_daily where order_count_lifetime > 0"
        ).fetchall()
        rates = built.execute(
            "select maturity, concept_id, variant, numerator, denominator"
            " from marts.mart_repurchase_kpi"
            " where dimension = 'brand' and period_kind = 'rolling_90d'"
            " and basis <> 'source_absent'"
        ).fetchall()
        cohorts = built.execute(
            "select cohort_month, month_number, cohort_size, retained"
            " from marts.mart_retention_cohort where dimension = 'brand' and maturity = 'raw'"
        ).fetchall()
    assert set(days) == expected_days(orders)
    assert {row[0]: row[1:] for row in members} == expected_members(world, orders)
    assert {(row[0], row[1]): row[2:] for row in cohorts} == expected_cohorts(world, orders)
    for maturity in ("raw", "matured") if rates else ():
        found = {(c, v): (n, d) for m, c, v, n, d in rates if m == maturity}
        wanted = expected_rates(world, orders, matured=maturity == "matured")
        assert {key: found[key] for key in wanted} == wanted


def until(world: World) -> dict[str, list[dict[str, Any]]]:
    """The tables as if nothing at or after as_of had ever happened."""
    as_of = world.as_of
    members = [m for m in world.tables["members"] if m["joined_at"] < as_of]
    return {
        "orders": [row for row in world.tables["orders"] if row["ordered_at"] < as_of],
        "refunds": [row for row in world.tables["refunds"] if row["refunded_at"] < as_of],
        "members": [m for m in members if m.get("updated_at", m["joined_at"]) < as_of],
    }


@settings(FEW, max_examples=15)
@given(world=worlds())
def test_what_happens_later_changes_nothing_before(compiled: Any, world: World) -> None:
    def everything(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
        with compiled.run(tables, world.as_of, world.cutoff) as built:
            # what a member is called is an attribute, not an event: the last known one holds
            built.execute("alter table marts.mart_member_daily drop column member_status")
            return {
                mart: built.execute(f"from marts.{mart} order by all").fetchall()
                for mart in MARTS.split()
            }

    assert everything(world.tables) == everything(until(world))
