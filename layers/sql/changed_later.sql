-- Features that are no longer as a revision left them, with the next revision that changed them.
-- What was changed and changed back (by a later rollback, say) is as it left them.
CREATE TEMPORARY TABLE changed_later ON COMMIT DROP AS
WITH made AS (
    SELECT id, row_hash FROM {history} WHERE revision = %(revision)s
), left_behind AS (
    SELECT id, row_hash FROM made
    UNION ALL
    SELECT id, NULL FROM {history}
    WHERE replaced_by_revision = %(revision)s AND operation = 'delete'
        AND id NOT IN (SELECT id FROM made)
)
SELECT left_behind.id, (
    SELECT min(found.revision) FROM (
        SELECT revision FROM {live} AS live WHERE live.id = left_behind.id
        UNION ALL
        SELECT unnest(ARRAY[revision, replaced_by_revision]) FROM {history} AS past
        WHERE past.id = left_behind.id
    ) AS found
    WHERE found.revision > %(revision)s
) AS revision
FROM left_behind
LEFT JOIN {live} AS live ON live.id = left_behind.id
WHERE live.row_hash IS DISTINCT FROM left_behind.row_hash
