{# A text field of an object, in the type that each loader writes. #}
{% macro json_text(object, name) %}
    {{ return(adapter.dispatch("json_text", "tap_clarity")(object, name)) }}
{% endmacro %}

{% macro duckdb__json_text(object, name) -%}
    json_extract_string({{ object }}, '$.{{ name }}')
{%- endmacro %}

{% macro postgres__json_text(object, name) -%}
    {{ object }} ->> '{{ name }}'
{%- endmacro %}

{% macro snowflake__json_text(object, name) -%}
    {{ object }}:"{{ name }}"::varchar
{%- endmacro %}

{% macro bigquery__json_text(object, name) -%} {{ object }}.`{{ name }}` {%- endmacro %}
