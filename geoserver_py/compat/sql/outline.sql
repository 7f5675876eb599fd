-- Outline of a division, of a city that of its counties together.
SELECT ST_AsBinary(ST_Union(geom))
FROM layer.{table}
WHERE id LIKE %(code)s AND length(id) = %(digits)s
