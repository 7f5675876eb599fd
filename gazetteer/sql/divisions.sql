-- Divisions with an inner point and their envelope, CGCS2000 degrees.
SELECT fid, id, name,
       ST_X(inner_point), ST_Y(inner_point),
       ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box),
       CASE WHEN %(shapes)s THEN ST_AsBinary(geom) END
FROM (
    SELECT fid, id, name, geom, ST_PointOnSurface(ST_Force2D(geom)) AS inner_point,
           Box2D(geom) AS box
    FROM layer.{table}
) AS divided
WHERE inner_point IS NOT NULL
