-- Layers whose statistics tell where their rows lie: name, rows, when analysed, extent.
-- Not analysed yet: no row in pg_stats, and ST_EstimatedExtent is NULL.
SELECT c.relname,
       c.reltuples::float8,
       greatest(s.last_analyze, s.last_autoanalyze),
       ST_XMin(e.box), ST_YMin(e.box), ST_XMax(e.box), ST_YMax(e.box)
FROM pg_class AS c
JOIN pg_stat_user_tables AS s ON s.relid = c.oid AND s.schemaname = 'layer'
JOIN pg_stats AS p
    ON p.schemaname = 'layer' AND p.tablename = c.relname AND p.attname = 'geom'
CROSS JOIN LATERAL ST_EstimatedExtent('layer', c.relname, 'geom') AS e (box)
WHERE c.relkind = 'r' AND c.reltuples > 0 AND p.null_frac < 1 AND e.box IS NOT NULL
