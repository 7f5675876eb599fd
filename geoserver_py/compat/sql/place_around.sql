-- Points of interest around a position (CGCS2000 degrees), nearest first, geodesic metres. The
-- box in Web Mercator is wider than the circle: its scale at the latitude, and 1 per cent.
WITH here AS (
    SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490) AS g
), hit AS MATERIALIZED (
    SELECT poi.id, poi.name, poi.category, poi.address,
           coalesce(nullif(poi.village_code, ''), {county}, '') AS code,
           ST_X(poi.geom) AS lon, ST_Y(poi.geom) AS lat,
           ST_Distance(poi.geom::geography, here.g::geography) AS distance
    FROM layer.poi AS poi, here
    WHERE poi.tile_geom && ST_Expand(ST_Transform(here.g, 3857),
                                     %(radius)s * 1.01 / cos(radians(%(lat)s)))
      AND (%(patterns)s::text[] IS NULL
           OR poi.name ILIKE ANY (%(patterns)s::text[])
           OR poi.address ILIKE ANY (%(patterns)s::text[]))
      AND (%(categories)s::text[] IS NULL OR poi.category = ANY (%(categories)s::text[]))
), inside AS MATERIALIZED (
    SELECT * FROM hit
    WHERE distance <= %(radius)s
      AND EXISTS (SELECT FROM unnest(%(areas)s::text[]) AS area WHERE starts_with(hit.code, area))
), page AS (
    SELECT *, row_number() OVER (ORDER BY distance, id) AS place
    FROM inside
    ORDER BY place
    LIMIT %(count)s OFFSET %(start)s
)
SELECT total.n, page.id, page.name, page.category, page.address, page.code, page.lon, page.lat,
       page.distance
FROM (SELECT count(*) AS n FROM inside) AS total LEFT JOIN page ON true
ORDER BY page.place
