with
    days as (
        select
            org,
            datasource_id,
            cast(time as date) as day,
            count(*) as hours_expected,
            count(case when is_there then 1 end) as hours_there,
            count(case when all_lack then 1 end) as hours_all_lack
        from {{ ref("clarity_expected_hours") }}
        group by org, datasource_id, cast(time as date)
    )

select
    days.org,
    days.datasource_id,
    datasources.name,
    datasources.group_name,
    datasources.latitude,
    datasources.longitude,
    days.day,
    days.hours_expected,
    days.hours_there,
    1.0 * days.hours_there / days.hours_expected as share,
    days.hours_all_lack
from days
inner join
    {{ ref("clarity_datasources") }} as datasources
    on days.org = datasources.org
    and days.datasource_id = datasources.datasource_id
