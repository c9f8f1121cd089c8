{# A text in an object, which each loader keeps in the kind of its warehouse. #}
{% macro text_in(object, name) %}
    {{ return(adapter.dispatch("text_in", "tap_clarity")(object, name)) }}
{% endmacro %}

{% macro duckdb__text_in(object, name) -%}
    json_extract_string({{ object }}, '$.{{ name }}')
{%- endmacro %}

{% macro postgres__text_in(object, name) -%}
    {{ object }} ->> '{{ name }}'
{%- endmacro %}

{% macro snowflake__text_in(object, name) -%}
    {{ object }}:"{{ name }}"::varchar
{%- endmacro %}

{% macro bigquery__text_in(object, name) -%} {{ object }}.`{{ name }}` {%- endmacro %}
