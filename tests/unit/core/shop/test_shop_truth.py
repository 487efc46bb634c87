"""What was drawn, and whether the clean shop behaves accordingly."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from pipelines.core.contracts import TABLES
from pipelines.core.shop import Dirt, ShopConfig
from pipelines.core.shop.buying import PERIOD
from pipelines.core.shop.members import PERSUADABLE, REPEAT, SURE_THING
from pipelines.core.shop.world import World
from tests.unit.core.shop.conftest import CLEAN, Drawn

END = CLEAN.last

#: Purchase days as the pipeline counts them, but before refunds: what the shop calls a purchase.
BOUGHT = """
    select member_id, ordered_at[:10]::date as day from latest_orders
    where status in ('paid', 'shipped', 'completed') and order_kind in ('normal', 'employee')
        and member_id is not null
    group by all
"""


def test_the_truth_stands_apart_from_the_landing(clean: Drawn) -> None:
    assert {path.name for path in clean.folder.iterdir()} == {"landing", "truth", "shop.json"}
    landed = {path.name for path in (clean.folder / "landing").glob("*/*")}
    assert landed == {f"{table}.csv.gz" for table in TABLES}
    assert {path.name for path in (clean.folder / "truth").iterdir()} == {
        "members.parquet", "experiences.parquet", "campaigns.parquet", "dirt.parquet",
    }  # fmt: skip


def test_every_member_is_in_the_truth_once(clean: Drawn) -> None:
    assert clean.one("select count(*) from truth_members") == CLEAN.members == clean.report.members
    apart = clean.one("select count(*) from truth_members anti join members using (member_id)")
    assert apart == 0
    assert clean.one("select count(distinct member_id) from members") == CLEAN.members


def test_purchase_days_in_the_files_are_those_of_the_truth(clean: Drawn) -> None:
    wrong = clean.one(
        f"""
        with bought as (
            select member_id, count(*) as days, max(day) as last from ({BOUGHT}) group by 1
        )
        select count(*) from truth_members left join bought using (member_id)
        where coalesce(days, 0) <> purchase_days or last is distinct from last_purchase_on
        """
    )
    assert wrong == 0


def test_nobody_buys_after_leaving_or_before_joining(clean: Drawn) -> None:
    wrong = clean.one(
        f"select count(*) from ({BOUGHT}) join truth_members using (member_id) "
        "where day > leaves_on or day < joined_on"
    )
    assert wrong == 0


def test_leaving_has_a_day_and_a_reason_or_neither(clean: Drawn) -> None:
    wrong = clean.one(
        f"""
        select count(*) from truth_members
        where (left_on is null) <> (reason is null) or left_on > '{END}'
            or (left_on is null) <> (leaves_on > '{END}')
            or (left_on is not null and next_purchase_on is not null)
            or next_purchase_on <= '{END}'
        """
    )
    assert wrong == 0


def test_shares_of_kinds_are_about_those_that_were_meant(clean: Drawn) -> None:
    """15 of 100 never buy, 38 buy once; 1500 members leave a standard error of 1.3 points."""
    shares = dict(
        clean.db.execute(
            "select kind, count(*) / sum(count(*)) over () from truth_members group by 1"
        ).fetchall()
    )
    assert shares["never"] == pytest.approx(0.15, abs=0.04)
    assert shares["once"] == pytest.approx(0.38, abs=0.05)
    assert shares["repeat"] == pytest.approx(0.47, abs=0.05)


def test_one_time_buyers_are_about_half_of_all_buyers(clean: Drawn) -> None:
    """The ones meant to buy once, and those who left, or were seen, too early to buy twice."""
    share = clean.one(
        "select avg((purchase_days = 1)::int) from truth_members "
        "where purchase_days > 0 and joined_on < '2025-03-01'"
    )
    assert 0.45 < share < 0.65
    extra = clean.one(
        "select count(*) from truth_members where kind = 'once' and purchase_days > 1"
    )
    assert extra == 0


def test_gaps_between_purchases_follow_the_drawn_cycle(clean: Drawn) -> None:
    """Mean gap over mean drawn cycle, where both ends of the gap were sure to be seen.

    A gap counts if one of thrice the cycle would still have ended before the member left and the
    shop closed; promotions and coupons pull some gaps a little shorter.
    """
    ratio, gaps = clean.db.execute(
        f"""
        with ordered as (
            select member_id, day, lead(day) over (partition by member_id order by day) - day as gap
            from ({BOUGHT})
        )
        select avg(gap) / avg(cycle_days), count(*)
        from ordered join truth_members using (member_id)
        where gap is not null and member_type = 'consumer'
            and day + (3 * cycle_days)::int <= least(leaves_on, date '{END}')
        """
    ).fetchone()  # type: ignore[misc]
    assert gaps > 300
    assert ratio == pytest.approx(0.97, abs=0.09)


def test_members_with_long_cycles_wait_longer(clean: Drawn) -> None:
    correlation = clean.one(
        f"""
        with gaps as (
            select member_id, median(gap) as gap from (
                select member_id,
                    lead(day) over (partition by member_id order by day) - day as gap
                from ({BOUGHT})
            ) group by 1 having count(gap) >= 4
        )
        select corr(gap, cycle_days) from gaps join truth_members using (member_id)
        """
    )
    assert correlation > 0.6


def test_bad_experiences_show_in_refunds_and_scores(clean: Drawn) -> None:
    """Of orders that went wrong many more come back, and their scores are 6 or less."""
    bad, good = clean.db.execute(
        """
        select
            avg((refund_id is not null)::int) filter (where e.kind = 'quality'),
            avg((refund_id is not null)::int) filter (where e.kind is null)
        from latest_orders o left join truth_experiences e using (order_id)
        left join refunds using (order_id)
        where order_kind = 'normal' and ordered_at < '2025-07-01'
        """
    ).fetchone()  # type: ignore[misc]
    assert bad > 0.4
    assert good < 0.08
    low = clean.one(
        "select count(*) from survey_answers a join truth_members using (member_id) "
        "where survey_id = 'SV-NPS' and number::int <= 3 and bad_experiences = 0"
    )
    assert low == 0


def test_some_leave_for_a_bad_experience(clean: Drawn) -> None:
    wrong, left, stayed = clean.db.execute(
        """
        select
            count(*) filter (where left_for_it and (m.left_on <> happened_on or reason <> e.kind)),
            count(*) filter (where left_for_it),
            count(*) filter (where not left_for_it)
        from truth_experiences e join truth_members m using (member_id)
        """
    ).fetchone()  # type: ignore[misc]
    assert wrong == 0
    assert left > 30
    assert stayed > 30


def test_leavers_say_why(clean: Drawn) -> None:
    """Those asked why they left after one purchase mostly name the reason that was drawn."""
    honest = clean.one(
        """
        select avg(list_contains(from_json(option_codes, '["varchar"]'), reason)::int)
        from survey_answers join truth_members using (member_id)
        where question_id = 'Q_ONCE_WHY_LEFT' and kind = 'once'
        """
    )
    assert honest > 0.7


def test_only_those_treated_are_persuaded(clean: Drawn) -> None:
    strangers = clean.one(
        "select count(*) from truth_campaigns join truth_members using (member_id) "
        "where persuaded and (arm = 'control' or coupon_response <> 'persuadable')"
    )
    assert strangers == 0
    assert clean.one("select count(*) from truth_campaigns where persuaded") > 10
    unissued = clean.one(
        "select count(*) from truth_campaigns t where (arm = 'treatment') <> exists "
        "(select 1 from coupon_issues i where i.member_id = t.member_id "
        "and i.experiment_id = t.experiment_id)"
    )
    assert unissued == 0


def test_a_campaign_moves_the_persuadable_and_nobody_else() -> None:
    """Share of repeat buyers who buy within a week of a campaign, treated less control."""
    world = World(ShopConfig(members=60_000, days=112, opening_share=0.9, dirt=Dirt.none()))
    periods = list(world.walk())
    effect = {}
    for response in (PERSUADABLE, SURE_THING):
        bought: dict[bool, list[float]] = {True: [], False: []}
        for period in periods[2:]:
            campaign, sold = period.campaign, period.bought
            assert campaign is not None
            assert sold is not None
            start = period.number * PERIOD
            soon = sold.member[(sold.day > start) & (sold.day <= start + 7)]
            apt = (world.members.response == response) & (world.members.kind == REPEAT)
            for treated in (True, False):
                who = campaign.member[(campaign.treated == treated) & apt[campaign.member]]
                bought[treated] += np.isin(who, soon).tolist()
        effect[response] = float(np.mean(bought[True]) - np.mean(bought[False]))
    assert effect[PERSUADABLE] > 0.05
    assert abs(effect[SURE_THING]) < 0.02


def test_the_persuaded_buy_within_the_week(clean: Drawn) -> None:
    late = clean.one(
        f"""
        select count(*) from truth_campaigns t
        where persuaded and started_on < '{END - timedelta(8)}' and not exists (
            select 1 from ({BOUGHT}) b
            where b.member_id = t.member_id and b.day between started_on + 1 and started_on + 7
        )
        """
    )
    assert late == 0


def test_the_season_pulls_to_double_eleven_and_away_from_new_year(clean: Drawn) -> None:
    """Purchases a day: the four days up to 11 November, and the lunar week from 29 January."""
    per_day = (
        f"select count(*) / count(distinct day) from ({BOUGHT}) "
        "where day between date '{}' and '{}'"
    )
    usual = clean.one(per_day.format("2024-12-20", "2025-01-10"))
    peak = clean.one(per_day.format("2024-11-08", "2024-11-11"))
    feast = clean.one(per_day.format("2025-01-28", "2025-02-03"))
    assert peak > 1.5 * usual
    assert feast < 0.6 * usual


def test_guests_resellers_staff_and_odd_orders_are_there(clean: Drawn) -> None:
    kinds = dict(
        clean.db.execute("select order_kind, count(*) from latest_orders group by 1").fetchall()
    )
    assert set(kinds) == {"normal", "topup", "test", "employee", "sample"}
    guests = clean.one("select avg((member_id is null)::int) from latest_orders")
    assert 0.06 < guests < 0.2
    assert clean.one("select count(distinct channel) from latest_orders") >= 8
    bulk = clean.one(
        "select min(qty::int) from order_lines join latest_orders using (order_id) "
        "join truth_members using (member_id) where member_type = 'reseller' "
        "and order_kind = 'normal' and is_gift = 'false'"
    )
    assert bulk >= 12
