-- All versions of a business id, live and past, with what the ledger knows of each.
WITH version AS (
    SELECT
        fid, revision, NULL::bigint AS until, NULL::text AS ended_by, run,
        (source_ref >> {bits})::integer AS file, source_ref & ((1::bigint << {bits}) - 1) AS source_row
    FROM {live} WHERE id = %(id)s
    UNION ALL
    SELECT
        fid, revision, replaced_by_revision, operation, run,
        (source_ref >> {bits})::integer, source_ref & ((1::bigint << {bits}) - 1)
    FROM {history} WHERE id = %(id)s
)
SELECT
    version.fid, version.revision, made.at, made.principal, version.run,
    version.until, gone.at, version.ended_by, version.source_row,
    run.delivery, run.bureau, run.reverts,
    (SELECT reverted.revision FROM catalog.revision AS reverted
     WHERE reverted.run = run.reverts AND reverted.layer = %(layer)s),
    -- one file may be read in several ways; which of them gave the row is not kept
    jsonb_path_query_array(
        run.report, '$.files[*] ? (@.file == $label)',
        jsonb_build_object('label', run.report -> 'files' -> version.file ->> 'file'))
FROM version
LEFT JOIN catalog.revision AS made
    ON made.layer = %(layer)s AND made.revision = version.revision
LEFT JOIN catalog.revision AS gone
    ON gone.layer = %(layer)s AND gone.revision = version.until
LEFT JOIN catalog.run ON run.id = version.run
ORDER BY version.revision
