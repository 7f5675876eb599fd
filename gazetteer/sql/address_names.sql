-- Roads and estates that addresses name, with their extent; %(fids)s NULL reads the whole layer.
SELECT kind, name, left(coalesce(village_code, ''), CASE kind WHEN 'road' THEN 6 ELSE 12 END),
       coalesce(county, ''), min(id),
       avg(ST_X(geom)), avg(ST_Y(geom)),
       min(ST_X(geom)), min(ST_Y(geom)), max(ST_X(geom)), max(ST_Y(geom))
FROM layer.address
CROSS JOIN LATERAL (VALUES ('road', road), ('estate', estate)) AS named (kind, name)
WHERE name <> '' AND geom IS NOT NULL
  AND (%(fids)s::bigint[] IS NULL OR fid = ANY (%(fids)s::bigint[]))
GROUP BY 1, 2, 3, 4
