-- Nearest points: KNN in the tile projection, re-ranked by geodesic distance (by degrees the
-- nearest of 5 000 points was wrong for 183). Azimuth: from the record to the asked position.
WITH near AS MATERIALIZED (
    SELECT fid, id, {columns}, geom
    FROM layer.{table}
    ORDER BY tile_geom <-> ST_Transform(ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490), 3857)
    LIMIT {pool}
), measured AS (
    SELECT near.*, ST_Distance(geom::geography, here.g) AS distance,
           degrees(ST_Azimuth(geom::geography, here.g)) AS azimuth
    FROM near,
         (SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490)::geography AS g) AS here
)
SELECT fid, id, {columns}, ST_X(geom) AS lon, ST_Y(geom) AS lat, distance, azimuth
FROM measured
WHERE distance <= %(radius)s
ORDER BY distance, id
LIMIT {count}
