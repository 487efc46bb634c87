with identity as (
    select * from {{ ref("int_member_identity") }}
),

members as (
    select
        *,
        row_number() over (
            partition by member_id
            order by updated_at desc, known_at desc, source_system, source_row_id
        ) as description_rank
    from {{ ref("stg_members") }}
    where joined_at is null or joined_at < {{ as_of() }}
),

mentions as (
    select distinct member_id from {{ ref("int_orders_qualified") }}
    {% for source in ["stg_coupon_issues", "stg_survey_answers", "stg_consents"] %}
    union
    select coalesce(identity.canonical_member_id, source.member_id) as member_id
    from {{ ref(source) }} as source
    left join identity on source.member_id = identity.member_id
    where source.event_at < {{ as_of() }}
    {% endfor %}
),

-- one row a person: the earliest joining of all ids that became one
declared as (
    select
        identity.canonical_member_id as member_id,
        min(members.joined_at) as joined_at
    from identity
    inner join members
        on identity.member_id = members.member_id and members.description_rank = 1
    group by identity.canonical_member_id
),

persons as (
    select member_id from declared
    union
    select member_id from mentions where member_id is not null
)

select
    persons.member_id,
    members.home_store_id,
    members.acquisition_code,
    members.member_type,
    members.join_type,
    members.join_channel,
    members.status,
    declared.member_id is not null as is_declared,
    coalesce(members.member_type, 'consumer')
    not in {{ words(var("nonconsumer_member_types")) }} as is_consumer,
    {{ local_date("declared.joined_at") }} as joined_date,
    declared.joined_at
from persons
left join declared on persons.member_id = declared.member_id
left join members
    on persons.member_id = members.member_id and members.description_rank = 1
