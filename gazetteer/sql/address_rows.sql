-- Address rows of the roads, estates and villages that queries name. Three indexed look-ups, since
-- an OR over three columns would be one scan; a row may come twice, the reader keeps one.
SELECT fid, id, full_address, coalesce(village_code, ''), coalesce(county, ''),
       coalesce(town, ''), coalesce(village, ''), coalesce(road, ''), coalesce(number, ''),
       coalesce(estate, ''), coalesce(building, ''), coalesce(unit, ''), ST_X(geom), ST_Y(geom)
FROM (
    SELECT * FROM layer.address WHERE road = ANY (%(roads)s)
    UNION ALL
    SELECT * FROM layer.address WHERE estate = ANY (%(estates)s)
    UNION ALL
    SELECT * FROM layer.address
    WHERE village_code = ANY (%(villages)s) AND coalesce(road, '') = ''
) AS named
WHERE geom IS NOT NULL
