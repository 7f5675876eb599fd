-- Share of a layer's rows that meet each cell of a grid over a rectangle, row by row from the
-- south, each from the west, as the planner would guess it.
SELECT array_agg(
    _postgis_selectivity(
        format('layer.%%I', %(layer)s::text)::regclass, 'geom',
        ST_MakeEnvelope(
            %(west)s + c * g.width, %(south)s + r * g.height,
            %(west)s + (c + 1) * g.width, %(south)s + (r + 1) * g.height, 4490
        )
    )
    ORDER BY r, c
)
FROM generate_series(0, %(cells)s - 1) AS r,
     generate_series(0, %(cells)s - 1) AS c,
     (
         SELECT (%(east)s - %(west)s) / %(cells)s AS width,
                (%(north)s - %(south)s) / %(cells)s AS height
     ) AS g
