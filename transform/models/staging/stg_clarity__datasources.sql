with
    source as (select * from {{ source("clarity", "datasources") }}),

    renamed as (
        select
            org,
            datasource_id,
            source_type,
            current_source_id,
            current_subscription_id,
            {{ json_text("org_annotations", "name") }} as name,
            {{ json_text("org_annotations", "group") }} as group_name
        from source
    )

select *
from renamed
