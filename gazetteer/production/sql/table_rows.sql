-- The address layer with plane coordinates (metres) for measuring, in the order of ids.
SELECT id, full_address, county, town, village, village_code, road, number, estate, building, unit,
       ST_X(plane) AS x, ST_Y(plane) AS y
FROM layer.address, ST_Transform(geom, %(srid)s::int) AS plane
ORDER BY id
