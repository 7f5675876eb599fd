-- Where two named roads meet or pass each other within 60 m (of Web Mercator: 55 m on the ground).
SELECT asked.ordinal, ST_X(found.spot), ST_Y(found.spot), found.apart
FROM unnest(%(ones)s::text[], %(others)s::text[]) WITH ORDINALITY AS asked (one, other, ordinal)
CROSS JOIN LATERAL (
    SELECT ST_ClosestPoint(ST_Force2D(a.geom), ST_Force2D(b.geom)) AS spot,
           ST_Distance(a.tile_geom, b.tile_geom) AS apart
    FROM layer.road AS a
    JOIN layer.road AS b ON b.name = asked.other AND ST_DWithin(a.tile_geom, b.tile_geom, 60)
    WHERE a.name = asked.one
    ORDER BY apart, a.fid, b.fid
    LIMIT 12
) AS found
