-- Lines of the named roads in the plane grid, metres.
SELECT name, ST_AsBinary(ST_Transform(ST_Force2D(geom), %(srid)s::int))
FROM layer.road
WHERE name <> ''
ORDER BY name, id
