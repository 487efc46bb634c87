with recursive descriptions as (
    select * from {{ ref("int_member_descriptions") }}
),

merges as (
    select
        member_id,
        merged_into
    from descriptions
    where merged_into is not null
),

-- every member that a merged one leads to; a path that meets itself stops there
walk as (
    select
        member_id,
        merged_into as reached,
        {{ list_of(["merged_into"]) }} as path
    from merges

    union all

    select
        walk.member_id,
        merges.merged_into as reached,
        {{ list_with("walk.path", "merges.merged_into") }} as path
    from walk
    inner join merges on walk.reached = merges.member_id
    where not {{ list_holds("walk.path", "merges.merged_into") }}
),

cycles as (
    select member_id
    from walk
    where member_id = reached
),

-- the end of the path; of a cycle, which has none, the first id
ends as (
    select
        walk.member_id,
        coalesce(
            min(case when merges.member_id is null then walk.reached end),
            min(case when cycles.member_id is not null then walk.reached end)
        ) as canonical_member_id
    from walk
    left join merges on walk.reached = merges.member_id
    left join cycles on walk.reached = cycles.member_id
    group by walk.member_id
),

resolved as (
    select
        descriptions.member_id,
        coalesce(ends.canonical_member_id, descriptions.member_id) as canonical_member_id,
        descriptions.member_type
    from descriptions
    left join ends on descriptions.member_id = ends.member_id
),

identity as (
    select
        resolved.member_id,
        resolved.canonical_member_id,
        canonical.member_type,
        resolved.member_id <> resolved.canonical_member_id as is_merged
    from resolved
    left join resolved as canonical
        on resolved.canonical_member_id = canonical.member_id
)

select * from identity
