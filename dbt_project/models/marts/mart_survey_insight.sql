with answers as (
    select
        *,
        coalesce(audience, 'unknown') as asked_audience,
        row_number() over (
            partition by member_id, coalesce(audience, 'unknown'), question_id
            order by answered_at desc, source_system, answer_id
        ) as answer_rank
    from {{ ref("int_survey_answers") }}
),

days as (
    select * from {{ ref("mart_purchase_days") }}
),

-- a member's last answer to a question; free text is never counted
latest as (
    select
        member_id,
        asked_audience,
        question_id,
        answered_at,
        case
            when number is not null and option_codes is null
                then {{ list_of(["cast(cast(round(number) as bigint) as varchar)"]) }}
            else option_codes
        end as codes
    from answers
    where answer_rank = 1 and (number is not null or option_codes is not null)
),

-- whether the member bought again in the 90 local days after the day of the answer
followed as (
    select
        latest.member_id,
        latest.asked_audience,
        latest.question_id,
        latest.answered_at,
        count(days.purchase_date) > 0 as has_repurchased,
        {{ date_plus_days(local_date("latest.answered_at"), 90) }} < {{ local_date(as_of()) }}
            as is_observed
    from latest
    left join days
        on
            latest.member_id = days.member_id
            and days.purchase_date > {{ local_date("latest.answered_at") }}
            and days.purchase_date <= {{ date_plus_days(local_date("latest.answered_at"), 90) }}
    group by latest.member_id, latest.asked_audience, latest.question_id, latest.answered_at
),

chosen as (
    select
        member_id,
        asked_audience,
        question_id,
        {{ each("codes") }} as option_code
    from latest
),

respondents as (
    select
        asked_audience,
        question_id,
        count(*) as respondents
    from followed
    group by asked_audience, question_id
),

options as (
    select
        chosen.asked_audience as audience,
        chosen.question_id,
        chosen.option_code,
        count(distinct chosen.member_id) as chosen_by,
        max(respondents.respondents) as respondents,
        count(distinct chosen.member_id) filter (
            where followed.is_observed and followed.has_repurchased
        ) as repurchased,
        count(distinct chosen.member_id) filter (where followed.is_observed) as observed
    from chosen
    inner join followed
        on
            chosen.member_id = followed.member_id
            and chosen.asked_audience = followed.asked_audience
            and chosen.question_id = followed.question_id
    inner join respondents
        on
            chosen.asked_audience = respondents.asked_audience
            and chosen.question_id = respondents.question_id
    group by chosen.asked_audience, chosen.question_id, chosen.option_code
)

select
    -- ids
    audience,
    question_id,
    option_code,

    -- rates
    chosen_by as share_numerator,
    respondents as share_denominator,
    cast(chosen_by as double) / respondents as share,
    respondents < {{ var("small_n") }} as share_is_small_n,
    repurchased as repurchase_90d_numerator,
    observed as repurchase_90d_denominator,
    case when observed > 0 then cast(repurchased as double) / observed end as repurchase_90d_rate,
    observed < {{ var("small_n") }} as repurchase_90d_is_small_n,

    -- why a column is null
    case when observed > 0 then 'observed' else 'insufficient_history' end
        as repurchase_90d_basis,

    {{ run_columns() }}
from options
