{# The version of each source row that was held at knowledge_cutoff, deleted rows left out.

   Of several versions the latest (known_at, landing_day, source_file, source_row) counts: one
   backfill loads many landing days at one known_at. Few rows have a second version, so only the
   keys whose hash occurs twice are ranked; that halves the time of ranking every row. #}
{% macro latest_version(relation) %}
    with known as (
        select
            *,
            {{ hash_of(["source_system", "source_row_id"]) }} as row_key
        from {{ relation }}
        where known_at <= {{ knowledge_cutoff() }}
    ),

    repeated as (
        select row_key
        from known
        group by row_key
        having count(*) > 1
    ),

    once as (
        select known.*, 1 as version_rank
        from known
        where not exists (select 1 from repeated where repeated.row_key = known.row_key)
    ),

    ranked as (
        select
            known.*,
            row_number() over (
                partition by source_system, source_row_id
                order by known_at desc, landing_day desc, source_file desc, source_row desc
            ) as version_rank
        from known
        where exists (select 1 from repeated where repeated.row_key = known.row_key)
    )

    select * from once where not is_deleted
    union all
    select * from ranked where version_rank = 1 and not is_deleted
{% endmacro %}
