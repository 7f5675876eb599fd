-- Nearest named road and the foot of the perpendicular on it; metres as in reverse_points.
SELECT fid, id, name, lon, lat, distance
FROM (
    SELECT *, sqrt(power((%(east)s + %(east_lat)s * (lat - %(lat)s)) * (lon - %(lon)s), 2)
                   + power((%(north)s + %(north_lat)s * (lat - %(lat)s)) * (lat - %(lat)s), 2))
              AS distance
    FROM (
        SELECT fid, id, name, ST_X(foot) AS lon, ST_Y(foot) AS lat
        FROM (
            SELECT fid, id, name,
                   ST_ClosestPoint(ST_Force2D(geom),
                                   ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490)) AS foot
            FROM layer.road
            WHERE name <> ''
            ORDER BY tile_geom <-> ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), 3857)
            LIMIT 8
        ) AS near
        OFFSET 0
    ) AS feet
    OFFSET 0
) AS measured
WHERE distance <= %(radius)s
ORDER BY distance, id
LIMIT 1
