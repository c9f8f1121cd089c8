select
    org,
    datasource_id,
    source_type,
    current_source_id,
    current_subscription_id,
    {{ text_in("org_annotations", "name") }} as name,
    {{ text_in("org_annotations", "group") }} as group_name
from {{ source("clarity", "datasources") }}
