with
    datasources as (select * from {{ ref("stg_clarity__datasources") }}),

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
            ) as recency
        from {{ ref("clarity__measurements") }}
    ),

    newest as (select * from ranked where recency = 1),

    final as (
        select
            coalesce(datasources.org, newest.org) as org,
            coalesce(datasources.datasource_id, newest.datasource_id) as datasource_id,
            coalesce(
                datasources.name, datasources.datasource_id, newest.datasource_id
            ) as name,
            datasources.group_name,
            coalesce(datasources.source_type, newest.source_type) as source_type,
            datasources.current_source_id,
            datasources.current_subscription_id,
            newest.latitude,
            newest.longitude,
            newest.first_time,
            newest.last_time
        from datasources
        full outer join
            newest
            on datasources.org = newest.org
            and datasources.datasource_id = newest.datasource_id
    )

select *
from final
