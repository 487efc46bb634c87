{% set attributes = [
    "home_store_id", "acquisition_code", "member_type", "join_type", "join_channel", "status",
] %}

with members as (
    select
        *,
        {{ hash_of(["member_id"]) }} as member_key
    from {{ ref("stg_members") }}
    where joined_at is null or joined_at < {{ as_of() }}
),

-- few members are described by two systems; ranking only these halves the time
repeated as (
    select member_key
    from members
    group by member_key
    having count(*) > 1
),

once as (
    select
        member_id,
        {{ attributes | join(",\n        ") }},
        case
            when status = 'merged' and updated_at < {{ as_of() }} then merged_into
        end as merged_into,
        joined_at
    from members
    where not exists (select 1 from repeated where repeated.member_key = members.member_key)
),

ranked as (
    select
        *,
        -- a status that is no merge leads to the member itself
        case
            when status = 'merged' then coalesce(merged_into, member_id) else member_id
        end as leads_to,
        row_number() over (
            partition by member_id
            order by updated_at desc, known_at desc, source_system, source_row_id
        ) as description_rank
    from members
    where exists (select 1 from repeated where repeated.member_key = members.member_key)
),

-- null says nothing, so that it takes nothing back
together as (
    select
        member_id,
        {% for column in attributes %}
        min_by({{ column }}, description_rank)
            filter (where {{ column }} is not null) as {{ column }},
        {% endfor %}
        nullif(
            min_by(leads_to, description_rank)
                filter (where status is not null and updated_at < {{ as_of() }}),
            member_id
        ) as merged_into,
        min(joined_at) as joined_at
    from ranked
    group by member_id
)

select * from once
union all
select * from together
