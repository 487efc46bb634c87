with identity as (
    select * from {{ ref("int_member_identity") }}
),

descriptions as (
    select * from {{ ref("int_member_descriptions") }}
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
        min(descriptions.joined_at) as joined_at
    from identity
    inner join descriptions on identity.member_id = descriptions.member_id
    group by identity.canonical_member_id
),

persons as (
    select member_id from declared
    union
    select member_id from mentions where member_id is not null
)

select
    persons.member_id,
    descriptions.home_store_id,
    descriptions.acquisition_code,
    descriptions.member_type,
    descriptions.join_type,
    descriptions.join_channel,
    descriptions.status,
    declared.member_id is not null as is_declared,
    coalesce(descriptions.member_type, 'consumer')
    not in {{ words(var("nonconsumer_member_types")) }} as is_consumer,
    {{ local_date("declared.joined_at") }} as joined_date,
    declared.joined_at
from persons
left join declared on persons.member_id = declared.member_id
left join descriptions on persons.member_id = descriptions.member_id
