-- A bulk run: one row a z14 cell of Web Mercator (2.4 km at the equator). A feature counts in the
-- cell of its envelope's centre; an old position counts as a place to redraw, not as a change.
INSERT INTO catalog.outbox (layer, revision, ordinal, operation, envelope, feature_count)
SELECT
    %(layer)s, %(revision)s, row_number() OVER (ORDER BY cell_column, cell_row), 'bulk',
    ST_MakeEnvelope(min(west), min(south), max(east), max(north), 4490), sum(weight)
FROM (
    SELECT
        west, south, east, north, weight,
        floor((west + east + 360.0) / 720.0 * 16384) AS cell_column,
        floor(
            (1 - ln(tan(radians(45 + greatest(least((south + north) / 2, 85), -85) / 2))) / pi())
            / 2 * 16384
        ) AS cell_row
    FROM ({versions}) AS version
) AS placed
GROUP BY cell_column, cell_row
