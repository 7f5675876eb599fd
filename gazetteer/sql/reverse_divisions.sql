-- The division of one level that holds a position; of two that share the edge, the lower code.
SELECT id, name
FROM layer.{table}
WHERE ST_Intersects(geom, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490))
ORDER BY id
LIMIT 1
