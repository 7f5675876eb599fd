-- Nearest named road, the foot of the perpendicular on it, and the direction from there.
WITH near AS MATERIALIZED (
    SELECT fid, id, name, geom
    FROM layer.road
    WHERE name <> ''
    ORDER BY tile_geom <-> ST_Transform(ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490), 3857)
    LIMIT 8
), feet AS (
    SELECT fid, id, name, here.g, ST_ClosestPoint(ST_Force2D(geom), here.g) AS foot
    FROM near, (SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490) AS g) AS here
), measured AS (
    SELECT *, ST_Distance(foot::geography, g::geography) AS distance FROM feet
)
SELECT fid, id, name, ST_X(foot) AS lon, ST_Y(foot) AS lat, distance,
       degrees(ST_Azimuth(foot::geography, g::geography)) AS azimuth
FROM measured
WHERE distance <= %(radius)s
ORDER BY distance, id
LIMIT 1
