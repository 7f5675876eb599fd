INSERT INTO {live} ({targets})
SELECT {sources}
FROM (SELECT id, operation, {source_ref} AS source_ref, {staged_columns} FROM {staging} AS s) AS staged
{restriction}
