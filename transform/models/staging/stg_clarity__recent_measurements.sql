with
    source as (select * from {{ source("clarity", "recent_measurements") }}),

    renamed as (
        select
            org,
            datasource_id,
            source_id,
            source_type,
            output_frequency,
            metric,
            cast(time as {{ dbt.type_timestamp() }}) as time,
            cast(period_end as {{ dbt.type_timestamp() }}) as period_end,
            latitude,
            longitude,
            raw,
            value,
            status,
            qc_assessment
        from source
    )

select *
from renamed
