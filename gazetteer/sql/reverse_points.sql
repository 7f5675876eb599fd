-- Nearest points: KNN in the tile projection, re-ranked by metres on the ellipsoid (by degrees the
-- nearest of 5 000 points was wrong for 183). The metres are gazetteer.metric's: geodesics of all
-- candidates took a third of the statement. OFFSET 0: they are reckoned once, not per use.
SELECT fid, id, {columns}, lon, lat, distance
FROM (
    SELECT *, sqrt(power((%(east)s + %(east_lat)s * (lat - %(lat)s)) * (lon - %(lon)s), 2)
                   + power((%(north)s + %(north_lat)s * (lat - %(lat)s)) * (lat - %(lat)s), 2))
              AS distance
    FROM (
        SELECT fid, id, {columns}, ST_X(geom) AS lon, ST_Y(geom) AS lat
        FROM layer.{table}
        ORDER BY tile_geom <-> ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), 3857)
        LIMIT {pool}
    ) AS near
    OFFSET 0
) AS measured
WHERE distance <= %(radius)s
ORDER BY distance, id
LIMIT {count}
