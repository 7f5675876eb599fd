-- Plates of one road whose number starts with what was typed, in numeric order.
SELECT fid, id, full_address, coalesce(village_code, ''), number, ST_X(geom), ST_Y(geom)
FROM layer.address
WHERE road = %(road)s AND starts_with(number, %(prefix)s) AND geom IS NOT NULL
  AND starts_with(coalesce(village_code, ''), %(code)s)
ORDER BY length(number), number, id
LIMIT %(count)s
