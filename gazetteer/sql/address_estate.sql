-- Buildings of an estate (D1栋) by its name and their number.
SELECT asked.ordinal, found.*
FROM unnest(%(names)s::text[], %(counties)s::text[], %(mains)s::integer[])
    WITH ORDINALITY AS asked (name, county, main, ordinal)
CROSS JOIN LATERAL (
    SELECT {columns}
    FROM layer.address
    WHERE estate = asked.name AND gazetteer.main_number(building) = asked.main
      AND geom IS NOT NULL
      AND (asked.county = '' OR coalesce(village_code, '') = ''
           OR starts_with(village_code, asked.county))
    ORDER BY coalesce(unit, '') <> '', fid
    LIMIT 60
) AS found
