-- Address records without a live code of one style, in the order of their ids.
SELECT a.id, a.village_code, a.road, a.number, a.estate, a.building, a.unit,
       ST_X(a.geom) AS lon, ST_Y(a.geom) AS lat
FROM layer.address AS a
WHERE a.id > %(after)s
  AND (%(ids)s::text[] IS NULL OR a.id = ANY (%(ids)s))
  AND NOT EXISTS (SELECT FROM gazetteer.address_code AS c
                  WHERE c.address = a.id AND c.style = %(style)s AND c.retired_at IS NULL)
ORDER BY a.id
LIMIT %(count)s
