-- What a staged delivery changes. The hash spares the comparison of equal rows; the comparison
-- itself decides, so that a hash made before a field was added costs time and not a false update.
INSERT INTO pg_temp.change_set (operation, fid, id)
SELECT
    CASE
        WHEN live.fid IS NULL THEN 'insert'
        WHEN staged.id IS NULL OR staged.operation = 'delete' THEN 'delete'
        ELSE 'update'
    END,
    live.fid,
    coalesce(live.id, staged.id)
FROM (SELECT id, operation, {staged_columns} FROM {staging} AS s) AS staged
{join} {live} AS live ON live.id = staged.id
WHERE
    CASE
        WHEN live.fid IS NULL THEN staged.operation IS DISTINCT FROM 'delete'
        WHEN staged.id IS NULL THEN {scope}
        WHEN staged.operation = 'delete' THEN true
        ELSE
            live.row_hash <> {staged_hash}
            AND ROW({live_content}) IS DISTINCT FROM ROW({staged_content})
    END
