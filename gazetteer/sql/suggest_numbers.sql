-- Plates of one road by main number, for each range of numbers that begin with what was typed.
SELECT fid, id, full_address, coalesce(village_code, ''), number, ST_X(geom), ST_Y(geom)
FROM unnest(%(lows)s::integer[], %(highs)s::integer[]) WITH ORDINALITY AS typed (low, high, step)
CROSS JOIN LATERAL (
    SELECT fid, id, full_address, village_code, number, geom
    FROM layer.address
    WHERE road = %(road)s AND gazetteer.main_number(number) BETWEEN typed.low AND typed.high
      AND starts_with(number, %(prefix)s) AND geom IS NOT NULL
      AND starts_with(coalesce(village_code, ''), %(code)s)
    ORDER BY gazetteer.main_number(number), fid
    LIMIT %(count)s
) AS found
ORDER BY step, gazetteer.main_number(number), number, fid
LIMIT %(count)s
