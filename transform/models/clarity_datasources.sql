with
    ranked as (
        select
            org,
            datasource_id,
            source_type,
            latitude,
            longitude,
            min(time) over (partition by org, datasource_id) as first_time,
            time as last_time,
            row_number() over (
                partition by org, datasource_id
                order by time desc, output_frequency, metric
            ) as age
        from {{ ref("clarity_measurements") }}
    ),

    measured as (select * from ranked where age = 1)

select
    coalesce(listed.org, measured.org) as org,
    coalesce(listed.datasource_id, measured.datasource_id) as datasource_id,
    coalesce(listed.name, listed.datasource_id, measured.datasource_id) as name,
    listed.group_name,
    coalesce(listed.source_type, measured.source_type) as source_type,
    listed.current_source_id,
    listed.current_subscription_id,
    measured.latitude,
    measured.longitude,
    measured.first_time,
    measured.last_time
from {{ ref("stg_clarity__datasources") }} as listed
full outer join
    measured
    on listed.org = measured.org
    and listed.datasource_id = measured.datasource_id
