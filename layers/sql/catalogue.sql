SELECT
    name, definition, access, revision, feature_count,
    ST_XMin(extent), ST_YMin(extent), ST_XMax(extent), ST_YMax(extent),
    time_from, time_to, applied_steps, accuracy_m, synthetic, updated_at
FROM catalog.layer
ORDER BY name
