{# Several columns name a row together. #}
{% test unique_together(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}

{# An arithmetic promise that every row keeps; null counts as kept. #}
{% test holds(model, expression) %}
    select *
    from {{ model }}
    where not ({{ expression }})
{% endtest %}

{# Columns that every row has. One test a model: contracts do it without any where there is one. #}
{% test never_null(model, columns) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    where {{ columns | join(" is null or ") }} is null
{% endtest %}
