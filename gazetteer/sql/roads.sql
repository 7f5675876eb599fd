-- Named road features: a point on the line and the envelope; grouped to roads in records.
SELECT fid, id, name,
       ST_X(on_line), ST_Y(on_line),
       ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)
FROM (
    SELECT fid, id, name, ST_PointOnSurface(ST_Force2D(geom)) AS on_line, Box2D(geom) AS box
    FROM layer.road
    WHERE name <> ''
) AS named
WHERE on_line IS NOT NULL
