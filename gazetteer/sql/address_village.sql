-- Plates by village and main number, where a village numbers its houses without streets.
SELECT asked.ordinal, found.*
FROM unnest(%(names)s::text[], %(counties)s::text[], %(mains)s::integer[])
    WITH ORDINALITY AS asked (name, county, main, ordinal)
CROSS JOIN LATERAL (
    SELECT {columns}
    FROM layer.address
    WHERE village_code = asked.name AND gazetteer.main_number(number) = asked.main
      AND coalesce(road, '') = '' AND geom IS NOT NULL
    ORDER BY coalesce(unit, '') <> '', coalesce(building, '') <> '', fid
    LIMIT 60
) AS found
