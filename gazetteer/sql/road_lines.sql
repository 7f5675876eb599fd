-- The line of each road, where it passes the plates that a missing number is reckoned from
-- (their envelope with 0.003 degrees around it, some 300 m).
SELECT asked.ordinal, ST_AsBinary(ST_CollectionExtract(ST_Collect(ST_Force2D(road.geom)), 2))
FROM unnest(%(names)s::text[], %(wests)s::float8[], %(souths)s::float8[], %(easts)s::float8[],
            %(norths)s::float8[])
    WITH ORDINALITY AS asked (name, west, south, east, north, ordinal)
JOIN layer.road AS road
  ON road.name = asked.name
 AND road.geom && ST_Expand(
         ST_MakeEnvelope(asked.west, asked.south, asked.east, asked.north, 4490), 0.003)
GROUP BY asked.ordinal
