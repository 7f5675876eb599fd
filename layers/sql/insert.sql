INSERT INTO {live} ({targets})
SELECT {sources}
FROM (SELECT id, operation, {staged_columns} FROM {staging} AS s) AS staged
{restriction}
