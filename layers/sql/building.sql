-- Whether a layer can be replaced by a table built beside it, its next revision, its next fid.
-- A table that carries more than `layers apply` gives it (views, triggers, foreign keys, policies,
-- statistics, publications, columns granted apart, indexes of others) is written to, not replaced.
SELECT
    published.feature_count = 0
        AND live.relkind = 'r' AND live.relpersistence = 'p' AND NOT live.relispartition
        AND NOT live.relrowsecurity AND live.reloptions IS NULL
        AND pg_has_role(live.relowner, 'USAGE')
        AND has_schema_privilege('layer', 'CREATE') AND has_schema_privilege('staging', 'CREATE')
        AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = live.oid)
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE live.oid IN (inhrelid, inhparent))
        AND NOT EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = live.oid)
        AND NOT EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = live.oid)
        AND NOT EXISTS (
            SELECT FROM pg_description
            WHERE objoid = live.oid AND classoid = 'pg_class'::regclass
        )
        AND NOT EXISTS (
            SELECT FROM pg_constraint
            WHERE confrelid = live.oid OR (conrelid = live.oid AND contype <> 'p')
        )
        AND NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = live.oid AND (
                attacl IS NOT NULL OR attstattarget > 0
                    OR position('n_distinct' IN attoptions::text) > 0
            )
        )
        AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE refclassid = 'pg_class'::regclass AND refobjid = live.oid
                AND classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass)
        )
        AND NOT EXISTS (
            SELECT FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
            WHERE indrelid = live.oid AND NOT indisprimary AND right(index.relname, 3) <> '_ix'
        ),
    published.revision + 1,
    (
        SELECT coalesce(last_value, start_value - 1) + 1 FROM pg_sequences
        WHERE format('%%I.%%I', schemaname, sequencename)
            = pg_get_serial_sequence(format('layer.%%I', live.relname), 'fid')
    )
FROM catalog.layer AS published
JOIN pg_class AS live
    ON live.relnamespace = 'layer'::regnamespace AND live.relname = published.name
WHERE published.name = %(layer)s
