-- Plates by road and main number; a key without county takes any. LIMIT makes each key one look-up
-- on the index, whatever the planner thinks, and keeps a tower's thousand rooms out.
SELECT asked.ordinal, found.*
FROM unnest(%(names)s::text[], %(counties)s::text[], %(mains)s::integer[])
    WITH ORDINALITY AS asked (name, county, main, ordinal)
CROSS JOIN LATERAL (
    SELECT {columns}
    FROM layer.address
    WHERE road = asked.name AND gazetteer.main_number(number) = asked.main AND geom IS NOT NULL
      AND (asked.county = '' OR coalesce(village_code, '') = ''
           OR starts_with(village_code, asked.county))
    ORDER BY coalesce(unit, '') <> '', coalesce(building, '') <> '', fid
    LIMIT 60
) AS found
