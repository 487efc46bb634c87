{# Where DuckDB and Spark differ in what tags need; the rest is in macros/dialect.sql. #}

{# The last value that is not null, up to the present row of a window. #}
{% macro last_known(value, window) -%}{{ adapter.dispatch("last_known", "huitou")(value, window) }}{%- endmacro %}
{% macro duckdb__last_known(value, window) -%}
    last_value({{ value }} ignore nulls) over ({{ window }} rows between unbounded preceding and current row)
{%- endmacro %}
{% macro spark__last_known(value, window) -%}
    last_value({{ value }}) ignore nulls over ({{ window }} rows between unbounded preceding and current row)
{%- endmacro %}

{# An empty list of a type where there is none. #}
{% macro or_empty(list, type) -%}{{ adapter.dispatch("or_empty", "huitou")(list, type) }}{%- endmacro %}
{% macro duckdb__or_empty(list, type) -%}coalesce({{ list }}, cast([] as {{ type }}[])){%- endmacro %}
{% macro spark__or_empty(list, type) -%}coalesce({{ list }}, cast(array() as array<{{ type }}>)){%- endmacro %}

{# A list of texts as one text. #}
{% macro joined_text(list, separator) -%}{{ adapter.dispatch("joined_text", "huitou")(list, separator) }}{%- endmacro %}
{% macro duckdb__joined_text(list, separator) -%}array_to_string({{ list }}, '{{ separator }}'){%- endmacro %}
{% macro spark__joined_text(list, separator) -%}array_join({{ list }}, '{{ separator }}'){%- endmacro %}

{# Microseconds since 1970 of an instant. #}
{% macro microseconds(instant) -%}{{ adapter.dispatch("microseconds", "huitou")(instant) }}{%- endmacro %}
{% macro duckdb__microseconds(instant) -%}epoch_us({{ instant }}){%- endmacro %}
{% macro spark__microseconds(instant) -%}unix_micros({{ instant }}){%- endmacro %}

{# An instant as text: UTC, microseconds, Z. #}
{% macro iso_text(instant) -%}{{ adapter.dispatch("iso_text", "huitou")(instant) }}{%- endmacro %}
{% macro duckdb__iso_text(instant) -%}strftime(timezone('UTC', {{ instant }}), '%Y-%m-%dT%H:%M:%S.%fZ'){%- endmacro %}
{% macro spark__iso_text(instant) -%}date_format({{ instant }}, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"){%- endmacro %}

{# Named values as a JSON object, nulls kept; `values` is a list of [name, expression]. #}
{% macro json_object(values) -%}{{ adapter.dispatch("json_object", "huitou")(values) }}{%- endmacro %}
{% macro duckdb__json_object(values) -%}
    cast(to_json(struct_pack({% for name, value in values %}{{ name }} := {{ value }}{{ ", " if not loop.last }}{% endfor %})) as varchar)
{%- endmacro %}
{% macro spark__json_object(values) -%}
    to_json(named_struct({% for name, value in values %}'{{ name }}', {{ value }}{{ ", " if not loop.last }}{% endfor %}), map('ignoreNullFields', 'false'))
{%- endmacro %}

{# The first `count` values of a list. #}
{% macro list_start(list, count) -%}{{ adapter.dispatch("list_start", "huitou")(list, count) }}{%- endmacro %}
{% macro duckdb__list_start(list, count) -%}list_slice({{ list }}, 1, {{ count }}){%- endmacro %}
{% macro spark__list_start(list, count) -%}slice({{ list }}, 1, {{ count }}){%- endmacro %}

{# The first value of a list; null if it is empty. #}
{% macro list_first(list) -%}{{ adapter.dispatch("list_first", "huitou")(list) }}{%- endmacro %}
{% macro duckdb__list_first(list) -%}list_extract({{ list }}, 1){%- endmacro %}
{% macro spark__list_first(list) -%}try_element_at({{ list }}, 1){%- endmacro %}

{# Lists of texts joined into one list, each value once, sorted; null where all are null. #}
{% macro sorted_union(list) -%}{{ adapter.dispatch("sorted_union", "huitou")(list) }}{%- endmacro %}
{% macro duckdb__sorted_union(list) -%}list_sort(list_distinct(flatten(list({{ list }})))){%- endmacro %}
{% macro spark__sorted_union(list) -%}sort_array(array_distinct(flatten(collect_list({{ list }})))){%- endmacro %}

{# A list with an expression in `item` for each of its values. #}
{% macro each_as(list, expression) -%}{{ adapter.dispatch("each_as", "huitou")(list, expression) }}{%- endmacro %}
{% macro duckdb__each_as(list, expression) -%}list_transform({{ list }}, lambda item: {{ expression }}){%- endmacro %}
{% macro spark__each_as(list, expression) -%}transform({{ list }}, item -> {{ expression }}){%- endmacro %}

{# The values of a group as a sorted list. #}
{% macro sorted_list(value) -%}{{ adapter.dispatch("sorted_list", "huitou")(value) }}{%- endmacro %}
{% macro duckdb__sorted_list(value) -%}list_sort(list({{ value }})){%- endmacro %}
{% macro spark__sorted_list(value) -%}sort_array(collect_list({{ value }})){%- endmacro %}

{# Hours from one instant to another, fractions kept. #}
{% macro hours_between(from_at, to_at) -%}
    (({{ microseconds(to_at) }} - {{ microseconds(from_at) }}) / 3600000000.0)
{%- endmacro %}

{# Columns as one value, compared one after the other. #}
{% macro struct_of(columns) -%}{{ adapter.dispatch("struct_of", "huitou")(columns) }}{%- endmacro %}
{% macro duckdb__struct_of(columns) -%}
    struct_pack({% for column in columns %}{{ column }} := {{ column }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro spark__struct_of(columns) -%}struct({{ columns | join(", ") }}){%- endmacro %}
