with
    missing as (
        select org, datasource_id, sum(hours_expected - hours_observed) as hours
        from {{ ref("clarity__completeness") }}
        group by org, datasource_id
    ),

    gaps as (
        select org, datasource_id, sum(hours) as hours
        from {{ ref("clarity__gaps") }}
        group by org, datasource_id
    )

select missing.org, missing.datasource_id, missing.hours, gaps.hours as hours_of_gaps
from missing
left join gaps on missing.org = gaps.org and missing.datasource_id = gaps.datasource_id
where missing.hours <> coalesce(gaps.hours, 0)
