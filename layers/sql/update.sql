UPDATE {live} AS live
SET ({targets}) = ROW({sources})
FROM (SELECT id, {source_ref} AS source_ref, {staged_columns} FROM {staging} AS s) AS staged
JOIN pg_temp.change_set AS change ON change.id = staged.id AND change.operation = 'update'
WHERE live.fid = change.fid
