{# Whether a source table held any row at the knowledge cutoff, as a scalar. #}
{% macro is_present(table) -%}
    (select is_present from {{ ref("int_source_presence") }} where table_name = '{{ table }}')
{%- endmacro %}
