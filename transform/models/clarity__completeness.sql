with
    datasources as (select * from {{ ref("clarity__datasources") }}),

    days as (
        select
            org,
            datasource_id,
            cast(time as date) as day,
            count(*) as hours_expected,
            count(case when is_present then 1 end) as hours_observed,
            count(case when is_missing_for_all then 1 end) as hours_missing_for_all
        from {{ ref("clarity__expected_hours") }}
        group by org, datasource_id, cast(time as date)
    ),

    final as (
        select
            days.org,
            days.datasource_id,
            datasources.name,
            datasources.group_name,
            datasources.latitude,
            datasources.longitude,
            days.day,
            days.hours_expected,
            days.hours_observed,
            1.0 * days.hours_observed / days.hours_expected as share,
            days.hours_missing_for_all
        from days
        inner join
            datasources
            on days.org = datasources.org
            and days.datasource_id = datasources.datasource_id
    )

select *
from final
