-- A bulk run whose cells were counted while its rows were sent (see layers.cells).
INSERT INTO catalog.outbox (layer, revision, ordinal, operation, envelope, feature_count)
SELECT
    %(layer)s, %(revision)s, ordinal, 'bulk',
    CASE WHEN west IS NOT NULL THEN ST_MakeEnvelope(west, south, east, north, 4490) END, counted
FROM unnest(
    %(west)s::float8[], %(south)s::float8[], %(east)s::float8[], %(north)s::float8[],
    %(counts)s::bigint[]
) WITH ORDINALITY AS cell (west, south, east, north, counted, ordinal)
