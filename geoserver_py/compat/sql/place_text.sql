-- Points of interest, those given where words were: equal names first, then those that begin so,
-- then names that hold a word before addresses, then the shorter ones.
WITH hit AS MATERIALIZED (
    SELECT poi.id, poi.name, poi.category, poi.address,
           coalesce(nullif(poi.village_code, ''), {county}, '') AS code,
           ST_X(poi.geom) AS lon, ST_Y(poi.geom) AS lat
    FROM layer.poi AS poi
    WHERE (%(fids)s::bigint[] IS NULL OR poi.fid = ANY (%(fids)s::bigint[]))
      AND (%(categories)s::text[] IS NULL OR poi.category = ANY (%(categories)s::text[]))
), inside AS MATERIALIZED (
    SELECT * FROM hit
    WHERE EXISTS (SELECT FROM unnest(%(areas)s::text[]) AS area
                  WHERE starts_with(hit.code, area))
), page AS (
    SELECT *, row_number() OVER (
        ORDER BY name <> ALL (coalesce(%(words)s::text[], '{{}}')),
                 NOT starts_with(name, coalesce((%(words)s::text[])[1], '')),
                 name NOT ILIKE ALL (coalesce(%(patterns)s::text[], '{{}}')),
                 length(name), name, id) AS place
    FROM inside
    ORDER BY place
    LIMIT %(count)s OFFSET %(start)s
)
SELECT total.n, page.id, page.name, page.category, page.address, page.code, page.lon, page.lat,
       NULL::float8 AS distance
FROM (SELECT count(*) AS n FROM inside) AS total LEFT JOIN page ON true
ORDER BY page.place
