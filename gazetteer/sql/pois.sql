SELECT fid, id, name, coalesce(category, ''), coalesce(village_code, ''), ST_X(geom), ST_Y(geom)
FROM layer.poi
WHERE name <> '' AND geom IS NOT NULL
