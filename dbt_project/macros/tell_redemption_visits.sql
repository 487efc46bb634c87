{# Print what mart_redemption_visit_check found, once it is built. #}
{% macro tell_redemption_visits() %}
    {%- if execute -%}
        {%- set found = run_query(
            "select redemptions_on_visit_day, redemptions, business_tz, redemptions_on_utc_visit_day"
            ~ " from " ~ this ~ " where basis = 'observed'"
        ) -%}
        {%- for row in found.rows -%}
            {%- do log(
                row[0] ~ " of " ~ row[1] ~ " redemptions fall on a day with a visit of that member ("
                ~ row[2] ~ "; " ~ row[3] ~ " if days were cut in UTC)", info=true
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
