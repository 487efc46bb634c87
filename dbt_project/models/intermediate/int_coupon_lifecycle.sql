with issues as (
    select * from {{ ref("stg_coupon_issues") }}
    where event_at < {{ as_of() }}
),

templates as (
    select * from {{ ref("stg_coupon_templates") }}
),

identity as (
    select * from {{ ref("int_member_identity") }}
),

redemptions as (
    select
        source_system,
        issue_id,
        redemption_id,
        order_id,
        discount_minor,
        event_at as redeemed_at,
        case when reversed_at < {{ as_of() }} then reversed_at end as reversed_at
    from {{ ref("stg_coupon_redemptions") }}
    where event_at < {{ as_of() }}
),

-- the use that stands, else the last one taken back
ranked as (
    select
        *,
        min(redeemed_at) over (partition by source_system, issue_id) as first_redeemed_at,
        row_number() over (
            partition by source_system, issue_id
            order by
                case when reversed_at is null then 0 else 1 end,
                case when reversed_at is null then redeemed_at end,
                redeemed_at desc,
                redemption_id
        ) as use_rank
    from redemptions
),

joined as (
    select
        issues.source_system,
        issues.issue_id,
        coalesce(identity.canonical_member_id, issues.member_id) as member_id,
        issues.template_id,
        issues.pair_id,
        ranked.redemption_id,
        ranked.order_id,
        issues.experiment_id,
        coalesce(templates.role, 'other') as role,
        issues.origin,
        issues.arm,
        case when templates.promotion_id is null then 'everyday' else 'campaign' end as context,
        templates.value_minor,
        templates.percent_bp,
        templates.unit_cost_minor,
        ranked.discount_minor,
        issues.event_at as issued_at,
        greatest(issues.event_at, issues.valid_from) as opens_at,
        issues.expires_at,
        least(issues.expires_at, ranked.first_redeemed_at) as closes_at,
        ranked.redeemed_at,
        ranked.reversed_at
    from issues
    left join templates
        on
            issues.source_system = templates.source_system
            and issues.template_id = templates.template_id
    left join identity on issues.member_id = identity.member_id
    left join ranked
        on
            issues.source_system = ranked.source_system
            and issues.issue_id = ranked.issue_id
            and ranked.use_rank = 1
),

judged as (
    select
        *,
        case
            when redeemed_at is not null and reversed_at is null then 'redeemed'
            when reversed_at is not null then 'reversed'
            when expires_at <= {{ as_of() }} then 'expired'
            when opens_at > {{ as_of() }} then 'future'
            else 'open'
        end as state
    from joined
),

-- the coupon given together with this one; of several in the same role the first used
partners as (
    select
        judged.source_system,
        judged.issue_id,
        partner.state as pair_state,
        partner.redeemed_at as pair_redeemed_at,
        partner.reversed_at as pair_reversed_at,
        row_number() over (
            partition by judged.source_system, judged.issue_id
            order by
                case when partner.redeemed_at is null then 1 else 0 end,
                partner.redeemed_at,
                partner.issue_id
        ) as partner_rank
    from judged
    inner join judged as partner
        on
            judged.source_system = partner.source_system
            and judged.pair_id = partner.pair_id
            and judged.member_id = partner.member_id
            and judged.role <> partner.role
)

select
    judged.source_system,
    judged.issue_id,
    judged.member_id,
    judged.template_id,
    judged.pair_id,
    judged.redemption_id,
    judged.order_id,
    judged.experiment_id,
    judged.role,
    judged.origin,
    judged.arm,
    judged.context,
    judged.state,
    partners.pair_state,
    judged.value_minor,
    judged.percent_bp,
    judged.unit_cost_minor,
    judged.discount_minor,
    judged.issued_at,
    judged.opens_at,
    judged.expires_at,
    judged.closes_at,
    judged.redeemed_at,
    judged.reversed_at,
    partners.pair_redeemed_at,
    partners.pair_reversed_at
from judged
left join partners
    on
        judged.source_system = partners.source_system
        and judged.issue_id = partners.issue_id
        and partners.partner_rank = 1
